"""Functions that a signal cannot strike at their entry.

CPython runs signal handlers between two instructions of Python code, so also at the very
first one of a function, before any ``try`` of it. A handler that raises there
(KeyboardInterrupt) ends the call before it did anything. For a hook around the release
of a lock this would be a lock held for ever, which the C method it stands for cannot be.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    F = TypeVar("F")


def cover_entry(function: F) -> F:
    """Make the first ``try`` of *function* begin at its entry.

    Its handler then runs with nothing but the parameters set. The exception table of the
    code object is rewritten; where it is not understood, *function* stays as it is.

    Source: CPython, Objects/exception_handling_notes.txt (the table's format, since 3.11).
    """
    target: Any = function
    code = target.__code__
    try:
        entries = _decode(code.co_exceptiontable)
        first = min(entries)
    except (IndexError, ValueError):
        return function
    index = entries.index(first)
    start, length, handler, depth = first
    entries[index] = (0, length + start, handler, depth)
    table = b"".join(_encode(entry) for entry in sorted(entries))
    target.__code__ = code.replace(co_exceptiontable=table)
    return function


_Entry = tuple[int, int, int, int]
"""First instruction, number of them, handler, stack depth << 1 | whether the offset is pushed."""


def _decode(table: bytes) -> list[_Entry]:
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            numbers.append(value)
            value = 0
    return list(zip(*[iter(numbers)] * 4, strict=True))


def _encode(entry: _Entry) -> bytes:
    """Return the table's bytes of *entry*: groups of six bits, the first byte marked."""
    result = bytearray()
    for value in entry:
        groups = [value & 63]
        while value := value >> 6:
            groups.append(value & 63 | 64)
        result += bytes(reversed(groups))
    result[0] |= 128
    return bytes(result)
