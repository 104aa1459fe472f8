"""aiohttp's client: from taking a connection to the head of the response.

A request of ``ClientSession`` is one or more attempts on the wire (redirects, a retry on
a connection that was closed), each of which takes a connection, sends and waits for the
head: a span. ``ClientSession._request`` itself is left alone: a frame more around it would
move the place its deprecation warnings point to.

The three steps run one after the other in one context, where the attempt stands.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar

from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._http_call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import ModuleType
    from typing import Any

hooks = Hooks("aiohttp")


class _Attempt:
    """A request on its way.

    Attributes:
        call: Its span.
        key: Address of the request object, then of the response object.
        token: What makes the attempt around this one current again.
    """

    __slots__ = ("call", "key", "token")

    def __init__(self, call: Call, key: int) -> None:
        self.call = call
        self.key = key
        self.token: Token[_Attempt | None] = _attempt.set(self)

    def leave(self) -> None:
        """Make the attempt around this one current again."""
        with suppress(ValueError):  # ended in another context than it began in
            _attempt.reset(self.token)


_attempt: ContextVar[_Attempt | None] = ContextVar("clew_aiohttp_attempt", default=None)


def hook_connector(module: ModuleType) -> None:
    """Hook ``aiohttp.connector``."""
    hooks.replace(module.BaseConnector, "connect", _make_connect)


def hook_request(module: ModuleType) -> None:
    """Hook ``aiohttp.client_reqrep``."""
    hooks.replace(module.ClientRequest, "send", _make_send)
    hooks.replace(module.ClientResponse, "start", _make_start)


def _make_connect(original: Any) -> Any:
    async def connect(self: Any, req: Any, *args: Any, **options: Any) -> Any:
        attempt = _begin(req)
        try:
            return await original(self, req, *args, **options)
        except BaseException as error:
            hide_frame(error)
            _fail(attempt, error)
            raise

    return connect


def _make_send(original: Any) -> Any:
    async def send(self: Any, conn: Any) -> Any:
        attempt = _attempt_of(self)
        try:
            response = await original(self, conn)
        except BaseException as error:
            hide_frame(error)
            _fail(attempt, error)
            raise
        if attempt is not None:
            attempt.key = id(response)
        return response

    return send


def _make_start(original: Any) -> Any:
    async def start(self: Any, connection: Any) -> Any:
        attempt = _attempt_of(self)
        try:
            result = await original(self, connection)
        except BaseException as error:
            hide_frame(error)
            _fail(attempt, error)
            raise
        if attempt is not None:
            _finish(attempt, self)
        return result

    return start


def _begin(request: Any) -> _Attempt | None:
    call = None
    try:
        url, headers = request.url, request.headers
        call = Call(request.method, str(url), lambda: (url.host or "", url.port), headers.items)
        # These headers are the request's own: aiohttp made them for this attempt.
        if "traceparent" not in headers:
            for name, value in call.context_headers():
                headers[name] = value
        return _Attempt(call, id(request))
    except Exception as error:
        hooks.failed(error)
        if call is not None:
            call.fail(error)
        return None


def _attempt_of(thing: Any) -> _Attempt | None:
    """Return the attempt that *thing*, a request or response, belongs to.

    None for what connects to a proxy, and where no hook began an attempt.
    """
    attempt = _attempt.get()
    return attempt if attempt is not None and attempt.key == id(thing) else None


def _finish(attempt: _Attempt, response: Any) -> None:
    try:
        version = response.version
        version = f"{version.major}.{version.minor}" if version is not None else ""
        headers = response.headers
        attempt.call.finish(response.status, headers.get("content-length"), version, headers.items)
    except Exception as error:
        hooks.failed(error)
        attempt.call.fail(error)
    attempt.leave()


def _fail(attempt: _Attempt | None, error: BaseException) -> None:
    if attempt is not None:
        attempt.call.fail(error)
        attempt.leave()
