"""HTTP servers: a request is a span of kind server, and a run unless a caller's goes on.

Hooked at the server where it is known, since that sees all of a request: uvicorn,
hypercorn, aiohttp; wsgiref, werkzeug, gunicorn, waitress. And at the framework, for the
others: Starlette (with FastAPI), Flask, Django. The outermost hook records the request;
those within add route and error to it.
"""

from __future__ import annotations

from importlib import import_module

from clew.probe.seams import _http_serving, _http_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from clew.probe.session import Session

# Module that is hooked -> module and function that do it. Imported when they are needed:
# a program of threads must not import asyncio because of clew.
_HOOKS = {
    "uvicorn.protocols.http.h11_impl": ("_http_asgi", "hook_uvicorn_http"),
    "uvicorn.protocols.http.httptools_impl": ("_http_asgi", "hook_uvicorn_http"),
    "uvicorn.protocols.http.zttp_impl": ("_http_asgi", "hook_uvicorn_http"),
    "uvicorn.protocols.websockets.websockets_impl": ("_http_asgi", "hook_uvicorn_websocket"),
    "uvicorn.protocols.websockets.websockets_sansio_impl": ("_http_asgi", "hook_uvicorn_websocket"),
    "uvicorn.protocols.websockets.wsproto_impl": ("_http_asgi", "hook_uvicorn_websocket"),
    "hypercorn.asyncio.task_group": ("_http_asgi", "hook_hypercorn"),
    "hypercorn.app_wrappers": ("_http_wsgi", "hook_hypercorn"),
    "starlette.applications": ("_http_asgi", "hook_starlette"),
    "aiohttp.web_protocol": ("_http_aiohttp_web", "hook_protocol"),
    "wsgiref.handlers": ("_http_wsgi", "hook_wsgiref"),
    "werkzeug.serving": ("_http_wsgi", "hook_werkzeug"),
    "gunicorn.http.wsgi": ("_http_wsgi", "hook_gunicorn"),
    "gunicorn.workers.sync": ("_http_wsgi", "hook_gunicorn_worker"),
    "gunicorn.workers.gthread": ("_http_wsgi", "hook_gunicorn_worker"),
    "gunicorn.workers.base_async": ("_http_wsgi", "hook_gunicorn_worker"),
    "waitress.task": ("_http_wsgi", "hook_waitress"),
    "flask.app": ("_http_wsgi", "hook_flask"),
    "django.core.handlers.wsgi": ("_http_wsgi", "hook_django"),
    "django.core.handlers.asgi": ("_http_asgi", "hook_django"),
    "django.core.handlers.base": ("_http_wsgi", "hook_django_views"),
    "django.core.handlers.exception": ("_http_wsgi", "hook_django_errors"),
}


def install(module: ModuleType, session: Session) -> None:
    """Hook *module*, one of those that ``_registry.SEAMS`` names."""
    _http_values.configure(session)
    _http_serving.configure(session)
    name, function = _HOOKS[module.__name__]
    getattr(import_module(f"clew.probe.seams.{name}"), function)(module)
