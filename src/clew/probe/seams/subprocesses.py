"""``subprocess`` and asyncio's subprocesses, on asyncio's loops and on uvloop.

asyncio starts its children through ``Popen`` too; uvloop starts them in C, so there the
method of the loop is hooked.

Can miss: on uvloop, the end of a child that was started with a protocol of the program's
own (``loop.subprocess_exec``).
"""

from __future__ import annotations

from _thread import get_ident

from clew.model.kinds import Operation, Outcome
from clew.probe import definitions
from clew.probe import install as recording
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams import processes
from clew.probe.seams.processes import Child, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("subprocess")
asyncio_hooks = Hooks("asyncio.subprocess")


def install(module: ModuleType, session: Session) -> None:
    """Hook the classes of *module*: subprocess, one of asyncio's, or uvloop."""
    name = module.__name__
    if name == "subprocess":
        hooks.replace(module.Popen, "_execute_child", _make_execute_child)
        hooks.replace(module.Popen, "_handle_exitstatus", _make_handle_exitstatus)
        hooks.replace(module.Popen, "wait", _make_wait(module.TimeoutExpired))
        hooks.replace(module.Popen, "communicate", _make_wait(module.TimeoutExpired))
    elif name == "asyncio.base_subprocess":
        asyncio_hooks.replace(module.BaseSubprocessTransport, "_process_exited", _make_process_exited)
    elif name == "asyncio.subprocess":
        asyncio_hooks.replace(module.SubprocessStreamProtocol, "process_exited", _make_protocol_exited)
        asyncio_hooks.replace(module.Process, "wait", _make_async_wait)
    else:
        asyncio_hooks.replace(module.Loop, "subprocess_exec", _make_loop_start)
        asyncio_hooks.replace(module.Loop, "subprocess_shell", _make_loop_start)


def _make_execute_child(original: Any) -> Any:
    names = original.__code__.co_varnames[1 : original.__code__.co_argcount]
    at = {name: i for i, name in enumerate(names)}

    def begin(arguments: tuple[Any, ...]) -> Child | None:
        command, executable, cwd = (arguments[at[name]] for name in ("args", "executable", "cwd"))
        if arguments[at["shell"]]:
            command = ["/bin/sh", "-c", *(command if isinstance(command, list | tuple) else [command])]
        attrs: dict[str, Any] = {"argv": processes.words(command)}
        if executable is not None:
            attrs["executable"] = processes.path_text(executable)
        if cwd is not None:
            attrs["cwd"] = processes.path_text(cwd)
        return processes.begin(processes.name_of(attrs["argv"]), Operation.SUBPROCESS, attrs, "subprocess.Popen")

    def _execute_child(self: Any, *arguments: Any, **keywords: Any) -> None:
        ident = get_ident()
        outer = recording.forks.get(ident)
        child = None
        try:
            if not keywords:
                child = begin(arguments)
            recording.forks[ident] = recording.NOT_RECORDED
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, *arguments, **keywords)
        except BaseException as error:
            hide_frame(error)
            _restore(ident, outer)
            _guard(processes.not_started, child, error)
            raise
        _restore(ident, outer)
        _guard(_started, self, child)

    return _execute_child


def _restore(ident: int, outer: int | None) -> None:
    """Say again what was said of this thread's forks before."""
    if outer is None:
        recording.forks.pop(ident, None)
    else:
        recording.forks[ident] = outer


def _started(popen: Any, child: Child | None) -> None:
    if child is not None:
        definitions.bind(popen, child.entity)
        processes.started(child, popen.pid)


def _guard(action: Any, *arguments: Any) -> None:
    try:
        action(*arguments)
    except Exception as error:
        hooks.failed(error)


def _make_handle_exitstatus(original: Any) -> Any:
    def _handle_exitstatus(self: Any, *arguments: Any, **keywords: Any) -> None:
        try:
            original(self, *arguments, **keywords)
        except BaseException as error:
            hide_frame(error)
            raise
        # Also called by destructors while the interpreter shuts down.
        _guard(_learn, self.pid, self.returncode)

    return _handle_exitstatus


def _learn(pid: Any, returncode: Any) -> None:
    if type(pid) is int and type(returncode) is int:
        processes.exited(pid, returncode)


def _make_wait(timeout_error: type[BaseException]) -> Any:
    """Return what hooks ``Popen.wait`` and ``Popen.communicate``."""

    def make(original: Any) -> Any:
        def wait(self: Any, *arguments: Any, **keywords: Any) -> Any:
            recorded = None
            try:
                entity = definitions.known(self) if self.returncode is None else 0
                if entity and not processes.is_waiting():
                    recorded = Wait(entity, is_over=processes.has_exited(self.pid))
            except Exception as error:
                hooks.failed(error)
            try:
                result = original(self, *arguments, **keywords)
            except BaseException as error:
                hide_frame(error)
                if recorded is not None:
                    _guard(recorded.end, Outcome.TIMEOUT if isinstance(error, timeout_error) else Outcome.FAILED)
                raise
            if recorded is not None:
                _guard(recorded.end, Outcome.OK)
            return result

        return wait

    return make


# -- asyncio


def _make_process_exited(original: Any) -> Any:
    def _process_exited(self: Any, returncode: Any) -> None:
        _guard(_learn, self._pid, returncode)
        try:
            original(self, returncode)
        except BaseException as error:
            hide_frame(error)
            raise

    return _process_exited


def _make_protocol_exited(original: Any) -> Any:
    def process_exited(self: Any) -> None:
        _guard(_learn_from_transport, self._transport)
        try:
            original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return process_exited


def _learn_from_transport(transport: Any) -> None:
    if transport is not None:
        _learn(transport.get_pid(), transport.get_returncode())


def _make_async_wait(original: Any) -> Any:
    async def wait(self: Any) -> Any:
        recorded = None
        try:
            entity = processes.entity_of(self.pid) if self.returncode is None else 0
            if entity:
                # Not for the thread: other tasks run in it meanwhile.
                recorded = Wait(entity, is_over=False, is_thread=False)
        except Exception as error:
            asyncio_hooks.failed(error)
        try:
            result = await original(self)
        except BaseException as error:
            hide_frame(error)
            if recorded is not None:
                cancelled = type(error).__name__ == "CancelledError"
                _guard(recorded.end, Outcome.CANCELLED if cancelled else Outcome.FAILED)
            raise
        if recorded is not None:
            _guard(recorded.end, Outcome.OK)
        return result

    return wait


def _make_loop_start(original: Any) -> Any:
    """Hook ``subprocess_exec`` and ``subprocess_shell`` of uvloop."""
    is_shell = original.__name__ == "subprocess_shell"

    async def start(self: Any, protocol_factory: Any, *arguments: Any, **options: Any) -> Any:
        try:
            attrs = {"argv": processes.words(["/bin/sh", "-c", *arguments] if is_shell else arguments)}
            child = processes.begin(processes.name_of(attrs["argv"]), Operation.SUBPROCESS, attrs, "uvloop")
        except Exception as error:
            asyncio_hooks.failed(error)
            return await original(self, protocol_factory, *arguments, **options)
        try:
            transport, protocol = await original(self, protocol_factory, *arguments, **options)
        except BaseException as error:
            hide_frame(error)
            _guard(processes.not_started, child, error)
            raise
        _guard(processes.started, child, transport.get_pid())
        return transport, protocol

    return start
