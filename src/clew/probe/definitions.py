"""What events refer to by number: entities, sites and spans, each defined once.

A definition goes into the journal before the first event about it; the observed
process then forgets it. Numbers are never reused while a recording lasts (they wrap
after 2**32, long after the chunk that defined them).
"""

from __future__ import annotations

import itertools
import sys
import weakref
from types import GetSetDescriptorType

from clew.probe import journal, sites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_MASK = 0xFFFF_FFFF
MAX_LIVE_ENTITIES = 200_000
"""Most live objects told apart; further ones share the number 0, and are counted."""
unnamed = 0
"""Objects that got no number because ``MAX_LIVE_ENTITIES`` were alive already."""
epoch = 0
"""Changes when all numbers are forgotten: what remembers one elsewhere remembers it with this."""

_next_entity = itertools.count(1).__next__
_next_span = itertools.count(1).__next__
_numbers: dict[int, int] = {}
_references: dict[int, weakref.ref[Any]] = {}
number_at = _numbers.get
"""Number of the object at an address (``id``), or None: the inside of ``entity_of``, for speed."""


def define_entity(
    kind: int, name: str = "", type_name: str = "", parent: int = 0, site: int = 0, span: int = 0, detail: str = ""
) -> int:
    """Give a new entity its number.

    Args:
        kind: An ``EntityKind``.
        name: The name the user gave, or the variable it is known by.
        type_name: Its class.
        parent: Number of the entity that created it.
        site: Where it was created, or first used.
        span: Span it was created in.
        detail: JSON object with what is particular to its kind.
    """
    number = _next_entity() & _MASK
    journal.write_entity((number, kind, name, type_name, parent, site, span, detail))
    return number


def next_span() -> int:
    """Return a new span number; the caller appends the row to ``spans``."""
    return _next_span() & _MASK


def entity_of(thing: object, kind: int) -> int:
    """Return the number of *thing*, giving it one at first sight.

    The mapping holds no reference to *thing*: it ends with it.
    """
    number = _numbers.get(id(thing))
    return _register(thing, kind) if number is None else number


def bind(thing: object, number: int) -> None:
    """Make *number* the number of *thing*."""
    key = id(thing)

    def gone(reference: object, key: int = key) -> None:
        # An object at the same address may have been bound since; its reference stays.
        if _references.get(key) is reference:
            del _references[key]
            _numbers.pop(key, None)

    _references[key] = weakref.ref(thing, gone)
    _numbers[key] = number


def known(thing: object) -> int:
    """Return the number of *thing*, 0 if it has none."""
    return _numbers.get(id(thing), 0)


def _register(thing: object, kind: int) -> int:
    frame = sites.user_frame(2)
    return register(
        thing,
        kind,
        variable_name(thing, frame) if frame is not None else "",
        site=sites.site_of(frame) if frame is not None else 0,
    )


def register(
    thing: object, kind: int, name: str, *, type_name: str = "", parent: int = 0, site: int = 0, detail: str = ""
) -> int:
    """Give *thing* a number, with a definition of the caller's; 0 if too many have one.

    Args:
        thing: An object without a number.
        kind: An ``EntityKind``.
        name: As for ``define_entity``, like those that follow.
        type_name: By default that of its class.
        parent: See there.
        site: See there.
        detail: See there.
    """
    global unnamed
    if len(_numbers) >= MAX_LIVE_ENTITIES:
        unnamed += 1
        return 0
    if not type_name:
        cls = type(thing)
        type_name = f"{cls.__module__}.{cls.__qualname__}"
    number = define_entity(kind, name, type_name, parent, site, 0, detail)
    try:
        bind(thing, number)
    except TypeError:
        # No weak references to this type: it keeps no number, since its address may
        # soon be another object's.
        return number
    return number


def variable_name(thing: object, frame: FrameType) -> str:
    """Return the attribute or variable by which the code in *frame* knows *thing*.

    Looks at the instance the running method belongs to, then the locals, then the
    module's globals, without running any of the program's code.
    """
    local = locals_of(frame)
    while local.get("self") is thing and frame.f_back is not None:
        frame = frame.f_back  # a method of its own class, called by whoever has a name for it
        local = locals_of(frame)
    names = frame.f_code.co_varnames
    if frame.f_code.co_argcount and names:
        owner = local.get(names[0])
        for key, value in _instance_dict(owner).items():
            if value is thing:
                return f"{type(owner).__qualname__}.{key}"
    for key, value in list(local.items()):
        if value is thing:
            return key
        for attribute, inner in _instance_dict(value).items():
            if inner is thing:
                return f"{type(value).__qualname__}.{attribute}"
    module = frame.f_globals
    for key, value in list(module.items()):
        if value is thing:
            return f"{module.get('__name__', '')}.{key}"
    return ""


def locals_of(frame: FrameType) -> Any:
    """Return the variables of *frame* as a mapping, without keeping them alive in the frame.

    Before Python 3.13, reading ``f_locals`` of a function leaves a dictionary in its frame
    that holds every variable until the function returns, also what it deletes. Where
    nobody else has that dictionary, it is emptied again; while a tracer is set, the
    interpreter copies it back into the variables, so then it stays.
    """
    local = frame.f_locals
    if not frame.f_code.co_flags & _OPTIMIZED:
        return local  # the namespace itself
    result = dict(local)
    if _is_snapshot and _getrefcount(local) == _OURS and sys.gettrace() is None and sys.getprofile() is None:
        local.clear()
    return result


_OPTIMIZED = 1
_OURS = 3
"""References to a snapshot nobody else has: the frame's, the variable, the argument."""
_is_snapshot = sys.version_info < (3, 13)
_getrefcount = sys.getrefcount


def _instance_dict(owner: object) -> dict[str, Any]:
    """Return the instance dictionary of *owner* without calling its code; copies it."""
    cls = type(owner)
    if cls.__flags__ & _HEAP_TYPE:
        for base in cls.__mro__:
            slot = base.__dict__.get("__dict__")
            if slot is not None:
                if type(slot) is not GetSetDescriptorType:
                    break
                found: Any = slot.__get__(owner)
                if type(found) is dict and len(found) <= _MAX_ATTRIBUTES:  # pyright: ignore[reportUnknownArgumentType]  the program's own object
                    return found.copy()  # pyright: ignore[reportUnknownVariableType]  the program's own object
                break
    return {}


_HEAP_TYPE = 1 << 9
_MAX_ATTRIBUTES = 200


def reset() -> None:
    """Forget every number: a forked child defines its entities anew."""
    global _next_entity, _next_span, unnamed, epoch
    _next_entity = itertools.count(1).__next__
    _next_span = itertools.count(1).__next__
    _numbers.clear()
    _references.clear()
    unnamed = 0
    epoch += 1


def skip_spans(number: int) -> None:
    """Give no further span a number below *number*.

    Contexts that a forked child inherited still hold spans of its parent: those must
    not turn into spans of its own.
    """
    global _next_span
    _next_span = itertools.count(number).__next__
