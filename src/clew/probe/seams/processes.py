"""Processes: which event started a child, who waited for it, how it ended.

A child is known by its pid from the event that starts it (``effect.call``) until somebody
in this process learns that it ended (``effect.result``): whoever reaps it first, be it
``Popen``, asyncio's child watcher, ``multiprocessing`` or ``os.waitpid``.

This module has what all of them share, and the functions of ``os``.

Can miss: children started by C code, and the end of those that C code reaps.
"""

from __future__ import annotations

import _signal
import os
import sys
from _thread import get_ident
from time import monotonic_ns
from types import FunctionType

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind
from clew.probe import buffer, context, definitions, sites
from clew.probe import install as recording
from clew.probe.patching import Hooks, hide_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

    from clew.probe.context import Span
    from clew.probe.redact import Redactor
    from clew.probe.session import Session

WAIT = EventKind.SYNC_WAIT | Operation.JOIN << 8
JOIN = EventKind.SYNC_JOIN | Operation.JOIN << 8 | Outcome.OK << 16
ABANDON = EventKind.SYNC_ABANDON | Operation.JOIN << 8
MAX_CHILDREN = 10_000
"""Children whose end is awaited; those of a program that never reaps any are forgotten."""
MAX_WORDS = 32

hooks = Hooks("os.processes")
_redactor: Redactor
_children: dict[int, Child] = {}
_results: dict[int, int] = {}
"""By number of a child that ended: the event that says so."""
_waiting: set[int] = set()
"""Threads in a wait that is recorded: what it is built of is not."""
_getframe: Any = sys._getframe
_waitid = os.waitid


class Child:
    """A process this one started.

    Attributes:
        entity: Its number here.
        span: From its start until this process knew that it ended.
        attrs: What is recorded with its start.
    """

    __slots__ = ("attrs", "entity", "span")

    def __init__(self, entity: int, span: Span, attrs: dict[str, Any]) -> None:
        self.entity = entity
        self.span = span
        self.attrs = attrs


def install(module: ModuleType, session: Session) -> None:
    """Hook the functions of *module*, which is os."""
    global _redactor
    _redactor = session.redactor
    session.at_begin.append(forget)
    for name in ("fork", "forkpty"):
        hooks.replace(module, name, _make_fork)
    for name in ("posix_spawn", "posix_spawnp"):
        hooks.replace(module, name, _make_spawn)
    for name in ("execv", "execve"):
        hooks.replace(module, name, _make_exec)
    hooks.replace(module, "system", _make_system)
    for name in ("wait", "wait3", "wait4", "waitpid"):
        hooks.replace(module, name, _make_reap)
    hooks.replace(module, "waitid", _make_waitid)


def forget() -> None:
    """Forget every child: a forked child has none."""
    _children.clear()
    _results.clear()
    _waiting.clear()


# -- what is shared


def begin(name: str, op: Operation, attrs: dict[str, Any], type_name: str) -> Child | None:
    """Record that a child is about to be started; None in a run that is not sampled.

    Args:
        name: What people call it.
        op: How it is started: subprocess, fork, spawn.
        attrs: Redacted JSON values.
        type_name: What starts it.
    """
    if not buffer.SPAN.get():
        return None
    scope = buffer.thread_state().scope
    entity = definitions.define_entity(EntityKind.PROCESS, name, type_name, scope, sites.site_here(2))
    span = context.start_span(name, kind=SpanKind.CLIENT, effect=op, enter=False, entity=entity)
    return Child(entity, span, attrs) if span.seq else None


def started(child: Child | None, pid: int) -> None:
    """Record that *child* runs, as process *pid*."""
    if child is None:
        return
    buffer.attach(child.span.seq, {**child.attrs, "pid": pid})
    if len(_children) >= MAX_CHILDREN:
        _children.clear()
    _children[pid] = child


def not_started(child: Child | None, error: BaseException) -> None:
    """Record that *child* could not be started."""
    if child is not None:
        buffer.attach(child.span.seq, child.attrs)
        child.span.end(Outcome.FAILED, error=error)


def exited(pid: int, returncode: int) -> None:
    """Record that child *pid* ended, unless that is known already.

    Args:
        pid: A process.
        returncode: Its exit code, or the number of the signal that ended it, negative.
    """
    child = _children.pop(pid, None)
    if child is not None:
        attrs: dict[str, Any] = {"pid": pid, "returncode": returncode}
        if returncode < 0:
            attrs["signal"] = _signal_names.get(-returncode, str(-returncode))
        child.span.end(Outcome.FAILED if returncode else Outcome.OK, attrs)
        if len(_results) >= MAX_CHILDREN:
            _results.clear()
        _results[child.entity] = buffer.thread_state().cursor


_signal_names = {
    number: name
    for name, number in vars(_signal).items()
    if name.startswith("SIG") and "_" not in name and isinstance(number, int)
}


def entity_of(pid: int) -> int:
    """Return the number of the running child *pid*, 0 if it is not known."""
    child = _children.get(pid)
    return child.entity if child is not None else 0


def has_exited(pid: int) -> bool:
    """Tell whether child *pid* (-1: any child) ended, without reaping it."""
    which, ident = (os.P_ALL, 0) if pid == -1 else (os.P_PID, pid)
    try:
        return _waitid(which, ident, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except OSError:
        return False


class Wait:
    """A wait for a child to end, from the call to the return.

    Args:
        entity: The child.
        is_over: It ended already: there is nothing to wait for.
        is_thread: The thread waits; False for a task, whose thread goes on with others.
    """

    __slots__ = ("_ident", "_since", "entity")

    def __init__(self, entity: int, *, is_over: bool, is_thread: bool = True) -> None:
        self.entity = entity
        self._ident = get_ident() if is_thread else 0
        self._since = 0
        if is_thread:
            _waiting.add(self._ident)
        if not is_over:
            buffer.emit(WAIT, entity)
            self._since = monotonic_ns()

    def end(self, outcome: Outcome) -> None:
        """Record how the wait ended, if there was one; ``OK``: the child did."""
        waited = monotonic_ns() - self._since if self._since else 0
        _waiting.discard(self._ident)
        if outcome == Outcome.OK:
            buffer.emit(JOIN, self.entity, waited, 0, _results.get(self.entity, 0))
        elif self._since:
            buffer.emit(ABANDON | outcome << 16, self.entity, waited)


def is_waiting() -> bool:
    """Tell whether the running code is part of a wait that is recorded."""
    return get_ident() in _waiting


def words(arguments: Any) -> list[str]:
    """Return a command as redacted texts; none of the program's code runs."""
    if type(arguments) in (str, bytes) or not isinstance(arguments, list | tuple):
        arguments = [arguments]
    texts = [_text(argument) for argument in arguments[:MAX_WORDS]]
    if len(arguments) > MAX_WORDS:
        texts.append(f"… {len(arguments) - MAX_WORDS} more")
    return _redactor.arguments(texts)


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is bytes:
        return os.fsdecode(value)
    if type(value).__module__.partition(".")[0] == "pathlib":
        return os.fspath(value)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def path_text(value: Any) -> str:
    """Return a path as redacted text."""
    return _redactor.text(_text(value))


def name_of(command: list[str]) -> str:
    """Return what people call a command: the file name of its program."""
    return os.path.basename(command[0]) or command[0] if command else ""


# -- functions of os


def _as_caller(call: Any, frame: FrameType) -> Callable[[], Any]:
    """Return a function that makes *call* as if it stood in *frame*.

    From 3.12 on, a fork in a process with threads warns; whether and where that is shown
    depends on the module and line of the nearest Python frame.
    """
    code = _call.__code__.replace(
        co_filename=frame.f_code.co_filename, co_firstlineno=frame.f_lineno or 1, co_name=sites.STAND_IN
    )
    return FunctionType(code, frame.f_globals, "fork", (call,))


_call: Any = lambda call: call()


def _make_fork(original: Any) -> Any:
    def fork() -> Any:
        ident = get_ident()
        child = None
        try:
            call = _as_caller(original, _getframe(1))
            is_own = ident not in recording.forks
            if is_own:
                child = begin("fork", Operation.FORK, {}, f"os.{original.__name__}")
                recording.forks[ident] = child.span.seq if child is not None else 0
        except Exception as error:
            hooks.failed(error)
            recording.forks.pop(ident, None)
            return original()
        try:
            result = call()
        except BaseException as error:
            error.__traceback__ = None  # the two frames here; C code has none
            if is_own:
                recording.forks.pop(ident, None)
                _guard(not_started, child, error)
            raise
        pid = result if type(result) is int else result[0]
        if pid and is_own:
            recording.forks.pop(ident, None)
            _guard(started, child, pid)
        return result

    return fork


def _guard(action: Any, *arguments: Any) -> None:
    try:
        action(*arguments)
    except Exception as error:
        hooks.failed(error)


def _make_spawn(original: Any) -> Any:
    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> Any:
        if get_ident() in recording.forks:
            return original(path, argv, env, **options)
        try:
            command = words(argv)
            child = begin(name_of(command), Operation.SUBPROCESS, {"argv": command}, "os.posix_spawn")
        except Exception as error:
            hooks.failed(error)
            return original(path, argv, env, **options)
        try:
            pid = original(path, argv, env, **options)
        except BaseException as error:
            hide_frame(error)
            _guard(not_started, child, error)
            raise
        _guard(started, child, pid)
        return pid

    return posix_spawn


def _make_exec(original: Any) -> Any:
    def execute(path: Any, *arguments: Any) -> Any:
        child = session = None
        try:
            # `execvp` tries every folder of PATH: only the attempt that can succeed counts.
            if type(path) in (str, bytes) and os.access(path, os.X_OK):
                command = words(arguments[0]) if arguments else []
                child = begin(name_of(command), Operation.EXEC, {"argv": command}, f"os.{original.__name__}")
                session = recording.session
                if child is not None:
                    buffer.attach(child.span.seq, {**child.attrs, "pid": os.getpid()})
                if session is not None:
                    session.before_exec()
        except Exception as error:
            hooks.failed(error)
        try:
            return original(path, *arguments)
        except BaseException as error:
            hide_frame(error)
            if session is not None:
                _guard(session.after_failed_exec)
            _guard(not_started, child, error)
            raise

    return execute


def _make_system(original: Any) -> Any:
    def system(command: Any) -> Any:
        try:
            child = begin("sh", Operation.SUBPROCESS, {"argv": words(["sh", "-c", command])}, "os.system")
            if child is not None:
                buffer.attach(child.span.seq, child.attrs)
        except Exception as error:
            hooks.failed(error)
            return original(command)
        try:
            status = original(command)
        except BaseException as error:
            hide_frame(error)
            _guard(not_started, child, error)
            raise
        if child is not None:
            code = os.waitstatus_to_exitcode(status) if status >= 0 else status
            _guard(child.span.end, Outcome.FAILED if code else Outcome.OK, {"returncode": code})
        return status

    return system


def _make_reap(original: Any) -> Any:
    """Hook ``wait`` and its relatives, which return a pid and a status first."""
    takes_pid = original.__name__ in ("wait4", "waitpid")
    options_at = {"waitpid": 1, "wait4": 1, "wait3": 0}.get(original.__name__, 9)

    def reap(*arguments: Any, **keywords: Any) -> Any:
        wait = None
        try:
            options = arguments[options_at] if len(arguments) > options_at else keywords.get("options", 0)
            if type(options) is int and not options & os.WNOHANG and not is_waiting() and _children:
                pid = (arguments[0] if arguments else keywords["pid"]) if takes_pid else -1
                if type(pid) is int and not has_exited(pid):
                    wait = Wait(entity_of(pid), is_over=False)
        except Exception as error:
            hooks.failed(error)
        try:
            result = original(*arguments, **keywords)
        except BaseException as error:
            hide_frame(error)
            if wait is not None:
                _guard(wait.end, Outcome.FAILED)
            raise
        _guard(_note_status, result[0], result[1], wait)
        return result

    return reap


def _note_status(pid: int, status: int, wait: Wait | None) -> None:
    has_ended = pid > 0 and (os.WIFEXITED(status) or os.WIFSIGNALED(status))
    if wait is not None:
        wait.entity = entity_of(pid) or wait.entity
    if has_ended:
        exited(pid, os.waitstatus_to_exitcode(status))
    if wait is not None:
        wait.end(Outcome.OK if has_ended else Outcome.NONE)


def _make_waitid(original: Any) -> Any:
    def waitid(idtype: Any, ident: Any, options: Any, /) -> Any:
        try:
            result = original(idtype, ident, options)
        except BaseException as error:
            hide_frame(error)
            raise
        if result is not None and result.si_code in _ENDED and not options & os.WNOWAIT:
            code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
            _guard(exited, result.si_pid, code)
        return result

    return waitid


_ENDED = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
