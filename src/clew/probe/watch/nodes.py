"""The nodes of notes, and what can be found again to be given to them."""

from __future__ import annotations

import _ast

from clew.probe.watch.scopes import CLASS, COMPREHENSION, GLOBAL, Names, mangle
from clew.probe.watch.syntax import (
    LOAD,
    copy,
    first,
    is_bound_name,
    place_of,
    place_of_attribute,
    place_of_line,
    walk,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MAX_PATH = 3
"""Longest chain of attributes that is followed to an object that was written to."""


class Nodes:
    """Makes notes for the scope at hand.

    Args:
        names: What is known of its names.
        token: The text that the texts standing for functions begin with.
        point: Called with (name, container, path, line, function); returns the text
            that stands for the point. *name* is the attribute or global. *container*
            is the global by which a container is known, *path* the attributes from
            the object a note is given to the one it is about.
        is_watched: Tells whether the module of this name is watched.
    """

    def __init__(
        self,
        names: Names,
        token: str,
        point: Callable[[str, str, tuple[str, ...], int, str], str],
        is_watched: Callable[[str], bool],
    ) -> None:
        self._names = names
        self._token = token
        self._new_point = point
        self._is_watched = is_watched
        self._scope = names.module
        self._function = "<module>"

    # -- names

    def _mangle(self, name: str) -> str:
        return mangle(self._scope.class_name, name)

    def _bound_in(self, node: Any) -> set[str]:
        return {self._mangle(part.id) for part in walk(node) if is_bound_name(part)}

    def _is_recorded(self, name: str) -> bool:
        """Tell whether *name*, in the scope at hand, is a global whose writes are recorded."""
        if self._mangle(name) not in self._names.rebound or self._scope.kind == CLASS:
            return False
        return self._scope.resolve(self._mangle(name)) == GLOBAL

    def _path(self, node: Any, bound: set[str] | None) -> tuple[str, tuple[str, ...]]:
        """Return the name and the attributes by which *node* can be found again.

        The name is empty if it cannot, for a statement that binds the names *bound*.
        """
        path: list[str] = []
        while type(node) is _ast.Attribute:
            path.append(self._mangle(node.attr))
            node = node.value
        # The names of a class body may live in a mapping of the program's.
        if bound is None or type(node) is not _ast.Name or self._scope.kind in (CLASS, COMPREHENSION):
            return "", ()
        if len(path) > MAX_PATH or self._mangle(node.id) in bound:
            return "", ()
        return node.id, tuple(reversed(path))

    def _is_pure(self, key: Any, bound: set[str], container: Any = None, *, stable: bool = False) -> bool:
        """Tell whether *key* may be evaluated twice.

        Args:
            key: An expression.
            bound: Names the statement binds.
            container: If given, the key is evaluated with it: it must stand on its line.
            stable: Names in it must be such that nothing else rebinds them.
        """
        kind = type(key)
        if kind is _ast.Constant:
            return True
        if container is not None and not key.lineno == key.end_lineno == container.lineno:
            return False
        if kind is _ast.Name:
            if self._scope.kind == CLASS or self._mangle(key.id) in bound:
                return False
            return not stable or self._scope.is_stable(key.id)
        if kind is _ast.UnaryOp:
            return type(key.operand) is _ast.Constant
        return kind is _ast.Tuple and all(self._is_pure(part, bound, stable=stable) for part in key.elts)

    # -- new nodes

    def _point(
        self,
        at: Any,
        name: str,
        line: int = 0,
        *,
        container: str = "",
        path: tuple[str, ...] = (),
        place: dict[str, Any] | None = None,
    ) -> Any:
        text = self._new_point(name, container, path, line or at.lineno, self._function)
        return _ast.Constant(value=text, **(place or place_of(at)))

    def _call_of(self, note: str, arguments: Sequence[Any], at: Any, place: dict[str, Any] | None = None) -> Any:
        """Return a call of *note* that stands where *at* stands."""
        function = _ast.Constant(value=self._token + note, **(place or place_of(first(at))))
        return _ast.Call(func=function, args=[*arguments], keywords=[], **(place or place_of(at)))

    def _statement(self, note: str, name: str, node: Any, arguments: Sequence[Any] = ()) -> Any:
        at = place_of_line(node)
        point = self._point(node, self._mangle(name), place=at)
        return _ast.Expr(value=self._call_of(note, [*arguments, point], node, at), **at)

    def _after_global(self, node: Any, name: str, verb: str = "wrote") -> list[Any]:
        return [self._statement(f"global_{verb}", name, node)] if self._is_recorded(name) else []

    def _attribute_note(self, note: str, node: Any) -> Any:
        """Return a call of *note* around the object of the attribute *node*."""
        value = node.value
        point = self._point(value, self._mangle(node.attr), node.end_lineno)
        return self._call_of(note, [value, point], value)

    def _after_attribute(self, note: str, base: str, path: tuple[str, ...], target: Any) -> Any:
        """Return the statement that notes a write of an attribute after it was done."""
        place = place_of_attribute(target)
        point = self._point(target, self._mangle(target.attr), place["lineno"], path=path, place=place)
        name = _ast.Name(id=base, ctx=LOAD, **place)
        return _ast.Expr(value=self._call_of(note, [name, point], target, place), **place)

    def _after_item(self, note: str, base: str, path: tuple[str, ...], target: Any) -> Any:
        """Return the statement that notes a write of an item after it was done."""
        place = place_of_line(target)
        container = "" if path else self._global_name(base)
        point = self._point(target, "", container=container, path=path, place=place)
        name = _ast.Name(id=base, ctx=LOAD, **place)
        return _ast.Expr(value=self._call_of(note, [name, copy(target.slice, place), point], target, place), **place)

    def _global_name(self, name: str) -> str:
        name = self._mangle(name)
        return name if self._scope.resolve(name) == GLOBAL and self._scope.kind != CLASS else ""
