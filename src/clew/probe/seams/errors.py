"""Errors that nobody catches, and (from Python 3.12 on) errors where they are raised.

- An asyncio loop's exception handler: exceptions of tasks that nobody asked for, and of
  callbacks. The handler itself stays the program's.
- ``sys.monitoring``: an ``Exception`` that reaches user code, whether raised there or in a
  library it called. Python 3.11 has nothing that would see a raise without tracing every
  line; there an error is recorded where it crosses a boundary: the end of a span, a task,
  a thread, a process.

The exception that ends the process is recorded as the process ends (``install``).

Can miss: the same error site beyond ``PER_SECOND`` (the next event from there says how
many); exceptions of destructors on 3.11; ``BaseException`` beside ``Exception``.
"""

from __future__ import annotations

import sys
from time import monotonic_ns

from clew.model.kinds import EventKind
from clew.probe import buffer, definitions, errors, sites
from clew.probe.patching import Hooks, hide_frame, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType, TracebackType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("errors.loop")
PER_SECOND = 100
"""Raised errors that are recorded of one site in one second."""
MAX_SITES = 4096
TOOL_IDS = (4, 3)
"""Those that no kind of tool has by convention (``sys.monitoring``)."""
_SECOND = 1_000_000_000
_CLOCK_EVERY = 64
"""Errors of a site beyond the limit after which the clock is looked at."""
_traceback_of: Any = vars(BaseException)["__traceback__"].__get__  # the C getter
_tier_at = sites.tiers.get
_USER = sites.USER
_STOPS = (StopIteration, StopAsyncIteration)
_getframe: Any = sys._getframe

_windows: dict[tuple[int, int], list[int]] = {}
"""By ``id()`` of the code and offset: when its second began, errors recorded in it, errors left
out since the last event."""
_tool = -1


def install(module: ModuleType, session: Session) -> None:
    """Hook the loops of *module*, asyncio or uvloop; or, for builtins, watch raises."""
    if module.__name__ == "asyncio":
        hooks.replace(module.BaseEventLoop, "call_exception_handler", _make_call_exception_handler)
    elif module.__name__ == "uvloop":
        hooks.replace(module.Loop, "call_exception_handler", _make_call_exception_handler)
    elif sys.version_info >= (3, 12) and "errors.raised" not in session.config.disable:
        session.at_begin.append(_windows.clear)
        _watch()


# -- loops


def _make_call_exception_handler(original: Any) -> Any:
    def call_exception_handler(self: Any, context: Any) -> None:
        try:
            if type(context) is dict:
                _record_unhandled(context)
        except Exception as error:
            hooks.failed(error)
        try:
            original(self, context)
        except BaseException as error:
            hide_frame(error)
            raise

    return call_exception_handler


def _record_unhandled(context: dict[str, Any]) -> None:
    error = context.get("exception")
    message = context.get("message")
    reason = errors.redactor.text(message) if type(message) is str and errors.redactor is not None else ""
    entity = _entity_of(context.get("task")) or _entity_of(context.get("future"))
    if isinstance(error, BaseException):
        known = errors.recall(error)
        if not entity and known is not None:
            entity = known.entity
        errors.record(EventKind.ERROR_UNHANDLED, error, entity=entity, reason=reason)
    else:
        values = {"type": "", "message": reason, "stack": []}
        buffer.emit_with(int(EventKind.ERROR_UNHANDLED), entity, values)


def _entity_of(thing: Any) -> int:
    """Return the number of a task or future, 0 without one."""
    if thing is None:
        return 0
    loop_seam = sys.modules.get("clew.probe.seams.asyncio_loop")
    number = loop_seam.tasks.get(id(thing), 0) if loop_seam is not None else 0
    return number or definitions.known(thing)


# -- raises


def _watch() -> None:
    """Have the interpreter call ``_raised`` at every raise, if a tool number is free."""
    global _tool
    monitoring: Any = sys.monitoring  # pyright: ignore[reportAttributeAccessIssue]  3.12 on
    for tool in TOOL_IDS:
        if monitoring.get_tool(tool) is None:
            monitoring.use_tool_id(tool, "clew errors")
            monitoring.register_callback(tool, monitoring.events.RAISE, _raised)
            monitoring.set_events(tool, monitoring.events.RAISE)
            _tool = tool
            return
    report("errors.raised", "both free tool numbers of sys.monitoring are taken")


def _unwatch(error: BaseException) -> None:
    """Note what went wrong, and watch no more."""
    monitoring: Any = sys.monitoring  # pyright: ignore[reportAttributeAccessIssue]
    monitoring.set_events(_tool, 0)
    monitoring.free_tool_id(_tool)
    report("errors.raised", f"{type(error).__name__}: {error}")


def _raised(code: CodeType, offset: int, error: BaseException) -> None:
    """Note that *error* was raised in, or came into, a frame of *code*.

    It is called for every frame an exception passes: only the first one of user code is
    told of. Exceptions are raised in thousands as a matter of course, most of them in the
    standard library: what ends first is asked first, and nothing is called that need not be.
    """
    try:
        key = id(code)
        tier = _tier_at(key)
        if tier != _USER and (tier is not None or sites.tier_of(code) != _USER):
            return
        traceback = _traceback_of(error)
        if traceback is None:  # the StopIteration by which a coroutine returns
            return
        inner = traceback.tb_next
        if inner is not None and (_tier_at(id(inner.tb_frame.f_code)) == _USER or _was_in_user_code(inner)):
            return
        window = _windows.get((key, offset))
        if window is not None and window[1] >= PER_SECOND:
            window[2] += 1
            if window[2] % _CLOCK_EVERY or monotonic_ns() - window[0] < _SECOND:
                return
        elif not isinstance(error, Exception) or isinstance(error, _STOPS):
            return
        if errors.recall(error) is None:
            _record_raised(error, traceback, _enter_window(key, offset, window))
    except RecursionError:
        # The program is at its limit, and this frame goes beyond: nothing to call here.
        return
    except Exception as problem:
        _unwatch(problem)


def _was_in_user_code(traceback: TracebackType | None) -> bool:
    """Tell whether a frame further in, which was passed earlier, is user code."""
    while traceback is not None:
        if sites.tier_of(traceback.tb_frame.f_code) == _USER:
            return True
        traceback = traceback.tb_next
    return False


def _enter_window(key: int, offset: int, window: list[int] | None) -> list[int]:
    """Count an error of a site in its running second, or in a new one."""
    now = monotonic_ns()
    if window is None or now - window[0] >= _SECOND:
        if len(_windows) >= MAX_SITES:
            _windows.clear()
        window = _windows[key, offset] = [now, 0, window[2] if window else 0]
    window[1] += 1
    return window


def _record_raised(error: BaseException, traceback: TracebackType, window: list[int]) -> None:
    values = errors.describe(error)
    # The traceback begins at this frame as yet; what called it is still running.
    values["stack"] += sites.stack_of(_getframe(2).f_back, errors.MAX_FRAMES - len(values["stack"]))
    if window[2]:
        values["left_out"] = window[2]
        window[2] = 0
    site = sites.site_of_code(traceback.tb_frame.f_code, traceback.tb_lasti)
    seq = buffer.emit_at(int(EventKind.ERROR_RAISED), 0, site, cause=errors.cause_of(error))
    if seq:
        buffer.attach(seq, values)
        errors.remember(error, seq)
