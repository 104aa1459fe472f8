"""What programs that are not clew send: JSON events, and OpenTelemetry's spans.

Both become chunks here, at the border: behind it there is one format.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import JSONResponse, Response

from clew.convert import json_events, otlp
from clew.convert.attrs_json import AttrsEncoder
from clew.server.auth import Role, require
from clew.server.bodies import read_body
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.store.ingest import CheckedChunk
from clew.store.schema import processes
from clew.store.writer import IngestRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clew.server.context import Context
    from clew.store.store import Store

T = TypeVar("T")

EVENTS_ROUTE = "/api/v1/events"
TRACES_ROUTE = "/v1/traces"

INLINE_BYTES = 256 << 10
"""Bodies up to this size are converted where they arrive: in the five milliseconds that takes, another
thread would fight for the interpreter, and fetch into its caches what the first one had there."""

router = APIRouter(tags=["sending"])


class Edge:
    """The converters of a server: they remember names and clocks between requests."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.converter = json_events.Converter(store.numbers_of, self._find_process)
        self.attrs = AttrsEncoder()
        # One at a time, for the same reason.
        self._executor = ThreadPoolExecutor(1, "clew-edge")

    async def run(self, convert: Callable[[bytes], T], body: bytes) -> T:
        """Convert *body*, without holding up other requests if it is a large one."""
        if len(body) <= INLINE_BYTES:
            return convert(body)
        return await asyncio.get_running_loop().run_in_executor(self._executor, convert, body)

    def _find_process(self, service: str) -> str | None:
        latest = select(processes.c.process_id).where(processes.c.service == service, processes.c.deleted_ns.is_(None))
        with self._store.engine.connect() as connection:
            return connection.execute(latest.order_by(processes.c.received_ns.desc()).limit(1)).scalar()

    def events(self, body: bytes) -> tuple[list[CheckedChunk], int]:
        """Convert a body of JSON events; return its chunks, and how many events stand in it twice."""
        found = self.converter.convert(json_events.decode(body), now_ns=time.time_ns())
        return [chunk for process in found for chunk in process.chunks], sum(process.repeated for process in found)


def _edge_of(context: Context) -> Edge:
    if context.edge is None:
        context.edge = Edge(context.store)
    return context.edge


def _body(*media_types: str) -> dict[str, Any]:
    schemas = {otlp.JSON: {"type": "object"}, otlp.PROTOBUF: {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": {name: {"schema": schemas[name]} for name in media_types}}}


_COUNTS = {
    "type": "object",
    "required": ["accepted", "duplicates"],
    "properties": {"accepted": {"type": "integer"}, "duplicates": {"type": "integer"}},
}


@router.post(
    EVENTS_ROUTE,
    dependencies=[require(Role.OPERATOR)],
    response_class=JSONResponse,
    responses={200: {"description": "How many were stored", "content": {otlp.JSON: {"schema": _COUNTS}}}},
    openapi_extra=_body(otlp.JSON),
)
async def take_events(request: Request, context: Shared) -> JSONResponse:
    """Store events that a program in any language sends."""
    _media_type(request, otlp.JSON)
    body = await read_body(request, context.settings.body_bytes)
    edge = _edge_of(context)
    chunks, repeated = await edge.run(edge.events, body)
    receipt = await asyncio.wrap_future(context.store.writer.submit(IngestRequest(chunks, source="json")))
    duplicates = receipt.duplicates + repeated
    context.metrics.stored(EVENTS_ROUTE, receipt.accepted, duplicates)
    return JSONResponse({"accepted": receipt.accepted, "duplicates": duplicates})


@router.post(
    TRACES_ROUTE,
    dependencies=[require(Role.OPERATOR)],
    response_class=Response,
    responses={
        200: {
            "description": "An ExportTraceServiceResponse",
            "content": {name: {} for name in (otlp.PROTOBUF, otlp.JSON)},
        }
    },
    openapi_extra=_body(otlp.PROTOBUF, otlp.JSON),
)
async def take_traces(request: Request, context: Shared) -> Response:
    """Store spans that an OpenTelemetry exporter sends (OTLP/HTTP)."""
    media_type = _media_type(request, otlp.PROTOBUF, otlp.JSON)
    body = await read_body(request, context.settings.body_bytes)
    edge = _edge_of(context)
    found = await edge.run(lambda body: otlp.decode(body, media_type, edge.attrs), body)
    answer = otlp.encode_response(media_type, found.rejected)
    ingest = IngestRequest(
        build=_builder(found.batches),
        key=hashlib.sha256(media_type.encode() + body).hexdigest(),
        answer=answer.hex(),
        source="otlp",
        size=len(body),
    )
    receipt = await asyncio.wrap_future(context.store.writer.submit(ingest))
    context.metrics.stored(TRACES_ROUTE, receipt.accepted, receipt.duplicates)
    if receipt.repeated_answer is not None:
        answer = bytes.fromhex(receipt.repeated_answer)
    return Response(answer, media_type=media_type)


def _builder(batches: Sequence[otlp.SpanBatch]) -> Callable[[Callable[[str], int]], Sequence[CheckedChunk]]:
    """Return what numbers the events of *batches* when they are stored."""

    def build(next_seq: Callable[[str], int]) -> list[CheckedChunk]:
        return [chunk for batch in batches for chunk in batch.chunks(next_seq(batch.process_id))]

    return build


def _media_type(request: Request, *known: str) -> str:
    media_type = request.headers.get("content-type", known[0]).partition(";")[0].strip().lower()
    if media_type not in known:
        raise HttpError(
            "content-type",
            f"the body has the Content-Type {media_type[:80]!r}",
            f"expected {' or '.join(known)}",
            "send it as docs/reference/http.md describes",
            status=415,
        )
    return media_type
