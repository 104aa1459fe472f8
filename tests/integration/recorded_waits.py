"""Events of waiting, as the tests of asyncio's synchronisation compare them."""

from __future__ import annotations

from typing import Any


def waits(done: Any, **named: str) -> list[tuple[str, str, str, str]]:
    """Scope, verb, operation and outcome of every ``sync`` event of an ``entity`` or ``scope`` of that name."""
    return [
        (event.scope.name, event.kind.removeprefix("sync."), event.op, event.outcome)
        for event in done.of(*{event.kind for event in done.events if event.kind.startswith("sync.")}, **named)
    ]


def origins(done: Any, event: Any) -> list[Any]:
    """The causes of *event*: what enabled it, what enabled that, and so on."""
    by_seq = {other.seq: other for other in done.events}
    chain: list[Any] = []
    while event.cause:
        event = by_seq[event.cause]
        chain.append(event)
    return chain


def waker(done: Any, event: Any) -> Any:
    """The event that woke the step in which *event*, the end of a wait, was recorded."""
    step, woke = origins(done, event)[:2]
    assert step.kind == "life.step"
    assert step.scope == event.scope
    return woke
