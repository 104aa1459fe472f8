"""What is recorded of queue.Queue and its relatives, and of SimpleQueue."""

from __future__ import annotations

import json

import pytest
from recorded_stories import UNTIL_WAITING, cause_of, of_kind, story


def test_an_item_names_the_put_it_came_from(record):
    """In every kind of queue, also when one object is put twice; one event an operation."""
    done = record(
        """
        import queue

        fifo, lifo, ranked, simple = queue.Queue(9), queue.LifoQueue(), queue.PriorityQueue(), queue.SimpleQueue()
        for items in (fifo, lifo, ranked, simple):
            items.put(2)
            items.put_nowait(1)
            items.put(2)
            print(items.get(), items.get_nowait(), items.get(timeout=1), items.qsize())
        """
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    events = done.events
    for name, order in (("fifo", [0, 1, 2]), ("lifo", [0, 1, 2]), ("ranked", [1, 0, 2]), ("simple", [0, 1, 2])):
        puts, gets = (of_kind(events, kind, f"{name}") for kind in ("sync.put", "sync.get"))
        assert story(events, name) == ["MainThread sync.put put"] * 3 + ["MainThread sync.get get"] * 3
        assert [puts.index(cause_of(events, get)) for get in gets] == order
        assert [e.arg for e in puts + gets] == [1, 2, 3, 2, 1, 0]
        assert puts[0].entity.kind == "queue"
        assert {e.wait_ns for e in puts + gets} == {0}
    details = {row[2]: row[-1] for row in done.recording.streams[0].data.entities.values()}
    assert json.loads(details["fifo"]) == {"capacity": 9}


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_a_get_from_an_empty_queue_waits_for_a_put(record, kind):
    """Two events; timeouts and trials say how they ended; exceptions are the program's."""
    done = record(
        UNTIL_WAITING
        + f"""
import queue

items = queue.{kind}()

def take():
    print(items.get())

def attempt():
    for arguments in ((False,), (True, 0.01), (True, 0)):
        try:
            items.get(*arguments)
        except queue.Empty as error:
            print(repr(error), error.__traceback__.tb_frame.f_code.co_name)
    try:
        items.get(timeout=-1)
    except ValueError as error:
        print(error)

start("trial", attempt).join()
taker = start("taker", take)
until_waiting(taker)
while items.empty() and getattr(items, "not_empty", None) and not items.not_empty._waiters:
    time.sleep(0.001)
items.put("thing")
taker.join()
"""
    )

    assert done.stdout == "Empty() attempt\n" * 3 + "'timeout' must be a non-negative number\nthing\n", done.stderr
    assert done.problems == {}
    events = done.events
    said = story(events, "items")
    assert said[:4] == [
        "trial sync.abandon get would_block",
        "trial sync.wait get",
        "trial sync.abandon get timeout",
        "trial sync.abandon get would_block",
    ]
    assert said[-3:] == ["taker sync.wait get", "MainThread sync.put put", "taker sync.get get"]
    (get,) = of_kind(events, "sync.get", "items")
    assert (cause_of(events, get).kind, cause_of(events, get).scope.name) == ("sync.put", "MainThread")
    assert get.wait_ns > 0
    assert get.site.function == "take"


def test_a_put_into_a_full_queue_waits_for_a_get(record):
    """As do the trials that give up."""
    done = record(
        UNTIL_WAITING
        + """
import queue

items = queue.Queue(maxsize=1)
items.put(0)

def fill():
    items.put(1)

def attempt():
    for arguments in ((2, False), (2, True, 0.01)):
        try:
            items.put(*arguments)
        except queue.Full as error:
            print(repr(error))

start("trial", attempt).join()
filler = start("filler", fill)
until_waiting(filler)
items.get()
filler.join()
print(items.get())
"""
    )

    assert (done.stdout, done.problems) == ("Full()\nFull()\n1\n", {}), done.stderr
    assert story(done.events, "items") == [
        "MainThread sync.put put",
        "trial sync.abandon put would_block",
        "trial sync.wait put",
        "trial sync.abandon put timeout",
        "filler sync.wait put",
        "MainThread sync.get get",
        "filler sync.put put",
        "MainThread sync.get get",
    ]


def test_joining_a_queue_waits_until_its_tasks_are_done(record):
    """The join names the ``task_done()`` that ended it; one too many raises as it does."""
    done = record(
        UNTIL_WAITING
        + """
import queue

items = queue.Queue()
items.join()
items.put(1)

def join():
    items.join()

joiner = start("joiner", join)
until_waiting(joiner)
items.get()
items.task_done()
joiner.join()
try:
    items.task_done()
except ValueError as error:
    print(error)
"""
    )

    assert (done.stdout, done.problems) == ("task_done() called too many times\n", {}), done.stderr
    events = done.events
    assert story(events, "items") == [
        "MainThread sync.join join",
        "MainThread sync.put put",
        "joiner sync.wait join",
        "MainThread sync.get get",
        "MainThread sync.release join",
        "joiner sync.join join",
    ]
    (join,) = of_kind(events, "sync.join", "items", "joiner")
    assert cause_of(events, join).kind == "sync.release"


def test_a_queue_of_the_programs_own_class(record):
    """Overridden ``_put``, ``_get`` or ``put``: each operation is recorded once."""
    done = record(
        """
        import queue

        class Twice(queue.Queue):
            def _put(self, item):
                super()._put(item * 2)

        class Set(queue.Queue):
            def _init(self, maxsize):
                self.queue = set()
            def _put(self, item):
                self.queue.add(item)
            def _get(self):
                return self.queue.pop()

        class Loud(queue.Queue):
            def put(self, *args, **options):
                print("put", *args)
                super().put(*args, **options)

        class Simple(queue.SimpleQueue):
            pass

        twice, unique, loud, simple = Twice(), Set(), Loud(), Simple()
        for items in (twice, unique, loud, simple):
            items.put(21)
            print(items.get())
        """
    )

    assert (done.stdout, done.problems) == ("42\n21\nput 21\n21\n21\n", {}), done.stderr
    for name in ("twice", "unique", "loud", "simple"):
        assert story(done.events, name) == ["MainThread sync.put put", "MainThread sync.get get"]


def test_a_queue_that_is_shut_down_lets_its_waiters_go(record):
    """With what came with Python 3.13; before, the program has no such method."""
    done = record(
        UNTIL_WAITING
        + """
import queue

items = queue.Queue()

def take():
    try:
        items.get()
    except queue.ShutDown as error:
        print(repr(error))

if hasattr(items, "shutdown"):
    taker = start("taker", take)
    until_waiting(taker)
    items.shutdown()
    taker.join()
else:
    print("ShutDown()")
"""
    )

    assert (done.stdout, done.problems) == ("ShutDown()\n", {}), done.stderr
    assert story(done.events, "items") in (
        [],
        ["taker sync.wait get", "MainThread sync.notify cancelled", "taker sync.abandon get cancelled"],
    )
