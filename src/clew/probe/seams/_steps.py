"""Steps of threads and of executors' jobs: a scope runs, from when to when.

A step is one event. If it is quick, its slot gets its duration when it ends; otherwise a
second event says so, so that a step which never ends is in the recording.
"""

from __future__ import annotations

import struct
from functools import partial
from time import monotonic_ns
from types import BuiltinMethodType, FunctionType, MethodType

from clew.format.ring import ARG_OFFSET, SLOT_SIZE
from clew.model.kinds import EventKind, Operation
from clew.probe import buffer, definitions, sites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

QUICK_NS = 5_000_000
"""A step shorter than this gets its duration in its own slot, where the drain looks no
sooner than twice this after it began (``collector.BUSY_PAUSE_S``)."""
RUN_STEP = EventKind.LIFE_STEP | Operation.RUN << 8
STEP_END = int(EventKind.LIFE_STEP_END)
_pack_end = struct.Struct("@QI").pack_into


class Step:
    """A step that has begun.

    Args:
        entity: What runs, beside the scope: a job's future.
        site: First line of the code that runs.
        wait_ns: How long it was ready.
        cause: The event that made it ready.
    """

    __slots__ = ("began", "entity", "epoch", "seq", "slots")

    def __init__(self, entity: int, site: int, wait_ns: int, cause: int) -> None:
        self.entity = entity
        self.seq = buffer.emit_at(RUN_STEP, entity, site, wait_ns, 0, cause)
        self.began = monotonic_ns()
        # Known after the event, which may have been the first one of a forked child.
        self.epoch = definitions.epoch
        self.slots = buffer.slots

    def end(self) -> None:
        """Say how long it took."""
        seq = self.seq
        if not seq or self.epoch != definitions.epoch:
            return  # not recorded, or a forked child returns from its parent's step
        duration = monotonic_ns() - self.began
        if duration < QUICK_NS and self.slots is buffer.slots and seq < buffer.limit:
            _pack_end(buffer.slots, (seq & buffer.mask) * SLOT_SIZE + ARG_OFFSET, duration, self.entity)
        else:
            buffer.emit_at(STEP_END, self.entity, 0, 0, duration, seq)


def function_of(target: Any) -> Any:
    """Return the Python function that calling *target* runs, None if that is not plain to see.

    Looks through bound methods, ``functools.partial``, and ``Context.run``, which
    ``asyncio.to_thread`` puts around what it was given.
    """
    for _ in range(4):
        kind = type(target)
        if kind is FunctionType:
            return target
        if kind is MethodType:
            target = target.__func__
        elif kind is partial:
            is_run = type(target.func) is BuiltinMethodType and target.func.__name__ == "run"
            target = target.args[0] if is_run and target.args else target.func
        else:
            return None
    return None


def name_of(target: Any) -> str:
    """Return the name of the function that calling *target* runs, as far as that is plain."""
    function = function_of(target)
    if function is None and type(target) is BuiltinMethodType:
        function = target
    return "" if function is None else function.__qualname__


def site_of_function(function: Any) -> int:
    """Return the first line of *function* as a site, 0 if it is None or the standard library's."""
    if function is None or sites.tier_of(function.__code__) == sites.HIDDEN:
        return 0
    return sites.site_of_code(function.__code__, -1)
