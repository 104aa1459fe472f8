"""The web page: files that were built from ``web/``, served as they are."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from clew.server.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC = Path(__file__).parent / "static"
_HASHED = re.compile(r"assets/.+[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+")
"""Files whose names change with what is in them."""
_PACKED = (("br", ".br"), ("gzip", ".gz"))
ROUTE = "/{path:path}"
NOT_PAGES = ("/api/", "/v1/", "/health/", "/metrics", "/assets/")
NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>clew</title></head>
<body><h1>clew is running; its page is not built</h1>
<p>This is a checkout. Build the page with <code>make web</code>, then load this again.</p>
<p>What programs ask for is there: <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>
</body></html>
"""

router = APIRouter(include_in_schema=False)


@router.get(ROUTE)
@router.head(ROUTE)
def page(request: Request, path: str) -> Response:
    """Return a file of the page; what names no file is a place within the page."""
    return answer(STATIC, path, request.headers)


def answer(folder: Path, path: str, headers: Mapping[str, str]) -> Response:
    """Return the file *path* of *folder*, packed if the client takes that.

    Raises:
        HttpError: There is none, and it is no place within the page either.
    """
    file = _file(folder, path)
    if file is not None and path != "index.html":
        cache = "public, max-age=31536000, immutable" if _HASHED.fullmatch(path) else "no-cache"
        return _send(file, cache, headers)
    # A file that is not there must not be answered by the page: a script would be HTML.
    if f"/{path}".startswith(NOT_PAGES) or ("." in path.rpartition("/")[2] and path != "index.html"):
        raise HttpError(
            "not-found",
            f"there is nothing at /{path[:200]}",
            "expected a route of this server",
            "see /api/v1/openapi.json",
            status=404,
        )
    index = _file(folder, "index.html")
    if index is None:
        return HTMLResponse(NOT_BUILT, headers={"Cache-Control": "no-store"})
    return _send(index, "no-cache", headers)


def _file(folder: Path, path: str) -> Path | None:
    """Return the file of *path*, if it is one and within *folder*."""
    if not path or "\0" in path or "\\" in path:
        return None
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return None
    return file


def _send(file: Path, cache: str, headers: Mapping[str, str]) -> Response:
    wanted = {part.partition(";")[0].strip() for part in headers.get("accept-encoding", "").split(",")}
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    answered = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    for encoding, suffix in _PACKED:
        packed = file.with_name(file.name + suffix)
        if encoding in wanted and packed.is_file():
            return FileResponse(packed, media_type=media_type, headers=answered | {"Content-Encoding": encoding})
    return FileResponse(file, media_type=media_type, headers=answered)
