"""What every client seam shares: the span of one request, and the headers it carries."""

from __future__ import annotations

from time import monotonic_ns

from clew.model.kinds import Operation, Outcome, SpanKind
from clew.probe import buffer, context, propagation
from clew.probe.live import outcome_of
from clew.probe.patching import report
from clew.probe.propagation import TRACEPARENT, TRACESTATE
from clew.probe.seams._http_values import MAX_LENGTH, MAX_REMEMBERED, named_headers, records_headers, redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from clew.probe.context import Span
    from clew.probe.session import Session

    Headers = Callable[[], Iterable[tuple[str, str]]]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_TIMEOUTS = frozenset({"TimeoutError", "TimeoutException"})
_targets: dict[str, tuple[str, str, str, int]] = {}
_propagates = True


def configure(session: Session) -> None:
    """Take over the settings of *session*."""
    global _propagates
    _targets.clear()
    _propagates = session.config.propagate


class Call:
    """One request on the wire. Nothing of it raises, except the constructor.

    Args:
        method: Its method.
        url: Its whole URL.
        server: Returns host and port of the server; the port may be None, for the scheme's.
        headers: Returns the request's headers; called only if some are to be recorded.
        is_current: What runs from now on belongs to it.
    """

    __slots__ = ("_is_over", "_started", "span")

    def __init__(
        self,
        method: str,
        url: str,
        server: Callable[[], tuple[str, int | None]],
        headers: Headers,
        *,
        is_current: bool = True,
    ) -> None:
        self._is_over = False
        self._started = 0
        self.span: Span | None = None
        if not buffer.SPAN.get():
            return
        path, shown, host, port = _targets.get(url) or _meet_target(url, server)
        attrs: dict[str, Any] = {"method": method, "url": shown, "server_address": host, "server_port": port}
        if records_headers():
            attrs["request_headers"] = named_headers(headers())
        self.span = context.start_span(
            f"{method} {path}", kind=SpanKind.CLIENT, effect=Operation.HTTP, attrs=attrs, enter=is_current
        )
        self._started = monotonic_ns()

    def context_headers(self) -> list[tuple[str, str]]:
        """Return the trace context as headers to add to the request."""
        if not _propagates:
            return []
        parent, state = propagation.outgoing(self.span)
        pairs = ((TRACEPARENT, parent), (TRACESTATE, state))
        return [pair for pair in pairs if pair[1]]

    def finish(self, status: int, size: Any, version: str, headers: Headers) -> None:
        """Record that the head of the response is there.

        Args:
            status: The status code.
            size: Value of the header Content-Length, or None.
            version: The HTTP version.
            headers: Returns the response's headers.
        """
        try:
            attrs: dict[str, Any] = {"status": status, "http_version": version}
            if size is not None and str(size).isdigit():
                attrs["response_size"] = int(size)
            if self.span is not None and records_headers():
                attrs["response_headers"] = named_headers(headers())
            self._end(Outcome.FAILED if status >= 400 else Outcome.OK, attrs, None)
        except Exception as problem:
            report("http_clients", f"{type(problem).__name__}: {problem}")

    def fail(self, error: BaseException) -> None:
        """Record that there was no response because of *error*."""
        try:
            outcome = outcome_of(error)
            if outcome == Outcome.CANCELLED or isinstance(error, GeneratorExit):
                self._end(Outcome.CANCELLED, None, None)
                return
            if _is_timeout(type(error)):
                outcome = Outcome.TIMEOUT
            self._end(outcome, {"error": type(error).__qualname__}, error)
        except Exception as problem:
            report("http_clients", f"{type(problem).__name__}: {problem}")

    def abandon(self) -> None:
        """Record that nobody waits for the response any more."""
        self._end(Outcome.CANCELLED, None, None)

    def _end(self, outcome: Outcome, attrs: dict[str, Any] | None, error: BaseException | None) -> None:
        if self.span is not None and not self._is_over:
            self._is_over = True
            self.span.end(outcome, attrs, error, wait_ns=monotonic_ns() - self._started)


def _meet_target(url: str, server: Callable[[], tuple[str, int | None]]) -> tuple[str, str, str, int]:
    """Return what is shown of *url*: path, whole, host and port; remember it for the next time."""
    shown = redacted(url)
    host, port = server()
    scheme, _, rest = shown.partition("?")[0].partition("://")
    path = rest[rest.find("/") :] if "/" in rest else "/"
    target = (path, shown, host, port or DEFAULT_PORTS.get(scheme, 0))
    if len(url) <= MAX_LENGTH:
        if len(_targets) >= MAX_REMEMBERED:
            _targets.clear()
        _targets[url] = target
    return target


def _is_timeout(cls: type[BaseException]) -> bool:
    # urllib3 counts a connection that was refused among its timeouts.
    return cls.__name__ != "NewConnectionError" and any(base.__name__ in _TIMEOUTS for base in cls.__mro__)


def carries_context(names: Iterable[Any]) -> bool:
    """Tell whether a request has a ``traceparent`` among its header *names* already."""
    return any(
        (name.lower() if type(name) is str else bytes(name).decode("latin-1").lower()) == TRACEPARENT for name in names
    )
