"""Queues of asyncio: puts and gets, and who waited for whom.

A queue wakes the next getter or putter in ``_wakeup_next``, once the item is in or out
and nobody knows it yet: that is where a put or get is recorded, so that the step it
wakes has it as its cause. The methods around it only record waits, and what was refused.

Can miss: the begin of a wait for a queue whose class decides by itself when it is full
or empty. Its end says how long it took.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind
from clew.probe import buffer, sites
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams.asyncio_waits import (
    ABANDON,
    AWAIT,
    JOIN,
    NOTIFY,
    OP_GET,
    OP_JOIN,
    OP_PUT,
    OP_WAIT_ANY,
    TIMEOUT,
    WAIT,
    WOULD_BLOCK,
    _getframe,
    abandon,
    begin,
    define_group,
    end,
    get_number,
    make_signal,
    make_wait,
    meet,
    note,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from clew.probe.seams.asyncio_waits import Started
    from clew.probe.session import Session

PUT = EventKind.SYNC_PUT | OP_PUT
GET = EventKind.SYNC_GET | OP_GET

hooks = Hooks("asyncio.Queue")

_waits: dict[tuple[int, int], tuple[Started, int]] = {}
"""By queue and scope: how a wait began, and for one that may turn out to be none, the
scope's latest event before it (else -1)."""
_completions: dict[int, tuple[Any, int]] = {}
"""By ``id()`` of a queue that ``as_completed`` made: a weak reference, and its group."""
_classes: dict[type, int] = {}
"""Classes of queues, sorted."""
MAX_CLASSES = 1000
# Nothing can go wrong in a put or get that need not wait; it is known when one has to
# wait; it is not.
_SIMPLE, _FORESEEN, _UNFORESEEN = 1, 2, 3
_APPENDS = (asyncio.Queue._put, asyncio.LifoQueue._put)
_POPS = (asyncio.Queue._get, asyncio.LifoQueue._get)


def install(module: ModuleType, session: Session) -> None:
    """Hook the queues of *module*, which is asyncio."""
    if hooks.name in session.config.disable:
        return
    session.at_begin.append(forget)
    queue = module.Queue
    put_nowait, get_nowait = queue.put_nowait, queue.get_nowait
    inner = {id(queue.put.__code__), id(queue.get.__code__)}  # they see to refusals themselves
    hooks.replace(
        queue, "_wakeup_next", lambda original: _make_wakeup_next(original, put_nowait.__code__, get_nowait.__code__)
    )
    hooks.replace(queue, "put_nowait", lambda original: _make_put_nowait(original, inner))
    hooks.replace(queue, "get_nowait", lambda original: _make_get_nowait(original, inner))
    hooks.replace(queue, "put", lambda original: _make_put(original, queue.put_nowait, put_nowait))
    hooks.replace(queue, "get", lambda original: _make_get(original, queue.get_nowait, get_nowait))
    join = make_wait(hooks, EntityKind.QUEUE, WAIT | OP_JOIN, JOIN, _is_unfinished, _describe)
    hooks.replace(queue, "join", join)
    task_done = make_signal(
        hooks, EntityKind.QUEUE, NOTIFY | OP_JOIN, has_effect=_is_unfinished, count=_count_left, describe=_describe
    )
    hooks.replace(queue, "task_done", task_done)
    hooks.replace(queue, "shutdown", _make_shutdown)


def forget() -> None:
    """Forget waits and groups: a forked child numbers its own."""
    _waits.clear()
    _completions.clear()


def _is_unfinished(queue: Any) -> bool:
    return queue._unfinished_tasks > 0


def _count_left(queue: Any) -> int:
    return queue._unfinished_tasks - 1


def _describe(queue: Any) -> str:
    maxsize = queue._maxsize
    size = maxsize if type(maxsize) is int and maxsize > 0 else 0
    cls = type(queue)
    order = "custom"
    for known, name in ((asyncio.PriorityQueue, "priority"), (asyncio.LifoQueue, "lifo"), (asyncio.Queue, "fifo")):
        if cls._put is known._put and cls._get is known._get:
            order = name
    return f'{{"maxsize":{size},"order":"{order}"}}'


def _sort(cls: Any) -> int:
    """Sort a class of queues by how much of it is asyncio's own."""
    own = asyncio.Queue
    if not (cls.full is own.full and cls.empty is own.empty and cls.qsize is own.qsize):
        how = _UNFORESEEN
    elif cls._init is own._init or cls._init is asyncio.LifoQueue._init:
        how = _SIMPLE if cls._put in _APPENDS and cls._get in _POPS else _FORESEEN
    else:
        how = _FORESEEN if cls._init is asyncio.PriorityQueue._init else _UNFORESEEN
    if len(_classes) < MAX_CLASSES:
        _classes[cls] = how
    return how


# -- an item went in or out


def _make_wakeup_next(original: Any, put_nowait: CodeType, get_nowait: CodeType) -> Any:
    def _wakeup_next(self: Any, waiters: Any) -> Any:
        if waiters:
            try:
                code = _getframe(1).f_code
                if code is put_nowait:
                    _record(self, PUT, 5)
                elif code is get_nowait:
                    _record(self, GET, 5)
                # else a waiter that was cancelled passes its turn on
            except Exception as error:
                hooks.failed(error)
        try:
            return original(self, waiters)
        except BaseException as error:
            hide_frame(error)
            raise

    return _wakeup_next


def _record(queue: Any, what: int, depth: int = 3) -> None:
    """Record that an item went in or out.

    Args:
        queue: The queue.
        what: The event.
        depth: How many frames above ``note`` the caller of the hook is.
    """
    number = get_number(id(queue))
    if number is None:
        number = _meet(queue, _getframe(2))
    if not number:
        return
    try:
        items = queue._queue
        size = len(items) if type(items) is deque or type(items) is list else 0
    except AttributeError:  # the class keeps its items in another way
        size = 0
    wait = _waits.get((id(queue), buffer.thread_state().scope)) if _waits else None
    if wait is None:
        note(what, number, size, depth)
        return
    started, cursor = wait
    if cursor == buffer.local.state.cursor:  # nothing happened in between: it did not wait
        buffer.emit_at(what, number, started[1], 0, size)
    else:
        end(what, number, started, size)


def _meet(queue: Any, frame: FrameType | None) -> int:
    """Give *queue* its number; one of ``as_completed`` gets none, but its group does."""
    number = meet(queue, EntityKind.QUEUE, frame, _describe)
    if not number and _is_completion(frame):
        key = id(queue)
        group = define_group("asyncio.as_completed", sites.site_here(2), [])
        _completions[key] = (weakref.ref(queue, lambda _: _completions.pop(key, None)), group)
    return number


def _is_completion(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_qualname.startswith(("as_completed.", "_AsCompletedIterator.")):
        frame = frame.f_back
    return frame is not None


def _make_put_nowait(original: Any, inner: set[int]) -> Any:
    def put_nowait(self: Any, item: Any) -> Any:
        will_wake = False
        try:
            if self._getters:  # then `_wakeup_next` records it
                will_wake = True
        except Exception as error:
            hooks.failed(error)
        try:
            result = original(self, item)
        except BaseException as error:
            hide_frame(error)
            _refused(self, OP_PUT, error, inner)
            raise
        if not will_wake:
            try:
                _record(self, PUT)
            except Exception as error:
                hooks.failed(error)
        return result

    return put_nowait


def _make_get_nowait(original: Any, inner: set[int]) -> Any:
    def get_nowait(self: Any) -> Any:
        will_wake = False
        try:
            if self._putters:
                will_wake = True
        except Exception as error:
            hooks.failed(error)
        try:
            item = original(self)
        except BaseException as error:
            hide_frame(error)
            _refused(self, OP_GET, error, inner)
            raise
        if not will_wake:
            try:
                _record(self, GET)
            except Exception as error:
                hooks.failed(error)
        return item

    return get_nowait


def _refused(queue: Any, op: int, error: BaseException, inner: set[int]) -> None:
    """Record that *queue* would not do it at once; ``put`` and ``get`` see to themselves."""
    try:
        frame = _getframe(2)
        if id(frame.f_code) in inner:
            return
        number = get_number(id(queue))
        if number is None:
            number = _meet(queue, frame)
        if number:
            would_block = type(error) is asyncio.QueueFull or type(error) is asyncio.QueueEmpty
            abandon(hooks, op, number, None, error, WOULD_BLOCK if would_block else 0)
    except Exception as problem:
        hooks.failed(problem)


# -- waiting for room or for an item


def _is_full(queue: Any) -> bool:
    maxsize = queue._maxsize
    return type(maxsize) is int and 0 < maxsize <= len(queue._queue) and not getattr(queue, "_is_shutdown", False)


def _begin_wait(queue: Any, op: int, frame: FrameType, *, is_known: bool) -> tuple[int, int] | None:
    """Record that a wait for *queue* begins, and remember it for its end.

    Args:
        queue: The queue.
        op: Whether it is to be put into or got from.
        frame: The caller of the hook.
        is_known: That it will wait; otherwise nothing is recorded yet.

    Returns:
        Under which key the wait is remembered; None if it is not to be recorded.
    """
    number = get_number(id(queue))
    if number is None:
        number = _meet(queue, frame)
    if not number:
        return None
    if is_known:
        started = begin(WAIT | op, number, 0, 4)
        cursor = -1
    else:
        state = buffer.thread_state()
        started = (monotonic_ns(), sites.site_here(3), state.scope)
        cursor = state.cursor
    key = (id(queue), started[2])
    _waits[key] = (started, cursor)
    return key


def _end_refused(queue: Any, op: int, key: tuple[int, int] | None, error: BaseException) -> None:
    try:
        number = get_number(id(queue))
        wait = _waits.get(key) if key is not None else None
        if number:
            abandon(hooks, op, number, wait[0] if wait is not None else None, error)
    except Exception as problem:
        hooks.failed(problem)


def _make_put(original: Any, hook: Any, put_nowait: Any) -> Any:
    """Hook ``put``; where there is room its body is one call, which is written in.

    Args:
        original: asyncio's ``put``.
        hook: The hook on ``put_nowait``.
        put_nowait: asyncio's own.
    """
    is_known = original.__code__.co_names[-1] == "put_nowait"
    can_shut_down = "_is_shutdown" in original.__code__.co_names

    async def put(self: Any, item: Any) -> Any:
        key = None
        is_simple = will_wake = False
        try:
            how = _classes.get(type(self)) or _sort(type(self))
            if how == _UNFORESEEN or (self._maxsize and _is_full(self)):
                key = _begin_wait(self, OP_PUT, _getframe(1), is_known=how != _UNFORESEEN)
            elif how == _SIMPLE and not (can_shut_down and self._is_shutdown):
                is_simple = is_known and self.put_nowait.__func__ is hook
                if self._getters:
                    will_wake = True
        except AttributeError:  # the program put something else in the place of a method
            is_simple = False
        except Exception as error:
            hooks.failed(error)
            is_simple = False
        try:
            if not is_simple:
                return await original(self, item)
            put_nowait(self, item)
        except BaseException as error:
            hide_frame(error)
            _end_refused(self, OP_PUT, key, error)
            raise
        finally:
            if key is not None:
                _waits.pop(key, None)
        if not will_wake:
            try:
                number = get_number(id(self))
                if number:
                    note(PUT, number, len(self._queue))
                elif number is None:
                    _record(self, PUT)
            except Exception as error:
                hooks.failed(error)
        return None

    return put


def _make_get(original: Any, hook: Any, get_nowait: Any) -> Any:
    """Hook ``get`` as ``put``: where there is an item, its body is one call."""
    is_known = original.__code__.co_names[-1] == "get_nowait"

    async def get(self: Any) -> Any:
        key = started = None
        group = 0
        is_simple = will_wake = False
        try:
            how = _classes.get(type(self)) or _sort(type(self))
            if how == _SIMPLE and self._queue:
                is_simple = is_known and self.get_nowait.__func__ is hook
                if self._putters:
                    will_wake = True
            elif how == _UNFORESEEN or (not self._queue and not getattr(self, "_is_shutdown", False)):
                key = _begin_wait(self, OP_GET, _getframe(1), is_known=how != _UNFORESEEN)
            if _completions and id(self) in _completions:
                group = _completions[id(self)][1]
                started = None if is_simple else begin(WAIT | OP_WAIT_ANY, group)
        except AttributeError:
            is_simple = False
        except Exception as error:
            hooks.failed(error)
            is_simple = False
        try:
            item = get_nowait(self) if is_simple else await original(self)
        except BaseException as error:
            hide_frame(error)
            if group:
                abandon(hooks, OP_WAIT_ANY, group, started, error)
            else:
                _end_refused(self, OP_GET, key, error)
            raise
        finally:
            if key is not None:
                _waits.pop(key, None)
        if group:
            _end_completion(group, started, item)
        elif is_simple and not will_wake:
            try:
                number = get_number(id(self))
                if number:
                    note(GET, number, len(self._queue))
                elif number is None:
                    _record(self, GET)
            except Exception as error:
                hooks.failed(error)
        return item

    return get


def _end_completion(group: int, started: Started | None, item: Any) -> None:
    """Record that one of the things ``as_completed`` waits for is done, or that time is up."""
    try:
        what = (AWAIT if item is not None else ABANDON | TIMEOUT) | OP_WAIT_ANY
        if started is None:
            note(what, group, 0, 3)
        else:
            end(what, group, started)
    except Exception as error:
        hooks.failed(error)


def _make_shutdown(original: Any) -> Any:
    def shutdown(self: Any, immediate: Any = False) -> Any:
        try:
            number = get_number(id(self))
            if number is None:
                number = _meet(self, _getframe(1))
            if number and not self._is_shutdown:
                note(NOTIFY, number, len(self._getters) + len(self._putters))
        except Exception as error:
            hooks.failed(error)
        try:
            return original(self, immediate)
        except BaseException as error:
            hide_frame(error)
            raise

    return shutdown
