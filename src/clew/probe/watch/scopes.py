"""Which names of a module are its globals: the scopes of a syntax tree.

The compiler's own symbol table cannot be asked: it knows scopes by their order only, and
parsing twice costs more than this walk. What is decided here is small: whether a name
in some scope is a local of it, a variable of an enclosing function, or a global.

Source: Python language reference, 4.2 Naming and binding; PEP 572 (walrus in
comprehensions), PEP 695 (scopes of type parameters, which are left alone).
"""

from __future__ import annotations

import _ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULE, FUNCTION, CLASS, COMPREHENSION = range(4)
GLOBAL, LOCAL, FREE = range(3)


class Scope:
    """A block of names.

    Attributes:
        kind: MODULE, FUNCTION (also a lambda), CLASS or COMPREHENSION.
        parent: The scope it stands in.
        class_name: Name of the innermost class around it, which private names are
            mangled with.
        bound: Names it binds.
        methods: Names that ``def`` binds in it.
        shared: Its names that an inner function may rebind (``nonlocal``).
        imports: Modules by the name one ``import`` statement, and nothing else, binds.
    """

    __slots__ = ("bound", "class_name", "global_", "imports", "kind", "methods", "nonlocal_", "parent", "shared")

    def __init__(self, kind: int, parent: Scope | None, class_name: str) -> None:
        self.kind = kind
        self.parent = parent
        self.class_name = class_name
        self.bound: set[str] = set()
        self.methods: set[str] = set()
        self.shared: set[str] = set()
        self.global_: set[str] = set()
        self.nonlocal_: set[str] = set()
        self.imports: dict[str, str] = {}

    def resolve(self, name: str) -> int:
        """Return where *name*, used in this scope, lives: GLOBAL, LOCAL or FREE.

        A name that a class body does not bind is looked for outside it; one it binds
        counts as LOCAL.
        """
        scope: Scope | None = self
        while scope is not None:
            if scope is self or scope.kind != CLASS:
                if name in scope.global_ or scope.kind == MODULE:
                    return GLOBAL
                if name in scope.bound and name not in scope.nonlocal_:
                    return LOCAL if scope is self else FREE
            scope = scope.parent
        return GLOBAL

    def is_stable(self, name: str) -> bool:
        """Tell whether *name* is a local that nothing but this scope's own statements rebinds."""
        return self.kind in (FUNCTION, COMPREHENSION) and self.resolve(name) == LOCAL and name not in self.shared


def mangle(class_name: str, name: str) -> str:
    """Return *name* as the compiler spells it inside class *class_name* (private names)."""
    if not class_name or not name.startswith("__") or name.endswith("__"):
        return name
    stripped = class_name.lstrip("_")
    return f"_{stripped}{name}" if stripped else name


class Names:
    """What is found out about the names of one module.

    Args:
        tree: The module.

    Attributes:
        scopes: By ``id()`` of the node that opens it.
        module: The scope of the module.
        rebound: Globals that a function assigns, by ``global``.
        assigned: Globals that the module's own code assigns (not by def, class, import).
        stored: Attribute names that some statement stores or deletes.
    """

    def __init__(self, tree: _ast.Module) -> None:
        self.scopes: dict[int, Scope] = {}
        self.rebound: set[str] = set()
        self.assigned: set[str] = set()
        self.stored: set[str] = set()
        self.module = self._open(tree, MODULE, None, "")
        self._other: set[str] = set()
        for statement in tree.body:
            self._walk(statement, self.module)
        for scope in self.scopes.values():
            if scope.kind != MODULE:
                self.rebound.update(scope.global_ & scope.bound)
        self.assigned -= self._other
        for name in self.rebound:
            self.module.imports.pop(name, None)

    def _open(self, node: _ast.AST, kind: int, parent: Scope | None, class_name: str) -> Scope:
        scope = self.scopes[id(node)] = Scope(kind, parent, class_name)
        return scope

    def _bind(self, scope: Scope, name: str, *, is_assignment: bool = True) -> None:
        name = mangle(scope.class_name, name)
        scope.bound.add(name)
        scope.imports.pop(name, None)  # bound twice: it need not be that module
        if scope.kind == MODULE:
            (self.assigned if is_assignment else self._other).add(name)

    def _walk(self, node: Any, scope: Scope) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            self._children(node, scope)
        else:
            handler(self, node, scope)

    def _children(self, node: Any, scope: Scope) -> None:
        for field in node._fields:
            value = getattr(node, field, None)
            if type(value) is list:
                for item in value:
                    if isinstance(item, _ast.AST):
                        self._walk(item, scope)
            elif isinstance(value, _ast.AST):
                self._walk(value, scope)

    def _walk_all(self, nodes: Any, scope: Scope) -> None:
        for node in nodes:
            if node is not None:
                self._walk(node, scope)

    def _name(self, node: Any, scope: Scope) -> None:
        if type(node.ctx) is not _ast.Load:
            self._bind(scope, node.id)

    def _attribute(self, node: Any, scope: Scope) -> None:
        if type(node.ctx) is not _ast.Load:
            self.stored.add(mangle(scope.class_name, node.attr))
        self._walk(node.value, scope)

    def _walrus(self, node: Any, scope: Scope) -> None:
        # Bound in the function around the comprehension it stands in.
        target = scope
        while target.kind == COMPREHENSION and target.parent is not None:
            target = target.parent
        self._bind(target, node.target.id)
        self._walk(node.value, scope)

    def _function(self, node: Any, scope: Scope) -> None:
        if type(node) is not _ast.Lambda:
            self._bind(scope, node.name, is_assignment=False)
            scope.methods.add(node.name)
            self._walk_all(node.decorator_list, scope)
        arguments = node.args
        self._walk_all((*arguments.defaults, *arguments.kw_defaults), scope)
        inner = self._open(node, FUNCTION, scope, scope.class_name)
        self._bind_type_parameters(node, inner)
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for argument in named:
            if argument is not None:
                self._bind(inner, argument.arg)
        self._walk_all([node.body] if type(node) is _ast.Lambda else node.body, inner)

    def _class(self, node: Any, scope: Scope) -> None:
        self._bind(scope, node.name, is_assignment=False)
        self._walk_all((*node.decorator_list, *node.bases, *node.keywords), scope)
        if getattr(node, "type_params", None):
            scope = Scope(FUNCTION, scope, scope.class_name)
            self._bind_type_parameters(node, scope)
        self._walk_all(node.body, self._open(node, CLASS, scope, node.name))

    def _bind_type_parameters(self, node: Any, scope: Scope) -> None:
        for parameter in getattr(node, "type_params", ()):
            self._bind(scope, parameter.name)

    def _comprehension(self, node: Any, scope: Scope) -> None:
        inner = self._open(node, COMPREHENSION, scope, scope.class_name)
        for i, generator in enumerate(node.generators):
            self._walk(generator.iter, inner if i else scope)
            self._walk(generator.target, inner)
            self._walk_all(generator.ifs, inner)
        for field in ("elt", "key", "value"):
            part = getattr(node, field, None)
            if part is not None:
                self._walk(part, inner)

    def _import(self, node: Any, scope: Scope) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            is_new = name not in scope.bound
            self._bind(scope, name, is_assignment=False)
            if type(node) is _ast.Import and is_new:
                scope.imports[name] = alias.name if alias.asname else name

    def _declaration(self, node: Any, scope: Scope) -> None:
        names = [mangle(scope.class_name, name) for name in node.names]
        if type(node) is _ast.Global:
            scope.global_.update(names)
            return
        scope.nonlocal_.update(names)
        outer = scope.parent
        while outer is not None:
            outer.shared.update(names)
            outer = outer.parent

    def _handler(self, node: Any, scope: Scope) -> None:
        if node.name:
            self._bind(scope, node.name)
        self._children(node, scope)

    def _capture(self, node: Any, scope: Scope) -> None:
        name = node.rest if type(node) is _ast.MatchMapping else node.name
        if name:
            self._bind(scope, name)
        self._children(node, scope)

    def _type_alias(self, node: Any, scope: Scope) -> None:
        self._bind(scope, node.name.id, is_assignment=False)

    def _annotated(self, node: Any, scope: Scope) -> None:
        # The annotation is no code of the function it stands in. `x: int` alone binds too.
        self._walk(node.target, scope)
        if node.value is not None:
            self._walk(node.value, scope)


_HANDLERS: dict[type, Any] = {
    _ast.Name: Names._name,
    _ast.Attribute: Names._attribute,
    _ast.NamedExpr: Names._walrus,
    _ast.FunctionDef: Names._function,
    _ast.AsyncFunctionDef: Names._function,
    _ast.Lambda: Names._function,
    _ast.ClassDef: Names._class,
    _ast.ListComp: Names._comprehension,
    _ast.SetComp: Names._comprehension,
    _ast.DictComp: Names._comprehension,
    _ast.GeneratorExp: Names._comprehension,
    _ast.Import: Names._import,
    _ast.ImportFrom: Names._import,
    _ast.Global: Names._declaration,
    _ast.Nonlocal: Names._declaration,
    _ast.ExceptHandler: Names._handler,
    _ast.MatchAs: Names._capture,
    _ast.MatchStar: Names._capture,
    _ast.MatchMapping: Names._capture,
    _ast.AnnAssign: Names._annotated,
}
if hasattr(_ast, "TypeAlias"):
    _HANDLERS[_ast.TypeAlias] = Names._type_alias  # pyright: ignore[reportAttributeAccessIssue]  3.12 on
