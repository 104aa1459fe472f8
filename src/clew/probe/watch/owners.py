"""Which object a variable belongs to: identity that no reused address can confuse.

An object that can be referred to weakly is forgotten by the reference's callback, before
its memory is used again. Objects of a class with ``__slots__`` and without ``__weakref__``
cannot: such a class, if it is defined in a watched module, gets a ``__del__`` as soon as it
is made, which Python calls at the same point. (Later would be too late: somebody may be
iterating over the class.) One that has a ``__del__`` of its own is left out, as are such
classes of other modules. What can neither be referred to nor tell of its death (dicts)
is known by the places that hold it, see ``places``.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from types import FunctionType, MemberDescriptorType, ModuleType

from clew.model.kinds import EntityKind
from clew.probe.definitions import define_entity
from clew.probe.watch import compiling, kinds
from clew.probe.watch import selection as selections
from clew.probe.watch.kinds import (
    CLASS,
    DYING,
    FUNCTIONS,
    HEAP,
    IGNORED,
    MISSING,
    MODULE,
    PLACED,
    WEAK,
    WITHOUT_STATE,
    Kind,
    extent_of,
    flags_of,
    is_descriptor,
    is_method,
    is_selected,
    kind_of,
    module_dict,
    names_of,
    peek,
)
from clew.probe.watch.summaries import name_of, type_dict, type_mro, type_qualname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.watch.compiling import Point
    from clew.probe.watch.places import Held

MAX_VARIABLES = 100_000
"""Most variables told apart at one time; accesses to further ones are counted."""

NOT_STATE, METHOD, ABSENT, STATE = range(4)
_getattribute = object.__getattribute__

live = 0
left_out = 0
"""Accesses that were not recorded: to variables beyond the bound, or that cannot be told apart."""
owners: dict[int, Owner] = {}
"""Owners by ``id()`` of their object."""
_next_object = itertools.count(1).__next__


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
        self.extent = kind.extent if names is kind.names else extent_of(names)
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


def _died(key: int) -> None:
    owner = owners.pop(key, None)
    if owner is not None:
        forget(owner)


kinds.ended = _died


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
    if cls in WITHOUT_STATE or (id(cls) in _unwanted and not point.unit.is_whole):
        return None
    kind = kind_of(cls)
    if owner is not None:
        owner.cls, owner.kind, owner.dicts, owner.methods = cls, kind, kind.dicts, kind.methods  # it changed its class
        return owner
    how = kind.how
    if how == IGNORED or how == PLACED:
        if not flags_of(cls) & HEAP:
            WITHOUT_STATE.add(cls)
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


def _leave_alone(cls: type) -> None:
    """Remember, as long as *cls* lives, that its objects are not selected by their names."""
    key = id(cls)

    def gone(_: object, key: int = key, unwanted: dict[int, Any] = _unwanted) -> None:
        unwanted.pop(key, None)

    _unwanted[key] = weakref.ref(cls, gone)


_unwanted: dict[int, Any] = {}


def _label(thing: Any, kind: Kind) -> tuple[str, str, tuple[str, ...]]:
    """Return what the names of *thing*'s variables begin with, its type, and its full names."""
    if kind.how == CLASS:
        return type_qualname(thing).rpartition("<locals>.")[2], name_of(thing), names_of(type_mro(thing))
    if kind.cls is FunctionType:
        module, name = thing.__module__, thing.__qualname__
        full = f"{module}.{name}" if type(module) is str else name
        return name.rpartition("<locals>.")[2], kind.type_name, (full,)
    return kind.label, kind.type_name, kind.names


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
