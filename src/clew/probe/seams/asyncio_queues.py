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
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    from clew.probe.seams.asyncio_waits import Started
    from clew.probe.session import Session

PUT = int(EventKind.SYNC_PUT)
GET = int(EventKind.SYNC_GET)

hooks = Hooks("asyncio.Queue")

_waits: dict[tuple[int, int], tuple[Started, int]] = {}
"""By queue and scope: how a wait began, and for one that may turn out to be none, the
scope's latest event before it (else -1)."""
_completions: dict[int, tuple[Any, int]] = {}
"""By ``id()`` of a queue that ``as_completed`` made: a weak reference, and its group."""
_plain: dict[type, bool] = {}
"""Classes of queues, and whether they decide as asyncio's own when they are full or empty."""
MAX_CLASSES = 1000


def install(module: ModuleType, session: Session) -> None:
    """Hook the queues of *module*, which is asyncio."""
    if hooks.name in session.config.disable:
        return
    session.at_begin.append(forget)
    queue = module.Queue
    own = (queue.put_nowait.__code__, queue.get_nowait.__code__)
    inner = {id(queue.put.__code__), id(queue.get.__code__)}
    hooks.replace(queue, "_wakeup_next", lambda original: _make_wakeup_next(original, *own))
    hooks.replace(queue, "put_nowait", lambda original: _make_put_nowait(original, inner))
    hooks.replace(queue, "get_nowait", lambda original: _make_get_nowait(original, inner))
    hooks.replace(queue, "put", _make_put)
    hooks.replace(queue, "get", _make_get)
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


def _is_plain(queue: Any) -> bool:
    """Tell whether the length of ``_queue`` decides when *queue* is full or empty."""
    cls = type(queue)
    found = _plain.get(cls)
    if found is None:
        own = asyncio.Queue
        found = cls.full is own.full and cls.empty is own.empty and cls.qsize is own.qsize
        if len(_plain) < MAX_CLASSES:
            _plain[cls] = found
    return found and type(queue._queue) in (deque, list)


# -- an item went in or out


def _make_wakeup_next(original: Any, put_nowait: CodeType, get_nowait: CodeType) -> Any:
    def _wakeup_next(self: Any, waiters: Any) -> Any:
        try:
            frame = _getframe(1)
            code = frame.f_code
            if code is put_nowait:
                what, op = PUT, OP_PUT
            elif code is get_nowait:
                what, op = GET, OP_GET
            else:  # a waiter that was cancelled passes its turn on
                what = op = 0
            number = get_number(id(self))
            if what and number is None:
                number = _meet(self, frame.f_back)
            if what and number:
                items = getattr(self, "_queue", None)
                size = len(items) if type(items) is deque or type(items) is list else 0
                wait = None
                if _waits:
                    wait = _waits.get((id(self), buffer.thread_state().scope))
                if wait is None:
                    buffer.emit(what | op, number, 0, size)
                else:
                    _end_wait(what | op, number, wait, size)
        except Exception as error:
            hooks.failed(error)
        try:
            return original(self, waiters)
        except BaseException as error:
            hide_frame(error)
            raise

    return _wakeup_next


def _meet(queue: Any, frame: FrameType | None) -> int:
    """Give *queue* its number; one of ``as_completed`` gets none, but its group does."""
    number = meet(queue, EntityKind.QUEUE, frame, _describe)
    if not number and _is_completion(frame):
        key = id(queue)
        group = define_group("asyncio.as_completed", sites.site_here(2))
        _completions[key] = (weakref.ref(queue, lambda _: _completions.pop(key, None)), group)
    return number


def _is_completion(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_qualname.startswith(("as_completed.", "_AsCompletedIterator.")):
        frame = frame.f_back
    return frame is not None


def _end_wait(what: int, number: int, wait: tuple[Started, int], size: int) -> None:
    started, cursor = wait
    if cursor == buffer.thread_state().cursor:  # nothing happened in between: it did not wait
        buffer.emit_at(what, number, started[1], 0, size)
    else:
        end(what, number, started, size)


def _make_put_nowait(original: Any, inner: set[int]) -> Any:
    def put_nowait(self: Any, item: Any) -> Any:
        try:
            return original(self, item)
        except BaseException as error:
            hide_frame(error)
            _refused(self, OP_PUT, error, inner)
            raise

    return put_nowait


def _make_get_nowait(original: Any, inner: set[int]) -> Any:
    def get_nowait(self: Any) -> Any:
        try:
            return original(self)
        except BaseException as error:
            hide_frame(error)
            _refused(self, OP_GET, error, inner)
            raise

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


def _must_wait_to_put(queue: Any) -> bool:
    maxsize = queue._maxsize
    return type(maxsize) is int and 0 < maxsize <= len(queue._queue) and not getattr(queue, "_is_shutdown", False)


def _begin_wait(queue: Any, op: int, frame: FrameType, *, is_known: bool) -> tuple[int, tuple[int, int] | None]:
    """Record that a wait for *queue* begins, and remember it for its end.

    Args:
        queue: The queue.
        op: Whether it is to be put into or got from.
        frame: The caller of the hook.
        is_known: That it will wait; otherwise nothing is recorded yet.

    Returns:
        The number of the queue, and under which key the wait is remembered.
    """
    number = get_number(id(queue))
    if number is None:
        number = _meet(queue, frame)
    if not number:
        return 0, None
    if is_known:
        started = begin(WAIT | op, number)
        cursor = -1
    else:
        state = buffer.thread_state()
        started = (monotonic_ns(), sites.site_here(2), state.scope)
        cursor = state.cursor
    key = (id(queue), started[2])
    _waits[key] = (started, cursor)
    return number, key


def _end_refused(queue: Any, op: int, key: tuple[int, int] | None, error: BaseException) -> None:
    try:
        number = get_number(id(queue))
        wait = _waits.get(key) if key is not None else None
        if number:
            abandon(hooks, op, number, wait[0] if wait is not None else None, error)
    except Exception as problem:
        hooks.failed(problem)


def _make_put(original: Any) -> Any:
    async def put(self: Any, item: Any) -> Any:
        key = None
        try:
            plain = _is_plain(self)
            if not plain or _must_wait_to_put(self):
                _, key = _begin_wait(self, OP_PUT, _getframe(1), is_known=plain)
        except Exception as error:
            hooks.failed(error)
        try:
            return await original(self, item)
        except BaseException as error:
            hide_frame(error)
            _end_refused(self, OP_PUT, key, error)
            raise
        finally:
            if key is not None:
                _waits.pop(key, None)

    return put


def _make_get(original: Any) -> Any:
    async def get(self: Any) -> Any:
        key = started = None
        group = 0
        try:
            plain = _is_plain(self)
            if not plain or (not self._queue and not getattr(self, "_is_shutdown", False)):
                _, key = _begin_wait(self, OP_GET, _getframe(1), is_known=plain)
            if _completions and id(self) in _completions:
                group = _completions[id(self)][1]
                started = None if self._queue else begin(WAIT | OP_WAIT_ANY, group)
        except Exception as error:
            hooks.failed(error)
        try:
            item = await original(self)
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
        return item

    return get


def _end_completion(group: int, started: Started | None, item: Any) -> None:
    """Record that one of the things ``as_completed`` waits for is done, or that time is up."""
    try:
        what = (AWAIT if item is not None else ABANDON | TIMEOUT) | OP_WAIT_ANY
        if started is None:
            buffer.emit(what, group)
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
                buffer.emit(NOTIFY, number, 0, len(self._getters) + len(self._putters))
        except Exception as error:
            hooks.failed(error)
        try:
            return original(self, immediate)
        except BaseException as error:
            hide_frame(error)
            raise

    return shutdown
