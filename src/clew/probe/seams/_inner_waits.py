"""Primitives that wait on conditions of their own: semaphores, events, barriers, queues, futures.

What people know is the outer one. So its methods are hooked, and its conditions are made
silent: their class becomes ``InnerCondition``, whose ``wait`` records that the *outer* one
begins to wait. The hook around the outer method records how that ended. So every
operation stays the single call it was, and one that does not wait is one event.

Some primitives are themselves the inside of another one (the event every thread starts
with, a pool's queue). They are known by the code that uses them first, and stay silent.
"""

from __future__ import annotations

import sys
import threading
from _thread import get_ident
from time import monotonic_ns

from clew.model.kinds import EntityKind
from clew.probe import definitions, sites
from clew.probe.buffer import emit
from clew.probe.patching import Hooks, hide_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

hooks = Hooks("threading.Condition")
Condition: Any = threading.Condition
_getframe: Any = sys._getframe

waiting: dict[tuple[int, int], int] = {}
"""When the wait began, by thread and number of what it waits for."""


class Primitive:
    """What is remembered of a primitive while it is in use.

    Attributes:
        number: Its entity; 0 if it is not recorded, being the inside of another one.
        epoch: ``definitions.epoch`` of the number.
        last: The event that last enabled somebody who waits: set, release, notify.
        seen_by: The thread that last found it set, or got it.
        seen: What ``last`` was then.
    """

    __slots__ = ("epoch", "last", "number", "seen", "seen_by")

    def __init__(self, number: int) -> None:
        self.number = number
        self.epoch = definitions.epoch
        self.last = 0
        self.seen_by = 0
        self.seen = -1


class InnerCondition(Condition):
    """A condition inside a primitive that is recorded: its waits are the primitive's.

    Attributes:
        clew: The primitive.
        clew_what: Kind and operation of the event that says it waits; 0 if its own hook says so.
    """

    clew: Primitive
    clew_what: int

    def wait(self, timeout: Any = None) -> Any:
        """Wait; see ``threading.Condition``."""
        try:
            primitive = self.clew
            if self.clew_what and primitive.number > 0 and (timeout is None or timeout > 0):
                key = (get_ident(), primitive.number)
                if key not in waiting:
                    waiting[key] = monotonic_ns()
                    emit(self.clew_what, primitive.number)
        except Exception as error:
            hooks.failed(error)
        try:
            return _wait(self, timeout)
        except BaseException as error:
            hide_frame(error)
            raise

    notify = Condition.notify
    notify_all = Condition.notify_all


InnerCondition.__module__, InnerCondition.__qualname__, InnerCondition.__name__ = "threading", "Condition", "Condition"
_wait = Condition.wait


def end_wait(number: int) -> int:
    """Return for how long this thread has waited for *number*, 0 if it did not wait."""
    began = waiting.pop((get_ident(), number), 0)
    return monotonic_ns() - began if began else 0


def adopt(condition: Any, primitive: Primitive, what: int, cls: Any = InnerCondition) -> None:
    """Make *condition* one of the inside of *primitive*; leave a subclass of the program's alone."""
    if type(condition) is Condition:
        condition.__class__ = cls
    elif type(condition) is not cls:
        return
    condition.clew = primitive
    condition.clew_what = what


def meet(thing: object, kind: EntityKind, *, detail: str = "") -> Primitive:
    """Define *thing* at its first use; to be called by what the hook of a method calls.

    Args:
        thing: The primitive.
        kind: What it is.
        detail: See ``definitions.define_entity``.
    """
    owner = _owner_inside(thing, _getframe(3))
    if owner is None:
        frame = sites.user_frame(4)
        name = definitions.variable_name(thing, frame) if frame is not None else ""
        site = sites.site_of(frame) if frame is not None else 0
        return Primitive(definitions.register(thing, kind, name, site=site, detail=detail))
    if isinstance(owner, threading.Timer) and owner.finished is thing:
        return Primitive(definitions.register(thing, EntityKind.TIMER, owner._name, site=sites.site_here(4)))
    if kind == EntityKind.EVENT and hasattr(owner, "finished_futures"):
        return Primitive(definitions.register(thing, EntityKind.GROUP, "futures", site=sites.site_here(4)))
    return Primitive(0)


_MODULES = frozenset(
    {
        "threading",
        "concurrent.futures.thread",
        "concurrent.futures.process",
        "concurrent.futures._base",
    }
)


def _owner_inside(thing: object, frame: FrameType) -> Any:
    """Return the object of the standard library that *thing* is the inside of, if it is that.

    It is when the code in *frame*, which uses it, is the library's, and the object that
    code works for has it as an attribute.
    """
    if frame.f_globals.get("__name__") not in _MODULES:
        return None
    local = frame.f_locals
    for name in ("self", "waiter", "executor"):
        owner = local.get(name)
        attributes = getattr(owner, "__dict__", None)
        if type(attributes) is dict and any(value is thing for value in attributes.values()):
            # What a thread's own run() uses may be its target, which is the program's.
            is_targets = frame.f_code.co_name == "run" and attributes.get("finished") is not thing
            return None if is_targets else owner
    return None
