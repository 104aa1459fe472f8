"""Coroutines of runs that are not sampled: no task that is made of them is recorded.

Apart from the seam that makes tasks known, which imports asyncio: a web framework may be
imported in a program that never does.
"""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_left_out: weakref.WeakSet[Any] = weakref.WeakSet()


def leave_out(coroutine: Any) -> None:
    """Do not record the task that is about to be made of *coroutine*: its run is not sampled."""
    _left_out.add(coroutine)


def is_left_out(coroutine: Any) -> bool:
    """Tell whether a task of *coroutine* is not to be recorded."""
    return bool(_left_out) and coroutine in _left_out
