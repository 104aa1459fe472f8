"""The overview of a recording: which waits are worth telling, and what counts as one error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.recordings import Process, write

from clew.analysis.summary import Summary, summary_of
from clew.analysis.timeline import timelines_of
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole

K, Op = EventKind, Operation


class Program(Process):
    """A process that has its own run, from 0 to 100 ms."""

    def __init__(self, **head: Any) -> None:
        super().__init__(**head)
        self.own = self.span("app", role=SpanRole.RUN, trace=500)
        self.event(0, K.LIFE_RUN_START, self.main, span=self.own, entity=self.process)
        self.first = self.worker("main")

    def waited(self, scope: int, op: Operation, entity: int, start_us: int, end_us: int | None, span: int) -> None:
        """Add a task's or thread's wait; *end_us* None: it never ended."""
        self.event(start_us, K.SYNC_WAIT, scope, op=op, entity=entity, span=span)
        if end_us is not None:
            wait_ns = (end_us - start_us) * 1000
            self.event(end_us, K.SYNC_AWAIT, scope, op=op, entity=entity, span=span, wait_ns=wait_ns)

    def worker(self, name: str) -> int:
        """Add a task of the program's own, alive from 0 to 100 ms."""
        task = self.task(name, span=self.own)
        self.event(0, K.LIFE_TASK_START, self.main, entity=task, span=self.own)
        return task

    def ends(self) -> None:
        self.event(100_000, K.LIFE_PROCESS_END, self.main, entity=self.process, span=self.own)


def summary_in(folder: Path, *processes: Process) -> Summary:
    return summary_of(timelines_of(open_recording(write(folder / "made.clew", *processes))), size_bytes=1)


@pytest.mark.parametrize("operation", [Op.GET, Op.EVENT_WAIT, Op.NOTIFY_WAIT])
def test_a_worker_without_work_is_not_among_the_longest_waits(tmp_path: Path, operation: Operation):
    """A task outside of requests that waits for work most of its life is idle, not held up."""
    process = Program()
    queue = process.entity(EntityKind.QUEUE, "jobs")
    worker = process.worker("worker")
    process.waited(worker, operation, queue, 1_000, 90_000, process.own)
    process.event(90_100, K.LIFE_TASK_END, worker, entity=worker)
    process.ends()

    assert summary_in(tmp_path, process).waits == ()


def test_an_item_the_program_itself_waits_for_is_told(tmp_path: Path):
    """The first task is no worker: the program is over when it is."""
    process = Program()
    queue = process.entity(EntityKind.QUEUE, "results")
    process.waited(process.first, Op.GET, queue, 1_000, 90_000, process.own)
    process.ends()

    assert [wait.label for wait in summary_in(tmp_path, process).waits] == ["queue results (get)"]


def test_a_request_that_waits_for_an_item_is_told(tmp_path: Path):
    """Inside a request every wait holds somebody up."""
    process = Program()
    queue = process.entity(EntityKind.QUEUE, "answers")
    handler = process.worker("handler")
    request = process.span("GET /", role=SpanRole.RUN, kind=SpanKind.SERVER, parent=process.own)
    process.event(1_000, K.LIFE_RUN_START, handler, span=request)
    process.waited(handler, Op.GET, queue, 2_000, 90_000, request)
    process.event(90_100, K.LIFE_RUN_END, handler, span=request, outcome=Outcome.OK)
    process.ends()

    assert [wait.label for wait in summary_in(tmp_path, process).waits] == ["queue answers (get)"]


def test_what_was_waited_for_when_the_process_was_killed_is_told_first(tmp_path: Path):
    """Of a process without an orderly end, a wait that never ended is what people look for."""
    process = Program()
    event = process.entity(EntityKind.EVENT, "ready")
    process.waited(process.worker("stuck"), Op.EVENT_WAIT, event, 1_000, None, process.own)
    process.event(90_000, K.CUSTOM_EVENT, process.main, span=process.own)
    process.end = {"reason": "signal", "exit": -9, "signal": "SIGKILL"}

    (wait,) = summary_in(tmp_path, process).waits

    assert (wait.label, wait.unfinished, wait.longest_by) == ("event ready", 1, "stuck")


def test_a_wait_inside_a_call_is_the_call(tmp_path: Path):
    """What a client library waits for inside a call is told as the call."""
    process = Program()
    call = process.span("GET /rates", op=Op.HTTP, parent=process.own, kind=SpanKind.CLIENT)
    task = process.worker("asks")
    process.event(1_000, K.EFFECT_CALL, task, op=Op.HTTP, span=call)
    process.waited(task, Op.EVENT_WAIT, process.entity(EntityKind.EVENT, "socket"), 1_100, 50_000, call)
    process.event(50_100, K.EFFECT_RESULT, task, op=Op.HTTP, span=call, outcome=Outcome.OK)
    process.ends()

    (wait,) = summary_in(tmp_path, process).waits

    assert (wait.label, wait.count, wait.longest_ns) == ("http GET /rates", 1, 49_100_000)


def test_an_error_that_was_raised_and_then_not_handled_is_one(tmp_path: Path):
    """Its reports are not counted as further errors."""
    process = Program()
    attrs = {"type": "ValueError", "message": "no"}
    cause = process.event(10, K.ERROR_RAISED, process.main, span=process.own, attrs=attrs)
    process.event(20, K.ERROR_UNHANDLED, process.main, span=process.own, cause=cause, attrs=attrs)
    process.ends()

    (error,) = summary_in(tmp_path, process).errors

    assert (error.count, error.unhandled) == (1, 1)


def test_requests_served_in_another_process_run_are_grouped(tmp_path: Path):
    """Requests of one name are one group, the gravest outcome first."""
    process = Program()
    task = process.worker("serves")
    for i, outcome in enumerate((Outcome.OK, Outcome.FAILED, Outcome.OK)):
        span = process.span("POST /pay", kind=SpanKind.SERVER, parent=process.own, parent_span_id=99, trace=42)
        process.event(1_000 * i, K.LIFE_SPAN_START, task, span=span)
        process.event(1_000 * i + 500, K.LIFE_SPAN_END, task, span=span, outcome=outcome)
    process.ends()

    groups = summary_in(tmp_path, process).requests

    # The first of them stands for the run, whose beginning was not recorded.
    assert [(group.name, group.count, group.outcomes) for group in groups] == [
        ("POST /pay", 2, (("failed", 1), ("ok", 1)))
    ]


def test_events_dropped_after_the_last_that_was_kept_are_counted(tmp_path: Path):
    """Only the end of the stream knows of them."""
    process = Program()
    process.ends()
    process.end = {"reason": "exit", "dropped": 12}

    assert summary_in(tmp_path, process).dropped == 12
