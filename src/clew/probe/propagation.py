"""W3C Trace Context: how a run goes on in another process.

A request carries ``traceparent`` (which trace, which span called, was it recorded) and
``tracestate`` (what other tracing systems want handed on). Both levels of the
specification are read; level 2 is written. In a key of ``tracestate``, level 2 allows
``@`` anywhere; level 1, and the conformance suite, only between tenant and system: that
is what is accepted here.

Source: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/trace-context-2/.
Policy (what is restarted, forwarded, sampled): ``docs/reference/propagation.md``.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from clew.probe.session import random_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from clew.probe.context import Span

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
SAMPLED = 0x01
"""Trace flag: the sender recorded this."""
RANDOM = 0x02
"""Trace flag of level 2: the right-most 7 bytes of the trace id are random."""
MAX_MEMBERS = 32

# A version this code does not know may have more fields after a dash.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = r"[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
# Printable ASCII without comma and equals sign; a space may stand anywhere but at the end.
_MEMBER = re.compile(rf"({_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
_OPTIONAL_SPACE = " \t"


class TraceContext:
    """What came with a request, and goes on with the requests it leads to.

    Attributes:
        trace_id: 128 bits, never 0.
        span_id: 64 bits, the caller's span; 0 if no caller named one.
        flags: The trace flags that are known to this code.
        state: The value of ``tracestate``, its members checked; empty if there is none.
    """

    __slots__ = ("flags", "span_id", "state", "trace_id")

    def __init__(self, trace_id: int, span_id: int, flags: int, state: str = "") -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.state = state


FORWARDED: ContextVar[TraceContext | None] = ContextVar("clew_forwarded", default=None)
"""Where nothing is recorded (span 0): what outgoing requests carry on nevertheless."""


def parse(parents: list[str], states: list[str]) -> TraceContext | None:
    """Read the headers of one request.

    Args:
        parents: The value of every ``traceparent`` header, in any case of its name.
        states: The value of every ``tracestate`` header, in order.

    Returns:
        None where the trace has to be restarted: there is not exactly one
        ``traceparent``, or it does not follow the specification. A ``tracestate`` that
        does not is left out.
    """
    if len(parents) != 1:
        return None
    match = _TRACEPARENT.fullmatch(parents[0].strip(_OPTIONAL_SPACE))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if rest is not None and version == "00":
        return None
    known = int(flags, 16) & (SAMPLED | RANDOM)
    return TraceContext(int(trace_id, 16), int(span_id, 16), known, parse_state(states) if states else "")


def parse_state(values: Iterable[str]) -> str:
    """Return the members of all ``tracestate`` headers as one value, empty if any is wrong.

    Keeps their order; leaves out empty members and optional white space.
    """
    members: list[str] = []
    keys: set[str] = set()
    for value in values:
        for part in value.split(","):
            member = part.strip(_OPTIONAL_SPACE)
            if not member:
                continue
            match = _MEMBER.fullmatch(member)
            if match is None or match[1] in keys or len(members) == MAX_MEMBERS:
                return ""
            keys.add(match[1])
            members.append(member)
    return ",".join(members)


def format_parent(trace_id: int, span_id: int, flags: int) -> str:
    """Return the value of ``traceparent``."""
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"


def outgoing(span: Span | None) -> tuple[str, str]:
    """Return ``traceparent`` and ``tracestate`` of a request that is the work of *span*.

    Args:
        span: The span of the request; None if it is not recorded.

    Returns:
        Two values; empty where the header is not to be sent.
    """
    if span is not None and span.number:
        came: TraceContext | None = span.carried
        # Trace ids of clew's own making are random in all their bits.
        flags = SAMPLED | (RANDOM if came is None else came.flags & RANDOM)
        return format_parent(span.trace_id, span.span_id, flags), "" if came is None else came.state
    forwarded = FORWARDED.get()
    if forwarded is None:
        return "", ""
    span_id = forwarded.span_id or random_bits(64) or 1
    return format_parent(forwarded.trace_id, span_id, forwarded.flags), forwarded.state
