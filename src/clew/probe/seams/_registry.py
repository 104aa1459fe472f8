"""Which seams there are, and when each is installed."""

from __future__ import annotations

import sys
from importlib import import_module

from clew.probe.imports import when_imported
from clew.probe.patching import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from clew.probe.session import Session

# Seam module -> the modules it waits for. Its ``install(module, session)`` is called
# after each of them was imported.
SEAMS: dict[str, tuple[str, ...]] = {
    "asyncio_loop": ("asyncio",),
    "asyncio_sync": ("asyncio",),
    "uvloop_loop": ("uvloop",),
    "http_clients": (
        "httpx",
        "httpx2",
        "aiohttp.connector",
        "aiohttp.client_reqrep",
        "urllib3.connectionpool",
        "http.client",
    ),
    "http_servers": (
        "uvicorn.protocols.http.h11_impl",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.protocols.http.zttp_impl",
        "uvicorn.protocols.websockets.websockets_impl",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
        "uvicorn.protocols.websockets.wsproto_impl",
        "hypercorn.asyncio.task_group",
        "hypercorn.app_wrappers",
        "starlette.applications",
        "aiohttp.web_protocol",
        "wsgiref.handlers",
        "werkzeug.serving",
        "gunicorn.http.wsgi",
        "gunicorn.workers.sync",
        "gunicorn.workers.gthread",
        "gunicorn.workers.base_async",
        "waitress.task",
        "flask.app",
        "django.core.handlers.wsgi",
        "django.core.handlers.asgi",
        "django.core.handlers.base",
        "django.core.handlers.exception",
    ),
    "processes": ("os",),
    "subprocesses": ("subprocess", "asyncio.subprocess", "asyncio.base_subprocess", "uvloop"),
    "multiprocesses": ("multiprocessing.process", "multiprocessing.popen_forkserver", "multiprocessing.util"),
    "errors": ("builtins", "asyncio", "uvloop"),
    "logs": ("logging",),
    "threads": ("threading",),
    "thread_locks": ("threading", "dill"),
    "thread_conditions": ("threading",),
    "thread_waits": ("threading",),
    "thread_queues": ("queue",),
    "thread_simple_queue": ("queue",),
    "executors": ("concurrent.futures._base", "concurrent.futures.thread"),
    "process_pools": ("concurrent.futures.process",),
}

# Those that wait for no module, by the setting that asks for them.
CALLS = {"full": "calls", "sampled": "call_samples"}


def install(session: Session) -> None:
    """Install every seam that is not disabled, each when its module is there."""
    disabled = set(session.config.disable)
    seam = CALLS.get(session.config.calls, "")
    if seam and "calls" not in disabled:
        _installer(seam, session)(sys)
    for seam, targets in SEAMS.items():
        for target in targets:
            # A library may be named as a whole: `uvicorn` for all its modules.
            if disabled.isdisjoint((seam, target, target.partition(".")[0])):
                when_imported(target, _installer(seam, session))


def _installer(seam: str, session: Session):  # noqa: ANN202
    def action(module: ModuleType) -> None:
        try:
            import_module(f"clew.probe.seams.{seam}").install(module, session)
        except ImportError as error:
            # `sys.modules[name] = None` is how a program, or a test of it, forbids a module.
            is_forbidden = error.name in sys.modules and not isinstance(sys.modules[error.name], type(sys))
            if not is_forbidden:
                report(seam, f"{type(error).__name__}: {error}")
        except Exception as error:  # the program goes on without this seam
            report(seam, f"{type(error).__name__}: {error}")

    return action
