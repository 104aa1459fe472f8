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
import weakref
from time import monotonic_ns

from clew.format.ring import SLOT, SLOT_SIZE
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome
from clew.probe import buffer, definitions, journal, sites
from clew.probe.patching import Hooks, hide_frame
from clew.probe.sites import HIDDEN, LIBRARY, USER, tier_of

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

_span = buffer.SPAN.get
_pack = SLOT.pack_into
_site_here = sites.site_here
_user_sites = sites._user_sites.get

get_number = definitions.number_at
"""Number of an object by its ``id()``: None if it was not met, 0 if it is not recorded."""

_ENDED = (asyncio.CancelledError, GeneratorExit)
# Code of asyncio that uses an object of a kind for a purpose of its own.
_OWNERS: dict[int, tuple[str, ...]] = {
    EntityKind.EVENT: ("Queue.", "staggered_race"),
    EntityKind.LOCK: ("Barrier.",),
    EntityKind.CONDITION: ("Barrier.",),
    EntityKind.QUEUE: ("as_completed.", "_AsCompletedIterator."),
}


_unnamed: dict[int, tuple[weakref.ref[Any], int]] = {}
"""By ``id()``: primitives that no code of the user's has touched yet, and their numbers."""
MAX_UNNAMED = 10_000


def forget() -> None:
    """Forget what has no name yet: a forked child numbers its own."""
    _unnamed.clear()


def meet(thing: Any, kind: EntityKind, frame: FrameType | None, describe: Callable[[Any], str] | None = None) -> int:
    """Give *thing* its number at first sight: 0 if asyncio made it for its own use.

    In ``create_task(queue.get())`` the task's own code is asyncio's: nothing there tells
    by what name the program knows the queue. It is met again until something does. So is
    what a library uses: most often it made it for itself, and to search the variables of
    its callers for a name costs more than all that is recorded of it.

    Args:
        thing: A primitive.
        kind: What it is.
        frame: The caller of the hook.
        describe: Returns the JSON detail of the entity.
    """
    if kind in _OWNERS and is_inner(frame, _OWNERS[kind]):
        definitions.bind(thing, 0)
        return 0
    tier = HIDDEN
    while frame is not None and (tier := tier_of(frame.f_code)) >= HIDDEN:
        frame = frame.f_back if tier == HIDDEN else None
    is_named = frame is not None and tier == USER
    known = _unnamed.get(id(thing))
    if not is_named and known is not None:
        return known[1]
    cls: Any = type(thing)
    type_name = f"{cls.__module__}.{cls.__qualname__}"
    detail = "" if describe is None else describe(thing)
    site = sites.site_of(frame) if frame is not None else 0
    if not is_named and len(_unnamed) < MAX_UNNAMED:
        number = definitions.define_entity(kind, "", type_name, 0, site, 0, detail)
        key = id(thing)
        _unnamed[key] = (weakref.ref(thing, lambda reference: _drop(key, reference)), number)
        return number
    name = definitions.variable_name(thing, frame) if frame is not None and is_named else ""
    if known is None:
        return definitions.register(thing, kind, name, type_name=type_name, site=site, detail=detail)
    number = known[1]
    del _unnamed[id(thing)]
    definitions.bind(thing, number)
    journal.write_entity((number, kind, name, type_name, 0, site, 0, detail))
    return number


def number_of_met(thing: object) -> int:
    """Return the number of *thing* if it has one, named or not, else 0."""
    known = _unnamed.get(id(thing))
    return known[1] if known is not None else get_number(id(thing)) or 0


def _drop(key: int, reference: Any) -> None:
    known = _unnamed.get(key)
    if known is not None and known[0] is reference:
        del _unnamed[key]


def is_inner(frame: FrameType | None, owners: tuple[str, ...]) -> bool:
    """Tell whether *frame* is, or works for, one of the *owners*, which are asyncio's own code."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("asyncio."):
            if frame.f_code.co_qualname.startswith(owners):
                return True
        elif not module.startswith("clew.probe."):
            return False
        frame = frame.f_back
    return False


def note(what: int, number: int, arg: int = 0, depth: int = 2) -> int:
    """Record an event of the caller of a hook: the inside of ``emit``, written out for speed.

    Args:
        what: The event.
        number: The entity.
        arg: The event's number.
        depth: How many frames above this function the caller of the hook is. Only frames
            from there on are looked at: each costs 150 ns, for it must be made first.

    Returns:
        The site; 0 if the event was dropped or is not sampled.
    """
    span = _span()
    if not span:
        return 0
    seq = buffer.next_number()
    if seq >= buffer.limit:
        seq = buffer.admit(seq)
        if not seq:
            return 0
    try:
        state = buffer.local.state
    except AttributeError:
        state = buffer.thread_state()
    frame = _getframe(depth)
    offsets = _user_sites(id(frame.f_code))
    if offsets is None and frame.f_back is not None:  # `async with` has a frame of its own
        frame = frame.f_back
        offsets = _user_sites(id(frame.f_code))
    site = (offsets.get(frame.f_lasti) if offsets is not None else 0) or _site_here(depth + 1)
    _pack(
        buffer.slots,
        (seq & buffer.mask) * SLOT_SIZE,
        monotonic_ns(),
        0,
        0,
        arg,
        number,
        state.scope,
        site,
        span,
        what,
    )
    state.cursor = seq
    return site


def begin(what: int, number: int, arg: int = 0, depth: int = 3) -> Started:
    """Record that a wait begins; return what its end needs to know.

    Args:
        what: The event.
        number: The entity.
        arg: The event's number.
        depth: How many frames above ``note`` the caller of the hook is.
    """
    site = note(what, number, arg, depth)
    try:
        return monotonic_ns(), site, buffer.local.state.scope
    except AttributeError:  # nothing was recorded of this thread yet
        return monotonic_ns(), site, buffer.thread_state().scope


def define_group(type_name: str, site: int, members: list[int]) -> int:
    """Give a wait for several things its number; it lasts as long as the wait.

    Args:
        type_name: What it is.
        site: Where.
        members: Numbers of those that are waited for and have one.
    """
    detail = f'{{"members":{members}}}' if members else ""
    return definitions.define_entity(
        EntityKind.GROUP, "", type_name, buffer.thread_state().scope, site, _span(), detail
    )


def begin_at(what: int, number: int, site: int, arg: int) -> Started:
    """Record that a wait begins, as ``begin`` does, at a *site* the caller knows."""
    buffer.emit_at(what, number, site, 0, arg)
    return monotonic_ns(), site, buffer.thread_state().scope


def end(what: int, number: int, started: Started, arg: int = 0, cause: int = 0) -> None:
    """Record how a wait ended; its cause is the step that the code woke up in, unless another is given."""
    began, site, _ = started
    buffer.emit_at(what, number, site, monotonic_ns() - began, arg, cause or buffer.thread_state().cursor)


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
    is_quiet = kind == EntityKind.EVENT  # where a library uses it and nobody waits

    def make(original: Any) -> Any:
        async def wait(self: Any) -> Any:
            started = None
            try:
                number = get_number(id(self))
                if number is None:
                    is_left_out = is_quiet and not must_wait(self) and tier_of(_getframe(1).f_code) == LIBRARY
                    number = 0 if is_left_out else meet(self, kind, _getframe(1), describe)
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
                    note(ends, number)
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
    is_quiet = kind == EntityKind.EVENT  # where a library uses it and nobody waits

    def make(original: Any) -> Any:
        def signal(self: Any) -> Any:
            try:
                if has_effect is None or has_effect(self):
                    number = get_number(id(self))
                    if number is None:
                        is_left_out = is_quiet and not self._waiters and tier_of(_getframe(1).f_code) == LIBRARY
                        number = 0 if is_left_out else meet(self, kind, _getframe(1), describe)
                    if number:
                        note(what, number, 0 if count is None else count(self))
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
