"""Bodies of requests: read in pieces, bounded in size and in time, decompressed within the same bound.

A body that is too large is refused as soon as that is known: by its Content-Length before
it is read, by the bytes that came, or while it is decompressed, so that a small hostile
body cannot become a large one in memory.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import ClientDisconnect

from clew.server.errors import HttpError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive

GATE = "clew.gate"
"""Key in the scope under which the application keeps the gate of a request."""
IDLE_S = 10.0
TOTAL_S = 60.0
INLINE_BYTES = 64 << 10
"""Compressed bodies larger than this are decompressed in a thread: zlib needs 5 ms for a megabyte."""
_PIECE = 1 << 20
_ZSTD_PIECE = 1 << 10
"""Four bytes of zstd may stand for 128 KiB, and what a piece gives cannot be bounded: 32 MiB at most."""
_ZSTD_WINDOW = 8 << 20
"""What RFC 8878 asks a decoder for at least; a frame may ask for gigabytes."""


class Gate:
    """Hands on what a client sends, within limits.

    Args:
        receive: Of the server.
        limit: Most bytes.
        declared: Of the Content-Length header; None: there is none.
        idle_s: Longest time without a further byte.
        total_s: Longest time in all.
    """

    def __init__(
        self,
        receive: Receive,
        limit: int,
        declared: int | None = None,
        *,
        idle_s: float = IDLE_S,
        total_s: float = TOTAL_S,
    ) -> None:
        self.limit = limit
        self.received = 0
        self._receive = receive
        self._declared = declared
        self._idle_s = idle_s
        self._total_s = total_s
        self._deadline = 0.0
        self._is_whole = False

    async def __call__(self) -> Message:
        """Receive the next message.

        Raises:
            HttpError: The body is larger than the limit, or does not come.
        """
        if self._is_whole:  # what comes now is that the client goes away: no limit to that
            return await self._receive()
        if self._declared is not None and self._declared > self.limit:
            raise too_large(f"the body has {self._declared:,} bytes", self.limit)
        now = time.monotonic()
        self._deadline = self._deadline or now + self._total_s
        patience_s = min(self._idle_s, self._deadline - now)
        try:
            async with asyncio.timeout(patience_s):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow(self.received, patience_s) from None
        if message["type"] != "http.request":
            return message
        self.received += len(message.get("body", b""))
        if self.received > self.limit:
            raise too_large(f"the body has more than {self.received - 1:,} bytes", self.limit)
        self._is_whole = not message.get("more_body", False)
        return message


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body of *request* whole, and decompress it as its Content-Encoding says.

    Args:
        request: Whose body was not read yet.
        limit: Most bytes, both as sent and as decompressed.

    Raises:
        HttpError: Larger than *limit* (413), too slow (408), of an encoding that is not
            known (415), or not compressed as it says (400).
        ClientDisconnect: The client went away in the middle.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in ("identity", "gzip", "zstd"):
        raise HttpError(
            "content-encoding",
            f"the body has the Content-Encoding {encoding!r}",
            "expected gzip, zstd or none",
            "send it compressed in one of these, or as it is",
            status=415,
        )
    gate = cast("Gate | None", request.scope.get(GATE))
    if gate is None:
        gate = Gate(request.receive, limit, declared_length(request.scope))
    gate.limit = limit
    pieces: list[bytes] = []
    while True:
        message = await gate()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if message.get("body"):
            pieces.append(message["body"])
        if not message.get("more_body", False):
            break
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if encoding == "identity":
        return body
    decompress = _gunzip if encoding == "gzip" else _unzstd
    if len(body) <= INLINE_BYTES:
        return decompress(body, limit)
    return await asyncio.to_thread(decompress, body, limit)


def declared_length(scope: Any) -> int | None:
    """Return the Content-Length of the request with *scope*, or None."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


def _gunzip(body: bytes, limit: int) -> bytes:
    """Decompress *body*, which may have several members."""
    pieces: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:
            member = zlib.decompressobj(wbits=31)
            while True:
                piece = member.decompress(rest, _PIECE)
                size += len(piece)
                if size > limit:
                    raise too_large(f"the body has more than {limit:,} bytes when decompressed", limit)
                pieces.append(piece)
                rest = member.unconsumed_tail
                if member.eof:
                    break
                if not rest and not piece:
                    raise _damaged("gzip", "it ends in the middle")
            rest = member.unused_data
    except zlib.error as error:
        raise _damaged("gzip", str(error)) from None
    return b"".join(pieces)


def _unzstd(body: bytes, limit: int) -> bytes:
    """Decompress *body*, which may have several frames."""
    import zstandard  # only where somebody sends it

    pieces: list[bytes] = []
    size = 0
    rest = body
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        while rest:
            frame = decompressor.decompressobj()
            position = 0
            while not frame.eof:
                if position >= len(rest):
                    raise _damaged("zstd", "it ends in the middle")
                piece = frame.decompress(rest[position : position + _ZSTD_PIECE])
                position += _ZSTD_PIECE
                size += len(piece)
                if size > limit:
                    raise too_large(f"the body has more than {limit:,} bytes when decompressed", limit)
                pieces.append(piece)
            rest = frame.unused_data + rest[position:]
    except zstandard.ZstdError as error:
        raise _damaged("zstd", str(error)) from None
    return b"".join(pieces)


def too_large(found: str, limit: int) -> HttpError:
    """Return the error of a body that is larger than *limit* bytes."""
    return HttpError(
        "body-too-large",
        found,
        f"expected at most {limit:,}",
        "send it in several requests",
        status=413,
        details={"limit": limit},
    )


def _too_slow(received: int, patience_s: float) -> HttpError:
    return HttpError(
        "body-too-slow",
        f"after {received:,} bytes of the body nothing came for {patience_s:.0f} s",
        "expected the rest of it",
        "send the request again; nothing of it was stored",
        status=408,
        retry_after_s=1,
    )


def _damaged(encoding: str, what: str) -> HttpError:
    return HttpError(
        "content-encoding",
        f"the body is not {encoding}: {what}",
        f"expected what its Content-Encoding says, {encoding}",
        "compress it again, or send it as it is",
        status=400,
    )
