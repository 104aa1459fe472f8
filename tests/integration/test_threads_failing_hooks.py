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

work()
for name, module in list(sys.modules.items()):
    if name.rpartition(".")[2] in MODULES and name.startswith("clew.probe.seams."):
        for broken in NAMES:
            if hasattr(module, broken):
                setattr(module, broken, None)  # calling it, or any attribute of it, raises
work()
work()
"""

MODULES = (
    "threads", "thread_locks", "thread_conditions", "thread_waits", "thread_queues", "thread_simple_queue",
    "executors", "process_pools", "_lock_events", "_inner_waits", "_steps",
)  # fmt: skip
GROUPS = {
    "threading.Thread", "threading.Lock", "threading.RLock", "threading.Semaphore", "threading.Event",
    "threading.Condition", "threading.Barrier", "queue.Queue", "queue.SimpleQueue", "concurrent.futures",
}  # fmt: skip


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (("emit", "emit_at", "buffer"), GROUPS),
        (
            ("definitions", "sites", "site_here", "number_of", "number_at", "_define", "is_recorded"),
            GROUPS,
        ),
        (
            ("Life", "Step", "Job", "job_of", "_submit", "_state_of", "_role_of", "meet", "adopt", "begin_wait"),
            GROUPS - {"threading.Lock", "threading.RLock", "queue.SimpleQueue"},
        ),
    ],
    ids=["events", "definitions", "states"],
)
def test_a_broken_hook_leaves_the_program_alone(record, plain, names, groups):
    """All of them broken in the middle of a program: its output is what it was."""
    source = f"MODULES, NAMES = {MODULES!r}, {names!r}\n{EVERYTHING}"

    done, expected = record(source), plain(source)

    assert done.stdout == expected.stdout, done.stderr
    assert done.returncode == expected.returncode == 0
    assert groups <= set(done.problems)


def test_an_error_of_a_signal_handler_is_the_programs(record):
    """A handler that raises may strike anywhere, also in a hook: no lock stays held for it."""
    done = record(
        """
        import signal, threading

        class Stop(Exception):
            pass

        def stop(*args):
            raise Stop

        signal.signal(signal.SIGALRM, stop)
        struck = 0
        for each in (threading.Lock(), threading.RLock()):
            for attempt in range(400):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0002 + attempt % 7 * 0.00001)
                    while True:
                        with each:
                            pass
                except Stop:
                    struck += 1
                free = []
                thread = threading.Thread(target=lambda: free.append(each.acquire(timeout=30) and not each.release()))
                thread.start()
                thread.join()
                if free != [True]:
                    raise SystemExit(f"held after {attempt}")
        print(struck)
        """,
        env={"CLEW_BUFFER_EVENTS": "1024"},
    )

    assert (done.returncode, done.stdout) == (0, "800\n"), done.stderr
    assert done.problems == {}
