"""Work that makes millions of objects and no cycles, without the garbage collector in it.

The collector looks through all objects that are there whenever enough new ones are: of a
recording of a million events that takes as long again as to read it.
"""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

_lock = threading.Lock()
_inside = 0
_was_on = False


@contextmanager
def uncollected() -> Generator[None]:
    """Collect no garbage meanwhile, in any thread; what has no cycles is freed all the same.

    Thread safety: yes; the collector goes on when the last one leaves.
    """
    global _inside, _was_on
    with _lock:
        if _inside == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _was_on:
                gc.enable()
