"""SQL over the store: the same answers as over a recording, and nothing else that can be reached."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from benchmarks import synthetic
from tests.support.chunks import event_chunk
from tests.support.compacting import chunks_of, compact, send
from tests.support.recordings import Process, write

from clew.analysis.timeline import ProcessTimeline, timelines_of
from clew.convert.arrow import tables_of
from clew.convert.stored_sql import open_surface, query
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole
from clew.server.indexer import index_process
from clew.store import compaction, local_files, retention, schema, sql, surface
from clew.store.sql import SqlError
from clew.store.store import Store

SHARED = {
    "processes": "process", "spans": "process, span_id", "events": "process, seq", "entities": "process, entity_id",
    "scopes": "process, entity_id", "sites": "process, site_id", "edges": "to_process, to_seq, kind, from_seq",
    "runs": "run",
}  # fmt: skip
"""Tables that ``clew sql`` has too, and an order in which their rows can be compared."""


def two_processes(folder: Path) -> Path:
    """A recording with everything a table has a column for, and what no recorder writes."""
    parent = Process(0xA1, service="bank", argv=["python", "bank.py"], python="3.11.7", pid=100)
    site = parent.site(31, "transfer")
    run = parent.span("bank", role=SpanRole.RUN)
    call = parent.span("select", parent=run, kind=SpanKind.CLIENT, op=Operation.DB, parent_span_id=1)
    lost = parent.span("its start was dropped", parent=run)
    task = parent.task("Task-1", "work", span=call, site=site)
    parent.event(0, EventKind.LIFE_PROCESS_START, parent.main, entity=parent.process, span=run)
    parent.event(1, EventKind.LIFE_RUN_START, parent.main, entity=parent.process, span=run)
    parent.event(2, EventKind.LIFE_TASK_START, parent.main, entity=task, span=run)
    long_step = parent.event(3, EventKind.LIFE_STEP, task, cause=3)
    parent.step(3.5, parent.main, 0.25)
    parent.event(4, EventKind.EFFECT_CALL, task, span=call, op=Operation.DB, site=site, attrs={"sql": "select 1"})
    parent.event(5, EventKind.EFFECT_RESULT, task, span=call, op=Operation.DB, outcome=Outcome.FAILED, attrs={"n": 1})
    parent.event(6, EventKind.ERROR_RAISED, task, span=lost, remote_cause=(0xB2 << 56, 3))
    parent.event(7, EventKind.LIFE_SPAN_END, task, span=lost, outcome=Outcome.OK)
    parent.event(8, EventKind.LIFE_STEP_END, task, cause=long_step, arg=5_000)
    parent.event(9, EventKind.EFFECT_CALL, parent.main, op=Operation.SUBPROCESS, attrs={"pid": 200})
    parent.event(10, EventKind.EFFECT_RESULT, parent.main, op=Operation.SUBPROCESS, cause=11, attrs={"returncode": 3})
    parent.event(11, 250, task, op=251, outcome=252, entity=77)
    parent.event(12, EventKind.LIFE_PROCESS_END, parent.main, entity=parent.process, span=run)
    child = Process(0xB2 << 56, service="cart", pid=200, parent=["00000000000000a1", 11])
    child.event(6, EventKind.LIFE_PROCESS_START, child.main, entity=child.process)
    child.event(7, EventKind.GAP_DROPPED, child.main, arg=4)
    child.columns["seq"][1] = 2
    child.event(8, EventKind.SYNC_ACQUIRED, child.main, entity=child.entity(EntityKind.LOCK, "Cart.lock"), wait_ns=7)
    child.columns["seq"][2] = 6
    child.end = None
    return write(folder / "two.clew", parent, child)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That recording."""
    return two_processes(tmp_path_factory.mktemp("surface"))


@pytest.fixture
def filled(sqlite_store: Store, folder: Path) -> Store:
    """A store that holds it, in a segment."""
    send(sqlite_store, chunks_of(folder))
    compact(sqlite_store, now_ns=1 << 62)
    return sqlite_store


def expected_tables(folder: Path) -> tuple[dict[str, pa.Table], int]:
    """The tables of ``clew sql``, and the time of day at which its clock stands at 0."""
    timelines: list[ProcessTimeline] = timelines_of(open_recording(folder))
    head = timelines[0].stream.process
    return tables_of(timelines), head["wall_ns"] - head["monotonic_ns"] - timelines[0].shift_ns


def compare(store: Store, folder: Path, tables: list[str]) -> None:
    """Hold the answers of the store against those of the recording, row by row."""
    expected, zero_ns = expected_tables(folder)
    for table in tables:
        # The time of day is that of the common clock here, and of each process's own there.
        names = [name for name in expected[table].column_names if name != "at"]
        columns = [
            f'"{name}"' if name not in ("t_ns", "start_ns") else f"{name} - {zero_ns} as {name}" for name in names
        ]
        found = query(store, f"select {', '.join(columns)} from {table} order by {SHARED[table]}", limit=10**6)
        wanted = sql.query(expected, f"select {', '.join(map(repr_of, names))} from {table} order by {SHARED[table]}")
        assert found.rows == wanted.rows, table
        assert found.names == names


def repr_of(name: str) -> str:
    """A name as SQL writes it."""
    return f'"{name}"'


def test_it_answers_as_over_the_recording(store, folder):
    """Every table that both have holds the same rows, from segments and from chunks."""
    tables = [table for table in SHARED if table != "runs"]
    send(store, chunks_of(folder))
    compare(store, folder, tables)

    compact(store, now_ns=1 << 62)

    compare(store, folder, tables)


def test_a_large_recording_reads_the_same(sqlite_store, tmp_path):
    """Segments of several times, chunks beside them, and steps that ended in a later segment agree with the recording."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "CHUNK_EVENTS", 2_000)
        folder = synthetic.write_recording(tmp_path / "large.clew", 12_000, processes=2)
    chunks = chunks_of(folder)
    for half in (chunks[: len(chunks) // 2], chunks[len(chunks) // 2 : -3]):
        send(sqlite_store, half)
        compact(sqlite_store, now_ns=1 << 62)
    send(sqlite_store, chunks[-3:])
    exact = ["entities", "scopes", "sites", "edges", "processes"]
    compare(sqlite_store, folder, exact)

    compact(sqlite_store, now_ns=1 << 62)

    compare(sqlite_store, folder, [*exact, "events", "spans"])


def test_a_run_is_confined_to_itself(filled, folder):
    """With a run, events and spans are those of the run, and definitions those of its processes."""
    for process in ("00000000000000a1", f"{0xB2 << 56:016x}"):
        index_process(filled, process)
    expected, _ = expected_tables(folder)
    (run,) = sql.query(expected, "select run from runs").rows[0]
    wanted = sql.query(expected, f"select seq from events where run = '{run}' order by seq").rows

    assert query(filled, "select seq from events order by seq", run=run).rows == wanted
    assert query(filled, "select distinct run from spans", run=run).rows == [(run,)]
    assert query(filled, "select run, status from runs", run=run).rows == [(run, "succeeded")]
    assert query(filled, "select count(*) from events", run="0" * 32).rows == [(0,)]
    with open_surface(filled, run=run, used={"events", "seq", "kind"}) as opened:
        answer = opened.query("select seq from events where kind = ? order by seq", ["effect.call"])
    assert answer.rows == [(6,)]


def test_deleted_processes_are_not_there(filled):
    """What is hidden, or shares a segment with what is asked for, is in no table."""
    retention.delete_processes(filled, ["00000000000000a1"])

    for table in ("processes", "events", "entities", "edges", "sites", "spans"):
        rows = query(filled, f"select * from {table}").rows
        assert "00000000000000a1" not in {row[0] for row in rows}, table
    assert query(filled, "select count(*) from events").rows == [(3,)]


def test_only_some_rows_are_returned(filled):
    """An answer says its types, and whether it is whole."""
    answer = query(filled, "select seq, kind from events order by seq", limit=2)

    assert (len(answer.rows), answer.types, answer.truncated) == (2, ["BIGINT", "VARCHAR"], True)
    assert not query(filled, "select seq from events", limit=100).truncated


def test_an_empty_store_has_all_tables(sqlite_store):
    """Every table answers with no rows, and says which columns it has."""
    for table in surface.TABLES:
        answer = query(sqlite_store, f"select * from {table}")
        assert answer.rows == []
        assert answer.names
    assert {row[0] for row in query(sqlite_store, "show tables").rows} == set(surface.TABLES)


def test_numbers_no_clock_has_fail_nobodys_query(sqlite_store):
    """Events with times and causes beyond any clock's are rows like others, without a time."""
    body = event_chunk([1, 2, (1 << 63) - 3])
    send(sqlite_store, [body])

    for table in surface.TABLES:
        query(sqlite_store, f"select * from {table}")
    assert query(sqlite_store, "select count(*) from events").rows == [(3,)]
    compact(sqlite_store, now_ns=1 << 62)
    for table in surface.TABLES:
        query(sqlite_store, f"select * from {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "from read_text('/etc/passwd')",
        "from read_blob('/etc/passwd')", "select (select content from read_text('/etc/passwd'))", "from glob('/*')",
        "from 'http://127.0.0.1:1/x.parquet'", "copy events to '/tmp/x'", "copy (select 1) to '/tmp/x'",
        "attach '/tmp/x.db'", "install httpfs", "load httpfs", "pragma database_list", "set threads = 1",
        "reset threads", "select getenv('HOME')", "select current_setting('allowed_paths')", "from duckdb_settings()",
        "from duckdb_views()", "from duckdb_secrets()", "from query('select 1')", "from query_table('events')",
        "from internal.raw_events", "from memory.internal.raw_events", "from information_schema.tables",
        "from pg_catalog.pg_tables", "explain analyze select * from glob('*')", "explain from read_csv('/etc/passwd')",
        "select 1; select 2", "create table t (a int)", "drop view events", "call pragma_version()", "export database 'x'",
        "with a as (from read_csv('/etc/passwd')) from a", "from sniff_csv('/etc/passwd')", "from parquet_metadata('x')",
        "from events, lateral (from read_text('/etc/passwd'))", "prepare p as select 1", "checkpoint", "vacuum",
        "select repeat('x', 1000000000)", "select lpad('x', 1000000000, 'x')", "describe read_text('/etc/passwd')",
        "from events where exists (from read_json('/etc/passwd'))", "summarize '/etc/passwd'", "from os", "from sys",
        "from store", "describe '/etc/passwd'",
    ],
)  # fmt: skip
def test_what_reaches_beyond_the_tables_is_refused(filled, statement):
    """No file, no network, no setting, no other schema, and no variable of this program."""
    with pytest.raises(SqlError):
        query(filled, statement)


def test_even_clews_own_statements_read_only_the_segments(filled, tmp_path):
    """Behind the check stands DuckDB's own: other files cannot be opened, and the configuration cannot be changed."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with open_surface(filled, used={"events", "seq"}) as opened:
        assert opened.query("select count(*) from events").rows == [(17,)]
        for statement in (
            f"from read_csv('{secret}')", f"copy (select 1) to '{tmp_path / 'out'}'", "set enable_external_access = true",
            f"attach '{tmp_path / 'x.db'}'", f"set allowed_paths = ['{secret}']", f"from glob('{tmp_path}/*')",
        ):  # fmt: skip
            with pytest.raises(SqlError):
                opened.query(statement)
    assert not (tmp_path / "out").exists()


def test_what_runs_for_ever_is_ended(filled):
    """A statement that does not come to an end is interrupted, and one that needs too much memory fails."""
    with pytest.raises(SqlError) as caught:
        query(filled, "select count(*) from range(100000000000) a", timeout_s=0.2)
    assert caught.value.slug == "sql-timeout"
    with pytest.raises(SqlError) as caught:
        query(filled, "select list(a) from range(1000000000) t(a)", memory_limit="64MB")
    assert caught.value.slug == "sql"


def test_a_query_outlives_a_merge(filled, monkeypatch):
    """Files that went between the catalog's answer and their opening are looked for once more."""
    read, calls = surface.read_stored, []

    def overtaken(store: Store, processes: list[str] | None = None) -> list:
        found = read(store, processes)
        if not calls:
            calls.append(None)
            before = [blob.key for blob in store.blobs.list("segments")]
            compaction.rewrite(store, sorted({part.segment for stored in found for part in stored.parts}))
            store.blobs.delete(*before)
        return found

    monkeypatch.setattr(surface, "read_stored", overtaken)

    assert query(filled, "select count(*) from events").rows == [(17,)]


def test_segments_in_a_bucket_are_fetched_once(open_store, folder, tmp_path, monkeypatch, request):
    """Copies are kept in a folder of bounded size, and used again."""
    if request.node.callspec.params["open_store"] != "s3":
        pytest.skip("segments in a folder are read where they are")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with open_store() as store:
        send(store, chunks_of(folder))
        compact(store, now_ns=1 << 62)
        query(store, "select count(*) from events")
        copies = list(local_files.cache_folder(store.blobs.shown).iterdir())
        assert len(copies) == 4
        for copy in copies:
            os.utime(copy, (1, 1))
        with store.engine.connect() as connection:
            (key,) = connection.execute(sa.select(schema.segments.c.key)).scalars()
        store.blobs.delete(*(blob.key for blob in store.blobs.list("segments")))

        assert query(store, "select count(*) from events").rows == [(17,)]

        monkeypatch.setattr(local_files, "MAX_BYTES", 0)
        for copy in copies:
            os.utime(copy, (1, 1))
        keep = copies[0].parent / "keep.parquet"
        keep.write_bytes(b"")
        local_files._make_room(copies[0].parent, 1)
        assert [path.name for path in copies[0].parent.iterdir()] == ["keep.parquet"]
        assert key
