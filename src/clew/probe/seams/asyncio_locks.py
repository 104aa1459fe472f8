"""Locks, semaphores, events, conditions and barriers of asyncio.

What wakes somebody is recorded before it does, so that the step which is woken has it
as its cause; that it will not be refused is looked up first. During ``Condition.wait``
the lock's own release and acquire are recorded as such, since the condition calls them
by the lock's methods.
"""

from __future__ import annotations

from asyncio import Lock
from itertools import islice

from clew.model.kinds import EntityKind, EventKind
from clew.probe import buffer
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams.asyncio_waits import (
    AWAIT,
    NOTIFY,
    OP_ACQUIRE,
    OP_BARRIER_WAIT,
    OP_EVENT_WAIT,
    OP_NOTIFY_WAIT,
    WAIT,
    _getframe,
    get_number,
    make_signal,
    make_wait,
    meet,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

ACQUIRE = EventKind.SYNC_ACQUIRE | OP_ACQUIRE
ACQUIRED = int(EventKind.SYNC_ACQUIRED)
RELEASE = int(EventKind.SYNC_RELEASE)
SET = int(EventKind.SYNC_SET)
CLEAR = int(EventKind.SYNC_CLEAR)
MAX_COUNTED = 1000
"""Most waiters of a condition that are looked at to count those who are notified."""

locks = Hooks("asyncio.Lock")
semaphores = Hooks("asyncio.Semaphore")
events = Hooks("asyncio.Event")
conditions = Hooks("asyncio.Condition")
barriers = Hooks("asyncio.Barrier")


def install(module: ModuleType, session: Session) -> None:
    """Hook the primitives of *module*, which is asyncio."""
    disabled = session.config.disable
    if locks.name not in disabled:
        locks.replace(module.Lock, "acquire", make_wait(locks, EntityKind.LOCK, ACQUIRE, ACQUIRED, _is_lock_taken))
        locks.replace(module.Lock, "release", make_signal(locks, EntityKind.LOCK, RELEASE, has_effect=_is_locked))
    if semaphores.name not in disabled:
        acquire = make_wait(semaphores, EntityKind.SEMAPHORE, ACQUIRE, ACQUIRED, _is_used_up, _describe_semaphore)
        semaphores.replace(module.Semaphore, "acquire", acquire)
        release = make_signal(semaphores, EntityKind.SEMAPHORE, RELEASE, describe=_describe_semaphore)
        semaphores.replace(module.Semaphore, "release", release)
    if events.name not in disabled:
        wait = make_wait(events, EntityKind.EVENT, WAIT | OP_EVENT_WAIT, AWAIT, _is_not_set)
        events.replace(module.Event, "wait", wait)
        change = make_signal(events, EntityKind.EVENT, SET, has_effect=_is_not_set, count=_count_waiters)
        events.replace(module.Event, "set", change)
        events.replace(module.Event, "clear", make_signal(events, EntityKind.EVENT, CLEAR, has_effect=_is_set))
    if conditions.name not in disabled:
        wait = make_wait(
            conditions, EntityKind.CONDITION, WAIT | OP_NOTIFY_WAIT, AWAIT, _is_lock_held, _describe_condition
        )
        conditions.replace(module.Condition, "wait", wait)
        conditions.replace(module.Condition, "notify", _make_notify)
    if barriers.name not in disabled:
        wait = make_wait(
            barriers, EntityKind.BARRIER, WAIT | OP_BARRIER_WAIT, AWAIT, _is_barrier_closed, _describe_barrier
        )
        barriers.replace(module.Barrier, "wait", wait)


# -- whether the caller has to wait, or changes anything, as each primitive decides it itself


def _is_locked(lock: Any) -> bool:
    return lock._locked


def _is_set(event: Any) -> bool:
    return event._value


def _is_lock_taken(lock: Any) -> bool:
    waiters = lock._waiters
    return lock._locked or bool(waiters and not all(waiter.cancelled() for waiter in waiters))


def _is_used_up(semaphore: Any) -> bool:
    waiters = semaphore._waiters
    return semaphore._value == 0 or bool(waiters and not all(waiter.cancelled() for waiter in waiters))


def _is_not_set(event: Any) -> bool:
    return not event._value


def _is_lock_held(condition: Any) -> bool:
    """Without its lock, ``Condition.wait`` raises; of a lock of the program's, nothing is known."""
    lock = condition._lock
    return lock._locked if issubclass(type(lock), Lock) else True


def _is_barrier_closed(barrier: Any) -> bool:
    state = barrier._state.value
    if state == "broken":
        return False
    lock = barrier._cond._lock
    return state != "filling" or barrier._count + 1 != barrier._parties or lock._locked or bool(lock._waiters)


# -- what is particular to each


def _describe_semaphore(semaphore: Any) -> str:
    return f'{{"permits":{int(getattr(semaphore, "_bound_value", semaphore._value))}}}'


def _describe_condition(condition: Any) -> str:
    return f'{{"lock":{get_number(id(condition._lock)) or 0}}}'


def _describe_barrier(barrier: Any) -> str:
    return f'{{"parties":{int(barrier._parties)}}}'


# -- what wakes others


def _make_notify(original: Any) -> Any:
    def notify(self: Any, n: Any = 1) -> Any:
        try:
            number = get_number(id(self))
            if number is None:
                number = meet(self, EntityKind.CONDITION, _getframe(1), _describe_condition)
            if number and issubclass(type(self._lock), Lock):
                if self._lock._locked:
                    buffer.emit(NOTIFY, number, 0, _count_waiting(self._waiters, n))
                number = 0
        except Exception as error:
            conditions.failed(error)
            number = 0
        try:
            result = original(self, n)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            if number:  # with a lock of the program's: it could have been refused
                buffer.emit(NOTIFY, number)
        except Exception as error:
            conditions.failed(error)
        return result

    return notify


def _count_waiters(event: Any) -> int:
    return len(event._waiters)


def _count_waiting(waiters: Any, most: Any) -> int:
    """Return how many of *waiters* a notification of *most* wakes."""
    waiting = sum(not waiter.done() for waiter in islice(waiters, MAX_COUNTED))
    return max(0, min(waiting, most)) if type(most) is int else waiting
