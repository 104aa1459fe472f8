"""The indexer: runs and findings of what is stored, on each kind of database."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from benchmarks.synthetic import write_recording
from tests.support.recordings import Process
from tests.support.stored import put, put_processes, rows_of, runs_in

from clew.analysis.runs import runs_of
from clew.analysis.timeline import timelines_of
from clew.format.reader import open_recording
from clew.model.kinds import EventKind, Outcome, SpanKind, SpanRole
from clew.server import indexer
from clew.server.indexer import index_changed, index_process
from clew.store import run_index, schema
from clew.store.retention import delete_processes
from clew.store.store import Store

K = EventKind
A, B = f"{0xA1:016x}", f"{0xB2:016x}"


def caller(*, is_over: bool = True) -> Process:
    process = Process(0xA1, service="shop")
    process.end = {"reason": "exit"} if is_over else None
    buy = process.span("buy", span_id=71, role=SpanRole.RUN)
    process.event(0, K.LIFE_SPAN_START, process.main, span=buy)
    if is_over:
        process.event(900, K.LIFE_SPAN_END, process.main, span=buy, outcome=Outcome.OK)
    return process


def callee() -> Process:
    process = Process(0xB2, service="bank")
    pay = process.span("POST /pay", span_id=72, parent_span_id=71, kind=SpanKind.SERVER)
    process.event(100, K.LIFE_SPAN_START, process.main, span=pay)
    raised = process.event(150, K.ERROR_RAISED, process.main, span=pay, attrs={"type": "KeyError", "message": "x"})
    process.event(
        160, K.ERROR_UNHANDLED, process.main, span=pay, entity=process.main, cause=raised,
        attrs={"type": "KeyError", "message": "x"},
    )  # fmt: skip
    process.event(500, K.LIFE_SPAN_END, process.main, span=pay, outcome=Outcome.FAILED)
    return process


def test_a_run_is_the_same_whichever_of_its_processes_came_first(store: Store, tmp_path: Path) -> None:
    """The row of a run is made of what all its processes know."""
    put_processes(store, tmp_path, callee())
    alone = runs_in(store)
    put_processes(store, tmp_path, caller())
    (run,) = runs_in(store).values()

    assert [(row.service, row.entry, row.processes) for row in alone.values()] == [("bank", "request", 1)]
    assert [reason["reason"] for reason in json.loads(alone["POST /pay"].health)] == ["parent-not-recorded"]
    assert (run.name, run.service, run.process_id, run.status) == ("buy", "shop", A, "succeeded")
    assert (json.loads(run.services), run.processes, run.events, run.errors) == (["bank", "shop"], 2, 6, 1)
    assert (run.findings, run.health) == (1, "[]")
    assert run.revision > alone["POST /pay"].revision


def test_findings_say_which_run_they_are_of(store: Store, tmp_path: Path) -> None:
    """A finding stands with the run in which it happened."""
    put_processes(store, tmp_path, callee())

    (finding,) = rows_of(store, schema.findings)
    (run,) = runs_in(store).values()

    assert (finding.run_id, finding.process_id, finding.kind) == (run.run_id, B, "unhandled-error")
    assert json.loads(finding.document)["title"] == finding.title


def test_indexing_again_changes_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    """What is known already is not written again: followers of the store hear nothing of it."""
    store = sqlite_store
    put_processes(store, tmp_path, caller(), callee())
    before = [rows_of(store, table) for table in (schema.runs, schema.run_parts, schema.findings)]

    assert index_changed(store) == 0
    assert index_process(store, A) is False
    with store.write() as connection:
        connection.execute(sa.update(schema.processes).values(indexed_revision=1, revision=99))
    assert index_process(store, A) is True

    assert [rows_of(store, table) for table in (schema.runs, schema.run_parts, schema.findings)] == before


def test_a_run_follows_its_process(sqlite_store: Store, tmp_path: Path) -> None:
    """What is open while its process runs has succeeded when the rest came."""
    put_processes(sqlite_store, tmp_path, caller(is_over=False))
    running = runs_in(sqlite_store)["buy"]
    put_processes(sqlite_store, tmp_path, caller())
    done = runs_in(sqlite_store)["buy"]

    assert (running.status, done.status) == ("running", "succeeded")
    assert (running.events, done.events) == (1, 2)
    assert done.revision > running.revision


def test_a_deleted_process_leaves_the_run_to_the_others(store: Store, tmp_path: Path) -> None:
    """What is left of a run is put together again; what nobody knows any more is gone."""
    put_processes(store, tmp_path, caller(), callee())

    delete_processes(store, [A])
    index_changed(store)
    left = runs_in(store)
    delete_processes(store, [B])
    index_changed(store)

    assert [(row.name, row.processes) for row in left.values()] == [("POST /pay", 1)]
    assert runs_in(store) == {}
    assert rows_of(store, schema.run_parts) == []
    assert index_process(store, A) is False


def test_parts_that_are_gone_are_removed(store: Store, tmp_path: Path) -> None:
    """A run that its process no longer knows of is not listed any more."""
    put_processes(store, tmp_path, callee())
    with store.write() as connection:
        run_index.write_parts(connection, B, {"9" * 32: "{}"}, all_changed=False)
        connection.execute(sa.update(schema.runs).values(run_id="9" * 32))
        connection.execute(sa.update(schema.processes).values(indexed_revision=0))

    index_changed(store)

    assert [row.run_id for row in rows_of(store, schema.run_parts)] == [
        row.run_id for row in rows_of(store, schema.runs)
    ]
    assert "9" * 32 not in {row.run_id for row in rows_of(store, schema.runs)}


def test_workers_at_one_time_agree(store: Store, tmp_path: Path) -> None:
    """However many index the same processes at once, the runs are those of the recording."""
    write_recording(tmp_path / "made.clew", 6_000, processes=3)
    put(store, tmp_path / "made.clew", is_indexed=False)
    process_ids = [row.process_id for row in store.changes(0)] * 3

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda process_id: index_process(store, process_id), process_ids))

    recorded = runs_of(timelines_of(open_recording(tmp_path / "made.clew")))
    told = sorted((run.id, run.name, run.status, run.events, run.duration_ns, len(run.spans)) for run in recorded)
    rows = rows_of(store, schema.runs)
    assert sorted((r.run_id, r.name, r.status, r.events, r.duration_ns, r.spans) for r in rows) == told
    assert run_index.unindexed(store) == []


def test_what_is_wrong_with_one_process_leaves_the_others_alone(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot be indexed is logged, and not tried again before it says something more."""
    put_processes(sqlite_store, tmp_path, caller(), callee(), is_indexed=False)
    index = indexer.index_process

    def fail(store: Store, process_id: str) -> bool:
        if process_id == A:
            raise ValueError("broken")
        return index(store, process_id)

    monkeypatch.setattr(indexer, "index_process", fail)

    assert (index_changed(sqlite_store), index_changed(sqlite_store)) == (1, 0)
    assert [row.name for row in rows_of(sqlite_store, schema.runs)] == ["POST /pay"]


def test_times_beyond_what_the_catalog_holds_are_kept_within(sqlite_store: Store, tmp_path: Path) -> None:
    """A clock that nobody can have stops no index."""
    process = caller()
    process.head["wall_ns"] = (1 << 62) - 1
    for row in range(len(process.columns["t_ns"])):
        process.columns["t_ns"][row] = (1 << 63) - 10 + row

    put_processes(sqlite_store, tmp_path, process)

    assert runs_in(sqlite_store)["buy"].started_ns == (1 << 63) - 1


def test_names_that_a_database_cannot_hold_are_written_down_all_the_same(store: Store, tmp_path: Path) -> None:
    """Zero bytes in what a program says stop no index."""
    process = Process(0xA1, service="sh\0op")
    work = process.span("b\0uy", span_id=71)
    process.event(0, K.LIFE_SPAN_START, process.main, span=work)
    attrs = {"type": "Key\0Error", "message": "x"}
    process.event(160, K.ERROR_UNHANDLED, process.main, span=work, entity=process.main, attrs=attrs)

    put_processes(store, tmp_path, process)

    assert [(row.name, row.service) for row in rows_of(store, schema.runs)] == [("b\\0uy", "sh\\0op")]
    assert [row.title for row in rows_of(store, schema.findings)] == [
        "Key\\0Error: x was not handled in thread MainThread"
    ]
