"""What is recorded of asyncio's locks, semaphores, events, conditions and barriers."""

from __future__ import annotations

import pytest
from asyncio_programs import LOCKS, LOCKS_PRINT
from conftest import record_program
from recorded_waits import origins, waits, waker


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def done(request, tmp_path_factory):
    """The program recorded once for all tests of a loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")
    recorded = record_program(tmp_path_factory.mktemp("locks"), LOCKS, request.param)
    assert recorded.returncode == 0, recorded.stderr
    return recorded


def test_the_program_runs_as_ever(done):
    """Its output is the same, and no hook failed."""
    assert done.stdout == LOCKS_PRINT
    assert done.problems == {}


def test_a_lock_is_acquired_waited_for_given_up_and_released(done):
    """One event where it is free, two for a wait; who gives up says whether by cancellation."""
    assert waits(done, entity="Account.lock") == [
        ("locks", "acquired", "acquire", ""),
        ("waiter", "acquire", "acquire", ""),
        ("cancelled", "acquire", "acquire", ""),
        ("cancelled", "abandon", "acquire", "cancelled"),
        ("late", "acquire", "acquire", ""),
        ("late", "abandon", "acquire", "cancelled"),
        ("locks", "release", "", ""),
        ("waiter", "acquired", "acquire", ""),
        ("waiter", "release", "", ""),
    ]
    lock = done.of("sync.acquired", entity="Account.lock")[0]
    assert (lock.entity.kind, lock.entity.type) == ("lock", "asyncio.locks.Lock")
    assert (lock.site.function, lock.wait_ns, lock.cause) == ("locks", 0, 0)


def test_who_gets_a_lock_names_who_released_it(done):
    """The wait's end is enabled by the step in which the waiter woke, and that by the release."""
    acquired = done.of("sync.acquired", entity="Account.lock", scope="waiter")[0]

    woke = waker(done, acquired)

    assert (woke.kind, woke.scope.name, woke.entity.name) == ("sync.release", "locks", "Account.lock")
    assert acquired.wait_ns > 0
    assert acquired.site.function == "use"


def test_a_wait_given_up_names_where_that_came_from(done):
    """A cancellation leads to who cancelled, an expired limit to the timer."""
    (cancelled,) = done.of("sync.abandon", entity="Account.lock", scope="cancelled")
    (late,) = done.of("sync.abandon", entity="Account.lock", scope="late")
    (expired,) = [e for e in done.of("sync.abandon", scope="late") if e.op == "timer"]

    assert origins(done, cancelled)[1].scope.name == "locks"
    assert origins(done, late)[1].op == "timer"
    assert (expired.entity.kind, expired.entity.type, expired.outcome) == ("timer", "asyncio.timeout", "timeout")
    assert origins(done, expired)[0] == origins(done, late)[1]


def test_a_semaphore_is_waited_for_when_its_permits_are_gone(done):
    """Who gets a permit names who gave it back; what cannot be given back is no release."""
    assert waits(done, entity="permits") == [
        ("semaphores", "acquired", "acquire", ""),
        ("semaphores", "acquired", "acquire", ""),
        ("waiter", "acquire", "acquire", ""),
        ("semaphores", "release", "", ""),
        ("waiter", "acquired", "acquire", ""),
        ("waiter", "release", "", ""),
        ("semaphores", "release", "", ""),
    ]
    acquired = done.of("sync.acquired", entity="permits", scope="waiter")[0]
    assert waker(done, acquired).kind == "sync.release"
    assert acquired.entity.kind == "semaphore"


def test_an_event_is_recorded_where_it_changes(done):
    """Setting it again, or clearing it again, does nothing and is not recorded."""
    assert waits(done, entity="ready") == [
        ("waiter-0", "wait", "event_wait", ""),
        ("waiter-1", "wait", "event_wait", ""),
        ("cancelled", "wait", "event_wait", ""),
        ("cancelled", "abandon", "event_wait", "cancelled"),
        ("events", "set", "", ""),
        ("waiter-0", "await", "event_wait", ""),
        ("waiter-1", "await", "event_wait", ""),
        ("events", "await", "event_wait", ""),
        ("events", "clear", "", ""),
    ]
    (change,) = done.of("sync.set", entity="ready")
    assert (change.entity.kind, change.arg) == ("event", 2)
    for ended in done.of("sync.await", entity="ready")[:2]:
        assert waker(done, ended) == change


def test_a_condition_wakes_who_it_notifies(done):
    """The notification says how many, and leads to their steps; its lock is given back and taken again."""
    assert waits(done, entity="changed") == [
        ("waiter-0", "wait", "notify_wait", ""),
        ("waiter-1", "wait", "notify_wait", ""),
        ("waiter-2", "wait", "notify_wait", ""),
        ("conditions", "notify", "", ""),
        ("waiter-0", "await", "notify_wait", ""),
        ("conditions", "notify", "", ""),
        ("waiter-1", "await", "notify_wait", ""),
        ("waiter-2", "await", "notify_wait", ""),
        ("cancelled", "wait", "notify_wait", ""),
        ("cancelled", "abandon", "notify_wait", "cancelled"),
    ]
    assert [e.arg for e in done.of("sync.notify", entity="changed")] == [1, 2]
    notify = done.of("sync.notify", entity="changed")[0]
    wait, end = done.of("sync.wait", "sync.await", entity="changed", scope="waiter-0")
    assert waker(done, end) == notify
    own = [event for event in done.of("sync.release", "sync.acquired") if wait.seq < event.seq < end.seq]
    assert [event.kind for event in own if event.scope == wait.scope] == ["sync.release", "sync.acquired"]
    (given_up,) = done.of("sync.abandon", entity="changed")
    assert waker(done, given_up).scope.name == "conditions"


def test_a_barrier_releases_those_who_waited(done):
    """The last one to arrive does not wait; a broken barrier fails the wait. What it is made of does not show."""
    assert waits(done, entity="meeting") == [
        ("waiter", "wait", "barrier_wait", ""),
        ("barriers", "await", "barrier_wait", ""),
        ("waiter", "await", "barrier_wait", ""),
        ("broken", "wait", "barrier_wait", ""),
        ("broken", "abandon", "barrier_wait", "failed"),
    ]
