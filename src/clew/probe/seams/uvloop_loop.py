"""uvloop: the same steps as on asyncio's loops, by wrapping callbacks.

uvloop runs callbacks from C, so there is no ``_run`` to replace; but ``uvloop.Loop`` is a
Python class above the compiled one, and every way to schedule a callback is a method on
it. Each callback is put into an object that plays the part of an ``asyncio.Handle``, so
that one function records the steps of both.

Can miss: protocol callbacks (``data_received`` and the like), which uvloop calls straight
from its C code; what they wake is recorded as woken by I/O.
"""

from __future__ import annotations

from _thread import get_ident
from time import monotonic_ns

from clew.probe import buffer
from clew.probe.patching import Hooks
from clew.probe.seams import asyncio_loop
from clew.probe.seams.asyncio_loop import OP_IO, OP_TIMER, callback_kind, make_run, note_new_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("uvloop")


def _run_plain(step: Any) -> None:
    step._callback(*step._args)


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


def _step(loop: Any, callback: Any, args: Any, context: Any, op: int, woken: int) -> Step:
    """Put *callback* into a step that remembers the running code as its cause."""
    try:
        state = loop.clew_state
        if state.ident != get_ident():
            state = buffer.thread_state()
    except AttributeError:
        state = buffer.thread_state()
    step: Any = _new(Step)
    kind = callback_kind(type(callback))
    if kind == asyncio_loop.STEP_CALLBACK or kind is None:
        kind = note_new_task(callback, state, context)
    step._loop = loop
    step._callback = callback
    step._args = args
    step.clew_kind = kind
    step.clew_op = op
    step.clew_cause = 0 if op == OP_IO else state.cursor
    step.clew_woken = woken or monotonic_ns()
    return step


def _make_call_soon(original: Any) -> Any:
    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        try:
            step = _step(self, callback, args, context, 0, 0)
        except Exception as error:
            hooks.failed(error)
            return original(self, callback, *args, context=context)
        return original(self, step, context=context)

    return call_soon


def _make_call_later(original: Any) -> Any:
    def call_later(self: Any, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        try:
            step = _step(self, callback, args, context, OP_TIMER, monotonic_ns() + int(delay * 1e9))
        except Exception as error:
            hooks.failed(error)
            return original(self, delay, callback, *args, context=context)
        return original(self, delay, step, context=context)

    return call_later


def _make_call_at(original: Any) -> Any:
    def call_at(self: Any, when: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        try:
            step = _step(self, callback, args, context, OP_TIMER, monotonic_ns() + int((when - self.time()) * 1e9))
        except Exception as error:
            hooks.failed(error)
            return original(self, when, callback, *args, context=context)
        return original(self, when, step, context=context)

    return call_at


def _make_add(original: Any) -> Any:
    """Hook a method that takes a file descriptor or signal, a callback, and arguments."""

    def add(self: Any, number: Any, callback: Any, *args: Any) -> Any:
        try:
            step = _step(self, callback, args, None, OP_IO, 0)
        except Exception as error:
            hooks.failed(error)
            return original(self, number, callback, *args)
        return original(self, number, step)

    return add
