"""Wakes whose cause is not simply the latest event of the code that schedules them.

A thread that wakes a loop of another one may have no event yet: it gets one. And the
callbacks of a task that ends are scheduled by its last step, before that is over: their
cause is the end of the task, which tells how it ended.
"""

from __future__ import annotations

import asyncio

from clew.model.kinds import EntityKind, EventKind, Operation
from clew.probe import buffer
from clew.probe.definitions import entity_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from clew.probe.buffer import ThreadState

WAKE_LOOP = EventKind.SYNC_NOTIFY | Operation.THREADSAFE << 8
MAX_LINKS = 100
"""Most callbacks of one task that are remembered; beyond it, the task passes itself around."""

_links: dict[int, list[Callable[[int], None]]] = {}
"""By ``id()`` of a running task: what sets the cause of a callback that gets it as argument."""


def enter_loop(loop: Any) -> ThreadState:
    """Return the state of this thread, of which it is not known that it runs *loop*.

    Records that it wakes the loop, if another thread runs that.
    """
    state = buffer.thread_state()
    runner = getattr(loop, "clew_state", None)
    ident = runner.ident if runner is not None else getattr(loop, "_thread_id", None)
    if ident is not None and ident != state.ident and loop.is_running():
        buffer.emit(WAKE_LOOP, entity_of(loop, EntityKind.LOOP))
    return state


def link(task: Any, set_cause: Callable[[int], None]) -> None:
    """Remember a callback that got running *task* as its argument, where there is no queue to look into."""
    links = _links.setdefault(id(task), [])
    if len(links) >= MAX_LINKS:
        links.clear()
    links.append(set_cause)


def pass_end_on(task: Any, end: int, wakes: dict[int, tuple[int, int]]) -> None:
    """Make event *end*, the end of *task*, the cause of the callbacks the task has.

    Its last step scheduled them last: on a loop of asyncio's they stand at the end of
    its queue.
    """
    ready = getattr(task._loop, "_ready", None)
    if ready is None:
        for set_cause in _links.pop(id(task), ()):
            set_cause(end)
        return
    for index in range(len(ready) - 1, -1, -1):
        handle = ready[index]
        args = handle._args
        if not args or args[0] is not task:
            break
        if type(handle) is asyncio.Handle:
            wakes[id(handle)] = (end, wakes[id(handle)][1])
        else:
            handle.clew_cause = end
