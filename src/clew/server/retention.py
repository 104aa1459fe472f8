"""How long a run is kept, and its deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from clew.server.auth import Actor, Role, require
from clew.server.context import Shared
from clew.server.errors import no_run
from clew.server.failures import REQUEST_ID
from clew.store import audit, retention
from clew.store.schema import processes, run_parts

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["runs"])
Operator = Annotated[Actor, require(Role.OPERATOR)]
Run = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Id of a run")]


class Retention(BaseModel):
    """How long the processes of a run are to stay."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    class_: str = Field(alias="class", pattern="^(dev|ci|incident)$")
    hold: bool = Field(default=False, strict=True, description="Stays until this is taken back")


@router.put("/api/v1/runs/{run}/retention")
def keep_run(request: Request, context: Shared, actor: Operator, run: Run, wanted: Retention) -> dict[str, Any]:
    """Set for how long the processes of a run stay."""
    with context.store.write() as connection:
        process_ids = _processes_of(connection, run)
        retention.keep(context.store, process_ids, retention=wanted.class_, hold=wanted.hold, connection=connection)
        details = {"class": wanted.class_, "hold": wanted.hold}
        _note(connection, request, actor, "run.retention", run, details)
    return {"run": run, "class": wanted.class_, "hold": wanted.hold, "processes": len(process_ids)}


@router.delete("/api/v1/runs/{run}")
def delete_run(request: Request, context: Shared, actor: Operator, run: Run) -> dict[str, Any]:
    """Delete the processes of a run: hidden at once, removed after a day."""
    with context.store.write() as connection:
        process_ids = _processes_of(connection, run)
        count = retention.delete_processes(context.store, process_ids, connection=connection)
        _note(connection, request, actor, "run.delete", run, {"processes": process_ids})
    return {"run": run, "deleted": count}


def _processes_of(connection: Connection, run: str) -> list[str]:
    """Return the ids of the processes that know of *run*.

    Raises:
        HttpError: Nobody does.
    """
    ids = connection.execute(
        sa.select(run_parts.c.process_id)
        .join(processes, processes.c.process_id == run_parts.c.process_id)
        .where(run_parts.c.run_id == run, processes.c.deleted_ns.is_(None))
        .order_by(run_parts.c.process_id)
    )
    found = list(ids.scalars())
    if not found:
        raise no_run(run)
    return found


def _note(
    connection: Connection, request: Request, actor: Actor, action: str, run: str, details: dict[str, Any]
) -> None:
    audit.record(
        connection,
        actor.name,
        action,
        subject=run,
        details=details,
        request_id=request.scope.get(REQUEST_ID, ""),
    )
