"""Waiting for several things at once: task groups and ``asyncio.wait``.

Each such wait has a group of its own, which knows its members.
"""

from __future__ import annotations

import asyncio

from clew.probe import sites
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams.asyncio_awaits import members_of
from clew.probe.seams.asyncio_loop import tasks
from clew.probe.seams.asyncio_waits import (
    ABANDON,
    AWAIT,
    CANCELLED,
    FAILED,
    JOIN,
    OK,
    OP_GATHER,
    OP_JOIN,
    OP_WAIT_ANY,
    TIMEOUT,
    WAIT,
    abandon,
    begin_at,
    define_group,
    end,
    note,
    replace_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from clew.probe.seams.asyncio_waits import Started
    from clew.probe.session import Session

groups = Hooks("asyncio.TaskGroup")
waits = Hooks("asyncio.wait")

_COLLECTIONS = frozenset({set, frozenset, list, tuple, dict})


def install(module: ModuleType, session: Session) -> None:
    """Hook task groups and ``wait`` of *module*, which is asyncio."""
    if groups.name not in session.config.disable:
        groups.replace(module.TaskGroup, "__aexit__", _make_exit)
    if waits.name not in session.config.disable:
        replace_function(waits, (module.tasks, module), "wait", _make_wait)


def _make_exit(original: Any) -> Any:
    async def __aexit__(self: Any, et: Any, exc: Any, tb: Any) -> Any:
        started = None
        number = 0
        try:
            children = self._tasks
            site = sites.site_here(2)
            number = define_group("asyncio.TaskGroup", site, members_of(children, tasks.get))
            if children:
                started = begin_at(WAIT | OP_JOIN, number, site, len(children))
        except Exception as error:
            groups.failed(error)
        try:
            result = await original(self, et, exc, tb)
        except BaseException as error:
            hide_frame(error)
            _end_join(number, started, error)
            raise
        _end_join(number, started, None)
        return result

    return __aexit__


def _end_join(number: int, started: Started | None, error: BaseException | None) -> None:
    """Record that a group's tasks have all ended; *error* is what the group then raised."""
    if type(error) is GeneratorExit:
        abandon(groups, OP_JOIN, number, started, error)
        return
    try:
        outcome = OK if error is None else CANCELLED if isinstance(error, asyncio.CancelledError) else FAILED
        if started is None:
            note(JOIN | OP_JOIN | outcome, number, 0, 3)
        else:
            end(JOIN | OP_JOIN | outcome, number, started)
    except Exception as problem:
        groups.failed(problem)


def _make_wait(original: Any) -> Any:
    async def wait(fs: Any, *, timeout: Any = None, return_when: Any = asyncio.ALL_COMPLETED) -> Any:  # noqa: ASYNC109  as asyncio's own
        started = None
        number = 0
        op = OP_GATHER
        try:
            if type(return_when) is str and return_when == asyncio.FIRST_COMPLETED:
                op = OP_WAIT_ANY
            site = sites.site_here(2)
            known = fs if type(fs) in _COLLECTIONS else ()  # anything else can be looked at only once
            number = define_group("asyncio.wait", site, members_of(known, tasks.get))
            started = begin_at(WAIT | op, number, site, len(known))
        except Exception as error:
            waits.failed(error)
        try:
            done, pending = await original(fs, timeout=timeout, return_when=return_when)
        except BaseException as error:
            hide_frame(error)
            abandon(waits, op, number, started, error)
            raise
        try:
            if started is not None:
                late = pending and timeout is not None and not _is_enough(done, return_when)
                end((ABANDON | TIMEOUT if late else AWAIT) | op, number, started)
        except Exception as error:
            waits.failed(error)
        return done, pending

    return wait


def _is_enough(done: set[Any], return_when: str) -> bool:
    """Tell whether *done* ends a wait although others are pending."""
    if return_when == asyncio.FIRST_EXCEPTION:
        return any(not future.cancelled() and future._exception is not None for future in done)
    return return_when == asyncio.FIRST_COMPLETED and bool(done)
