"""The timeline of a run, as columns that a browser takes as they are."""

from __future__ import annotations

import gzip
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from starlette.responses import Response

from clew.convert.columns import MEDIA_TYPE
from clew.server.auth import Role, require
from clew.server.context import Shared

router = APIRouter(prefix="/api/v1", tags=["runs"])

RunId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Id of a run, a W3C trace id")]
ProcessId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Id of a process")]
_BYTES: dict[str, Any] = {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_COMPRESSION = 1
"""Of the levels of gzip: more would take seconds for a million events, and save a tenth."""


@router.get(
    "/runs/{run}/timeline",
    dependencies=[require(Role.VIEWER)],
    response_class=Response,
    responses={200: {"description": "The columns", **_BYTES}, 304: {"description": "The client has them"}},
)
def get(
    context: Shared,
    run: RunId,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
    accept_encoding: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """Return what there is to draw of a run: lanes, blocks and marks."""
    if if_none_match is not None:
        etag = _etag(run, context.library.revision_of(run))
        if etag in if_none_match:
            return Response(status_code=304, headers=_headers(etag))
    view = context.library.timelines(run)
    body = view.timeline_body
    headers = _headers(_etag(run, view.revision))
    # Within one machine compressing takes longer than sending.
    if not context.is_loopback and accepts_gzip(accept_encoding):
        headers["Content-Encoding"] = "gzip"
        return Response(gzip.compress(body, _COMPRESSION, mtime=0), headers=headers, media_type=MEDIA_TYPE)
    return Response(bytes(body), headers=headers, media_type=MEDIA_TYPE)


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client that sent this header takes gzip."""
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _etag(run: str, revision: int) -> str:
    return f'"{run}-{revision}"'


def _headers(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
