"""threading.Semaphore, BoundedSemaphore and Event.

Python classes: their methods are replaced on the class. They wait on conditions of their
own, which stay silent (``_inner_waits``).

The lines that find what is remembered of ``self`` stand in every hook: calling a function
for it would cost 80 ns of some 700.

Can miss: ``Event.is_set()`` that found it not set, which orders nothing.
"""

from __future__ import annotations

from _thread import get_ident

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions
from clew.probe.buffer import emit
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._inner_waits import Primitive, adopt, end_wait, meet, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

ACQUIRE = EventKind.SYNC_ACQUIRE | Operation.ACQUIRE << 8
ACQUIRED = EventKind.SYNC_ACQUIRED | Operation.ACQUIRE << 8
RELEASE = EventKind.SYNC_RELEASE | Operation.ACQUIRE << 8
ACQUIRE_ABANDON = EventKind.SYNC_ABANDON | Operation.ACQUIRE << 8
SET = int(EventKind.SYNC_SET)
CLEAR = int(EventKind.SYNC_CLEAR)
EVENT_WAIT = Operation.EVENT_WAIT << 8
WAIT = int(EventKind.SYNC_WAIT)
AWAIT = int(EventKind.SYNC_AWAIT)
ABANDON = int(EventKind.SYNC_ABANDON)
TIMED_OUT = Outcome.TIMEOUT << 16
WOULD_BLOCK = Outcome.WOULD_BLOCK << 16
FAILED = Outcome.FAILED << 16

semaphores = Hooks("threading.Semaphore")
events = Hooks("threading.Event")


def install(module: ModuleType, session: Session) -> None:
    """Hook the classes of *module*, which is threading."""
    disabled = session.config.disable
    if semaphores.name not in disabled:
        semaphores.replace(module.Semaphore, "acquire", _make_acquire)
        semaphores.replace(module.Semaphore, "__enter__", _make_acquire)
        semaphores.replace(module.Semaphore, "release", lambda original: _make_release(original, _may_release))
        semaphores.replace(
            module.BoundedSemaphore, "release", lambda original: _make_release(original, _may_release_bounded)
        )
    if events.name not in disabled:
        events.replace(module.Event, "wait", _make_wait)
        events.replace(module.Event, "is_set", _make_is_set)
        events.replace(module.Event, "set", lambda original: _make_change(original, SET))
        events.replace(module.Event, "clear", lambda original: _make_change(original, CLEAR))


def _abandon(number: int, what: int, hooks: Hooks) -> None:
    """Record that a wait, if it had begun, was ended by an exception."""
    try:
        waited = end_wait(number) if waiting and number else 0
        if waited:
            emit(what, number, waited)
    except Exception as error:
        hooks.failed(error)


# -- semaphores


def _meet_semaphore(semaphore: Any) -> Primitive:
    """Make a semaphore known; to be called by its hooks."""
    permits = semaphore.__dict__.get("_initial_value", semaphore._value)
    detail = f'{{"permits":{permits}}}' if type(permits) is int else ""
    primitive = meet(semaphore, EntityKind.SEMAPHORE, detail=detail)
    adopt(semaphore._cond, primitive, ACQUIRE)
    return primitive


def _make_acquire(original: Any) -> Any:
    def acquire(self: Any, blocking: Any = True, timeout: Any = None) -> Any:
        primitive = None
        try:
            try:
                primitive = self._cond.clew.primitive
                if primitive.epoch != definitions.epoch:
                    primitive = _meet_semaphore(self)
            except AttributeError:
                primitive = _meet_semaphore(self)
        except Exception as error:
            semaphores.failed(error)
        try:
            got = original(self, blocking, timeout)
        except BaseException as error:
            hide_frame(error)
            if primitive is not None:
                _abandon(primitive.number, ACQUIRE_ABANDON | FAILED, semaphores)
            raise
        try:
            if primitive is not None and primitive.number:
                number = primitive.number
                waited = end_wait(number) if waiting else 0
                if not got:
                    emit(ACQUIRE_ABANDON | (TIMED_OUT if waited else WOULD_BLOCK), number, waited)
                elif waited:
                    emit(ACQUIRED, number, waited, 0, primitive.last)
                else:
                    emit(ACQUIRED, number)
        except Exception as error:
            semaphores.failed(error)
        return got

    return acquire


def _make_release(original: Any, may_release: Callable[[Any, Any], bool]) -> Any:
    def release(self: Any, n: Any = 1) -> None:
        try:
            try:
                primitive = self._cond.clew.primitive
                if primitive.epoch != definitions.epoch:
                    primitive = _meet_semaphore(self)
            except AttributeError:
                primitive = _meet_semaphore(self)
            if primitive.number and may_release(self, n):
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
    return type(n) is int and n > 0


def _may_release_bounded(semaphore: Any, n: Any) -> bool:
    return type(n) is int and n > 0 and semaphore._value + n <= semaphore._initial_value


# -- events


def _meet_event(event: Any) -> Primitive:
    """Make an event known; to be called by its hooks."""
    primitive = meet(event, EntityKind.EVENT)
    primitive.op = primitive.op or EVENT_WAIT
    adopt(event._cond, primitive, WAIT | primitive.op)
    return primitive


def _make_wait(original: Any) -> Any:
    def wait(self: Any, timeout: Any = None) -> Any:
        primitive = None
        try:
            try:
                primitive = self._cond.clew.primitive
                if primitive.epoch != definitions.epoch:
                    primitive = _meet_event(self)
            except AttributeError:
                primitive = _meet_event(self)
        except Exception as error:
            events.failed(error)
        try:
            is_set = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            if primitive is not None:
                _abandon(primitive.number, ABANDON | primitive.op | FAILED, events)
            raise
        try:
            if primitive is not None and primitive.number:
                waited = end_wait(primitive.number) if waiting else 0
                if is_set:
                    primitive.seen, primitive.seen_by = primitive.last, get_ident()
                    emit(AWAIT | primitive.op, primitive.number, waited, 0, primitive.last)
                else:
                    emit(ABANDON | primitive.op | (TIMED_OUT if waited else WOULD_BLOCK), primitive.number, waited)
        except Exception as error:
            events.failed(error)
        return is_set

    return wait


def _make_is_set(original: Any) -> Any:
    def is_set(self: Any) -> Any:
        found = original(self)
        if found:
            try:
                try:
                    primitive = self._cond.clew.primitive
                    if primitive.epoch != definitions.epoch:
                        primitive = _meet_event(self)
                except AttributeError:
                    primitive = _meet_event(self)
                if primitive.number:
                    # Once for each set() and thread: a second look learns nothing new.
                    ident = get_ident()
                    if primitive.seen != primitive.last or primitive.seen_by != ident:
                        primitive.seen, primitive.seen_by = primitive.last, ident
                        emit(AWAIT | primitive.op, primitive.number, 0, 0, primitive.last)
            except Exception as error:
                events.failed(error)
        return found

    return is_set


def _make_change(original: Any, what: int) -> Any:
    """Return ``set`` or ``clear``, recorded before it is done: before what it enables."""

    def change(self: Any) -> None:
        try:
            try:
                primitive = self._cond.clew.primitive
                if primitive.epoch != definitions.epoch:
                    primitive = _meet_event(self)
            except AttributeError:
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
