"""``multiprocessing``: processes of every start method, and what is built on them.

Pools and ``ProcessPoolExecutor`` start, join and reap their workers through
``Process``. A worker of the start method *forkserver* is a child of the server, which is
recorded too: two events lead to it, the call here and the fork there.

In the child, the name of the process, an exception its function ended with, and its end
are recorded; forked children end by ``os._exit``, which no ``atexit`` function sees.
"""

from __future__ import annotations

import atexit
import sys
from _thread import get_ident
from types import FunctionType

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import definitions, errors, journal
from clew.probe import install as recording
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams import processes
from clew.probe.seams.processes import Child, Wait
from clew.probe.session import PROCESS_ENTITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("multiprocessing")
_hooked_runs: set[type] = set()


def install(module: ModuleType, session: Session) -> None:
    """Hook the classes of *module*, one of multiprocessing's."""
    name = module.__name__
    if name == "multiprocessing.process":
        hooks.replace(module.BaseProcess, "start", _make_start)
        hooks.replace(module.BaseProcess, "join", _make_join)
        hooks.replace(module.BaseProcess, "_bootstrap", _make_bootstrap)
    elif name == "multiprocessing.popen_forkserver":
        hooks.replace(module.Popen, "poll", _make_poll)
    else:
        hooks.replace(module, "spawnv_passfds", _make_spawnv)


def _guard(action: Any, *arguments: Any) -> None:
    try:
        action(*arguments)
    except Exception as error:
        hooks.failed(error)


# -- in the parent


def _method_of(process: Any) -> str:
    """Return the start method *process* will use."""
    if process._start_method:
        return process._start_method
    default: Any = vars(sys.modules["multiprocessing.context"])["_default_context"]
    actual = default._actual_context or default._default_context
    return actual._name


def _begin(process: Any) -> Child | None:
    method = _method_of(process)
    cls = type(process)
    attrs: dict[str, Any] = {"name": process._name, "method": method}
    if type(process._target) is FunctionType:
        attrs["target"] = process._target.__code__.co_qualname
    op = Operation.FORK if method == "fork" else Operation.SPAWN
    return processes.begin(process._name, op, attrs, f"{cls.__module__}.{cls.__qualname__}")


def _make_start(original: Any) -> Any:
    def start(self: Any) -> None:
        ident = get_ident()
        child = None
        try:
            if self._popen is None and ident not in recording.forks:
                child = _begin(self)
                recording.forks[ident] = child.span.seq if child is not None else 0
        except Exception as error:
            hooks.failed(error)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            recording.forks.pop(ident, None)
            _guard(processes.not_started, child, error)
            raise
        recording.forks.pop(ident, None)
        _guard(_started, self, child)

    return start


def _started(process: Any, child: Child | None) -> None:
    if child is not None:
        definitions.bind(process, child.entity)
        processes.started(child, process._popen.pid)


def _make_join(original: Any) -> Any:
    def join(self: Any, timeout: Any = None) -> None:
        wait = None
        try:
            entity = definitions.known(self)
            popen = self._popen
            if entity and popen is not None and popen.returncode is None and not processes.is_waiting():
                wait = Wait(entity, is_over=processes.has_exited(popen.pid))
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, timeout)
        except BaseException as error:
            hide_frame(error)
            if wait is not None:
                _guard(wait.end, Outcome.FAILED)
            raise
        if wait is not None:
            _guard(_end_join, self, wait)

    return join


def _end_join(process: Any, wait: Wait) -> None:
    wait.end(Outcome.TIMEOUT if process._popen.returncode is None else Outcome.OK)


def _make_poll(original: Any) -> Any:
    """Hook ``Popen.poll`` of forkserver, which does not reap but is told."""

    def poll(self: Any, *arguments: Any) -> Any:
        try:
            returncode = original(self, *arguments)
        except BaseException as error:
            hide_frame(error)
            raise
        if type(returncode) is int:
            _guard(processes.exited, self.pid, returncode)
        return returncode

    return poll


def _make_spawnv(original: Any) -> Any:
    """Hook the function that starts the fork server, the resource tracker, and spawned processes."""

    def spawnv_passfds(path: Any, args: Any, passfds: Any) -> Any:
        child = None
        try:
            if "--multiprocessing-fork" not in args:  # that one is told of by `start`
                command = processes.words(args)
                name = "resource_tracker" if "resource_tracker" in command[-1] else "forkserver"
                child = processes.begin(name, Operation.SPAWN, {"argv": command}, "multiprocessing")
        except Exception as error:
            hooks.failed(error)
        try:
            pid = original(path, args, passfds)
        except BaseException as error:
            hide_frame(error)
            _guard(processes.not_started, child, error)
            raise
        _guard(processes.started, child, pid)
        return pid

    return spawnv_passfds


# -- in the child


def _make_bootstrap(original: Any) -> Any:
    def _bootstrap(self: Any, *arguments: Any, **keywords: Any) -> Any:
        ends_here = None
        try:
            _name_process(self._name)
            _hook_run(type(self))
            ends_here = _arrange_end()
        except Exception as error:
            hooks.failed(error)
        try:
            return original(self, *arguments, **keywords)
        finally:
            if ends_here is not None:
                _guard(ends_here)

    return _bootstrap


def _name_process(name: str) -> None:
    journal.write_entity((PROCESS_ENTITY, EntityKind.PROCESS, name, "multiprocessing", 0, 0, 0, ""))


def _hook_run(cls: type) -> None:
    """Hook the method ``run`` of a class of processes, once, in the child."""
    owner = next((base for base in cls.__mro__ if "run" in vars(base)), None)
    if owner is not None and owner not in _hooked_runs:
        _hooked_runs.add(owner)
        hooks.replace(owner, "run", _make_run)


def _make_run(original: Any) -> Any:
    def run(self: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            return original(self, *arguments, **keywords)
        except SystemExit as error:
            hide_frame(error)
            raise
        except BaseException as error:
            hide_frame(error)
            _guard(_record_unhandled, error)
            raise

    return run


def _record_unhandled(error: BaseException) -> None:
    errors.record(EventKind.ERROR_UNHANDLED, error, entity=PROCESS_ENTITY)


def _arrange_end() -> Any:
    """See to it that the end of a forked child is recorded; return what is left to do at the end.

    Spawned children end by ``sys.exit`` and need nothing. Forked ones are ended after
    ``_bootstrap``, and from 3.13 on run their own exit functions before: the end must come
    after multiprocessing's, which joins the children of this child.
    """
    if not recording.is_forked:
        return None
    if not any("atexit" in vars(sys.modules.get(name, sys)) for name in _FORKING):
        return _end
    exit_function = vars(sys.modules["multiprocessing.util"])["_exit_function"]
    if atexit._ncallbacks() == 1:
        atexit.unregister(exit_function)
        atexit.register(_end)
        atexit.register(exit_function)
    else:
        atexit.register(_end)
    return None


_FORKING = ("multiprocessing.popen_fork", "multiprocessing.forkserver")
"""Modules that fork; they import ``atexit`` if they run exit functions in the child."""


def _end() -> None:
    if recording.session is not None:
        recording.session.end(reason="exit")
