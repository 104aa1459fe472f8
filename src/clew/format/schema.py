"""The tables of an event chunk: their numbers, columns and widths, in one place.

Numbers are only ever added. A reader skips tables and columns it does not know, and
fills columns a writer did not have yet with zeros.
"""

from __future__ import annotations

from typing import NamedTuple


class ColumnSpec(NamedTuple):
    """One column: its number in the file, its name, its width in bytes."""

    number: int
    name: str
    width: int
    holds: str = "number"
    """``number``, or ``string``: an index into the chunk's strings, 0 = empty."""


class TableSpec(NamedTuple):
    """One table of an event chunk."""

    number: int
    name: str
    columns: tuple[ColumnSpec, ...]


EVENTS = TableSpec(
    1,
    "events",
    (
        ColumnSpec(1, "t_ns", 8),
        ColumnSpec(2, "cause", 8),
        ColumnSpec(3, "wait_ns", 8),
        ColumnSpec(4, "arg", 8),
        ColumnSpec(5, "entity", 4),
        ColumnSpec(6, "scope", 4),
        ColumnSpec(7, "site", 4),
        ColumnSpec(8, "span", 4),
        ColumnSpec(9, "kind", 1),
        ColumnSpec(10, "op", 1),
        ColumnSpec(11, "outcome", 1),
    ),
)
RANGES = TableSpec(2, "ranges", (ColumnSpec(1, "first_seq", 8), ColumnSpec(2, "count", 4)))
ATTRS = TableSpec(3, "attrs", (ColumnSpec(1, "seq", 8), ColumnSpec(2, "json", 4, "string")))
ENTITIES = TableSpec(
    4,
    "entities",
    (
        ColumnSpec(1, "id", 4),
        ColumnSpec(2, "kind", 1),
        ColumnSpec(3, "name", 4, "string"),
        ColumnSpec(4, "type", 4, "string"),
        ColumnSpec(5, "parent", 4),
        ColumnSpec(6, "site", 4),
        ColumnSpec(7, "span", 4),
        ColumnSpec(8, "detail", 4, "string"),
    ),
)
SITES = TableSpec(
    5,
    "sites",
    (
        ColumnSpec(1, "id", 4),
        ColumnSpec(2, "file", 4, "string"),
        ColumnSpec(3, "line", 4),
        ColumnSpec(4, "function", 4, "string"),
    ),
)
SPANS = TableSpec(
    6,
    "spans",
    (
        ColumnSpec(1, "id", 4),
        ColumnSpec(2, "trace_high", 8),
        ColumnSpec(3, "trace_low", 8),
        ColumnSpec(4, "span_id", 8),
        ColumnSpec(5, "parent_span_id", 8),
        ColumnSpec(6, "parent", 4),
        ColumnSpec(7, "kind", 1),
        ColumnSpec(8, "role", 1),
        ColumnSpec(9, "op", 1),
        ColumnSpec(10, "name", 4, "string"),
    ),
)
REMOTE_CAUSES = TableSpec(
    7,
    "remote_causes",
    (ColumnSpec(1, "seq", 8), ColumnSpec(2, "process", 8), ColumnSpec(3, "cause", 8)),
)
# What a drain that takes over must know of values (``values``); readers have no use for it.
TEXTS = TableSpec(8, "texts", (ColumnSpec(1, "id", 4), ColumnSpec(2, "json", 4, "string")))

TABLES: tuple[TableSpec, ...] = (EVENTS, RANGES, ATTRS, ENTITIES, SITES, SPANS, REMOTE_CAUSES, TEXTS)
TABLE_BY_NUMBER = {table.number: table for table in TABLES}
STRINGS = 0
"""The table number under which a chunk's strings stand."""
