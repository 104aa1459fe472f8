"""ASGI servers and applications: uvicorn, hypercorn; Starlette and Django under any other.

A server calls the application once a request, with a way to send. The hook stands
around that call, sees each message that is sent, and changes none. A framework's own
entry point is hooked too, for servers that are not known here; the outermost hook of a
request records it.
"""

from __future__ import annotations

from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._http_serving import (
    Arrival,
    Served,
    current,
)
from clew.probe.seams._http_values import named_headers, records_headers, redacted
from clew.probe.seams._unsampled import leave_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import Any

uvicorn_hooks = Hooks("uvicorn")
hypercorn_hooks = Hooks("hypercorn")
starlette_hooks = Hooks("starlette")
django_hooks = Hooks("django.asgi")


def hook_uvicorn_http(module: ModuleType) -> None:
    """Hook one of uvicorn's HTTP implementations."""
    cycle: Any = getattr(module, "RequestResponseCycle", None)
    if cycle is not None:
        uvicorn_hooks.replace(cycle, "run_asgi", _make_run_asgi)


def hook_uvicorn_websocket(module: ModuleType) -> None:
    """Hook one of uvicorn's WebSocket implementations."""
    for name in ("WebSocketProtocol", "WebSocketsSansIOProtocol", "WSProtocol"):
        protocol: Any = getattr(module, name, None)
        if protocol is not None:
            uvicorn_hooks.replace(protocol, "run_asgi", _make_run_websocket)


def hook_hypercorn(module: ModuleType) -> None:
    """Hook hypercorn's asyncio task group, which calls the application."""
    hypercorn_hooks.replace(module, "_handle", _make_handle)


def hook_starlette(module: ModuleType) -> None:
    """Hook ``Starlette.__call__``; FastAPI's calls it."""
    starlette_hooks.replace(module.Starlette, "__call__", lambda original: _make_call(original, starlette_hooks))


def hook_django(module: ModuleType) -> None:
    """Hook Django's ASGI handler."""
    django_hooks.replace(module.ASGIHandler, "__call__", lambda original: _make_call(original, django_hooks))


def _make_run_asgi(original: Any) -> Any:
    # Not a coroutine function itself: what it does before the task exists decides
    # whether the task is recorded.
    def run_asgi(self: Any, app: Any) -> Any:
        try:
            arrival = arrive(self.scope)
            served = _around(app, arrival, uvicorn_hooks, cycle=self)
        except Exception as error:
            uvicorn_hooks.failed(error)
            return original(self, app)
        coroutine = original(self, served)
        if not arrival.is_recorded:
            leave_out(coroutine)
        return coroutine

    return run_asgi


def _make_run_websocket(original: Any) -> Any:
    def run_asgi(self: Any) -> Any:
        try:
            # One protocol object is one connection: its `app` is called once.
            arrival = arrive(self.scope)
            self.app = _around(self.app, arrival, uvicorn_hooks)
        except Exception as error:
            uvicorn_hooks.failed(error)
            return original(self)
        coroutine = original(self)
        if not arrival.is_recorded:
            leave_out(coroutine)
        return coroutine

    return run_asgi


def _make_handle(original: Any) -> Any:
    def _handle(app: Any, config: Any, scope: Any, *args: Any) -> Any:
        is_asgi = type(app).__name__ == "ASGIWrapper" and scope["type"] != "lifespan"
        if not is_asgi:  # a WSGI application runs in a thread, and is hooked there
            return original(app, config, scope, *args)
        try:
            arrival = arrive(scope)
            served = _around(app, arrival, hypercorn_hooks)
        except Exception as error:
            hypercorn_hooks.failed(error)
            return original(app, config, scope, *args)
        coroutine = original(served, config, scope, *args)
        if not arrival.is_recorded:
            leave_out(coroutine)
        return coroutine

    return _handle


def _make_call(original: Any, hooks: Hooks) -> Any:
    """Hook the entry point of a framework: for requests that no server's hook has seen."""

    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> None:
        try:
            is_new = scope["type"] in ("http", "websocket") and not is_served(scope)
            app = _around(original.__get__(self), arrive(scope), hooks, is_root=False) if is_new else None
        except Exception as error:
            hooks.failed(error)
            app = None
        try:
            if app is None:
                await original(self, scope, receive, send)
            else:
                await app(scope, receive, send)
        except BaseException as error:
            hide_frame(error)
            raise

    return __call__


def arrive(scope: Any) -> Arrival:
    """Find out what a request of *scope* belongs to."""
    parents: list[str] = []
    states: list[str] = []
    for name, value in scope["headers"]:
        if name == b"traceparent":
            parents.append(value.decode("latin-1"))
        elif name == b"tracestate":
            states.append(value.decode("latin-1"))
    return Arrival(scope["path"], parents, states)


def is_served(scope: Any) -> bool:
    """Tell whether *scope* is the request that a hook further out began.

    Applications copy scopes and call one another in the same task (a test client in a
    handler): so it must be the same scope or headers object, or the same connection.
    """
    served = current()
    if served is None:
        return False
    if id(scope) in served.marks or id(scope["headers"]) in served.marks:
        return True
    client = scope.get("client")
    return client is not None and tuple(client) == served.client


def _around(app: Any, arrival: Arrival, hooks: Hooks, *, cycle: Any = None, is_root: bool = True) -> Any:
    """Return an application that serves one request with *app* and records it.

    Args:
        app: The application.
        arrival: What was found when the request arrived.
        hooks: The group that is disabled if recording fails.
        cycle: uvicorn's object that knows whether the client is still there; for other
            servers, the messages that are received tell.
        is_root: Called by a server, not within other recorded code.
    """

    async def asgi(scope: Any, receive: Any, send: Any, *further: Any) -> Any:
        exchange = _Exchange("", hooks, cycle)
        try:
            exchange.open(scope, arrival, is_root=is_root)
            if exchange.span is not None:
                send = exchange.watch_send(send)
                if cycle is None:
                    receive = exchange.watch_receive(receive)
        except Exception as error:
            hooks.failed(error)
        try:
            result = await app(scope, receive, send, *further)
        except BaseException as error:
            hide_frame(error)
            exchange.close(error)
            raise
        exchange.close(None)
        return result

    return asgi


class _Exchange(Served):
    """One request and its response, as the messages between server and application tell."""

    _scope: Any = None
    _root_path = ""
    _is_complete = False
    _is_disconnected = False

    def __init__(self, method: str, hooks: Hooks, cycle: Any) -> None:
        super().__init__(method)
        self._hooks = hooks
        self._cycle = cycle

    def open(self, scope: Any, arrival: Arrival, *, is_root: bool) -> None:
        """Begin the request of *scope*."""
        client = scope.get("client")
        self.method = scope["method"] if scope["type"] == "http" else "WEBSOCKET"
        self.marks = (id(scope), id(scope["headers"]))
        if client is not None:
            self.client = tuple(client)
        if not arrival.is_recorded:
            self.begin(arrival, "", {}, is_root=is_root)
            return
        self._scope = scope
        self._root_path = scope.get("root_path", "")
        attrs: dict[str, Any] = {"http_version": scope.get("http_version", "")}
        query = scope.get("query_string")
        if query:
            attrs["query"] = redacted("?" + query.decode("latin-1"))[1:]
        if client is not None:
            attrs["client_address"] = client[0]
        if records_headers():
            attrs["request_headers"] = named_headers(_texts(scope["headers"]))
        self.begin(arrival, redacted(scope["path"]), attrs, is_root=is_root)

    def close(self, error: BaseException | None) -> None:
        """End it, with *error* if the application raised one."""
        try:
            if self.span is not None:
                if error is not None:
                    self.error = error
                cycle = self._cycle
                if not self._is_complete and (self._is_disconnected if cycle is None else cycle.disconnected):
                    self.is_cut = True
                if not self.route:
                    self.route = _route_of(self._scope, self._root_path)
        except Exception as problem:
            self._hooks.failed(problem)
        self._scope = self._cycle = None
        self.end()

    def watch_send(self, send: Any) -> Any:
        """Return a ``send`` that looks at each message.

        It is not a coroutine function: the awaitable is the server's own, and no frame
        of clew's stands in the stack while it waits.
        """
        look = self._look_at_websocket if self.method == "WEBSOCKET" else self._look_at_response

        def watched(message: Any) -> Any:
            try:
                look(message)
            except Exception as error:
                self._hooks.failed(error)
            return send(message)

        return watched

    def watch_receive(self, receive: Any) -> Any:
        """Return a ``receive`` that notices when the client went away."""

        async def watched() -> Any:
            try:
                message = await receive()
            except BaseException as error:
                hide_frame(error)
                raise
            kind = message.get("type") if type(message) is dict else ""
            if kind == "http.disconnect":
                self._is_disconnected = True
            elif kind == "websocket.disconnect":
                self.note(close_code=message.get("code", 1005))
            return message

        return watched

    def _look_at_response(self, message: Any) -> None:
        kind = message["type"]
        if kind == "http.response.body" or kind == "http.response.pathsend":
            self._is_complete = not message.get("more_body", False)
        elif kind == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            for name, value in headers:
                if name == b"content-length":
                    self.size = int(value)
            if records_headers():
                self.note_headers(_texts(headers))

    def _look_at_websocket(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close":
            if self.status:
                self.note(close_code=message.get("code", 1000))
            else:
                self.status = 403  # refused before it was accepted
        elif kind == "websocket.http.response.start":
            self.status = message["status"]


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]


def _route_of(scope: Any, root_path: str) -> str:
    """Return the template that Starlette or FastAPI matched, empty if there is none.

    The route says the part below where it is mounted; the mounts stand in ``root_path``.
    """
    route = scope.get("route")
    template = getattr(route, "path_format", None)
    if type(template) is not str:
        return ""
    mounted = scope.get("root_path", "").removeprefix(root_path)
    if type(route).__name__ == "Mount":  # what is mounted is not a router: StaticFiles
        return mounted + "/{path}"
    return mounted + template
