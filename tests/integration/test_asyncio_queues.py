"""What is recorded of asyncio's queues, and of ``as_completed``, which is made of one."""

from __future__ import annotations

import sys

import pytest
from asyncio_programs import QUEUES
from conftest import record_program
from recorded_waits import origins, waits, waker


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The program recorded once for all tests."""
    recorded = record_program(tmp_path_factory.mktemp("queues"), QUEUES)
    assert recorded.returncode == 0, recorded.stderr
    return recorded


def test_the_program_runs_as_ever(done, plain):
    """Its output is the same, and no hook failed."""
    assert done.stdout == plain(QUEUES).stdout
    assert done.problems == {}


def test_a_queue_shows_who_waited_to_put_and_to_get(done):
    """One event for a put or get that need not wait, two for one that does, one for a refusal."""
    assert waits(done, entity="letters") == [
        ("getter", "wait", "get", ""),
        ("waiting", "put", "put", ""),
        ("getter", "get", "get", ""),
        ("waiting", "put", "put", ""),
        ("putter", "wait", "put", ""),
        ("cancelled", "wait", "put", ""),
        ("cancelled", "abandon", "put", "cancelled"),
        ("waiting", "get", "get", ""),
        ("putter", "put", "put", ""),
        ("waiting", "abandon", "put", "would_block"),
        ("waiting", "get", "get", ""),
        ("waiting", "abandon", "get", "would_block"),
    ]
    assert [e.arg for e in done.of("sync.put", entity="letters")] == [1, 1, 1]
    assert [e.arg for e in done.of("sync.get", entity="letters")] == [0, 0, 0]
    assert done.of("sync.get", entity="letters")[0].entity.kind == "queue"


def test_who_goes_on_names_who_put_or_got(done):
    """The step in which a wait for a queue ended was woken by the other side's operation."""
    (got,) = done.of("sync.get", scope="getter")
    (put,) = done.of("sync.put", scope="putter")
    (given_up,) = done.of("sync.abandon", scope="cancelled")

    assert waker(done, got) == done.of("sync.put", entity="letters")[0]
    assert waker(done, put) == done.of("sync.get", entity="letters", scope="waiting")[0]
    assert waker(done, given_up).scope.name == "waiting"
    assert got.wait_ns > 0
    assert (got.site.function, put.site.function) == ("take", "bring")


def test_joining_a_queue_waits_for_the_last_task_done(done):
    """Each ``task_done`` says how many are left; the last one is what the joiner was woken by."""
    joins = [event for event in done.events if event.op == "join" and event.entity and event.entity.name == "work"]

    assert [(e.scope.name, e.kind, e.arg) for e in joins] == [
        ("joiner", "sync.wait", 0),
        ("joining", "sync.notify", 1),
        ("joining", "sync.notify", 0),
        ("joiner", "sync.join", 0),
        ("joining", "sync.join", 0),
    ]
    assert waker(done, joins[3]) == joins[2]


def test_every_kind_of_queue_is_recorded(done):
    """Also priority queues, stacks, and a class of the program's, of whose wait only the end is known."""
    for name in ("ordered", "stack"):
        assert [(e.kind, e.arg) for e in done.of("sync.put", "sync.get", entity=name)] == [
            ("sync.put", 1),
            ("sync.put", 2),
            ("sync.get", 1),
            ("sync.get", 0),
        ]
    assert waits(done, entity="choosy") == [
        ("kinds", "put", "put", ""),
        ("kinds", "get", "get", ""),
        ("choosy", "put", "put", ""),
    ]
    immediate, waited = done.of("sync.put", entity="choosy")
    assert immediate.wait_ns == 0
    assert waited.wait_ns > 0


def test_as_completed_is_a_group_that_is_waited_for(done):
    """Its queue is its own affair; a deadline that passes is a wait given up."""
    events = [event for event in done.events if event.entity and event.entity.type == "asyncio.as_completed"]

    assert [(e.kind, e.op, e.outcome) for e in events if e.kind != "life.step"] == [
        ("sync.wait", "wait_any", ""),
        ("sync.await", "wait_any", ""),
        ("sync.wait", "wait_any", ""),
        ("sync.abandon", "wait_any", "timeout"),
    ]
    assert {event.entity.kind for event in events} == {"group"}
    assert any(event.op == "timer" for event in origins(done, events[-1]))
    assert not [e for e in done.events if e.entity and e.entity.kind == "queue" and e.scope.name == "completions"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues can be shut down from Python 3.13 on")
def test_a_queue_that_is_shut_down_fails_the_waits_for_it(done):
    """The shutdown is a notification, which the failed wait leads to; later use is refused."""
    assert waits(done, entity="closed") == [
        ("closed-getter", "wait", "get", ""),
        ("closing", "notify", "", ""),
        ("closed-getter", "abandon", "get", "failed"),
        ("closing", "abandon", "put", "failed"),
    ]
    (failed,) = done.of("sync.abandon", scope="closed-getter")
    assert waker(done, failed).kind == "sync.notify"
