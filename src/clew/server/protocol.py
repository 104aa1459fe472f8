"""The protocol of a connection, with what uvicorn's lacks: patience that ends.

uvicorn closes a connection that is idle after an answer, and waits for ever for the first
request, or for the rest of its head. A client that connects and says nothing, or a little
from time to time, would keep its connection for as long as it likes.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from clew.server.errors import HttpError
from clew.server.failures import document

if TYPE_CHECKING:
    from asyncio import TimerHandle

MAX_HEAD = 64 << 10
"""Most bytes of a request's head."""
_REFUSAL = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"


def protocol_class(head_s: float) -> type[asyncio.Protocol]:
    """Return the class of connections whose requests have their head within *head_s* seconds."""
    # Whichever of its two uvicorn finds the parser for; both keep the request in `cycle`.
    base: Any = AutoHTTPProtocol

    class BoundedProtocol(base):
        """Closes a connection on which the head of a request does not come to its end."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            parent: Any = super()
            parent.__init__(*args, **kwargs)
            self._head_timer: TimerHandle | None = None
            self._head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:
            """Begin to wait for the first head."""
            parent: Any = super()
            parent.connection_made(transport)
            self._head_timer = self.loop.call_later(head_s, self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait no longer."""
            self._end_wait()
            parent: Any = super()
            parent.connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Hand on what came; note whether it ends a head."""
            before = self.cycle
            was_between = before is None or before.response_complete
            if was_between and self._head_timer is None:
                self._head_timer = self.loop.call_later(head_s, self._give_up)
            parent: Any = super()
            parent.data_received(data)
            if self.cycle is not before:
                self._end_wait()
            elif was_between:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD:
                    self._refuse(_too_large())

        def _end_wait(self) -> None:
            self._head_bytes = 0
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _give_up(self) -> None:
            self._head_timer = None
            if self._head_bytes:
                self._refuse(_too_slow(head_s))
            elif not self.transport.is_closing():
                self.transport.close()  # it said nothing: there is nothing to answer

        def _refuse(self, error: HttpError) -> None:
            self._end_wait()
            if self.transport.is_closing():
                return
            body = json.dumps(document(error, uuid.uuid4().hex)).encode()
            phrase = HTTPStatus(error.status).phrase.encode()
            self.transport.write(_REFUSAL % (error.status, phrase, len(body), body))
            self.transport.close()

    return BoundedProtocol


def _too_large() -> HttpError:
    return HttpError(
        "head-too-large",
        f"the head of the request has more than {MAX_HEAD:,} bytes",
        "expected fewer",
        "send fewer headers",
        status=431,
    )


def _too_slow(head_s: float) -> HttpError:
    return HttpError(
        "head-too-slow",
        f"the head of the request was not there after {head_s:g} s",
        "expected it whole",
        "send the request again",
        status=408,
        retry_after_s=1,
    )
