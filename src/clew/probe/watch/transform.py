"""The syntax tree of a watched module, with a note beside every access to state.

A note is a call of a function of ``notes``. It stands where it changes nothing: around
the object before a read (``read(self).balance``: the read itself is the program's own
instruction), or as a statement after a write that succeeded (``self.balance = 1``, then
``wrote(self)``). Only where neither can be done without evaluating something twice, a
stand-in takes the place of the object for one operation (``items(d)[key()]``).

Nothing is evaluated twice but names, constants and, by looking without running code,
chains of attributes. Nothing is evaluated in another order. New nodes have the place of
the node they belong to, so that tracebacks, coverage and stepping see the same lines
and columns. Left alone: annotations (they may be kept as text), class headers, patterns
of ``match``, ``super()``, names with two underscores on both ends.

A note is told where it stands by a point. Functions and points are texts in the tree
which no source can contain; ``compiling`` puts the objects into the compiled code in
their place, so that no name is added to the program.
"""

from __future__ import annotations

import _ast

from clew.probe.watch.nodes import Nodes
from clew.probe.watch.scopes import CLASS, COMPREHENSION, FUNCTION, GLOBAL, MODULE, Scope
from clew.probe.watch.syntax import (
    copy,
    is_dunder,
    is_quiet,
    place_of,
    place_of_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DICT_METHODS = frozenset({"get", "pop", "setdefault", "update", "clear", "popitem"})
_LITERALS = (_ast.Constant, _ast.JoinedStr, _ast.List, _ast.Tuple, _ast.Set, _ast.Dict, _ast.Lambda)
_NO_DICTS = (*_LITERALS, _ast.ListComp, _ast.SetComp, _ast.DictComp, _ast.GeneratorExp, _ast.Compare)
_NO_CONTAINERS = (_ast.Constant, _ast.JoinedStr, _ast.Lambda, _ast.Compare, _ast.ListComp, _ast.GeneratorExp)
_GENERIC_TYPES = frozenset({"list", "dict", "tuple", "set", "frozenset", "type"})


class Transformer(Nodes):
    """Puts notes into one module."""

    _receiver: tuple[str, frozenset[str]] = ("", frozenset())
    _in_loop = False

    def module(self, tree: _ast.Module) -> None:
        """Put notes into *tree*, in place."""
        tree.body = self._body(tree.body)

    # -- walking

    def _body(self, statements: list[Any]) -> list[Any]:
        result: list[Any] = []
        for statement in statements:
            handler = _STATEMENTS.get(type(statement))
            if handler is None:
                self._parts(statement)
                result.append(statement)
            else:
                result += handler(self, statement)
        return result

    def _parts(self, node: Any) -> None:
        """Visit what *node* is made of."""
        for field in node._fields:
            value = getattr(node, field, None)
            if type(value) is list:
                if value and isinstance(value[0], _ast.stmt):
                    setattr(node, field, self._body(value))
                else:
                    value[:] = [self._any(item) for item in value]
            elif isinstance(value, _ast.AST):
                setattr(node, field, self._any(value))

    def _any(self, node: Any) -> Any:
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        if isinstance(node, _ast.AST):
            self._parts(node)
        return node

    def _all(self, nodes: list[Any]) -> list[Any]:
        return [self._any(node) for node in nodes]

    def _enter(self, node: Any, name: str, visit: Callable[[Any], Any], part: Any) -> Any:
        """Visit *part* in the scope that *node* opens; return what *visit* returns."""
        outer = (self._scope, self._function, self._in_loop)
        if name and self._function != "<module>":
            name = f"{self._function}{'' if self._scope.kind == CLASS else '.<locals>'}.{name}"
        self._function = name or self._function
        self._scope = self._names.scopes[id(node)]
        self._in_loop = False
        result = visit(part)
        self._scope, self._function, self._in_loop = outer
        return result

    # -- statements

    def _define_function(self, node: Any) -> list[Any]:
        node.decorator_list = self._all(node.decorator_list)
        self._arguments(node.args)
        parameters = [*node.args.posonlyargs, *node.args.args]
        outer, self._receiver = self._receiver, ("", frozenset())
        if self._scope.kind == CLASS and parameters:
            # What its class defines by `def`, and nobody assigns, are methods.
            self._receiver = (parameters[0].arg, frozenset(self._scope.methods - self._names.stored))
        node.body = self._enter(node, node.name, self._body, node.body)
        self._receiver = outer
        return [node, *self._after_global(node, node.name)]

    def _define_class(self, node: Any) -> list[Any]:
        decorators = self._all(node.decorator_list)
        # The outermost decorator sees the class as the program will.
        at = place_of_line(decorators[0] if decorators else node)
        node.decorator_list = [_ast.Constant(value=self._token + "class_made", **at), *decorators]
        node.body = self._enter(node, node.name, self._body, node.body)
        return [node, *self._after_global(node, node.name)]

    def _arguments(self, arguments: Any) -> None:
        arguments.defaults = self._all(arguments.defaults)
        arguments.kw_defaults = self._all(arguments.kw_defaults)

    def _assign(self, node: Any) -> list[Any]:
        bound = self._bound_in(node)
        node.value = self._any(node.value)
        if len(node.targets) == 1 and type(node.targets[0]) is _ast.Name:
            node.value = self._global_value(node.targets[0], node.value)
            return [node]
        after: list[Any] = []
        node.targets = [self._store(target, after, bound) for target in node.targets]
        return [node, *after]

    def _assign_annotated(self, node: Any) -> list[Any]:
        if node.value is None:
            return [node]
        bound = self._bound_in(node)
        node.value = self._any(node.value)
        if type(node.target) is _ast.Name:
            node.value = self._global_value(node.target, node.value)
            return [node]
        after: list[Any] = []
        node.target = self._store(node.target, after, bound)
        return [node, *after]

    def _assign_augmented(self, node: Any) -> list[Any]:
        bound = self._bound_in(node)
        target = node.target
        before: list[Any] = []
        after: list[Any] = []
        # Between the read and the write, the value is evaluated, which may take long.
        quiet = is_quiet(node.value)
        if type(target) is _ast.Name:
            if self._is_recorded(target.id):
                before = [self._statement("global_read", target.id, target, [copy(target)])]
                after = self._after_global(target, target.id)
        else:
            base, path = self._path(target.value, bound)
            is_fixed = bool(base) and (quiet or (not path and self._scope.is_stable(base)))
            if type(target) is _ast.Attribute:
                self._augment_attribute(target, after, base if is_fixed else "", path)
            elif is_fixed and self._is_pure(target.slice, bound, target.value, stable=not quiet):
                key = target.slice
                after = [self._after_item("item_wrote", base, path, target)]
                target.value = self._item_note("item_read", target.value, target.lineno, key)
                target.slice = self._any(key)
            else:
                self._store(target, after, None)
        node.value = self._any(node.value)
        return [*before, node, *after]

    def _augment_attribute(self, target: Any, after: list[Any], base: str, path: tuple[str, ...]) -> None:
        target.value = self._any(target.value)
        if is_dunder(target.attr):
            return
        if base:
            after.append(self._after_attribute("wrote", base, path, target))
        target.value = self._attribute_note("read" if base else "target", target)

    def _delete(self, node: Any) -> list[Any]:
        bound = self._bound_in(node)
        after: list[Any] = []
        node.targets = [self._store(target, after, bound, "deleted") for target in node.targets]
        return [node, *after]

    def _loop(self, node: Any) -> list[Any]:
        node.iter = self._any(node.iter)
        after: list[Any] = []
        node.target = self._store(node.target, after, None)
        outer, self._in_loop = self._in_loop, True
        node.body = [*after, *self._body(node.body)]
        self._in_loop = outer
        node.orelse = self._body(node.orelse)
        return [node]

    def _while(self, node: Any) -> list[Any]:
        outer, self._in_loop = self._in_loop, True
        self._parts(node)
        self._in_loop = outer
        return [node]

    def _with(self, node: Any) -> list[Any]:
        after: list[Any] = []
        for item in node.items:
            item.context_expr = self._any(item.context_expr)
            if item.optional_vars is not None:
                item.optional_vars = self._store(item.optional_vars, after, None)
        node.body = [*after, *self._body(node.body)]
        return [node]

    def _import(self, node: Any) -> list[Any]:
        after: list[Any] = []
        for alias in node.names:
            after += self._after_global(node, alias.asname or alias.name.partition(".")[0])
        return [node, *after]

    def _handler(self, node: Any) -> Any:
        if node.type is not None:
            node.type = self._any(node.type)
        node.body = self._body(node.body)
        if node.name:
            node.body = [*self._after_global(node, node.name), *node.body]
        return node

    def _case(self, node: Any) -> Any:
        if node.guard is not None:
            node.guard = self._any(node.guard)
        node.body = self._body(node.body)
        return node

    def _leave(self, node: Any) -> list[Any]:
        return [node]

    # -- what is written to

    def _store(self, target: Any, after: list[Any], bound: set[str] | None, verb: str = "wrote") -> Any:
        """Note a write.

        Args:
            target: What is assigned or deleted.
            after: Statements to be run once it was; notes are added to it.
            bound: Names the statement binds or deletes itself. None if what follows
                does not follow at once (the body of a loop): then stand-ins are used.
            verb: ``wrote`` or ``deleted``.
        """
        kind = type(target)
        if kind is _ast.Name:
            after += self._after_global(target, target.id, verb)
        elif kind is _ast.Starred:
            target.value = self._store(target.value, after, bound, verb)
        elif kind is _ast.Tuple or kind is _ast.List:
            target.elts = [self._store(element, after, bound, verb) for element in target.elts]
        elif kind is _ast.Attribute:
            base, path = self._path(target.value, bound)
            target.value = self._any(target.value)
            if is_dunder(target.attr):
                return target
            if base:
                after.append(self._after_attribute(verb, base, path, target))
            else:
                target.value = self._attribute_note("target", target)
        elif type(target.slice) is _ast.Slice:
            self._parts(target)
        else:
            base, path = self._path(target.value, bound)
            if base and self._is_pure(target.slice, bound or set()):  # noted after it was evaluated
                after.append(self._after_item(f"item_{verb}", base, path, target))
                target.value = self._any(target.value)
            else:
                target.value = self._item_note("items", target.value, target.lineno)
            target.slice = self._any(target.slice)
        return target

    # -- globals

    def _global_value(self, target: Any, value: Any) -> Any:
        """Note the *value* that a statement assigns to the name *target* alone."""
        note = ""
        if self._is_recorded(target.id):
            note = "global_write"
        elif self._scope.kind == MODULE and not self._in_loop and not isinstance(value, _NO_CONTAINERS):
            note = "hold"
        if not note or is_dunder(target.id):
            return value
        point = self._point(target, self._mangle(target.id))
        return self._call_of(note, [value, point], value)

    # -- expressions

    def _name(self, node: Any) -> Any:
        name = self._mangle(node.id)
        # What nobody is seen to rebind may still be, from another module.
        is_candidate = name in self._names.rebound or (name in self._names.assigned and self._is_in_function())
        if not is_candidate or type(node.ctx) is not _ast.Load or is_dunder(name):
            return node
        if self._scope.kind == CLASS or self._scope.resolve(name) != GLOBAL:
            return node
        return self._call_of("global_read", [node, self._point(node, name)], node)

    def _is_in_function(self) -> bool:
        scope: Scope | None = self._scope
        while scope is not None and scope.kind != FUNCTION:
            scope = scope.parent
        return scope is not None

    def _attribute(self, node: Any) -> Any:
        is_noted = self._is_noted(node)
        node.value = self._any(node.value)
        if is_noted:
            node.value = self._attribute_note("read", node)
        return node

    def _is_noted(self, node: Any) -> bool:
        """Tell whether the attribute *node* may be state: not of a literal, a module, or super()."""
        value = node.value
        if is_dunder(node.attr) or isinstance(value, _LITERALS):
            return False
        if type(value) is _ast.Name:
            module = self._names.module.imports.get(value.id)
            return module is None or self._scope.resolve(value.id) != GLOBAL or self._is_watched(module)
        return not (type(value) is _ast.Call and type(value.func) is _ast.Name and value.func.id == "super")

    def _call(self, node: Any) -> Any:
        function = node.func
        if type(function) is not _ast.Attribute:
            node.func = self._any(function)
        else:
            name, methods = self._receiver
            value = function.value
            is_own = type(value) is _ast.Name and value.id == name and function.attr in methods
            if not is_own and function.attr in DICT_METHODS and self._is_noted(function):
                function.value = self._item_note("method", value, function.end_lineno or 0, name=function.attr)
            elif not is_own:
                self._attribute(function)
        node.args = self._all(node.args)
        for keyword in node.keywords:
            keyword.value = self._any(keyword.value)
        return node

    def _subscript(self, node: Any) -> Any:
        value, key = node.value, node.slice
        is_type = type(value) is _ast.Name and value.id in _GENERIC_TYPES
        if type(key) is _ast.Slice or is_type or isinstance(value, _NO_DICTS):
            self._parts(node)
        elif self._is_pure(key, set(), value):
            node.value = self._item_note("item_read", value, node.lineno, key)
            node.slice = self._any(key)
        else:
            node.value = self._item_note("items", value, node.lineno)
            node.slice = self._any(key)
        return node

    def _compare(self, node: Any) -> Any:
        key = node.left
        node.left = self._any(copy(key))
        for i, (operator, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
            original = copy(right)
            if type(operator) not in (_ast.In, _ast.NotIn) or isinstance(right, _NO_DICTS):
                node.comparators[i] = self._any(right)
            elif self._is_pure(key, set(), right, stable=not self._path(right, set())[0]):
                # The key is evaluated before the container: it must still be the same after.
                node.comparators[i] = self._item_note("item_read", right, right.end_lineno, key)
            elif i == len(node.ops) - 1:
                node.comparators[i] = self._item_note("items", right, right.end_lineno)
            else:  # compared on: a stand-in would be seen
                node.comparators[i] = self._any(right)
            key = original
        return node

    def _walrus(self, node: Any) -> Any:
        node.value = self._any(node.value)
        inner = self._scope
        while self._scope.kind == COMPREHENSION and self._scope.parent is not None:
            self._scope = self._scope.parent
        if self._is_recorded(node.target.id):
            point = self._point(node, self._mangle(node.target.id))
            node.value = self._call_of("global_write", [node.value, point], node.value)
        self._scope = inner
        return node

    def _lambda(self, node: Any) -> Any:
        self._arguments(node.args)
        outer, self._receiver = self._receiver, ("", frozenset())
        node.body = self._enter(node, "<lambda>", self._any, node.body)
        self._receiver = outer
        return node

    def _comprehension(self, node: Any) -> Any:
        # The first iterable is evaluated outside.
        node.generators[0].iter = self._any(node.generators[0].iter)
        return self._enter(node, "", self._inside_comprehension, node)

    def _inside_comprehension(self, node: Any) -> Any:
        for i, generator in enumerate(node.generators):
            if i:
                generator.iter = self._any(generator.iter)
            generator.target = self._store(generator.target, [], None)
            generator.ifs = self._all(generator.ifs)
        for field in ("elt", "key", "value"):
            if hasattr(node, field):
                setattr(node, field, self._any(getattr(node, field)))
        return node

    # -- a note of an item

    def _item_note(self, note: str, container: Any, line: int, key: Any = None, *, name: str = "") -> Any:
        """Return a call of *note* around *container*.

        Where the container is an attribute of a name, the object of that name goes
        with it: so the note knows at once which variable the container is.
        """
        known, path, owner = "", (), None
        if type(container) is _ast.Name:
            known = self._global_name(container.id)
        elif type(container) is _ast.Attribute and type(container.value) is _ast.Name and self._scope.kind != CLASS:
            path = (self._mangle(container.attr),)
            owner = copy(container.value, place_of(container))
        if key is not None:
            key = copy(key, place_of(container) if type(key) is _ast.Constant else None)
        container = self._any(container)
        point = self._point(container, self._mangle(name), line, container=known, path=path)
        arguments = [container, point] if key is None else [container, key, point]
        return self._call_of(note, arguments if owner is None else [*arguments, owner], container)


_STATEMENTS: dict[type, Any] = {
    _ast.FunctionDef: Transformer._define_function,
    _ast.AsyncFunctionDef: Transformer._define_function,
    _ast.ClassDef: Transformer._define_class,
    _ast.Assign: Transformer._assign,
    _ast.AnnAssign: Transformer._assign_annotated,
    _ast.AugAssign: Transformer._assign_augmented,
    _ast.Delete: Transformer._delete,
    _ast.For: Transformer._loop,
    _ast.AsyncFor: Transformer._loop,
    _ast.While: Transformer._while,
    _ast.With: Transformer._with,
    _ast.AsyncWith: Transformer._with,
    _ast.Import: Transformer._import,
    _ast.ImportFrom: Transformer._import,
}
if hasattr(_ast, "TypeAlias"):
    _STATEMENTS[_ast.TypeAlias] = Transformer._leave  # pyright: ignore[reportAttributeAccessIssue]  3.12 on
_EXPRESSIONS: dict[type, Any] = {
    _ast.Name: Transformer._name,
    _ast.Attribute: Transformer._attribute,
    _ast.Call: Transformer._call,
    _ast.Subscript: Transformer._subscript,
    _ast.Compare: Transformer._compare,
    _ast.NamedExpr: Transformer._walrus,
    _ast.Lambda: Transformer._lambda,
    _ast.ListComp: Transformer._comprehension,
    _ast.SetComp: Transformer._comprehension,
    _ast.DictComp: Transformer._comprehension,
    _ast.GeneratorExp: Transformer._comprehension,
    _ast.ExceptHandler: Transformer._handler,
    _ast.match_case: Transformer._case,
}
