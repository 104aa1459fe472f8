"""One connection to a server, and what may come back from it.

Everything is bounded: the time for a request as a whole, what is read of an answer, what
is quoted of it. Redirects are not followed, since the key would go with them.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clew.format.destination import Destination

ROUTE = "/api/v1/chunks"
MEDIA_TYPE = "application/vnd.clew.chunks"
CONNECT_S = 10.0
REQUEST_S = 60.0
"""For a request from its first byte to the last of its answer: some MiB over a slow line."""
MAX_ANSWER = 1 << 16
MAX_QUOTE = 160
MAX_RETRY_AFTER_S = 300.0


class Verdict(Enum):
    """What an answer means for the chunks that were sent."""

    TAKEN = auto()
    LATER = auto()
    """Not now: the server is away, busy or failing."""
    UNFIT = auto()
    """Not these chunks, whenever they come."""
    REFUSED = auto()
    """Not from here: the address, the key or the certificate is wrong."""


class Reply(NamedTuple):
    """An answer, or why there was none."""

    verdict: Verdict
    reason: str = ""
    retry_after_s: float = 0.0
    duplicates: int = 0


class Connection:
    """Sends chunks to *destination*, over one connection as long as it lasts.

    Args:
        destination: The server.
        request_s: Most seconds for one request.
    """

    def __init__(self, destination: Destination, *, request_s: float = REQUEST_S) -> None:
        self._destination = destination
        self._request_s = request_s
        self._context: ssl.SSLContext | None = None
        self._http: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._is_used = False
        """An answer came over the present connection."""

    def post(self, size: int, body: Callable[[], Iterable[bytes]]) -> Reply:
        """Send *size* bytes, which *body* yields, and return what came back.

        Whatever goes wrong is a reply too; *body* may be asked a second time.
        """
        was_used = self._is_used
        try:
            return self._exchange_in_time(size, body)
        except ConnectionError as error:
            if not was_used:
                return Reply(Verdict.LATER, self._quote(_text_of(error)))
        # A server may close a connection it has not heard from for a while, just now.
        try:
            return self._exchange_in_time(size, body)
        except ConnectionError as error:
            return Reply(Verdict.LATER, self._quote(_text_of(error)))

    def _exchange_in_time(self, size: int, body: Callable[[], Iterable[bytes]]) -> Reply:
        watchdog = threading.Timer(self._request_s, self.abort)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._exchange(size, body)
        except ssl.SSLCertVerificationError as error:
            self.close()
            return Reply(Verdict.REFUSED, f"its certificate is not valid here ({error.verify_message})")
        except ConnectionError:
            self.close()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Reply(Verdict.LATER, self._quote(_text_of(error)))
        except BaseException:
            self.close()
            raise
        finally:
            watchdog.cancel()

    def _exchange(self, size: int, body: Callable[[], Iterable[bytes]]) -> Reply:
        connection = self._http or self._connect()
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(size), "User-Agent": "clew"}
        if self._destination.key:
            headers["Authorization"] = f"Bearer {self._destination.key}"
        is_whole = True
        try:
            connection.request("POST", self._destination.path + ROUTE, body=body(), headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            # Whoever does not want the rest of a body may say why before it closes.
            is_whole = False
        with connection.getresponse() as response:
            text = response.read(MAX_ANSWER + 1)
        if response.will_close or len(text) > MAX_ANSWER or not is_whole:
            self.close()
        else:
            self._is_used = True
        return self._judge(response, text)

    def _connect(self) -> http.client.HTTPConnection:
        place = self._destination
        raw = socket.create_connection((place.host, place.port), timeout=min(CONNECT_S, self._request_s))
        self._socket = raw
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(place.host, place.port)
        connection.auto_open = 0
        if place.scheme == "https":
            self._context = self._context or ssl.create_default_context()
            # The handshake comes after the socket is known: so that the watchdog can end it.
            self._socket = self._context.wrap_socket(raw, server_hostname=place.host, do_handshake_on_connect=False)
            self._socket.do_handshake()
        self._socket.settimeout(self._request_s)
        connection.sock = self._socket
        self._http = connection
        return connection

    def abort(self) -> None:
        """End the request under way, from another thread."""
        current = self._socket
        if current is not None:
            try:
                # Not SSLSocket's own method, which changes the object under the other thread.
                socket.socket.shutdown(current, socket.SHUT_RDWR)
            except OSError:
                return  # it is closed

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._is_used = False
        connection, self._http = self._http, None
        current, self._socket = self._socket, None
        if connection is not None:
            connection.close()
        if current is not None:
            current.close()

    def _judge(self, response: http.client.HTTPResponse, text: bytes) -> Reply:
        status = response.status
        answer = _json_of(text)
        if status == 200:
            counts = [answer.get(name) for name in ("accepted", "duplicates")]
            if all(type(count) is int and count >= 0 for count in counts):
                return Reply(Verdict.TAKEN, duplicates=cast("int", counts[1]))
            return Reply(Verdict.REFUSED, "it answers, but not as a clew server does")
        reason = self._reason(status, response, answer)
        if status in (408, 425, 429) or status >= 500:
            return Reply(Verdict.LATER, reason, _retry_after(response.headers.get("Retry-After", "")))
        if status in (400, 413, 422):
            return Reply(Verdict.UNFIT, reason)
        return Reply(Verdict.REFUSED, reason)

    def _reason(self, status: int, response: http.client.HTTPResponse, answer: dict[str, Any]) -> str:
        error = answer.get("error")
        if isinstance(error, dict):
            message = cast("dict[str, Any]", error).get("message")
            if isinstance(message, str) and message:
                return self._quote(f"{status}: {message}")
        if 300 <= status < 400:
            return self._quote(f"{status}: it redirects to {response.headers.get('Location', 'nowhere')}")
        return self._quote(f"{status} {response.reason}")

    def _quote(self, text: str) -> str:
        """Make what a stranger said fit for a terminal; never with the key, should it be echoed."""
        if self._destination.key:
            text = text.replace(self._destination.key, "[redacted]")
        text = "".join(character if character.isprintable() else " " for character in text)
        return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"


def _text_of(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"it does not speak HTTP ({type(error).__name__})"


def _json_of(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text) if len(text) <= MAX_ANSWER else None
    except (ValueError, RecursionError):
        value = None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _retry_after(text: str) -> float:
    """Return the seconds that *text* asks for, a number or a date (RFC 9110, 10.2.3); 0 if neither."""
    try:
        seconds = float(text) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
