"""The clocks of several processes, put on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SAME_CLOCK_NS = 1_000_000_000
"""Two processes whose monotonic clocks stand this close to each other against the wall
clock, on one host, read the same clock: it is shared there, and only adjustments of the
wall clock between their starts tell them apart. (Containers can have clocks of their own.)"""


def wall_offset(head: Mapping[str, Any]) -> int:
    """Return what to add to a process's own clock for Unix time, in ns; 0 if that is not known.

    Args:
        head: Of its PROCESS chunks.
    """
    return _number(head.get("wall_ns")) - _number(head.get("monotonic_ns"))


def wall_offsets(heads: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return for each process what to add to its clock, the same for those that share one.

    Args:
        heads: Of their PROCESS chunks, in the order of their starts.
    """
    offsets: list[int] = []
    known: list[tuple[object, int]] = []
    for head in heads:
        offset = wall_offset(head)
        host = head.get("host")
        for other, reference in known:
            if other == host and abs(offset - reference) < SAME_CLOCK_NS:
                offset = reference
                break
        else:
            known.append((host, offset))
        offsets.append(offset)
    return offsets


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1 << 62 else 0
