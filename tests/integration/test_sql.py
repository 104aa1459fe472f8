"""``clew sql``: what it answers, and what it refuses."""

from __future__ import annotations

import json

import pytest
from benchmarks.synthetic import write_recording

from clew.cli.main import main

TWO_PROCESSES = """
    import asyncio, subprocess, sys, threading

    async def worker(queue):
        while (item := await queue.get()) is not None:
            if item == 3:
                raise ValueError("three")

    async def parent():
        queue = asyncio.Queue()
        task = asyncio.create_task(worker(queue), name="worker")
        for item in (1, 2, 3):
            await queue.put(item)
        await asyncio.wait([task])
        task.exception()

    asyncio.run(parent())
    subprocess.run([sys.executable, "-c", "pass"])
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A recording of 20,000 events of two processes."""
    return str(write_recording(tmp_path_factory.mktemp("sql") / "large.clew", 20_000, processes=2))


@pytest.fixture
def ask(capsys):
    """Ask in JSON; return the rows as dictionaries."""

    def ask(recording, query):
        assert main(["sql", str(recording), query, "--json"]) == 0, capsys.readouterr().err
        answer = json.loads(capsys.readouterr().out)
        assert answer["schema"] == "clew.rows/1"
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]

    return ask


@pytest.fixture
def refused(capsys, large):
    """Ask what must be refused; return the line on stderr."""

    def refused(query):
        assert main(["sql", large, query]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("clew: ")
        assert err.count("\n") == 1
        return err

    return refused


def test_a_program_reads_as_tables(record, ask):
    """Processes, runs, spans, events, entities, sites and causes of a real program can be joined."""
    done = record(TWO_PROCESSES)
    path = done.recording.path

    processes = ask(path, "select service, exit, events, parent is null as is_first from processes order by start_ns")
    assert [(p["exit"], p["is_first"]) for p in processes] == [(0, True), (0, False)]
    assert ask(path, "select sum(events) n from processes") == ask(path, "select count(*) n from events")
    (task,) = ask(path, "select kind, type, line, function from entities join sites using (process, file, line) "
                        "where name = 'worker' and entities.kind = 'task'")  # fmt: skip
    assert task["function"] == "parent"
    (failed,) = ask(
        path, "select outcome, scope, file, line from events where kind = 'life.task_end' and scope = 'worker'"
    )
    assert failed["outcome"] == "failed"
    woken = ask(path, "select w.scope as waker from edges e join events w on e.from_process = w.process and "
                      "e.from_seq = w.seq join events s on e.to_process = s.process and e.to_seq = s.seq "
                      "where s.kind = 'life.step' and s.scope = 'worker'")  # fmt: skip
    assert woken != []
    assert len(ask(path, "select * from runs where entry = 'process'")) == 2


def test_columns_say_what_the_events_hold(large, ask):
    """Counts by kind, durations and names agree between the tables."""
    by_kind = {row["kind"]: row["n"] for row in ask(large, "select kind, count(*) n from events group by kind")}

    assert sum(by_kind.values()) == ask(large, "select count(*) n from events")[0]["n"]
    assert ask(large, "select count(*) n from events where kind = 'life.step' and duration_ns > 0")[0]["n"] > 0
    assert ask(large, "select count(*) n from events where entity_id = 0 or scope_id = 0")[0]["n"] == 0
    assert ask(large, "select count(*) n from events where run is null and span_id > 0")[0]["n"] == 0
    starts = ask(large, "select count(distinct (process, span_id)) n from spans")[0]["n"]
    assert starts == ask(large, "select count(*) n from spans")[0]["n"]


@pytest.mark.parametrize(
    "query", ["from runs", "show tables", "describe events", "with r as (from runs) select count(*) from r", "explain from runs",
              "summarize select wait_ns from events"],
)  # fmt: skip
def test_every_way_to_read_is_answered(large, capsys, query):
    """What DuckDB has for reading works, as a table for people."""
    assert main(["sql", large, query]) == 0
    assert capsys.readouterr().out.count("\n") > 1


@pytest.mark.parametrize(
    "query",
    ["drop table events", "copy events to 'x.csv'", "create table t (a int)", "insert into events select * from events",
     "attach 'x.db'", "install httpfs", "load httpfs", "pragma database_list", "set threads = 1", "call pragma_version()",
     "select 1; select 2", "", "export database 'x'"],
)  # fmt: skip
def test_what_does_not_read_is_refused(refused, query):
    """Nothing is changed, loaded or set."""
    assert "[sql-read-only]" in refused(query)


@pytest.mark.parametrize(
    "query",
    ["select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "select * from read_text('/etc/passwd')",
     "select * from glob('/*')", "select * from read_parquet('http://127.0.0.1:1/x')", "select getenv('HOME')"],
)  # fmt: skip
def test_files_and_the_environment_are_out_of_reach(refused, query):
    """A query sees the recording and nothing else."""
    assert "[sql]" in refused(query)


def test_a_mistake_is_one_clear_line(refused):
    """The message has what DuckDB found and which tables there are."""
    line = refused("select * from nothing_like_it")

    assert "nothing_like_it" in line
    assert "processes, runs, spans, events" in line
    assert "select" in refused("selec 1").lower()


def test_long_answers_are_cut_for_people_only(large, capsys, ask):
    """200 rows and a line that says how many more; all with --all and in JSON."""
    query = "select seq from events limit 300"

    assert main(["sql", large, query]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("… 100 more rows")
    assert main(["sql", large, query, "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 301
    assert len(ask(large, query)) == 300


def test_a_query_that_does_not_end_is_stopped(large):
    """After the limit, with the connection closed."""
    from clew.analysis.timeline import timelines_of
    from clew.convert.arrow import tables_of
    from clew.format.reader import open_recording
    from clew.store.sql import SqlError, query

    tables = tables_of(timelines_of(open_recording(large)), ["events"])

    with pytest.raises(SqlError) as caught:
        query(tables, "select count(*) from range(1000000000) a, range(1000000) b", timeout_s=0.2)
    assert caught.value.slug == "sql-timeout"
