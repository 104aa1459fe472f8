"""Which service called which, how often, with what success, and how long did it take?

Definition: a call is a span of one process whose parent is a span of another, joined by the
parent's id within one trace; it is counted from the service of the parent to its own. How
long it took is what the caller saw, if the parent is a span of kind ``client`` or ``producer``
(one of these has one child), or else what the callee took. What a service did for others, or
of its own accord, are its spans that have no parent in their process.

Can miss: calls to what is not recorded, and those of which only one side is. Can wrongly
report: nothing known.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CALLING = ("client", "producer")
_BAD = ("failed", "timeout", "cancelled")


class ServiceSpan(NamedTuple):
    """A span, as far as calls between services need to know.

    Attributes:
        run: Its trace id.
        outcome: How it ended; empty if it did not.
    """

    process: str
    service: str
    run: str
    span_id: str
    parent_id: str
    kind: str
    duration_ns: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Service:
    """A service.

    Attributes:
        spans: How many of its spans have no parent in their process.
        errors: How many of these went wrong.
        median_ns: Of those that ended, how long they took; 0 if none did.
        p95_ns: That none of 95 in 100 took longer than.
    """

    name: str
    spans: int
    errors: int
    median_ns: int
    p95_ns: int


@dataclass(frozen=True, slots=True)
class Call:
    """How one service called another; as of ``Service``."""

    caller: str
    callee: str
    count: int
    errors: int
    median_ns: int
    p95_ns: int


@dataclass(frozen=True, slots=True)
class ServiceGraph:
    """Services by name, and calls by caller and callee."""

    services: tuple[Service, ...]
    calls: tuple[Call, ...]


def service_graph(spans: Iterable[ServiceSpan]) -> ServiceGraph:
    """Return services and the calls between them.

    Args:
        spans: Of any number of runs and processes, in any order.

    Complexity: O(n log n) for n spans.
    """
    found = list(spans)
    by_id = {(span.run, span.span_id): span for span in found}
    own: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    calls: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
    for span in found:
        parent = by_id.get((span.run, span.parent_id)) if span.parent_id else None
        if parent is not None and parent.process == span.process:
            continue
        own[span.service].append(_took(span))
        if parent is not None:
            seen, is_seen_bad = _took(parent) if parent.kind in _CALLING else _took(span)
            calls[parent.service, span.service].append((seen, is_seen_bad or span.outcome in _BAD))
    return ServiceGraph(
        tuple(Service(name, *_figures(took)) for name, took in sorted(own.items())),
        tuple(Call(*ends, *_figures(took)) for ends, took in sorted(calls.items())),
    )


def _took(span: ServiceSpan) -> tuple[int, bool]:
    return span.duration_ns if span.outcome else -1, span.outcome in _BAD


def _figures(took: Sequence[tuple[int, bool]]) -> tuple[int, int, int, int]:
    """Return how many, how many bad ones, and the median and 95th percentile (nearest rank) of those that ended."""
    times = sorted(duration_ns for duration_ns, _ in took if duration_ns >= 0)
    count = len(times)
    median_ns, p95_ns = (times[-(-count * part // 100) - 1] if count else 0 for part in (50, 95))
    return len(took), sum(is_bad for _, is_bad in took), median_ns, p95_ns
