"""threading.Thread: who started which thread, what it ran, how it ended, who waited for it.

``start`` is recorded in the creator's scope; the rest in the thread itself, around
``_bootstrap_inner``, which runs whatever ``run`` the program has. What ends a thread with
an exception is noted where the thread is about to report it (``threading.excepthook``),
so that the hook the program may have set runs as it did.

Threads that ``_thread`` starts, or C code, get a number at their first event.
"""

from __future__ import annotations

import sys
import threading
from _thread import get_ident
from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import buffer, definitions, errors, journal, sites
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams._steps import Step, function_of, site_of_function
from clew.probe.session import MAIN_THREAD_ENTITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

START = int(EventKind.LIFE_THREAD_START)
END = int(EventKind.LIFE_THREAD_END)
OK, FAILED = Outcome.OK << 16, Outcome.FAILED << 16
JOIN_WAIT = EventKind.SYNC_WAIT | Operation.JOIN << 8
JOINED = EventKind.SYNC_JOIN | Operation.JOIN << 8
JOIN_ABANDON = EventKind.SYNC_ABANDON | Operation.JOIN << 8
TIMED_OUT, WOULD_BLOCK = Outcome.TIMEOUT << 16, Outcome.WOULD_BLOCK << 16

_POOLS = frozenset({"concurrent.futures.thread", "concurrent.futures.process", "multiprocessing.queues"})
"""Modules whose threads work for everybody, not for the span in which the first job came."""

hooks = Hooks("threading.Thread")
_getframe: Any = sys._getframe
_is_alive: Any = threading.Thread.is_alive


class Life:
    """What is remembered of a thread.

    Attributes:
        row: Its definition.
        number: Its entity.
        epoch: ``definitions.epoch`` of the number.
        span: The span its creator was in.
        start: The event that started it, 0 if that was not recorded.
        started: When.
        step: The step in which its function runs.
        error: The event of the exception that ended it.
        end: The event of its end; -1 until then.
    """

    __slots__ = ("end", "epoch", "error", "number", "row", "span", "start", "started", "step")

    def __init__(self, thread: Any, parent: int = 0, site: int = 0, number: int = 0) -> None:
        cls = type(thread)
        is_pool = _getframe(2).f_globals.get("__name__") in _POOLS
        self.span = buffer.MAIN_SPAN if is_pool else buffer.SPAN.get()
        self.row: tuple[Any, ...] = (
            EntityKind.THREAD,
            thread._name,
            f"{cls.__module__}.{cls.__qualname__}",
            parent,
            site,
            self.span,
            "",
        )
        self.number = number or definitions.define_entity(*self.row)
        self.epoch = definitions.epoch
        if not number:
            definitions.bind(thread, self.number)
        self.start = self.started = self.error = 0
        self.end = -1
        self.step: Step | None = None

    def __reduce__(self) -> Any:
        """Become None in a pickle: a copy of the thread's attributes is another thread's."""
        return type(None), ()


def install(module: ModuleType, session: Session) -> None:
    """Hook the threads of *module*, which is threading."""
    if hooks.name in session.config.disable:
        return
    session.at_begin.append(_begin)
    _begin()
    buffer.define_thread = _define_running
    hooks.replace(module.Thread, "start", _make_start)
    hooks.replace(module.Thread, "_bootstrap_inner", _make_bootstrap)
    hooks.replace(module.Thread, "join", _make_join)
    hooks.replace(module.Thread, "name", _make_name)
    hooks.replace(module, "_shutdown", _make_shutdown)


def _begin() -> None:
    """Give the main thread the number the session gave it."""
    definitions.bind(threading.main_thread(), MAIN_THREAD_ENTITY)


def _define_running() -> int:
    """Define the thread that runs here and was not seen to start; return its number."""
    thread: Any = threading._active.get(get_ident())  # pyright: ignore[reportAttributeAccessIssue]
    if thread is None:
        # Begun with `_thread.start_new_thread`: the function it runs is what tells it from others.
        frame = sys._getframe(1)
        while frame.f_back is not None:
            frame = frame.f_back
        name = frame.f_code.co_qualname
        return definitions.define_entity(EntityKind.THREAD, "", type_name="thread" if name == "<module>" else name)
    return _life_of(thread).number


def _life_of(thread: Any) -> Life:
    """Return what is remembered of *thread*, defining one that was not seen to start."""
    life = thread.__dict__.get("clew")
    if life is None or life.epoch != definitions.epoch:
        life = thread.__dict__["clew"] = Life(thread, number=definitions.known(thread))
    return life


def _make_start(original: Any) -> Any:
    def start(self: Any) -> None:
        life = None
        try:
            if self._initialized and not self._started._flag:
                site = sites.site_here(2)
                life = self.__dict__["clew"] = Life(self, buffer.thread_state().scope, site)
                life.started = monotonic_ns()
                life.start = buffer.emit_at(START, life.number, site)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            if life is not None and isinstance(error, Exception):
                _note_not_started(life)
            raise

    return start


def _note_not_started(life: Life) -> None:
    try:
        if life.step is None:
            life.end = buffer.emit_at(END | FAILED, life.number, 0)
    except Exception as error:
        hooks.failed(error)


def _make_bootstrap(original: Any) -> Any:
    def _bootstrap_inner(self: Any) -> None:
        life = None
        try:
            life = _enter_thread(self)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            _leave_thread(life)
            raise
        _leave_thread(life)

    return _bootstrap_inner


def _enter_thread(thread: Any) -> Life:
    """Make the new thread known where it runs, and record that it does."""
    life = thread.__dict__.get("clew")
    if life is None or life.epoch != definitions.epoch:
        life = thread.__dict__["clew"] = Life(thread)
    buffer.set_thread(life.number)
    if life.span != buffer.MAIN_SPAN:
        buffer.SPAN.set(life.span)
    function = _function_of(thread)
    waited = monotonic_ns() - life.started if life.started else 0
    life.step = Step(0, site_of_function(function), waited, life.start)
    _watch(thread, life)
    return life


def _function_of(thread: Any) -> Any:
    """Return the function of the program's that *thread* runs, as far as that is plain."""
    run = type(thread).run
    if run is threading.Thread.run:
        return function_of(thread._target)
    if run is threading.Timer.run:
        return function_of(thread.function)
    return function_of(run)


def _watch(thread: Any, life: Life) -> None:
    """Note the exception the thread is about to report, before it does."""
    invoke = thread._invoke_excepthook

    def invoke_excepthook(thread: Any) -> None:
        try:
            error = sys.exception()
            # threading.excepthook is silent about SystemExit: a way to end a thread.
            if error is not None and not isinstance(error, SystemExit) and life.epoch == definitions.epoch:
                life.error = errors.record(EventKind.ERROR_UNHANDLED, error, entity=life.number)
        except Exception as problem:
            hooks.failed(problem)
        finally:
            error = None
        invoke(thread)

    thread._invoke_excepthook = invoke_excepthook


def _leave_thread(life: Life | None) -> None:
    try:
        if life is not None and life.step is not None and life.epoch == definitions.epoch:
            life.step.end()
            life.end = buffer.emit_at(END | (FAILED if life.error else OK), life.number, 0, cause=life.error)
    except Exception as error:
        hooks.failed(error)


def _make_join(original: Any) -> Any:
    def join(self: Any, timeout: Any = None) -> None:
        life = None
        began = 0
        try:
            # Other joins raise.
            if self._initialized and self._started._flag and self._ident != get_ident():
                life = _life_of(self)
                if (
                    life.end < 0
                    and _is_alive(self)
                    and (timeout is None or (type(timeout) in (int, float) and timeout > 0))
                ):
                    buffer.emit(JOIN_WAIT, life.number)
                    began = monotonic_ns()
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            if began:
                _end_join(self, life, JOIN_ABANDON | FAILED, began)
            raise
        if life is not None:
            is_joined = timeout is None or life.end >= 0 or not _is_alive(self)
            unjoined = JOIN_ABANDON | (TIMED_OUT if began else WOULD_BLOCK)
            _end_join(self, life, JOINED if is_joined else unjoined, began)

    return join


def _end_join(thread: Any, life: Life | None, what: int, began: int) -> None:
    try:
        if life is not None:
            waited = monotonic_ns() - began if began else 0
            buffer.emit(what, life.number, waited, 0, max(life.end, 0) if what == JOINED else 0)
    except Exception as error:
        hooks.failed(error)


def _make_name(original: Any) -> Any:
    def set_name(self: Any, name: Any) -> None:
        try:
            original.fset(self, name)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            life = self.__dict__.get("clew")
            if life is not None and life.epoch == definitions.epoch:
                life.row = (life.row[0], self._name, *life.row[2:])
                journal.write_entity((life.number, *life.row))
        except Exception as error:
            hooks.failed(error)

    return property(original.fget, set_name, original.fdel, original.__doc__)


def _make_shutdown(original: Any) -> Any:
    """Return ``_shutdown``: the main thread, at its end, waits for all that are not daemons."""

    def _shutdown() -> None:
        lives: list[Life] = []
        began = 0
        try:
            for thread in list(threading._active.values()):  # pyright: ignore[reportAttributeAccessIssue]
                life = thread.__dict__.get("clew")
                if life is not None and life.end < 0 and life.step is not None and not thread._daemonic:
                    lives.append(life)
            lives = [life for life in lives if life.epoch == definitions.epoch]
            for life in lives:
                buffer.emit(JOIN_WAIT, life.number)
            began = monotonic_ns()
        except Exception as error:
            hooks.failed(error)
        try:
            original()
        except BaseException as error:
            hide_frame(error)
            raise
        for life in lives:
            if life.epoch == definitions.epoch:
                _end_join(None, life, JOINED, began)

    return _shutdown
