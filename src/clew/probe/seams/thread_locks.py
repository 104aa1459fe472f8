"""threading.Lock and threading.RLock: who asks for them, holds them and gives them back.

Both are types in C that cannot be changed. So the names the program calls to make one
(``threading.Lock``, and ``threading._CRLock``, which ``threading.RLock`` calls) stand for
classes of ours. They look at who calls: user code gets a lock that records, everybody
else the plain one (setting ``locks``). See docs/adr/0002.

A lock that records must be as safe from signals as the plain one, whose ``acquire`` and
``release`` no signal handler can interrupt halfway. Two things make it so:

- A C function called by a ``for`` statement hands over its result before the interpreter
  looks for signals; called by a call expression it does not. So the real ``acquire`` is
  called through an iterator (``map``), and whatever strikes later knows if it succeeded.
- The ``try`` of a release begins at the entry of the function (``cover_entry``).

Can miss: locks made by ``_thread.allocate_lock()``, and ``threading.Lock`` objects made
before recording began.
"""

from __future__ import annotations

import _thread
import sys
import threading
import weakref
from _thread import LockType, allocate_lock
from itertools import repeat

from clew.model.kinds import EntityKind
from clew.probe import definitions
from clew.probe.buffer import emit
from clew.probe.definitions import number_at
from clew.probe.patching import Hooks, hide_frame, report
from clew.probe.seams import _lock_events
from clew.probe.seams._lock_events import (
    ACQUIRED,
    INTERRUPTED,
    RELEASE,
    TIMED_OUT,
    WOULD_BLOCK,
    Made,
    begin_wait,
    end_wait,
    is_recorded,
    limit_of,
    number_of,
)
from clew.probe.seams._uninterrupted import cover_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType
    from typing import Any

    from clew.probe.session import Session

PlainRLock: Any = _thread.RLock
LOCK, RLOCK = EntityKind.LOCK, EntityKind.RLOCK

lock_hooks = Hooks("threading.Lock")
rlock_hooks = Hooks("threading.RLock")
_getframe: Any = sys._getframe

_WAIT, _TRY = (True,), (False,)


def install(module: ModuleType, session: Session) -> None:
    """Put the classes in the place of *module*'s names; teach dill, if it is there."""
    if module.__name__ == "dill":
        _teach_dill(module)
        return
    if session.config.locks == "off":
        return
    _lock_events.is_for_everybody = session.config.locks == "all"
    if lock_hooks.name not in session.config.disable:
        lock_hooks.replace(module, "Lock", lambda original: Lock)
        lock_hooks.replace(module.Condition, "_is_owned", _make_is_owned)
    if rlock_hooks.name not in session.config.disable:
        if _count is None:
            report(rlock_hooks.name, "this version's RLock does not tell how often it is held; it is not recorded")
        else:
            rlock_hooks.replace(module, "_CRLock", lambda original: RLock if original is PlainRLock else original)


def _teach_dill(dill: Any) -> None:
    """Have dill pickle the locks that record as it pickles plain ones (which pickle cannot)."""
    dispatch = dill.Pickler.dispatch
    for ours, plain in ((Lock, LockType), (RLock, PlainRLock)):
        if plain in dispatch:
            dispatch[ours] = dispatch[plain]


class _LockMeta(type):
    """``threading.Lock`` as a class: locks that do not record are instances of it too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, LockType)

    def __subclasscheck__(cls, subclass: Any) -> bool:
        return subclass is cls or issubclass(subclass, LockType)


class Lock(metaclass=_LockMeta):
    """A lock: acquire() locks it and waits while it is locked; release() unlocks it."""

    __slots__ = ("__weakref__", "_block", "_made", "_released", "_tries")

    # What asks an object for its class (isinstance, singledispatch) is told the plain one.
    __class__ = property(lambda self: LockType)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a lock that records, or a plain one, by who calls."""
        try:
            block = allocate_lock(*args, **kwargs)
        except TypeError as error:
            hide_frame(error)
            raise
        try:
            frame = _getframe(1)
            if lock_hooks.failures or not is_recorded(frame):
                return block
            self = object.__new__(cls)
            self._block = block
            self._tries = map(block.acquire, repeat(False))
            self._made = Made(frame, None)
            self._released = 0
        except Exception as error:
            lock_hooks.failed(error)
            return block
        return self

    def __init_subclass__(cls) -> None:
        msg = "type '_thread.lock' is not an acceptable base type"
        try:
            raise TypeError(msg)
        except TypeError as error:
            hide_frame(error)
            raise

    def acquire(self, blocking: Any = True, timeout: Any = -1) -> bool:
        """Lock it; see the plain lock."""
        got = False
        began = 0
        try:
            limit = () if blocking is True and timeout == -1 else limit_of(blocking, timeout)
            if limit is None:
                for got in map(self._block.acquire, (blocking,), (timeout,)):
                    break
            else:
                for got in self._tries:
                    break
                if not got:
                    began = begin_wait(self, LOCK, lock_hooks)
                    for got in map(self._block.acquire, _WAIT, *limit):
                        break
            if began or not got:
                end_wait(self, LOCK, lock_hooks, ACQUIRED if got else TIMED_OUT if began else WOULD_BLOCK, began)
            else:
                try:
                    emit(ACQUIRED, number_at(id(self)) or number_of(self, LOCK))
                except Exception as error:
                    lock_hooks.failed(error)
            return got
        except BaseException as error:
            hide_frame(error)
            if got:
                self.release()
            if began:
                end_wait(self, LOCK, lock_hooks, INTERRUPTED, began)
            raise

    __enter__ = acquire_lock = acquire

    @cover_entry
    def release(self) -> None:
        """Unlock it; see the plain lock."""
        try:
            if self._block.locked():
                self._released = emit(RELEASE, number_at(id(self)) or number_of(self, LOCK))
        except Exception as error:
            lock_hooks.failed(error)
        finally:
            try:
                self._block.release()
            except RuntimeError as error:
                hide_frame(error)
                raise

    release_lock = release

    @cover_entry
    def __exit__(
        self,
        cls: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # The body of release, since a call of it would be one more entry to be struck at.
        try:
            if self._block.locked():
                self._released = emit(RELEASE, number_at(id(self)) or number_of(self, LOCK))
        except Exception as problem:
            lock_hooks.failed(problem)
        finally:
            try:
                self._block.release()
            except RuntimeError as problem:
                hide_frame(problem)
                raise

    def locked(self) -> bool:
        """Tell whether it is locked."""
        return self._block.locked()

    locked_lock = locked

    def _at_fork_reinit(self) -> None:
        self._block._at_fork_reinit()

    def __repr__(self) -> str:
        state = "locked" if self._block.locked() else "unlocked"
        return f"<{state} _thread.lock object at {id(self):#x}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        try:
            return self._block.__reduce_ex__(protocol)
        except TypeError as error:
            hide_frame(error)
            raise


Lock.__module__ = "threading"


def _make_is_owned(original: Any) -> Any:
    """Return a ``Condition._is_owned`` whose trial of the lock is not recorded."""

    def _is_owned(self: Any) -> bool:
        if type(self._lock) is not Lock:
            return original(self)
        block = self._lock._block
        if block.acquire(False):
            block.release()
            return False
        return True

    return _is_owned


class _RLockMeta(type):
    """``type(threading.RLock())``: RLocks that do not record are instances of it too."""

    def __instancecheck__(cls: Any, instance: object) -> bool:
        return isinstance(instance, PlainRLock) if cls is RLock else type.__instancecheck__(cls, instance)


_acquire: Any = PlainRLock.acquire
_release: Any = PlainRLock.release
_count: Any = getattr(PlainRLock, "_recursion_count", None)
_release_save: Any = PlainRLock._release_save
_acquire_restore: Any = PlainRLock._acquire_restore


class RLock(PlainRLock, metaclass=_RLockMeta):
    """A reentrant lock. Only the outermost acquire and release of a thread are recorded."""

    __slots__ = ("_made", "_released")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a lock that records, or a plain one, by who calls ``threading.RLock``."""
        try:
            frame = _getframe(1)
            owner = None
            if frame.f_code is _RLOCK_CODE:
                frame = frame.f_back
            if frame.f_code is _CONDITION_CODE:
                owner = weakref.ref(definitions.locals_of(frame)["self"])
                frame = frame.f_back
            if rlock_hooks.failures or not is_recorded(frame):
                return PlainRLock(*args, **kwargs)
            self: Any = PlainRLock.__new__(cls, *args, **kwargs)
            self._made = Made(frame, owner)
            self._released = 0
        except Exception as error:
            rlock_hooks.failed(error)
            return PlainRLock(*args, **kwargs)
        return self

    def acquire(self, blocking: Any = True, timeout: Any = -1) -> bool:
        """Lock it, or lock it once more; see the plain lock."""
        got = False
        began = 0
        try:
            limit = () if blocking is True and timeout == -1 else limit_of(blocking, timeout)
            if limit is None:
                for got in map(_acquire, (self,), (blocking,), (timeout,)):
                    break
            else:
                for got in map(_acquire, (self,), _TRY):
                    break
                if not got:
                    began = begin_wait(self, RLOCK, rlock_hooks)
                    for got in map(_acquire, (self,), _WAIT, *limit):
                        break
            if began or not got:
                end_wait(self, RLOCK, rlock_hooks, ACQUIRED if got else TIMED_OUT if began else WOULD_BLOCK, began)
            elif _count(self) == 1:
                try:
                    emit(ACQUIRED, number_at(id(self)) or number_of(self, RLOCK))
                except Exception as error:
                    rlock_hooks.failed(error)
            return got
        except BaseException as error:
            hide_frame(error)
            if got:
                self.release()
            if began:
                end_wait(self, RLOCK, rlock_hooks, INTERRUPTED, began)
            raise

    __enter__ = acquire

    @cover_entry
    def release(self) -> None:
        """Unlock it, or unlock it once; see the plain lock."""
        try:
            if _count(self) == 1:
                self._released = emit(RELEASE, number_at(id(self)) or number_of(self, RLOCK))
        except Exception as error:
            rlock_hooks.failed(error)
        finally:
            try:
                _release(self)
            except RuntimeError as error:
                hide_frame(error)
                raise

    @cover_entry
    def __exit__(
        self,
        cls: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # The body of release, since a call of it would be one more entry to be struck at.
        try:
            if _count(self) == 1:
                self._released = emit(RELEASE, number_at(id(self)) or number_of(self, RLOCK))
        except Exception as problem:
            rlock_hooks.failed(problem)
        finally:
            try:
                _release(self)
            except RuntimeError as problem:
                hide_frame(problem)
                raise

    def _release_save(self) -> Any:
        """Unlock it wholly, for ``Condition.wait``."""
        try:
            if _count(self):
                self._released = emit(RELEASE, number_at(id(self)) or number_of(self, RLOCK))
        except Exception as error:
            rlock_hooks.failed(error)
        return _release_save(self)

    @cover_entry
    def _acquire_restore(self, state: Any, got: bool = False, began: int = 0) -> None:
        """Lock it as often as before ``_release_save``."""
        try:
            tries = map(_acquire, repeat(self, state[0]), repeat(False))  # the first one decides
            for got in map(all, (tries,)):  # noqa: PLR1704  a parameter is set at entry, for the handler
                break
            if not got:
                began = begin_wait(self, RLOCK, rlock_hooks)
        finally:
            if not got:
                _acquire_restore(self, state)
        end_wait(self, RLOCK, rlock_hooks, ACQUIRED, began)

    def __repr__(self) -> str:
        return PlainRLock.__repr__(self).replace(" _CRLock object", " _thread.RLock object", 1)

    def __reduce_ex__(self, protocol: Any) -> Any:
        try:
            return (PlainRLock() if type(self) is RLock else super()).__reduce_ex__(protocol)
        except TypeError as error:
            hide_frame(error)
            raise


# Where pickle finds the class, recorded or not.
RLock.__module__, RLock.__qualname__, RLock.__name__ = "threading", "_CRLock", "_CRLock"
_RLOCK_CODE = getattr(threading.RLock, "__code__", None)
_CONDITION_CODE = threading.Condition.__init__.__code__
