"""What is recorded of waiting for tasks, futures, time and threads in asyncio."""

from __future__ import annotations

import sys

import pytest
from asyncio_programs import WAITS, WAITS_PRINT
from conftest import record_program
from recorded_waits import origins, waits, waker


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def done(request, tmp_path_factory):
    """The program recorded once for all tests of a loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")
    recorded = record_program(tmp_path_factory.mktemp("waits"), WAITS, request.param)
    assert recorded.returncode == 0, recorded.stderr
    return recorded


def of_type(done, type_name):
    """The ``sync`` events on entities of that type."""
    return [e for e in done.events if e.kind.startswith("sync.") and e.entity and e.entity.type == type_name]


def test_the_program_runs_as_ever(done):
    """Its output is the same, and no hook failed."""
    assert done.stdout == WAITS_PRINT
    assert done.problems == {}


def test_gather_is_a_group_of_tasks_that_is_waited_for(done):
    """It says how many, and how it ended: with results, an exception, or by cancellation."""
    first, *others = of_type(done, "asyncio.gather")

    assert [(e.scope.name, e.kind, e.op, e.outcome) for e in (first, *others)] == [
        ("gathers", "sync.wait", "gather", ""),
        ("gathers", "sync.await", "gather", ""),
        ("gathers", "sync.wait", "gather", ""),
        ("gathers", "sync.await", "gather", "failed"),
        ("cancelled-gather", "sync.wait", "gather", ""),
        ("cancelled-gather", "sync.abandon", "gather", "cancelled"),
    ]
    assert (first.entity.kind, first.arg, first.site.function) == ("group", 2, "gathers")
    assert others[0].wait_ns > 0
    assert "child-1" in [event.entity.name for event in origins(done, others[0]) if event.entity]


def test_a_task_group_is_joined(done):
    """A group that failed says so; one without tasks need not be waited for."""
    events = of_type(done, "asyncio.TaskGroup")

    assert [(e.kind, e.op, e.outcome, e.arg) for e in events] == [
        ("sync.wait", "join", "", 1),
        ("sync.join", "join", "ok", 0),
        ("sync.wait", "join", "", 2),
        ("sync.join", "join", "failed", 0),
        ("sync.join", "join", "ok", 0),
    ]
    assert {event.site.function for event in events} == {"groups"}
    (cancelled,) = done.of("life.task_cancel", entity="sibling")
    assert any(event.entity and event.entity.name == "failing" for event in origins(done, cancelled))


def test_waiting_for_tasks_says_for_all_or_any_and_whether_time_was_up(done):
    """``FIRST_COMPLETED`` is ``wait_any``; a timeout is a wait given up."""
    events = [event for event in of_type(done, "asyncio.wait") if event.scope.name == "sets"]

    assert [(e.kind, e.op, e.outcome, e.arg) for e in events[:4]] == [
        ("sync.wait", "wait_any", "", 2),
        ("sync.await", "wait_any", "", 0),
        ("sync.wait", "gather", "", 1),
        ("sync.abandon", "gather", "timeout", 0),
    ]
    assert any(event.entity and event.entity.name == "quick" for event in origins(done, events[1]))
    assert any(event.op == "timer" for event in origins(done, events[3]))


def test_a_limit_that_expires_is_the_origin_of_a_cancellation(done):
    """Its abandoned wait, and that of what it was put around, lead to the timer."""
    expired = [e for e in done.of("sync.abandon", scope="limits") if e.outcome == "timeout"]
    (lock,) = [e for e in done.of("sync.abandon") if e.op == "acquire"]

    assert [event.op for event in expired] == ["wait_for", "wait_for", "timer"]
    assert [event.entity.kind for event in expired[1:]] == ["task", "timer"]
    assert expired[1].entity.name == "late"
    assert (lock.entity.name, lock.outcome) == ("lock", "cancelled")
    for event in (*expired, lock):
        assert any(origin.op == "timer" for origin in origins(done, event)), event
    assert {event.site.function for event in expired} == {"limits"}


def test_a_limited_wait_for_a_task_is_recorded(done):
    """The task is what is waited for; a wait that ends in time ends as any other."""
    begin, end = [e for e in done.of("sync.wait", "sync.await", entity="in-time") if e.op == "wait_for"]

    assert (begin.entity.kind, begin.site.function) == ("task", "limits")
    assert (end.outcome, end.wait_ns > 0) == ("", True)
    failed = [e for e in done.of("sync.await", scope="limits") if e.op == "wait_for" and e.outcome == "failed"]
    assert len(failed) == (sys.version_info < (3, 12))  # from 3.12 on, a coroutine runs in the task itself


def test_a_job_in_an_executor_is_waited_for(done):
    """The future of the job is what is waited for; its end leads to the thread that ran it."""
    ends = [e for e in done.of("sync.await", scope="threads") if e.op == "await"]

    assert [event.entity.kind for event in ends] == ["future"] * 3
    assert {event.site.function for event in ends} == {"threads"}
    for end in ends[:2]:
        assert any(e.kind == "sync.notify" and e.scope.kind == "thread" for e in origins(done, end))
    begins = [event for event in done.of("sync.wait", scope="threads") if event.op == "await"]
    assert [event.entity for event in begins] == [event.entity for event in ends]


def test_a_thread_that_wakes_a_loop_is_its_cause(done):
    """``call_soon_threadsafe`` notifies the loop; what it calls, and the task it makes, have that as their cause."""
    (wake,) = done.of("sync.notify", scope="setter")
    (asked,) = [e for e in done.of("life.task_start") if e.entity.type == "asked"]

    assert (wake.op, wake.entity.kind) == ("threadsafe", "loop")
    assert [e for e in done.of("life.step") if e.cause == wake.seq]
    callback = [e for e in done.of("life.step") if e.seq < asked.seq and e.scope == asked.scope][-1]
    assert "asker" in [event.scope.name for event in origins(done, callback)]


def test_a_sleep_is_a_wait_for_time(done):
    """It says for how long; one of no time is a wait for the others' turn."""
    events = [e for e in done.of("sync.wait", "sync.await", scope="sleeps") if e.op == "sleep"]
    nap = [e for e in done.of("sync.wait", "sync.abandon", scope="nap") if e.op == "sleep"]

    assert [(e.kind, e.arg) for e in events[:4]] == [
        ("sync.wait", 1_000_000),
        ("sync.await", 0),
        ("sync.wait", 0),
        ("sync.await", 0),
    ]
    assert any(event.op == "timer" for event in origins(done, events[1]))
    assert [(e.kind, e.outcome) for e in nap] == [("sync.wait", ""), ("sync.abandon", "cancelled")]
    assert nap[0].arg == 60_000_000_000
    assert waker(done, nap[1]).scope.name == "sleeps"


def test_nothing_is_recorded_of_limits_that_are_kept(done):
    """A timeout that did not expire leaves no event."""
    assert [row for row in waits(done, scope="limits") if row[2] == "timer"] == [
        ("limits", "abandon", "timer", "timeout")
    ]
