"""A progress bar on stderr: only on a terminal, only for work that takes over a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE_S = 1.0
REDRAW_S = 0.1
WIDTH = 30


class Progress:
    """A bar; a context manager, to be called with the amount done since the last call.

    Args:
        total: How much there is to do; 0 if that is not known.
        label: What is being done.
    """

    def __init__(self, total: int, label: str) -> None:
        self._total = total
        self._label = label
        self._done = 0
        self._next_draw = time.monotonic() + PATIENCE_S
        self._is_shown = sys.stderr.isatty()
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_drawn:
            sys.stderr.write("\r\x1b[K")

    def __call__(self, amount: int) -> None:
        """Note that *amount* more is done."""
        self._done += amount
        if not self._is_shown:
            return
        now = time.monotonic()
        if now < self._next_draw:
            return
        self._next_draw = now + REDRAW_S
        self._is_drawn = True
        sys.stderr.write(f"\r\x1b[K{self._label} {self._bar()}")
        sys.stderr.flush()

    def _bar(self) -> str:
        if not self._total:
            return f"{self._done:,}"
        part = min(self._done / self._total, 1.0)
        filled = round(part * WIDTH)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {part:4.0%}"
