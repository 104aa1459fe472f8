"""What the SQL surface takes from the catalog: small tables, as Arrow."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownParameterType=false
# pyarrow carries no types.

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import func, select

from clew.format.clocks import wall_offsets
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole, slug_of
from clew.store import schema
from clew.store.stream_tables import signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.store.store import Store
    from clew.store.stored import Stored

_RUNS, _FINDINGS, _SNAPSHOTS = schema.runs.c, schema.findings.c, schema.snapshots.c
CATALOG_TABLES: dict[str, tuple[tuple[str, Any, Any], ...]] = {
    "runs": (
        ("run", _RUNS.run_id, pa.string()), ("name", _RUNS.name, pa.string()), ("service", _RUNS.service, pa.string()),
        ("process", _RUNS.process_id, pa.string()), ("status", _RUNS.status, pa.string()),
        ("entry", _RUNS.entry, pa.string()), ("start_ns", _RUNS.started_ns, pa.int64()),
        ("duration_ns", _RUNS.duration_ns, pa.int64()), ("events", _RUNS.events, pa.int64()),
        ("errors", _RUNS.errors, pa.int64()), ("spans", _RUNS.spans, pa.int64()),
        ("environment", _RUNS.environment, pa.string()), ("mode", _RUNS.mode, pa.string()),
        ("processes", _RUNS.processes, pa.int64()), ("findings", _RUNS.findings, pa.int64()),
    ),
    "findings": (
        ("run", _FINDINGS.run_id, pa.string()), ("process", _FINDINGS.process_id, pa.string()),
        ("kind", _FINDINGS.kind, pa.string()), ("severity", _FINDINGS.severity, pa.string()),
        ("confidence", _FINDINGS.confidence, pa.string()), ("title", _FINDINGS.title, pa.string()),
        ("fingerprint", _FINDINGS.fingerprint, pa.string()), ("document", _FINDINGS.document, pa.string()),
    ),
    "snapshots": (
        ("snapshot", _SNAPSHOTS.snapshot_id, pa.string()), ("taken_ns", _SNAPSHOTS.taken_ns, pa.int64()),
        ("completeness", _SNAPSHOTS.completeness, pa.string()), ("processes", _SNAPSHOTS.processes, pa.int64()),
        ("entities", _SNAPSHOTS.entities, pa.int64()), ("edges", _SNAPSHOTS.edges, pa.int64()),
        ("unresolved", _SNAPSHOTS.unresolved, pa.int64()),
    ),
}  # fmt: skip
"""Tables whose rows stand in the catalog: name, where from and type of each column."""


def catalog_table(store: Store, name: str, run: str | None) -> Any:
    """Return a table of ``CATALOG_TABLES``; of *run* alone, if one is given."""
    columns = CATALOG_TABLES[name]
    statement = select(*(column for _, column, _ in columns))
    if run is not None and name != "snapshots":
        statement = statement.where((_RUNS if name == "runs" else _FINDINGS).run_id == run)
    order = {"runs": (_RUNS.started_ns, _RUNS.run_id), "findings": (_FINDINGS.id,), "snapshots": (_SNAPSHOTS.taken_ns,)}
    with store.engine.connect() as connection:
        rows = connection.execute(statement.order_by(*order[name])).all()
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table({title: pa.array(values, type_) for (title, _, type_), values in zip(columns, cells, strict=True)})


def processes_of_run(store: Store, run: str) -> list[str]:
    """Return the processes that have a part in a run."""
    part = schema.run_parts.c
    with store.engine.connect() as connection:
        return list(connection.execute(select(part.process_id).where(part.run_id == run)).scalars())


def hidden_segments(store: Store, stored: Sequence[Stored]) -> bool:
    """Tell whether a segment of these processes holds others too."""
    counts: dict[int, int] = {}
    for row in stored:
        for part in row.parts:
            counts[part.segment] = counts.get(part.segment, 0) + 1
    if not counts:
        return False
    part = schema.segment_parts.c
    with store.engine.connect() as connection:
        found = connection.execute(select(part.segment_id, func.count()).group_by(part.segment_id))
        return any(counts.get(segment, count) != count for segment, count in found)


@cache
def numbers_table() -> Any:
    """Return the names of all numbers of one byte: what they mean as a kind, an operation and so on."""
    named = {"kind": EventKind, "op": Operation, "outcome": Outcome}
    known = {
        "entity_kind": EntityKind,
        "span_kind": SpanKind,
        "span_role": SpanRole,
        "known_op": Operation,
        "known_outcome": Outcome,
    }
    columns: dict[str, Any] = {"number": pa.array(range(256), pa.uint8())}
    for name, vocabulary in named.items():
        # A number of a newer recorder is shown as a number.
        texts = [(slug_of(vocabulary, number) or f"#{number}") if number else None for number in range(256)]
        columns[name] = pa.array(texts, pa.string())
    for name, vocabulary in known.items():
        texts = [slug_of(vocabulary, number) or None for number in range(256)]
        columns[name] = pa.array(texts, pa.string())
    return pa.table(columns)


_PROCESS_SCHEMA = pa.schema(
    [
        ("number", pa.int64()), ("process", pa.string()), ("position", pa.int64()), ("service", pa.string()),
        ("offset_ns", pa.int64()), ("wall_ns", pa.int64()), ("pid", pa.int64()), ("argv", pa.string()),
        ("python", pa.string()), ("host", pa.string()), ("state", pa.string()), ("exit", pa.int64()),
        ("signal", pa.string()), ("parent", pa.string()), ("dropped", pa.int64()), ("environment", pa.string()),
        ("retention", pa.string()),
    ]
)  # fmt: skip


def processes_table(store: Store, stored: Sequence[Stored]) -> Any:
    """Return what heads and ends say of processes."""
    classes = {row.process_id: row.retention for row in store.processes([row.process_id for row in stored])}
    heads = [json.loads(row.head) for row in stored]
    rows = [
        _process_row(row, head, position, offset) | {"retention": classes.get(row.process_id, "")}
        for position, (row, head, offset) in enumerate(zip(stored, heads, wall_offsets(heads), strict=True))
    ]
    return pa.Table.from_pylist(rows, _PROCESS_SCHEMA)


def _process_row(row: Stored, head: dict[str, Any], position: int, offset: int) -> dict[str, Any]:
    end = None if row.end is None else json.loads(row.end)
    argv, parent = head.get("argv"), head.get("parent")
    is_orderly = (end or {}).get("reason") == "exit"
    return {
        "number": signed(row.number),
        "process": row.process_id,
        "position": position,
        "service": str(head.get("service") or row.process_id),
        "offset_ns": offset,
        "wall_ns": row.wall_ns,
        "pid": _whole(head.get("pid")) or 0,
        "argv": " ".join(map(str, argv)) if isinstance(argv, list) else "",
        "python": str(head.get("python", "")),
        "host": str(head.get("host", "")),
        "state": "running" if end is None else "ended" if is_orderly else "cut",
        "exit": _whole((end or {}).get("exit")),
        "signal": str((end or {}).get("signal", "")) or None,
        "parent": parent[0] if isinstance(parent, list) and parent and isinstance(parent[0], str) else None,
        "dropped": max(_whole((end or {}).get("dropped")) or 0, 0),
        "environment": str(head.get("environment", "")),
    }


def _whole(value: object) -> int | None:
    return value if type(value) is int and -(1 << 62) < value < 1 << 62 else None
