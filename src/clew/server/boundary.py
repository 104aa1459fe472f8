"""What stands between the network and the routes, for every request.

It gives each request its id and each answer its headers, refuses what comes from a foreign
page or too often, bounds bodies, counts and logs, and answers what nobody else answered.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from clew.server.auth import ACTOR
from clew.server.bodies import GATE, Gate, declared_length
from clew.server.errors import HttpError
from clew.server.failures import REQUEST_ID, answer, translate, unexpected
from clew.server.logs import ACCESS, log
from clew.server.rates import Rates
from clew.server.settings import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from clew.server.context import Context

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,32}")
NO_ROUTE = "none"
"""Label of requests that no route matched: their paths are the client's invention and have no bound."""
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"})
# Scripts and styles come from the page's own files; canvases make images of blobs and data.
# 'unsafe-inline' styles are what a virtualised list needs: each row stands at its own height.
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Boundary:
    """The outermost layer of the application.

    Args:
        app: What is inside.
        context: Of the server.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._settings = context.settings
        self._rates = Rates(self._settings.rate_per_s, self._settings.rate_burst)
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        self._active += 1
        self._context.metrics.in_progress.inc()
        settings = self._settings
        gate = Gate(
            receive,
            settings.small_body_bytes,
            declared_length(scope),
            idle_s=settings.body_idle_s,
            total_s=settings.body_s,
        )
        scope[GATE] = gate
        try:
            self._check(scope, exchange.headers)
            await self._app(scope, gate, exchange.send)
        except Exception as error:  # noqa: BLE001  nothing may leave without an answer
            await self._fail(exchange, error)
        finally:
            self._active -= 1
            self._context.metrics.in_progress.dec()
            self._context.metrics.received.inc(gate.received)
            self._finish(exchange, gate)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse what is not to reach a route."""
        host = headers.get("host", "")
        if not self._is_own_host(host):
            raise HttpError(
                "foreign-host",
                f"the request is for the host {host[:80]!r}",
                "expected a name of this machine, since the server is for it alone",
                "open http://127.0.0.1; behind a proxy, name its host with --allow-host",
                status=421,
            )
        if scope["method"] not in READING and not self._is_own_origin(headers, host):
            raise HttpError(
                "foreign-origin",
                f"a page of {headers.get('origin', 'another site')[:80]!r} sent the request",
                "expected a page of this server",
                "name the origin with --cors if its pages may change what is stored here",
                status=403,
            )
        if self._active > self._settings.max_requests:
            raise HttpError(
                "server-busy",
                f"{self._active - 1} requests are being answered",
                f"expected at most {self._settings.max_requests}",
                "send it again",
                status=503,
                retry_after_s=1,
            )
        wait = self._rates.take(_client(scope, headers))
        if wait:
            raise HttpError(
                "rate-limited",
                "this client sent too many requests",
                f"expected at most {self._settings.rate_per_s:g} a second",
                "wait, and send more in each",
                status=429,
                retry_after_s=wait,
            )

    def _is_own_host(self, host: str) -> bool:
        """Return whether *host* is a name of this server: a page of another site can give its own name our address."""
        if not self._context.is_loopback:
            return True
        name = urlsplit("//" + host).hostname if _is_host(host) else None
        return name is not None and (is_loopback(name) or name in self._settings.hosts)

    def _is_own_origin(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            # Browsers send it with whatever changes something; some say the same in another header.
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        return origin in self._settings.cors or urlsplit(origin).netloc.lower() == host.lower()

    async def _fail(self, exchange: _Exchange, error: Exception) -> None:
        """Answer what raised *error*, if the answer has not begun; else cut it off."""
        problem = translate(error)
        if problem is None:
            log(
                logging.ERROR,
                "a request failed",
                request_id=exchange.request_id,
                path=exchange.scope["path"],
                error=error,
            )
            problem = unexpected(exchange.request_id)
        if exchange.status:
            raise error  # a client must not take half an answer for a whole one
        await answer(problem, exchange.request_id)(exchange.scope, _nothing, exchange.send)

    def _finish(self, exchange: _Exchange, gate: Gate) -> None:
        scope = exchange.scope
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        seconds = time.perf_counter() - exchange.started
        self._context.metrics.answered(method, route, exchange.status or 499, seconds)
        if self._settings.log_requests:
            actor = scope.get(ACTOR)
            log(
                logging.INFO,
                "request",
                logger=ACCESS,
                request_id=exchange.request_id,
                method=method,
                route=route,
                status=exchange.status or 499,
                duration_ms=round(seconds * 1000, 2),
                received=gate.received,
                sent=exchange.sent,
                actor=actor.name if actor is not None else None,
                client=(scope.get("client") or ("",))[0],
            )


class _Exchange:
    """One request and its answer: gives the answer its headers, and notes what was answered."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.headers = Headers(scope=scope)
        given = self.headers.get("x-request-id", "")
        self.request_id = given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
        scope[REQUEST_ID] = self.request_id
        self.started = time.perf_counter()
        self.status = 0
        self.sent = 0
        self._send = send

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            for name, value in SECURITY.items():
                headers.setdefault(name, value)
            if self.scope["path"].startswith("/api/"):
                headers.setdefault("Cache-Control", "no-store")
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)


def _client(scope: Scope, headers: Headers) -> str:
    """Return what a client is counted by: its key, else its address."""
    key = headers.get("authorization") or headers.get("x-api-key")
    # Only the hash of this run of Python: the key itself is kept nowhere.
    return f"key {hash(key)}" if key else (scope.get("client") or ("",))[0]


def _is_host(text: str) -> bool:
    return re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", text) is not None


async def _nothing() -> Message:
    """Stand in for what is received: an error's answer reads nothing."""
    return {"type": "http.disconnect"}
