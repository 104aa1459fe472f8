"""The thread of causes of an event: what led to it, from where it began."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query

from clew.analysis.block_parts import BlockKind
from clew.analysis.causes import MAX_STEPS
from clew.model.kinds import EventKind, Operation, slug_of
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.server.source import timeline_of
from clew.server.timeline import ProcessId, RunId

if TYPE_CHECKING:
    from clew.analysis.causes import Thread, ThreadStep
    from clew.server.library import RunView

router = APIRouter(prefix="/api/v1", tags=["runs"])


@router.get("/runs/{run}/events/{process}/{seq}/thread", dependencies=[require(Role.VIEWER)])
def get(
    context: Shared,
    run: RunId,
    process: ProcessId,
    seq: Annotated[int, Path(ge=1, lt=1 << 63)],
    limit: Annotated[int, Query(ge=1, le=MAX_STEPS, description="Most steps")] = MAX_STEPS,
) -> dict[str, Any]:
    """Return the thread of causes of an event."""
    view = context.library.timelines(run)
    timeline = timeline_of(view, process)
    row = timeline.row_of(seq)
    if row < 0:
        raise HttpError(
            "event-missing", f"process {process} has no event {seq}", "expected one that is recorded",
            "it may have been dropped; see the gaps of the run", status=404,
        )  # fmt: skip
    return thread_document(view, view.causes.thread_of(view.positions[process], row, limit=limit))


def thread_document(view: RunView, thread: Thread) -> dict[str, Any]:
    """Return a thread of causes as it is told.

    Args:
        view: The run it was followed in.
        thread: Of ``Causes.thread_of``.
    """
    steps = [_step(view, step) for step in thread.steps]
    for step, following in pairwise(steps):
        step["waited_ns"] = max(following["t_ns"] - step["until_ns"], 0)
    return {"steps": steps, "truncated": thread.truncated, "begins": thread.begins}


def _step(view: RunView, step: ThreadStep) -> dict[str, Any]:
    timeline, row = view.timelines[step.process], step.row
    columns = timeline.columns
    number = {name: int(columns[name][row]) for name in ("seq", "kind", "op", "scope", "entity", "site")}
    shift = timeline.shift_ns - view.origin_ns
    t_ns = int(columns["t_ns"][row]) + shift
    at = int(timeline.step_of_event[row])
    is_step = number["kind"] == EventKind.LIFE_STEP and at >= 0
    site = timeline.data.sites.get(number["site"])
    return {
        "process": timeline.stream.id,
        "service": timeline.label,
        "seq": number["seq"],
        "t_ns": t_ns,
        "until_ns": int(timeline.steps.end_ns[at]) + shift if is_step else t_ns,
        "kind": slug_of(EventKind, number["kind"]) or str(number["kind"]),
        "op": slug_of(Operation, number["op"]) or "",
        "scope": timeline.name_of(number["scope"]) if number["scope"] else "",
        "scope_id": number["scope"],
        "entity": timeline.label_of(number["entity"]) if number["entity"] else "",
        "file": site[1] if site else "",
        "line": site[2] if site else 0,
        "function": site[3] if site else "",
        "text": step.text,
        "how": step.how,
        "waited_ns": 0,
        "block": block_of_event(view, step.process, row),
    }


def block_of_event(view: RunView, process: int, row: int) -> int | None:
    """Return the block of a run's timeline in which an event happened.

    The wait that it ended, the span or life it began, or else the step it lies in.

    Args:
        view: The run.
        process: Position of the event's process.
        row: Where it stands in the columns.
    """
    blocks, timeline = view.picture.blocks, view.timelines[process]
    seq, t_ns = (
        int(timeline.columns["seq"][row]),
        int(timeline.columns["t_ns"][row]) + timeline.shift_ns - view.origin_ns,
    )
    step = int(timeline.step_of_event[row])
    if timeline.columns["kind"][row] != EventKind.LIFE_STEP:
        # Blocks that an event ends have begun before it.
        before = int(np.searchsorted(blocks.start, t_ns, side="right"))
        is_its = (blocks.end_seq[:before] == seq) | (blocks.seq[:before] == seq)
        found = np.flatnonzero(is_its & (blocks.process[:before] == process))
        if len(found):
            return int(found[-1])
    if step >= 0:
        return int(view.picture.block_of_step[process][step])
    lives = np.flatnonzero(
        (blocks.kind == int(BlockKind.LIFE))
        & (blocks.process == process)
        & (blocks.scope == timeline.columns["scope"][row])
    )
    return int(lives[0]) if len(lives) else None
