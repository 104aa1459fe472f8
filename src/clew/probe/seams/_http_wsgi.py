"""WSGI servers and applications: wsgiref, werkzeug, gunicorn, waitress, hypercorn; Flask and Django.

A WSGI server handles one request in one function: it makes an ``environ``, calls the
application, sends what it returns. The hooks stand on these steps of the server, not
around the application: so the object the application returns stays its own, which
servers look at (its length, whether it is a file). The span covers the response body.

Flask's and Django's entry points are hooked too, for servers that are not known here;
there the span ends when the application returned, before its body is sent.
"""

from __future__ import annotations

import sys

from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._http_serving import (
    Arrival,
    Served,
    current,
    note_error,
    note_route,
    note_status,
)
from clew.probe.seams._http_values import named_headers, records_headers, redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

wsgiref_hooks = Hooks("wsgiref")
werkzeug_hooks = Hooks("werkzeug")
gunicorn_hooks = Hooks("gunicorn")
waitress_hooks = Hooks("waitress")
hypercorn_hooks = Hooks("hypercorn.wsgi")
flask_hooks = Hooks("flask")
django_hooks = Hooks("django.wsgi")


def begin(environ: Any, *, is_root: bool = True) -> Served:
    """Open the span of the request that *environ* describes."""
    parents = [environ["HTTP_TRACEPARENT"]] if "HTTP_TRACEPARENT" in environ else []
    states = [environ["HTTP_TRACESTATE"]] if "HTTP_TRACESTATE" in environ else []
    # PEP 3333 carries bytes as latin-1 text.
    raw = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = raw.encode("latin-1", "replace").decode("utf-8", "replace") or "/"
    arrival = Arrival(path, parents, states)
    method = environ["REQUEST_METHOD"]
    served = Served(method)
    if not arrival.is_recorded:
        served.begin(arrival, "", {}, is_root=is_root)
        return served
    attrs: dict[str, Any] = {}
    if environ.get("QUERY_STRING"):
        attrs["query"] = redacted("?" + environ["QUERY_STRING"])[1:]
    if environ.get("REMOTE_ADDR"):
        attrs["client_address"] = environ["REMOTE_ADDR"]
    attrs["http_version"] = environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
    if records_headers():
        names = (name for name in environ if type(name) is str and name.startswith("HTTP_"))
        attrs["request_headers"] = named_headers((n[5:].replace("_", "-").lower(), environ[n]) for n in names)
    served.begin(arrival, redacted(path), attrs, is_root=is_root)
    return served


def _make_whole(original: Any, hooks: Hooks, *, first: Any = None, last: Any = None) -> Any:
    """Hook the function that handles one request: the request begun inside ends with it.

    Args:
        original: The function.
        hooks: The group it belongs to.
        first: Called with its arguments before; may begin the request.
        last: Called with its arguments after, while the request is still the current one.
    """

    def handle(*args: Any, **options: Any) -> Any:
        before = current()
        if first is not None:
            _note(hooks, first, *args)
        try:
            result = original(*args, **options)
        except BaseException as error:
            hide_frame(error)
            if last is not None:
                _note(hooks, last, *args)
            _end_inner(before, error)
            raise
        if last is not None:
            _note(hooks, last, *args)
        _end_inner(before, None)
        return result

    return handle


def _end_inner(before: Served | None, error: BaseException | None) -> None:
    """End the request that was begun since *before* was the current one."""
    served = current()
    if served is None or served is before:
        return
    if served.error is None and error is not None:
        served.is_cut = isinstance(error, ConnectionError) or type(error).__name__ == "ClientDisconnected"
        # gunicorn: the response broke off, the error was noted before
        if not served.is_cut and not isinstance(error, StopIteration):
            served.error = error
    served.end()


def _make_start_response(original: Any, hooks: Hooks) -> Any:
    """Hook a server's ``start_response`` method."""

    def start_response(self: Any, status: Any, headers: Any, exc_info: Any = None) -> Any:
        _note(hooks, note_status, status, headers)
        try:
            return original(self, status, headers, exc_info)
        except BaseException as error:
            hide_frame(error)
            raise

    return start_response


def _make_noting(original: Any, hooks: Hooks, note: Any) -> Any:
    """Hook a method that gets to know something: *note* is called with its arguments."""

    def noting(*args: Any, **options: Any) -> Any:
        _note(hooks, note, *args)
        try:
            return original(*args, **options)
        except BaseException as error:
            hide_frame(error)
            raise

    return noting


def _note(hooks: Hooks, note: Any, *args: Any) -> None:
    try:
        note(*args)
    except Exception as error:
        hooks.failed(error)


# -- the servers


def hook_wsgiref(module: ModuleType) -> None:
    """Hook ``wsgiref.handlers``, which Django's development server is made of too."""
    handler: Any = module.BaseHandler
    hooks = wsgiref_hooks
    hooks.replace(handler, "run", lambda original: _make_whole(original, hooks, last=_note_unclosed))
    hooks.replace(handler, "setup_environ", _make_setup_environ)
    hooks.replace(handler, "start_response", lambda original: _make_start_response(original, hooks))
    hooks.replace(
        handler, "log_exception", lambda original: _make_noting(original, hooks, lambda self, info: note_error(info[1]))
    )


def _note_unclosed(handler: Any, application: Any) -> None:
    served = current()
    if served is not None and handler.status is not None:
        # `run` returned, but did not close: the client went away.
        served.is_cut = True


def _make_setup_environ(original: Any) -> Any:
    def setup_environ(self: Any) -> None:
        original(self)
        _note(wsgiref_hooks, begin, self.environ)

    return setup_environ


def hook_werkzeug(module: ModuleType) -> None:
    """Hook ``werkzeug.serving``, the development server of Flask."""
    handler, hooks = module.WSGIRequestHandler, werkzeug_hooks
    hooks.replace(handler, "run_wsgi", lambda original: _make_whole(original, hooks))
    hooks.replace(handler, "make_environ", lambda original: _make_beginning(original, hooks, lambda made: made))
    hooks.replace(
        handler,
        "send_response",
        lambda original: _make_noting(original, hooks, lambda self, code, *_: note_status(code)),
    )
    hooks.replace(
        handler, "send_header", lambda original: _make_noting(original, hooks, lambda self, *pair: _note_header(*pair))
    )
    hooks.replace(handler, "connection_dropped", lambda original: _make_noting(original, hooks, _note_dropped))
    # It is told of an application's exception nowhere but in its log.
    hooks.replace(module.BaseWSGIServer, "log", lambda original: _make_noting(original, hooks, _note_logged))


def _make_beginning(original: Any, hooks: Hooks, environ_of: Any) -> Any:
    """Hook the function that makes the ``environ`` of a request."""

    def make(*args: Any, **options: Any) -> Any:
        try:
            made = original(*args, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        _note(hooks, lambda: begin(environ_of(made)))
        return made

    return make


def _note_header(name: str, value: Any) -> None:
    served = current()
    if served is not None and served.status:
        served.note_headers(((name, str(value)),))


def _note_dropped(self: Any, error: BaseException, *_: Any) -> None:
    served = current()
    if served is not None:
        served.is_cut = True


def _note_logged(self: Any, kind: str, *_: Any) -> None:
    if kind == "error":
        note_error(sys.exc_info()[1])


def hook_gunicorn(module: ModuleType) -> None:
    """Hook ``gunicorn.http.wsgi``, which makes environ and response for every worker."""
    hooks = gunicorn_hooks
    hooks.replace(module, "create", lambda original: _make_beginning(original, hooks, lambda made: made[1]))
    hooks.replace(module.Response, "start_response", lambda original: _make_start_response(original, hooks))


def hook_gunicorn_worker(module: ModuleType) -> None:
    """Hook the function of one kind of gunicorn's workers that handles a request."""
    for name in ("SyncWorker", "ThreadWorker", "AsyncWorker"):
        worker: Any = vars(module).get(name)
        if worker is not None and worker.__module__ == module.__name__:
            for method in ("handle_request", "handle_http2_request"):
                if method in vars(worker):
                    gunicorn_hooks.replace(worker, method, lambda original: _make_whole(original, gunicorn_hooks))


def hook_waitress(module: ModuleType) -> None:
    """Hook ``waitress.task``."""
    waitress_hooks.replace(
        module.WSGITask,
        "execute",
        # A task keeps the environ it makes: asking for it early is what it would do itself.
        lambda original: _make_whole(
            original, waitress_hooks, first=lambda task: begin(task.get_environment()), last=_note_waitress
        ),
    )


def _note_waitress(task: Any) -> None:
    if task.complete:  # otherwise its status is a default
        note_status(task.status, task.response_headers)


def hook_hypercorn(module: ModuleType) -> None:
    """Hook ``hypercorn.app_wrappers``: a WSGI application runs in a thread of its own."""
    hypercorn_hooks.replace(module.WSGIWrapper, "run_app", _make_run_app)


def _make_run_app(original: Any) -> Any:
    handle = _make_whole(original, hypercorn_hooks, first=lambda self, environ, send: begin(environ))

    def run_app(self: Any, environ: Any, send: Any) -> None:
        def watched(message: Any) -> Any:
            _note(hypercorn_hooks, _note_message, message)
            return send(message)

        try:
            handle(self, environ, watched)
        except BaseException as error:
            hide_frame(error)
            raise

    return run_app


def _note_message(message: Any) -> None:
    if message["type"] == "http.response.start":
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        note_status(message["status"], headers)


# -- the frameworks


def hook_flask(module: ModuleType) -> None:
    """Hook ``flask.app``."""
    flask = module.Flask
    flask_hooks.replace(flask, "__call__", lambda original: make_call(original, flask_hooks))
    flask_hooks.replace(flask, "full_dispatch_request", lambda original: _make_dispatch(original, module))
    flask_hooks.replace(
        flask, "handle_exception", lambda original: _make_noting(original, flask_hooks, _note_exception)
    )


def hook_django(module: ModuleType) -> None:
    """Hook ``django.core.handlers.wsgi``."""
    django_hooks.replace(module.WSGIHandler, "__call__", lambda original: make_call(original, django_hooks))


def make_call(original: Any, hooks: Hooks) -> Any:
    """Hook the entry point of a framework: for requests that no server's hook has seen."""

    def __call__(self: Any, environ: Any, start_response: Any) -> Any:
        served = None
        try:
            if current() is None:
                served = begin(environ, is_root=False)
        except Exception as error:
            hooks.failed(error)
        if served is None:
            try:
                return original(self, environ, start_response)
            except BaseException as error:
                hide_frame(error)
                raise

        def watched(status: Any, headers: Any, *exc_info: Any) -> Any:
            _note(hooks, note_status, status, headers)
            return start_response(status, headers, *exc_info)

        try:
            result = original(self, environ, watched)
        except BaseException as error:
            hide_frame(error)
            served.error = error
            served.end()
            raise
        served.end()
        return result

    return __call__


def _make_dispatch(original: Any, module: ModuleType) -> Any:
    def full_dispatch_request(self: Any, *args: Any) -> Any:
        _note(flask_hooks, _note_rule, module)
        try:
            return original(self, *args)
        except BaseException as error:
            hide_frame(error)
            raise

    return full_dispatch_request


def _note_rule(module: ModuleType) -> None:
    if current() is not None:
        note_route(getattr(module.request.url_rule, "rule", ""))


def _note_exception(self: Any, *args: Any) -> None:
    note_error(next((argument for argument in args if isinstance(argument, BaseException)), None))


def hook_django_views(module: ModuleType) -> None:
    """Hook what Django's handlers share: the match of a path, and the failure of a view.

    Args:
        module: ``django.core.handlers.base``.
    """
    django_hooks.replace(module.BaseHandler, "resolve_request", _make_resolve_request)


def hook_django_errors(module: ModuleType) -> None:
    """Hook ``django.core.handlers.exception``, which turns exceptions into responses."""
    django_hooks.replace(module, "handle_uncaught_exception", _make_handle_uncaught)


def _make_resolve_request(original: Any) -> Any:
    def resolve_request(self: Any, request: Any) -> Any:
        try:
            match = original(self, request)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            note_route(match.route)
        except Exception as error:
            django_hooks.failed(error)
        return match

    return resolve_request


def _make_handle_uncaught(original: Any) -> Any:
    def handle_uncaught_exception(request: Any, resolver: Any, exc_info: Any) -> Any:
        try:
            note_error(exc_info[1])
        except Exception as error:
            django_hooks.failed(error)
        try:
            return original(request, resolver, exc_info)
        except BaseException as error:
            hide_frame(error)
            raise

    return handle_uncaught_exception
