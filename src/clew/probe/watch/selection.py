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

from clew.probe import sites
from clew.probe.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONE, SOME, ALL = range(3)
MAIN = "__main__"
MAX_REFUSED = 20
MAX_KNOWN = 200


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


def known_modules() -> list[str]:
    """Return the names of the program's own modules, as far as they are imported."""
    found: list[str] = []
    for name, module in list(sys.modules.items()):
        file = module.__dict__.get("__file__") if type(module) is type(sys) else None
        if type(file) is str and sites.tier_of_file(os.path.abspath(file)) == sites.USER:
            found.append(name)
    return sorted(found)[:MAX_KNOWN]


current = Selection((), Redactor())
