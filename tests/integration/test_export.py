"""``clew export``: what the trace viewer, the flame graph and the JSON lines are told."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from benchmarks.synthetic import write_recording
from tests.support.recordings import Process, write

from clew.cli.main import main
from clew.convert.perfetto import trace_of
from clew.convert.speedscope import profiles_of, source_of
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole

K = EventKind
SCHEMA = json.loads((Path(__file__).parent / "speedscope" / "file-format-schema.json").read_text())


class Trace:
    """A trace as its viewer reads it.

    Names of rows are those of the threads; slices are (name, start µs, length µs or None).
    """

    def __init__(self, text: str) -> None:
        self.whole = json.loads(text)
        self.events: list[dict[str, Any]] = self.whole["traceEvents"]
        self.processes = {e["pid"]: e["args"]["name"] for e in self.events if e["name"] == "process_name"}
        names = [e for e in self.events if e["name"] == "thread_name"]
        self.rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in names}

    def row_of(self, event: dict[str, Any]) -> str:
        return self.rows[event["pid"], event["tid"]]

    def on(self, row: str, *, phases: str = "XB", cat: str | None = None) -> list[dict[str, Any]]:
        found = [e for e in self.events if e["ph"] in phases and "tid" in e and self.row_of(e) == row]
        return sorted((e for e in found if cat in (None, e["cat"])), key=lambda e: e["ts"])

    def slices(self, row: str, *, cat: str | None = None) -> list[tuple[str, float, float | None]]:
        return [(e["name"], e["ts"], e.get("dur")) for e in self.on(row, cat=cat)]

    @property
    def arrows(self) -> list[tuple[tuple[str, float], tuple[str, float]]]:
        """Pairs of (row, time) from which and to which an arrow goes."""
        ends: dict[int, dict[str, Any]] = {}
        for event in self.events:
            if event["ph"] in "sf":
                assert ends.setdefault(event["id"], {}).setdefault(event["ph"], event) is event
        return [((self.row_of(e["s"]), e["s"]["ts"]), (self.row_of(e["f"]), e["f"]["ts"])) for e in ends.values()]


def draw(path: Path) -> Trace:
    return Trace("".join(trace_of(open_recording(path))))


def draw_of(tmp_path: Path, *processes: Process) -> Trace:
    """Draw processes; times are µs after the start of the first."""
    processes[0].event(0, K.LIFE_PROCESS_START, processes[0].main, entity=processes[0].process)
    return draw(write(tmp_path / "recording.clew", *processes))


class TestRows:
    """Which rows there are, and in which order."""

    def test_threads_are_followed_by_their_tasks(self, tmp_path):
        """The viewer sorts rows by number; the main thread has the process's."""
        process = Process(pid=100)
        thread = process.entity(EntityKind.THREAD, "pool_0")
        late, early = process.task("late"), process.task("early")
        inner = process.entity(EntityKind.TASK, "inner", parent=thread)
        process.event(1, K.LIFE_TASK_START, process.main, entity=early)
        process.event(2, K.LIFE_TASK_START, process.main, entity=late)
        process.event(3, K.LIFE_TASK_START, thread, entity=inner)

        trace = draw_of(tmp_path, process)

        assert trace.processes == {100: "bank"}
        assert [trace.rows[key] for key in sorted(trace.rows)] == ["MainThread", "early", "late", "pool_0", "inner"]
        assert trace.rows[100, 100] == "MainThread"

    def test_rows_of_all_processes_have_numbers_of_their_own(self, tmp_path):
        """The viewer knows a thread by its number alone, also when a pid was used twice."""
        processes = [Process(0xA0 + i, pid=pid) for i, pid in enumerate((100, 101, 101))]
        for process in processes:
            for name in ("a", "b"):
                process.event(1, K.LIFE_TASK_START, process.main, entity=process.task(name))

        trace = draw_of(tmp_path, *processes)

        numbers = Counter(tid for _, tid in trace.rows)
        assert set(numbers.values()) == {1}
        assert sorted(trace.processes) == [100, 101, 102]
        assert all((pid, pid) in trace.rows for pid in trace.processes)

    def test_a_task_that_nobody_named_is_named_by_its_function(self, tmp_path):
        """``Task-7`` alone says nothing."""
        process = Process()
        process.event(1, K.LIFE_TASK_START, process.main, entity=process.task("Task-7", "Server.handle"))

        assert "Server.handle (Task-7)" in draw_of(tmp_path, process).rows.values()

    def test_many_tasks_share_rows(self, tmp_path):
        """Tasks of one function take turns: as many rows as lived at one time."""
        process = Process()
        for i in range(100):
            task = process.task(f"request-{i}", "handle")
            process.event(10 * i, K.LIFE_TASK_START, process.main, entity=task)
            process.step(10 * i + 1, task, 2)
            process.event(10 * i + (25 if i < 50 else 5), K.LIFE_TASK_END, task, entity=task)
        only = process.task("Task-1", "main")
        process.event(2000, K.LIFE_TASK_START, process.main, entity=only)

        trace = draw_of(tmp_path, process)

        assert list(trace.rows.values()) == ["MainThread", "handle #1", "handle #2", "handle #3", "main"]
        shared = [trace.slices(f"handle #{i}", cat="task") for i in (1, 2, 3)]
        assert sorted(name for row in shared for name, *_ in row) == sorted(f"request-{i}" for i in range(100))
        for row in shared:
            assert all(a[1] + a[2] <= b[1] for a, b in pairwise(row))

    def test_a_scope_without_definition_has_a_row(self, tmp_path):
        """A definition that was lost leaves its number."""
        process = Process()
        process.step(1, 77, 1)

        assert "#77" in draw_of(tmp_path, process).rows.values()


class TestTasks:
    """What the row of a task shows."""

    def test_a_task_runs_waits_and_is_ready(self, tmp_path):
        """Between two steps it waits until it is woken, then it is ready until it runs."""
        process = Process()
        task = process.task("worker")
        process.event(1, K.LIFE_TASK_START, process.main, entity=task)
        process.step(3, task, 2, wait_ns=2000)
        process.step(20, task, 4, wait_ns=5000)
        process.event(23.5, K.LIFE_TASK_END, task, entity=task, outcome=Outcome.OK)

        trace = draw_of(tmp_path, process)

        assert trace.slices("worker") == [
            ("worker", 1, 23), ("ready", 1, 2), ("run", 3, 2), ("wait", 5, 10), ("ready", 15, 5), ("run", 20, 4),
        ]  # fmt: skip
        assert trace.slices("MainThread", cat="step") == [("worker", 3, 2), ("worker", 20, 4)]

    def test_a_wait_is_named_by_what_is_waited_for(self, tmp_path):
        """The innermost recorded wait; without one the awaited task, or the effect it is in."""
        process = Process()
        task = process.task("worker", span=1)
        lock = process.entity(EntityKind.LOCK, "Bank.lock")
        queue = process.entity(EntityKind.QUEUE, "jobs")
        other = process.task("other")
        run = process.span("POST /", role=SpanRole.RUN)
        effect = process.span("select account", parent=run, op=Operation.DB)
        step = {"scope": task, "duration_us": 5}
        process.event(0, K.LIFE_TASK_START, process.main, entity=task)
        process.step(0, **step)
        process.event(1, K.SYNC_WAIT, task, op=Operation.WAIT_FOR, entity=process.entity(EntityKind.CUSTOM, "limit"))
        process.event(2, K.SYNC_ACQUIRE, task, entity=lock, op=Operation.ACQUIRE, site=process.site(31, "transfer"))
        process.step(10, **step)
        process.event(11, K.SYNC_ACQUIRED, task, entity=lock, wait_ns=9000, op=Operation.ACQUIRE, outcome=Outcome.OK)
        process.step(20, **step)
        process.event(21, K.SYNC_AWAIT, task, entity=len(process.definitions["entities"]), wait_ns=20_000)
        process.event(22, K.SYNC_WAIT, task, entity=queue, op=Operation.GET)
        process.step(30, **step)
        process.event(31, K.SYNC_GET, task, entity=queue, op=Operation.GET, wait_ns=9000)
        process.event(32, K.SYNC_WAIT, task, op=Operation.SLEEP)
        process.step(40, **step)
        process.event(41, K.SYNC_AWAIT, task, op=Operation.SLEEP, wait_ns=9000)
        process.event(42, K.EFFECT_CALL, task, op=Operation.DB, span=effect)
        process.step(50, **step)
        process.event(51, K.EFFECT_RESULT, task, op=Operation.DB, span=effect)
        process.step(60, **step, entity=other)
        process.step(70, **step)
        process.event(74, K.LIFE_TASK_END, task, entity=task)

        trace = draw_of(tmp_path, process)

        waits = trace.on("worker", cat="wait")
        assert [e["name"] for e in waits] == [
            "wait lock Bank.lock", "wait custom limit", "wait queue jobs (get)", "sleep", "wait db select account", "wait",
            "wait task other",
        ]  # fmt: skip
        assert waits[0]["args"] == {
            "seq": 4, "site": "app.py:31 transfer", "ended by seq": 6, "waited": "9.000 µs", "outcome": "ok",
        }  # fmt: skip

    def test_what_has_no_name_is_named_by_who_made_it(self, tmp_path):
        """Or by its number, where that is not known either."""
        process = Process()
        process.definitions["entities"] += [
            (3, int(EntityKind.EVENT), "", "asyncio.Event", 2, process.site(8, "connect"), 0, ""),
            (4, int(EntityKind.EVENT), "", "asyncio.Event", 2, 0, 0, ""),
        ]
        for entity in (3, 4):
            process.event(entity, K.SYNC_WAIT, process.main, entity=entity, op=Operation.EVENT_WAIT)
            process.event(entity + 0.5, K.SYNC_AWAIT, process.main, entity=entity, wait_ns=500)

        names = [name for name, *_ in draw_of(tmp_path, process).slices("MainThread", cat="wait")]

        assert names == ["wait event of connect", "wait event #4"]

    def test_a_deadlocked_task_shows_what_it_waits_for(self, tmp_path):
        """A wait that never ended is left open: the viewer draws it to the end."""
        process = Process()
        task, lock = process.task("transfer-a"), process.entity(EntityKind.LOCK, "Account.lock")
        process.event(0, K.LIFE_TASK_START, process.main, entity=task)
        process.step(1, task, 3)
        process.event(2, K.SYNC_ACQUIRE, task, entity=lock, op=Operation.ACQUIRE)
        process.event(1000, K.LIFE_PROCESS_END, process.main, entity=process.process)

        trace = draw_of(tmp_path, process)

        assert trace.on("transfer-a")[0]["args"]["outcome"] == "never ended"
        assert trace.slices("transfer-a") == [
            ("transfer-a", 0, 1000), ("run", 1, 3), ("wait lock Account.lock", 4, None),
        ]  # fmt: skip

    def test_a_step_that_blocks_shows_where_it_waits(self, tmp_path):
        """A task that takes a thread's lock stands still within one step."""
        process = Process()
        task, lock = process.task("worker"), process.entity(EntityKind.LOCK, "cache")
        process.step(0, task, 50)
        process.event(10, K.SYNC_ACQUIRE, task, entity=lock)
        process.event(30, K.SYNC_ACQUIRED, task, entity=lock, wait_ns=20_000)
        process.event(49, K.LIFE_TASK_END, task, entity=task)

        assert draw_of(tmp_path, process).slices("worker", cat="wait") == [("wait lock cache", 10, 20)]

    def test_calls_lie_in_their_step(self, tmp_path):
        """Function calls nest in the step they were made in; those that await belong to no step."""
        process = Process()
        task = process.task("worker")
        sites = [process.site(10, "outer"), process.site(20, "inner"), process.site(30, "awaits")]
        process.step(0, task, 20)
        process.event(1, K.LIFE_CALL_START, task, site=sites[2])
        process.event(2, K.LIFE_CALL_START, task, site=sites[0])
        process.event(3, K.LIFE_CALL_START, task, site=sites[1])
        process.event(4, K.LIFE_CALL_END, task)
        process.event(5, K.LIFE_CALL_END, task)
        process.step(30, task, 20)
        process.event(31, K.LIFE_CALL_END, task)

        assert draw_of(tmp_path, process).slices("worker", cat="call") == [("outer", 2, 3), ("inner", 3, 1)]


class TestNesting:
    """Slices of one row lie in one another or apart: the viewer drops what overlaps."""

    def test_slices_of_a_row_nest(self, record, tmp_path):
        """In a simulated server, and in a real program whose tasks start others eagerly or wait."""
        done = record(
            """
            import asyncio, threading

            async def child(n, lock):
                async with lock:
                    await asyncio.sleep(0.0005 * n)

            async def main():
                lock = asyncio.Lock()
                await asyncio.gather(*[child(n, lock) for n in range(5)])
                await asyncio.to_thread(threading.Event().wait, 0.001)

            asyncio.run(main())
            """
        )

        for path in (write_recording(tmp_path / "a.clew", 5000, processes=2), done.path):
            trace = draw(path)
            for key in trace.rows:
                found = [e for e in trace.events if e["ph"] == "X" and (e["pid"], e["tid"]) == key]
                assert_nested([(e["name"], e["ts"], e["dur"]) for e in found])


def assert_nested(slices: list[tuple[str, float, float | None]]) -> None:
    """Fail where two slices overlap and neither lies in the other."""
    open_until: list[float] = []
    for name, start, length in sorted(slices, key=lambda s: (s[1], -(s[2] or 0))):
        if length is None:
            continue
        while open_until and open_until[-1] <= start + 1e-4:
            open_until.pop()
        assert not open_until or start + length <= open_until[-1] + 1e-4, name
        open_until.append(start + length)


class TestThreads:
    """What the row of a thread shows."""

    def test_a_thread_shows_its_function_its_callbacks_and_its_waits(self, tmp_path):
        """One inside the other, by time."""
        process = Process()
        thread = process.entity(EntityKind.THREAD, "napper", parent=process.main)
        other = process.entity(EntityKind.LOCK, "Bank.lock")
        process.event(0, K.LIFE_THREAD_START, process.main, entity=thread)
        process.step(1, thread, 50, op=Operation.RUN, site=process.site(5, "nap"))
        process.step(3, thread, 2, op=Operation.CALLBACK, site=process.site(9, "on_timer"))
        process.event(10, K.SYNC_ACQUIRE, thread, entity=other)
        process.event(20, K.SYNC_ACQUIRED, thread, entity=other, wait_ns=10_000)
        process.event(50, K.LIFE_THREAD_END, thread, entity=thread, outcome=Outcome.OK)

        trace = draw_of(tmp_path, process)

        assert trace.slices("napper") == [
            ("napper", 0, 51), ("nap", 1, 50), ("on_timer", 3, 2), ("wait lock Bank.lock", 10, 10),
        ]  # fmt: skip
        assert trace.on("napper", cat="step")[0]["args"] == {"seq": 2, "site": "app.py:5 nap"}


class TestMarks:
    """Errors, logs, cancellations, gaps."""

    def test_an_error_is_marked_where_it_was_raised(self, tmp_path):
        """With its attributes; stacks are spelled out."""
        process = Process()
        sites = [process.site(31, "transfer"), process.site(12, "handle")]
        attrs = {
            "type": "ValueError",
            "message": "bad",
            "stack": sites,
            "chain": [{"type": "KeyError", "stack": [sites[1]]}],
        }
        process.event(5, K.ERROR_RAISED, process.main, site=sites[0], attrs=attrs)

        (mark,) = draw_of(tmp_path, process).on("MainThread", phases="i")

        assert (mark["name"], mark["cat"], mark["ts"], mark["s"]) == ("ValueError: bad", "error", 5, "t")
        assert mark["args"]["site"] == "app.py:31 transfer"
        assert mark["args"]["attrs"]["stack"] == ["app.py:31 transfer", "app.py:12 handle"]
        assert mark["args"]["attrs"]["chain"][0]["stack"] == ["app.py:12 handle"]

    def test_logs_cancellations_and_events_are_marked(self, tmp_path):
        """Each by what a person would call it."""
        process = Process()
        task = process.task("worker")
        process.event(1, K.LOG_RECORD, task, arg=30, attrs={"logger": "bank", "message": "low on funds"})
        process.event(2, K.LIFE_TASK_CANCEL, task, entity=task)
        process.event(3, K.CUSTOM_EVENT, task, attrs={"name": "checkpoint"})
        process.event(4, K.ERROR_UNHANDLED, task, attrs={"type": "OSError", "message": "x" * 500})

        names = [mark["name"] for mark in draw_of(tmp_path, process).on("worker", phases="i")]

        assert names[:3] == ["log: low on funds", "cancelled", "checkpoint"]
        assert names[3].startswith("unhandled OSError: xxx")
        assert len(names[3]) < 150

    def test_lost_events_are_marked_on_the_process(self, tmp_path):
        """Nobody knows whose they were."""
        process = Process()
        process.event(
            9, K.GAP_DROPPED, 0, arg=1500, attrs={"from_ns": 1_000_004_000, "to_ns": 1_000_009_000, "reason": "full"}
        )

        (mark,) = [e for e in draw_of(tmp_path, process).events if e["ph"] == "i"]

        assert (mark["name"], mark["s"], "tid" in mark) == ("1,500 events lost", "p", False)
        assert mark["args"]["since"] == "5.000 µs before"

    @pytest.mark.parametrize("text", ["{", "[]", '{"a":NaN}', '{"a":1e999}', '{"stack":5}', '{"name":7}', "[" * 5000])
    def test_attributes_of_any_kind_leave_the_trace_readable(self, tmp_path, text):
        """The trace is JSON that every reader takes, whatever was recorded."""
        process = Process()
        process.attrs[process.event(1, K.CUSTOM_EVENT, process.main)] = text

        trace = "".join(trace_of(open_recording(write(tmp_path / "a.clew", process))))

        assert json.loads(trace, parse_constant=pytest.fail)


class TestArrows:
    """Causes."""

    def test_an_arrow_goes_from_the_step_that_woke_to_the_step_that_was_woken(self, tmp_path):
        """From the beginning of the one to the beginning of the other."""
        process = Process()
        waker, woken = process.task("waker"), process.task("woken")
        process.step(10, waker, 5)
        release = process.event(12, K.SYNC_RELEASE, waker)
        process.step(20, woken, 5, cause=release)

        assert draw_of(tmp_path, process).arrows == [(("waker", 10), ("woken", 20))]

    def test_an_arrow_without_a_step_holds_on_to_a_mark(self, tmp_path):
        """Code of the main thread starts a task and a thread outside of any step."""
        process = Process()
        task, thread = process.task("worker"), process.entity(EntityKind.THREAD, "napper")
        process.step(10, task, 5, cause=process.event(1, K.LIFE_TASK_START, process.main, entity=task))
        start = process.event(2, K.LIFE_THREAD_START, process.main, entity=thread)
        process.step(4, thread, 50, cause=start, op=Operation.RUN)

        trace = draw_of(tmp_path, process)

        assert trace.arrows == [(("MainThread", 1), ("worker", 10)), (("MainThread", 2), ("napper", 4))]
        marks = [(e["name"], e["ts"]) for e in trace.on("MainThread", phases="i")]
        assert marks == [("task start task worker", 1), ("thread start thread napper", 2)]

    def test_a_lock_handed_from_thread_to_thread_is_an_arrow(self, tmp_path):
        """From the release to the moment the other thread has it."""
        process = Process()
        one, other = (process.entity(EntityKind.THREAD, name) for name in ("one", "other"))
        lock = process.entity(EntityKind.LOCK, "lock")
        process.event(1, K.SYNC_ACQUIRE, other, entity=lock)
        release = process.event(5, K.SYNC_RELEASE, one, entity=lock)
        process.event(6, K.SYNC_ACQUIRED, other, entity=lock, wait_ns=5000, cause=release)

        trace = draw_of(tmp_path, process)

        assert trace.arrows == [(("one", 5), ("other", 6))]
        assert [e["name"] for e in trace.on("other", phases="i")] == ["acquired lock lock"]

    def test_a_job_has_an_arrow_from_where_it_was_submitted(self, tmp_path):
        """Across threads."""
        process = Process()
        task, thread = process.task("worker"), process.entity(EntityKind.THREAD, "pool_0")
        process.step(0, task, 5)
        submit = process.event(1, K.SYNC_WAIT, task, op=Operation.SUBMIT)
        process.step(8, thread, 20, op=Operation.RUN, cause=submit)

        assert draw_of(tmp_path, process).arrows == [(("worker", 0), ("pool_0", 8))]

    def test_causes_in_other_processes_are_arrows(self, tmp_path):
        """A message received, a child started; a process that is not there has none."""
        client, server = Process(0xA1, pid=100), Process(0xB1, pid=200, service="server")
        task = client.task("client")
        client.step(0, task, 5)
        send = client.event(1, K.MESSAGE_SEND, task)
        server.event(30, K.MESSAGE_RECEIVE, server.main, remote_cause=(0xA1, send))
        server.event(31, K.MESSAGE_RECEIVE, server.main, remote_cause=(0xC1, 1))
        server.event(32, K.MESSAGE_RECEIVE, server.main, remote_cause=(0xA1, 99))

        assert draw_of(tmp_path, client, server).arrows == [(("client", 0), ("MainThread", 30))]

    def test_every_arrow_of_a_large_recording_arrives(self, tmp_path):
        """Each has one beginning and one end, and no number is used twice."""
        trace = draw(write_recording(tmp_path / "a.clew", 20_000))

        steps = [e for e in trace.events if e["ph"] == "X" and e["cat"] == "step"]
        assert len(trace.arrows) == len(steps)


class TestSpans:
    """Runs and spans."""

    def test_spans_lie_in_their_run(self, tmp_path):
        """Those of one scope that nest share a track; each begins and ends in order."""
        process = Process()
        task = process.task("worker")
        run, load = process.span("POST /", role=SpanRole.RUN), process.span("load", parent=1)
        process.event(1, K.LIFE_RUN_START, task, span=run, attrs={"path": "/"})
        process.event(2, K.LIFE_SPAN_START, task, span=load)
        process.event(5, K.LIFE_SPAN_END, task, span=load, outcome=Outcome.FAILED)
        process.event(9, K.LIFE_RUN_END, task, span=run, outcome=Outcome.OK)

        spans = [e for e in draw_of(tmp_path, process).events if e["ph"] in "be"]

        assert [(e["ph"], e["name"], e["ts"], e["id2"]) for e in spans] == [
            ("b", "POST /", 1, {"local": "1"}), ("b", "load", 2, {"local": "1"}),
            ("e", "load", 5, {"local": "1"}), ("e", "POST /", 9, {"local": "1"}),
        ]  # fmt: skip
        assert spans[0]["args"]["kind"] == "run"
        assert spans[0]["args"]["start"]["attrs"] == {"path": "/"}
        assert spans[1]["args"]["end"]["outcome"] == "failed"

    def test_spans_that_overlap_have_tracks_of_their_own(self, tmp_path):
        """Slices of one track must nest."""
        process = Process()
        for name in ("a", "b", "c"):
            process.span(name)
        for at, kind, span in ((1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 1), (5, 1, 3), (6, 1, 2)):
            process.event(at, K.LIFE_SPAN_END if kind else K.LIFE_SPAN_START, process.main, span=span)

        spans = [e for e in draw_of(tmp_path, process).events if e["ph"] in "be"]

        stacks: dict[str, list[str]] = {}
        for event in sorted(spans, key=lambda e: e["ts"]):
            stack = stacks.setdefault(event["id2"]["local"], [])
            if event["ph"] == "b":
                stack.append(event["name"])
            else:
                assert stack.pop() == event["name"]
        assert not any(stacks.values())
        assert len(stacks) == 3

    def test_a_span_that_never_ended_is_left_open(self, tmp_path):
        """Its track has a beginning only."""
        process = Process()
        process.event(1, K.LIFE_SPAN_START, process.main, span=process.span("load"))

        assert [e["ph"] for e in draw_of(tmp_path, process).events if e.get("cat") == "span"] == ["b"]

    def test_a_client_span_points_at_its_server_span(self, tmp_path):
        """By the ids of the trace, whatever else is known."""
        client, server = Process(0xA1, pid=100), Process(0xB1, pid=200, service="server")
        call = client.span("GET /", kind=SpanKind.CLIENT, op=Operation.HTTP, span_id=0xABC)
        handle = server.span("GET /", kind=SpanKind.SERVER, role=SpanRole.RUN, span_id=0xDEF, parent_span_id=0xABC)
        client.event(1, K.EFFECT_CALL, client.main, span=call, op=Operation.HTTP)
        server.event(5, K.LIFE_RUN_START, server.main, span=handle)

        spans = [e for e in draw_of(tmp_path, client, server).events if e["ph"] == "b"]

        assert [(e["pid"], e["bind_id"], e.get("flow_out"), e.get("flow_in")) for e in spans] == [
            (100, "0x1", True, None), (200, "0x1", None, True),
        ]  # fmt: skip


class TestClock:
    """Several processes on one time axis."""

    def test_processes_of_one_host_share_the_monotonic_clock(self, tmp_path):
        """An adjustment of the wall clock between their starts does not tear them apart."""
        one = Process(0xA1, pid=100)
        other = Process(0xB1, pid=200, monotonic_ns=1_000_500_000, wall_ns=one.head["wall_ns"] + 500_000 + 90_000_000)
        one.step(10, one.main, 1)
        other.step(12, other.main, 1)

        trace = draw_of(tmp_path, one, other)

        assert [e["ts"] for e in trace.on("MainThread", cat="step")] == [10, 12]

    def test_processes_of_other_hosts_are_aligned_by_the_wall_clock(self, tmp_path):
        """Each host counts its monotonic clock from its own start."""
        one = Process(0xA1, pid=100)
        other = Process(0xB1, pid=200, host="there", monotonic_ns=1_000_000_000 - 7_000_000)
        one.step(10, one.main, 1)
        other.step(10, other.main, 1)

        trace = draw_of(tmp_path, one, other)

        assert sorted(e["ts"] for e in trace.on("MainThread", cat="step")) == [10, 7010]

    def test_nanoseconds_are_kept(self, tmp_path):
        """Times are microseconds with three decimals."""
        process = Process()
        process.step(0, process.main, 1)
        process.step(1.001, process.main, 0.123)

        text = "".join(trace_of(open_recording(write(tmp_path / "a.clew", process))))

        assert '"ts":1.001,"dur":0.123' in text


class TestSpeedscope:
    """Profiles."""

    @staticmethod
    def profiles(path: Path) -> dict[str, Any]:
        """Read the file, having checked it by its schema and by what the schema cannot say."""
        whole = json.loads("".join(profiles_of(open_recording(path))))
        jsonschema.validate(whole, SCHEMA)
        frames = len(whole["shared"]["frames"])
        for profile in whole["profiles"]:
            if profile["type"] == "sampled":
                assert len(profile["samples"]) == len(profile["weights"])
                assert all(0 <= frame < frames for stack in profile["samples"] for frame in stack)
                continue
            at, stack = profile["startValue"], []
            for event in profile["events"]:
                assert at <= event["at"] <= profile["endValue"]
                at = event["at"]
                if event["type"] == "O":
                    stack.append(event["frame"])
                else:
                    assert stack.pop() == event["frame"]
            assert not stack
        return whole

    @staticmethod
    def story(whole: dict[str, Any], at: int = 0) -> list[tuple[int, str]]:
        """Tell a profile as times and stacks."""
        names = [frame["name"] for frame in whole["shared"]["frames"]]
        stack: list[str] = []
        told: dict[int, str] = {}
        for event in whole["profiles"][at]["events"]:
            if event["type"] == "O":
                stack.append(names[event["frame"]])
            else:
                stack.pop()
            told[event["at"]] = " > ".join(stack)
        return list(told.items())

    def test_calls_make_a_profile_of_each_scope(self, tmp_path):
        """Balanced, also where an end is missing or too many."""
        process = Process()
        task = process.task("worker")
        sites = [process.site(10, "outer"), process.site(20, "inner")]
        process.event(1, K.LIFE_CALL_END, task)
        process.event(2, K.LIFE_CALL_START, task, site=sites[0])
        process.event(3, K.LIFE_CALL_START, task, site=sites[1])
        process.event(4, K.LIFE_CALL_END, task)
        process.event(5, K.LIFE_CALL_START, process.main, site=sites[1])
        process.event(6, K.LIFE_CALL_END, process.main)
        path = write(tmp_path / "a.clew", process)

        whole = self.profiles(path)

        assert source_of(open_recording(path)) == "calls"
        assert [profile["name"] for profile in whole["profiles"]] == ["bank · worker", "bank · MainThread"]
        assert self.story(whole) == [(1000, "outer"), (2000, "outer > inner"), (3000, "")]
        assert whole["shared"]["frames"][0] == {"name": "outer", "file": "app.py", "line": 10}

    def test_samples_make_a_sampled_profile(self, tmp_path):
        """Stacks are recorded innermost first and drawn outermost first."""
        process = Process()
        sites = [process.site(10, "outer"), process.site(20, "inner")]
        for at, stack in ((0, sites[:1]), (10, sites[::-1]), (30, sites[::-1])):
            process.event(at, K.LIFE_SAMPLE, process.main, attrs={"stack": stack})
        path = write(tmp_path / "a.clew", process)

        whole = self.profiles(path)

        assert source_of(open_recording(path)) == "samples"
        (profile,) = whole["profiles"]
        assert profile["samples"] == [[0], [0, 1], [0, 1]]
        assert profile["weights"] == [10_000, 20_000, 20_000]

    def test_without_either_steps_lie_in_their_spans(self, tmp_path):
        """What a thread's time went to: run, span, function."""
        process = Process()
        own = process.span("bank", role=SpanRole.RUN)
        run = process.span("POST /", parent=own, role=SpanRole.RUN)
        load = process.span("load", parent=run)
        task = process.task("worker", "handle", span=run)
        process.event(0, K.LIFE_TASK_START, process.main, entity=task, span=own)
        process.step(1, task, 9)
        process.event(5, K.LIFE_SPAN_START, task, span=load)
        process.step(20, task, 5)
        process.event(22, K.LIFE_SPAN_END, task, span=load)
        process.step(30, process.main, 1, op=Operation.CALLBACK, site=process.site(7, "on_timer"))
        path = write(tmp_path / "a.clew", process)

        whole = self.profiles(path)

        assert source_of(open_recording(path)) == "steps"
        assert self.story(whole) == [
            (1000, "MainThread > POST / > handle"), (5000, "MainThread > POST / > load > handle"), (10_000, "MainThread"),
            (20_000, "MainThread > POST / > load > handle"), (22_000, "MainThread > POST / > handle"),
            (25_000, "MainThread"), (30_000, "MainThread > on_timer"), (31_000, ""),
        ]  # fmt: skip

    def test_a_large_recording_is_balanced(self, tmp_path):
        """Thousands of tasks in several processes."""
        whole = self.profiles(write_recording(tmp_path / "a.clew", 5_000, processes=2))

        assert {profile["name"] for profile in whole["profiles"]} >= {"bank · MainThread", "bank-1 · MainThread"}


class TestCommand:
    """``clew export RECORDING --format FORMAT [-o OUT]``."""

    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A recording, in the working folder."""
        monkeypatch.chdir(tmp_path)
        process = Process()
        process.step(1, process.task("worker"), 2)
        return write(tmp_path / "bank.clew", process)

    @pytest.mark.parametrize("format_name", ["perfetto", "speedscope", "jsonl"])
    def test_the_output_is_named_after_the_recording(self, path, tmp_path, capsys, format_name):
        """Beside whatever else is in the working folder."""
        assert main(["export", str(path), "--format", format_name]) == 0

        suffix = ".jsonl" if format_name == "jsonl" else f".{format_name}.json"
        assert (tmp_path / f"bank{suffix}").read_text().startswith("{")
        assert f"bank{suffix}: 1 events of 1 process" in capsys.readouterr().out
        assert len(list(tmp_path.iterdir())) == 2

    def test_json_says_what_was_written(self, path, tmp_path, capsys):
        """In exactly one document."""
        assert main(["export", str(path), "--format", "speedscope", "-o", "x.json", "--json"]) == 0

        out, err = capsys.readouterr()
        assert json.loads(out) == {
            "schema": "clew.export/1", "format": "speedscope", "output": "x.json", "source": "steps",
            "bytes": (tmp_path / "x.json").stat().st_size, "events": 1, "processes": 1,
        }  # fmt: skip
        assert "[no-calls]" in err

    def test_stdout_gets_nothing_but_the_file(self, path):
        """So that it can be piped; a reader that leaves early is no error."""
        command = [sys.executable, "-m", "clew", "export", str(path), "--format", "jsonl", "-o", "-"]

        done = subprocess.run(command, capture_output=True, text=True, check=False)
        cut = subprocess.run(
            " ".join(command) + " | head -c 1", shell=True, capture_output=True, text=True, check=False
        )

        assert [json.loads(line)["record"] for line in done.stdout.splitlines()] == [
            "recording", "process", "entity", "entity", "entity", "event", "end",
        ]  # fmt: skip
        assert done.stderr == cut.stderr == ""

    def test_a_name_that_ends_in_gz_is_compressed(self, path, tmp_path):
        """The viewer opens it as it is; equal recordings give equal bytes."""
        for name in ("a.json.gz", "b.json.gz"):
            assert main(["export", str(path), "--format", "perfetto", "-o", name]) == 0

        packed = (tmp_path / "a.json.gz").read_bytes()
        assert json.loads(gzip.decompress(packed))["otherData"]["recording"] == "bank.clew"
        assert (tmp_path / "b.json.gz").read_bytes() == packed

    def test_a_cut_recording_is_exported_and_said_to_be_cut(self, path, capsys):
        """What came before is kept."""
        (stream,) = path.glob("*.stream")
        stream.write_bytes(stream.read_bytes()[:-5])

        assert main(["export", str(path), "--format", "jsonl", "-o", "x.jsonl"]) == 0
        assert "[truncated-stream]" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "slug"),
        [
            (["no.clew", "--format", "jsonl"], "no-recording"),
            (["bank.clew", "--format", "jsonl", "-o", "."], "output-exists"),
            (["bank.clew", "--format", "jsonl", "-o", "missing/x.jsonl"], "output-not-writable"),
            (["bank.clew", "--format", "jsonl", "-o", "-", "--json"], "usage"),
        ],
    )
    def test_what_cannot_be_done_is_one_line(self, path, capsys, arguments, slug):
        """With exit code 2 and a slug; nothing is left behind."""
        assert main(["export", *arguments]) == 2

        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert f"[{slug}]" in err
        assert [p.name for p in path.parent.iterdir()] == ["bank.clew"]

    def test_an_export_that_fails_leaves_the_older_file(self, path, tmp_path, monkeypatch, capsys):
        """A file is replaced when the new one is whole."""
        (tmp_path / "x.jsonl").write_text("older")

        def fail(*args: object) -> Any:
            yield "half"
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("clew.convert.jsonl.lines_of", fail)

        assert main(["export", str(path), "--format", "jsonl", "-o", "x.jsonl"]) == 2
        assert (tmp_path / "x.jsonl").read_text() == "older"
        assert "No space left" in capsys.readouterr().err

    def test_json_lines_need_nothing_but_the_standard_library(self, path):
        """The base install exports and imports them."""
        program = (
            "import sys; sys.modules.update(numpy=None); from clew.cli.main import main; "
            f"sys.exit(main(['export', {str(path)!r}, '--format', 'jsonl', '-o', 'x.jsonl'])"
            " or main(['import', 'x.jsonl', '--format', 'jsonl', '-o', 'y.clew']))"
        )

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

        assert (done.returncode, done.stderr) == (0, "")

    def test_long_work_shows_a_bar_on_a_terminal(self, monkeypatch):
        """Only there, and only after a second."""
        from clew.cli import progress

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal, pipe, now = Terminal(), io.StringIO(), 0.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: now)
        for stream in (terminal, pipe):
            now = 0.0
            monkeypatch.setattr(sys, "stderr", stream)
            with progress.Progress(200, "exporting") as bar:
                bar(20)
                assert stream.getvalue() == ""
                now = 2.0
                bar(80)

        assert "exporting [###############...............]  50%" in terminal.getvalue()
        assert terminal.getvalue().endswith("\r\x1b[K")
        assert pipe.getvalue() == ""
