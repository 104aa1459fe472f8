"""Runs and spans: which execution the running code belongs to.

The number of the current span stands in a context variable, which asyncio copies into
tasks and ``to_thread`` into threads; executors and threads are handed it by their seams.
A run that is not sampled has span 0: nothing in it is recorded.
"""

from __future__ import annotations

from collections import deque

from clew.model.kinds import EventKind, Outcome, SpanKind, SpanRole
from clew.probe import buffer, definitions, errors, journal
from clew.probe.session import random_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from typing import Any

    from clew.probe.session import Session

MAX_LIVE_SPANS = 100_000
"""Spans whose ids are remembered, for children and outgoing requests."""
MAX_ENDED_SPANS = 10_000
"""Ended ones among them: a task that outlives the request it was started by still
belongs to its trace."""
_LOW = (1 << 64) - 1
_CALL, _RESULT = int(EventKind.EFFECT_CALL), int(EventKind.EFFECT_RESULT)
_STARTS = (int(EventKind.LIFE_SPAN_START), int(EventKind.LIFE_RUN_START))
_ENDS = (int(EventKind.LIFE_SPAN_END), int(EventKind.LIFE_RUN_END))
"""What begins and ends a span, by its role."""

_ids: dict[int, tuple[int, int, Any]] = {}
"""By number, of every open span and the last that ended: trace id, span id, and what came
with the request it serves (``propagation.TraceContext``)."""
_ended: deque[int] = deque()
_session: Session | None = None
_sample_limit = 1 << 53


def begin(session: Session) -> None:
    """Make the process's own run the current one."""
    global _session, _sample_limit
    _session = session
    _sample_limit = int(session.config.sample * (1 << 53))
    _ids.clear()
    _ended.clear()
    _ids[buffer.MAIN_SPAN] = (session.trace, session.main_span_id, None)


class Span:
    """An open span.

    Attributes:
        number: Its number in this recording; 0 if its run is not sampled.
        trace_id: 128 bits.
        span_id: 64 bits.
        seq: Sequence number of the event that opened it.
        carried: What came with the request it serves, and goes on with those it leads to.
        entity: What its first and last event are about.
        row: Its definition, a row of ``schema.SPANS``.
        token: What makes its parent current again, while it is current.
    """

    __slots__ = (
        "_effect",
        "_role",
        "carried",
        "entity",
        "number",
        "row",
        "seq",
        "span_id",
        "token",
        "trace_id",
    )

    def __init__(self, number: int, trace_id: int, span_id: int, role: int, effect: int) -> None:
        self.number = number
        self.trace_id = trace_id
        self.span_id = span_id
        self.seq = 0
        self.carried: Any = None
        self.entity = 0
        self._role = role
        self._effect = effect
        self.row: tuple[Any, ...] = ()
        self.token: Token[int] | None = None

    def rename(self, name: str) -> None:
        """Give the span the name it turned out to have."""
        if self.number and name != self.row[-1]:
            self.row = (*self.row[:-1], name)
            journal.write_span(self.row)

    def end(
        self,
        outcome: Outcome = Outcome.OK,
        attrs: dict[str, Any] | None = None,
        error: BaseException | None = None,
        *,
        wait_ns: int = 0,
    ) -> None:
        """Record the end of the span and make its parent current again.

        Args:
            outcome: How it ended.
            attrs: Redacted JSON values known at the end.
            error: What it failed with; recorded as an event before the end.
            wait_ns: How long the running code waited for what it got.
        """
        if self.number:
            # It may end in another context than it began in, or was never current.
            token = None if buffer.SPAN.get() == self.number else buffer.SPAN.set(self.number)
            cause = 0
            if error is not None:
                cause = errors.record(EventKind.ERROR_RAISED, error)
            what = (_RESULT | self._effect << 8 if self._effect else _ENDS[self._role]) | outcome << 16
            seq = buffer.emit_at(what, self.entity, 0, wait_ns, 0, cause or self.seq)
            if seq and attrs:
                buffer.attach(seq, attrs)
            if token is not None:
                buffer.SPAN.reset(token)
            _ended.append(self.number)
            if len(_ended) > MAX_ENDED_SPANS:
                _ids.pop(_ended.popleft(), None)
        self.leave()

    def leave(self) -> None:
        """Make the parent current again without ending the span."""
        token, self.token = self.token, None
        if token is not None:
            try:  # noqa: SIM105  a third of what `suppress` takes
                buffer.SPAN.reset(token)
            except ValueError:  # ended in another context than it began in
                pass


def current_ids() -> tuple[int, int]:
    """Return trace id and span id of the current span; zeros if it is not recorded."""
    return ids_of(buffer.SPAN.get())


def ids_of(number: int) -> tuple[int, int]:
    """Return trace id and span id of an open span; zeros if it is not recorded, or has ended."""
    return _ids.get(number, (0, 0, None))[:2]


def start_span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    role: SpanRole = SpanRole.STEP,
    effect: int = 0,
    remote: tuple[int, int] | None = None,
    carried: Any = None,
    attrs: dict[str, Any] | None = None,
    enter: bool = True,
    site: int | None = None,
    entity: int = 0,
) -> Span:
    """Open a span below the current one, or a run of its own.

    Args:
        name: What people call it.
        kind: The side of a call it stands for.
        role: ``RUN`` opens a run: a new trace, unless *remote* names one.
        effect: The ``Operation`` of a span that crosses the process boundary; its start
            and end are then ``effect.call`` and ``effect.result``.
        remote: Trace id and span id of the caller in another process.
        carried: What came with the request it serves; by default what its parent has.
        attrs: Redacted JSON values known at the start.
        enter: Make it the current span of the running code.
        site: Where it begins; by default, where the running code stands.
        entity: What its first and last event are about.

    Returns:
        The span, to be ended with ``end``.
    """
    parent = buffer.SPAN.get()
    is_run = role == SpanRole.RUN
    if remote is not None:
        trace_id, parent_id = remote
    elif is_run:
        trace_id, parent_id = random_bits(128), 0
    else:
        trace_id, parent_id, carried = _ids.get(parent, (0, 0, None))
        if not trace_id and parent:
            trace_id = random_bits(128)
    if (is_run and not is_sampled(trace_id)) or not parent or len(_ids) >= MAX_LIVE_SPANS:
        span = Span(0, 0, 0, role, effect)
    else:
        number = definitions.next_span()
        span_id = random_bits(64)
        # A run that begins inside another one is its own tree, but remembers where.
        row = (number, trace_id >> 64, trace_id & _LOW, span_id, parent_id, parent, kind, role, effect, name)
        journal.write_span(row)
        _ids[number] = (trace_id, span_id, carried)
        span = Span(number, trace_id, span_id, role, effect)
        span.carried = carried
        span.row = row
    span.entity = entity
    if enter:
        span.token = buffer.SPAN.set(span.number)
    if span.number:
        token = None if enter else buffer.SPAN.set(span.number)
        what = _CALL | effect << 8 if effect else _STARTS[role]
        span.seq = buffer.emit(what, entity) if site is None else buffer.emit_at(what, entity, site)
        if token is not None:
            buffer.SPAN.reset(token)
        if span.seq and attrs:
            buffer.attach(span.seq, attrs)
    return span


def is_sampled(trace_id: int) -> bool:
    """Decide from the trace id whether a run is recorded: every process decides alike."""
    return (trace_id & (1 << 53) - 1) < _sample_limit
