"""Health routes: whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from clew import __version__
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.store.schema import leases, processes

if TYPE_CHECKING:
    from clew.server.auth import Actor
    from clew.server.context import Context

PROBE = "health"
"""Name of the lease that is written to see whether anything can be."""
READY_S = 5.0
LAG_S = 60.0
"""What was stored longer ago than this and is not indexed is late."""

router = APIRouter(tags=["health"])


@router.get("/health/live", response_class=JSONResponse)
async def live() -> JSONResponse:
    """Say that the process answers."""
    return JSONResponse({"status": "ok", "checks": {}})


@router.get("/health/ready", response_class=JSONResponse)
async def ready(context: Shared) -> JSONResponse:
    """Say whether something can be stored, and what is wrong."""
    try:
        async with asyncio.timeout(READY_S):
            checks = await asyncio.to_thread(check, context)
    except TimeoutError:
        checks = {"catalog": {"status": "failed", "problem": f"it did not answer within {READY_S:.0f} s"}}
    states = {value["status"] for value in checks.values()}
    return JSONResponse(
        {"status": "ok" if states == {"ok"} else "degraded", "checks": checks},
        503 if "failed" in states else 200,
    )


def check(context: Context) -> dict[str, dict[str, Any]]:
    """Look at what the server needs.

    Returns:
        By name of what was looked at: ``status`` (``ok``, ``degraded``: works, see to it; ``failed``:
        nothing can be stored), and ``problem`` where it is not ok.
    """
    return {"catalog": _catalog(context), "disk": _disk(context), "index": _index(context)}


def _catalog(context: Context) -> dict[str, Any]:
    now = time.time_ns()
    try:
        with context.store.engine.begin() as connection:
            changed = connection.execute(
                sa.update(leases).where(leases.c.name == PROBE).values(holder="server", expires_ns=now)
            )
            if not changed.rowcount:
                connection.execute(sa.insert(leases).values(name=PROBE, holder="server", expires_ns=now))
    except (sa.exc.SQLAlchemyError, OSError) as error:
        problem = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return {"status": "failed", "problem": f"it cannot be written to: {problem}"}
    return {"status": "ok"}


def _disk(context: Context) -> dict[str, Any]:
    folders = [Path(path) for path in local_folders(context)]
    if not folders:
        return {"status": "ok"}
    free = min(shutil.disk_usage(folder).free for folder in folders)
    wanted = context.settings.disk_bytes
    if free < wanted:
        problem = f"{free:,} bytes are free, fewer than {wanted:,}: recordings will soon be refused"
        return {"status": "degraded", "free_bytes": free, "problem": problem}
    return {"status": "ok", "free_bytes": free}


def _index(context: Context) -> dict[str, Any]:
    lag_s = index_lag_s(context)
    if lag_s > LAG_S:
        problem = f"what came {lag_s:.0f} s ago is not indexed; 'clew worker' does that"
        return {"status": "degraded", "lag_s": round(lag_s), "problem": problem}
    return {"status": "ok", "lag_s": round(lag_s)}


def local_folders(context: Context) -> list[str]:
    """Return the folders of this machine that the store writes to."""
    database = context.store.engine.url
    if database.get_backend_name() == "sqlite" and database.database:
        return [str(Path(database.database).resolve().parent)]
    return []


def index_lag_s(context: Context) -> float:
    """Return how many seconds ago the oldest came that is not indexed; 0: everything is."""
    late = sa.select(sa.func.min(processes.c.received_ns)).where(
        processes.c.revision > processes.c.indexed_revision, processes.c.deleted_ns.is_(None)
    )
    try:
        with context.store.engine.connect() as connection:
            oldest = connection.execute(late).scalar()
    except (sa.exc.SQLAlchemyError, OSError):
        return 0.0  # the check of the catalog says so
    return max(0.0, (time.time_ns() - oldest) / 1e9) if oldest else 0.0


@router.get("/metrics", dependencies=[require(Role.VIEWER)], response_class=Response)
def metrics(context: Shared) -> Response:
    """Return what the server counts, as Prometheus reads it."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)
