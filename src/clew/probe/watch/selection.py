"""What is watched: prefixes of dotted names, of code and of variables.

A prefix that names a module or a package selects its code: whatever that reads and
writes is recorded. A prefix always selects the variables below it, too: the globals of
the module, the attributes of its classes, one class (``bank.Account``), one variable
(``bank.Account.balance``, ``bank.CACHE`` with its items). Those are recorded in the code
of their module and in the script, which is always looked at.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType, ModuleType

from clew.probe import sites
from clew.probe.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

NONE, SOME, ALL = range(3)
_NO_VARIABLES = (FunctionType, ModuleType)
MAIN = "__main__"
MAX_REFUSED = 20
MAX_KNOWN = 500


class Selection:
    """The prefixes in force.

    Args:
        prefixes: As they were given. What the process runs is known as ``__main__`` and
            by its own name.
        redactor: Tells which names say that a value is secret.

    Attributes:
        main: The name of what the process runs, for people.
        modules: How many modules have notes.
        unmatched: Prefixes below which nothing was found yet.
        refused: Why a module that was asked for is not watched, by its name.
    """

    def __init__(self, prefixes: Sequence[str], redactor: Redactor) -> None:
        self.prefixes = tuple(dict.fromkeys(prefixes))
        self.redactor = redactor
        self.main = MAIN
        self.modules = 0
        self.unmatched = set(self.prefixes)
        self.refused: dict[str, str] = {}
        self._given = {prefix: prefix for prefix in self.prefixes}

    def name_main(self, *names: str) -> None:
        """Let what the process runs be known by *names*, the first of them to people."""
        self.main = names[0]
        for prefix in self.prefixes:
            for name in names:
                if name == prefix or name.startswith(prefix + "."):
                    self._given[MAIN] = prefix
                elif prefix.startswith(name + "."):
                    self._given[MAIN + prefix[len(name) :]] = prefix

    def extent(self, name: str) -> int:
        """Return ALL if *name* and what is below it is selected, SOME if only some of that is, or NONE."""
        found = NONE
        for prefix in self._given:
            if name == prefix or name.startswith(prefix + "."):
                return ALL
            if prefix.startswith(name + "."):
                found = SOME
        return found

    def prefix_of(self, name: str) -> str:
        """Return the prefix that selects all of *name*, or ""."""
        return next((prefix for prefix in self._given if name == prefix or name.startswith(prefix + ".")), "")

    def is_watched(self, name: str) -> bool:
        """Tell whether accesses to the globals of module *name* may be state."""
        return self.extent(name) != NONE

    def mark(self, names: Iterable[str]) -> None:
        """Note that there is something of these names."""
        if self.unmatched:
            for prefix, given in self._given.items():
                if given in self.unmatched and any(name == prefix or name.startswith(prefix + ".") for name in names):
                    self.unmatched.discard(given)

    def refuse(self, name: str, reason: str) -> None:
        """Note that module *name* was asked for, but is not watched."""
        if len(self.refused) < MAX_REFUSED:
            self.refused[name] = reason[:200]


def unknown(found: Mapping[str, Any]) -> list[str]:
    """Return a line for each prefix that matched nothing.

    Args:
        found: What a process said at its end, see ``session``.
    """
    from difflib import get_close_matches

    refused: Mapping[str, str] = found.get("refused", {})
    lines: list[str] = []
    for prefix in found.get("unmatched", ()):
        near = get_close_matches(prefix, found.get("known", ()), 1)
        reason = next((refused[name] for name in refused if prefix == name or prefix.startswith(name + ".")), "")
        what = f"is not watched: {reason}" if reason else "matched nothing that was read or written"
        advice = f"did you mean {near[0]}?" if near and not reason else "correct or remove it"
        lines.append(
            f"clew: --watch {prefix} {what}; expected a module, class or variable of the program, "
            f"such as bank or bank.Account.balance; {advice} [unknown-watch]\n"
        )
    return lines


def known_names(main: str) -> list[str]:
    """Return the names of the program's own modules, *main* among them, and of what they define."""
    modules: list[str] = []
    globals_: list[str] = []
    for name, module in list(sys.modules.items()):
        namespace = module.__dict__ if type(module) is ModuleType else {}
        file = namespace.get("__file__")
        if type(file) is str and name != "__mp_main__" and sites.tier_of_file(os.path.abspath(file)) == sites.USER:
            shown = main if name == MAIN else name
            modules.append(shown)
            globals_ += [
                f"{shown}.{each}" for each, value in list(namespace.items()) if type(value) not in _NO_VARIABLES
            ]
    return [*sorted(modules), *sorted(globals_)][:MAX_KNOWN]


current = Selection((), Redactor())
