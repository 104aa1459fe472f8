"""Sleeping, and limits to waiting: ``sleep``, ``wait_for``, ``timeout``.

A limit that expires is an abandoned wait whose cause is the timer's step: the origin of
the cancellation, which else only shows as one of many.
"""

from __future__ import annotations

import asyncio
import sys
from types import CoroutineType

from clew.model.kinds import EntityKind
from clew.probe import buffer, definitions, sites
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams.asyncio_awaits import covered, number_of
from clew.probe.seams.asyncio_loop import tasks
from clew.probe.seams.asyncio_waits import (
    ABANDON,
    AWAIT,
    FAILED,
    OP_SLEEP,
    OP_TIMER,
    OP_WAIT_FOR,
    TIMEOUT,
    WAIT,
    _getframe,
    abandon,
    begin,
    end,
    note,
    replace_function,
)
from clew.probe.sites import LIBRARY, tier_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from clew.probe.seams.asyncio_waits import Started
    from clew.probe.session import Session

sleeps = Hooks("asyncio.sleep")
limits = Hooks("asyncio.wait_for")
timeouts = Hooks("asyncio.timeout")

_expired: dict[int, int] = {}
"""By ``id()`` of a ``Timeout`` that expired: the step of its timer."""
_origins: dict[int, int] = {}
"""By scope whose ``wait_for`` gives up: the event that made it."""
MAX_EXPIRED = 10_000
"""Most entries of the two above: those of tasks that were destroyed are never taken out."""
_MAX_SLEEP_S = 1e9
_WRAPS = sys.version_info < (3, 12)
"""``wait_for`` makes a task of every coroutine; from 3.12 on it awaits it itself."""


def install(module: ModuleType, session: Session) -> None:
    """Hook the functions of *module*, which is asyncio."""
    session.at_begin.append(forget)
    disabled = session.config.disable
    both = (module.tasks, module)
    wait_for, leave = module.tasks.wait_for.__code__, module.Timeout.__aexit__.__code__
    if sleeps.name not in disabled:
        replace_function(sleeps, both, "sleep", _make_sleep)
    if timeouts.name not in disabled:
        timeouts.replace(module.Timeout, "_on_timeout", _make_on_timeout)
        timeouts.replace(module.Timeout, "__aexit__", lambda original: _make_exit(original, wait_for))
    if limits.name not in disabled:
        limits.replace(module.tasks, "_cancel_and_wait", _make_cancel_and_wait)
        replace_function(limits, both, "wait_for", lambda original: _make_wait_for(original, leave))


def forget() -> None:
    """Forget what expired: a forked child numbers its own."""
    _expired.clear()
    _origins.clear()


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int


# -- sleep


def _make_sleep(original: Any) -> Any:
    async def sleep(delay: Any, result: Any = None) -> Any:
        started = None
        try:
            # A library that only lets others run waits for nothing: its next step says so.
            if _is_number(delay) and (delay > 0 or tier_of(_getframe(1).f_code) != LIBRARY):
                started = begin(WAIT | OP_SLEEP, 0, int(delay * 1e9) if 0 < delay < _MAX_SLEEP_S else 0)
        except Exception as error:
            sleeps.failed(error)
        try:
            value = await original(delay, result)
        except BaseException as error:
            hide_frame(error)
            if started is not None:
                abandon(sleeps, OP_SLEEP, 0, started, error)
            raise
        try:
            if started is not None:
                end(AWAIT | OP_SLEEP, 0, started)
        except Exception as error:
            sleeps.failed(error)
        return value

    return sleep


# -- timeout


def _make_on_timeout(original: Any) -> Any:
    def _on_timeout(self: Any) -> Any:
        try:
            _remember(_expired, id(self), buffer.thread_state().cursor)
        except Exception as error:
            timeouts.failed(error)
        try:
            return original(self)
        except BaseException as error:
            hide_frame(error)
            raise

    return _on_timeout


def _remember(table: dict[int, int], key: int, cause: int) -> None:
    if len(table) >= MAX_EXPIRED:
        table.clear()
    table[key] = cause


def _make_exit(original: Any, wait_for: CodeType) -> Any:
    async def __aexit__(self: Any, exc_type: Any, exc_val: Any, exc_tb: Any) -> Any:
        try:
            return await original(self, exc_type, exc_val, exc_tb)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            if id(self) in _expired:
                _end_expired(self, exc_type, _getframe(1).f_code is wait_for)

    return __aexit__


def _end_expired(timeout: Any, exc_type: Any, is_wait_for: bool) -> None:
    """Record that a block was cancelled because its time was up; ``wait_for`` sees to its own."""
    try:
        cause = _expired.pop(id(timeout))
        if is_wait_for:
            _remember(_origins, buffer.thread_state().scope, cause)
        elif exc_type is not None:  # else the block came to its end all the same
            _note_expired(OP_TIMER, "asyncio.timeout", cause)
    except Exception as error:
        timeouts.failed(error)


def _note_expired(op: int, type_name: str, cause: int) -> None:
    """Record that the running code's time was up, whatever it was waiting for."""
    site = sites.site_here(3)
    scope = buffer.thread_state().scope
    number = definitions.define_entity(EntityKind.TIMER, "", type_name, scope, site, buffer.SPAN.get())
    buffer.emit_at(ABANDON | op | TIMEOUT, number, site, 0, 0, cause)


# -- wait_for


def _make_cancel_and_wait(original: Any) -> Any:
    async def _cancel_and_wait(*args: Any, **options: Any) -> Any:
        try:
            state = buffer.thread_state()
            _remember(_origins, state.scope, state.cursor)
        except Exception as error:
            limits.failed(error)
        try:
            return await original(*args, **options)
        except BaseException as error:
            hide_frame(error)
            raise

    return _cancel_and_wait


def _make_wait_for(original: Any, leave: CodeType) -> Any:
    async def wait_for(fut: Any, timeout: Any) -> Any:  # noqa: ASYNC109  as asyncio's own
        started = None
        number = 0
        is_limited = _WRAPS and _is_number(timeout) and timeout > 0
        if is_limited and type(fut) is CoroutineType:
            # asyncio's next but one line, done here: only so is it known what is waited for
            # when the wait begins.
            try:
                fut = asyncio.ensure_future(fut, loop=asyncio.get_running_loop())
            except BaseException as error:
                hide_frame(error)
                raise
        try:
            if asyncio.isfuture(fut):
                number = number_of(fut, tasks.get)
                if is_limited or not fut.done():
                    started = begin(WAIT | OP_WAIT_FOR, number)
                    covered.add(started[2])
        except Exception as error:
            limits.failed(error)
        try:
            result = await original(fut, timeout)
        except BaseException as error:
            hide_frame(error)
            _end_failed(number, started, error, leave)
            raise
        finally:
            if started is not None:
                covered.discard(started[2])
        try:
            if _origins:
                _origins.pop(buffer.thread_state().scope, None)
            if started is not None:
                end(AWAIT | OP_WAIT_FOR, number, started)
            elif number:
                note(AWAIT | OP_WAIT_FOR, number)
        except Exception as error:
            limits.failed(error)
        return result

    return wait_for


def _end_failed(number: int, started: Started | None, error: BaseException, leave: CodeType) -> None:
    """Record how a limited wait ended that raised *error*."""
    try:
        cause = _origins.pop(buffer.thread_state().scope, 0) if _origins else 0
        if _is_own(error, leave):
            if started is None:
                _note_expired(OP_WAIT_FOR, "asyncio.wait_for", cause)
            else:
                abandon(limits, OP_WAIT_FOR, number, started, error, TIMEOUT, cause)
        elif started is not None:
            if isinstance(error, asyncio.CancelledError | GeneratorExit):
                abandon(limits, OP_WAIT_FOR, number, started, error, 0, cause)
            else:
                end(AWAIT | FAILED | OP_WAIT_FOR, number, started)
    except Exception as problem:
        limits.failed(problem)


def _is_own(error: BaseException, leave: CodeType) -> bool:
    """Tell whether ``wait_for`` itself raised *error*, and not what it waited for.

    Its own error has no frame below ``wait_for``'s, or that of ``Timeout.__aexit__``.
    """
    if type(error) is not TimeoutError or not isinstance(error.__cause__, asyncio.CancelledError):
        return False
    traceback = error.__traceback__
    inner = traceback.tb_next if traceback is not None else None
    return inner is None or (inner.tb_next is None and inner.tb_frame.f_code is leave)
