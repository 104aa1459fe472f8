"""``clew sql``: query a recording with SQL."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from clew.analysis.timeline import timelines_of
from clew.cli import text
from clew.format.reader import open_recording

if TYPE_CHECKING:
    import argparse

MAX_ROWS = 200
"""Rows that are printed for people, unless all are asked for."""
MAX_CELL = 60


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recording", metavar="RECORDING", help="a recording folder, or one stream of it")
    parser.add_argument(
        "query", metavar="QUERY",
        help="one SELECT over processes, runs, spans, events, entities, scopes, sites, edges; 'show tables' and "
        "'describe events' say more",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help=f"print all rows, not the first {MAX_ROWS}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(args: argparse.Namespace) -> int:
    """Ask, and print the rows."""
    from clew.convert.arrow import TABLES, tables_of
    from clew.store.sql import names_in, query

    recording = open_recording(args.recording)
    for stream in recording.streams:
        if stream.cut is not None:
            sys.stderr.write(f"clew: {stream.path.name}: {stream.cut}\n")
    used = names_in(args.query)
    wanted = [name for name in TABLES if used is not None and name in used] or TABLES
    tables = tables_of(timelines_of(recording), wanted, used)
    answer = query(tables, args.query)
    names, rows = answer.names, answer.rows
    if args.json:
        cells = [[_plain(cell) for cell in row] for row in rows]
        print(json.dumps({"schema": "clew.rows/1", "columns": names, "rows": cells}))
        return 0
    if names[:1] == ["explain_key"]:  # a drawing
        print("\n".join(str(row[-1]) for row in rows))
        return 0
    shown = rows if args.all else rows[:MAX_ROWS]
    for line in _table(names, shown):
        print(line)
    if len(shown) < len(rows):
        print(f"… {len(rows) - len(shown):,} more rows: add --all, or a limit of your own")
    return 0


def _table(names: list[str], rows: list[tuple[Any, ...]]) -> list[str]:
    """Lay out rows below their names; numbers stand to the right."""
    align = (
        "".join("r" if _is_number(cells) else "l" for cells in zip(*rows, strict=True)) if rows else "l" * len(names)
    )
    body = [[text.fit(_text(cell), MAX_CELL) for cell in row] for row in rows]
    return text.columns([names, *body], align, indent="")


def _is_number(cells: tuple[Any, ...]) -> bool:
    found = [cell for cell in cells if cell is not None]
    return bool(found) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in found)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="microseconds")
    return str(cell)


def _plain(cell: Any) -> Any:
    """Return a cell as JSON has it: times as ISO 8601, anything unusual as text."""
    if cell is None or isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, float):
        return cell if isfinite(cell) else None
    if isinstance(cell, datetime):
        return cell.isoformat()
    return str(cell)
