"""Check that folders of the page import only from their own or from lower layers.

The layers, lowest first, are ``LAYERS``; ``views`` of one page do not import those of another,
apart from the pairs in ``SHARED``. What is wrong is printed, one line each; exit code 1.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath

LAYERS = ("base", "api", "model", "draw", "widgets", "views", "app")
SHARED = {
    # The run's page is made of the others' parts, and its inspector knows the page's state.
    ("run", "timeline"), ("run", "inspector"), ("run", "services"), ("inspector", "run"), ("services", "run"),
}  # fmt: skip
_IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.{1,2}/[^"']+)["']""")


def wrong_imports(source: Path) -> list[str]:
    """Return one line for each import that goes up.

    Args:
        source: The folder ``web/src``.
    """
    found: list[str] = []
    for path in sorted(p for p in source.rglob("*") if p.suffix in (".ts", ".tsx")):
        here = PurePosixPath(path.relative_to(source).as_posix())
        if len(here.parts) == 1:
            continue  # main.tsx begins everything
        text = path.read_text(encoding="utf-8")
        for match in _IMPORT.finditer(text):
            reason = _reason(here, _target(here, match[1]))
            if reason:
                line = text.count("\n", 0, match.start(1)) + 1
                found.append(f"web/src/{here}:{line}: imports {match[1]}: {reason}")
    return found


def _target(here: PurePosixPath, name: str) -> PurePosixPath:
    parts = list(here.parent.parts)
    for part in PurePosixPath(name).parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return PurePosixPath(*parts)


def _reason(here: PurePosixPath, target: PurePosixPath) -> str:
    mine, other = here.parts[0], target.parts[0]
    if mine not in LAYERS or other not in LAYERS:
        return f"{mine if mine not in LAYERS else other} is none of the layers {', '.join(LAYERS)}"
    if LAYERS.index(other) > LAYERS.index(mine):
        return f"{mine} is below {other}"
    if mine == other == "views" and here.parts[1] != target.parts[1]:
        pair = (here.parts[1], target.parts[1])
        return "" if pair in SHARED else f"views {pair[0]} and {pair[1]} do not know each other"
    return ""


def main() -> int:
    """Print what is wrong."""
    found = wrong_imports(Path(__file__).parents[1] / "web/src")
    print("\n".join(found) or "web: imports follow the layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
