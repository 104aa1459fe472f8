"""Parts of a syntax tree: where they stand, what may be evaluated twice, what comes first."""

from __future__ import annotations

import _ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOAD = _ast.Load()
_ACTIVE = (_ast.Call, _ast.Await, _ast.Yield, _ast.YieldFrom, _ast.NamedExpr)


def is_dunder(name: str) -> bool:
    """Tell whether *name* has two underscores on both ends."""
    return name.startswith("__") and name.endswith("__")


def is_bound_name(node: Any) -> bool:
    """Tell whether *node* is a name that is assigned or deleted."""
    return type(node) is _ast.Name and type(node.ctx) is not _ast.Load


def walk(node: Any) -> list[Any]:
    """Return *node* and everything in it."""
    found = [node]
    for part in found:
        for field in part._fields:
            value = getattr(part, field, None)
            if type(value) is list:
                found += [item for item in value if isinstance(item, _ast.AST)]
            elif isinstance(value, _ast.AST):
                found.append(value)
    return found


def is_quiet(node: Any) -> bool:
    """Tell whether evaluating *node* calls nothing that is written as a call."""
    return not any(isinstance(part, _ACTIVE) for part in walk(node))


def copy(node: Any, place: dict[str, Any] | None = None) -> Any:
    """Copy an expression that may be evaluated twice; return any other as it is."""
    at = place or (place_of(node) if hasattr(node, "lineno") else {})
    kind = type(node)
    if kind is _ast.Constant:
        return _ast.Constant(value=node.value, kind=node.kind, **at)
    if kind is _ast.Name:
        return _ast.Name(id=node.id, ctx=LOAD, **at)
    if kind is _ast.UnaryOp and type(node.operand) is _ast.Constant:
        return _ast.UnaryOp(op=node.op, operand=copy(node.operand, place), **at)
    if kind is _ast.Tuple:
        return _ast.Tuple(elts=[copy(element, place) for element in node.elts], ctx=LOAD, **at)
    return node


def place_of(node: Any) -> dict[str, Any]:
    """Return where *node* stands, as the arguments of a new node."""
    return {
        "lineno": node.lineno,
        "col_offset": node.col_offset,
        "end_lineno": node.end_lineno,
        "end_col_offset": node.end_col_offset,
    }


def place_of_line(node: Any) -> dict[str, Any]:
    """Return the place of the first character of *node*."""
    line, column = node.lineno, node.col_offset
    return {"lineno": line, "col_offset": column, "end_lineno": line, "end_col_offset": column + 1}


def place_of_attribute(node: Any) -> dict[str, Any]:
    """Return the place of the attribute's name in *node*, which need not be on its first line."""
    if node.lineno == node.end_lineno:
        return place_of(node)
    line, end = node.end_lineno, node.end_col_offset
    return {
        "lineno": line,
        "col_offset": max(end - len(node.attr.encode()), 0),
        "end_lineno": line,
        "end_col_offset": end,
    }


_FIRST_PARTS: dict[type, str] = {
    _ast.Attribute: "value",
    _ast.Subscript: "value",
    _ast.Starred: "value",
    _ast.Await: "value",
    _ast.YieldFrom: "value",
    _ast.FormattedValue: "value",
    _ast.NamedExpr: "value",
    _ast.Call: "func",
    _ast.BinOp: "left",
    _ast.Compare: "left",
    _ast.UnaryOp: "operand",
    _ast.IfExp: "test",
}
_FIRST_OF_LIST: dict[type, str] = {
    _ast.BoolOp: "values",
    _ast.JoinedStr: "values",
    _ast.List: "elts",
    _ast.Set: "elts",
    _ast.Tuple: "elts",
}
_FOLDED_LENGTH = {_ast.Tuple: 0, _ast.List: 3, _ast.Set: 3}
"""A display of so many constants, or more, is loaded as one: on the line it begins."""


def _is_folded(node: Any) -> bool:
    """Tell whether the compiler computes *node*."""
    kind = type(node)
    if kind is _ast.Tuple:
        return all(map(_is_folded, node.elts))
    if kind is _ast.BinOp:
        return _is_folded(node.left) and _is_folded(node.right)
    return kind is _ast.Constant or (kind is _ast.UnaryOp and _is_folded(node.operand))


def first(node: Any) -> Any:
    """Return the part of *node* that is evaluated first: what goes before it stands on its line."""
    while True:
        kind: Any = type(node)
        field = _FIRST_PARTS.get(kind)
        if field is not None and not _is_folded(node):
            node = getattr(node, field)
            continue
        if kind is _ast.Dict:
            # Keys that are constants come after the values, as one tuple.
            items = node.values if all(_is_folded(key) for key in node.keys) else node.keys
        else:
            items = getattr(node, _FIRST_OF_LIST.get(kind, ""), None)
        if not items or items[0] is None:
            return node
        folded = _FOLDED_LENGTH.get(kind)  # pyright: ignore[reportArgumentType]  any type of node may be asked for
        if folded is not None and len(items) >= folded and all(map(_is_folded, items)):
            return node
        node = items[0]
