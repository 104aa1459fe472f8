"""Notes of attributes: of objects, classes, modules and functions.

A note takes the object the access is about, records what can be seen without running
code of the program, and returns that object. Reading is written out at length, since
most accesses are reads of plain attributes.
"""

from __future__ import annotations

from time import monotonic_ns
from types import MemberDescriptorType, SimpleNamespace

from clew.format import values
from clew.format.ring import SLOT, SLOT_SIZE
from clew.probe import buffer
from clew.probe.patching import hide_frame
from clew.probe.watch import compiling, owners
from clew.probe.watch.events import (
    CODE_SHIFT,
    IS_ABSENT,
    IS_DELETED,
    NO_VALUE,
    READ_ATTRIBUTE,
    WRITE_ATTRIBUTE,
    caught,
    record,
    summary,
    switch,
)
from clew.probe.watch.kinds import CLASS, FUNCTIONS, MISSING, MODULE, is_descriptor, is_method, module_dict, peek
from clew.probe.watch.owners import ABSENT, METHOD, STATE, globals_of, look, owner_of
from clew.probe.watch.places import HELD_TYPES, hold, known
from clew.probe.watch.summaries import encode, type_dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.watch.compiling import Point
    from clew.probe.watch.owners import Owner

_READ_INT = READ_ATTRIBUTE | values.INT << CODE_SHIFT
_LOW, _HIGH, _WORD = -(1 << 63), 1 << 63, (1 << 64) - 1
_pack = SLOT.pack_into
_span = buffer.SPAN.get
_getattribute = object.__getattribute__
_owner_at = owners.owners.get


def read(thing: Any, point: Point) -> Any:
    """Note that an attribute of *thing* is about to be read."""
    if switch.is_off:
        return thing
    try:
        owner = _owner_at(id(thing))
        if owner is None or owner.cls is not type(thing) or owner.extent < point.demand:
            _read_slowly(thing, point)
            return thing
        name = point.name
        number = owner.numbers.get(name)
        if number is None:
            if name not in owner.methods:
                _read_slowly(thing, point)
            return thing
        for each in owner.dicts:
            if name in each:
                _read_slowly(thing, point)
                return thing
        try:
            value = _getattribute(thing, name)
        except AttributeError:
            _read_slowly(thing, point)
            return thing
        kind: Any = type(value)
        if kind is int and _LOW <= value < _HIGH:
            what, bits = _READ_INT, value & _WORD
        else:
            code, bits = encode(value)
            what = READ_ATTRIBUTE | code << CODE_SHIFT
            if kind in HELD_TYPES:
                hold(owner, name, value)
        span = _span()
        if not span:
            return thing
        seq = buffer.next_number()
        if seq >= buffer.limit:
            seq = buffer.admit(seq)
            if not seq:
                return thing
        site = point.site or point.meet()
        try:
            state = buffer.local.state
        except AttributeError:
            state = buffer.thread_state()
        offset = (seq & buffer.mask) * SLOT_SIZE
        _pack(buffer.slots, offset, monotonic_ns(), 0, 0, bits, number, state.scope, site, span, what)
        state.cursor = seq
    except BaseException as error:
        if caught(error):
            raise
    return thing


def _read_slowly(thing: Any, point: Point) -> None:
    """Note a read of what is not a plain attribute of a known object, or not yet."""
    owner = owner_of(thing, point)
    name = point.name
    if owner is None:
        held = known(thing) if type(thing) is SimpleNamespace else None
        if held is not None:
            value = thing.__dict__.get(name, MISSING)
            _hold(held, name, value)
            record(READ_ATTRIBUTE, held, name, point, IS_ABSENT if value is MISSING else summary(value, point))
        return
    state, value, holder = look(thing, owner, point)
    if type(value) in HELD_TYPES:
        hold(holder, name, value)
    if state == METHOD:
        owner.methods.add(name)
    elif state == STATE:
        record(READ_ATTRIBUTE, holder, name, point, summary(value, point))
    elif state == ABSENT:
        record(READ_ATTRIBUTE, holder, name, point, IS_ABSENT)


def wrote(base: Any, point: Point) -> None:
    """Note that an attribute of what *base* leads to was assigned."""
    if switch.is_off:
        return
    try:
        thing = _follow(base, point)
        if thing is not None:
            _note_write(thing, point, NO_VALUE)
    except BaseException as error:
        if caught(error):
            raise


def deleted(base: Any, point: Point) -> None:
    """Note that an attribute of what *base* leads to was deleted."""
    if switch.is_off:
        return
    try:
        thing = _follow(base, point)
        if thing is not None:
            _note_delete(thing, point, NO_VALUE)
    except BaseException as error:
        if caught(error):
            raise


def _follow(base: Any, point: Point) -> Any:
    for name in point.path:
        base = peek(base, name)
        if base is None:
            return None
    return base


def _note_write(thing: Any, point: Point, old: tuple[int, int]) -> None:
    name = point.name
    owner = owner_of(thing, point)
    if owner is None:
        held = known(thing) if type(thing) is SimpleNamespace else None
        if held is not None and name in thing.__dict__:
            value = thing.__dict__[name]
            _hold(held, name, value)
            record(WRITE_ATTRIBUTE, held, name, point, summary(value, point), old)
        return
    value, holder = _written(thing, owner, name)
    if value is not MISSING:
        _hold(holder, name, value)
        record(WRITE_ATTRIBUTE, holder, name, point, summary(value, point), old)


def _written(thing: Any, owner: Owner, name: str) -> tuple[Any, Any]:
    """Return what an assignment left under *name*, and whose variable that is.

    MISSING if it is not state: a property took it, or a method was put into a class.
    """
    how = owner.kind.how
    if how == CLASS:
        value = type_dict(thing).get(name, MISSING)
        return (MISSING if value is MISSING or is_descriptor(value) else value), owner
    if how == MODULE:
        namespace = module_dict(thing)
        unit = compiling.unit_of(namespace)
        if unit is None or name not in namespace:
            return MISSING, owner
        unit.rebound.add(name)
        return namespace[name], globals_of(unit)
    for each in owner.dicts:
        if name in each:
            found = each[name]
            kind: Any = type(found)
            if kind is not MemberDescriptorType and kind not in FUNCTIONS and is_descriptor(found):
                return MISSING, owner
            value = _value(thing, name)
            if kind in FUNCTIONS:
                if value is MISSING or is_method(value, found):
                    return MISSING, owner
                owner.methods.discard(name)
            return value, owner
    return _value(thing, name), owner


def _value(thing: Any, name: str) -> Any:
    try:
        return _getattribute(thing, name)
    except AttributeError:
        return MISSING


def _hold(holder: Any, name: str, value: Any) -> None:
    """Remember that *holder* holds *value* under *name*, or forget what it held there."""
    if type(value) in HELD_TYPES:
        hold(holder, name, value)
    elif name in holder.helds:
        holder.helds[name].leave(holder, name)


def _note_delete(thing: Any, point: Point, old: tuple[int, int]) -> None:
    name = point.name
    owner = owner_of(thing, point)
    if owner is None:
        held = known(thing) if type(thing) is SimpleNamespace else None
        if held is not None:
            record(WRITE_ATTRIBUTE, held, name, point, IS_DELETED, old)
        return
    state, _, holder = look(thing, owner, point)
    unit = compiling.unit_of(module_dict(thing)) if owner.kind.how == MODULE else None
    if unit is not None:
        unit.rebound.add(name)
        holder, state = globals_of(unit), ABSENT
    is_known = name in owner.slow_numbers
    if state == ABSENT or is_known:
        if owner.kind.how == CLASS:
            holder = owner
        if name in holder.helds:
            holder.helds[name].leave(holder, name)
        record(WRITE_ATTRIBUTE, holder, name, point, IS_DELETED, old)


# -- where the object cannot be found again after the operation


def target(thing: Any, point: Point) -> Any:
    """Return what stands in for *thing* while one attribute is assigned, augmented or deleted."""
    if switch.is_off:
        return thing
    try:
        if _is_plain(thing, point):
            stand_in = object.__new__(Target)
            _set_about(stand_in, (thing, point))
            return stand_in
    except BaseException as error:
        if caught(error):
            raise
    return thing


def _is_plain(thing: Any, point: Point) -> bool:
    """Tell whether assigning or reading the attribute runs no code of the program."""
    owner = owner_of(thing, point)
    name = point.name
    if owner is None:
        return type(thing) is SimpleNamespace and known(thing) is not None
    kind = owner.kind
    if not kind.is_plain:
        owners.leave_out()
        return False
    if kind.how == MODULE:
        return compiling.unit_of(module_dict(thing)) is not None
    if kind.how == CLASS:
        return not any(name in each for each in owner.dicts) and not is_descriptor(type_dict(thing).get(name))
    for each in owner.dicts:
        if name in each:
            found: Any = each[name]
            return type(found) is MemberDescriptorType or not is_descriptor(found)
    return not kind.is_dynamic or _value(thing, name) is not MISSING


class Target:
    """Stands in for an object during one operation on one of its attributes.

    The operation is done on the object, by the same built-in function the interpreter
    would use; the stand-in is never stored anywhere.
    """

    __slots__ = ("clew",)
    clew: tuple[Any, Point]

    def __getattribute__(self, name: str) -> Any:
        thing, point = _about(self)
        read(thing, point)
        try:
            return getattr(thing, name)
        except BaseException as error:
            hide_frame(error)
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        thing, point = _about(self)
        old = _old(thing, point)
        try:
            setattr(thing, name, value)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            _note_write(thing, point, old)
        except BaseException as error:
            if caught(error):
                raise

    def __delattr__(self, name: str) -> None:
        thing, point = _about(self)
        old = _old(thing, point)
        try:
            delattr(thing, name)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            _note_delete(thing, point, old)
        except BaseException as error:
            if caught(error):
                raise


_about: Any = Target.__dict__["clew"].__get__
_set_about: Any = Target.__dict__["clew"].__set__


def _old(thing: Any, point: Point) -> tuple[int, int]:
    """Return a summary of the value that is about to be overwritten."""
    try:
        value = peek(thing, point.name)
        return NO_VALUE if value is None else summary(value, point)
    except BaseException as error:
        if caught(error):
            raise
        return NO_VALUE
