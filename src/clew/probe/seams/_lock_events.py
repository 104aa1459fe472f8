"""What is recorded of a lock, whichever kind it is: where it was made, waits, its end."""

from __future__ import annotations

from _thread import TIMEOUT_MAX
from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions, sites
from clew.probe.buffer import emit
from clew.probe.definitions import number_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    import weakref
    from types import CodeType, FrameType
    from typing import Any

    from clew.probe.patching import Hooks

ACQUIRE = EventKind.SYNC_ACQUIRE | Operation.ACQUIRE << 8
ACQUIRED = EventKind.SYNC_ACQUIRED | Operation.ACQUIRE << 8
RELEASE = EventKind.SYNC_RELEASE | Operation.ACQUIRE << 8
ABANDON = EventKind.SYNC_ABANDON | Operation.ACQUIRE << 8
TIMED_OUT = ABANDON | Outcome.TIMEOUT << 16
INTERRUPTED = ABANDON | Outcome.FAILED << 16
WOULD_BLOCK = ABANDON | Outcome.WOULD_BLOCK << 16

is_for_everybody = False
"""The setting ``locks`` is ``all``."""
_INSIDE = frozenset(
    {
        "threading",
        "queue",
        "multiprocessing.queues",
        "concurrent.futures.thread",
        "concurrent.futures.process",
        "concurrent.futures._base",
    }
)
"""Modules whose locks are the inside of primitives that are recorded themselves."""


def is_recorded(frame: FrameType) -> bool:
    """Tell whether a lock made by the code in *frame* is to record."""
    if not is_for_everybody:
        return sites.tier_of(frame.f_code) == sites.USER
    name = frame.f_globals.get("__name__")
    return name not in _INSIDE and not (type(name) is str and name.startswith("clew."))


class Made:
    """Where a lock was made, and for what: what its definition will say.

    Attributes:
        owner: Weak reference to the condition it was made for, or None.
    """

    __slots__ = ("code", "offset", "owner")

    def __init__(self, frame: FrameType, owner: weakref.ref[Any] | None) -> None:
        self.code: CodeType = frame.f_code
        self.offset = frame.f_lasti
        self.owner = owner


def number_of(lock: Any, kind: EntityKind) -> int:
    """Return the number of *lock*, defining it at its first use in this process."""
    number = number_at(id(lock))
    return _define(lock, kind) if number is None else number


def _define(lock: Any, kind: EntityKind) -> int:
    made: Made = lock._made
    lock._released = 0  # an event of the process this one was forked from
    thing = made.owner() if made.owner is not None else lock
    frame = sites.user_frame(4)
    name = definitions.variable_name(thing, frame) if frame is not None and thing is not None else ""
    type_name = "_thread.RLock" if kind == EntityKind.RLOCK else "_thread.lock"
    site = sites.site_of_code(made.code, made.offset)
    return definitions.register(lock, kind, name, type_name=type_name, site=site)


def begin_wait(lock: Any, kind: EntityKind, hooks: Hooks) -> int:
    """Record that *lock* is not free; return when."""
    try:
        emit(ACQUIRE, number_of(lock, kind))
        return monotonic_ns()
    except Exception as error:
        hooks.failed(error)
        return 0


def end_wait(lock: Any, kind: EntityKind, hooks: Hooks, what: int, began: int) -> None:
    """Record that *lock* was got after a wait, or was not got.

    Args:
        lock: The lock.
        kind: Its kind.
        hooks: The group that records it.
        what: ``ACQUIRED``, or why not.
        began: What ``begin_wait`` returned; 0 if there was no wait.
    """
    try:
        number = number_of(lock, kind)
        cause = lock._released if what == ACQUIRED and began else 0
        emit(what, number, monotonic_ns() - began if began else 0, 0, cause)
    except Exception as error:
        hooks.failed(error)


def limit_of(blocking: Any, timeout: Any) -> tuple[Any, ...] | None:
    """Return what limits a wait with these arguments, as further arguments of ``map``.

    Returns:
        ``()`` for no limit, a tuple of the timeout, or None if it is no wait, or the
        arguments are not the usual ones: their own code must not run here.
    """
    if blocking is not True and not (type(blocking) is int and blocking == 1):
        return None
    if type(timeout) not in (int, float):
        return None
    return () if timeout == -1 else ((timeout,),) if 0 < timeout <= TIMEOUT_MAX else None
