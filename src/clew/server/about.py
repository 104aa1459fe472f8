"""``GET /api/v1/server``: what the server is, and what the one who asks may do."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter

from clew import __version__
from clew.server.auth import Actor, Role, require
from clew.server.context import Shared
from clew.server.times import rfc3339

router = APIRouter(tags=["server"])
FEATURES = ("chunks", "events", "otlp", "sql", "live", "artifacts")


@router.get("/api/v1/server")
def server(context: Shared, actor: Annotated[Actor, require(Role.VIEWER)]) -> dict[str, Any]:
    """Say what this server is."""
    return {
        "version": __version__,
        "role": actor.role.slug,
        "store": {
            "catalog": context.store.catalog.shown,
            "blobs": context.store.blobs.shown,
        },
        "keys_required": context.keyring.is_in_force(),
        "time": rfc3339(time.time_ns()),
        "features": list(FEATURES),
    }
