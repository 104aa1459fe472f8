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
from clew.probe.watch import attributes, compiling, items, kinds, variables
from clew.probe.watch.selection import MAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from clew.probe.watch.selection import Selection

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
    "class_made": kinds.class_made,
}
"""Functions by the name ``transform`` calls them."""


def compile_noted(selection: Selection, source: Any, file: str, name: str) -> CodeType | None:
    """Return the code of module *name* with notes, None if it cannot be made."""
    try:
        code, _ = compiling.compile_unit(source, file, name, NOTES, selection)
    except Exception as error:  # the program goes on, unwatched
        selection.refuse(name, f"{type(error).__name__}: {error}")
        return None
    selection.modules += 1
    selection.mark([name])
    return code


class Finder:
    """Finds nothing itself; makes the loaders of watched modules give code with notes."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find module *name* as the finders behind this one do."""
        selection = self._selection
        if not selection.is_watched(name) and not _runs_as_main(name):
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                try:
                    self._prepare(spec, name)
                except Exception as error:  # the program's import must succeed
                    report("watch", f"{type(error).__name__}: {error}")
                return spec
        return None

    def invalidate_caches(self) -> None:
        """Nothing is cached."""

    def _prepare(self, spec: ModuleSpec, name: str) -> None:
        selection = self._selection
        prefix = selection.prefix_of(name)
        file = spec.origin if spec.has_location else None
        if file is None:
            if prefix and spec.loader is not None:
                selection.refuse(name, "it is built into the interpreter")
            return
        if _is_library(file) and prefix and not _is_named(name, prefix):
            return
        loader: Any = spec.loader
        if not hasattr(loader, "get_source") or not hasattr(loader, "get_code"):
            if prefix:
                selection.refuse(name, f"{file} is not Python source")
            return
        original = loader.get_code

        def get_code(fullname: str) -> Any:
            with suppress(AttributeError):
                del loader.get_code
            plain = original(fullname)
            if plain is None or fullname != name:
                return plain
            try:
                return _noted(selection, loader, plain, fullname) or plain
            except Exception as error:
                report("watch", f"{type(error).__name__}: {error}")
                return plain

        try:
            loader.get_code = get_code
        except (AttributeError, TypeError):
            if prefix:
                selection.refuse(name, f"its loader {type(loader).__qualname__} cannot be hooked")


def _noted(selection: Selection, loader: Any, plain: CodeType, name: str) -> CodeType | None:
    if _runs_as_main(name):
        selection.name_main(name.removesuffix(".__main__"), name, name.rpartition(".")[2])
        name = MAIN
    source = _source_of(loader, plain.co_filename)
    return None if source is None else compile_noted(selection, source, plain.co_filename, name)


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
