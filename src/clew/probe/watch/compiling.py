"""From the source of a watched module to code that notes its accesses to state.

The module's own code comes from its own loader, with its pyc files, warnings and
errors; only then is the source parsed a second time and compiled with notes. That code
is never stored: what stands in ``__pycache__`` is the program's.
"""

from __future__ import annotations

import sys
import weakref
from random import getrandbits
from types import CodeType

from clew.probe import sites
from clew.probe.watch import selection as selections
from clew.probe.watch.scopes import Names
from clew.probe.watch.transform import Transformer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from clew.probe.watch.selection import Selection

_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST; importing ast costs 6 ms
_QUIET_NAME = "<clew watch>"
_NEVER = selections.ALL + 1


class Unit:
    """A watched module.

    Attributes:
        name: Its name.
        label: Its name for people: that of the script, where it is ``__main__``.
        file: File name of its code.
        is_whole: Whether all that its code reads and writes is recorded; otherwise only
            variables that are selected by their own names.
        points: The places in it where state is accessed.
        rebound: Globals that are assigned after the module was imported, as far as known.
        assigned: Globals its own code assigns.
        owner: Its globals as variables (``owners.Globals``), once one is met.
    """

    __slots__ = ("__weakref__", "assigned", "file", "is_whole", "label", "name", "owner", "points", "rebound")

    def __init__(self, name: str, file: str, *, label: str = "", is_whole: bool = True) -> None:
        self.name = name
        self.label = label or name
        self.file = file
        self.is_whole = is_whole
        self.points: list[Point] = []
        self.rebound: set[str] = set()
        self.assigned: set[str] = set()
        self.owner: Any = None


class Point:
    """A place in the source where state is accessed.

    Attributes:
        unit: The module it stands in.
        name: The attribute or global.
        container: The global by which a container is known, or "".
        path: Attributes from the object a note is given to the one it is about.
        line: In the file.
        function: Qualified name of the function around it.
        site: Number of its site in this recording, 0 if it has none yet.
        secret: Whether the name says that the value must not be kept.
        demand: What extent an owner must have for the quick way.
    """

    __slots__ = ("container", "demand", "function", "line", "name", "path", "secret", "site", "unit")

    def __init__(
        self, unit: Unit, name: str, container: str, path: tuple[str, ...], line: int, function: str, *, secret: int
    ) -> None:
        self.unit = unit
        self.name = name
        self.container = container
        self.path = path
        self.line = line
        self.function = function
        self.secret = secret
        self.demand = _NEVER if secret else selections.NONE if unit.is_whole else selections.ALL
        self.site = 0

    def meet(self) -> int:
        """Give its site a number in this recording; return it."""
        self.site = sites.define_site(self.unit.file, self.line, self.function)
        return self.site

    def __reduce__(self) -> Any:
        # A function that is pickled by value, with its constants, notes nothing elsewhere.
        return (_unpickled, (self.name, self.container, self.path, self.line, self.function))


def _unpickled(name: str, container: str, path: tuple[str, ...], line: int, function: str) -> Point:
    return Point(Unit("", ""), name, container, path, line, function, secret=0)


units: weakref.WeakSet[Unit] = weakref.WeakSet()
"""Every unit whose code is still referred to."""
by_name: weakref.WeakValueDictionary[str, Unit] = weakref.WeakValueDictionary()
stored_names: set[str] = set()
"""Attribute names that any watched module stores."""


def unit_of(namespace: dict[str, Any]) -> Unit | None:
    """Return the watched module whose globals *namespace* is, or None."""
    unit = by_name.get(namespace.get("__name__", ""))
    return unit if unit is not None and namespace.get("__file__") == unit.file else None


def compile_unit(
    source: Any, file: str, name: str, notes: Mapping[str, Any], selection: Selection
) -> tuple[CodeType, Unit]:
    """Compile the source of a module with notes.

    Args:
        source: Bytes or text, which is known to compile.
        file: Becomes the file name of the code.
        name: Name of the module.
        notes: Functions by the name ``Transformer`` calls them.
        selection: Tells what is watched, and which names say that a value is secret.

    Raises:
        Exception: Anything ``compile`` may raise.
    """
    label = selection.main if name == selections.MAIN else name
    unit = Unit(name, file, label=label, is_whole=selection.extent(name) == selections.ALL)
    is_secret = selection.redactor.is_secret
    token = f"\0clew {getrandbits(64):x} "
    constants: dict[str, Any] = {token + note: function for note, function in notes.items()}

    def point(variable: str, container: str, path: tuple[str, ...], line: int, function: str) -> str:
        text = f"{token}{len(constants)}"
        secret = variable != "" and is_secret(variable)
        new = Point(unit, variable, container, path, line, function, secret=secret)
        unit.points.append(new)
        constants[text] = new
        return text

    with _Unheard():
        tree: Any = compile(source, _QUIET_NAME, "exec", _ONLY_AST, dont_inherit=True)
        names = Names(tree)
        Transformer(names, token, point, selection.is_watched).module(tree)
        code = compile(tree, _QUIET_NAME, "exec", dont_inherit=True)
    stored_names.update(names.stored)
    unit.assigned = names.assigned
    # A name that any module stores as an attribute is taken to be rebound from there.
    unit.rebound = names.rebound | (names.assigned & stored_names)
    for other in units:
        other.rebound |= other.assigned & names.stored
    before = by_name.get(name)
    if before is not None and before.file == file:
        unit.owner = before.owner  # loaded anew: the same variables
    units.add(unit)
    by_name[name] = unit
    return _fill(code, constants, file), unit


def _fill(code: CodeType, constants: dict[str, Any], file: str) -> CodeType:
    """Put objects in the place of the texts that stand for them, throughout *code*."""
    filled: list[Any] = []
    for constant in code.co_consts:
        if type(constant) is CodeType:
            filled.append(_fill(constant, constants, file))
        elif type(constant) is str:
            filled.append(constants.get(constant, constant))
        else:
            filled.append(constant)
    return code.replace(co_consts=tuple(filled), co_filename=file)


class _Unheard:
    """Ignores the compiler's warnings about ``_QUIET_NAME``: the program's loader gave them.

    The filter is put into the list in place, and matches this one name, so that other
    threads hear theirs. ``warnings.catch_warnings`` would make every warning that was
    given once be given again.
    """

    def __enter__(self) -> None:
        warnings: Any = sys.modules.get("warnings") or sys.modules["_warnings"]
        self._filters = warnings.filters
        # Compared as text: a plain string matches itself only (CPython's own use).
        self._filter = ("ignore", None, Warning, _QUIET_NAME, 0)
        self._filters.insert(0, self._filter)

    def __exit__(self, *_: object) -> None:
        for i, item in enumerate(self._filters):
            if item is self._filter:
                del self._filters[i]
                return
