"""queue.SimpleQueue: what went in, who got it, who waits.

It is a type in C that cannot be changed, but can be subclassed: the name
``queue.SimpleQueue`` stands for a subclass. The inside of executors stays the plain one,
since their jobs are recorded (``executors``).

Puts are recorded before they are done, and there is no mutex to do it in: of two puts at
the same time, the events may stand in the other order. So a get names its put as cause.

Can miss: queues made by ``_queue.SimpleQueue`` or before recording began.
"""

from __future__ import annotations

import sys
from _queue import Empty
from _queue import SimpleQueue as PlainSimpleQueue
from time import monotonic_ns

from clew.model.kinds import EntityKind
from clew.probe import definitions
from clew.probe.buffer import emit
from clew.probe.definitions import number_at
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams.thread_queues import (
    FAILED,
    GET,
    GET_ABANDON,
    GET_WAIT,
    PUT,
    TIMED_OUT,
    WOULD_BLOCK,
    note_put,
    take_put,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("queue.SimpleQueue")
_getframe: Any = sys._getframe
_put: Any = PlainSimpleQueue.put
_get: Any = PlainSimpleQueue.get
_size: Any = PlainSimpleQueue.qsize
_POOLS = frozenset({"concurrent.futures.thread", "concurrent.futures.process"})


def install(module: ModuleType, session: Session) -> None:
    """Put the class in the place of the name in *module*, which is queue."""
    if hooks.name not in session.config.disable:
        hooks.replace(module, "SimpleQueue", lambda original: SimpleQueue if original is PlainSimpleQueue else original)


class _Meta(type):
    """``queue.SimpleQueue`` as a class: queues that do not record are instances of it too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, PlainSimpleQueue) if cls is SimpleQueue else type.__instancecheck__(cls, instance)


class SimpleQueue(PlainSimpleQueue, metaclass=_Meta):  # pyright: ignore[reportMissingTypeArgument]
    """Simple, unbounded, reentrant FIFO queue."""

    __slots__ = ("puts",)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a queue that records; a plain one to an executor."""
        if hooks.failures or (_getframe(1).f_globals.get("__name__") in _POOLS and cls is SimpleQueue):
            return PlainSimpleQueue(*args, **kwargs)
        self: Any = PlainSimpleQueue.__new__(cls, *args, **kwargs)
        self.puts = {}
        return self

    def put(self, item: Any, block: Any = True, timeout: Any = None) -> None:
        """Put *item* in; never waits."""
        try:
            note_put(self.puts, item, emit(PUT, number_at(id(self)) or _define(self), 0, _size(self) + 1))
        except Exception as error:
            hooks.failed(error)
        try:
            _put(self, item, block, timeout)
        except BaseException as error:
            hide_frame(error)
            raise

    def put_nowait(self, item: Any) -> None:
        """Put *item* in; never waits."""
        try:
            note_put(self.puts, item, emit(PUT, number_at(id(self)) or _define(self), 0, _size(self) + 1))
        except Exception as error:
            hooks.failed(error)
        _put(self, item)

    def get(self, block: Any = True, timeout: Any = None) -> Any:
        """Take the oldest item out, waiting for one; see the plain queue."""
        began = 0
        try:
            if not (block is True and timeout is None) and not _may_wait(block, timeout):
                item = _get(self, block, timeout)
            else:
                item = _NOTHING
                try:
                    item = _get(self, False)
                except Empty:
                    began = _begin_get(self)
                if item is _NOTHING:
                    item = _get(self, True, timeout)
        except BaseException as error:
            hide_frame(error)
            _abandon_get(self, error, began)
            raise
        if began:
            _end_get(self, item, began)
        else:
            try:
                emit(GET, number_at(id(self)) or _define(self), 0, _size(self), take_put(self.puts, item))
            except Exception as error:
                hooks.failed(error)
        return item

    def get_nowait(self) -> Any:
        """Take the oldest item out, if there is one."""
        try:
            item = _get(self, False)
        except BaseException as error:
            hide_frame(error)
            _abandon_get(self, error, 0)
            raise
        _end_get(self, item, 0)
        return item

    def __repr__(self) -> str:
        text = super().__repr__()
        return text.replace("<queue.", "<_queue.", 1) if type(self) is SimpleQueue else text

    def __reduce_ex__(self, protocol: Any) -> Any:
        try:
            return (PlainSimpleQueue() if type(self) is SimpleQueue else super()).__reduce_ex__(protocol)
        except TypeError as error:
            hide_frame(error)
            raise


SimpleQueue.__module__ = "queue"
_NOTHING: Any = object()


def _define(queue: Any) -> int:
    queue.puts.clear()  # events of the process this one was forked from
    return definitions.entity_of(queue, EntityKind.QUEUE)


def _may_wait(block: Any, timeout: Any) -> bool:
    """Tell whether these are the usual arguments of a get that waits for a time."""
    return block is True and type(timeout) in (int, float) and timeout > 0


def _begin_get(queue: Any) -> int:
    """Record that the queue is empty; return when."""
    try:
        emit(GET_WAIT, number_at(id(queue)) or _define(queue))
    except Exception as error:
        hooks.failed(error)
    return monotonic_ns()


def _end_get(queue: Any, item: object, began: int) -> None:
    try:
        number = number_at(id(queue)) or _define(queue)
        emit(GET, number, monotonic_ns() - began if began else 0, _size(queue), take_put(queue.puts, item))
    except Exception as error:
        hooks.failed(error)


def _abandon_get(queue: Any, error: BaseException, began: int) -> None:
    try:
        outcome = (TIMED_OUT if began else WOULD_BLOCK) if isinstance(error, Empty) else FAILED
        if began or outcome == WOULD_BLOCK:
            number = number_at(id(queue)) or _define(queue)
            emit(GET_ABANDON | outcome, number, monotonic_ns() - began if began else 0)
    except Exception as problem:
        hooks.failed(problem)
