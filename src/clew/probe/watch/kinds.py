"""What is known of a class, and looking at its objects without running its code.

A name that no class of the object defines can only be in the instance, where
``object.__getattribute__`` finds it (reading ``__dict__`` instead would make CPython build
a dict for each object, which costs memory and slows every later access); one that a class
defines is looked at as it is, and is state only if it is a slot or a plain value.
"""

from __future__ import annotations

import weakref
from _thread import _local  # the base of threading.local
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

from clew.probe.watch import selection as selections
from clew.probe.watch.summaries import name_of, type_dict, type_mro, type_qualname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IGNORED, WEAK, DYING, PLACED, CLASS, MODULE = range(6)

HEAP = 1 << 9
_IMMUTABLE = 1 << 8
_IS_TYPE = 1 << 31
FUNCTIONS = (FunctionType, classmethod, staticmethod)
_NO_VALUES = frozenset({property, GetSetDescriptorType, MethodDescriptorType, BuiltinFunctionType, type, ModuleType})
flags_of: Callable[[type], int] = type.__dict__["__flags__"].__get__
_dict_offset: Callable[[type], int] = type.__dict__["__dictoffset__"].__get__
_weak_offset: Callable[[type], int] = type.__dict__["__weakrefoffset__"].__get__
_getattribute = object.__getattribute__
_WRAPPER = object.__dict__["__setattr__"]
MISSING: Any = object()
_kinds: weakref.WeakValueDictionary[int, Kind] = weakref.WeakValueDictionary()
"""Kinds by ``id()`` of their class, as long as an owner has one: they keep the class alive."""
WITHOUT_STATE: set[type] = {int, str, bytes, list, dict, tuple, set, frozenset, float, type(None)}
"""Built-in types that have none; they live for ever."""
module_dict: Callable[[Any], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__


def _nobody(_: int) -> None:
    return


ended: Callable[[int], None] = _nobody
"""Called with the ``id()`` of an object of a class that ``class_made`` changed, when it dies."""


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
        self.names = names_of(self.mro)
        self.extent = extent_of(self.names)

    def _how(self) -> int:
        cls = self.cls
        flags = flags_of(cls)
        if flags & _IS_TYPE:
            return CLASS
        if ModuleType in self.mro:
            return MODULE
        if cls is FunctionType:
            return WEAK
        if cls is SimpleNamespace:
            return PLACED
        if not flags & HEAP or flags & _IMMUTABLE or _local in self.mro:
            # Built-in types have no state to watch, and that of a thread is nobody else's.
            return IGNORED
        if _weak_offset(cls):
            return WEAK
        return DYING if self._has_hook() else IGNORED

    def _has_hook(self) -> bool:
        return next((each["__del__"] for each in self.dicts if "__del__" in each), None) is _died


def names_of(mro: tuple[type, ...]) -> tuple[str, ...]:
    """Return the full names of the classes that Python code made, among *mro*."""
    return tuple([name_of(base) for base in mro if flags_of(base) & HEAP])


def extent_of(names: tuple[str, ...]) -> int:
    """Return how much is selected of what is known by each of *names*."""
    return max(map(selections.current.extent, names), default=selections.NONE)


def is_selected(names: list[str]) -> bool:
    """Tell whether a variable that is known by each of *names* is selected."""
    return any(selections.current.extent(name) == selections.ALL for name in names)


def kind_of(cls: type) -> Kind:
    """Return what is known of *cls*."""
    kind = _kinds.get(id(cls))
    if kind is None or kind.cls is not cls or kind.mro is not type_mro(cls):
        kind = _kinds[id(cls)] = Kind(cls)
    return kind


def is_method(value: Any, function: Any) -> bool:
    """Tell whether *value* is what the class's *function* gives."""
    kind: Any = type(function)
    if kind is not FunctionType:
        function = function.__func__
    return value is function or (type(value) is MethodType and value.__func__ is function)


def is_descriptor(value: Any) -> bool:
    """Tell whether *value*, in a class, is code and not state: a function, a property, a class."""
    kind: Any = type(value)
    if kind in _NO_VALUES or kind in FUNCTIONS or flags_of(kind) & _IS_TYPE:
        return True
    return any("__get__" in type_dict(base) for base in type_mro(kind))


def peek(thing: Any, name: str) -> Any:
    """Return what *thing* holds under *name*, be it recorded or not; None if nothing."""
    kind: Any = type(thing)
    if kind is SimpleNamespace:
        return thing.__dict__.get(name)
    if kind in WITHOUT_STATE:
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


def _died(self: object) -> None:
    try:
        ended(id(self))
    except Exception:  # the interpreter ends, and with it this module
        return


_died.__name__ = _died.__qualname__ = "__del__"


def class_made(cls: Any) -> Any:
    """Have Python tell of the death of objects of *cls*, a new class, if it must be told."""
    try:
        if (
            flags_of(type(cls)) & _IS_TYPE
            and not _weak_offset(cls)
            and _has_state(cls)
            and extent_of(names_of(type_mro(cls)))
        ):
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
