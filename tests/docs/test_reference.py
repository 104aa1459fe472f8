"""What the reference says is what the code does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from clew.cli.main import COMMANDS
from clew.format import schema
from clew.model.kinds import EventKind

ROOT = Path(__file__).parents[2]
SLUG = re.compile(r"\[([a-z]+(?:-[a-z0-9]+)+|usage|sql|killed)\]")


def slugs_of_code():
    """Every slug that stands in an error or at the end of a line that clew prints."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                literals = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                if (
                    (name.endswith("Error") or name == "__init__")  # of a child that has one slug
                    and len(node.args) >= 4
                    and literals
                    and re.fullmatch(r"[a-z-]+", literals[0])
                ):
                    found.add(literals[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ";" in node.value:
                found |= set(SLUG.findall(node.value[-40:]))
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[-1], ast.Constant):
                found |= set(SLUG.findall(node.values[-1].value[-40:]))
    return found


def test_every_message_has_its_heading_and_no_heading_is_left_over():
    """A user who looks a slug up finds it."""
    headings = set(re.findall(r"^## (\S+)$", (ROOT / "docs/messages.md").read_text("utf-8"), re.MULTILINE))

    assert sorted(slugs_of_code() - headings) == []
    assert sorted(headings - slugs_of_code() - {"newer-recording", "older-recording"}) == []
    assert {"newer-recording", "older-recording"} <= headings


def test_generated_tables_are_up_to_date():
    """Settings and SQL columns in the reference are those of the code."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools/write_reference.py", "--check"], capture_output=True, text=True, check=False
    )

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_format_document_names_every_table_and_column():
    """A second reader can be written from it."""
    text = (ROOT / "docs/format.md").read_text("utf-8")
    tables = [table for table in vars(schema).values() if isinstance(table, schema.TableSpec)]

    assert len(tables) >= 7
    for table in tables:
        (row,) = re.findall(rf"^\| {table.number} {table.name} .*$", text, re.MULTILINE)
        assert [c.name for c in table.columns if not re.search(rf"\b{c.number} `{c.name}` {c.width}\b", row)] == []


def test_every_kind_of_event_is_described():
    """The events reference leaves none out."""
    text = (ROOT / "docs/reference/events.md").read_text("utf-8")

    assert [kind.slug for kind in EventKind if f"`{kind.slug}`" not in text] == []


def test_the_readme_names_every_command():
    """A new user sees what there is."""
    text = (ROOT / "README.md").read_text("utf-8")

    assert [name for name in COMMANDS if f"clew {name}" not in text] == []
