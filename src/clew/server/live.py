"""``GET /api/v1/live``: server-sent events of what changed."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from clew.server.changes import Hub

COMMENT_S = 15.0
"""Between two signs of life: proxies close what is silent for longer than about a minute."""

router = APIRouter(tags=["live"])


@router.get(
    "/api/v1/live",
    dependencies=[require(Role.VIEWER)],
    response_class=StreamingResponse,
    responses={200: {"description": "Events `hello` and `change`", "content": {"text/event-stream": {}}}},
)
async def follow(
    context: Shared, last_event_id: Annotated[str | None, Header(description="The last revision seen")] = None
) -> StreamingResponse:
    """Follow what changes in the store."""
    context.hub.check_room()
    return StreamingResponse(
        _lines(context.hub, _revision(last_event_id)),
        media_type="text/event-stream",
        # A proxy that gathers an answer before it hands it on would hold events back.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _revision(text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise HttpError(
            "parameter",
            f"the header Last-Event-ID is {text[:40]!r}",
            "expected the id of an event of this route, a number",
            "leave it out to begin with what is there now",
            status=422,
        )
    return int(text)


async def _lines(hub: Hub, since: int | None) -> AsyncGenerator[str]:
    """Yield the text of the events, with a comment where none came for a while."""
    name = "hello"
    async with aclosing(hub.follow(since)) as changes:
        while True:
            coming = asyncio.ensure_future(anext(changes, None))
            try:
                while not (await asyncio.wait((coming,), timeout=COMMENT_S))[0]:
                    yield ": still here\n\n"
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait((coming,))
            change = coming.result()
            if change is None:
                return
            document = {"revision": change.revision} if name == "hello" else change.document()
            yield f"id: {change.revision}\nevent: {name}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n"
            name = "change"
