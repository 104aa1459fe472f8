"""How durations and names of types read."""

from __future__ import annotations

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def duration(ns: int) -> str:
    """Write a duration in a fitting unit, three digits: ``1.28 s``, ``412 ms``, ``15.3 µs``."""
    for size, unit in _UNITS:
        if abs(ns) >= size:
            amount = ns / size
            digits = 2 if abs(amount) < 10 else 1 if abs(amount) < 100 else 0
            return f"{amount:,.{digits}f} {unit}"
    return "0 ns"


def short_type(name: str) -> str:
    """Write the name of a class as its programmers would: ``CancelledError``, ``sqlite3.OperationalError``."""
    return name.removeprefix("__main__.").removeprefix("asyncio.exceptions.")
