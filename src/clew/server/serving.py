"""Serve an application on a socket until a signal says to end."""

from __future__ import annotations

import contextlib
import errno
import gc
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from clew.model.errors import UsageError
from clew.server.protocol import MAX_HEAD, protocol_class

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from fastapi import FastAPI

    from clew.server.settings import Settings

BACKLOG = 512
GC_THRESHOLD = 50_000
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        UsageError: Somebody else has the port, or the address is not of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                "port-in-use",
                f"the port {host}:{port} is taken by another program",
                "expected a free one",
                "choose another with --port, or --port 0 for any; 'ss -ltnp' says who has it",
            ) from None
        raise UsageError(
            "address",
            f"{host}:{port} cannot be bound: {error.strerror or error}",
            "expected an address of this machine, and a port that this user may take",
            "correct --host and --port",
        ) from None


def url_of(listener: socket.socket) -> str:
    """Return the address at which a browser of this machine finds *listener*."""
    address, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, str(address))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Ends on SIGINT and SIGTERM, and returns: what was opened around it is closed in order."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the signals, as uvicorn does, and do not raise them again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it is ready once it is."""
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: nobody would wait for their end."""
        self._app.state.context.hub.close()
        await super().shutdown(sockets)


def serve(app: FastAPI, listener: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    """Serve *app* on *listener* until SIGINT or SIGTERM; requests that run are answered before it returns.

    Args:
        app: Made by ``create_app``.
        listener: From :func:`bind`.
        settings: Limits.
        ready: Called once requests are answered.
    """
    config = uvicorn.Config(
        app,
        http=protocol_class(settings.head_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        limit_concurrency=settings.max_connections,
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.shutdown_s,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    # A request makes thousands of objects that live until it is answered, and each full look for
    # garbage would go over the 300,000 objects of the modules as well.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    try:
        Server(config, app, ready).run(sockets=[listener])
    finally:
        gc.unfreeze()
