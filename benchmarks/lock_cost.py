"""What recording adds to an uncontended ``with lock:``, by kind of lock.

python benchmarks/lock_cost.py
clew run --quiet -o /tmp/lock_cost.clew benchmarks/lock_cost.py

Prints nanoseconds of processor time for one acquire and release, loop included: the
minimum of many short rounds, which other programs on the machine disturb least.
"""

from __future__ import annotations

import _thread
import threading
from time import sleep, thread_time_ns
from typing import Any

PAIRS = 500
ROUNDS = 60


def cost(lock: Any) -> float:
    """Return the least time of one ``with lock: pass``, in nanoseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = thread_time_ns()
        for _ in range(PAIRS):
            with lock:
                pass
        best = min(best, thread_time_ns() - began)
        sleep(0.01)  # the drain catches up: dropped events would be cheaper
    return best / PAIRS


if __name__ == "__main__":
    for name, lock in (
        ("_thread.allocate_lock()", _thread.allocate_lock()),
        ("threading.Lock()", threading.Lock()),
        ("threading.RLock()", threading.RLock()),
    ):
        print(f"{name:24} {cost(lock):7.0f} ns")
