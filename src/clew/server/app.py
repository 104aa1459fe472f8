"""The application: every route, inside one boundary."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from clew import __version__
from clew.server import (
    about,
    admin,
    artifacts,
    edge,
    events,
    failures,
    findings,
    health,
    ingest,
    live,
    page,
    retention,
    runs,
    services,
    source,
    sql,
    thread,
    timeline,
)
from clew.server.boundary import Boundary
from clew.server.context import Context
from clew.server.library import Library
from clew.server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from clew.store.store import Store

ROUTES = (
    about, runs, events, services, findings, sql, timeline, thread, source,
    live, ingest, edge, artifacts, retention, admin, health,
    page,  # last: it takes what no other route does
)  # fmt: skip


def create_app(store: Store, *, settings: Settings | None = None) -> FastAPI:
    """Return the application that serves *store*.

    Args:
        store: It stays open when the application ends: whoever opened it closes it.
        settings: Limits, keys and origins.
    """
    settings = settings or Settings()
    context = Context(store, Library(store), settings.is_loopback, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        context.hub.close()

    app = FastAPI(
        title="clew",
        version=__version__,
        summary="Recordings of Python programs: sent, kept and asked for.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses=failures.RESPONSES,
        strict_content_type=True,
    )
    app.state.context = context
    _watch(context)
    failures.install(app)
    for module in ROUTES:
        app.include_router(module.router)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Content-Encoding", "Last-Event-ID"],
            expose_headers=["X-Request-Id", "Retry-After", "ETag"],
        )
    app.add_middleware(Boundary, context=context)
    return app


def _watch(context: Context) -> None:
    """Add the gauges of what others hold."""
    writer, watch = context.store.writer, context.metrics.watch
    watch("clew_ingest_waiting_requests", "Requests that wait to be written.", lambda: writer.stats().waiting_requests)
    watch("clew_ingest_waiting_bytes", "Bytes that wait to be written.", lambda: writer.stats().waiting_bytes)
    watch("clew_ingest_refused_requests", "Requests refused: too much waited.", lambda: writer.stats().refused)
    watch("clew_ingest_failed_requests", "Requests that could not be stored.", lambda: writer.stats().failed)
    watch("clew_live_clients", "Clients that follow the changes.", lambda: context.hub.clients)
    watch("clew_index_lag_seconds", "Age of the oldest that is not indexed.", lambda: health.index_lag_s(context))
    watch("clew_store_catalog_bytes", "Bytes of the database.", lambda: health.catalog_bytes(context))
    watch("clew_store_segment_bytes", "Bytes of the segments.", lambda: health.segment_bytes(context))
