"""aiohttp's server: one task a request, from its handler to the end of its response."""

from __future__ import annotations

from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._http_serving import (
    Arrival,
    Served,
    note_error,
)
from clew.probe.seams._http_values import named_headers, records_headers, redacted
from clew.probe.seams._unsampled import leave_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

hooks = Hooks("aiohttp.web")


def hook_protocol(module: ModuleType) -> None:
    """Hook ``aiohttp.web_protocol``."""
    handler: Any = module.RequestHandler
    hooks.replace(handler, "_handle_request", _make_handle_request)
    hooks.replace(handler, "handle_error", _make_handle_error)


def _make_handle_request(original: Any) -> Any:
    # Not a coroutine function itself: what it does before the task exists decides
    # whether the task is recorded.
    def _handle_request(self: Any, request: Any, *args: Any) -> Any:
        try:
            headers = request.headers
            arrival = Arrival(request.path, headers.getall("traceparent", []), headers.getall("tracestate", []))
        except Exception as error:
            hooks.failed(error)
            return original(self, request, *args)
        coroutine = _serve(original, (self, request, *args), arrival)
        coroutine.__name__, coroutine.__qualname__ = original.__name__, original.__qualname__
        if not arrival.is_recorded:
            leave_out(coroutine)
        return coroutine

    return _handle_request


async def _serve(original: Any, args: tuple[Any, ...], arrival: Arrival) -> Any:
    request = args[1]
    served = Served("")
    try:
        served = _begin(request, arrival)
    except Exception as error:
        hooks.failed(error)
    try:
        result = await original(*args)
    except BaseException as error:
        hide_frame(error)
        served.is_cut = isinstance(error, ConnectionError)
        if not served.is_cut:
            served.error = error
        served.end()
        raise
    try:
        _note_result(served, request, result)
    except Exception as error:
        hooks.failed(error)
    served.end()
    return result


def _begin(request: Any, arrival: Arrival) -> Served:
    method = request.method
    is_websocket = request.headers.get("upgrade", "").lower() == "websocket"
    served = Served("WEBSOCKET" if is_websocket else method)
    if not arrival.is_recorded:
        served.begin(arrival, "", {}, is_root=True)
        return served
    attrs: dict[str, Any] = {}
    if request.query_string:
        attrs["query"] = redacted("?" + request.rel_url.raw_query_string)[1:]
    if request.remote:
        attrs["client_address"] = request.remote
    attrs["http_version"] = f"{request.version.major}.{request.version.minor}"
    if records_headers():
        attrs["request_headers"] = named_headers(request.headers.items())
    served.begin(arrival, redacted(request.path), attrs, is_root=True)
    return served


def _note_result(served: Served, request: Any, result: Any) -> None:
    """Take status and route from what ``_handle_request`` returned: response, and whether it broke off."""
    if served.span is None:
        return
    response, is_broken_off = result
    served.status = response.status
    served.note_headers(response.headers.items())
    served.is_cut = bool(is_broken_off)
    resource = getattr(getattr(request._match_info, "route", None), "resource", None)
    route = getattr(resource, "canonical", "")
    if type(route) is str:
        served.route = route


def _make_handle_error(original: Any) -> Any:
    def handle_error(self: Any, request: Any, status: Any = 500, exc: Any = None, message: Any = None) -> Any:
        try:
            if status >= 500:
                note_error(exc)
        except Exception as error:
            hooks.failed(error)
        try:
            return original(self, request, status, exc, message)
        except BaseException as error:
            hide_frame(error)
            raise

    return handle_error
