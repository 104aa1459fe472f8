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
    abandon,
    begin,
    end,
    get_number,
    make_signal,
    make_wait,
    meet,
    note,
    number_of_met,
)
from clew.probe.sites import LIBRARY, tier_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

ACQUIRE = EventKind.SYNC_ACQUIRE | OP_ACQUIRE
ACQUIRED = EventKind.SYNC_ACQUIRED | OP_ACQUIRE
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


resumed: dict[int, int] = {}
"""By scope that waits for a condition: the step in which it woke to ask for the lock again, else 0."""


def install(module: ModuleType, session: Session) -> None:
    """Hook the primitives of *module*, which is asyncio."""
    session.at_begin.append(resumed.clear)
    disabled = session.config.disable
    if locks.name not in disabled:
        locks.replace(module.Lock, "acquire", _make_acquire)
        locks.replace(module.Lock, "release", _make_release)
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
        events.replace(module.Event, "clear", _make_clear)
    if conditions.name not in disabled:
        conditions.replace(module.Condition, "wait", _make_condition_wait)
        conditions.replace(module.Condition, "notify", _make_notify)
    if barriers.name not in disabled:
        wait = make_wait(
            barriers, EntityKind.BARRIER, WAIT | OP_BARRIER_WAIT, AWAIT, _is_barrier_closed, _describe_barrier
        )
        barriers.replace(module.Barrier, "wait", wait)


# -- whether the caller has to wait, as each primitive decides it itself


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
    return f'{{"lock":{number_of_met(condition._lock)}}}'


def _describe_barrier(barrier: Any) -> str:
    return f'{{"parties":{int(barrier._parties)}}}'


# -- locks, and the event of every queue: written out, since they are used the most


def _make_acquire(original: Any) -> Any:
    """Hook ``Lock.acquire``; a free lock is taken as asyncio does it, in one assignment."""
    is_known = original.__code__.co_names[:3] == ("_locked", "_waiters", "all")

    async def acquire(self: Any) -> Any:
        started = None
        is_free = False
        try:
            number = get_number(id(self))
            if number is None:
                number = meet(self, EntityKind.LOCK, _getframe(1))
            if resumed:
                _note_resumed()
            if not self._locked and not self._waiters:
                is_free = is_known
            elif number and (self._locked or not all(waiter.cancelled() for waiter in self._waiters)):
                started = begin(ACQUIRE, number)
            if is_free and number:
                note(ACQUIRED, number)
        except Exception as error:
            locks.failed(error)
            number = 0
        if is_free:
            self._locked = True
            return True
        try:
            result = await original(self)
        except BaseException as error:
            hide_frame(error)
            if number:
                abandon(locks, OP_ACQUIRE, number, started, error)
            raise
        try:
            if started is not None:
                end(ACQUIRED, number, started)
            elif number:
                note(ACQUIRED, number)
        except Exception as error:
            locks.failed(error)
        return result

    return acquire


def _make_release(original: Any) -> Any:
    def release(self: Any) -> Any:
        try:
            if self._locked:
                number = get_number(id(self))
                if number is None:
                    number = meet(self, EntityKind.LOCK, _getframe(1))
                if number:
                    note(RELEASE, number)
        except Exception as error:
            locks.failed(error)
        try:
            return original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return release


def _make_clear(original: Any) -> Any:
    def clear(self: Any) -> Any:
        try:
            if self._value:
                number = get_number(id(self))
                if number is None:
                    frame = _getframe(1)
                    number = 0 if tier_of(frame.f_code) == LIBRARY else meet(self, EntityKind.EVENT, frame)
                if number:
                    note(CLEAR, number)
        except Exception as error:
            events.failed(error)
        try:
            return original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return clear


# -- conditions


def _make_condition_wait(original: Any) -> Any:
    """Hook ``Condition.wait``, which takes its lock again before it returns.

    What enabled its end is not that acquisition but the step before it, which the
    notification or a cancellation woke.
    """

    async def wait(self: Any) -> Any:
        started = None
        cause = 0
        try:
            number = get_number(id(self))
            if number is None:
                number = meet(self, EntityKind.CONDITION, _getframe(1), _describe_condition)
            if number and _is_lock_held(self):
                started = begin(WAIT | OP_NOTIFY_WAIT, number)
                resumed[started[2]] = 0
        except Exception as error:
            conditions.failed(error)
            number = 0
        try:
            result = await original(self)
        except BaseException as error:
            hide_frame(error)
            if started is not None:
                cause = resumed.get(started[2], 0)
            if number:
                abandon(conditions, OP_NOTIFY_WAIT, number, started, error, 0, cause)
            raise
        finally:
            if started is not None:
                cause = resumed.pop(started[2], 0)
        try:
            if started is not None:
                end(AWAIT | OP_NOTIFY_WAIT, number, started, 0, cause)
        except Exception as error:
            conditions.failed(error)
        return result

    return wait


def _note_resumed() -> None:
    """Note that the running scope asks for a lock, if it does so at the end of a condition's wait."""
    state = buffer.thread_state()
    if resumed.get(state.scope) == 0:
        resumed[state.scope] = state.cursor


def _make_notify(original: Any) -> Any:
    def notify(self: Any, n: Any = 1) -> Any:
        try:
            number = get_number(id(self))
            if number is None:
                number = meet(self, EntityKind.CONDITION, _getframe(1), _describe_condition)
            if number and issubclass(type(self._lock), Lock):
                if self._lock._locked:
                    note(NOTIFY, number, _count_waiting(self._waiters, n))
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
                note(NOTIFY, number)
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
