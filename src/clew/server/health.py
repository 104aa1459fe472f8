"""Health routes: whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from clew.model.errors import ClewError
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.store import leases
from clew.store.schema import processes, segments

if TYPE_CHECKING:
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
    try:
        leases.take(context.store, PROBE, PROBE, READY_S)
    except (SQLAlchemyError, ClewError, OSError) as error:
        problem = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return {"status": "failed", "problem": f"it cannot be written to: {problem}"}
    return {"status": "ok"}


def _disk(context: Context) -> dict[str, Any]:
    folders = [folder for folder in (_folder(context), context.store.blobs.folder) if folder is not None]
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


def _folder(context: Context) -> Path | None:
    """Return where the catalog is, if that is a folder of this machine."""
    path = context.store.catalog.path
    return None if path is None else path.resolve().parent


def index_lag_s(context: Context) -> float:
    """Return how many seconds ago the oldest came that is not indexed; 0: everything is."""
    late = sa.select(sa.func.min(processes.c.received_ns)).where(
        processes.c.revision > processes.c.indexed_revision, processes.c.deleted_ns.is_(None)
    )
    oldest = _number(context, late)
    return max(0.0, (time.time_ns() - oldest) / 1e9) if oldest else 0.0


def catalog_bytes(context: Context) -> float:
    """Return the size of the database: of its files, or as PostgreSQL says."""
    path = context.store.catalog.path
    if path is not None:
        files = (path, path.with_name(path.name + "-wal"))
        return float(sum(file.stat().st_size for file in files if file.exists()))
    return _number(context, sa.select(sa.func.pg_database_size(sa.func.current_database())))


def segment_bytes(context: Context) -> float:
    """Return the bytes of all segments."""
    return _number(context, sa.select(sa.func.sum(segments.c.bytes)))


def _number(context: Context, query: sa.Select[Any]) -> float:
    """Return the one number of *query*; not a number while the catalog is away."""
    try:
        with context.store.engine.connect() as connection:
            return float(connection.execute(query).scalar() or 0)
    except (SQLAlchemyError, OSError):
        return float("nan")


@router.get("/metrics", dependencies=[require(Role.VIEWER)], response_class=Response)
def metrics(context: Shared) -> Response:
    """Return what the server counts, as Prometheus reads it."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)
