"""Keep the sites in ``examples/*/expected.json`` equal to the markers in the sources.

A marker is a comment ``# expect: ID/ROLE`` on the line of a planted bug, or
``# expect: no ID/ROLE`` on a line that looks like one and is healthy. Run with
``--write`` after an example was edited; without it, tells what differs and exits with 1.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MARKER = re.compile(r"# expect: (no )?([a-z-]+)/([a-z-]+)$")

WIDTH = 120

Sites = dict[str, dict[str, Any]]


def markers_in(program: Path) -> dict[tuple[str, str], Sites]:
    """Return the sites of a program's markers: by section of expected.json and id, then by role."""
    found: dict[tuple[str, str], Sites] = {}
    for path in sorted(program.glob("*.py")):
        source = path.read_text()
        functions = _functions(ast.parse(source))
        for number, line in enumerate(source.splitlines(), 1):
            marker = MARKER.search(line)
            if marker is None:
                if "# expect:" in line:
                    raise SystemExit(f"{path}:{number}: expected '# expect: [no ]ID/ROLE' at the end of the line")
                continue
            sites = found.setdefault(("healthy" if marker[1] else "planted", marker[2]), {})
            if marker[3] in sites:
                raise SystemExit(f"{path}:{number}: this marker stands on two lines")
            sites[marker[3]] = {"file": path.name, "line": number, "function": functions.get(number, "<module>")}
    return found


def _functions(tree: ast.AST) -> dict[int, str]:
    """Return the qualified name of the innermost function by line."""
    names: dict[int, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = prefix + child.name
                names.update(dict.fromkeys(range(child.lineno, (child.end_lineno or child.lineno) + 1), name))
                visit(child, f"{name}.<locals>.")
            else:
                visit(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)

    visit(tree, "")
    return names


def with_sites(expected: dict[str, Any], program: Path) -> dict[str, Any]:
    """Return *expected* with the sites that the markers of *program* tell."""
    found = markers_in(program)
    for section in ("planted", "healthy"):
        for entry in expected[section]:
            entry["sites"] = found.pop((section, entry["id"]), {})
            if not entry["sites"] and section == "planted":
                raise SystemExit(f"{program}: no marker for {entry['id']}")
    if found:
        raise SystemExit(f"{program}: not in expected.json: {sorted(found)}")
    return expected


def text_of(value: Any, indent: int = 0) -> str:
    """Return *value* as JSON in which whatever fits into a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    margin = " " * (indent + 2)
    if isinstance(value, list):
        parts = [text_of(item, indent + 2) for item in value]
        return "[\n" + ",\n".join(margin + part for part in parts) + "\n" + " " * indent + "]"
    parts = [f"{json.dumps(key)}: {text_of(item, indent + 2)}" for key, item in value.items()]
    return "{\n" + ",\n".join(margin + part for part in parts) + "\n" + " " * indent + "}"


def main() -> int:
    """Compare or write; return the exit code."""
    stale: list[Path] = []
    for path in sorted(EXAMPLES.glob("*/expected.json")):
        before = path.read_text()
        after = text_of(with_sites(json.loads(before), path.parent)) + "\n"
        if before != after:
            stale.append(path)
            if "--write" in sys.argv[1:]:
                path.write_text(after)
    for path in stale:
        print(path.relative_to(EXAMPLES.parent))
    return 1 if stale and "--write" not in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
