"""``POST /api/v1/chunks``: takes chunks in, and answers when they are durable.

Nothing here knows pydantic: the body is bytes, and what is wrong with it is said by the
format's own reader.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from clew.server.auth import Role, require
from clew.server.bodies import read_body
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.store.ingest import check_chunks
from clew.store.writer import IngestRequest

if TYPE_CHECKING:
    from clew.server.context import Context
    from clew.store.writer import Receipt

ROUTE = "/api/v1/chunks"
MEDIA_TYPES = ("application/vnd.clew.chunks", "application/octet-stream")

router = APIRouter(tags=["sending"])


@router.post(
    ROUTE,
    dependencies=[require(Role.OPERATOR)],
    response_class=JSONResponse,
    responses={
        200: {
            "description": "How many events were stored, and how many had been stored before",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["accepted", "duplicates", "chunks"],
                        "properties": {name: {"type": "integer"} for name in ("accepted", "duplicates", "chunks")},
                    }
                }
            },
        }
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {MEDIA_TYPES[0]: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def take_chunks(request: Request, context: Shared) -> JSONResponse:
    """Store chunks of a recording."""
    media_type = request.headers.get("content-type", MEDIA_TYPES[0]).partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise HttpError(
            "content-type",
            f"the body has the Content-Type {media_type[:80]!r}",
            f"expected {MEDIA_TYPES[0]}",
            "send chunks as docs/format.md describes them; JSON events go to /api/v1/events",
            status=415,
        )
    body = await read_body(request, context.settings.body_bytes)
    receipt = await take(context, body)
    return JSONResponse({"accepted": receipt.accepted, "duplicates": receipt.duplicates, "chunks": receipt.chunks})


async def take(context: Context, body: bytes) -> Receipt:
    """Check and store *body*; return when that is durable.

    Raises:
        FormatError: It is not made of whole and right chunks; nothing of it is stored.
        StoreBusyError: Too much waits to be written.
        StoreUnavailableError: The database is away.
    """
    chunks = await asyncio.to_thread(check_chunks, body)
    receipt = await asyncio.wrap_future(context.store.writer.submit(IngestRequest(chunks)))
    context.metrics.stored(ROUTE, receipt.accepted, receipt.duplicates)
    return receipt
