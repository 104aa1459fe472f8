"""The events and definitions of processes as Arrow tables, and back: what a segment holds.

Nothing is lost: numbers stay numbers, known or not. Numbers of eight bytes are seen as
signed, as the analyses see them; the cause stands as the distance to its event, which is
small and repeats.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow carries no types.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clew.format import schema
from clew.format.stream_data import WIDTHS, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from clew.format.events import Row
    from clew.format.stream_data import StreamData

_TYPES = {1: pa.uint8(), 4: pa.uint32(), 8: pa.int64()}
_DTYPES = {1: np.uint8, 4: np.uint32, 8: np.int64}
DEFINITIONS = {table.name: table for table in (schema.ENTITIES, schema.SITES, schema.SPANS)}
_PATCH = [
    ("attrs", pa.string()),
    ("cause_process", pa.int64()),  # the process and number of a cause in another process
    ("remote_cause", pa.int64()),
    ("long_ns", pa.int64()),  # how long it lasted, where its ``arg`` does not say so
]
EVENTS_SCHEMA = pa.schema(
    [("process", pa.int64())]
    + [("back" if name == "cause" else name, _TYPES[width]) for name, width in WIDTHS.items()]
    + [("step_span", pa.uint32())]  # the span it belongs to, where ``span`` is 0
    + _PATCH
)
LATE_SCHEMA = pa.schema([("process", pa.int64()), ("seq", pa.int64()), *_PATCH])
"""What became known of an event after its segment had been written."""


def _definition_schema(table: schema.TableSpec) -> Any:
    fields = [(c.name, pa.string() if c.holds == "string" else _TYPES[c.width]) for c in table.columns]
    # Of a span also where its events stand, for which it need not be defined here: its name is null then.
    more = [("first_seq", pa.int64()), ("last_seq", pa.int64()), ("events", pa.int64())] * (table is schema.SPANS)
    return pa.schema([("process", pa.int64()), *fields, *more])


SCHEMAS = {"events": EVENTS_SCHEMA, "late": LATE_SCHEMA} | {n: _definition_schema(t) for n, t in DEFINITIONS.items()}
"""The tables of a segment, by name."""

Tables = dict[str, Any]
"""Arrow tables by the names of ``SCHEMAS``."""


class Derived(NamedTuple):
    """What the analyses know of each event: arrays as long as the columns."""

    spans: NDArray[Any]
    """The span it belongs to, 0 for none."""
    durations: NDArray[Any]
    """How long it lasted in ns, 0 for not at all."""


NOT_DERIVED = Derived(np.zeros(0, np.uint32), np.zeros(0, np.int64))


def tables_of_stream(process_id: int, data: StreamData, derived: Derived = NOT_DERIVED) -> Tables:
    """Return the events and definitions of one process as tables.

    Args:
        process_id: Whose they are.
        data: What is known of them.
        derived: What follows from them; nothing if it has no rows.
    """
    views: dict[str, Any] = {
        name: np.asarray(column).view(_DTYPES[WIDTHS[name]]) for name, column in data.columns.items()
    }
    seq, n = views["seq"], len(data)
    spans = derived.spans if len(derived.spans) == n else np.zeros(n, np.uint32)
    implied = implied_durations(views)
    durations = derived.durations if len(derived.durations) == n else implied
    columns = {"process": pa.array(np.full(n, signed(process_id), np.int64))}
    with np.errstate(over="ignore"):
        views["cause"] = np.where(views["cause"] != 0, seq - views["cause"], 0)
    columns |= {"back" if name == "cause" else name: pa.array(view) for name, view in views.items()}
    columns["step_span"] = pa.array(np.where(views["span"] > 0, 0, spans).astype(np.uint32))
    at = positions(seq, data.attrs)
    remote_at = positions(seq, data.remote_causes)
    remote = np.array(list(data.remote_causes.values()), np.uint64).reshape(-1, 2).view(np.int64)
    columns["attrs"] = _placed(n, at, pa.array(list(data.attrs.values()), pa.string()))
    columns["cause_process"] = _placed(n, remote_at, pa.array(remote[:, 0]))
    columns["remote_cause"] = _placed(n, remote_at, pa.array(remote[:, 1]))
    columns["long_ns"] = pa.array(durations, mask=durations == implied)
    late = _late(process_id, data, at, remote_at)
    result: Tables = {"events": pa.table(columns, EVENTS_SCHEMA), "late": late}
    result |= {name: _definitions(process_id, getattr(data, name), table) for name, table in DEFINITIONS.items()}
    owners = np.where(views["span"] > 0, views["span"], spans)
    result["spans"] = _with_places(process_id, result["spans"], owners, seq)
    return result


def signed(number: int) -> int:
    """Return a number of eight bytes as the tables have it."""
    return number - (1 << 64) if number >> 63 else number


def implied_durations(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return how long each event lasted as far as its own ``arg`` tells: short steps, and calls."""
    return np.where(np.isin(columns["kind"], IMPLIED), columns["arg"], 0)


IMPLIED = (12, 14, 15)
"""``life.step``, ``life.call_start``, ``life.call_end``: their ``arg`` is a duration."""


def positions(seq: NDArray[np.int64], wanted: Mapping[int, Any]) -> NDArray[np.int64]:
    """Return the row of each of *wanted*, -1 where it is not there."""
    numbers = np.fromiter(wanted, np.uint64, len(wanted)).view(np.int64)
    if not len(seq):
        return np.full(len(numbers), -1, np.int64)
    order = np.argsort(seq, kind="stable")
    at = order[np.minimum(np.searchsorted(seq, numbers, sorter=order), len(seq) - 1)]
    return np.where(seq[at] == numbers, at, -1)


def _placed(n: int, at: NDArray[np.int64], values: Any) -> Any:
    """Return a column of *n* rows that holds *values* at the rows *at*, null elsewhere."""
    index = np.full(n, -1, np.int64)
    rows = np.flatnonzero(at >= 0)
    index[at[rows]] = rows
    return pc.take(values, pa.array(index, mask=index < 0))


def _late(process_id: int, data: StreamData, at: NDArray[np.int64], remote_at: NDArray[np.int64]) -> Any:
    attrs = {seq: text for (seq, text), row in zip(data.attrs.items(), at.tolist(), strict=True) if row < 0}
    remote = {seq: c for (seq, c), row in zip(data.remote_causes.items(), remote_at.tolist(), strict=True) if row < 0}
    return late_table(process_id, attrs, remote)


def late_table(
    process_id: int,
    attrs: Mapping[int, str] | None = None,
    remote: Mapping[int, tuple[int, int]] | None = None,
    long_ns: Mapping[int, int] | None = None,
) -> Any:
    """Return what became known of events of earlier segments.

    Args:
        process_id: Whose events they are.
        attrs: Attributes by sequence number.
        remote: Causes in other processes by sequence number.
        long_ns: Durations by sequence number.
    """
    attrs, remote, long_ns = attrs or {}, remote or {}, long_ns or {}
    seqs = sorted({*attrs, *remote, *long_ns})
    causes = [remote.get(seq) for seq in seqs]
    return pa.table(
        {
            "process": pa.array([signed(process_id)] * len(seqs), pa.int64()),
            "seq": pa.array([signed(seq) for seq in seqs], pa.int64()),
            "attrs": pa.array([attrs.get(seq) for seq in seqs], pa.string()),
            "cause_process": pa.array([c and signed(c[0]) for c in causes], pa.int64()),
            "remote_cause": pa.array([c and signed(c[1]) for c in causes], pa.int64()),
            "long_ns": pa.array([long_ns.get(seq) for seq in seqs], pa.int64()),
        },
        LATE_SCHEMA,
    )


def _definitions(process_id: int, rows: Mapping[int, Row], table: schema.TableSpec) -> Any:
    ordered = [rows[number] for number in sorted(rows)]
    cells = list(zip(*ordered, strict=True)) if ordered else [()] * len(table.columns)
    columns: dict[str, Any] = {"process": pa.array(np.full(len(ordered), signed(process_id), np.int64))}
    for spec, values in zip(table.columns, cells, strict=True):
        if spec.holds == "string":
            columns[spec.name] = pa.array(values, pa.string())
        else:
            numbers = np.array(values, f"u{spec.width}")
            columns[spec.name] = pa.array(numbers.view(_DTYPES[spec.width]))
    return pa.table(columns)


def _with_places(process_id: int, spans: Any, owners: NDArray[Any], seq: NDArray[np.int64]) -> Any:
    """Add to the spans where their events stand, and rows for those that are not defined here."""
    found, inverse, counts = np.unique(owners, return_inverse=True, return_counts=True)
    first = np.full(len(found), np.iinfo(np.int64).max)
    last = np.full(len(found), np.iinfo(np.int64).min)
    np.minimum.at(first, inverse, seq)
    np.maximum.at(last, inverse, seq)
    keep = found > 0
    places = pa.table(
        {
            "process": pa.array(np.full(int(keep.sum()), signed(process_id), np.int64)),
            "id": pa.array(found[keep].astype(np.uint32)),
            "first_seq": pa.array(first[keep]),
            "last_seq": pa.array(last[keep]),
            "events": pa.array(counts[keep].astype(np.int64)),
        }
    )
    joined = spans.join(places, ["process", "id"], join_type="full outer").sort_by("id")
    return joined.select(SCHEMAS["spans"].names).cast(SCHEMAS["spans"])


def joined_late(first: Any, second: Any) -> Any:
    """Put two tables of what came late one after the other."""
    return pa.concat_tables([first, second])


def concatenated(pieces: Sequence[Tables]) -> Tables:
    """Put the tables of several processes, or of several times, one after the other."""
    return {name: pa.concat_tables([piece[name] for piece in pieces]) for name in SCHEMAS}


def piece_of(tables: Tables, process_id: int) -> Piece:
    """Return what tables hold of one process, as ``StreamData`` takes it.

    Args:
        tables: Of ``SCHEMAS``; may hold other processes too.
        process_id: Which one.
    """
    own = {name: _only(table, signed(process_id)) for name, table in tables.items()}
    events, late = own["events"], own["late"]
    columns = {name: _numbers(events["back" if name == "cause" else name], WIDTHS[name]) for name in WIDTHS}
    with np.errstate(over="ignore"):
        columns["cause"] = np.where(columns["cause"] != 0, columns["seq"] - columns["cause"], 0)
    attrs: dict[int, str] = {}
    remote: dict[int, tuple[int, int]] = {}
    for table in (events, late):
        with_attrs = table.select(["seq", "attrs"]).filter(pc.is_valid(table["attrs"]))
        attrs.update(zip(_unsigned(with_attrs["seq"]), with_attrs["attrs"].to_pylist(), strict=True))
        caused = table.select(["seq", "cause_process", "remote_cause"]).filter(pc.is_valid(table["cause_process"]))
        causes = zip(_unsigned(caused["cause_process"]), _unsigned(caused["remote_cause"]), strict=True)
        remote.update(zip(_unsigned(caused["seq"]), causes, strict=True))
    rows = {name: _rows(own[name], table) for name, table in DEFINITIONS.items()}
    raw = {name: column.tobytes() for name, column in columns.items()}
    return Piece(raw, attrs, remote, rows["entities"], rows["sites"], rows["spans"])


def _only(table: Any, process: int) -> Any:
    column = table["process"]
    if not len(column):
        return table
    found = pc.min_max(column)
    if found["min"].as_py() == found["max"].as_py() == process:
        return table
    return table.filter(pc.equal(column, process))


def _numbers(column: Any, width: int) -> NDArray[Any]:
    return column.to_numpy().astype(_DTYPES[width], copy=False)


def _unsigned(column: Any) -> list[int]:
    return column.to_numpy().astype(np.int64, copy=False).view(np.uint64).tolist()


def _rows(table: Any, spec: schema.TableSpec) -> dict[int, Row]:
    if spec is schema.SPANS:
        table = table.filter(pc.is_valid(table["name"]))
    cells: list[Any] = []
    for column in spec.columns:
        values = table[column.name]
        wide = column.holds == "number" and column.width == 8
        cells.append(_unsigned(values) if wide else values.to_pylist())
    return {row[0]: row for row in zip(*cells, strict=True)}


def folded(tables: Tables) -> Tables:
    """Make tables of several times into those of one: late attributes join their events, definitions stand once.

    Args:
        tables: Rows of one process stand together, later ones after earlier ones.
    """
    result = dict(tables)
    if len(tables["late"]):
        result["events"], result["late"] = _patched(tables["events"], tables["late"])
    for name in ("entities", "sites"):
        result[name] = tables[name].take(_last_of_each(tables[name]))
    result["spans"] = _folded_spans(tables["spans"])
    return result


def _last_of_each(table: Any) -> Any:
    """Return the rows that hold the last definition of each number, by process and number."""
    numbered = table.select(["process", "id"]).append_column("row", pa.array(np.arange(len(table))))
    last = numbered.group_by(["process", "id"]).aggregate([("row", "max")])
    return last.sort_by([("process", "ascending"), ("id", "ascending")])["row_max"]


def _folded_spans(spans: Any) -> Any:
    keys = ["process", "id"]
    defined = spans.filter(pc.is_valid(spans["name"]))
    defined = defined.take(_last_of_each(defined)).drop_columns(["first_seq", "last_seq", "events"])
    places = spans.group_by(keys).aggregate([("first_seq", "min"), ("last_seq", "max"), ("events", "sum")])
    places = places.rename_columns([*keys, "first_seq", "last_seq", "events"])
    joined = places.join(defined, keys, join_type="left outer")
    return joined.sort_by([(key, "ascending") for key in keys]).select(spans.schema.names).cast(spans.schema)


def _patched(events: Any, late: Any) -> tuple[Any, Any]:
    """Put what came late beside its events; return them and what still has none."""
    keys = ["process", "seq"]
    names = [name for name, _ in _PATCH]
    # The last value of each that is known.
    latest = late.group_by(keys, use_threads=False).aggregate([(name, "last") for name in names])
    latest = latest.rename_columns([*keys, *(f"late_{name}" for name in names)])
    numbered = events.append_column("row", pa.array(np.arange(len(events))))
    joined = numbered.join(latest, keys, join_type="left outer").sort_by("row")
    for name in names:
        value = pc.coalesce(joined[f"late_{name}"], joined[name])
        joined = joined.set_column(joined.schema.get_field_index(name), name, value)
    rest = late.join(events.select(keys), keys, join_type="left anti").sort_by([(key, "ascending") for key in keys])
    return joined.select(events.schema.names).cast(events.schema), rest.select(late.schema.names)
