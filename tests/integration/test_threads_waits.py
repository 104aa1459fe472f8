"""What is recorded of semaphores, events, conditions and barriers."""

from __future__ import annotations

import json

from recorded_stories import UNTIL_WAITING, cause_of, of_kind, story


def test_semaphores(record):
    """Permits, one event without a wait, two with one, and what woke the waiter."""
    done = record(
        UNTIL_WAITING
        + """
permits = threading.Semaphore(2)
bounded = threading.BoundedSemaphore(1)

def hold():
    with permits:
        pass

with permits:
    permits.acquire()
    print(permits.acquire(False), permits.acquire(timeout=0.01))
    waiter = start("waiter", hold)
    until_waiting(waiter)
    permits.release()
    waiter.join()
permits.release(2)
with bounded:
    pass
for wrong in (lambda: bounded.release(), lambda: permits.release(0), lambda: permits.acquire(False, 1)):
    try:
        wrong()
    except ValueError as error:
        print(error)
"""
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "False False\nSemaphore released too many times\nn must be one or more\n"
        "can't specify timeout for non-blocking acquire\n"
    )
    assert done.problems == {}
    events = done.events
    assert story(events, "permits") == [
        "MainThread sync.acquired acquire",
        "MainThread sync.acquired acquire",
        "MainThread sync.abandon acquire would_block",
        "MainThread sync.acquire acquire",
        "MainThread sync.abandon acquire timeout",
        "waiter sync.acquire acquire",
        "MainThread sync.release acquire",
        "waiter sync.acquired acquire",
        "waiter sync.release acquire",
        "MainThread sync.release acquire",
        "MainThread sync.release acquire",
    ]
    (got,) = of_kind(events, "sync.acquired", "permits", "waiter")
    assert (cause_of(events, got).kind, cause_of(events, got).scope.name) == ("sync.release", "MainThread")
    assert [e.arg for e in of_kind(events, "sync.release", "permits")] == [1, 1, 1, 2]
    assert story(events, "bounded") == ["MainThread sync.acquired acquire", "MainThread sync.release acquire"]
    assert detail_of(done, "permits") == {"permits": 2}


def detail_of(done, name):
    """What is particular to the entity of that name."""
    (row,) = [
        row for row in done.recording.streams[0].data.entities.values() if row[2].removeprefix("__main__.") == name
    ]
    return json.loads(row[-1])


def test_events(record):
    """A wait names the set that ended it; looking often at what is set says it once."""
    done = record(
        UNTIL_WAITING
        + """
gate = threading.Event()
print(gate.is_set(), gate.wait(0.01), gate.wait(0))
waiter = start("waiter", lambda: gate.wait(60))
until_waiting(waiter)
gate.set()
waiter.join()
print(gate.wait(), gate.is_set(), gate.is_set())
gate.clear()
print(gate.is_set())
"""
    )

    assert (done.stdout, done.problems) == ("False False False\nTrue True True\nFalse\n", {}), done.stderr
    events = done.events
    assert story(events, "gate") == [
        "MainThread sync.wait event_wait",
        "MainThread sync.abandon event_wait timeout",
        "MainThread sync.abandon event_wait would_block",
        "waiter sync.wait event_wait",
        "MainThread sync.set",
        "waiter sync.await event_wait",
        "MainThread sync.await event_wait",
        "MainThread sync.clear",
    ]
    woken, passed = of_kind(events, "sync.await", "gate")
    assert cause_of(events, woken).kind == cause_of(events, passed).kind == "sync.set"
    assert (woken.wait_ns > 0, passed.wait_ns) == (True, 0)
    assert (woken.entity.kind, woken.entity.type) == ("event", "threading.Event")


def test_conditions(record):
    """A wait gives the lock back and takes it again; it names the notify that woke it."""
    done = record(
        UNTIL_WAITING
        + """
class Box:
    def __init__(self):
        self.mutex = threading.Lock()
        self.filled = threading.Condition(self.mutex)
        self.items = []

box = Box()

def take(box):
    with box.filled:
        box.filled.wait_for(lambda: box.items)

waiter = start("waiter", take, box)
until_waiting(waiter)
while not box.filled._waiters:
    time.sleep(0.001)
with box.mutex:
    box.items.append(1)
    box.filled.notify_all()
waiter.join()
with box.filled:
    box.filled.notify()
    print(box.filled.wait(0.01), box.filled.wait_for(lambda: True))
for wrong in (box.filled.wait, box.filled.notify):
    try:
        wrong()
    except RuntimeError as error:
        print(error)
"""
    )

    assert done.stdout == "False True\ncannot wait on un-acquired lock\ncannot notify on un-acquired lock\n", (
        done.stderr
    )
    assert done.problems == {}
    events = done.events
    assert story(events, "Box.filled")[:3] == [
        "waiter sync.wait notify_wait",
        "MainThread sync.notify",
        "waiter sync.await notify_wait",
    ]
    (woken,) = of_kind(events, "sync.await", "Box.filled")
    assert cause_of(events, woken).kind == "sync.notify"
    assert [e.arg for e in of_kind(events, "sync.notify", "Box.filled")] == [1, 0]
    assert of_kind(events, "sync.abandon", "Box.filled")[0].outcome == "timeout"
    assert story(events, "Box.mutex")[:6] == [
        "waiter sync.acquired acquire",
        "waiter sync.release acquire",
        "MainThread sync.acquired acquire",
        "MainThread sync.release acquire",
        "waiter sync.acquired acquire",
        "waiter sync.release acquire",
    ]


def test_a_condition_with_a_lock_of_its_own_gives_it_its_name(record):
    """The RLock a Condition() makes is known as the condition is, made where that was made."""
    done = record(
        """
        import threading

        changed = threading.Condition()
        with changed:
            with changed:
                changed.wait(0.01)
        """
    )

    (wait,) = done.of("sync.wait")
    held = [e for e in done.events if e.entity is not None and e.entity.kind == "rlock"]
    assert (wait.entity.kind, wait.entity.name) == ("condition", "changed")
    assert {(e.entity.name, e.entity.site.line) for e in held} == {("changed", 4)}
    assert [e.kind for e in held] == ["sync.acquired", "sync.release"] * 2
    assert done.problems == {}


def test_barriers(record):
    """Every party waits and passes; the cause is what the last one to arrive did."""
    done = record(
        UNTIL_WAITING
        + """
barrier = threading.Barrier(2)

places = []

def meet():
    places.append(barrier.wait())

party = start("party", meet)
until_waiting(party)
meet()
party.join()
print(sorted(places))

def give_up():
    try:
        barrier.wait()
    except threading.BrokenBarrierError as error:
        print(repr(error), error.__traceback__.tb_next.tb_frame.f_code.co_name)

loser = start("loser", give_up)
until_waiting(loser)
while not barrier.n_waiting:
    time.sleep(0.001)
barrier.abort()
loser.join()
print(barrier.broken)
"""
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    assert done.stdout == "[0, 1]\nBrokenBarrierError() wait\nTrue\n"
    events = done.events
    of_barrier = [e for e in events if e.entity is not None and e.entity.kind == "barrier"]
    said = story(of_barrier, "barrier")
    assert said[:3] == ["party sync.wait barrier_wait", "MainThread sync.wait barrier_wait", "MainThread sync.notify"]
    assert sorted(said[3:5]) == ["MainThread sync.await barrier_wait", "party sync.await barrier_wait"]
    assert said[5:] == [
        "loser sync.wait barrier_wait",
        "MainThread sync.notify failed",
        "loser sync.abandon barrier_wait failed",
    ]
    (passed,) = of_kind(events, "sync.await", "barrier", "party")
    assert cause_of(events, passed).scope.name == "MainThread"
    assert detail_of(done, "barrier") == {"parties": 2}


def test_the_inside_of_a_primitive_is_not_recorded(record):
    """Starting threads, locking queues and the like shows none of the library's own locks."""
    done = record(
        """
        import logging, queue, threading
        from concurrent.futures import ThreadPoolExecutor

        thread = threading.Thread(target=threading.Event().set, name="worker")
        thread.start()
        thread.join()
        items = queue.Queue()
        items.put(1)
        items.get()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(print, "x").result()
        logging.warning("y")
        with threading.Semaphore():
            pass
        """
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    kinds = {e.entity.kind for e in done.events if e.entity is not None}
    assert kinds == {"process", "thread", "event", "queue", "future", "executor", "semaphore"}
    assert len({e.entity.id for e in done.events if e.entity is not None and e.entity.kind == "event"}) == 1
