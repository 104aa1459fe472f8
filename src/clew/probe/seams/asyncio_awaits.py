"""Awaiting a future of ``gather``, or of a job in an executor.

``asyncio.Future`` is written in C: there is no method to replace. So the loop tells,
at the end of a step, what future the task ended up waiting for, and at the beginning of
its next one, that it goes on. Other futures are not recorded here: the step that a task
wakes up in names what woke it, and that is who resolved the future.
"""

from __future__ import annotations

import asyncio
import weakref
from time import monotonic_ns
from types import CoroutineType

from clew.model.kinds import EntityKind
from clew.probe import buffer, definitions, sites
from clew.probe.patching import Hooks, hide_frame
from clew.probe.seams.asyncio_waits import (
    ABANDON,
    AWAIT,
    CANCELLED,
    FAILED,
    MAX_MEMBERS,
    OP_AWAIT,
    OP_GATHER,
    WAIT,
    begin_at,
    define_group,
    replace_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

    from clew.probe.session import Session

hooks = Hooks("asyncio.Future")

jobs: dict[int, tuple[Any, int]] = {}
"""By ``id()`` of the future of a job in an executor: a weak reference, and its number."""
waiting: dict[int, tuple[int, int, int, int]] = {}
"""By ``id()`` of a task that waits here: number, operation, since when, and where."""
covered: set[int] = set()
"""Scopes whose wait for a future is recorded by somebody else (``wait_for``)."""

_Gathering: Any = getattr(asyncio.tasks, "_GatheringFuture", None)
_get_coro = asyncio.Task.get_coro
GATHER = "asyncio.gather"
MAX_DEPTH = 64
"""Coroutines looked at, from the task's own to the one that waits."""


def install(module: ModuleType, session: Session) -> None:
    """Hook the function by which asyncio waits for a job in an executor."""
    session.at_begin.append(forget)
    if hooks.name in session.config.disable:
        hooks.failures = 1
        return
    replace_function(hooks, (module.futures, module), "wrap_future", _make_wrap_future)


def forget() -> None:
    """Forget futures and waits: a forked child numbers its own."""
    jobs.clear()
    waiting.clear()
    covered.clear()


def _make_wrap_future(original: Any) -> Any:
    def wrap_future(future: Any, *, loop: Any = None) -> Any:
        try:
            result = original(future, loop=loop)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            if result is not future:
                _watch(result, future)
        except Exception as error:
            hooks.failed(error)
        return result

    return wrap_future


def _watch(future: Any, job: Any) -> None:
    """Know *future* by the number of *job*, the future of the executor's that it stands for."""
    number = definitions.known(job)
    if not number:
        site = sites.site_here(3)
        number = definitions.define_entity(
            EntityKind.FUTURE, "", "concurrent.futures.Future", buffer.thread_state().scope, site, buffer.SPAN.get()
        )
        definitions.bind(job, number)
    key = id(future)
    jobs[key] = (weakref.ref(future, lambda reference: _drop(key, reference)), number)


def _drop(key: int, reference: Any) -> None:
    known = jobs.get(key)
    if known is not None and known[0] is reference:
        del jobs[key]


def number_of(future: Any, get_number: Callable[[int], int | None]) -> int:
    """Return the number of a task or future, making one for what ``gather`` returned.

    Args:
        future: A task or future.
        get_number: Looks up a task by its ``id()``.
    """
    number = get_number(id(future))
    if number is None and id(future) in jobs:
        return jobs[id(future)][1]
    if number is None and type(future) is _Gathering:
        return define_group(GATHER, sites.site_here(3), members_of(future._children, get_number))
    return number or 0


def members_of(futures: Iterable[Any], get_number: Callable[[int], int | None]) -> list[int]:
    """Return the numbers of the first of *futures*, those that have one."""
    members: list[int] = []
    for future in futures:
        if len(members) >= MAX_MEMBERS:
            break
        number = get_number(id(future)) or (jobs[id(future)][1] if id(future) in jobs else 0)
        if number:
            members.append(number)
    return members


def begin(handle: Any, task: Any, future: Any, get_number: Callable[[int], int | None]) -> int:
    """Record that *task*, whose step ends, waits for *future*; return its number, 0 if it is not recorded.

    Args:
        handle: What ran the step, and in whose context the event belongs.
        task: The task.
        future: What it waits for.
        get_number: Looks up a task by its ``id()``.
    """
    try:
        if hooks.failures:
            return 0
        before = waiting.get(id(task))
        if before is not None:  # it was not woken: it is about to be cancelled
            return before[0]
        if type(future) is not _Gathering and id(future) not in jobs:
            return 0
        if buffer.thread_state().scope in covered:
            return jobs[id(future)][1] if id(future) in jobs else 0
        return _in_context(handle, _begin, task, future, get_number)
    except Exception as error:
        hooks.failed(error)
        return 0


def _begin(task: Any, future: Any, get_number: Callable[[int], int | None]) -> int:
    site = _site_of_await(task)
    if type(future) is _Gathering:
        children = future._children
        number = define_group(GATHER, site, members_of(children, get_number))
        op, count = OP_GATHER, len(children)
    else:
        number = jobs[id(future)][1]
        op, count = OP_AWAIT, 0
    began = begin_at(WAIT | op, number, site, count)[0]
    waiting[id(task)] = (number, op, began, site)
    return number


def end(handle: Any, task: Any, cause: int) -> None:
    """Record how the wait of *task* ended, whose next step begins.

    Args:
        handle: What runs the step.
        task: The task.
        cause: The step.
    """
    try:
        wait = waiting.get(id(task))
        future = task._fut_waiter
        if wait is None or future is None or not future.done():
            return
        del waiting[id(task)]
        if hooks.failures:
            return
        number, op, began, site = wait
        error = None if future.cancelled() else future._exception
        if task._must_cancel or future.cancelled() or type(error) is asyncio.CancelledError:
            what = ABANDON | CANCELLED
        else:
            what = AWAIT if error is None else AWAIT | FAILED
        _in_context(handle, buffer.emit_at, what | op, number, site, monotonic_ns() - began, 0, cause)
    except Exception as error:
        hooks.failed(error)


def _in_context(handle: Any, function: Any, *arguments: Any) -> Any:
    """Call *function* where the steps of the handle's task run: that says its span."""
    context = getattr(handle, "_context", None)  # on uvloop, it is entered already
    return function(*arguments) if context is None else context.run(function, *arguments)


def _site_of_await(task: Any) -> int:
    """Return where the code of *task* waits: in its innermost coroutine of the user's own."""
    coroutine = _get_coro(task)
    user: Any = None
    library: Any = None
    for _ in range(MAX_DEPTH):
        if type(coroutine) is not CoroutineType:
            break
        tier = sites.tier_of(coroutine.cr_code)
        if tier == sites.USER:
            user = coroutine
        elif tier == sites.LIBRARY:
            library = coroutine
        coroutine = coroutine.cr_await
    found = user or library
    frame = found.cr_frame if found is not None else None
    return sites.site_of(frame) if frame is not None else 0
