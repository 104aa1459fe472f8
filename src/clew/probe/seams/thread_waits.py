"""threading.Condition, Semaphore, BoundedSemaphore, Event and Barrier.

All are Python classes: their methods are replaced on the class. A condition's lock is
recorded as the lock it is (``thread_locks``), also when a wait gives it back and takes it
again; the other four wait on conditions of their own, which stay silent (``_inner_waits``).

Can miss: reads of ``Event.is_set()`` that found it not set, which order nothing.
"""

from __future__ import annotations

from _thread import get_ident
from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions
from clew.probe.buffer import emit
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams import _inner_waits
from clew.probe.seams._inner_waits import Primitive, adopt, end_wait, meet, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

ACQUIRE = EventKind.SYNC_ACQUIRE | Operation.ACQUIRE << 8
ACQUIRED = EventKind.SYNC_ACQUIRED | Operation.ACQUIRE << 8
RELEASE = EventKind.SYNC_RELEASE | Operation.ACQUIRE << 8
SET = int(EventKind.SYNC_SET)
CLEAR = int(EventKind.SYNC_CLEAR)
NOTIFY = int(EventKind.SYNC_NOTIFY)
NOTIFY_WAIT = Operation.NOTIFY_WAIT << 8
EVENT_WAIT = EventKind.SYNC_WAIT | Operation.EVENT_WAIT << 8
EVENT_AWAIT = EventKind.SYNC_AWAIT | Operation.EVENT_WAIT << 8
EVENT_ABANDON = EventKind.SYNC_ABANDON | Operation.EVENT_WAIT << 8
BARRIER_WAIT = Operation.BARRIER_WAIT << 8
WAIT = int(EventKind.SYNC_WAIT)
AWAIT = int(EventKind.SYNC_AWAIT)
ABANDON = int(EventKind.SYNC_ABANDON)
TIMED_OUT = Outcome.TIMEOUT << 16
WOULD_BLOCK = Outcome.WOULD_BLOCK << 16
FAILED = Outcome.FAILED << 16

conditions = _inner_waits.hooks
semaphores = Hooks("threading.Semaphore")
events = Hooks("threading.Event")
barriers = Hooks("threading.Barrier")


def install(module: ModuleType, session: Session) -> None:
    """Hook the classes of *module*, which is threading."""
    session.at_begin.append(waiting.clear)
    disabled = session.config.disable
    if conditions.name not in disabled:
        conditions.replace(module.Condition, "wait", _make_condition_wait)
        conditions.replace(module.Condition, "notify", _make_notify)
    if semaphores.name not in disabled:
        semaphores.replace(module.Semaphore, "acquire", _make_semaphore_acquire)
        semaphores.replace(module.Semaphore, "__enter__", _make_semaphore_acquire)
        semaphores.replace(module.Semaphore, "release", _make_semaphore_release)
        semaphores.replace(module.BoundedSemaphore, "release", _make_semaphore_release)
    if events.name not in disabled:
        events.replace(module.Event, "wait", _make_event_wait)
        events.replace(module.Event, "is_set", _make_is_set)
        events.replace(module.Event, "set", lambda original: _make_event_change(original, SET))
        events.replace(module.Event, "clear", lambda original: _make_event_change(original, CLEAR))
    if barriers.name not in disabled:
        barriers.replace(module.Barrier, "wait", _make_barrier_wait)
        barriers.replace(module.Barrier, "_release", _make_barrier_release)
        barriers.replace(module.Barrier, "reset", _make_barrier_break)
        barriers.replace(module.Barrier, "abort", _make_barrier_break)


# -- conditions


def _primitive_of(condition: Any) -> Primitive:
    """Return what is remembered of a condition of the program's."""
    primitive = condition.__dict__.get("clew")
    if primitive is None or primitive.epoch != definitions.epoch:
        primitive = condition.__dict__["clew"] = meet(condition, EntityKind.CONDITION)
    return primitive


def _make_condition_wait(original: Any) -> Any:
    def wait(self: Any, timeout: Any = None) -> Any:
        number = began = 0
        try:
            primitive = _primitive_of(self)
            number = primitive.number
            if number:
                emit(WAIT | NOTIFY_WAIT, number)
                began = monotonic_ns()
        except Exception as error:
            conditions.failed(error)
        try:
            notified = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon(number, ABANDON | NOTIFY_WAIT | FAILED, began, conditions)
            raise
        try:
            waited = monotonic_ns() - began
            if not number:
                pass
            elif notified:
                emit(AWAIT | NOTIFY_WAIT, number, waited, 0, primitive.last)  # pyright: ignore[reportPossiblyUnboundVariable]
            else:
                emit(ABANDON | NOTIFY_WAIT | TIMED_OUT, number, waited)
        except Exception as error:
            conditions.failed(error)
        return notified

    return wait


def _make_notify(original: Any) -> Any:
    def notify(self: Any, n: Any = 1) -> None:
        before = 0
        try:
            before = len(self._waiters)
        except Exception as error:
            conditions.failed(error)
        try:
            original(self, n)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            # After it, since it may raise; nobody can be awake yet, the lock being held.
            primitive = _primitive_of(self)
            if primitive.number:
                primitive.last = emit(NOTIFY, primitive.number, 0, max(before - len(self._waiters), 0))
        except Exception as error:
            conditions.failed(error)

    return notify


def _abandon(number: int, what: int, began: int, hooks: Hooks) -> None:
    """Record that a wait ended without what was waited for."""
    try:
        if number:
            emit(what, number, monotonic_ns() - began if began else 0)
    except Exception as error:
        hooks.failed(error)


# -- semaphores


def _meet_semaphore(semaphore: Any) -> Primitive:
    primitive = meet(semaphore, EntityKind.SEMAPHORE, detail=f'{{"permits":{_count_of(semaphore)}}}')
    adopt(semaphore._cond, primitive, ACQUIRE)
    return primitive


def _count_of(semaphore: Any) -> int:
    """Return how many permits there were in the beginning, as far as that is known."""
    value = semaphore.__dict__.get("_initial_value", semaphore._value)
    return value if type(value) is int else 0


def _make_semaphore_acquire(original: Any) -> Any:
    def acquire(self: Any, blocking: Any = True, timeout: Any = None) -> Any:
        number = 0
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is None or primitive.epoch != definitions.epoch:
                primitive = _meet_semaphore(self)
            number = primitive.number
        except Exception as error:
            semaphores.failed(error)
        try:
            got = original(self, blocking, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon_inner(number, ABANDON | Operation.ACQUIRE << 8 | FAILED, semaphores)
            raise
        try:
            if number:
                waited = end_wait(number) if waiting else 0
                if got:
                    emit(ACQUIRED, number, waited, 0, primitive.last if waited else 0)  # pyright: ignore[reportPossiblyUnboundVariable, reportOptionalMemberAccess]
                else:
                    emit(ABANDON | Operation.ACQUIRE << 8 | (TIMED_OUT if waited else WOULD_BLOCK), number, waited)
        except Exception as error:
            semaphores.failed(error)
        return got

    return acquire


def _make_semaphore_release(original: Any) -> Any:
    def release(self: Any, n: Any = 1) -> None:
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is None or primitive.epoch != definitions.epoch:
                primitive = _meet_semaphore(self)
            if primitive.number and _may_release(self, n):
                # Before it is done, so that it stands before what it enables.
                primitive.last = emit(RELEASE, primitive.number, 0, n)
        except Exception as error:
            semaphores.failed(error)
        try:
            original(self, n)
        except BaseException as error:
            hide_frame(error)
            raise

    return release


def _may_release(semaphore: Any, n: Any) -> bool:
    """Tell whether releasing *n* permits will not raise."""
    limit = semaphore.__dict__.get("_initial_value")
    return type(n) is int and n > 0 and (limit is None or semaphore._value + n <= limit)


def _abandon_inner(number: int, what: int, hooks: Hooks) -> None:
    """Record that a wait, if it had begun, was ended by an exception."""
    try:
        waited = end_wait(number) if waiting and number else 0
        if waited:
            emit(what, number, waited)
    except Exception as error:
        hooks.failed(error)


# -- events


def _meet_event(event: Any) -> Primitive:
    primitive = meet(event, EntityKind.EVENT)
    adopt(event._cond, primitive, EVENT_WAIT)
    return primitive


def _make_event_wait(original: Any) -> Any:
    def wait(self: Any, timeout: Any = None) -> Any:
        number = 0
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is None or primitive.epoch != definitions.epoch:
                primitive = _meet_event(self)
            number = primitive.number
        except Exception as error:
            events.failed(error)
        try:
            is_set = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon_inner(number, EVENT_ABANDON | FAILED, events)
            raise
        try:
            if number:
                waited = end_wait(number) if waiting else 0
                if is_set:
                    primitive.seen, primitive.seen_by = primitive.last, get_ident()  # pyright: ignore[reportPossiblyUnboundVariable, reportOptionalMemberAccess]
                    emit(EVENT_AWAIT, number, waited, 0, primitive.last)  # pyright: ignore[reportPossiblyUnboundVariable, reportOptionalMemberAccess]
                else:
                    emit(EVENT_ABANDON | (TIMED_OUT if waited else WOULD_BLOCK), number, waited)
        except Exception as error:
            events.failed(error)
        return is_set

    return wait


def _make_is_set(original: Any) -> Any:
    def is_set(self: Any) -> Any:
        found = original(self)
        if found:
            try:
                primitive = getattr(self._cond, "clew", None)
                if primitive is None or primitive.epoch != definitions.epoch:
                    primitive = _meet_event(self)
                if primitive.number:
                    # Once for each set() and thread: a second look learns nothing new.
                    ident = get_ident()
                    if primitive.seen != primitive.last or primitive.seen_by != ident:
                        primitive.seen, primitive.seen_by = primitive.last, ident
                        emit(EVENT_AWAIT, primitive.number, 0, 0, primitive.last)
            except Exception as error:
                events.failed(error)
        return found

    return is_set


def _make_event_change(original: Any, what: int) -> Any:
    """Return ``set`` or ``clear``, recorded before it is done: before what it enables."""

    def change(self: Any) -> None:
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is None or primitive.epoch != definitions.epoch:
                primitive = _meet_event(self)
            if primitive.number:
                seq = emit(what, primitive.number)
                if what == SET:
                    primitive.last = seq
        except Exception as error:
            events.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return change


# -- barriers


def _meet_barrier(barrier: Any) -> Primitive:
    parties = barrier._parties
    primitive = meet(barrier, EntityKind.BARRIER, detail=f'{{"parties":{parties}}}' if type(parties) is int else "")
    adopt(barrier._cond, primitive, 0)
    return primitive


def _make_barrier_wait(original: Any) -> Any:
    def wait(self: Any, timeout: Any = None) -> Any:
        number = began = 0
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is None or primitive.epoch != definitions.epoch:
                primitive = _meet_barrier(self)
            number = primitive.number
            if number:
                # Also of the party that does not have to wait: its arrival lets the others go.
                emit(WAIT | BARRIER_WAIT, number)
                began = monotonic_ns()
        except Exception as error:
            barriers.failed(error)
        try:
            index = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon(number, ABANDON | BARRIER_WAIT | FAILED, began, barriers)
            raise
        try:
            if number:
                emit(AWAIT | BARRIER_WAIT, number, monotonic_ns() - began, 0, primitive.last)  # pyright: ignore[reportPossiblyUnboundVariable, reportOptionalMemberAccess]
        except Exception as error:
            barriers.failed(error)
        return index

    return wait


def _make_barrier_release(original: Any) -> Any:
    """Return ``_release``, which the last party to arrive runs."""

    def _release(self: Any) -> None:
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is not None and primitive.number:
                primitive.last = emit(NOTIFY, primitive.number, 0, self._count - 1)
        except Exception as error:
            barriers.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return _release


def _make_barrier_break(original: Any) -> Any:
    """Return ``abort`` or ``reset``, which let everybody who waits go with an exception."""

    def change(self: Any) -> None:
        try:
            primitive = getattr(self._cond, "clew", None)
            if primitive is None or primitive.epoch != definitions.epoch:
                primitive = _meet_barrier(self)
            if primitive.number:
                emit(NOTIFY | FAILED, primitive.number, 0, self._count)
        except Exception as error:
            barriers.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return change
