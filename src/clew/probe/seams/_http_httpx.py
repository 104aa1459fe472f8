"""httpx and httpx2: one shape, hooked at the transports that go over the wire.

The trace context goes into a copy of the request that only the transport sees: the
program may send its request again, or compare its headers.
"""

from __future__ import annotations

from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._http_call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def hook(module: ModuleType) -> None:
    """Hook *module*, which is httpx or httpx2."""
    hooks = Hooks(module.__name__)
    hooks.replace(module.HTTPTransport, "handle_request", lambda original: _make_handle(original, hooks))
    hooks.replace(
        module.AsyncHTTPTransport, "handle_async_request", lambda original: _make_handle_async(original, hooks)
    )


def _make_handle(original: Any, hooks: Hooks) -> Any:
    def handle_request(self: Any, request: Any) -> Any:
        call, sent = _begin(request, hooks)
        try:
            response = original(self, sent)
        except BaseException as error:
            hide_frame(error)
            if call is not None:
                call.fail(error)
            raise
        if call is not None:
            _finish(call, response, hooks)
        return response

    return handle_request


def _make_handle_async(original: Any, hooks: Hooks) -> Any:
    async def handle_async_request(self: Any, request: Any) -> Any:
        call, sent = _begin(request, hooks)
        try:
            response = await original(self, sent)
        except BaseException as error:
            hide_frame(error)
            if call is not None:
                call.fail(error)
            raise
        if call is not None:
            _finish(call, response, hooks)
        return response

    return handle_async_request


def _begin(request: Any, hooks: Hooks) -> tuple[Call | None, Any]:
    """Open the span of *request*; return it, and the request to send."""
    call = None
    try:
        url, headers = request.url, request.headers
        call = Call(request.method, str(url), lambda: (url.host, url.port), headers.multi_items)
        added = call.context_headers()
        if not added or "traceparent" in headers:
            return call, request
        # ``copy.copy`` would lose stream and extensions, which a request's pickle leaves out.
        sent: Any = object.__new__(type(request))
        sent.__dict__.update(request.__dict__)
        sent.headers = headers.copy()
        for name, value in added:
            sent.headers[name] = value
        return call, sent
    except Exception as error:
        hooks.failed(error)
        if call is not None:
            call.fail(error)
        return None, request


def _finish(call: Call, response: Any, hooks: Hooks) -> None:
    try:
        version = response.extensions.get("http_version", b"").decode("ascii").removeprefix("HTTP/")
        headers = response.headers
        call.finish(response.status_code, headers.get("content-length"), version, headers.multi_items)
    except Exception as error:
        hooks.failed(error)
        call.fail(error)
