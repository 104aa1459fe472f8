"""What goes wrong in a hook of threads is noted in the recording, and never reaches the program."""

from __future__ import annotations

import pytest

EVERYTHING = """
import concurrent.futures as futures, queue, sys, threading

def work():
    lock, rlock = threading.Lock(), threading.RLock()
    for each in (lock, rlock):
        with each:
            print(each.acquire(False) and each.release())
        print(each.acquire(), each.release())
    semaphore, condition, event = threading.Semaphore(1), threading.Condition(), threading.Event()
    with semaphore:
        print(semaphore.acquire(False), semaphore.acquire(timeout=0.001))
    with condition:
        condition.notify()
        print(condition.wait(0.001))
    print(event.is_set(), event.wait(0.001), event.set(), event.wait(), event.is_set(), event.clear())
    print(threading.Barrier(1).wait())
    for items in (queue.Queue(1), queue.LifoQueue(1), queue.PriorityQueue(1), queue.SimpleQueue()):
        items.put(1)
        print(items.get())
        try:
            items.get(timeout=0.001)
        except queue.Empty:
            print("empty")
    with futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(int, "7")
        print(job.result(), futures.wait([job]).done == {job}, list(pool.map(int, "12")))
        print(repr(pool.submit(int, "x").exception()))
    for thread in (threading.Thread(target=print, args=("ran",)), threading.Timer(0.001, print, ("timer",))):
        thread.name = "x"
        thread.start()
        thread.join()

with futures.ProcessPoolExecutor(1) as processes:
    print(processes.submit(int, "8").result())
"""

BREAK = """
def broken(*args, **options):
    raise LookupError("a bug of clew")

import clew.probe.seams as seams
for name, module in list(sys.modules.items()):
    if name.startswith("clew.probe.seams.") and name.rsplit(".")[-1] in MODULES:
        for broken_name in NAMES:
            if hasattr(module, broken_name):
                setattr(module, broken_name, broken)
MODULES_BROKEN = True
"""

MODULES = (
    "threads", "thread_locks", "thread_conditions", "thread_waits", "thread_queues", "thread_simple_queue",
    "executors", "process_pools", "_lock_events", "_inner_waits", "_steps",
)  # fmt: skip
GROUPS = {
    "threading.Thread", "threading.Lock", "threading.RLock", "threading.Semaphore", "threading.Event",
    "threading.Condition", "threading.Barrier", "queue.Queue", "queue.SimpleQueue", "concurrent.futures",
}  # fmt: skip


def program(*names: str) -> str:
    """The program, first with hooks as they are, then with *names* of the seams broken."""
    head = f"MODULES, NAMES = {MODULES!r}, {names!r}\n"
    return head + EVERYTHING + "work()\n" + BREAK + "work()\nwork()\n"


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (("emit", "emit_at"), GROUPS),
        (("definitions", "meet", "number_of", "is_recorded", "_define"), GROUPS - {"threading.RLock"}),
        (("sites", "site_here", "Step", "monotonic_ns", "get_ident", "errors", "journal"), {"threading.Thread"}),
        (("buffer", "Life", "Job", "Role", "Primitive", "job_of", "_state_of", "_role_of"), {"threading.Thread"}),
    ],
)
def test_a_broken_hook_leaves_the_program_alone(record, plain, names, groups):
    """All of them broken in the middle of a program: its output is what it was."""
    done = record(program(*names), timeout=100)
    expected = plain(program())

    assert done.stdout == expected.stdout, done.stderr
    assert done.returncode == expected.returncode == 0
    assert groups <= {name for name, problem in done.problems.items() if "a bug of clew" in problem or "function" in problem}


def test_an_error_of_a_signal_handler_is_the_programs(record, plain):
    """Handlers that raise strike anywhere, also in hooks: no lock stays held, none is lost."""
    source = """
import signal, threading

class Stop(Exception):
    pass

def stop(*args):
    raise Stop

signal.signal(signal.SIGALRM, stop)
lock, rlock, semaphore = threading.Lock(), threading.RLock(), threading.Semaphore()
stopped = 0
for each in (lock, rlock):
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)
    done = 0
    while done < 300:
        try:
            while True:
                with each:
                    pass
        except Stop as error:
            done += 1
        if not each.acquire(timeout=10):
            raise SystemExit("the lock is held")
        each.release()
"""
    source = source.replace(
        "        if not each",
        "        signal.setitimer(signal.ITIMER_REAL, 0)\n        if not each",
    ).replace("        each.release()\n", "        each.release()\n        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)\n")
    source = source.replace(
        "            done += 1\n", "            done += 1\n        try:\n            signal.setitimer(signal.ITIMER_REAL, 0)\n        except Stop:\n            pass\n"
    ) + "\nsignal.setitimer(signal.ITIMER_REAL, 0)\nprint('end')\n"
    done = record(source)

    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert done.problems == {}
