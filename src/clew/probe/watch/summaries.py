"""What a variable holds, in 8 bytes: a number, a reference to a text, a type and an address.

No code of the program runs: only exact built-in types are looked into, and a few of the
standard library whose text is made by the standard library alone. Strings are redacted,
bounded, and written once each. ``format.values`` is the other end.
"""

from __future__ import annotations

import itertools
import json
import struct
import sys
import weakref

from clew.format import values
from clew.probe import journal
from clew.probe.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_TEXT = 200
"""Strings beyond this many characters are told by their length only."""
MAX_TEXTS = 100_000
"""Texts written in one recording: the drain keeps them. Further ones are told by length."""
MAX_KNOWN = 8192
"""Texts whose numbers are remembered; a forgotten one is written again."""

_WORD = (1 << 64) - 1
_LOW, _HIGH = -(1 << 63), 1 << 63
_pack_float = struct.Struct("<d").pack
_dumps = json.JSONEncoder().encode
_SIZED: dict[type, int] = {
    list: values.LIST,
    dict: values.DICT,
    tuple: values.TUPLE,
    set: values.SET,
    frozenset: values.FROZENSET,
    bytes: values.BYTES,
    bytearray: values.BYTEARRAY,
}
# Types of the standard library whose str() is all there is to say.
_TELLING = {
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("uuid", "UUID"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
}
_PLAIN, _STRING, _ENUM = range(3)

type_dict: Callable[[type], Any] = type.__dict__["__dict__"].__get__
"""Attributes of a class, without asking its metaclass."""
type_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
type_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_getattribute = object.__getattribute__

redactor = Redactor()
_texts: dict[str, int] = {}
_types: dict[int, tuple[int, int, Any]] = {}
"""By ``id()`` of a type: number of its name, how its values are told, reference to it."""
_next_text = itertools.count(1).__next__


def reset(rules: Redactor) -> None:
    """Forget every text, and redact by *rules*: a recording begins."""
    global redactor, _next_text
    redactor = rules
    _next_text = itertools.count(1).__next__
    _texts.clear()
    _types.clear()


def encode(value: Any) -> tuple[int, int]:
    """Return code and bits that stand for *value* in a slot."""
    kind: Any = type(value)
    if kind is int:
        if _LOW <= value < _HIGH:
            return values.INT, value & _WORD
        return values.TEXT, _number_of(f"<int of {value.bit_length()} bits>")
    if kind is str:
        number = _texts.get(value) or _meet(value)
        if number:
            return values.TEXT, number
        return values.STR, _sized(value)
    if value is None:
        return values.CONSTANT, values.NONE
    if kind is bool:
        return values.CONSTANT, values.TRUE if value else values.FALSE
    if kind is float:
        return values.FLOAT, int.from_bytes(_pack_float(value), "little")
    code = _SIZED.get(kind)
    if code is not None:
        return code, _sized(value)
    number, how, _ = _types.get(id(kind)) or _meet_type(kind)
    if how == _STRING:
        return encode(str(value))
    if how == _ENUM:
        name = _name_of_member(value)
        if name:
            return values.TEXT, _number_of(f"<{name_of(kind)}.{name}>")
    return values.OBJECT, number << values.ADDRESS_BITS | id(value) >> 4 & values.ADDRESS_MASK


def label(key: Any, depth: int = 0) -> str:
    """Return what stands for *key* in the name of an item; "" if that would run the program's code, or be long."""
    kind: Any = type(key)
    if kind is str:
        return redactor.text(key, 64)
    if kind is int:
        return str(key) if _LOW <= key < _HIGH else ""
    if kind is float or kind is bool or key is None:
        return str(key)
    if kind is bytes:
        return redactor.text(repr(key), 64) if len(key) <= 48 else ""
    if kind is tuple:
        if len(key) > 8 or depth > 1:
            return ""
        parts = [label(part, depth + 1) for part in key]
        return f"({', '.join(parts)})" if all(parts) else ""
    _, how, _ = _types.get(id(kind)) or _meet_type(kind)
    if how == _STRING:
        return redactor.text(str(key), 64)
    if how == _ENUM:
        name = _name_of_member(key)
        return f"{type_qualname(kind)}.{name}" if name else ""
    return ""


def name_of(kind: type) -> str:
    """Return module and qualified name of a class."""
    module = type_dict(kind).get("__module__")
    name = type_qualname(kind)
    return f"{module}.{name}" if type(module) is str and module != "builtins" else name


def _sized(value: Any) -> int:
    length = min(len(value), values.MAX_NUMBER)
    return length << values.ADDRESS_BITS | id(value) >> 4 & values.ADDRESS_MASK


def _meet(text: str) -> int:
    """Write a text that was not seen before; return its number, 0 if it is too long."""
    if len(text) > MAX_TEXT:
        return 0
    return _number_of(redactor.text(text), text)


def _number_of(shown: str, text: str = "") -> int:
    """Return the number of the text *shown*, which stands for *text*."""
    text = text or shown
    number = _texts.get(text)
    if number is None:
        number = _next_text()
        if number > MAX_TEXTS:
            return 0
        journal.write_text(number, _dumps(shown))
        if len(_texts) >= MAX_KNOWN:
            _texts.clear()
        _texts[text] = number
    return number


def _meet_type(kind: type) -> tuple[int, int, Any]:
    """Register a type that was not seen before."""
    how = _PLAIN
    module = type_dict(kind).get("__module__")
    name = type_qualname(kind)
    if (module, name) in _TELLING and getattr(sys.modules.get(module), name, None) is kind:
        how = _STRING
    elif _is_enum(kind):
        how = _ENUM
    key = id(kind)

    def gone(reference: object, key: int = key, types: dict[int, Any] = _types) -> None:
        if key in types and types[key][2] is reference:
            del types[key]

    entry = _types[key] = (_number_of(name_of(kind)), how, weakref.ref(kind, gone))
    return entry


def _is_enum(kind: type) -> bool:
    """Tell whether *kind* is an enumeration that compares as enumerations do."""
    enum = sys.modules.get("enum")
    if enum is None or type(kind) is not enum.EnumMeta:
        return False
    for base in type_mro(kind):
        if base.__module__ == "enum":
            return True
        if "__eq__" in type_dict(base) or "__hash__" in type_dict(base):
            return False
    return False


def _name_of_member(member: Any) -> str:
    try:
        name = _getattribute(member, "_name_")
    except AttributeError:
        return ""
    return name if type(name) is str else ""
