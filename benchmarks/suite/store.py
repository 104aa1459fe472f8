"""What events cost in the store, and how fast it finds them again."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from benchmarks.harness import Plan, clean_environ, interleave_calls
from benchmarks.report import Section, Table, Target
from benchmarks.synthetic import write_recording
from clew.convert.recording_writer import RecordingWriter, StreamContent
from clew.convert.stored import pending_tables
from clew.convert.stored_sql import open_surface, query
from clew.format.reader import open_recording
from clew.store import compaction, schema
from clew.store.batch import IngestRequest
from clew.store.ingest import check_chunks
from clew.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clew.format.stream_data import StreamData

METHOD = """Recordings are sent through the store's own ingest and compacted. A run of 10,000 events lies in a process among nine others, interleaved with the runs beside it (`benchmarks/synthetic.py`, in which 3,000 neighbouring spans are made one run).
All columns of `events` are fetched as Arrow, or grouped by the name of what they are about; opening the tables is included. The peers hold the same events with their names in each row: SQLite with an index on the run, and one Parquet file of DuckDB's, opened likewise.
All files are in the page cache; DuckDB has two threads."""
SPANS_OF_RUN = 3000
RUN_COLUMNS = (
    "process, seq, t_ns, kind, op, outcome, scope, entity, run, span, file, line, function, wait_ns, duration_ns, attrs"
)
BECAUSE_RUN = (
    "half of it is opening the tables: each statement gets a connection that is locked against what it may not read"
)
BECAUSE_GROUP = "names stand once, beside the events, and are joined in"
BY_KIND = "select kind, count(*) from events group by kind"
BY_SCOPE = "select scope, count(*) from events group by scope"
PROCESSES = 10
EXAMPLE = Path(__file__).parents[2] / "examples" / "bank"


def measure(plan: Plan) -> Section:
    """Run it."""
    each = plan.size(1_000_000, 20_000)
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as name:
        folder = Path(name)
        sizes = _sizes(plan, folder, each)
        plan.progress(f"writing {PROCESSES * each:,} events")
        store, run = _large_store(folder, each)
        with store:
            _export(store, folder)
            calls: dict[str, Callable[[], Mapping[str, float]]] = {
                "clew run": lambda: _timed(lambda: _clew_run(store, run)),
                "clew kind": lambda: _timed(lambda: len(query(store, BY_KIND).rows)),
                "clew scope": lambda: _timed(lambda: len(query(store, BY_SCOPE, limit=10**9).rows)),
                "sqlite run": lambda: _timed(lambda: _sqlite(folder, f"select {RUN_COLUMNS} from events where run = '{run}'")),
                "sqlite kind": lambda: _timed(lambda: _sqlite(folder, BY_KIND)),
                "sqlite scope": lambda: _timed(lambda: _sqlite(folder, BY_SCOPE)),
                "duckdb run": lambda: _timed(lambda: _duckdb(folder, f"select {RUN_COLUMNS} from events where run = '{run}'")),
                "duckdb kind": lambda: _timed(lambda: _duckdb(folder, BY_KIND)),
                "duckdb scope": lambda: _timed(lambda: _duckdb(folder, BY_SCOPE)),
            }  # fmt: skip
            figures = interleave_calls(calls, plan)
        large = {
            "clew": _bytes_of(folder / "large") / (PROCESSES * each),
            "sqlite": (folder / "peer.db").stat().st_size / (PROCESSES * each),
            "duckdb": (folder / "peer.parquet").stat().st_size / (PROCESSES * each),
        }
    labels = {"clew": "clew", "sqlite": "SQLite, index on `run`", "duckdb": "DuckDB over one Parquet file"}
    rows = [
        (
            label,
            f"{large[name]:.1f}",
            *(figures[f"{name} {what}"]["ms"].text() for what in ("run", "kind", "scope")),
        )
        for name, label in labels.items()
    ]
    found = f"{figures['clew run']['rows'].median:,.0f}"
    heads = ("store", "bytes an event", f"run of {found} events, ms", "group by kind, ms", "group by scope, ms")
    return Section(
        f"The store: {PROCESSES * each:,} events",
        METHOD,
        [
            Table("", ("recording", "events", "bytes an event, catalog and all"), sizes[0]),
            Table("", heads, rows),
        ],
        [
            Target("bytes an event of the bank's recording", 24, sizes[1], "", "", digits=1),
            Target("a run out of all events", 50, figures["clew run"]["ms"].median, " ms", BECAUSE_RUN, digits=0),
            Target("all events by kind", 300, figures["clew kind"]["ms"].median, " ms", BECAUSE_GROUP, digits=0),
            Target(
                "all events by name of scope", 300, figures["clew scope"]["ms"].median, " ms", BECAUSE_GROUP, digits=0
            ),
        ],
    )


def _sizes(plan: Plan, folder: Path, events: int) -> tuple[list[tuple[str, str, str]], float]:
    import subprocess
    import sys

    bank = folder / "bank.clew"
    plan.progress("recording the bank")
    demo = (sys.executable, "-m", "clew", "run", "--quiet", "-o", str(bank), str(EXAMPLE))
    subprocess.run(demo, check=True, capture_output=True, env=clean_environ(), cwd=folder)
    rows: list[tuple[str, str, str]] = []
    first = 0.0
    million = write_recording(folder / "synthetic.clew", events)
    for label, recording in (("the bank's", bank), ("synthetic", million)):
        place = folder / f"store-{recording.stem}"
        with Store.open(str(place)) as store:
            count = _fill(store, recording)
            store.shrink()
        size = _bytes_of(place) / count
        first = first or size
        rows.append((label, f"{count:,}", f"{size:.1f}"))
    return rows, first


def _fill(store: Store, recording: Path) -> int:
    for path in sorted(recording.glob("*.stream")):
        store.writer.submit(IngestRequest(check_chunks(path.read_bytes()))).result()
    for group in compaction.due(store):
        compaction.compact(store, group, lambda stored: pending_tables(store, stored))
    return sum(row.events for row in store.changes(-1))


def _large_store(folder: Path, each: int) -> tuple[Store, str]:
    """Store the synthetic recording as often as there are processes; return a run in the middle."""
    (stream,) = open_recording(folder / "synthetic.clew").streams
    store = Store.open(str(folder / "large"))
    number = max(stream.data.spans) // SPANS_OF_RUN // 2
    run = ""
    for i in range(PROCESSES):
        process_id = stream.process_id ^ (i + 1) << 20
        place = folder / "one.clew"
        with RecordingWriter(place) as writer:
            writer.write(_content(process_id, stream.process | {"pid": 100 + i}, stream.data, i))
        _fill(store, place)
        shutil.rmtree(place)
        if i == PROCESSES // 2:
            run = f"{_trace(i, number)[0]:016x}{_trace(i, number)[1]:016x}"
            part = {"run_id": run, "process_id": f"{process_id:016x}", "document": "{}"}
            with store.write() as connection:
                connection.execute(schema.run_parts.insert().values(**part))
    return store, run


def _trace(process: int, number: int) -> tuple[int, int]:
    return 0x5EED + process, number + 1


def _content(process_id: int, head: dict[str, Any], data: StreamData, process: int) -> StreamContent:
    spans = [(row[0], *_trace(process, row[0] // SPANS_OF_RUN), *row[3:]) for row in data.spans.values()]
    definitions = {"sites": list(data.sites.values()), "entities": list(data.entities.values()), "spans": spans}
    end = {"reason": "exit", "exit": 0}
    return StreamContent(process_id, head, data.columns, data.attrs, data.remote_causes, definitions, end)


def _export(store: Store, folder: Path) -> None:
    """Write the same events for the peers."""
    with open_surface(store, used={"events", *RUN_COLUMNS.split(", ")}, memory_limit="8GB") as surface:
        found = surface.connection.sql(f"select {RUN_COLUMNS} from events")
        reader = found.to_arrow_reader(100_000)
        database = sqlite3.connect(folder / "peer.db")
        database.execute(f"create table events ({RUN_COLUMNS})")
        marks = ", ".join("?" for _ in RUN_COLUMNS.split(", "))
        with pq.ParquetWriter(folder / "peer.parquet", reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                columns = [column.to_pylist() for column in batch.columns]
                database.executemany(f"insert into events values ({marks})", zip(*columns, strict=True))
        database.execute("create index by_run on events (run)")
        database.commit()
        database.close()


def _clew_run(store: Store, run: str) -> int:
    with open_surface(store, run=run, used={"events", *RUN_COLUMNS.split(", ")}) as surface:
        return surface.connection.sql(f"select {RUN_COLUMNS} from events").to_arrow_table().num_rows


def _sqlite(folder: Path, statement: str) -> int:
    database = sqlite3.connect(folder / "peer.db")
    try:
        return len(database.execute(statement).fetchall())
    finally:
        database.close()


def _duckdb(folder: Path, statement: str) -> int:
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"create view events as select * from '{folder / 'peer.parquet'}'")
        return connection.sql(statement).to_arrow_table().num_rows


def _timed(call: Callable[[], int]) -> dict[str, float]:
    begin = time.perf_counter()
    rows = call()
    return {"ms": (time.perf_counter() - begin) * 1000, "rows": rows}


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
