"""Runs: the list, one of them with its processes and findings, and one as a tree."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from clew.analysis.run_tree import run_tree
from clew.analysis.runs import run_of
from clew.analysis.summary import processes_of
from clew.convert.run_json import run_tree_json
from clew.model.times import format_time
from clew.server import cursors
from clew.server.answers import Runs, Tree, WholeRun, json_response
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError, no_run
from clew.server.run_filters import conditions_of
from clew.store import finding_list, run_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clew.analysis.runs import Run, SpanRef
    from clew.server.library import RunView
    from clew.store.store import ProcessRow, Store

router = APIRouter(prefix="/api/v1", tags=["runs"], dependencies=[require(Role.VIEWER)])

RunId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Id of a run, a W3C trace id")]
Filter = Annotated[str, Query(max_length=4000, description="See docs/reference/http.md, Filters")]
Cursor = Annotated[str | None, Query(max_length=2000, description="next_cursor of the page before")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most of them on one page")]
Sort = Literal[
    "started", "duration", "events", "errors", "name", "service", "status",
    "-started", "-duration", "-events", "-errors", "-name", "-service", "-status",
]  # fmt: skip

SILENT_NS = 60_000_000_000
"""A process that has sent nothing for so long may be gone without a word."""


@router.get("/runs", response_model=Runs)
def list_runs(
    context: Shared, filter: Filter = "", sort: Sort = "-started", cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """List runs, page by page."""
    now_ns = time.time_ns()
    name = sort.lstrip("-")
    after = None
    if cursor is not None:
        said, value, run_id = cursors.decode(cursor, "runs", str, int if name in run_list.NUMERIC else str, str)
        if said != sort:
            raise cursors.bad(cursor)
        after = value, run_id
    page = run_list.list_runs(
        context.store, conditions_of(filter, now_ns=now_ns), sort=name, is_descending=sort != name, after=after,
        limit=limit,
    )  # fmt: skip
    following = None
    if page.has_more:
        last = page.rows[-1]
        following = cursors.encode("runs", sort, last[run_list.SORTS[name].name], last["run_id"])
    runs = [_run_json(row, now_ns) for row in page.rows]
    return json_response({"runs": runs, "next_cursor": following, "total": page.total})


@router.get("/runs/{run}", response_model=WholeRun)
def get_run(context: Shared, run: RunId) -> Response:
    """Return one run with its processes and findings."""
    row = run_list.find(context.store, run)
    if row is None:
        raise no_run(run)
    view = context.library.timelines(run)
    findings = finding_list.findings_of_run(context.store, run)
    detail = {"processes": _processes_json(context.store, view), "findings": findings}
    return json_response(_run_json(row, time.time_ns()) | {"detail": detail})


@router.get("/runs/{run}/tree", response_model=Tree)
def get_tree(
    context: Shared,
    run: RunId,
    root: Annotated[str | None, Query(pattern="^[0-9a-f]{16}$", description="Id of a span to begin at")] = None,
    everything: Annotated[bool, Query(description="Leave nothing out")] = False,
) -> Response:
    """Return what happened in a run as a tree."""
    view = context.library.timelines(run)
    found = run_of(view.timelines, run)
    if found is None:
        raise no_run(run)
    span = _span(found, root) if root is not None else None
    tree = run_tree(found, view.timelines, root=span, everything=everything)
    return json_response(run_tree_json(replace(found, start_ns=found.start_ns - view.origin_ns), tree))


def _span(run: Run, span_id: str) -> SpanRef:
    number = int(span_id, 16)
    for span in run.spans:
        if span.span_id == number:
            return span
    raise HttpError(
        "span-missing",
        f"no span of run {run.id} has the id {span_id}",
        "expected the id of one of its spans",
        "POST /api/v1/sql with 'select id, name from spans' lists them",
        status=404,
    )


def _run_json(row: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """Return a run as lists have it."""
    health: list[dict[str, str]] = json.loads(row["health"])
    received_ns = row["received_ns"]
    if row["status"] == "running" and received_ns is not None and now_ns - received_ns > SILENT_NS:
        seconds = (now_ns - received_ns) // 1_000_000_000
        text = f"nothing came from {row['service']} for {seconds:,} s, though it has not ended"
        health = [*health, {"reason": "silent", "text": text}]
    return {
        "id": row["run_id"],
        "name": row["name"],
        "service": row["service"],
        "services": json.loads(row["services"]),
        "environment": row["environment"],
        "process": row["process_id"],
        "entry": row["entry"],
        "status": row["status"],
        "mode": row["mode"],
        "started_at": format_time(row["started_ns"]),
        "duration_ns": row["duration_ns"],
        "events": row["events"],
        "errors": row["errors"],
        "spans": row["spans"],
        "processes": row["processes"],
        "findings": row["findings"],
        "health": health,
        "revision": row["revision"],
    }


def _processes_json(store: Store, view: RunView) -> list[dict[str, Any]]:
    stored: dict[str, ProcessRow] = {row.process_id: row for row in store.processes(view.positions)}
    found: list[dict[str, Any]] = []
    for summary, timeline in zip(processes_of(view.timelines), view.timelines, strict=True):
        row, head = stored.get(summary.process), timeline.stream.process
        parent: object = head.get("parent")
        found.append(
            {
                "process": summary.process,
                "service": summary.service,
                "label": summary.label,
                "pid": summary.pid,
                "host": str(head.get("host") or ""),
                "python": summary.python,
                "argv": list(summary.argv),
                "state": summary.state,
                "exit": summary.exit,
                "signal": summary.signal or None,
                "start_ns": summary.start_ns - view.origin_ns,
                "duration_ns": summary.duration_ns,
                "events": summary.events,
                "dropped": summary.dropped,
                "tasks": summary.tasks,
                "threads": summary.threads,
                "parent": str(cast("list[object]", parent)[0]) if isinstance(parent, list) and parent else None,
                "problems": dict(summary.problems),
                "retention": row.retention if row is not None else "",
                "hold": bool(row.hold) if row is not None else False,
            }
        )
    return found
