"""Which modules are watched, and how their code is replaced by code with notes.

A finder stands first on ``sys.meta_path``. It lets the others find a module, and where
the module is a watched one, its own loader gives other code once: loader, spec, module
and pyc files stay the program's. ``python -m`` asks the same loader.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from contextlib import suppress

from clew.probe import sites
from clew.probe.patching import report
from clew.probe.watch import attributes, compiling, items, owners, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from clew.probe.redact import Redactor

NOTES: dict[str, Any] = {
    "read": attributes.read,
    "wrote": attributes.wrote,
    "deleted": attributes.deleted,
    "target": attributes.target,
    "item_read": items.item_read,
    "item_wrote": items.item_wrote,
    "item_deleted": items.item_deleted,
    "items": items.items,
    "method": items.method,
    "global_read": variables.global_read,
    "global_write": variables.global_write,
    "global_wrote": variables.global_wrote,
    "global_deleted": variables.global_deleted,
    "hold": variables.keep,
    "class_made": owners.class_made,
}
"""Functions by the name ``transform`` calls them."""


class Selection:
    """The modules to be watched.

    Args:
        prefixes: Names of modules and packages; ``__main__`` is what the process runs.
        redactor: Tells which names say that a value is secret.

    Attributes:
        watched: Modules that are watched, by prefix.
        refused: Why a module that was asked for is not watched, by its name.
    """

    def __init__(self, prefixes: Sequence[str], redactor: Redactor) -> None:
        self.prefixes = tuple(prefixes)
        self.redactor = redactor
        self.watched: dict[str, list[str]] = {prefix: [] for prefix in prefixes}
        self.refused: dict[str, str] = {}

    def prefix_of(self, name: str) -> str:
        """Return the prefix that asks for module *name*, or ""."""
        for prefix in self.prefixes:
            if name == prefix or name.startswith(prefix + "."):
                return prefix
        return ""

    def is_watched(self, name: str) -> bool:
        """Tell whether accesses to the globals of module *name* may be state."""
        return self.prefix_of(name) != ""

    def prefix_of_script(self, path: str) -> str:
        """Return the prefix that asks for the script at *path*, or ""."""
        stem = os.path.basename(path).removesuffix(".py")
        return next((prefix for prefix in self.prefixes if prefix in ("__main__", stem)), "")

    def compile(self, source: Any, file: str, name: str, prefix: str) -> CodeType | None:
        """Return the code of module *name* with notes, None if it cannot be made."""
        try:
            code, _ = compiling.compile_unit(
                source, file, name, NOTES, is_watched=self.is_watched, is_secret=self.redactor.is_secret
            )
        except Exception as error:  # the program goes on, unwatched
            self.refuse(name, f"{type(error).__name__}: {error}")
            return None
        self.watched[prefix].append(name)
        return code

    def refuse(self, name: str, reason: str) -> None:
        """Note that module *name* was asked for, but is not watched."""
        if len(self.refused) < 20:
            self.refused[name] = reason[:200]


class Finder:
    """Finds nothing itself; makes the loaders of watched modules give code with notes."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find module *name* as the finders behind this one do."""
        prefix = self._selection.prefix_of(name)
        is_main = not prefix and self._is_asked_for_as_main(name)
        if not prefix and not is_main:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                try:
                    self._prepare(spec, name, prefix or self._main_prefix(name))
                except Exception as error:  # the program's import must succeed
                    report("watch", f"{type(error).__name__}: {error}")
                return spec
        return None

    def invalidate_caches(self) -> None:
        """Nothing is cached."""

    def _is_asked_for_as_main(self, name: str) -> bool:
        """Tell whether *name* is what ``python -m`` runs, and that is watched."""
        return _runs_as_main(name) and self._main_prefix(name) != ""

    def _main_prefix(self, name: str) -> str:
        return self._selection.prefix_of_script(name.removesuffix(".__main__").rpartition(".")[2])

    def _prepare(self, spec: ModuleSpec, name: str, prefix: str) -> None:
        selection = self._selection
        file = spec.origin if spec.has_location else None
        if file is None:
            if spec.loader is not None:
                selection.refuse(name, "it is built into the interpreter")
            return
        if name == "clew" or name.startswith("clew."):
            return
        if _is_library(file) and not _is_named(name, prefix):
            return
        loader: Any = spec.loader
        if not hasattr(loader, "get_source") or not hasattr(loader, "get_code"):
            selection.refuse(name, f"{file} is not Python source")
            return
        original = loader.get_code

        def get_code(fullname: str) -> Any:
            with suppress(AttributeError):
                del loader.get_code
            plain = original(fullname)
            if plain is None or fullname != name:
                return plain
            as_name = "__main__" if _runs_as_main(fullname) else fullname
            source = _source_of(loader, plain.co_filename)
            code = None if source is None else selection.compile(source, plain.co_filename, as_name, prefix)
            return plain if code is None else code

        try:
            loader.get_code = get_code
        except (AttributeError, TypeError):
            selection.refuse(name, f"its loader {type(loader).__qualname__} cannot be hooked")


def _source_of(loader: Any, file: str) -> bytes | None:
    try:
        return loader.get_data(file)
    except (OSError, AttributeError):
        return None  # a pyc file without source


def _runs_as_main(name: str) -> bool:
    """Tell whether the interpreter is about to run module *name* because of ``-m``.

    Until it has found it, ``sys.argv[0]`` is ``-m``.
    """
    if not sys.argv or sys.argv[0] != "-m":
        return False
    arguments = sys.orig_argv
    try:
        module = arguments[arguments.index("-m") + 1]
    except (ValueError, IndexError):
        return False
    return name in (module, module + ".__main__")


_LIBRARY = tuple(
    {
        os.path.realpath(path) + os.sep
        for key in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_paths().get(key))
    }
)


def _is_library(file: str) -> bool:
    """Tell whether *file* belongs to an installed library or to the standard library."""
    return sites.tier_of_file(file) != sites.USER or os.path.realpath(file).startswith(_LIBRARY)


def _is_named(name: str, prefix: str) -> bool:
    """Tell whether a library's module *name* was meant by *prefix*: itself, or its package.

    A namespace package is no library's own: ``company`` does not mean every library
    below it.
    """
    if name == prefix:
        return True
    package = sys.modules.get(prefix)
    return getattr(package, "__file__", None) is not None and _is_library(package.__file__)  # pyright: ignore[reportOptionalMemberAccess, reportArgumentType]
