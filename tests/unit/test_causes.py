"""What led to an event."""

from __future__ import annotations

from random import Random

import pytest
from tests.support.recordings import Process, write
from tests.unit.test_blocks import scrambled

from clew.analysis.causes import Causes
from clew.analysis.links import Links
from clew.analysis.sentences import sentence_of
from clew.analysis.timeline import timelines_of
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind

MS = 1000


def causes_of(folder, *processes):
    """What follows causes in a recording made by hand."""
    timelines = timelines_of(open_recording(write(folder / "r.clew", *processes)))
    return timelines, Causes(timelines, Links(timelines))


def told(folder, process, seq, *others, limit=500):
    """The thread of an event: its sentences, how each leads to the next, and what it begins with."""
    timelines, causes = causes_of(folder, process, *others)
    position = next(i for i, t in enumerate(timelines) if t.stream.process_id == process.process_id)
    thread = causes.thread_of(position, timelines[position].row_of(seq), limit=limit)
    return [(step.text, step.how) for step in thread.steps], thread.begins


class Handover(Process):
    """A task b that waits for a lock, and the task a that releases it; both started by main."""

    def __init__(self):
        super().__init__()
        self.began = self.event(0, EventKind.LIFE_PROCESS_START, self.main, entity=self.process)
        self.lock = self.entity(EntityKind.LOCK, "Account.lock")
        self.a, self.b = self.task("a"), self.task("b")
        start_a = self.event(1, EventKind.LIFE_TASK_START, self.main, entity=self.a)
        start_b = self.event(2, EventKind.LIFE_TASK_START, self.main, entity=self.b)
        self.step(10, self.b, 5, cause=start_b)
        self.asked = self.event(12, EventKind.SYNC_ACQUIRE, self.b, op=Operation.ACQUIRE, entity=self.lock)
        self.step(20, self.a, 10, cause=start_a)
        self.released = self.event(25, EventKind.SYNC_RELEASE, self.a, entity=self.lock)
        self.callback = self.event(
            40, EventKind.LIFE_STEP, self.main, op=Operation.CALLBACK, cause=self.released, arg=2000
        )
        self.woken = self.step(50, self.b, 10, cause=self.callback)
        self.got = self.event(
            51, EventKind.SYNC_ACQUIRED, self.b, op=Operation.ACQUIRE, entity=self.lock, wait_ns=39_000
        )
        self.after = self.event(55, EventKind.CUSTOM_EVENT, self.b, attrs={"name": "paid"})


def test_a_wait_leads_to_who_ended_it(tmp_path):
    """Through the callback of the loop, which says nothing to people; and on to where that one came from."""
    process = Handover()

    assert told(tmp_path, process, process.after) == (
        [
            ("bank began", "program-order"),
            ("MainThread started a", "spawn"),
            ("a released Account.lock", "wake"),
            ("b asked for Account.lock and waited 39.0 µs", "program-order"),
            ("b: paid", ""),
        ],
        "process-start",
    )


def test_what_began_before_a_wait_does_not_lead_to_its_end(tmp_path):
    """The request for the lock comes from the start of its task."""
    process = Handover()

    assert told(tmp_path, process, process.asked) == (
        [("bank began", "program-order"), ("MainThread started b", "spawn"), ("b asked for Account.lock", "")],
        "process-start",
    )


def test_a_cause_that_was_dropped_is_said_to_be(tmp_path):
    """The thread does not go on by guessing."""
    process = Process()
    task = process.task("t")
    process.event(1, EventKind.LIFE_TASK_START, process.main, entity=task)
    process.event(2, EventKind.GAP_DROPPED, 0, arg=3)
    event = process.step(10, task, 5, cause=900)
    process.end = {"reason": "exit", "dropped": 3}

    assert told(tmp_path, process, event) == ([("t ran for 5.00 µs", "")], "dropped")


def test_a_cause_in_a_process_that_is_not_recorded_is_said_to_be(tmp_path):
    """An event names it, and nothing of it is there."""
    process = Process()
    received = process.event(1, EventKind.MESSAGE_RECEIVE, process.main, remote_cause=(0xDEAD, 5))

    assert told(tmp_path, process, received)[1] == "not-recorded"


def test_events_that_cause_one_another_end_the_thread(tmp_path):
    """A damaged recording does not keep it going."""
    process = Process()
    first = process.event(1, EventKind.ERROR_RAISED, process.main, cause=2, attrs={"type": "A"})
    process.event(2, EventKind.ERROR_UNHANDLED, process.main, cause=first, attrs={"type": "B"})

    steps, begins = told(tmp_path, process, first)

    assert ([text for text, _ in steps], begins) == (
        ["MainThread did not handle B", "MainThread raised A"],
        "not-recorded",
    )


def test_a_long_thread_is_cut_at_its_beginning(tmp_path):
    """What is nearest to the event is kept."""
    process = Handover()
    timelines, causes = causes_of(tmp_path, process)

    thread = causes.thread_of(0, timelines[0].row_of(process.after), limit=2)

    assert thread.truncated
    assert [step.text for step in thread.steps] == ["b asked for Account.lock and waited 39.0 µs", "b: paid"]


def test_a_request_leads_to_who_sent_it(tmp_path):
    """Into the other process, and there to why it was sent."""
    client, server = Process(0xA1, pid=1, service="web"), Process(0xB2, pid=2, service="db")
    client.event(0, EventKind.LIFE_PROCESS_START, client.main, entity=client.process)
    asking = client.task("asking")
    client.event(0, EventKind.LIFE_TASK_START, client.main, entity=asking)
    client.step(1, asking, 5)
    call = client.span("GET /x", kind=SpanKind.CLIENT, op=Operation.HTTP, span_id=77)
    client.event(2, EventKind.EFFECT_CALL, asking, op=Operation.HTTP, span=call)
    served = server.span("GET /x", kind=SpanKind.SERVER, parent_span_id=77)
    serving = server.task("serving", span=served)
    server.step(20, serving, 30)
    server.event(21, EventKind.LIFE_SPAN_START, serving, span=served)
    failed = server.event(
        25, EventKind.ERROR_RAISED, serving, span=served, attrs={"type": "KeyError", "message": "'x'"}
    )
    answered = server.event(30, EventKind.LIFE_SPAN_END, serving, span=served, outcome=Outcome.FAILED)
    client.step(40, asking, 5)
    got = client.event(
        41, EventKind.EFFECT_RESULT, asking, op=Operation.HTTP, span=call, outcome=Outcome.FAILED, wait_ns=39_000,
        attrs={"status": 500},
    )  # fmt: skip
    asked = [("web began", "program-order"), ("MainThread started asking", "spawn"), ("asking sent GET /x", "remote")]

    assert answered
    assert told(tmp_path / "1", server, failed, client) == (
        [*asked, ("db served GET /x", "program-order"), ("serving raised KeyError: 'x'", "")], "process-start"
    )  # fmt: skip
    assert told(tmp_path / "2", client, got, server) == (
        [
            *asked,
            ("db served GET /x", "program-order"),
            ("db answered GET /x after 9.00 µs and failed", "remote"),
            ("GET /x of asking ended after 39.0 µs (500) and failed", ""),
        ],
        "process-start",
    )
    assert told(tmp_path / "3", server, failed)[1] == "request"


def test_what_kept_the_loop_busy_is_told(tmp_path):
    """A task that could have run long before it did leads to the step that ran instead."""
    process = Process()
    busy, late = process.task("busy"), process.task("late")
    start = process.event(0, EventKind.LIFE_TASK_START, process.main, entity=busy)
    process.event(1, EventKind.LIFE_TASK_START, process.main, entity=late)
    long = process.event(10, EventKind.LIFE_STEP, busy, cause=start)
    process.event(100 * MS, EventKind.LIFE_STEP_END, busy, cause=long, arg=(100 * MS - 10) * 1000)
    step = process.step(101 * MS, late, 5, cause=2, wait_ns=90 * MS * 1000)

    steps, _ = told(tmp_path, process, step)

    assert steps[-2] == ("busy ran for 100.0 ms without a pause, and kept late from running for 90.0 ms", "wake")


def test_a_sleep_is_told_and_leads_to_where_its_task_came_from(tmp_path):
    """Its timer was set by the task itself."""
    process = Process()
    task = process.task("t")
    process.event(0, EventKind.LIFE_TASK_START, process.main, entity=task)
    process.step(1, task, 5, cause=1)
    asleep = process.event(3, EventKind.SYNC_WAIT, task, op=Operation.SLEEP)
    timer = process.event(20, EventKind.LIFE_STEP, process.main, op=Operation.TIMER, cause=asleep, arg=1000)
    process.step(25, task, 5, cause=timer)
    process.event(26, EventKind.SYNC_AWAIT, task, op=Operation.SLEEP, wait_ns=23_000)
    event = process.event(28, EventKind.LOG_RECORD, task, attrs={"message": "up"})

    steps, begins = told(tmp_path, process, event)

    assert [text for text, _ in steps] == ["MainThread started t", "t slept for 23.0 µs", "t logged: up"]
    assert begins == "not-recorded"


def test_effects_go_through_the_callbacks_of_a_loop(tmp_path):
    """What a release enabled is the task that went on, not the loop's errand."""
    process = Handover()
    timelines, causes = causes_of(tmp_path, process)
    timeline = timelines[0]

    effects = causes.effects_of(0, timeline.row_of(process.released))

    assert [int(timeline.columns["seq"][row]) for _, row in effects] == [process.woken]


def test_effects_reach_other_processes_and_are_bounded(tmp_path):
    """By time, at most as many as are asked for."""
    one, two = Process(0xA1, pid=1), Process(0xB2, pid=2)
    sent = one.event(1, EventKind.MESSAGE_SEND, one.main)
    for i in range(5):
        two.event(10 - i, EventKind.MESSAGE_RECEIVE, two.main, remote_cause=(0xA1, sent))
    timelines, causes = causes_of(tmp_path, one, two)

    effects = causes.effects_of(0, 0, limit=3)

    assert len(effects) == 3
    assert all(timelines[process].stream.process_id == 0xB2 for process, _ in effects)


def test_every_kind_of_event_has_a_sentence(tmp_path):
    """It names who did it, and holds no slug that nobody says aloud."""
    process = Process()
    task, lock = process.task("Task-A"), process.entity(EntityKind.LOCK, "Bank.lock")
    span = process.span("work")
    for kind in EventKind:
        process.event(int(kind), kind, task, entity=lock, span=span, op=Operation.HTTP if "effect" in kind.slug else 0)
    timelines, _ = causes_of(tmp_path, process)

    sentences = {kind.slug: sentence_of(timelines[0], row) for row, kind in enumerate(EventKind)}

    without = {
        "life.process_start",
        "life.process_end",
        "gap.dropped",
        "life.thread_end",
        "life.task_end",
        "life.task_cancel",
    }
    assert [slug for slug, text in sentences.items() if "Task-A" not in text and slug not in without] == []
    assert [text for text in sentences.values() if "  " in text or "_" in text] == []


@pytest.mark.parametrize("seed", range(0, 60, 2))
def test_threads_of_whatever_a_recording_says_end(tmp_path, seed):
    """Each event has a thread that ends with it, has no event twice, and keeps to the limit."""
    timelines, causes = causes_of(tmp_path, scrambled(seed), scrambled(seed + 1))
    random = Random(seed)

    for process, timeline in enumerate(timelines):
        for row in random.sample(range(len(timeline.data)), min(len(timeline.data), 40)):
            thread = causes.thread_of(process, row, limit=30)
            events = [(step.process, step.row) for step in thread.steps]
            assert events[-1] == (process, row)
            assert len(set(events)) == len(events) <= 30
            assert all(step.text and step.how for step in thread.steps[:-1])
            assert len(causes.effects_of(process, row, limit=5)) <= 5
