"""What the hooks on asyncio's primitives share: how a wait begins, ends, is abandoned.

An operation that does not wait is one event. One that waits is two, and what must be
remembered between them stands in the local variables of the hook's coroutine: it ends
with it, whatever becomes of the task.

asyncio builds some of its primitives from others (a queue has an event, a barrier a
condition). Only the outermost is recorded: an object that asyncio's own code is the
first to touch gets the number 0, and what has that number is not recorded.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns

from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import buffer, definitions, sites
from clew.probe.patching import Hooks, hide_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, ModuleType
    from typing import Any

    Started = tuple[int, int, int]

_getframe: Any = sites._getframe

WAIT = int(EventKind.SYNC_WAIT)
AWAIT = int(EventKind.SYNC_AWAIT)
ABANDON = int(EventKind.SYNC_ABANDON)
JOIN = int(EventKind.SYNC_JOIN)
NOTIFY = int(EventKind.SYNC_NOTIFY)
OK = Outcome.OK << 16
FAILED = Outcome.FAILED << 16
CANCELLED = Outcome.CANCELLED << 16
TIMEOUT = Outcome.TIMEOUT << 16
WOULD_BLOCK = Outcome.WOULD_BLOCK << 16
OP_ACQUIRE = Operation.ACQUIRE << 8
OP_GET = Operation.GET << 8
OP_PUT = Operation.PUT << 8
OP_NOTIFY_WAIT = Operation.NOTIFY_WAIT << 8
OP_EVENT_WAIT = Operation.EVENT_WAIT << 8
OP_BARRIER_WAIT = Operation.BARRIER_WAIT << 8
OP_JOIN = Operation.JOIN << 8
OP_AWAIT = Operation.AWAIT << 8
OP_SLEEP = Operation.SLEEP << 8
OP_GATHER = Operation.GATHER << 8
OP_WAIT_ANY = Operation.WAIT_ANY << 8
OP_WAIT_FOR = Operation.WAIT_FOR << 8
OP_TIMER = Operation.TIMER << 8

MAX_MEMBERS = 64
"""Most members of a group that are listed in the event that waits for it."""

get_number = definitions._numbers.get
"""Number of an object by its ``id()``: None if it was not met, 0 if it is not recorded."""

_ENDED = (asyncio.CancelledError, GeneratorExit)
# Code of asyncio that touches an object in the name of its caller.
_GO_BETWEENS = ("_ContextManagerMixin.", "Condition.", "Barrier.__aenter__", "Queue.put", "Queue.get")
_NOT_GO_BETWEENS = ("Queue.put_nowait", "Queue.get_nowait")


def meet(thing: Any, kind: EntityKind, frame: FrameType | None, describe: Callable[[Any], str] | None = None) -> int:
    """Give *thing* its number at first sight: 0 if asyncio made it for its own use.

    Args:
        thing: A primitive.
        kind: What it is.
        frame: The caller of the hook.
        describe: Returns the JSON detail of the entity.
    """
    if is_asyncio(frame):
        definitions.bind(thing, 0)
        return 0
    return definitions.register(thing, kind, "" if describe is None else describe(thing))


def is_asyncio(frame: FrameType | None) -> bool:
    """Tell whether *frame*, or what it stands in for, is asyncio's own code."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("asyncio."):
            name = frame.f_code.co_qualname
            if not name.startswith(_GO_BETWEENS) or name in _NOT_GO_BETWEENS:
                return True
        elif not module.startswith("clew.probe."):
            return False
        frame = frame.f_back
    return False


def begin(what: int, number: int, arg: int = 0) -> Started:
    """Record that a wait begins; return what its end needs to know."""
    site = sites.site_here(2)
    buffer.emit_at(what, number, site, 0, arg)
    return monotonic_ns(), site, buffer.thread_state().scope


def define_group(type_name: str, site: int) -> int:
    """Give a wait for several things its number; it lasts as long as the wait."""
    scope = buffer.thread_state().scope
    return definitions.define_entity(EntityKind.GROUP, "", type_name, scope, site, buffer.SPAN.get())


def begin_group(what: int, number: int, site: int, members: list[int], count: int) -> Started:
    """Record that a wait for several things begins.

    Args:
        what: The event.
        number: The group.
        site: Where.
        members: Numbers of those of its members that are known.
        count: How many there are.
    """
    seq = buffer.emit_at(what, number, site, 0, count)
    if seq and members:
        buffer.attach(seq, {"members": members})
    return monotonic_ns(), site, buffer.thread_state().scope


def end(what: int, number: int, started: Started, arg: int = 0) -> None:
    """Record how a wait ended; its cause is the step that the code woke up in."""
    began, site, _ = started
    buffer.emit_at(what, number, site, monotonic_ns() - began, arg, buffer.thread_state().cursor)


def abandon(
    hooks: Hooks, op: int, number: int, started: Started | None, error: BaseException, outcome: int = 0, cause: int = 0
) -> None:
    """Record that a wait ended without what it was for.

    A coroutine that is destroyed gets a GeneratorExit in whatever scope runs then: it
    did not end its wait, so nothing is recorded.

    Args:
        hooks: Whose hook calls; it is disabled if this fails.
        op: What was waited for.
        number: The entity.
        started: What ``begin`` returned; None if it was refused at once.
        error: What was raised.
        outcome: The outcome, if it is known better than by the type of *error*.
        cause: The event that is its origin, if it is known.
    """
    try:
        what = ABANDON | op | (outcome or (CANCELLED if isinstance(error, _ENDED) else FAILED))
        if started is None:
            if type(error) is not GeneratorExit:
                buffer.emit(what, number, 0, 0, cause)
            return
        began, site, scope = started
        state = buffer.thread_state()
        if state.scope == scope:
            buffer.emit_at(what, number, site, monotonic_ns() - began, 0, cause or state.cursor)
    except Exception as problem:
        hooks.failed(problem)


def make_wait(
    hooks: Hooks,
    kind: EntityKind,
    begins: int,
    ends: int,
    must_wait: Callable[[Any], Any],
    describe: Callable[[Any], str] | None = None,
) -> Callable[[Any], Any]:
    """Return what makes the hook of a coroutine method without arguments that may wait.

    Args:
        hooks: The group of the hook.
        kind: What it is a method of.
        begins: The event that begins a wait, with its operation.
        ends: The event that ends it.
        must_wait: Tells, before it is called, whether the method will wait.
        describe: Returns the JSON detail of the entity.
    """
    op = begins & 0xFF00
    ends |= op

    def make(original: Any) -> Any:
        async def wait(self: Any) -> Any:
            started = None
            try:
                number = get_number(id(self))
                if number is None:
                    number = meet(self, kind, _getframe(1), describe)
                if number and must_wait(self):
                    started = begin(begins, number)
            except Exception as error:
                hooks.failed(error)
                number = 0
            try:
                result = await original(self)
            except BaseException as error:
                hide_frame(error)
                if number:
                    abandon(hooks, op, number, started, error)
                raise
            try:
                if started is not None:
                    end(ends, number, started)
                elif number:
                    buffer.emit(ends, number)
            except Exception as error:
                hooks.failed(error)
            return result

        return wait

    return make


def make_signal(
    hooks: Hooks,
    kind: EntityKind,
    what: int,
    *,
    has_effect: Callable[[Any], Any] | None = None,
    count: Callable[[Any], int] | None = None,
    describe: Callable[[Any], str] | None = None,
) -> Callable[[Any], Any]:
    """Return what makes the hook of a method without arguments that may wake others.

    It is recorded before it wakes them: then it is the cause of their next step.

    Args:
        hooks: The group of the hook.
        kind: What it is a method of.
        what: The event.
        has_effect: Tells whether it will do anything; by default it always does.
        count: Returns the event's number.
        describe: Returns the JSON detail of the entity.
    """

    def make(original: Any) -> Any:
        def signal(self: Any) -> Any:
            try:
                if has_effect is None or has_effect(self):
                    number = get_number(id(self))
                    if number is None:
                        number = meet(self, kind, _getframe(1), describe)
                    if number:
                        buffer.emit(what, number, 0, 0 if count is None else count(self))
            except Exception as error:
                hooks.failed(error)
            try:
                return original(self)
            except BaseException as error:
                hide_frame(error)
                raise

        return signal

    return make


def replace_function(hooks: Hooks, modules: Iterable[ModuleType], name: str, make: Callable[[Any], Any]) -> None:
    """Replace function *name* in each of *modules*: the same one stays the same one."""
    made: dict[Any, Any] = {}

    def make_once(original: Any) -> Any:
        if original not in made:
            made[original] = make(original)
        return made[original]

    for module in modules:
        hooks.replace(module, name, make_once)
