"""Run an action right after a module was first imported.

The finder stands first on ``sys.meta_path`` and answers only for modules somebody waits
for. It lets the others find the module, then has the module's own loader call the
action once the module's code has run; loader and spec stay the program's.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from clew.probe.patching import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_waiting: dict[str, list[Callable[[ModuleType], None]]] = {}


def when_imported(name: str, action: Callable[[ModuleType], None]) -> None:
    """Call ``action(module)`` as soon as module *name* is imported, now if it is already."""
    module = sys.modules.get(name)
    if module is not None and not _is_loading(module):
        _run(name, action, module)
        return
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _waiting.setdefault(name, []).append(action)


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _run(name: str, action: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        action(module)
    except Exception as error:  # the program's import must succeed
        report(f"import of {name}", f"{type(error).__name__}: {error}")


class _Finder:
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _call_after(spec.loader, name)
                return spec
        return None

    def invalidate_caches(self) -> None:
        """Nothing is cached."""


_FINDER: Any = _Finder()


def _call_after(loader: Any, name: str) -> None:
    """Make *loader* run the actions after it executed module *name*, once."""
    try:
        original = loader.exec_module
    except AttributeError:
        return

    def exec_module(module: ModuleType) -> None:
        with suppress(AttributeError):
            del loader.exec_module
        original(module)
        for action in _waiting.pop(name, ()):
            _run(name, action, module)

    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError):
        # Built-in and frozen modules are loaded by classes: there is no instance to
        # put it on. None of the modules waited for is one.
        report(f"import of {name}", "its loader cannot be hooked")
