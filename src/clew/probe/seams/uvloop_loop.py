"""uvloop: the same steps as on asyncio's loops, by wrapping callbacks.

uvloop runs callbacks from C, so there is no ``_run`` to replace; but ``uvloop.Loop`` is a
Python class above the compiled one, and every way to schedule a callback is a method on
it. A callback is wrapped; but for ``call_soon`` it is put into an object that plays the
part of an ``asyncio.Handle``, so that asyncio's hook records the step.

Can miss: protocol callbacks (``data_received`` and the like), which uvloop calls straight
from its C code; what they wake is recorded as woken by I/O.
"""

from __future__ import annotations

from _thread import get_ident
from time import monotonic_ns

from clew.format.ring import ARG_OFFSET, SLOT_SIZE
from clew.probe import buffer
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams import asyncio_awaits, asyncio_loop
from clew.probe.seams.asyncio_loop import (
    METHOD_CALLBACK,
    OP_IO,
    OP_TIMER,
    QUICK_NS,
    STEP,
    STEP_CALLBACK,
    STEP_END,
    Future,
    Task,
    callback_kind,
    eager_unnamed,
    end_interrupted,
    end_task,
    is_done,
    jobs,
    make_run,
    name_eager_tasks,
    note_new_task,
    pack_end,
    pack_step,
    thread_of,
    unrun,
    waiting,
)
from clew.probe.seams.asyncio_wakes import enter_loop, link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("uvloop")
_MAX_DELAY_S = 1e9
_NEVER_NS = 1 << 62


def _run_plain(step: Any) -> None:
    try:
        step._callback(*step._args)
    except BaseException as error:
        hide_frame(error)
        raise


class Step:
    """A callback on its way through uvloop, with room for its wake."""

    __slots__ = ("_args", "_callback", "_loop", "clew_cause", "clew_kind", "clew_op", "clew_woken")

    __call__ = make_run(_run_plain, is_own=True)

    def __repr__(self) -> str:
        return repr(self._callback)

    def __getattr__(self, name: str) -> Any:
        # uvloop's messages name a callback by its __qualname__.
        return getattr(self._callback, name)


def install(module: ModuleType, session: Session) -> None:
    """Hook the loops of *module*, which is uvloop."""
    loop_class = module.Loop
    hooks.replace(loop_class, "call_soon", _make_call_soon)
    hooks.replace(loop_class, "call_soon_threadsafe", _make_call_soon)
    hooks.replace(loop_class, "call_later", _make_call_later)
    hooks.replace(loop_class, "call_at", _make_call_at)
    for name in ("add_reader", "add_writer", "add_signal_handler"):
        hooks.replace(loop_class, name, _make_add)
    asyncio_loop.hook_task_factory(loop_class)


_new = object.__new__


def _step(loop: Any, callback: Any, args: Any, op: int, cause: int, woken: int) -> Step:
    """Put *callback* into a step that remembers event *cause* as what woke it, and when."""
    step: Any = _new(Step)
    step._loop = loop
    step._callback = callback
    step._args = args
    step.clew_kind = callback_kind(type(callback))
    step.clew_op = op
    step.clew_cause = cause
    step.clew_woken = woken
    return step


def _make_call_soon(original: Any) -> Any:
    """Return ``call_soon`` with the step of a task written out once more.

    Every task of a uvloop loop wakes through here. A closure costs 300 ns less than a
    ``Step`` whose ``__call__`` is asyncio's ``_run``; ``tests/integration/test_uvloop.py``
    holds the two to the same recording. Other callbacks get a ``Step``, which shows as
    the callback it holds in uvloop's messages when the callback fails.
    """
    get_number = asyncio_loop.tasks.get

    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        try:
            try:
                state = self.clew_state
                if state.ident != get_ident():
                    state = enter_loop(self)
            except AttributeError:
                state = buffer.thread_state()
            kind = callback_kind(type(callback))
            if kind == STEP_CALLBACK or kind is None:
                kind = note_new_task(callback, state, context)
            task: Any = None
            scope = 0
            if kind == METHOD_CALLBACK or kind == STEP_CALLBACK:
                task = callback.__self__
                scope = get_number(id(task)) or 0
                owner_type: Any = type(task)
                if not scope or owner_type is not Task or (kind == STEP_CALLBACK and id(task) in unrun):
                    task = None
            cause = state.cursor
            woken = monotonic_ns()
            plain = _step(self, callback, args, 0, cause, woken) if task is None else None
            ends_with = args[0] if args and get_number(id(args[0]), -1) == state.scope else None
            if plain is not None and ends_with is not None:
                link(ends_with, lambda end: setattr(plain, "clew_cause", end))
        except Exception as error:
            hooks.failed(error)
            return original(self, callback, *args, context=context)
        if plain is not None:
            return original(self, plain, context=context)

        def step() -> None:
            try:
                runner = state if state.ident == get_ident() else thread_of(self)
                now = monotonic_ns()
                seq = buffer.next_number()
                slots = buffer.slots
                if seq >= buffer.limit:
                    seq = buffer.admit(seq)
                if seq:
                    offset = (seq & buffer.mask) * SLOT_SIZE
                    pack_step(slots, offset, now, cause, now - woken, scope, STEP)
                outer = runner.scope
                runner.scope = scope
                runner.cursor = seq
                if waiting and seq and id(task) in waiting:
                    asyncio_awaits.end(None, task, seq)
            except Exception as error:
                hooks.failed(error)
                callback(*args)
                return
            try:
                callback(*args)
            except BaseException as error:
                hide_frame(error)
                if slots is buffer.slots:
                    end_interrupted(runner, outer, task, scope)
                raise
            if slots is not buffer.slots:  # forked, see make_run
                return
            try:
                awaited = 0
                waiter: Any = task._fut_waiter  # pyright: ignore[reportOptionalMemberAccess]  else a Step was made
                if waiter is None:
                    if is_done(task):
                        end_task(task, scope, cause)
                elif type(waiter) is Task:
                    awaited = get_number(id(waiter), 0)
                elif seq and (type(waiter) is not Future or id(waiter) in jobs or id(task) in waiting):
                    awaited = asyncio_awaits.begin(None, task, waiter, get_number)
                if seq:
                    duration = monotonic_ns() - now
                    if duration < QUICK_NS:
                        pack_end(slots, offset + ARG_OFFSET, duration, awaited)  # pyright: ignore[reportPossiblyUnboundVariable]
                    else:
                        buffer.emit_at(STEP_END, awaited, 0, 0, duration, seq)
                if eager_unnamed:
                    name_eager_tasks()
                runner.scope = outer
                runner.cursor = 0
            except Exception as error:
                hooks.failed(error)

        if ends_with is not None:

            def set_cause(end: int) -> None:
                nonlocal cause
                cause = end

            link(ends_with, set_cause)
        return original(self, step, context=context)

    return call_soon


def _due(delay: Any) -> int:
    """Return when a timer that runs after *delay* seconds is due; too late for any, if that is no plain number."""
    if (type(delay) is float or type(delay) is int) and delay < _MAX_DELAY_S:
        return monotonic_ns() + int(delay * 1e9)
    return _NEVER_NS


def _make_call_later(original: Any) -> Any:
    def call_later(self: Any, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if type(callback) is Step:  # uvloop's own call_at calls this
            return original(self, delay, callback, *args, context=context)
        try:
            due = _due(delay)
            step = _step(self, callback, args, OP_TIMER, buffer.thread_state().cursor, due)
        except Exception as error:
            hooks.failed(error)
            return original(self, delay, callback, *args, context=context)
        return original(self, delay, step, context=context)

    return call_later


def _make_call_at(original: Any) -> Any:
    def call_at(self: Any, when: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        try:
            due = _due(when - self.time())
            step = _step(self, callback, args, OP_TIMER, buffer.thread_state().cursor, due)
        except Exception as error:
            hooks.failed(error)
            return original(self, when, callback, *args, context=context)
        return original(self, when, step, context=context)

    return call_at


def _make_add(original: Any) -> Any:
    """Hook a method that takes a file descriptor or signal, a callback, and arguments."""

    def add(self: Any, number: Any, callback: Any, *args: Any) -> Any:
        try:
            step = _step(self, callback, args, OP_IO, 0, 0)
        except Exception as error:
            hooks.failed(error)
            return original(self, number, callback, *args)
        return original(self, number, step)

    return add
