"""Write the tables of the reference from the code, or say which are out of date.

python tools/write_reference.py            # write them
python tools/write_reference.py --check    # exit 1 if a file would change
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.synthetic import write_recording

from clew.analysis.timeline import timelines_of
from clew.convert.arrow import TABLES as TABLES_OF_SQL
from clew.convert.arrow import tables_of
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole
from clew.probe.config import SETTINGS

BEGIN = "<!-- begin: written by tools/write_reference.py -->\n"
END = "<!-- end -->\n"


def settings_table() -> str:
    """Return every setting as a row."""
    rows = ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for setting in SETTINGS:
        meaning = setting.meaning.replace("|", "\\|")
        rows.append(f"| `{setting.name}` | `{setting.variable}` | {_default(setting.default)} | {meaning} |")
    return "".join(f"{row}\n" for row in rows)


def _default(value: Any) -> str:
    if value in ("", ()):
        return ""
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return f"`{value}`"


def sql_tables() -> str:
    """Return every table of ``clew sql`` with its columns."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        recording = open_recording(write_recording(Path(folder) / "any.clew", 100))
        tables = tables_of(timelines_of(recording), TABLES_OF_SQL)
    for name, table in tables.items():
        columns = ", ".join(f"`{field.name}`" for field in table.schema)
        lines.append(f"| `{name}` | {columns} |")
    return "| table | columns |\n|---|---|\n" + "".join(f"{line}\n" for line in lines)


def numbers_table() -> str:
    """Return the numbers of every vocabulary."""
    words = {"event kind": EventKind, "entity kind": EntityKind, "operation": Operation, "outcome": Outcome,
             "span kind": SpanKind, "span role": SpanRole}  # fmt: skip
    rows = ["| of | numbers |", "|---|---|"]
    for name, vocabulary in words.items():
        pairs = [f"{word.value} `{word.slug}`" for word in sorted(vocabulary, key=int) if word.slug]
        rows.append(f"| {name} | {', '.join(pairs)} |")
    return "".join(f"{row}\n" for row in rows)


TABLES = {
    "docs/format.md": numbers_table,
    "docs/reference/settings.md": settings_table,
    "docs/reference/sql.md": sql_tables,
}


def rewritten(text: str, table: str) -> str:
    """Return *text* with *table* between its marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table + END + after


def main(argv: list[str]) -> int:
    """Write or check; return the exit code."""
    stale: list[str] = []
    for name, make in TABLES.items():
        path = ROOT / name
        text = path.read_text("utf-8")
        fresh = rewritten(text, make())
        if fresh != text:
            stale.append(name)
            if "--check" not in argv:
                path.write_text(fresh, "utf-8")
    for name in stale:
        print(f"{name} {'is out of date' if '--check' in argv else 'written'}")
    return 1 if stale and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
