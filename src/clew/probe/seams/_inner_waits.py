"""Primitives that wait on conditions of their own: semaphores, events, barriers, queues, futures.

What people know is the outer one. So its methods are hooked, and each of its conditions is
told what it is part of, in an attribute: its ``wait`` then records that the *outer* one
begins to wait, and its ``notify`` nothing. The hook around the outer method records how
that ended. So every operation stays the single call it was, and one that does not wait is
one event. (Giving the conditions a class of ours costs 300 ns an operation, since it takes
away what the interpreter knows of their attributes.)

Some primitives are themselves the inside of another one (the event every thread starts
with, a pool's queue). They are known by the code that uses them first, and stay silent.
"""

from __future__ import annotations

import sys
import threading
from _thread import get_ident
from time import monotonic_ns

from clew.model.kinds import EntityKind, Operation
from clew.probe import definitions, sites
from clew.probe.buffer import emit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

_getframe: Any = sys._getframe

waiting: dict[tuple[int, int], int] = {}
"""When the wait began, by thread and number of what it waits for."""


class Primitive:
    """What is remembered of a primitive while it is in use.

    Attributes:
        number: Its entity; 0 if it is not recorded, being the inside of another one; below
            0 if it is not defined yet.
        epoch: ``definitions.epoch`` of the number.
        op: What a wait for it is for, shifted as in ``emit``; 0 where its hooks know.
        last: The event that last enabled somebody who waits: set, release, notify.
        seen_by: The thread that last found it set, or got it.
        seen: What ``last`` was then.
    """

    __slots__ = ("epoch", "last", "number", "op", "seen", "seen_by")

    def __init__(self, number: int) -> None:
        self.number = number
        self.epoch = definitions.epoch
        self.op = 0
        self.last = 0
        self.seen_by = 0
        self.seen = -1


class Role:
    """What a condition is: ``condition.clew``.

    Attributes:
        primitive: What it is part of, or the condition itself.
        is_inner: It is part of another primitive.
        what: For an inner one, the event that says a wait begins; 0 if another hook does.
        notified: For an inner one, called when it is notified, while its lock is held.
    """

    __slots__ = ("is_inner", "notified", "primitive", "what")

    def __init__(
        self,
        primitive: Primitive,
        what: int = 0,
        *,
        is_inner: bool,
        notified: Callable[[Any], None] | None = None,
    ) -> None:
        self.primitive = primitive
        self.is_inner = is_inner
        self.what = what
        self.notified = notified

    def __reduce__(self) -> Any:
        """Become None in a pickle: a copy of the condition is part of another primitive."""
        return type(None), ()


def adopt(condition: Any, primitive: Primitive, what: int, notified: Callable[[Any], None] | None = None) -> None:
    """Tell *condition* that it is part of *primitive*."""
    condition.clew = Role(primitive, what, is_inner=True, notified=notified)


def begin_wait(role: Role) -> None:
    """Record that somebody begins to wait for the primitive an inner condition is part of."""
    number = role.primitive.number
    if role.what and number > 0:
        key = (get_ident(), number)
        if key not in waiting:
            waiting[key] = monotonic_ns()
            emit(role.what, number)


def end_wait(number: int) -> int:
    """Return for how long this thread has waited for *number*, 0 if it did not wait."""
    began = waiting.pop((get_ident(), number), 0)
    return monotonic_ns() - began if began else 0


def meet(thing: object, kind: EntityKind, *, detail: str = "") -> Primitive:
    """Define *thing* at its first use; to be called by what the hook of a method calls.

    Args:
        thing: The primitive.
        kind: What it is.
        detail: See ``definitions.define_entity``.
    """
    owner = _owner_inside(thing, _getframe(3))
    timer: Any = owner if isinstance(owner, threading.Timer) else None
    if owner is None:
        frame = sites.user_frame(4)
        name = definitions.variable_name(thing, frame) if frame is not None else ""
        site = sites.site_of(frame) if frame is not None else 0
        return Primitive(definitions.register(thing, kind, name, site=site, detail=detail))
    if timer is not None and timer.finished is thing:
        return Primitive(definitions.register(thing, EntityKind.TIMER, timer._name, site=sites.site_here(4)))
    if kind == EntityKind.EVENT and hasattr(owner, "finished_futures"):
        group = Primitive(definitions.register(thing, EntityKind.GROUP, "futures", site=sites.site_here(4)))
        group.op = (Operation.GATHER if hasattr(owner, "num_pending_calls") else Operation.WAIT_ANY) << 8
        return group
    return Primitive(0)


_MODULES = frozenset(
    {
        "threading",
        "concurrent.futures.thread",
        "concurrent.futures.process",
        "concurrent.futures._base",
        "multiprocessing.queues",
    }
)


def _owner_inside(thing: object, frame: FrameType) -> Any:
    """Return the object of the standard library that *thing* is the inside of, if it is that.

    It is when the code in *frame*, which uses it, is the library's, and the object that
    code works for has it as an attribute.
    """
    if frame.f_globals.get("__name__") not in _MODULES:
        return None
    local = definitions.locals_of(frame)
    for name in ("self", "waiter", "executor"):
        owner = local.get(name)
        attributes = getattr(owner, "__dict__", None)
        if type(attributes) is dict and any(value is thing for value in attributes.values()):
            # What a thread's run() uses may be its target, which is the program's.
            is_run = name == "self" and frame.f_code.co_name == "run"
            return None if is_run and attributes.get("finished") is not thing else owner
    return None
