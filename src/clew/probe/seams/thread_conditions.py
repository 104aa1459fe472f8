"""threading.Condition and Barrier.

Python classes: their methods are replaced on the class. A condition's lock is recorded as
the lock it is (``thread_locks``), also when a wait gives it back and takes it again.

The hooks of ``Condition`` also serve the conditions inside other primitives
(``_inner_waits``), semaphores and events, queues and futures, and barriers here.

Can be wrong: the cause of a wake is the last notify before it; where several are notified
one by one at the same time, that may be another one than the one that woke this waiter.
"""

from __future__ import annotations

from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions
from clew.probe.buffer import emit
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._inner_waits import Primitive, Role, adopt, begin_wait, meet, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

NOTIFY = int(EventKind.SYNC_NOTIFY)
NOTIFY_WAIT = EventKind.SYNC_WAIT | Operation.NOTIFY_WAIT << 8
NOTIFY_AWAIT = EventKind.SYNC_AWAIT | Operation.NOTIFY_WAIT << 8
NOTIFY_ABANDON = EventKind.SYNC_ABANDON | Operation.NOTIFY_WAIT << 8
BARRIER_WAIT = EventKind.SYNC_WAIT | Operation.BARRIER_WAIT << 8
BARRIER_AWAIT = EventKind.SYNC_AWAIT | Operation.BARRIER_WAIT << 8
BARRIER_ABANDON = EventKind.SYNC_ABANDON | Operation.BARRIER_WAIT << 8
TIMED_OUT = Outcome.TIMEOUT << 16
FAILED = Outcome.FAILED << 16

conditions = Hooks("threading.Condition")
barriers = Hooks("threading.Barrier")


def install(module: ModuleType, session: Session) -> None:
    """Hook the classes of *module*, which is threading."""
    session.at_begin.append(waiting.clear)
    if conditions.name not in session.config.disable:
        conditions.replace(module.Condition, "wait", _make_condition_wait)
        conditions.replace(module.Condition, "notify", _make_notify)
    if barriers.name not in session.config.disable:
        barriers.replace(module.Barrier, "wait", _make_barrier_wait)
        barriers.replace(module.Barrier, "_release", _make_barrier_release)
        barriers.replace(module.Barrier, "reset", _make_barrier_break)
        barriers.replace(module.Barrier, "abort", _make_barrier_break)


def _role_of(condition: Any) -> Role:
    """Return what a condition is; to be called by its hooks."""
    try:
        role = condition.clew
        if role.is_inner or role.primitive.epoch == definitions.epoch:
            return role
    except AttributeError:
        pass
    role = condition.clew = Role(meet(condition, EntityKind.CONDITION), is_inner=False)
    return role


def _make_condition_wait(original: Any) -> Any:
    def wait(self: Any, timeout: Any = None) -> Any:
        number = began = 0
        primitive = None
        try:
            role = _role_of(self)
            if not role.is_inner:
                primitive = role.primitive
                number = primitive.number
            elif type(timeout) not in (int, float) or timeout > 0:
                begin_wait(role)
            if number:
                emit(NOTIFY_WAIT, number)
                began = monotonic_ns()
        except Exception as error:
            conditions.failed(error)
        try:
            notified = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            _end(conditions, NOTIFY_ABANDON | FAILED, number, began)
            raise
        if primitive is not None and notified:
            _end(conditions, NOTIFY_AWAIT, number, began, primitive.last)
        elif number:
            _end(conditions, NOTIFY_ABANDON | TIMED_OUT, number, began)
        return notified

    return wait


def _end(hooks: Hooks, what: int, number: int, began: int, cause: int = 0) -> None:
    """Record how a wait that was recorded when it began has ended."""
    try:
        if number and began:
            emit(what, number, monotonic_ns() - began, 0, cause)
    except Exception as error:
        hooks.failed(error)


def _make_notify(original: Any) -> Any:
    def notify(self: Any, n: Any = 1) -> None:
        primitive = None
        before = 0
        try:
            try:
                role = self.clew
            except AttributeError:
                role = _role_of(self)
            if not role.is_inner:
                primitive = _role_of(self).primitive
                before = len(self._waiters)
            elif role.notified is not None:
                role.notified(role.primitive)
        except Exception as error:
            conditions.failed(error)
        try:
            original(self, n)
        except BaseException as error:
            hide_frame(error)
            raise
        if primitive is not None and primitive.number:
            try:
                # After it, since it may raise; nobody can be awake yet, the lock being held.
                primitive.last = emit(NOTIFY, primitive.number, 0, max(before - len(self._waiters), 0))
            except Exception as error:
                conditions.failed(error)

    return notify


# -- barriers


def _barrier_of(barrier: Any) -> Primitive:
    """Return what is remembered of a barrier; to be called by its hooks."""
    try:
        primitive = barrier._cond.clew.primitive
        if primitive.epoch == definitions.epoch:
            return primitive
    except AttributeError:
        pass
    parties = barrier._parties
    primitive = meet(barrier, EntityKind.BARRIER, detail=f'{{"parties":{parties}}}' if type(parties) is int else "")
    adopt(barrier._cond, primitive, 0)
    return primitive


def _make_barrier_wait(original: Any) -> Any:
    def wait(self: Any, timeout: Any = None) -> Any:
        number = began = 0
        primitive = None
        try:
            primitive = _barrier_of(self)
            number = primitive.number
            if number:
                # Also of the party that does not have to wait: its arrival lets the others go.
                emit(BARRIER_WAIT, number)
                began = monotonic_ns()
        except Exception as error:
            barriers.failed(error)
        try:
            index = original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            _end(barriers, BARRIER_ABANDON | FAILED, number, began)
            raise
        if primitive is not None:
            _end(barriers, BARRIER_AWAIT, number, began, primitive.last)
        return index

    return wait


def _make_barrier_release(original: Any) -> Any:
    """Return ``_release``, which the last party to arrive runs."""

    def _release(self: Any) -> None:
        try:
            primitive = _barrier_of(self)
            if primitive.number:
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
            primitive = _barrier_of(self)
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
