"""Stacks at intervals: what ``--calls=sampled`` records, and that the program cannot tell."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

SAMPLED = ("--calls=sampled",)


def stacks(done, process=0):
    """Samples of one process as (scope name, function names innermost first, duration)."""
    stream = done.recording.streams[process]
    functions = {number: row[3] for number, row in stream.data.sites.items()}
    return [
        (e.scope.name, [functions[site] for site in e.attrs["stack"]], e.arg)
        for e in done.of("life.sample")
        if e.process == stream.id
    ]


def time_in(samples):
    """Nanoseconds by innermost function."""
    spent = Counter()
    for _, stack, duration in samples:
        spent[stack[0]] += duration
    return spent


BUSY = """
    import time

    def spin(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
"""


def test_the_function_that_takes_the_time_is_found(record):
    """Most of the time stands in the hot function, below those that called it."""
    done = record(
        BUSY
        + """
    def hot():
        spin(0.6)

    def cold():
        spin(0.01)

    for _ in range(3):
        cold()
    hot()
    """,
        options=SAMPLED,
    )

    assert done.returncode == 0, done.stderr
    samples = stacks(done)
    spent = Counter()
    for scope, stack, duration in samples:
        assert scope == "MainThread"
        if "hot" in stack:
            assert stack == ["spin", "hot", "<module>"] or stack == ["hot", "<module>"]
            spent["hot"] += duration
        elif "cold" in stack:
            spent["cold"] += duration
    assert spent["hot"] > 3 * spent["cold"]
    assert time_in(samples).most_common(1)[0][0] == "spin"


def test_a_sample_names_the_line_and_the_time_it_stands_for(record):
    """The samples of a thread follow one another: none stands for what another does."""
    done = record(
        BUSY
        + """
    spin(0.3)
    """,
        options=SAMPLED,
    )

    samples = [e for e in done.of("life.sample") if e.site.function == "spin"]
    assert {e.site.line for e in samples} <= {5, 6, 7}
    assert {e.span for e in samples} == {0}
    ends = [(e.t_ns, e.arg) for e in done.of("life.sample")]
    assert all(before <= t - arg for (before, _), (t, arg) in pairwise(ends))


def test_a_thread_that_waits_is_sampled_where_it_waits(record):
    """Wall-clock time: waiting counts, and is merged into few samples."""
    done = record(
        """
        import threading

        gate = threading.Event()

        def waits():
            gate.wait()

        thread = threading.Thread(target=waits)
        thread.start()
        threading.Event().wait(0.6)
        gate.set()
        thread.join()
        """,
        options=SAMPLED,
    )

    assert done.returncode == 0, done.stderr
    waiting = [sample for sample in stacks(done) if sample[1] == ["waits"]]
    assert sum(duration for *_, duration in waiting) > 300_000_000
    assert len(waiting) < 10
    assert "MainThread" not in {scope for scope, *_ in waiting}


def test_a_sample_belongs_to_the_task_that_runs(record):
    """What a task does is told apart from what its thread does."""
    done = record(
        BUSY
        + """
    import asyncio

    async def busy():
        spin(0.3)

    async def main():
        await asyncio.create_task(busy(), name="busy")

    asyncio.run(main())
    """,
        options=SAMPLED,
    )

    spinning = {scope for scope, stack, _ in stacks(done) if "spin" in stack}
    assert spinning == {"busy"}


def test_a_forked_child_is_sampled_and_no_fork_of_threads(record):
    """The sampler is gone while the process forks: Python 3.12 would warn of a thread."""
    done = record(
        BUSY
        + """
    import os, sys

    pid = os.fork()
    if pid == 0:
        spin(0.4)
        os._exit(0)
    os.waitpid(pid, 0)
    spin(0.1)
    """,
        options=SAMPLED,
        env={"PYTHONWARNINGS": "error"},
    )

    assert (done.returncode, done.stdout) == (0, "")
    assert "Warning" not in done.stderr
    for process in range(2):
        assert {scope for scope, *_ in stacks(done, process)} == {"MainThread"}
        assert "spin" in time_in(stacks(done, process))


def test_the_program_cannot_tell(record, plain):
    """No thread is seen, signals reach the main thread, no garbage is collected elsewhere.

    Except on 3.12, where a collection is run by whichever thread comes first.
    """
    source = """
        import _thread, gc, os, signal, sys, threading, time

        elsewhere = []

        class Cyclic:
            def __init__(self):
                self.me = self

            def __del__(self):
                if _thread.get_ident() != main:
                    elsewhere.append(self)

        main = _thread.get_ident()

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        gc.set_threshold(5)
        end = time.monotonic() + 0.3
        got = 0
        while time.monotonic() < end:
            Cyclic()
            os.kill(os.getpid(), signal.SIGUSR1)
            got += signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1
        gc.set_threshold(0)
        gc.disable()
        time.sleep(0.05)
        print(got > 10, gc.isenabled())
        print(len(elsewhere) < got / 20 or sys.version_info[:2] == (3, 12))
        print(threading.active_count(), [thread.name for thread in threading.enumerate()])
        print(signal.getitimer(signal.ITIMER_REAL), signal.getitimer(signal.ITIMER_PROF), sys.getprofile(), gc.callbacks)
        """

    done = record(source, options=SAMPLED, env={"CLEW_CALLS_INTERVAL_US": "1000"})
    expected = plain(source)

    assert done.stdout == expected.stdout
    assert done.problems == {}


def test_a_bug_in_the_sampler_does_not_reach_the_program(record):
    """It is noted once, and the program goes on."""
    done = record(
        """
        import time
        from clew.probe.seams import call_samples

        call_samples._stack_of = None
        time.sleep(0.2)
        print("done")
        """,
        options=SAMPLED,
    )

    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "TypeError" in done.problems["calls"]
