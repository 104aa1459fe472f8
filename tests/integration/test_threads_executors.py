"""What is recorded of concurrent.futures: jobs, their spans, futures, processes."""

from __future__ import annotations

from recorded_stories import UNTIL_WAITING, cause_of, of_kind, story


def test_a_job_from_its_submit_to_its_result(record):
    """Submit, run, resolve, await: each names what enabled it, with the job's own function."""
    done = record(
        """
        from concurrent.futures import ThreadPoolExecutor

        def job(n):
            return n * 2

        with ThreadPoolExecutor(1, thread_name_prefix="worker") as pool:
            future = pool.submit(job, 21)
            print(future.result())
        """
    )

    assert (done.stdout, done.problems) == ("42\n", {}), done.stderr
    events = done.events
    submit, step, resolve, *_, result = [e for e in events if e.entity is not None and e.entity.name == "job"]
    if resolve.kind != "sync.resolve":  # it was awaited first
        (resolve,) = of_kind(events, "sync.resolve", "job")
        (step,) = of_kind(events, "life.step", "job")
    assert (submit.kind, submit.op, submit.site.line) == ("sync.put", "submit", 8)
    assert (step.kind, step.scope.name, step.site.function) == ("life.step", "worker_0", "job")
    assert (step.cause, step.wait_ns > 0, step.arg > 0) == (submit.seq, True, True)
    assert (resolve.kind, resolve.outcome, resolve.scope.name) == ("sync.resolve", "ok", "worker_0")
    assert (result.kind, result.op, result.outcome, result.cause) == ("sync.await", "await", "ok", resolve.seq)
    assert submit.entity.kind == "future"
    (pool,) = {e.entity for e in events if e.entity is not None and e.entity.kind == "executor"}
    assert submit.entity.parent == pool.id
    assert (pool.name, story(events, "pool")) == ("pool", ["MainThread sync.wait join", "MainThread sync.join join"])


def test_futures_that_fail_time_out_or_are_cancelled(record):
    """The job's exception is recorded where it ended the job, and is the cause of its result."""
    done = record(
        UNTIL_WAITING
        + """
import concurrent.futures as futures

def boom():
    raise KeyError("x")

def wait_for(gate):
    gate.wait()

gate = threading.Event()
with futures.ThreadPoolExecutor(1) as pool:
    failed = pool.submit(boom)
    print(repr(failed.exception()))
    try:
        failed.result()
    except KeyError as error:
        traceback = error.__traceback__
        while traceback:
            print(traceback.tb_frame.f_code.co_name, end=" ")
            traceback = traceback.tb_next
        print()
    blocked = pool.submit(wait_for, gate)
    queued = pool.submit(print, "never")
    for timeout in (0.01, 0):
        try:
            blocked.result(timeout)
        except futures.TimeoutError as error:
            print(repr(error))
    print(queued.cancel(), queued.cancelled())
    try:
        queued.result()
    except futures.CancelledError as error:
        print(repr(error))
    gate.set()
"""
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "KeyError('x')\n<module> result __get_result run boom \n"
        "TimeoutError()\nTimeoutError()\nTrue True\nCancelledError()\n"
    )
    assert done.problems == {}
    events = done.events
    (error,) = [e for e in done.of("error.raised") if e.attrs["type"] == "KeyError" and e.scope.name != "MainThread"]
    (resolve,) = of_kind(events, "sync.resolve", "boom")
    assert (error.attrs["type"], error.site.function) == ("KeyError", "boom")
    assert (resolve.outcome, resolve.cause) == ("failed", error.seq)
    assert [e.outcome for e in of_kind(events, "sync.await", "boom")] == ["failed", "failed"]
    assert [e.outcome for e in of_kind(events, "sync.abandon", "wait_for")] == ["timeout", "would_block"]
    said = story(events, "print")
    assert said == [
        "MainThread sync.put submit",
        "MainThread sync.resolve cancelled",
        "MainThread sync.await await cancelled",
    ]


def test_waiting_for_several_futures_is_one_wait(record):
    """``wait``, ``as_completed`` and ``map``: a group is waited for, then each is awaited."""
    done = record(
        """
        import concurrent.futures as futures, threading

        def job(n):
            gate.wait()
            return n

        gate = threading.Event()
        with futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(job, n) for n in range(2)]
            print(futures.wait(jobs, timeout=0.01).done)
            gate.set()
            print(len(futures.wait(jobs).done), sorted(f.result() for f in futures.as_completed(jobs)))
            print(list(pool.map(job, range(2))))
            print(futures.wait is futures._base.wait, futures.wait(jobs, return_when="FIRST_COMPLETED").not_done)
        """
    )

    assert (done.stdout, done.problems) == ("set()\n2 [0, 1]\n[0, 1]\nTrue set()\n", {}), done.stderr
    events = done.events
    groups = [e for e in events if e.entity is not None and e.entity.kind == "group"]
    assert story(groups, "futures")[:2] == [
        "MainThread sync.wait gather",
        "MainThread sync.abandon gather timeout",
    ]
    awaited = of_kind(events, "sync.await", "job", "MainThread")
    resolved = of_kind(events, "sync.resolve", "job")
    assert {e.cause for e in awaited} == {e.seq for e in resolved}


def test_a_job_is_in_the_span_that_submitted_it(record):
    """Also its errors and the spans it opens; the pool's thread itself is in none."""
    done = record(
        """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        import clew

        def job():
            with clew.span("inner"):
                clew.event("custom", name="mark")

        async def in_loop():
            with clew.span("third"):
                await asyncio.get_running_loop().run_in_executor(pool, job)
                await asyncio.to_thread(job)

        with ThreadPoolExecutor(1, thread_name_prefix="worker") as pool:
            with clew.span("first"):
                pool.submit(job).result()
            with clew.span("second"):
                pool.submit(job).result()
            asyncio.run(in_loop())
            pool.submit(job).result()
        """
    )

    assert (done.returncode, done.problems) == (0, {}), done.stderr
    spans = done.recording.streams[0].data.spans
    numbers = {row[-1]: number for number, row in spans.items()}
    steps = [e.span for e in of_kind(done.events, "life.step", "job") if e.scope.name in ("worker_0", "asyncio_0")]
    assert steps == [numbers["first"], numbers["second"], numbers["third"], numbers["third"], 1]
    marks = [e.span for e in done.of("custom.event")]
    assert [next(n for n in steps if n in spans[mark]) for mark in marks] == steps
    assert {e.span for e in done.of("life.thread_end", scope="worker_0")} == {1}


def test_futures_the_program_resolves_itself(record):
    """A future without a job: known by its variable, resolved by whoever does it."""
    done = record(
        UNTIL_WAITING
        + """
from concurrent.futures import Future

future = Future()

def wait():
    print(future.result())

waiter = start("waiter", wait)
until_waiting(waiter)
future.set_result(7)
waiter.join()
"""
    )

    assert (done.stdout, done.problems) == ("7\n", {}), done.stderr
    events = done.events
    of_future = [e for e in events if e.entity is not None and e.entity.kind == "future"]
    assert story(of_future, "future") == [
        "waiter sync.wait await",
        "MainThread sync.resolve ok",
        "waiter sync.await await ok",
    ]
    assert cause_of(events, of_future[-1]).kind == "sync.resolve"


def test_a_job_in_another_process(record):
    """It runs in the submitter's trace; its end enables the future's result, across processes."""
    done = record(
        """
        import os
        from concurrent.futures import ProcessPoolExecutor
        import clew

        def job(n):
            with clew.span("inner"):
                return n * 2

        def boom():
            raise KeyError("x")

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                with clew.span("outer"):
                    print(pool.submit(job, 21).result())
                try:
                    pool.submit(boom).result()
                except KeyError as error:
                    print(repr(error), type(error.__cause__).__name__)
        """
    )

    assert (done.stdout, done.problems) == ("42\nKeyError('x') _RemoteTraceback\n", {}), done.stderr
    first, second = done.recording.streams
    ids = {int(stream.id, 16): stream.id for stream in (first, second)}
    parent = [e for e in done.events if e.process == first.id]
    child = [e for e in done.events if e.process == second.id]
    steps = [e for e in child if e.kind == "life.step" and e.remote_cause]
    submits = [e for e in parent if e.kind == "sync.put"]
    assert [(ids[e.remote_cause[0]], e.remote_cause[1]) for e in steps] == [(first.id, e.seq) for e in submits]
    resolves = [e for e in parent if e.kind == "sync.resolve"]
    assert [e.outcome for e in resolves] == ["ok", "failed"]
    ends = {e.seq: e for e in child}
    assert [ends[e.remote_cause[1]].kind for e in resolves] == ["life.span_end", "life.span_end"]
    (error,) = [e for e in child if e.kind == "error.raised"]
    assert (error.attrs["type"], error.site.function) == ("KeyError", "boom")
    outer = next(row for row in first.data.spans.values() if row[-1] == "outer")
    job, inner = (next(row for row in second.data.spans.values() if row[-1] == name) for name in ("job", "inner"))
    assert outer[1] == job[1] == inner[1], "one trace"
