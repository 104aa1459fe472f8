"""urllib3, and ``http.client`` below it and below ``urllib.request``.

urllib3 is hooked at ``_make_request``, one attempt: its retries and redirects call it
again, so that each is a span of its own and has a parent id of its own. ``http.client``
is hooked where the head of the request is sent and where that of the response is read;
it stays silent while urllib3 uses it, which a context variable says: what another task
or thread sends at that moment is recorded all the same.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar

from clew.probe import buffer
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._http_call import Call, carries_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

urllib3_hooks = Hooks("urllib3")
client_hooks = Hooks("http.client")

_is_inside: ContextVar[bool] = ContextVar("clew_inside_urllib3", default=False)
_open: dict[int, tuple[weakref.ref[Any], Call]] = {}
"""By ``id()`` of a connection: the request that was sent on it and has no response yet."""


# -- urllib3


def hook_urllib3(module: ModuleType) -> None:
    """Hook ``urllib3.connectionpool``."""
    urllib3_hooks.replace(module.HTTPConnectionPool, "_make_request", _make_make_request)


def _make_make_request(original: Any) -> Any:
    def _make_request(self: Any, conn: Any, method: Any, url: Any, *args: Any, **options: Any) -> Any:
        call, options = _begin_pooled(self, method, url, options)
        token = _is_inside.set(True)
        try:
            response = original(self, conn, method, url, *args, **options)
        except BaseException as error:
            hide_frame(error)
            _is_inside.reset(token)
            if call is not None:
                call.fail(error)
            raise
        _is_inside.reset(token)
        if call is not None:
            _finish(call, response, urllib3_hooks)
        return response

    return _make_request


def _begin_pooled(pool: Any, method: str, url: str, options: dict[str, Any]) -> tuple[Call | None, dict[str, Any]]:
    """Open the span of one attempt; return it, and the keyword arguments to go on with."""
    call = None
    try:
        headers = options.get("headers")
        whole = f"{pool.scheme}://{pool.host}:{pool.port}{url}" if url.startswith("/") else url
        call = Call(method, whole, lambda: (pool.host, pool.port), lambda: () if headers is None else headers.items())
        if headers is None or not carries_context(headers):
            added = call.context_headers()
            if added:
                sent = {} if headers is None else headers.copy()
                sent.update(added)
                return call, {**options, "headers": sent}
        return call, options
    except Exception as error:
        urllib3_hooks.failed(error)
        if call is not None:
            call.fail(error)
        return None, options


def _finish(call: Call, response: Any, hooks: Hooks) -> None:
    try:
        number = response.version  # 9, 10, 11 or 20
        headers = response.headers
        call.finish(response.status, headers.get("content-length"), f"{number // 10}.{number % 10}", headers.items)
    except Exception as error:
        hooks.failed(error)
        call.fail(error)


# -- http.client


def hook_http_client(module: ModuleType) -> None:
    """Hook ``http.client``."""
    connection: Any = module.HTTPConnection
    client_hooks.replace(connection, "endheaders", _make_endheaders)
    client_hooks.replace(connection, "getresponse", _make_getresponse)
    client_hooks.replace(connection, "close", _make_close)


def _make_endheaders(original: Any) -> Any:
    def endheaders(self: Any, message_body: Any = None, *, encode_chunked: Any = False) -> None:
        call = None if _is_inside.get() else _begin(self)
        try:
            original(self, message_body, encode_chunked=encode_chunked)
        except BaseException as error:
            hide_frame(error)
            if call is not None:
                _forget(self)
                call.fail(error)
            raise

    return endheaders


def _make_getresponse(original: Any) -> Any:
    def getresponse(self: Any) -> Any:
        call = _forget(self)
        if call is None:
            try:
                return original(self)
            except BaseException as error:
                hide_frame(error)
                raise
        token = buffer.SPAN.set(call.span.number if call.span is not None else 0)
        try:
            response = original(self)
        except BaseException as error:
            hide_frame(error)
            buffer.SPAN.reset(token)
            call.fail(error)
            raise
        buffer.SPAN.reset(token)
        _finish(call, response, client_hooks)
        return response

    return getresponse


def _make_close(original: Any) -> Any:
    def close(self: Any) -> None:
        call = _forget(self)
        if call is not None:
            call.abandon()
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return close


def _begin(connection: Any) -> Call | None:
    """Open the span of the request whose head is about to be sent on *connection*."""
    call = None
    try:
        lines = connection._buffer
        if not lines or type(lines[0]) is not bytes:
            return None
        method, target, *_ = lines[0].decode("latin-1").split(" ")
        scheme = "https" if connection.default_port == 443 else "http"
        # Through a tunnel, the server is the one at its other end.
        host = getattr(connection, "_tunnel_host", None) or connection.host
        port = (getattr(connection, "_tunnel_port", None) or connection.port) if host else None
        url = f"{scheme}://{host}:{port}{target}" if target.startswith("/") else target
        call = Call(method, url, lambda: (host, port), lambda: _pairs(lines[1:]), is_current=False)
        if not carries_context(line.partition(b":")[0] for line in lines[1:]):
            # As putheader would write them; it may be overridden, and look at them.
            lines += [f"{name}: {value}".encode("ascii") for name, value in call.context_headers()]
        if call.span is not None:
            _remember(connection, call)
        return call
    except Exception as error:
        client_hooks.failed(error)
        if call is not None:
            call.fail(error)
        return None


def _pairs(lines: list[bytes]) -> list[tuple[str, str]]:
    parts = [line.decode("latin-1").partition(":") for line in lines]
    return [(name, value.strip()) for name, _, value in parts]


def _remember(connection: Any, call: Call) -> None:
    key = id(connection)

    def gone(reference: Any) -> None:
        found = _open.get(key)
        if found is not None and found[0] is reference:
            del _open[key]
            call.abandon()

    _open[key] = (weakref.ref(connection, gone), call)


def _forget(connection: Any) -> Call | None:
    """Return the request without a response on *connection*, which is then no longer known."""
    found = _open.pop(id(connection), None)
    return None if found is None else found[1]
