"""asyncio loops: which task ran from when to when, and which event woke it.

``BaseEventLoop._call_soon`` is where every loop written in Python schedules a callback,
and ``Handle._run`` where it runs one. Both are replaced on their class, so existing
loops, subclasses of the program's and loops from any factory are seen, and no callback
is wrapped: ``handle._callback`` stays the program's own. (Wrapping callbacks, which
uvloop needs, costs half as much again; see docs/adr/0003.)

A handle from ``_call_soon`` is of a subclass with room for who scheduled it and when.
Timers and file descriptors keep asyncio's own classes: a timer's wake is remembered
under the address of its handle until it runs or is cancelled; an entry left behind by a
loop that was closed is overwritten by the next timer at that address. A step nothing
was remembered for was woken from outside the process: I/O.

Steps carry no span: a step belongs to the span its scope was last in, which the reader
knows (``analysis``), and reading the context variable twice would cost 90 ns.
"""

from __future__ import annotations

import asyncio
import struct
import weakref
from _thread import get_ident
from time import monotonic_ns
from types import BuiltinMethodType, FunctionType, MethodType

from clew.format.ring import ARG_OFFSET, SLOT, SLOT_SIZE
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import buffer, errors, journal, sites
from clew.probe.definitions import define_entity
from clew.probe.patching import Hooks, hide_frame, report
from clew.probe.seams import asyncio_awaits
from clew.probe.seams._unsampled import is_left_out
from clew.probe.seams.asyncio_wakes import enter_loop, pass_end_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.buffer import ThreadState
    from clew.probe.session import Session

STEP = int(EventKind.LIFE_STEP)
STEP_END = int(EventKind.LIFE_STEP_END)
TASK_START = int(EventKind.LIFE_TASK_START)
TASK_END = int(EventKind.LIFE_TASK_END)
TASK_CANCEL = int(EventKind.LIFE_TASK_CANCEL)
OP_TIMER = Operation.TIMER << 8
OP_IO = Operation.IO << 8
OP_CALLBACK = Operation.CALLBACK << 8
OP_EAGER = Operation.EAGER << 8
OUTCOME = {"ok": Outcome.OK << 16, "failed": Outcome.FAILED << 16, "cancelled": Outcome.CANCELLED << 16}

hooks = Hooks("asyncio.loop")
tasks: dict[int, int] = {}
"""Entity number by ``id()`` of every task that began and has not ended."""
unrun: dict[int, tuple[int, tuple[Any, ...]]] = {}
"""Number and definition of tasks that have not run yet, by ``id()``: ``asyncio.create_task`` of 3.11
gives a task its name only after it was created."""
eager_unnamed: list[tuple[int, tuple[Any, ...], weakref.ref[Any]]] = []
"""Eager tasks begun in the running step: they get their names once their factory returned."""
wakes: dict[int, tuple[int, int]] = {}
"""By ``id()`` of a scheduled handle: the event that scheduled it, and when."""

_beginning: dict[int, int] = {}
"""Numbers of the eager tasks that run their first step, by ``id()`` of their coroutine: a
task that yields in it schedules itself before its factory returned."""
loops: weakref.WeakSet[Any] = weakref.WeakSet()
"""Loops that keep the state of the thread they run in."""

Task = asyncio.Task
Future = asyncio.Future
waiting = asyncio_awaits.waiting
jobs = asyncio_awaits.jobs
_SPAN = buffer.SPAN
_pack = SLOT.pack_into
# A slot with the fields a step begins with (the padding is filled with zeros), and the
# two fields it gets when it ends.
pack_step = struct.Struct("@QQQ8x4xI8xI").pack_into
pack_end = struct.Struct("@QI").pack_into
QUICK_NS = 5_000_000
"""A step shorter than this gets its duration in its own slot, where the drain looks no
sooner than twice this after it began (``collector.BUSY_PAUSE_S``); a longer one gets an
event of its own when it ends, so that a loop that is blocked shows a step that began."""
_MAX_LATE_NS = 1e18
is_done: Any = Task.done
_cancelled = Task.cancelled
_get_coro = Task.get_coro
_get_name = Task.get_name


STEP_CALLBACK, METHOD_CALLBACK, _FUNCTION, _BOUND, _OTHER = range(1, 6)
_callback_kinds: dict[type, int] = {BuiltinMethodType: METHOD_CALLBACK, FunctionType: _FUNCTION, MethodType: _BOUND}


callback_kind = _callback_kinds.get


def _meet_callback(kind: type) -> int:
    """Sort a type of callback that was not seen before.

    The object by which a C task schedules its own steps has a type without a public
    name; making a task only to learn it would change the names of the program's tasks.
    """
    if kind.__name__.rpartition(".")[2] == "TaskStepMethWrapper" and not kind.__flags__ & _HEAP_TYPE_OF_PYTHON:
        _callback_kinds[kind] = STEP_CALLBACK
        return STEP_CALLBACK
    return _OTHER


_HEAP_TYPE_OF_PYTHON = 1 << 10  # Py_TPFLAGS_BASETYPE: classes of Python can be subclassed, that one cannot


def install(module: ModuleType, session: Session) -> None:
    """Hook the loops of *module*, which is asyncio."""
    session.at_begin.append(forget)
    hooks.replace(module.Handle, "_run", lambda original: make_run(original, is_own=False))
    hooks.replace(module.Handle, "cancel", _make_cancel)
    hooks.replace(module.BaseEventLoop, "_call_soon", lambda original: _make_call_soon(original, module.Handle))
    hooks.replace(module.BaseEventLoop, "call_at", _make_call_at)
    hook_task_factory(module.BaseEventLoop)


def hook_task_factory(loop_class: Any) -> None:
    """See the first steps of eager tasks (3.12 on) of loops of this class."""
    hooks.replace(loop_class, "set_task_factory", _make_set_task_factory)
    hooks.replace(loop_class, "get_task_factory", _make_get_task_factory)


def _make_set_task_factory(original: Any) -> Any:
    def set_task_factory(self: Any, factory: Any) -> None:
        try:
            if _is_eager(factory):
                factory = _EagerFactory(factory)
        except Exception as error:
            hooks.failed(error)
        original(self, factory)

    return set_task_factory


def _make_get_task_factory(original: Any) -> Any:
    def get_task_factory(self: Any) -> Any:
        factory = original(self)
        return factory.factory if type(factory) is _EagerFactory else factory

    return get_task_factory


def _is_eager(factory: Any) -> bool:
    """Tell whether *factory* is one of asyncio's own that run a task's first step at once."""
    name = getattr(factory, "__qualname__", "")
    return type(factory) is FunctionType and (
        name == "eager_task_factory" or name.startswith("create_eager_task_factory.")
    )


class _EagerFactory:
    """An eager task factory that records the first step, which no handle runs."""

    __slots__ = ("factory",)

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    def __call__(self, loop: Any, coroutine: Any, **options: Any) -> Any:
        if not loop.is_running():
            return self.factory(loop, coroutine, **options)
        if not _SPAN.get() or is_left_out(coroutine):
            return _leave_out_task(self.factory(loop, coroutine, **options))
        try:
            state = buffer.thread_state()
            outer, cursor = state.scope, state.cursor
            number, row = _define_task(options.get("name") or "", coroutine, state, 2)
            seq = buffer.emit_at(TASK_START | OP_EAGER, number, row[4])
            state.scope = number
            state.cursor = seq = buffer.emit_at(STEP | OP_EAGER, 0, 0, 0, 0, seq)
            _beginning[id(coroutine)] = number
            now = monotonic_ns()
        except Exception as error:
            hooks.failed(error)
            return self.factory(loop, coroutine, **options)
        try:
            task = self.factory(loop, coroutine, **options)
        except BaseException as error:
            hide_frame(error)
            _beginning.pop(id(coroutine), None)
            state.scope, state.cursor = outer, cursor
            raise
        try:
            _beginning.pop(id(coroutine), None)
            awaited = 0
            if isinstance(task, Task):  # else a class of the program's, whose later steps are callbacks
                eager_unnamed.append((number, row, weakref.ref(task)))
                tasks[id(task)] = number
                if is_done(task):
                    end_task(task, number, seq)
                elif seq:
                    awaited = asyncio_awaits.begin(None, task, task._fut_waiter, tasks.get)  # pyright: ignore[reportAttributeAccessIssue]
            buffer.emit_at(STEP_END, awaited, 0, 0, monotonic_ns() - now, seq)
        except Exception as error:
            hooks.failed(error)
        state.scope, state.cursor = outer, cursor
        return task


def _leave_out_task(task: Any) -> Any:
    """Do not record *task*, whose first step ran already; it may not have ended."""
    if isinstance(task, Task) and not is_done(task):
        tasks[id(task)] = 0
    return task


def forget() -> None:
    """Forget tasks and wakes: a forked child numbers its own."""
    tasks.clear()
    unrun.clear()
    _beginning.clear()
    wakes.clear()
    for loop in list(loops):
        del loop.clew_state
    loops.clear()


def _make_cancel(original: Any) -> Any:
    def cancel(self: Any) -> None:
        wakes.pop(id(self), None)
        original(self)

    return cancel


def _make_call_soon(original: Any, base: Any) -> Any:
    """Return ``_call_soon`` with asyncio's own body, which is three lines, written in.

    Where the body is another one (a future version), a slower hook around it is used.
    """
    if original.__code__.co_names != ("events", "Handle", "_source_traceback", "_ready", "append"):
        report("asyncio.loop", "this version's _call_soon is not known; a slower hook is used")
        return _make_call_soon_around(original)
    get_kind = _callback_kinds.get

    class Handle(base):
        """``asyncio.Handle`` with room for its wake."""

        __slots__ = ("clew_cause", "clew_kind", "clew_op", "clew_woken")

    Handle.__module__, Handle.__qualname__ = base.__module__, base.__qualname__
    Handle._run = make_run(base._run.__wrapped__, is_own=True)

    def _call_soon(self: Any, callback: Any, args: Any, context: Any) -> Any:
        handle: Any = Handle(callback, args, self, context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        self._ready.append(handle)
        try:
            try:
                state = self.clew_state
                if state.ident != get_ident():
                    state = enter_loop(self)
            except AttributeError:
                state = enter_loop(self)
            kind = get_kind(type(callback))
            if kind == STEP_CALLBACK or kind is None:
                kind = note_new_task(callback, state, context)
            handle.clew_kind = kind
            handle.clew_op = 0
            handle.clew_cause = state.cursor
            handle.clew_woken = monotonic_ns()
        except Exception as error:
            hooks.failed(error)
        return handle

    return _call_soon


def _make_call_soon_around(original: Any) -> Any:
    def _call_soon(self: Any, callback: Any, args: Any, context: Any) -> Any:
        handle = original(self, callback, args, context)
        try:
            if handle._source_traceback:  # debug mode: without this frame
                del handle._source_traceback[-1]
            state = enter_loop(self)
            if _callback_kinds.get(type(callback)) in (STEP_CALLBACK, None):
                note_new_task(callback, state, context)
            wakes[id(handle)] = (state.cursor, monotonic_ns())
        except Exception as error:
            hooks.failed(error)
        return handle

    return _call_soon


def _make_call_at(original: Any) -> Any:
    def call_at(self: Any, when: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = original(self, when, callback, *args, context=context)
        try:
            if handle._source_traceback:
                del handle._source_traceback[-1]
            wakes[id(handle)] = (buffer.thread_state().cursor, 0)
        except Exception as error:
            hooks.failed(error)
        return handle

    return call_at


def note_new_task(callback: Any, state: ThreadState, context: Any) -> int:
    """Register the task whose first step *callback* is; return the callback's kind.

    A task schedules its own step while it runs (``sleep(0)``), or once before it ever
    ran: then it is new, even if its address was another task's that never ended.
    """
    kind = _callback_kinds.get(type(callback)) or _meet_callback(type(callback))
    if kind == STEP_CALLBACK:
        task = callback.__self__
        if isinstance(task, Task) and (tasks.get(id(task)) or -1) != state.scope:
            span = _SPAN.get() if context is None else context.get(_SPAN, buffer.MAIN_SPAN)
            coroutine = _get_coro(task)
            if _beginning and id(coroutine) in _beginning:
                tasks[id(task)] = _beginning[id(coroutine)]
            elif span and not is_left_out(coroutine):
                register(task, state)
            else:
                tasks[id(task)] = 0
    return kind


def register(task: Any, state: ThreadState) -> int:
    """Give *task* its number and record its creation by the code that runs."""
    number, row = _define_task(_get_name(task), _get_coro(task), state, 3)
    tasks[id(task)] = number
    unrun[id(task)] = (number, row)
    buffer.emit_at(TASK_START, number, row[4])
    return number


def _define_task(name: str, coroutine: Any, state: ThreadState, depth: int) -> tuple[int, tuple[Any, ...]]:
    type_name = getattr(coroutine, "__qualname__", "") or type(coroutine).__qualname__
    site = sites.site_here(depth)
    row = (EntityKind.TASK, name, type_name, state.scope, site, _SPAN.get(), "")
    return define_entity(*row), row


def _name_task(number: int, row: tuple[Any, ...], task: Any) -> None:
    """Define *task* again if it got its name since it was created."""
    name = _get_name(task)
    if name != row[1]:
        journal.write_entity((number, row[0], name, *row[2:]))


def thread_of(loop: Any) -> ThreadState:
    """Return the state of this thread, and keep it in *loop*, which runs in it.

    Two attribute reads instead of a thread-local one: 80 ns less, twice a step.
    """
    state = buffer.thread_state()
    try:
        loop.clew_state = state
        loops.add(loop)
    except (AttributeError, TypeError):
        pass
    return state


def _wake_of_any(handle: Any) -> tuple[int, int, int]:
    """Return cause, nanoseconds it was ready, and operation of a handle of asyncio's own."""
    wake = wakes.pop(id(handle), None)
    if wake is None:
        return 0, 0, OP_IO
    cause, woken = wake
    if woken:
        return cause, monotonic_ns() - woken, 0
    # The loop's clock need not be the monotonic one (virtual time): then nothing is said.
    when = handle._when
    late = monotonic_ns() - when * 1e9 if type(when) is float or type(when) is int else 0
    return cause, int(late) if 0 < late < _MAX_LATE_NS else 0, OP_TIMER


def make_run(original: Any, *, is_own: bool) -> Any:
    """Return ``_run`` of a handle with a step recorded around it.

    Args:
        original: asyncio's ``_run``, or what stands for it.
        is_own: The handles remember their wake: those that ``_call_soon`` made.

    Written out at length on purpose: it runs for every callback of every loop, and each
    call into a function of ours would add a tenth of its cost.
    """
    get_number = tasks.get
    get_kind = _callback_kinds.get

    def _run(self: Any) -> None:
        try:
            loop = self._loop
            try:
                state = loop.clew_state
                if state.ident != get_ident():
                    state = thread_of(loop)
            except AttributeError:
                state = thread_of(loop)
            callback = self._callback
            if is_own:
                now = monotonic_ns()
                kind, cause, ready, op = self.clew_kind, self.clew_cause, now - self.clew_woken, self.clew_op
                if op and (ready < 0 or op == OP_IO):
                    ready = 0
            else:
                kind = get_kind(type(callback))
                cause, ready, op = _wake_of_any(self)
                now = monotonic_ns()
            task: Any = None
            if kind == METHOD_CALLBACK or kind == STEP_CALLBACK:
                task = callback.__self__
                scope = get_number(id(task))
                if scope is None or (id(task) in unrun if kind == STEP_CALLBACK else type(task) is not Task):
                    scope, task = meet(task, state)
            else:
                scope = state.thread
            seq = 0
            slots = buffer.slots
            if scope:
                seq = buffer.next_number()  # the inside of emit, without the call
                if seq >= buffer.limit:
                    seq = buffer.admit(seq)
                if seq:
                    offset = (seq & buffer.mask) * SLOT_SIZE
                    if task is not None:
                        pack_step(slots, offset, now, cause, ready, scope, STEP | op)
                    else:
                        pack_callback(offset, now, cause, ready, scope, callback, kind, op)
            outer = state.scope
            state.scope = scope
            state.cursor = seq
            if waiting and seq and id(task) in waiting:
                asyncio_awaits.end(self, task, seq)
        except Exception as error:
            hooks.failed(error)
            original(self)
            return
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            if slots is buffer.slots:
                end_interrupted(state, outer, task, scope)
            raise
        try:
            if slots is not buffer.slots:
                # The step forked, and this is the child: it has a recording of its own,
                # or none, and neither knows this step.
                return
            awaited = 0
            if task is not None:
                waiter = task._fut_waiter
                if waiter is None:
                    if is_done(task):
                        end_task(task, scope, cause)
                elif type(waiter) is Task:
                    awaited = get_number(id(waiter), 0)
                elif seq and (type(waiter) is not Future or id(waiter) in jobs or id(task) in waiting):
                    awaited = asyncio_awaits.begin(self, task, waiter, get_number)
            if seq:
                duration = monotonic_ns() - now
                if duration < QUICK_NS:
                    pack_end(slots, offset + ARG_OFFSET, duration, awaited)  # pyright: ignore[reportPossiblyUnboundVariable]
                else:
                    buffer.emit_at(STEP_END, awaited, 0, 0, duration, seq)
            if eager_unnamed:
                name_eager_tasks()
            state.scope = outer
            state.cursor = 0
        except Exception as error:
            hooks.failed(error)
        # A traceback of the task may keep this frame: as asyncio's own does, it must not
        # keep the task, whose end in silence is reported when it goes.
        self = callback = task = waiter = None

    sites.end_at(_run.__code__)
    return _run


def end_interrupted(state: ThreadState, outer: int, task: Any, scope: int) -> None:
    """Record the end of a step that SystemExit or KeyboardInterrupt went through."""
    try:
        if task is not None and is_done(task):
            end_task(task, scope, 0)
        if scope:
            buffer.emit_at(STEP_END | OUTCOME["failed"], 0, 0)
        state.scope = outer
        state.cursor = 0
    except Exception as error:
        hooks.failed(error)


def pack_callback(
    offset: int, now: int, cause: int, ready: int, scope: int, callback: Any, kind: int | None, op: int = 0
) -> None:
    """Fill a slot with the step of a callback that is no task's."""
    what = STEP | (op or OP_CALLBACK)
    _pack(buffer.slots, offset, now, cause, ready, 0, 0, scope, _site_of(callback, kind), 0, what)


def name_eager_tasks() -> None:
    """Define the eager tasks of the step that ends here again, by their names."""
    while eager_unnamed:
        number, row, reference = eager_unnamed.pop()
        task = reference()
        if task is not None:
            _name_task(number, row, task)


def meet(owner: Any, state: ThreadState) -> tuple[int, Any]:
    """Return number and task for a callback's owner that runs for the first time.

    It may be no task at all; or a task that is met late, because it began eagerly by a
    factory clew does not know, or before recording did; or one that got its name since
    it was created.
    """
    if not isinstance(owner, Task):
        return state.thread, None
    number = tasks.get(id(owner))
    if number is None:
        if is_left_out(_get_coro(owner)):
            number = tasks[id(owner)] = 0
            return number, owner
        return register(owner, state), owner
    if id(owner) in unrun:
        _name_task(*unrun.pop(id(owner)), owner)
    return number, owner


def _site_of(callback: Any, kind: int | None) -> int:
    """Return the first line of a callback written in Python, 0 for others."""
    if kind == _BOUND:
        callback = callback.__func__
        kind = _FUNCTION if type(callback) is FunctionType else _OTHER
    if kind != _FUNCTION:
        return 0
    if sites.tier_of(callback.__code__) == sites.HIDDEN:
        callback = getattr(callback, "__wrapped__", callback)  # a hook stands for what it hooks
    return sites.site_of_code(callback.__code__, -1)


def end_task(task: Any, number: int, cause: int) -> None:
    """Record how *task* ended, with its exception if it failed, and forget it.

    Args:
        task: A task that is done.
        number: Its entity number, 0 if it is not recorded.
        cause: The event that woke its last step: for a task that was cancelled, what
            cancelled it (or, if it awaited something while it cleaned up, what ended that).
    """
    tasks.pop(id(task), None)
    unrun.pop(id(task), None)
    if not number:
        return
    if _cancelled(task):
        buffer.emit_at(TASK_CANCEL, number, 0, cause=cause)
        end = buffer.emit_at(TASK_END | OUTCOME["cancelled"], number, 0)
    else:
        # `exception()` would mark it as retrieved, and asyncio would no longer report it.
        error = task._exception
        if error is None:
            end = buffer.emit_at(TASK_END | OUTCOME["ok"], number, 0)
        else:
            seq = errors.record(EventKind.ERROR_RAISED, error, entity=number)
            end = buffer.emit_at(TASK_END | OUTCOME["failed"], number, 0, cause=seq)
    if end:
        pass_end_on(task, end, wakes)
