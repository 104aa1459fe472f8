"""Services and the calls between them: of one run, or of all that happened lately."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from clew.analysis.filters import FilterError, parse_duration
from clew.analysis.runs import run_of
from clew.analysis.services import ServiceSpan, service_graph
from clew.convert.stored_sql import open_surface
from clew.model.times import parse_time
from clew.server.answers import Services, json_response
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import no_run
from clew.server.runs import RunId
from clew.server.sql import turn

if TYPE_CHECKING:
    from clew.analysis.services import ServiceGraph

router = APIRouter(prefix="/api/v1", tags=["services"], dependencies=[require(Role.VIEWER)])

MAX_SPANS = 500_000
"""The latest that are looked at over all runs: about as many as can be counted in a second."""
_SQL = f"""
select process, service, run, id, coalesce(parent_id, ''), kind, duration_ns, coalesce(outcome, '')
from spans where start_ns >= ? order by start_ns desc limit {MAX_SPANS}
"""
_USED = ("spans", "process", "service", "run", "id", "parent_id", "kind", "duration_ns", "outcome", "start_ns")


@router.get("/runs/{run}/services", response_model=Services)
def get_of_run(context: Shared, run: RunId) -> Response:
    """Return the services of a run, and how they called one another."""
    view = context.library.timelines(run)
    found = run_of(view.timelines, run)
    if found is None:
        raise no_run(run)
    graph = service_graph(
        ServiceSpan(
            view.timelines[span.process].stream.id, view.timelines[span.process].service, run, f"{span.span_id:016x}",
            f"{span.parent_span_id:016x}" if span.parent_span_id else "", span.kind, span.end_ns - span.start_ns,
            span.outcome,
        )
        for span in found.spans
    )  # fmt: skip
    return json_response(_json(graph))


@router.get("/services", response_model=Services)
def get_all(
    context: Shared,
    since: Annotated[str, Query(max_length=40, description="A duration back from now, or a time of day")] = "1h",
) -> Response:
    """Return the services of all runs, and how they called one another lately."""
    since_ns = _since_ns(since)
    with turn(), open_surface(context.store, used=_USED) as surface:
        rows = surface.query(_SQL, [since_ns]).rows
    return json_response(_json(service_graph(ServiceSpan(*row) for row in rows)))


def _since_ns(text: str) -> int:
    ago_ns, wall_ns = parse_duration(text), parse_time(text)
    since_ns = time.time_ns() - ago_ns if ago_ns is not None and ago_ns >= 0 else wall_ns
    if since_ns is None:
        raise FilterError(0, f"since is {text!r}", "expected a duration back from now, or a time", "write it as 2h")
    return max(-(1 << 63), min(since_ns, (1 << 63) - 1))


def _json(graph: ServiceGraph) -> dict[str, Any]:
    return {
        "services": [
            {
                "name": service.name,
                "spans": service.spans,
                "errors": service.errors,
                "median_ns": service.median_ns,
                "p95_ns": service.p95_ns,
            }
            for service in graph.services
        ],
        "calls": [
            {
                "from": call.caller,
                "to": call.callee,
                "count": call.count,
                "errors": call.errors,
                "median_ns": call.median_ns,
                "p95_ns": call.p95_ns,
            }
            for call in graph.calls
        ],
    }
