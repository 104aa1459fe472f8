"""Which object a variable belongs to: identity that no reused address can confuse.

An object that can be referred to weakly is forgotten by the reference's callback, before
its memory is used again. Objects of a class with ``__slots__`` and without ``__weakref__``
cannot: such a class, if it is defined in a watched module, gets a ``__del__`` as soon as it
is made, which Python calls at the same point. (Later would be too late: somebody may be
iterating over the class.) One that has a ``__del__`` of its own is left out, as are such
classes of other modules. What can neither be referred to nor tell of its death (dicts)
is known by the places that hold it, see ``places``.

Values are looked at without running the program's code: a name that no class of the
object defines can only be in the instance, where ``object.__getattribute__`` finds it
(reading ``__dict__`` instead would make CPython build a dict for each object, which
costs memory and slows every later access); one that a class defines is looked at as it
is, and is state only if it is a slot or a plain value.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from _thread import _local  # pyright: ignore[reportPrivateUsage]  the base of threading.local
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)

from clew.model.kinds import EntityKind
from clew.probe.definitions import define_entity
from clew.probe.watch import compiling
from clew.probe.watch import selection as selections
from clew.probe.watch.selection import MAX_KNOWN
from clew.probe.watch.summaries import name_of, type_dict, type_mro, type_qualname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from clew.probe.watch.compiling import Point
    from clew.probe.watch.places import Held

MAX_VARIABLES = 100_000
"""Most variables told apart at one time; accesses to further ones are counted."""

IGNORED, WEAK, DYING, PLACED, CLASS, MODULE = range(6)
NOT_STATE, METHOD, ABSENT, STATE = range(4)

_HEAP = 1 << 9
_IMMUTABLE = 1 << 8
_IS_TYPE = 1 << 31
FUNCTIONS = (FunctionType, classmethod, staticmethod)
_NO_VALUES = frozenset({property, GetSetDescriptorType, MethodDescriptorType, BuiltinFunctionType, type, ModuleType})
_flags: Callable[[type], int] = type.__dict__["__flags__"].__get__
_dict_offset: Callable[[type], int] = type.__dict__["__dictoffset__"].__get__
_weak_offset: Callable[[type], int] = type.__dict__["__weakrefoffset__"].__get__
_getattribute = object.__getattribute__
_WRAPPER = object.__dict__["__setattr__"]

live = 0
left_out = 0
"""Accesses that were not recorded: to variables beyond the bound, or that cannot be told apart."""
owners: dict[int, Owner] = {}
"""Owners by ``id()`` of their object."""
_kinds: weakref.WeakValueDictionary[int, Kind] = weakref.WeakValueDictionary()
"""Kinds by ``id()`` of their class, as long as an owner has one: they keep the class alive."""
_next_object = itertools.count(1).__next__
MISSING: Any = object()


class Kind:
    """What is known of a class, and of its objects.

    Attributes:
        cls: The class.
        how: How its objects are told apart: WEAK, DYING …
        label: Its name, as it stands in the name of a variable.
        mro: Its bases, as they were.
        dicts: Attributes of every class its objects get theirs from, but ``object``.
        is_plain: Whether assigning attributes runs no code of the program.
        is_dynamic: Whether the program computes attributes (``__getattr__``).
        methods: Names that were found not to be state.
        extent: Which variables of its objects are selected by their names: all, some, none.
        names: Full names of its bases.
    """

    __slots__ = (
        "__weakref__",
        "cls",
        "dicts",
        "extent",
        "how",
        "is_dynamic",
        "is_plain",
        "label",
        "methods",
        "mro",
        "names",
        "type_name",
    )

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.mro = type_mro(cls)
        self.label = type_qualname(cls).rpartition("<locals>.")[2]
        self.type_name = name_of(cls)
        ignored = (object, type)
        self.dicts = tuple([type_dict(base) for base in self.mro if base not in ignored])
        self.is_plain = not any(
            type(each.get(name, _WRAPPER)) is not type(_WRAPPER)
            for each in self.dicts
            for name in ("__setattr__", "__delattr__", "__getattribute__")
        )
        self.is_dynamic = any("__getattr__" in each for each in self.dicts)
        self.methods: set[str] = set()
        self.how = self._how()
        self.names = _names_of(self.mro)
        self.extent = _extent(self.names)

    def _how(self) -> int:
        cls = self.cls
        flags = _flags(cls)
        if flags & _IS_TYPE:
            return CLASS
        if ModuleType in self.mro:
            return MODULE
        if cls is FunctionType:
            return WEAK
        if cls is SimpleNamespace:
            return PLACED
        if not flags & _HEAP or flags & _IMMUTABLE or _local in self.mro:
            # Built-in types have no state to watch, and that of a thread is nobody else's.
            return IGNORED
        if _weak_offset(cls):
            return WEAK
        return DYING if self._has_hook() else IGNORED

    def _has_hook(self) -> bool:
        return next((each["__del__"] for each in self.dicts if "__del__" in each), None) is _died


class Owner:
    """An object whose attributes are watched.

    Attributes:
        cls: Its class when it was met.
        kind: What is known of that.
        dicts, methods: Those of its kind; read at every access.
        numbers: Numbers of variables by attribute, for objects that are looked at the
            quick way; those of classes and modules stand in ``slow_numbers``.
        helds: Containers it was seen to hold, by attribute.
        label: What its variables' names begin with.
        type_name: Its class; for a class, itself.
        names: Full names its variables' names begin with: those of its class and of the bases.
        extent: Which of its variables are selected by their names: all, some, none.
        reference: To the object, or None.
    """

    __slots__ = (
        "cls",
        "dicts",
        "extent",
        "helds",
        "kind",
        "label",
        "methods",
        "names",
        "number",
        "numbers",
        "reference",
        "slow_numbers",
        "type_name",
    )

    def __init__(self, kind: Kind, label: str, type_name: str, names: tuple[str, ...], reference: Any) -> None:
        self.cls = kind.cls
        self.kind = kind
        self.dicts = kind.dicts
        self.methods = kind.methods
        self.label = label
        self.type_name = type_name
        self.names = names
        self.extent = kind.extent if names is kind.names else _extent(names)
        self.reference = reference
        self.number = _next_object()
        self.slow_numbers: dict[str, int] = {}
        self.numbers = self.slow_numbers if kind.how in (WEAK, DYING) else {}
        self.helds: dict[str, Held] = {}

    def variable(self, name: str, point: Point) -> int:
        """Return the number of the variable *name*, defining it; 0 if there are too many."""
        number = self.slow_numbers.get(name)
        if number is None:
            number = define(self.name_of(name), self.type_name, self.number, point)
            if number:
                number = self.slow_numbers.setdefault(name, number)
                selections.current.mark(self.full_names(name))
        return number

    def full_names(self, name: str) -> list[str]:
        """Return the names by which the variable *name* may be selected."""
        shown = self.name_of(name).rpartition(".")[2]
        return [f"{each}.{shown}" for each in self.names]

    def is_wanted(self, name: str) -> bool:
        """Tell whether the variable *name* is selected by its name."""
        return self.extent == selections.ALL or (self.extent == selections.SOME and is_selected(self.full_names(name)))

    def name_of(self, name: str) -> str:
        """Return what people know the variable *name* by."""
        thing = self.reference() if self.kind.how == CLASS else None
        return f"{self.label}.{_shown(name, self.kind.mro if thing is None else type_mro(thing))}"

    def peek(self, name: str) -> Any:
        """Return what its object holds under *name*, or None."""
        thing = self.reference() if self.reference is not None else None
        return None if thing is None else peek(thing, name)


class Globals:
    """The globals of a watched module.

    Attributes:
        unit: The module.
        slow_numbers: Numbers of variables by name.
        helds: Containers it was seen to hold, by name.
        extent: Which of its variables are selected by their names: all, some, none.
        number: Number of the module among objects.
    """

    __slots__ = ("extent", "helds", "number", "slow_numbers", "unit")

    def __init__(self, unit: compiling.Unit) -> None:
        self.unit = unit
        self.extent = selections.current.extent(unit.name)
        self.slow_numbers: dict[str, int] = {}
        self.helds: dict[str, Held] = {}
        self.number = _next_object()

    def variable(self, name: str, point: Point) -> int:
        """Return the number of the variable *name*, defining it; 0 if there are too many."""
        number = self.slow_numbers.get(name)
        if number is None:
            number = define(self.name_of(name), "module", self.number, point)
            if number:
                number = self.slow_numbers.setdefault(name, number)
                selections.current.mark(self.full_names(name))
        return number

    def full_names(self, name: str) -> list[str]:
        """Return the names by which the variable *name* may be selected."""
        return [f"{self.unit.name}.{name}"]

    def is_wanted(self, name: str) -> bool:
        """Tell whether the variable *name* is selected by its name."""
        return self.extent == selections.ALL or (self.extent == selections.SOME and is_selected(self.full_names(name)))

    def name_of(self, name: str) -> str:
        """Return what people know the variable *name* by."""
        return f"{self.unit.label}.{name}"

    def peek(self, name: str) -> Any:
        """Return the value of the global *name*, or None."""
        module = sys.modules.get(self.unit.name)
        return module_dict(module).get(name) if isinstance(module, ModuleType) else None


def _names_of(mro: tuple[type, ...]) -> tuple[str, ...]:
    return tuple([name_of(base) for base in mro if _flags(base) & _HEAP])


def _extent(names: tuple[str, ...]) -> int:
    return max(map(selections.current.extent, names), default=selections.NONE)


def is_selected(names: list[str]) -> bool:
    """Tell whether a variable that is known by each of *names* is selected."""
    return any(selections.current.extent(name) == selections.ALL for name in names)


def globals_of(unit: compiling.Unit) -> Globals:
    """Return the globals of *unit* as variables."""
    if unit.owner is None:
        unit.owner = Globals(unit)
    return unit.owner


class _Reference(weakref.ref):  # pyright: ignore[reportMissingTypeArgument]
    __slots__ = ("key",)
    key: int


def define(name: str, type_name: str, number: int, point: Point) -> int:
    """Define a variable; return its number, 0 if there are too many."""
    global live, left_out
    if live >= MAX_VARIABLES:
        left_out += 1
        return 0
    live += 1
    site = point.site or point.meet()
    return define_entity(EntityKind.VARIABLE, name, type_name, site=site, detail=f'{{"object":{number}}}')


def leave_out(count: int = 1) -> None:
    """Count accesses that cannot be recorded."""
    global left_out
    left_out += count


def release(count: int) -> None:
    """Make room: *count* variables ended with their object."""
    global live
    live -= count


def _gone(reference: Any, known: dict[int, Owner] = owners) -> None:
    try:
        owner = known.get(reference.key)
        if owner is not None and owner.reference is reference:
            del known[reference.key]
            forget(owner)
    except Exception:  # the interpreter ends, and with it this module
        return


def _died(self: object, known: dict[int, Owner] = owners) -> None:
    try:
        owner = known.pop(id(self), None)
        if owner is not None:
            forget(owner)
    except Exception:
        return


_died.__name__ = _died.__qualname__ = "__del__"


def class_made(cls: Any) -> Any:
    """Have Python tell of the death of objects of *cls*, a new class, if it must be told."""
    try:
        if _flags(type(cls)) & _IS_TYPE and not _weak_offset(cls) and _has_state(cls) and _extent(_names_of(type_mro(cls))):
            type.__setattr__(cls, "__del__", _died)
    except Exception:  # an object of another kind, or a class that cannot be changed
        return cls
    return cls


def _has_state(cls: type) -> bool:
    """Tell whether objects of *cls* have attributes, and nobody waits for their end."""
    dicts = [type_dict(base) for base in type_mro(cls)]
    if any("__del__" in each for each in dicts) or "_member_map_" in type_dict(cls):
        return False  # members of an enumeration live as long as it does, and do not change
    if _dict_offset(cls):
        return True
    return any(type(value) is MemberDescriptorType for each in dicts for value in each.values())


def forget(owner: Owner) -> None:
    """Forget the variables of an object that ended."""
    release(len(owner.slow_numbers))
    for name, held in list(owner.helds.items()):
        held.leave(owner, name)


def owner_of(thing: Any, point: Point) -> Owner | None:
    """Return the owner for *thing*, None if its state is not watched at *point*."""
    owner = owners.get(id(thing))
    if owner is not None and owner.cls is type(thing):
        return owner
    cls: Any = type(thing)
    if cls in _WITHOUT_STATE or (id(cls) in _unwanted and not point.unit.is_whole):
        return None
    kind = kind_of(cls)
    if owner is not None:
        owner.cls, owner.kind, owner.dicts, owner.methods = cls, kind, kind.dicts, kind.methods  # it changed its class
        return owner
    how = kind.how
    if how == IGNORED or how == PLACED:
        if not _flags(cls) & _HEAP:
            _WITHOUT_STATE.add(cls)
        return None
    if kind.extent == selections.NONE and not point.unit.is_whole and how in (WEAK, DYING) and cls is not FunctionType:
        _leave_alone(cls)
        return None
    if live >= MAX_VARIABLES:
        leave_out()
        return None
    reference: Any = None
    if how != DYING:
        reference = _Reference(thing, _gone)
        reference.key = id(thing)
    label, type_name, names = _label(thing, kind)
    return owners.setdefault(id(thing), Owner(kind, label, type_name, names, reference))


def known_classes() -> list[str]:
    """Return the names of classes whose objects were met."""
    return sorted({kind.type_name for kind in list(_kinds.values())})[:MAX_KNOWN]


def kind_of(cls: type) -> Kind:
    """Return what is known of *cls*."""
    kind = _kinds.get(id(cls))
    if kind is None or kind.cls is not cls or kind.mro is not type_mro(cls):
        kind = _kinds[id(cls)] = Kind(cls)
    return kind


def _leave_alone(cls: type) -> None:
    """Remember, as long as *cls* lives, that its objects are not selected by their names."""
    key = id(cls)

    def gone(_: object, key: int = key, unwanted: dict[int, Any] = _unwanted) -> None:
        unwanted.pop(key, None)

    _unwanted[key] = weakref.ref(cls, gone)


_unwanted: dict[int, Any] = {}
_WITHOUT_STATE: set[type] = {int, str, bytes, list, dict, tuple, set, frozenset, float, type(None)}
"""Built-in types that have none; they live for ever."""


def _label(thing: Any, kind: Kind) -> tuple[str, str, tuple[str, ...]]:
    """Return what the names of *thing*'s variables begin with, its type, and its full names."""
    if kind.how == CLASS:
        return type_qualname(thing).rpartition("<locals>.")[2], name_of(thing), _names_of(type_mro(thing))
    if kind.cls is FunctionType:
        module, name = thing.__module__, thing.__qualname__
        full = f"{module}.{name}" if type(module) is str else name
        return name.rpartition("<locals>.")[2], kind.type_name, (full,)
    return kind.label, kind.type_name, kind.names


module_dict: Callable[[Any], dict[str, Any]] = ModuleType.__dict__["__dict__"].__get__


def _shown(name: str, mro: tuple[type, ...]) -> str:
    """Return a private name as it is written: ``__balance`` for ``_Account__balance``."""
    if name.startswith("_") and "__" in name[2:]:
        for base in mro:
            prefix = f"_{type_qualname(base).rpartition('.')[2].lstrip('_')}__"
            if name.startswith(prefix):
                return name[len(prefix) - 2 :]
    return name


# -- looking


def look(thing: Any, owner: Owner, point: Point) -> tuple[int, Any, Any]:
    """Look at an attribute without running code of the program.

    Returns:
        NOT_STATE, METHOD (NOT_STATE for every object of the class), ABSENT or STATE; the value, None if it cannot be told; the owner of
        the variable: the class that defines it, if *thing* is a class, or the
        ``Globals`` of a module.
    """
    how = owner.kind.how
    name = point.name
    if how == CLASS:
        return _look_at_class(thing, owner, point)
    if how == MODULE:
        return _look_at_module(thing, owner, name)
    for each in owner.dicts:
        if name in each:
            state, value = _look_past_class(thing, owner, name, each[name])
            return state, value, owner
    try:
        return STATE, _getattribute(thing, name), owner
    except AttributeError:
        return (NOT_STATE if owner.kind.is_dynamic else ABSENT), None, owner


def _look_past_class(thing: Any, owner: Owner, name: str, found: Any) -> tuple[int, Any]:
    """Look at an attribute that a class of *thing* defines as *found*."""
    kind: Any = type(found)
    if kind is MemberDescriptorType:
        try:
            return STATE, found.__get__(thing)
        except AttributeError:
            return (NOT_STATE if owner.kind.is_dynamic else ABSENT), None
    if kind in FUNCTIONS:
        if name not in owner.slow_numbers:
            return METHOD, None
        # Once a method was hidden by a value in the instance.
        value = _getattribute(thing, name)
        return (METHOD if is_method(value, found) else STATE), value
    if is_descriptor(found):
        return METHOD, None
    if name in compiling.stored_names or name in owner.slow_numbers:
        return STATE, _getattribute(thing, name)
    return NOT_STATE, None


def is_method(value: Any, function: Any) -> bool:
    """Tell whether *value* is what the class's *function* gives."""
    kind: Any = type(function)
    if kind is not FunctionType:
        function = function.__func__
    return value is function or (type(value) is MethodType and value.__func__ is function)


def is_descriptor(value: Any) -> bool:
    """Tell whether *value*, in a class, is code and not state: a function, property, class …"""
    kind: Any = type(value)
    if kind in _NO_VALUES or kind in FUNCTIONS or _flags(kind) & _IS_TYPE:
        return True
    return any("__get__" in type_dict(base) for base in type_mro(kind))


def _look_at_class(cls: type, owner: Owner, point: Point) -> tuple[int, Any, Any]:
    name = point.name
    if any(name in each for each in owner.dicts):
        return NOT_STATE, None, owner
    for base in type_mro(cls):
        attributes = type_dict(base)
        if name in attributes:
            value = attributes[name]
            holder = owner if base is cls else owner_of(base, point)
            if holder is None or is_descriptor(value):
                return NOT_STATE, None, owner
            if name not in compiling.stored_names and name not in holder.slow_numbers:
                return NOT_STATE, value, holder
            return STATE, value, holder
    return ABSENT, None, owner


def _look_at_module(module: Any, owner: Owner, name: str) -> tuple[int, Any, Any]:
    namespace = module_dict(module)
    value = namespace.get(name, MISSING)
    unit = compiling.unit_of(namespace)
    if unit is None or value is MISSING:
        return NOT_STATE, None, owner
    return (STATE if name in unit.rebound else NOT_STATE), value, globals_of(unit)


def peek(thing: Any, name: str) -> Any:
    """Return what *thing* holds under *name*, be it recorded or not; None if nothing."""
    kind: Any = type(thing)
    if kind is SimpleNamespace:
        return thing.__dict__.get(name)
    if kind in _WITHOUT_STATE:
        return None
    known = kind_of(kind)
    if known.how == IGNORED:
        return None
    if known.how == CLASS:
        return next((type_dict(base)[name] for base in type_mro(thing) if name in type_dict(base)), None)
    if known.how == MODULE:
        return module_dict(thing).get(name)
    for each in known.dicts:
        if name in each and type(each[name]) is not MemberDescriptorType and is_descriptor(each[name]):
            return None
    try:
        return _getattribute(thing, name)
    except AttributeError:
        return None
