"""What every server seam shares: how a request arrives, is recorded, and ends.

The server's hooks say when a request arrived, what was sent and how it ended; this
module decides whether it is recorded and keeps its span. The request that is served by
the running code stands in a context variable, so that a framework's hook inside finds
the one its server began, and adds the route or the error to it.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from clew.model.kinds import Outcome, SpanKind, SpanRole
from clew.probe import buffer, context, propagation
from clew.probe.patching import report
from clew.probe.propagation import TraceContext
from clew.probe.seams._http_values import named_headers, records_headers
from clew.probe.session import random_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import Token
    from typing import Any

    from clew.probe.context import Span
    from clew.probe.session import Session

SERVING: ContextVar[Served | None] = ContextVar("clew_serving", default=None)
"""The request the running code serves."""
MAX_NAMES = 1024
_names: dict[str, str] = {}
"""Names that spans got when their route was known, by the name they began with."""
_include: re.Pattern[str] | None = None
_exclude: re.Pattern[str] | None = None


def configure(session: Session) -> None:
    """Take over the settings of *session*."""
    global _include, _exclude
    _include = _pattern(session.config.include)
    _exclude = _pattern(session.config.exclude)


def _pattern(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    if not globs:
        return None
    from fnmatch import translate  # only where the setting is used

    return re.compile("|".join(map(translate, globs)))


class Arrival:
    """A request that arrived: the trace it belongs to, and whether it is recorded.

    Args:
        path: Its path, as the setting ``exclude`` means it.
        parents: Values of its ``traceparent`` headers.
        states: Values of its ``tracestate`` headers.
    """

    __slots__ = ("came", "is_recorded", "is_selected", "trace_id")

    def __init__(self, path: str, parents: list[str], states: list[str]) -> None:
        came = self.came = propagation.parse(parents, states) if parents else None
        self.trace_id = came.trace_id if came is not None else random_bits(128) or 1
        self.is_selected = (_include is None or _include.match(path) is not None) and (
            _exclude is None or _exclude.match(path) is None
        )
        self.is_recorded = self.is_selected and context.is_sampled(self.trace_id)

    def forwarded(self) -> TraceContext | None:
        """Return what goes on with the requests that this one leads to, if it is not recorded.

        What came is passed on as it is. A run that is left out by ``sample`` tells the
        others its trace id, so that they decide alike; a path that is left out takes no
        part in any trace.
        """
        if self.came is not None or not self.is_selected:
            return self.came
        return TraceContext(self.trace_id, 0, propagation.RANDOM)


class Served:
    """A request while it is being served.

    Attributes:
        method: Its method; ``WEBSOCKET`` for such a connection.
        span: Its span; None if it is not recorded.
        marks: Addresses of objects that only this request has.
        client: Address and port it came from.
        status: Status code of the response, 0 until it is known.
        size: Bytes of the response body, -1 if no header says it.
        route: The template its path matched, empty if none is known.
        error: The exception the application failed with.
        is_cut: The client went away before the response was complete.
        is_over: It has been ended.
        further: More attributes of the end.
    """

    # Defaults on the class: most requests set few of them.
    span: Span | None = None
    marks: tuple[int, ...] = ()
    client: Any = None
    status = 0
    size = -1
    route = ""
    error: BaseException | None = None
    is_cut = False
    is_over = False
    further: dict[str, Any] | None = None
    _first_name = ""
    _token: Token[int] | None = None
    _outer: Token[TraceContext | None] | None = None
    _serving: Token[Served | None] | None = None

    def __init__(self, method: str) -> None:
        self.method = method

    def begin(self, arrival: Arrival, path: str, attrs: dict[str, Any], *, is_root: bool) -> None:
        """Open its span and make it the one the running code works for.

        Args:
            arrival: What was found when it arrived.
            path: Its redacted path.
            attrs: Further redacted attributes.
            is_root: A server took it from a socket: what runs here so far is the server's
                own work, or the work for the request before on the same connection.
        """
        self._serving = SERVING.set(self)
        if not arrival.is_recorded:
            self._token = buffer.SPAN.set(0)
            self._outer = propagation.FORWARDED.set(arrival.forwarded())
            return
        if is_root:
            self._token = buffer.SPAN.set(buffer.MAIN_SPAN)
        came = arrival.came
        name = self._first_name = f"{self.method} {path}"
        self.span = context.start_span(
            _names.get(name, name),
            kind=SpanKind.SERVER,
            role=SpanRole.RUN if came is None else SpanRole.STEP,
            remote=(arrival.trace_id, 0 if came is None else came.span_id),
            carried=came,
            attrs={"method": self.method, "path": path, **attrs},
            site=0,
        )

    def end(self) -> None:
        """Record how it ended, once. Never raises."""
        if self.is_over:
            return
        self.is_over = True
        try:
            if self.span is not None:
                self._end_span(self.span)
        except Exception as problem:
            report("http_servers", f"{type(problem).__name__}: {problem}")
        error, self.error = self.error, None  # an exception keeps its frames alive
        del error
        try:
            if self._token is not None:
                buffer.SPAN.reset(self._token)
            if self._outer is not None:
                propagation.FORWARDED.reset(self._outer)
            if self._serving is not None:
                SERVING.reset(self._serving)
        except ValueError:  # ended in another context than it began in
            pass

    def _end_span(self, span: Span) -> None:
        status, error, route = self.status, self.error, self.route
        attrs: dict[str, Any] = {"status": status} if status else {}
        if self.size >= 0:
            attrs["response_size"] = self.size
        if route:
            attrs["route"] = route
            self._rename(span, f"{self.method} {route}")
        if self.is_cut:
            attrs["ended_by"] = "client"
        if self.further is not None:
            attrs |= self.further
        outcome = Outcome.OK
        if error is not None and not is_cancellation(error):
            attrs["error"] = type(error).__qualname__
            outcome = Outcome.FAILED
        elif status >= 500:
            outcome = Outcome.FAILED
        elif self.is_cut or error is not None:
            outcome = Outcome.CANCELLED
        span.end(outcome, attrs, error if outcome == Outcome.FAILED else None)

    def _rename(self, span: Span, name: str) -> None:
        """Name *span* by its route, and the next request to its path from the start."""
        if span.row and span.row[-1] != name:
            span.rename(name)
            if len(_names) >= MAX_NAMES:
                _names.clear()
            _names[self._first_name] = name

    def note(self, **attrs: Any) -> None:
        """Add attributes of the end."""
        self.further = {**(self.further or {}), **attrs}

    def note_headers(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take size and named headers from the headers of the response."""
        found: dict[str, str] = {}
        for name, value in pairs:
            lower = name.lower()
            if lower == "content-length" and value.isdigit():
                self.size = int(value)
            if records_headers():
                found[lower] = value
        named = named_headers(found.items()) if found else None
        if named:
            before = (self.further or {}).get("response_headers", {})
            self.note(response_headers={**before, **named})


def is_cancellation(error: BaseException) -> bool:
    """Tell whether *error* means that the work was called off, not that it failed."""
    return isinstance(error, GeneratorExit) or type(error).__name__ == "CancelledError"


def current() -> Served | None:
    """Return the request that the running code serves, None if it is over or there is none."""
    served = SERVING.get()
    return None if served is None or served.is_over else served


def note_error(error: BaseException | None) -> None:
    """Say that the request being served failed with *error*; the first one counts."""
    served = current()
    if served is not None and served.error is None and error is not None:
        served.error = error


def note_route(route: Any) -> None:
    """Say which template the path of the request being served matched."""
    served = current()
    if served is not None and type(route) is str and route:
        served.route = route if route.startswith("/") else "/" + route


def note_status(status: Any, headers: Any = None) -> None:
    """Take the status line and headers of a WSGI response."""
    served = current()
    if served is None:
        return
    if type(status) is str:
        status = status[:3]
        served.status = int(status) if status.isdigit() else 0
    elif isinstance(status, int):
        served.status = status
    if headers is not None:
        served.note_headers(headers)
