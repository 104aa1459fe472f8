"""Works out the runs and findings of processes that said something, and writes them to the catalog.

A process is indexed by itself. Any number of workers may do it at one time: what counts is
what was read last, and the rows of a run are made from the parts of all its processes in one
transaction, in which nobody else writes.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
from sqlalchemy.exc import DBAPIError

from clew.analysis.findings import unhandled_errors_by
from clew.analysis.run_parts import RunPart, merge, parts_of
from clew.analysis.runs import own_span_of, owning_spans
from clew.analysis.timeline import ProcessTimeline
from clew.convert.stored import streams_of
from clew.format.clocks import wall_offset
from clew.model.garbage import uncollected
from clew.server.logs import log
from clew.store import run_index
from clew.store.batch import storable
from clew.store.errors import StoreUnavailableError
from clew.store.run_index import FindingRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from clew.analysis.run_parts import WholeRun
    from clew.format.reader import Stream
    from clew.store.run_index import Changed
    from clew.store.store import Store

_LIMIT = (1 << 63) - 1
"""Numbers of the catalog are signed and have eight bytes."""


def index_changed(store: Store) -> int:
    """Index every process that said something since the last time; return how many.

    What is wrong with one process is logged, and leaves the others alone: it is looked at again
    when it says something more.

    Raises:
        StoreUnavailableError: The store is away.
    """
    done = 0
    for process_id, revision in run_index.unindexed(store):
        try:
            done += index_process(store, process_id)
        except (DBAPIError, StoreUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, other processes are not to wait for its mending
            log(logging.ERROR, "a process cannot be indexed", process=process_id, error=error)
            with store.write() as connection:
                run_index.set_indexed(connection, process_id, revision)
    return done


def index_process(store: Store, process_id: str) -> bool:
    """Work out the runs and findings of a process from all that is stored of it.

    Args:
        store: Where.
        process_id: 16 hexadecimal digits; nothing is done for one that is deleted.

    Returns:
        Whether anything was written: not if a worker that knew as much was here before.

    Complexity: O(n log n) for n events; what is written is what changed.
    """
    with uncollected():
        return _index(store, process_id)


def _index(store: Store, process_id: str) -> bool:
    streams = streams_of(store, [process_id])
    if not streams:
        return False
    stream = streams[0]
    timeline = ProcessTimeline(cast("Stream", stream), wall_offset(stream.process))
    parts = {part.run: part for part in parts_of(timeline)}
    documents = {run: _dumps(part.to_json()) for run, part in parts.items()}
    findings = _findings(timeline)
    with store.write() as connection:
        before = run_index.indexed_revision(connection, process_id)
        if before is None or before >= stream.revision:
            return False
        changed = run_index.write_parts(connection, process_id, documents, all_changed=before == 0)
        changed.run_ids.update(run_index.write_findings(connection, process_id, findings) & parts.keys())
        _write_runs(connection, process_id, stream.process, parts, changed)
        run_index.set_indexed(connection, process_id, stream.revision)
    return True


def _write_runs(
    connection: Connection, process_id: str, head: Mapping[str, Any], parts: Mapping[str, RunPart], changed: Changed
) -> None:
    heads: dict[str, Mapping[str, Any]] = {process_id: head}
    members: dict[str, list[RunPart]] = {run: [parts[run]] for run in changed.run_ids if run in parts}
    for foreign in changed.foreign:
        part = RunPart.from_json(foreign.run_id, foreign.process_id, json.loads(foreign.document))
        if part is not None:
            members.setdefault(foreign.run_id, []).append(part)
            if foreign.process_id not in heads:
                heads[foreign.process_id] = json.loads(foreign.head)
    counts = run_index.findings_of_runs(connection, process_id, changed.run_ids)
    rows = [_row(merge(found, heads), counts.get(run, 0)) for run, found in sorted(members.items())]
    run_index.write_runs(connection, rows, changed.run_ids - members.keys())


def _row(run: WholeRun, findings: int) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "name": storable(run.name),
        "service": storable(run.service),
        "services": _dumps(run.services),
        "environment": storable(run.environment),
        "process_id": run.process,
        "entry": run.entry,
        "status": run.status,
        "mode": "live",
        "started_ns": _bounded(run.started_ns),
        "duration_ns": _bounded(run.duration_ns),
        "events": run.events,
        "errors": run.errors,
        "spans": run.spans,
        "processes": len(run.processes),
        "findings": findings,
        "health": _dumps(run.health),
    }


def _findings(timeline: ProcessTimeline) -> list[FindingRow]:
    """Return the findings of a process, those of each run by themselves.

    What happened in no span belongs to the process's own run.
    """
    spans, own = timeline.data.spans, own_span_of(timeline)

    def run_of(_: Stream, rows: Sequence[int]) -> list[str]:
        numbers = owning_spans(timeline, np.array(rows, np.int64)).tolist()
        owners = [spans.get(number or own) for number in numbers]
        return [f"{span[1] << 64 | span[2]:032x}" if span is not None else "" for span in owners]

    return [
        FindingRow(
            run, finding.kind, finding.severity, finding.confidence, storable(finding.title), finding.fingerprint,
            _dumps(finding.to_json()),
        )
        for run, finding in unhandled_errors_by([timeline.stream], run_of)
    ]  # fmt: skip


def _bounded(number: int) -> int:
    return max(-_LIMIT, min(number, _LIMIT))


def _dumps(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, in a name that a program gave
        return json.dumps(value, separators=(",", ":"))
