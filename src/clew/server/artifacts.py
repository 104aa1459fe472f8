"""Artifacts: large values that events refer to by their hash, put in and given out as they are."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from starlette.responses import JSONResponse, Response

from clew.server.auth import Role, require
from clew.server.bodies import read_body
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.store import artifacts

ROUTE = "/api/v1/artifacts/{sha256}"
OCTETS = "application/octet-stream"
HARMLESS = frozenset(
    {"text/plain", "text/csv", "application/json", OCTETS, "image/png", "image/jpeg", "image/gif", "image/webp"}
)
"""Types that are told as they are. Whatever else a browser may run or draw: it gets text or octets."""
_TEXT = re.compile(r"text/.*|image/svg\+xml|application/(.*\+)?(xml|javascript|json)")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

Hash = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the bytes, hexadecimal")]
_BYTES: dict[str, Any] = {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}

router = APIRouter(tags=["artifacts"])


@router.put(
    ROUTE,
    dependencies=[require(Role.OPERATOR)],
    response_class=JSONResponse,
    openapi_extra={"requestBody": {"required": True, **_BYTES}},
)
async def put(
    request: Request,
    context: Shared,
    sha256: Hash,
    content_type: Annotated[str, Header(max_length=200)] = OCTETS,
    x_clew_process: Annotated[
        str | None, Header(pattern="^[0-9a-f]{16}$", description="Who refers to it; nobody: it goes after a day")
    ] = None,
) -> JSONResponse:
    """Keep an artifact; one that is kept already is not stored twice."""
    body = await read_body(request, min(context.settings.body_bytes, artifacts.MAX_SIZE))
    row = await asyncio.to_thread(
        artifacts.put,
        context.store,
        body,
        expected_hash=sha256,
        media_type=content_type,
        process_id=x_clew_process,
    )
    return JSONResponse({"hash": row.hash, "size": row.size})


@router.get(
    ROUTE,
    dependencies=[require(Role.VIEWER)],
    response_class=Response,
    responses={
        200: {"description": "The bytes", **_BYTES},
        206: {"description": "The bytes of the range", **_BYTES},
        304: {"description": "The client has them"},
    },
)
@router.head(ROUTE, dependencies=[require(Role.VIEWER)], response_class=Response)
def get(
    request: Request,
    context: Shared,
    sha256: Hash,
    range_: Annotated[str | None, Header(alias="Range", max_length=200)] = None,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
    if_range: Annotated[str | None, Header(max_length=100)] = None,
) -> Response:
    """Return the bytes of an artifact, or a range of them."""
    row = artifacts.find(context.store, sha256)
    if row is None:
        raise HttpError(
            "artifact-missing",
            f"no artifact has the hash {sha256}",
            "expected one that was sent and is kept",
            "it may have been deleted",
            status=404,
        )
    etag = f'"{row.hash}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'attachment; filename="{row.hash}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Clew-Media-Type": row.media_type,
    }
    if if_none_match is not None and (etag in if_none_match or if_none_match.strip() == "*"):
        return Response(status_code=304, headers=headers)
    is_range = range_ is not None and (if_range is None or if_range == etag)
    span = _range(range_ or "", row.size) if is_range else None
    start, end = span or (0, row.size)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    is_head = request.method == "HEAD"
    data = b"" if is_head or start == end else artifacts.read(context.store, sha256, start, end - start)
    response = Response(data, 206 if span else 200, headers, harmless_type(row.media_type))
    response.headers["Content-Length"] = str(end - start)
    return response


def harmless_type(media_type: str) -> str:
    """Return the type under which bytes of *media_type* do nothing in a browser."""
    bare = media_type.partition(";")[0].strip().lower()
    if bare in HARMLESS:
        return bare
    return "text/plain" if _TEXT.fullmatch(bare) else OCTETS


def _range(text: str, size: int) -> tuple[int, int] | None:
    """Return the range ``(first, end)`` that *text* asks for; None: all, as for several ranges at a time.

    Raises:
        HttpError: It lies outside (416).
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start == end:
        raise HttpError(
            "range",
            f"the range is {text[:60]!r}",
            f"expected one within its {size:,} bytes",
            "ask for the whole",
            status=416,
            details={"size": size},
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end
