"""A recording as Arrow tables: what ``clew sql`` and the store's segments are made of.

Texts that repeat (kinds, names, places) are dictionary-encoded: a row costs an index, and
grouping a million events by kind touches a million bytes.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false
# pyarrow carries no types.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clew.analysis.columns import positions_of
from clew.analysis.runs import runs_of
from clew.analysis.steps import durations_of_events
from clew.analysis.summary import processes_of
from clew.model.kinds import (
    SCOPE_KINDS,
    EntityKind,
    EventKind,
    Operation,
    Outcome,
    slug_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from clew.analysis.runs import Run
    from clew.analysis.timeline import ProcessTimeline
    from clew.model.kinds import Vocabulary

MAX_DENSE = 1 << 20
TABLES = ("processes", "runs", "spans", "events", "entities", "scopes", "sites", "edges")


def tables_of(
    timelines: list[ProcessTimeline], wanted: Iterable[str] = TABLES, columns: frozenset[str] | None = None
) -> dict[str, Any]:
    """Return the tables of a recording.

    Args:
        timelines: Its processes.
        wanted: Some of ``TABLES``; others are not built.
        columns: Of the events, only those among these names; None for all. Naming a million
            places takes longer than counting them.
    """
    makers: dict[str, Callable[[list[ProcessTimeline]], Any]] = {
        "processes": _processes,
        "runs": lambda found: _runs(runs_of(found)),
        "spans": _all_spans,
        "events": lambda found: pa.concat_tables([_events(timeline, columns) for timeline in found]),
        "entities": _all_entities,
        "scopes": _scopes,
        "sites": lambda found: pa.concat_tables([_sites(timeline) for timeline in found]),
        "edges": lambda found: pa.concat_tables([_edges(timeline) for timeline in found]),
    }
    return {name: makers[name](timelines) for name in wanted}


def _all_spans(timelines: list[ProcessTimeline]) -> pa.Table:
    runs = runs_of(timelines)
    return pa.concat_tables([_spans(timeline, i, runs) for i, timeline in enumerate(timelines)])


def _all_entities(timelines: list[ProcessTimeline]) -> pa.Table:
    return pa.concat_tables([_entities(timeline) for timeline in timelines])


def _scopes(timelines: list[ProcessTimeline]) -> pa.Table:
    entities = _all_entities(timelines)
    kinds = [slug for kind in SCOPE_KINDS if (slug := slug_of(EntityKind, kind))]
    return entities.filter(pc.is_in(entities["kind"].cast(pa.string()), pa.array(kinds)))


def _events(timeline: ProcessTimeline, wanted: frozenset[str] | None) -> pa.Table:
    columns, data = timeline.columns, timeline.data
    entities, spans, sites = data.entities, data.spans, data.sites

    def named(column: str, names: dict[int, str]) -> pa.Array:
        return _named(columns[column], names)

    # Each column is made only if it is asked for.
    makers: dict[str, Callable[[], Any]] = {
        "process": lambda: _constant(timeline.stream.id, len(columns["seq"])),
        "service": lambda: _constant(timeline.service, len(columns["seq"])),
        "seq": lambda: pa.array(columns["seq"]),
        "t_ns": lambda: pa.array(columns["t_ns"] + timeline.shift_ns),
        "at": lambda: pa.array((columns["t_ns"] + _wall_offset(timeline)) // 1000).cast(pa.timestamp("us")),
        "kind": lambda: _slugs(columns["kind"], EventKind),
        "op": lambda: _slugs(columns["op"], Operation),
        "outcome": lambda: _slugs(columns["outcome"], Outcome),
        "scope": lambda: named("scope", {number: row[2] or row[3] for number, row in entities.items()}),
        "scope_id": lambda: _positive(columns["scope"]),
        "entity": lambda: named("entity", {number: row[2] or row[3] for number, row in entities.items()}),
        "entity_kind": lambda: named("entity", {n: slug_of(EntityKind, row[1]) or "" for n, row in entities.items()}),
        "entity_id": lambda: _positive(columns["entity"]),
        "run": lambda: _named(
            timeline.span_of_event, {number: f"{row[1] << 64 | row[2]:032x}" for number, row in spans.items()}
        ),
        "span": lambda: _named(timeline.span_of_event, {number: row[9] for number, row in spans.items()}),
        "span_id": lambda: pa.array(timeline.span_of_event),
        "file": lambda: named("site", {number: row[1] for number, row in sites.items()}),
        "line": lambda: _numbers(columns["site"], {number: row[2] for number, row in sites.items()}),
        "function": lambda: named("site", {number: row[3] for number, row in sites.items()}),
        "wait_ns": lambda: pa.array(columns["wait_ns"]),
        "duration_ns": lambda: _positive(durations_of_events(columns, timeline.steps)),
        "arg": lambda: pa.array(columns["arg"]),
        "cause": lambda: _positive(columns["cause"]),
        "cause_process": lambda: _remote(timeline),
        "attrs": lambda: named("seq", data.attrs),
    }
    names = [name for name in makers if wanted is None or name in wanted] or ["seq"]
    return pa.table({name: makers[name]() for name in names})


def _wall_offset(timeline: ProcessTimeline) -> int:
    head = timeline.stream.process
    wall, monotonic = head.get("wall_ns"), head.get("monotonic_ns")
    return wall - monotonic if type(wall) is int and type(monotonic) is int else 0


def _constant(value: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


def _slugs(numbers: NDArray[Any], vocabulary: Vocabulary) -> pa.Array:
    """Name the numbers of an enumeration; null for 0 and, as text, for what is not known."""
    present = np.unique(numbers)
    names = [slug_of(vocabulary, int(number)) if number else None for number in present]
    texts = [name if name is not None else f"#{number}" for name, number in zip(names, present, strict=True)]
    index = np.zeros(256, np.int32)
    index[present] = np.arange(len(present))
    mask = np.array([not number for number in present])[index[numbers]] if len(present) else None
    return pa.DictionaryArray.from_arrays(pa.array(index[numbers], mask=mask), pa.array(texts, pa.string()))


def _named(numbers: NDArray[Any], names: dict[int, str]) -> pa.Array:
    """Name the numbers of definitions; null for those that have none."""
    texts: dict[str, int] = {}
    codes = np.fromiter((texts.setdefault(name, len(texts)) for name in names.values()), np.int32, len(names))
    index = _looked_up(numbers, names, codes, -1)
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), pa.array(list(texts), pa.string()))


def _numbers(numbers: NDArray[Any], values: dict[int, int]) -> pa.Array:
    """Give each number its value, which is none below 0; null for those that have none."""
    found = _looked_up(numbers, values, np.fromiter(values.values(), np.int64, len(values)), -1)
    return pa.array(found, mask=found < 0)


def _looked_up(wanted: NDArray[Any], keys: Iterable[int], values: NDArray[Any], default: int) -> NDArray[Any]:
    """Return for each of *wanted* the value of that key, or *default*."""
    known = np.fromiter(keys, np.int64, len(values))
    top = int(known.max()) + 1 if len(known) else 0
    if top <= MAX_DENSE + 10 * len(wanted):
        # Numbers are given one after the other: a table of them is the quickest to ask.
        table = np.full(top + 1, default, values.dtype)
        table[known] = values
        return table[np.minimum(wanted, top)]
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known[order], wanted.astype(np.int64)), len(known) - 1)
    return np.where(known[order][at] == wanted, values[order][at], default)


def _positive(values: NDArray[Any]) -> pa.Array:
    """Return numbers of which 0 means none."""
    return pa.array(values, mask=values <= 0)


def _remote(timeline: ProcessTimeline) -> pa.Array:
    """Return the process of each event's cause: mostly its own."""
    seq, remote = timeline.columns["seq"], timeline.data.remote_causes
    index, mask = np.zeros(len(seq), np.int32), timeline.columns["cause"] <= 0
    processes: dict[int, int] = {}
    codes = [processes.setdefault(process, len(processes) + 1) for process, _ in remote.values()]
    at = positions_of(seq, np.fromiter(remote, np.int64, len(remote)))
    index[at[at >= 0]] = np.array(codes, np.int32)[at >= 0]
    mask[at[at >= 0]] = False
    names = [timeline.stream.id, *(f"{process:016x}" for process in processes)]
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=mask), pa.array(names))


def _processes(timelines: list[ProcessTimeline]) -> pa.Table:
    rows = processes_of(timelines)
    return _table(
        {
            "process": pa.string(), "service": pa.string(), "pid": pa.int64(), "argv": pa.string(),
            "python": pa.string(), "host": pa.string(), "state": pa.string(), "exit": pa.int64(), "signal": pa.string(),
            "start_ns": pa.int64(), "duration_ns": pa.int64(), "events": pa.int64(), "dropped": pa.int64(),
            "tasks": pa.int64(), "threads": pa.int64(), "parent": pa.string(),
        },
        (
            (
                row.process, row.service, row.pid, " ".join(row.argv), row.python,
                str(timeline.stream.process.get("host", "")), row.state, row.exit, row.signal or None, row.start_ns,
                row.duration_ns, row.events, row.dropped, row.tasks, row.threads,
                (timeline.stream.process.get("parent") or [None])[0],
            )
            for row, timeline in zip(rows, timelines, strict=True)
        ),
    )  # fmt: skip


def _runs(runs: list[Run]) -> pa.Table:
    return _table(
        {
            "run": pa.string(), "name": pa.string(), "service": pa.string(), "process": pa.string(),
            "status": pa.string(), "entry": pa.string(), "start_ns": pa.int64(), "duration_ns": pa.int64(),
            "events": pa.int64(), "errors": pa.int64(), "spans": pa.int64(),
        },
        (
            (
                run.id, run.name, run.service, run.process, run.status, run.entry, run.start_ns, run.duration_ns,
                run.events, run.errors, len(run.spans),
            )
            for run in runs
        ),
    )  # fmt: skip


def _spans(timeline: ProcessTimeline, position: int, runs: list[Run]) -> pa.Table:
    spans = [(run.id, span) for run in runs for span in run.spans if span.process == position]
    return _table(
        {
            "process": pa.string(), "service": pa.string(), "span_id": pa.int64(), "run": pa.string(),
            "id": pa.string(), "parent_id": pa.string(), "name": pa.string(), "kind": pa.string(),
            "role": pa.string(), "effect": pa.string(), "start_ns": pa.int64(), "duration_ns": pa.int64(),
            "outcome": pa.string(), "events": pa.int64(), "scope": pa.string(), "attrs": pa.string(),
            "result": pa.string(),
        },
        (
            (
                timeline.stream.id, timeline.service, span.number, run, f"{span.span_id:016x}",
                f"{span.parent_span_id:016x}" if span.parent_span_id else None, span.name, span.kind, span.role,
                span.effect or None, span.start_ns, span.end_ns - span.start_ns, span.outcome or None, span.events,
                timeline.name_of(span.scope), _attrs(timeline, span.start_row), _attrs(timeline, span.end_row),
            )
            for run, span in sorted(spans, key=lambda item: item[1].number)
        ),
    )  # fmt: skip


def _attrs(timeline: ProcessTimeline, row: int) -> str | None:
    return timeline.data.attrs.get(int(timeline.columns["seq"][row])) if row >= 0 else None


def _entities(timeline: ProcessTimeline) -> pa.Table:
    rows = timeline.data.entities
    n = len(rows)
    numbers = sorted(rows)
    sites = timeline.data.sites
    ordered = [rows[number] for number in numbers]
    place = [sites.get(row[5]) for row in ordered]
    return pa.table(
        {
            "process": _constant(timeline.stream.id, n),
            "entity_id": pa.array(numbers, pa.int64()),
            "kind": pa.array([slug_of(EntityKind, row[1]) for row in ordered], pa.string()).dictionary_encode(),
            "name": pa.array([row[2] for row in ordered], pa.string()),
            "type": pa.array([row[3] for row in ordered], pa.string()).dictionary_encode(),
            "parent_id": pa.array([row[4] or None for row in ordered], pa.int64()),
            "span_id": pa.array([row[6] or None for row in ordered], pa.int64()),
            "file": pa.array([site[1] if site else None for site in place], pa.string()).dictionary_encode(),
            "line": pa.array([site[2] if site else None for site in place], pa.int64()),
            "detail": pa.array([row[7] or None for row in ordered], pa.string()),
        }
    )


def _sites(timeline: ProcessTimeline) -> pa.Table:
    return _table(
        {
            "process": pa.string(),
            "site_id": pa.int64(),
            "file": pa.string(),
            "line": pa.int64(),
            "function": pa.string(),
        },
        ((timeline.stream.id, *row) for _, row in sorted(timeline.data.sites.items())),
    )


def _edges(timeline: ProcessTimeline) -> pa.Table:
    """List the causes: which event directly enabled which."""
    columns, data = timeline.columns, timeline.data
    own = timeline.stream.id
    rows = np.flatnonzero(columns["cause"] > 0)
    local = pa.table(
        {
            "from_process": _constant(own, len(rows)).cast(pa.string()),
            "from_seq": pa.array(columns["cause"][rows].astype(np.int64)),
            "to_process": _constant(own, len(rows)).cast(pa.string()),
            "to_seq": pa.array(columns["seq"][rows].astype(np.int64)),
            "kind": _slugs(columns["kind"][rows], EventKind).cast(pa.string()),
        }
    )
    remote = _table(
        {
            "from_process": pa.string(),
            "from_seq": pa.int64(),
            "to_process": pa.string(),
            "to_seq": pa.int64(),
            "kind": pa.string(),
        },
        ((f"{process:016x}", cause, own, seq, "remote") for seq, (process, cause) in data.remote_causes.items()),
    )
    return pa.concat_tables([local, remote])


def _table(columns: dict[str, Any], rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Build a small table from rows."""
    found = list(rows)
    cells = list(zip(*found, strict=True)) if found else [()] * len(columns)
    return pa.table({name: pa.array(values, kind) for (name, kind), values in zip(columns.items(), cells, strict=True)})
