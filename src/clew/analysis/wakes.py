"""Who made a waiting scope go on?

Definition: the event that ends a wait names its cause, or the step it happened in does.
From there the causes are followed through the callbacks of a loop, which only pass on
what somebody else did, to an event of a task, of a thread outside of its loop, or of
another process; or to a timer or a socket, where the chain of recorded causes begins.

Worked example, a task that waits for the end of another one:

    task_end        Task-2      (3) what is told: Task-2 ended
    step callback   MainThread  (2) the loop calls the future's callbacks
    step            Task-1      (1) Task-1 goes on
    sync.await      Task-1      <- the wait ended here

What it can miss: a cause that was not recorded. What it can wrongly report: the program's
callback as its scheduler, where a callback of the program itself decided to wake somebody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clew.model.kinds import EntityKind, EventKind, Operation, slug_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clew.analysis.timeline import ProcessTimeline

MAX_HOPS = 12
"""Causes followed; a longer chain of callbacks is a loop that calls itself."""
PASSING = (Operation.CALLBACK, Operation.IO, Operation.TIMER)
"""Steps of a loop in which nobody acts of their own accord."""


@dataclass(frozen=True, slots=True)
class Wake:
    """What ended a wait, or a task.

    Attributes:
        how: ``event``, or where nobody did it: ``timer`` or ``io``.
        process: Position of its process among the timelines; with its row, the event.
    """

    how: Literal["event", "timer", "io"]
    process: int
    row: int


def positions_by_id(timelines: list[ProcessTimeline]) -> dict[int, int]:
    """Return the position of each process among *timelines*."""
    return {timeline.stream.process_id: position for position, timeline in enumerate(timelines)}


def wake_of(timelines: list[ProcessTimeline], positions: Mapping[int, int], process: int, row: int) -> Wake | None:
    """Return what led to the event *row*, None where that is not known.

    Args:
        timelines: All processes of the recording.
        positions: Of ``positions_by_id``.
        process: Position of the event's process.
        row: Where the end of a wait, or a cancellation, stands in the columns.
    """
    waiter = process, int(timelines[process].columns["scope"][row])
    timeline = timelines[process]
    if not timeline.columns["cause"][row] and _remote(timeline, positions, row) is None:
        # The end of a wait that names nobody: what scheduled the step it happened in.
        step = int(timeline.step_of_event[row])
        row = int(timeline.steps.rows[step]) if step >= 0 else row
        if timeline.columns["op"][row] == Operation.RUN or step < 0:
            return None
    for _ in range(MAX_HOPS):
        process, row = _cause_of(timelines, positions, process, row)
        if row < 0:
            return None
        timeline = timelines[process]
        step = _callback_around(timeline, row)
        if step < 0:
            if (process, int(timeline.columns["scope"][row])) != waiter:
                return Wake("event", process, row)
            is_step = timeline.columns["kind"][row] == EventKind.LIFE_STEP
            if not is_step or timeline.columns["op"][row] == Operation.RUN:
                return None
            continue  # the step of its own in which the wait ended
        row = step
        op = timeline.columns["op"][row]
        if op != Operation.CALLBACK:
            return Wake("timer" if op == Operation.TIMER else "io", process, row)
    return None


def _cause_of(
    timelines: list[ProcessTimeline], positions: Mapping[int, int], process: int, row: int
) -> tuple[int, int]:
    """Return process and row of an event's cause; the row is -1 if it is not known."""
    remote = _remote(timelines[process], positions, row)
    if remote is not None:
        return remote[0], timelines[remote[0]].row_of(remote[1])
    return process, timelines[process].row_of(int(timelines[process].columns["cause"][row]))


def _remote(timeline: ProcessTimeline, positions: Mapping[int, int], row: int) -> tuple[int, int] | None:
    """Return process and sequence number of a cause in another process."""
    cause = timeline.data.remote_causes.get(int(timeline.columns["seq"][row]))
    if cause is None or cause[0] not in positions:
        return None
    return positions[cause[0]], cause[1]


def _callback_around(timeline: ProcessTimeline, row: int) -> int:
    """Return the row of the loop's callback an event happened in, or is; -1 if a task or thread did it."""
    columns = timeline.columns
    scope = timeline.data.entities.get(int(columns["scope"][row]))
    if scope is None or scope[1] != EntityKind.THREAD:
        return -1
    step = int(timeline.step_of_event[row])
    if step < 0:
        return -1
    at = int(timeline.steps.rows[step])
    return at if columns["op"][at] in PASSING else -1


_VERBS = {
    "sync.release": "released it",
    "sync.set": "set it",
    "sync.put": "put an item",
    "sync.get": "took an item",
    "sync.notify": "notified it",
    "sync.resolve": "resolved it",
    "life.task_end": "ended",
    "life.thread_end": "ended",
    "life.process_end": "ended",
    "life.task_cancel": "was cancelled",
    "effect.result": "got the result",
    "message.send": "sent",
}


def verb_of(timeline: ProcessTimeline, row: int) -> str:
    """Say what the waking event did, in past tense: ``released it``; empty if there is no word."""
    if timeline.columns["op"][row] == Operation.THREADSAFE:
        return ""  # it told the loop, which says nothing about what for
    slug = slug_of(EventKind, int(timeline.columns["kind"][row])) or ""
    return _VERBS.get(slug, "")
