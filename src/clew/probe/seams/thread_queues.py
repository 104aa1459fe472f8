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

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions
from clew.probe.buffer import emit
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._inner_waits import Primitive, adopt, end_wait, meet, waiting

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
        done: The last ``task_done()``.
    """

    __slots__ = ("done", "is_custom", "puts")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.puts: dict[int, Any] = {}
        self.is_custom = False
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


def _meet(queue: Any) -> _Queue:
    size = queue.maxsize
    detail = f'{{"capacity":{size}}}' if type(size) is int and size > 0 else ""
    known = meet(queue, EntityKind.QUEUE, detail=detail)
    state = _Queue(known.number)
    cls = type(queue)
    state.is_custom = cls._put not in _own or cls._get not in _own
    adopt(queue.not_empty, state, GET_WAIT)
    adopt(queue.not_full, state, PUT_WAIT)
    adopt(queue.all_tasks_done, state, JOIN_WAIT)
    return state


def _state_of(queue: Any) -> _Queue:
    state = getattr(queue.not_empty, "clew", None)
    if state is None or state.epoch != definitions.epoch:
        state = _meet(queue)
    return state


def note_put(state: Any, item: object, seq: int) -> None:
    """Remember that event *seq* put *item*."""
    puts = state.puts
    if len(puts) >= MAX_PUTS:
        puts.clear()
    before = puts.setdefault(id(item), seq)
    if before is not seq:  # it is in there already: the puts of one object, in order
        puts[id(item)] = [*before, seq] if type(before) is list else [before, seq]


def take_put(state: Any, item: object) -> int:
    """Return the event that put *item*, 0 if it is not known."""
    found = state.puts.pop(id(item), 0)
    if type(found) is list:
        if len(found) > 1:
            state.puts[id(item)] = found[1:]
        return found[0]
    return found


def _length(queue: Any) -> int:
    """Return how many items there are, without running code of the program's."""
    items = queue.__dict__.get("queue")
    return len(items) if type(items).__module__ in ("builtins", "collections") else 0


def _make_inner_put(original: Any) -> Any:
    """Return ``_put``, which runs while the mutex is held."""

    def _put(self: Any, item: Any) -> None:
        try:
            original(self, item)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            state = _state_of(self)
            if state.number:
                if state.is_custom:
                    _recorded.add(get_ident())
                seq = emit(PUT, state.number, end_wait(state.number) if waiting else 0, _length(self))
                note_put(state, item, seq)
        except Exception as error:
            hooks.failed(error)

    return _put


def _make_inner_get(original: Any) -> Any:
    def _get(self: Any) -> Any:
        try:
            item = original(self)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            state = _state_of(self)
            if state.number:
                if state.is_custom:
                    _recorded.add(get_ident())
                waited = end_wait(state.number) if waiting else 0
                emit(GET, state.number, waited, _length(self), take_put(state, item))
        except Exception as error:
            hooks.failed(error)
        return item

    return _get


def _make_put(original: Any) -> Any:
    def put(self: Any, item: Any, block: Any = True, timeout: Any = None) -> None:
        state = None
        try:
            state = _state_of(self)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, item, block, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon(state, PUT_ABANDON, error)
            raise
        try:
            if state is not None and state.is_custom and state.number and not _was_recorded():
                waited = end_wait(state.number) if waiting else 0
                note_put(state, item, emit(PUT, state.number, waited, _length(self)))
        except Exception as error:
            hooks.failed(error)

    return put


def _make_get(original: Any) -> Any:
    def get(self: Any, block: Any = True, timeout: Any = None) -> Any:
        state = None
        try:
            state = _state_of(self)
        except Exception as error:
            hooks.failed(error)
        try:
            item = original(self, block, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon(state, GET_ABANDON, error)
            raise
        try:
            if state is not None and state.is_custom and state.number and not _was_recorded():
                waited = end_wait(state.number) if waiting else 0
                emit(GET, state.number, waited, _length(self), take_put(state, item))
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
