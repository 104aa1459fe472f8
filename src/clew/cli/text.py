"""How numbers, times and tables read in the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from clew.analysis.words import duration

if TYPE_CHECKING:
    from collections.abc import Sequence


def moment(ns: int) -> str:
    """Write a time since the start: ``+1.284 s``."""
    return f"+{ns / 1e9:.3f} s" if ns >= 0 else f"-{-ns / 1e9:.3f} s"


def age(ns: int) -> str:
    """Write a time since the start in a fitting unit: ``+12.3 ms``."""
    return f"+{duration(ns)}" if ns >= 0 else f"-{duration(-ns)}"


def size(count: int) -> str:
    """Write a number of bytes: ``1.2 MB``."""
    power = min((len(str(count)) - 1) // 3, 3)
    return f"{count / 1000**power:.1f} {('B', 'kB', 'MB', 'GB')[power]}" if power else f"{count} B"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 process``, ``3 processes``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def fit(text: str, width: int) -> str:
    """Cut *text* to *width* characters, with an ellipsis where it was cut."""
    return cut(" ".join(text.split()), width)


def cut(text: str, width: int) -> str:
    """Cut *text* to *width* characters, its spaces as they are."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def columns(rows: Sequence[Sequence[str]], align: str, *, indent: str = "  ") -> list[str]:
    """Lay out rows in columns; on a terminal, lines are cut to its width.

    Args:
        rows: Cells; every row of one length.
        align: One letter a column: ``l`` or ``r``. The last column is not padded.
        indent: What begins each line.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines: list[str] = []
    most = terminal_width(most=1000) if sys.stdout.isatty() else None
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ]
        line = (indent + "  ".join(cells)).rstrip()
        lines.append(cut(line, most) if most is not None else line)
    return lines


class Style:
    """Colours, where stdout is a terminal and ``NO_COLOR`` is not set."""

    def __init__(self) -> None:
        self._is_on = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def heading(self, text: str) -> str:
        """Set *text* as a heading."""
        return self._wrap(text, "1")

    def bad(self, text: str) -> str:
        """Mark *text* as an error: colour is never the only sign."""
        return self._wrap(text, "35")

    def dim(self, text: str) -> str:
        """Set *text* back."""
        return self._wrap(text, "2")

    def _wrap(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._is_on else text


def terminal_width(least: int = 80, most: int = 120) -> int:
    """Return how many characters a line may have."""
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        width = 100
    return max(least, min(width, most))
