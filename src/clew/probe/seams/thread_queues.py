"""queue.Queue, LifoQueue and PriorityQueue: what went in, who got it, who waits.

``Queue`` calls ``_put`` and ``_get`` while it holds its mutex. They are where an item's
put and get are recorded, so that the order of events is the order of what happened; the
hooks of ``put`` and ``get`` record waits and failures. A subclass of the program's with a
``_put`` of its own is recorded by ``put`` itself. A get names the put of its item as its
cause, found by the item's address.

Can miss: items taken from the deque inside a queue (``q.queue``); which put a get belongs
to, when a program's own ``_get`` returns another object than was put.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions
from clew.probe.buffer import emit, emit_at
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._inner_waits import Primitive, adopt, end_wait, meet, waiting
from clew.probe.sites import site_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

PUT = EventKind.SYNC_PUT | Operation.PUT << 8
GET = EventKind.SYNC_GET | Operation.GET << 8
JOINED = EventKind.SYNC_JOIN | Operation.JOIN << 8
TASK_DONE = EventKind.SYNC_RELEASE | Operation.JOIN << 8
SHUTDOWN = EventKind.SYNC_NOTIFY | Outcome.CANCELLED << 16
GET_WAIT = EventKind.SYNC_WAIT | Operation.GET << 8
PUT_WAIT = EventKind.SYNC_WAIT | Operation.PUT << 8
JOIN_WAIT = EventKind.SYNC_WAIT | Operation.JOIN << 8
GET_ABANDON = EventKind.SYNC_ABANDON | Operation.GET << 8
PUT_ABANDON = EventKind.SYNC_ABANDON | Operation.PUT << 8
JOIN_ABANDON = EventKind.SYNC_ABANDON | Operation.JOIN << 8
FAILED = Outcome.FAILED << 16
TIMED_OUT = Outcome.TIMEOUT << 16
WOULD_BLOCK = Outcome.WOULD_BLOCK << 16
CANCELLED = Outcome.CANCELLED << 16

_DEPTH = 4
"""Frames from ``_put`` to whoever called ``put``: the hook of ``_put``, ``put``, the hook of ``put``."""
MAX_PUTS = 100_000
"""Items of one queue whose put is remembered; beyond it, all are forgotten."""

hooks = Hooks("queue.Queue")
_recorded: set[int] = set()
"""Threads whose put or get a method of the program's own has had recorded further inside."""
_own: set[Any] = set()
"""The functions that record: ``_put`` and ``_get`` of the three classes."""


class _Queue(Primitive):
    """What is remembered of a queue.

    Attributes:
        puts: By address of an item, the event that put it, or a list of them.
        is_custom: Its class has a ``_put`` or ``_get`` of its own.
        is_sized: Asking how many items there are runs no code of the program's.
        done: The last ``task_done()``.
    """

    __slots__ = ("done", "is_custom", "is_sized", "puts")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.puts: dict[int, Any] = {}
        self.is_custom = self.is_sized = False
        self.done = 0


def install(module: ModuleType, session: Session) -> None:
    """Hook the classes of *module*, which is queue."""
    session.at_begin.append(_recorded.clear)
    if hooks.name not in session.config.disable:
        for cls in (module.Queue, module.LifoQueue, module.PriorityQueue):
            hooks.replace(cls, "_put", _make_inner_put)
            hooks.replace(cls, "_get", _make_inner_get)
            _own.update((cls._put, cls._get))
        hooks.replace(module.Queue, "put", _make_put)
        hooks.replace(module.Queue, "get", _make_get)
        hooks.replace(module.Queue, "task_done", _make_task_done)
        hooks.replace(module.Queue, "join", _make_join)
        hooks.replace(module.Queue, "shutdown", _make_shutdown)


def _state_of(queue: Any) -> _Queue:
    """Return what is remembered of a queue; to be called by its hooks."""
    try:
        state = queue.not_empty.clew.primitive
        if state.epoch == definitions.epoch:
            return state
    except AttributeError:
        pass
    size = queue.maxsize
    known = meet(queue, EntityKind.QUEUE, detail=f'{{"capacity":{size}}}' if type(size) is int and size > 0 else "")
    state = _Queue(known.number)
    cls = type(queue)
    state.is_custom = cls._put not in _own or cls._get not in _own
    state.is_sized = type(queue.queue) in (deque, list, set, dict)
    adopt(queue.not_empty, state, GET_WAIT)
    adopt(queue.not_full, state, PUT_WAIT)
    adopt(queue.all_tasks_done, state, JOIN_WAIT)
    return state


def note_put(puts: dict[int, Any], item: object, seq: int) -> None:
    """Remember in *puts* that event *seq* put *item*."""
    key = id(item)
    before = puts.get(key)
    if before is None:
        if len(puts) >= MAX_PUTS:
            puts.clear()
        puts[key] = seq
    elif type(before) is deque:  # it is in there already: the puts of one object, in order
        before.append(seq)
    else:
        puts[key] = deque((before, seq), MAX_PUTS)


def take_put(puts: dict[int, Any], item: object) -> int:
    """Return the event that put *item*, 0 if it is not known."""
    found = puts.pop(id(item), 0)
    if type(found) is deque:
        if len(found) > 1:
            puts[id(item)] = found
        return found.popleft()
    return found


def _make_inner_put(original: Any) -> Any:
    """Return ``_put``, which runs while the mutex is held."""

    def _put(self: Any, item: Any) -> None:
        try:
            original(self, item)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            try:
                state = self.not_empty.clew.primitive
            except AttributeError:
                state = _state_of(self)
            if state.number:
                if state.is_custom:
                    _recorded.add(get_ident())
                waited = end_wait(state.number) if waiting else 0
                length = len(self.queue) if state.is_sized else 0
                note_put(state.puts, item, emit_at(PUT, state.number, site_here(_DEPTH), waited, length))
        except Exception as error:
            hooks.failed(error)

    return _put


def _make_inner_get(original: Any) -> Any:
    """Return ``_get``, which runs while the mutex is held."""

    def _get(self: Any) -> Any:
        try:
            item = original(self)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            try:
                state = self.not_empty.clew.primitive
            except AttributeError:
                state = _state_of(self)
            if state.number:
                if state.is_custom:
                    _recorded.add(get_ident())
                waited = end_wait(state.number) if waiting else 0
                length = len(self.queue) if state.is_sized else 0
                cause = take_put(state.puts, item)
                emit_at(GET, state.number, site_here(_DEPTH), waited, length, cause)
        except Exception as error:
            hooks.failed(error)
        return item

    return _get


def _make_put(original: Any) -> Any:
    def put(self: Any, item: Any, block: Any = True, timeout: Any = None) -> None:
        state = None
        try:
            try:
                state = self.not_empty.clew.primitive
                if state.epoch != definitions.epoch:
                    state = _state_of(self)
            except AttributeError:
                state = _state_of(self)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, item, block, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon(state, PUT_ABANDON, error)
            raise
        if state is not None and state.is_custom and state.number and not _was_recorded():
            try:
                waited = end_wait(state.number) if waiting else 0
                length = len(self.queue) if state.is_sized else 0
                note_put(state.puts, item, emit(PUT, state.number, waited, length))
            except Exception as error:
                hooks.failed(error)

    return put


def _make_get(original: Any) -> Any:
    def get(self: Any, block: Any = True, timeout: Any = None) -> Any:
        state = None
        try:
            try:
                state = self.not_empty.clew.primitive
                if state.epoch != definitions.epoch:
                    state = _state_of(self)
            except AttributeError:
                state = _state_of(self)
        except Exception as error:
            hooks.failed(error)
        try:
            item = original(self, block, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon(state, GET_ABANDON, error)
            raise
        if state is not None and state.is_custom and state.number and not _was_recorded():
            try:
                waited = end_wait(state.number) if waiting else 0
                length = len(self.queue) if state.is_sized else 0
                emit(GET, state.number, waited, length, take_put(state.puts, item))
            except Exception as error:
                hooks.failed(error)
        return item

    return get


def _was_recorded() -> bool:
    """Tell whether this thread's put or get was recorded further inside."""
    ident = get_ident()
    if ident in _recorded:
        _recorded.discard(ident)
        return True
    return False


def _abandon(state: _Queue | None, what: int, error: BaseException) -> None:
    """Record that a put, get or join ended with an exception."""
    try:
        if state is None or not state.number:
            return
        waited = end_wait(state.number) if waiting else 0
        name = type(error).__name__
        if name in ("Empty", "Full"):
            emit(what | (TIMED_OUT if waited else WOULD_BLOCK), state.number, waited)
        elif waited or name == "ShutDown":
            emit(what | (CANCELLED if name == "ShutDown" else FAILED), state.number, waited)
    except Exception as problem:
        hooks.failed(problem)


def _make_task_done(original: Any) -> Any:
    def task_done(self: Any) -> None:
        try:
            state = _state_of(self)
            if state.number and self.unfinished_tasks > 0:
                state.done = emit(TASK_DONE, state.number)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return task_done


def _make_join(original: Any) -> Any:
    def join(self: Any) -> None:
        state = None
        try:
            state = _state_of(self)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            _abandon(state, JOIN_ABANDON, error)
            raise
        try:
            if state is not None and state.number:
                emit(JOINED, state.number, end_wait(state.number) if waiting else 0, 0, state.done)
        except Exception as error:
            hooks.failed(error)

    return join


def _make_shutdown(original: Any) -> Any:
    def shutdown(self: Any, immediate: Any = False) -> None:
        try:
            state = _state_of(self)
            if state.number:
                emit(SHUTDOWN, state.number)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, immediate)
        except BaseException as error:
            hide_frame(error)
            raise

    return shutdown
