"""Function calls of user code: what ``--calls`` records, and that the program cannot tell."""

from __future__ import annotations

import json
import sys

import pytest

from clew.convert.speedscope import profiles_of
from clew.format.reader import open_recording
from clew.model.kinds import EventKind

FULL = ("--calls",)
HAS_MONITORING = sys.version_info >= (3, 12)


def starts(done, *functions):
    """The starts of the named functions, in order."""
    return [e for e in done.of("life.call_start") if not functions or e.site.function in functions]


def names(events):
    return [e.site.function for e in events]


def test_calls_nest_in_time_and_stand_in_the_order_they_were_entered(record):
    """A function that is called inside another one begins later and ends sooner."""
    done = record(
        """
        def inner():
            pass

        def outer():
            inner()
            inner()

        outer()
        """,
        options=FULL,
    )

    assert done.returncode == 0, done.stderr
    outer, first, second = starts(done, "outer", "inner")
    assert names([outer, first, second]) == ["outer", "inner", "inner"]
    assert outer.t_ns < first.t_ns
    assert first.t_ns + first.arg <= second.t_ns
    assert second.t_ns + second.arg <= outer.t_ns + outer.arg
    assert (outer.site.line, outer.op, outer.outcome, outer.scope.name) == (5, "", "", "MainThread")


def test_only_user_code_is_recorded(record):
    """Neither the standard library's functions, nor what it generates, nor C functions."""
    done = record(
        """
        import collections, dataclasses, json

        @dataclasses.dataclass
        class Point:
            x: int

        Pair = collections.namedtuple("Pair", "a b")

        def key(item):
            return -item

        sorted([1, 2], key=key)
        json.dumps(dataclasses.asdict(Point(1)))
        Pair(1, 2)._replace(a=3)
        exec("def made(): pass\\nmade()")
        """,
        options=FULL,
    )

    assert done.returncode == 0, done.stderr
    assert names(starts(done)) == ["<module>", "Point", "key", "key", "<module>", "made"]


def test_a_recursive_function_is_one_call_a_level(record):
    """Each level begins after, and ends before, the one that called it."""
    done = record(
        """
        def down(n):
            return n and down(n - 1)

        down(20)
        """,
        options=FULL,
    )

    levels = starts(done, "down")
    assert len(levels) == 21
    ends = [e.t_ns + e.arg for e in levels]
    assert ends == sorted(ends, reverse=True)


def test_a_function_left_by_an_exception_failed(record):
    """The one that handles it did not."""
    done = record(
        """
        def raises():
            raise ValueError

        def passes():
            raises()

        def handles():
            try:
                passes()
            except ValueError:
                return None

        handles()
        """,
        options=FULL,
    )

    assert [(e.site.function, e.outcome) for e in starts(done, "raises", "passes", "handles")] == [
        ("handles", ""),
        ("passes", "failed"),
        ("raises", "failed"),
    ]


def test_a_long_call_ends_with_an_event_of_its_own(record):
    """``life.call_end`` names its start and says how long it took and how it ended."""
    done = record(
        """
        import time

        def slow(fails):
            time.sleep(0.01)
            if fails:
                raise ValueError

        slow(False)
        try:
            slow(True)
        except ValueError:
            pass
        """,
        options=FULL,
    )

    first, second = starts(done, "slow")
    assert (first.arg, first.outcome, second.arg, second.outcome) == (0, "", 0, "")
    ends = [e for e in done.of("life.call_end") if e.site.function == "slow"]
    assert [(e.cause, e.outcome) for e in ends] == [(first.seq, "ok"), (second.seq, "failed")]
    assert all(e.arg >= 10_000_000 and e.site == first.site for e in ends)


def test_a_generator_runs_in_pieces_that_name_its_call(record):
    """Between two items it is not running; an exception thrown into it is one more piece."""
    done = record(
        """
        def numbers():
            try:
                yield 1
                yield 2
            finally:
                touch()

        def touch():
            pass

        def use():
            it = numbers()
            next(it)
            touch()
            next(it)
            it.close()
            list(numbers())

        use()
        """,
        options=FULL,
    )

    pieces = starts(done, "numbers")
    first, second = pieces[0].seq, pieces[3].seq
    assert [(e.op, e.cause, e.outcome) for e in pieces] == [
        ("", 0, "suspended"),
        ("resume", first, "suspended"),
        ("resume", first, "failed"),  # GeneratorExit
        ("", 0, "suspended"),
        ("resume", second, "suspended"),
        ("resume", second, ""),
    ]
    touch = starts(done, "touch")[0]
    assert pieces[0].t_ns + pieces[0].arg <= touch.t_ns < pieces[1].t_ns


def test_a_coroutine_is_not_running_while_it_awaits(record):
    """Its pieces belong to its task, and what else the loop ran lies between them."""
    done = record(
        """
        import asyncio

        async def leaf():
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        async def middle():
            await leaf()

        async def main():
            await asyncio.gather(*(asyncio.create_task(middle(), name=name) for name in "ab"))

        asyncio.run(main())
        """,
        options=FULL,
    )

    for task in "ab":
        pieces = [e for e in starts(done, "middle", "leaf") if e.scope.name == task]
        assert names(pieces) == ["middle", "leaf"] * 3
        assert [e.outcome for e in pieces] == ["suspended"] * 4 + ["", ""]
        assert [e.cause for e in pieces[2:]] == [pieces[0].seq, pieces[1].seq] * 2
    a, b = ([e for e in starts(done, "middle") if e.scope.name == task] for task in "ab")
    assert a[0].t_ns + a[0].arg <= b[0].t_ns
    assert b[0].t_ns + b[0].arg <= a[1].t_ns


def test_a_cancelled_coroutine_that_cleans_up_goes_on(record):
    """A cancellation thrown into it resumes it; caught, it did not fail."""
    done = record(
        """
        import asyncio

        async def sleeper():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0)

        async def main():
            task = asyncio.create_task(sleeper())
            await asyncio.sleep(0)
            task.cancel()
            await task

        asyncio.run(main())
        """,
        options=FULL,
    )

    assert done.returncode == 0, done.stderr
    pieces = starts(done, "sleeper")
    assert [(e.op, e.outcome) for e in pieces] == [("", "suspended"), ("resume", "suspended"), ("resume", "")]


def test_an_async_generator_runs_in_pieces(record):
    """What it yields and what it awaits both suspend it."""
    done = record(
        """
        import asyncio

        async def ticks():
            yield 1
            await asyncio.sleep(0)
            yield 2

        async def main():
            return [tick async for tick in ticks()]

        asyncio.run(main())
        """,
        options=FULL,
    )

    pieces = starts(done, "ticks")
    assert [e.outcome for e in pieces] == ["suspended", "suspended", "suspended", ""]
    assert [e.cause for e in pieces] == [0, *[pieces[0].seq] * 3]


def test_calls_of_threads_belong_to_their_thread(record):
    """Each thread has a stack of calls of its own."""
    done = record(
        """
        import threading

        barrier = threading.Barrier(2)

        def inner():
            barrier.wait()

        def work():
            inner()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        options=FULL,
    )

    assert done.returncode == 0, done.stderr
    scopes = {e.scope.id for e in starts(done, "work")}
    assert len(scopes) == 2
    for scope in scopes:
        assert names([e for e in starts(done) if e.scope.id == scope]) == ["work", "inner"]
    assert "MainThread" not in {e.scope.name for e in starts(done, "work", "inner")}


def test_a_signal_handler_is_a_call_inside_the_one_it_interrupts(record):
    """It runs on top of whatever ran."""
    done = record(
        """
        import signal

        def handler(number, frame):
            pass

        def sends():
            signal.raise_signal(signal.SIGUSR1)

        signal.signal(signal.SIGUSR1, handler)
        sends()
        """,
        options=FULL,
    )

    sends, handler = starts(done, "sends", "handler")
    assert handler.site.function == "handler"
    assert sends.t_ns < handler.t_ns
    assert handler.t_ns + handler.arg <= sends.t_ns + sends.arg


def test_a_fork_inside_a_call_leaves_it_to_the_parent(record):
    """The child records what it enters itself; the calls it was born in end in its parent only."""
    done = record(
        """
        import os

        def child():
            pass

        def forks():
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
            else:
                child()
            return pid

        pid = forks()
        child()
        os._exit(0) if not pid else None
        """,
        options=FULL,
    )

    assert done.returncode == 0, done.stderr
    by_process = {}
    for e in done.of("life.call_start", "life.call_end"):
        by_process.setdefault(e.process, []).append(e)
    parent, child = (by_process[stream.id] for stream in done.recording.streams)
    assert names([e for e in parent if e.kind == "life.call_start"]) == ["<module>", "forks", "child"]
    assert [(e.kind, e.site.function) for e in child] == [("life.call_start", "child")] * 2
    assert all(e.arg and e.scope.name == "MainThread" for e in child)
    (forks,) = [e for e in parent if e.kind == "life.call_start" and e.site.function == "forks"]
    assert bool(forks.arg) != any(e.kind == "life.call_end" and e.cause == forks.seq for e in parent)


def test_calls_outrunning_the_drain_are_counted_and_what_is_left_can_be_read(record):
    """Lost starts and lost ends leave events that still say what they stand for."""
    done = record(
        """
        import time

        def leaf(n):
            return n

        def branch(n):
            if not n:
                time.sleep(0.006)
                return 0
            return sum(leaf(i) for i in range(200)) + branch(n - 1)

        for _ in range(40):
            branch(20)
        print("done")
        """,
        options=FULL,
        env={"CLEW_BUFFER_EVENTS": "1024"},
    )

    assert (done.returncode, done.stdout) == (0, "done\n")
    (end,) = [stream.end for stream in done.recording.streams]
    assert end["dropped"] > 0
    assert "problems" not in end
    recorded = {e.seq: e for e in starts(done)}
    for e in done.of("life.call_end"):
        assert e.arg >= 5_000_000 or e.cause
        assert e.site.function in ("branch", "branch.<locals>.<genexpr>", "<module>", "leaf")
        if e.cause in recorded:
            assert recorded[e.cause].site == e.site
            assert recorded[e.cause].arg == 0
    assert all(e.arg < 5_000_000 for e in recorded.values())


def test_runs_that_are_not_sampled_have_no_calls(record):
    """``--sample 0`` leaves out what happens in runs."""
    done = record(
        """
        import clew

        def before():
            pass

        def inside():
            pass

        before()
        with clew.run("left out"):
            inside()
        """,
        options=("--calls", "--sample", "0"),
    )

    assert names(starts(done)) == ["<module>", "before"]


def test_the_causes_of_wakes_do_not_change(record):
    """A task is woken by a step with ``--calls`` as it is without."""
    done = record(
        """
        import asyncio, time

        def slow():
            time.sleep(0.006)

        async def waiter(future):
            return await future

        async def main():
            future = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(waiter(future), name="waiter")
            await asyncio.sleep(0)
            slow()
            future.set_result(7)
            await task

        asyncio.run(main())
        """,
        options=FULL,
    )

    by_seq = {e.seq: e for e in done.events}
    steps = done.of("life.step", scope="waiter")
    assert [by_seq[s.cause].kind for s in steps] == ["life.task_start", "sync.await"]


def test_the_program_cannot_tell(record, plain):
    """Results, tracebacks, a debugger's events and exit are the same."""
    source = """
        import sys, traceback, threading, asyncio, gc, weakref

        class Thing:
            pass

        def fails(n):
            if n:
                return fails(n - 1)
            raise KeyError("gone")

        def released():
            thing = Thing()
            watch = weakref.ref(thing)
            del thing
            return watch() is None

        def traced():
            total = 0
            for n in (i * i for i in range(3)):
                total += n
            return total

        async def main():
            await asyncio.sleep(0)
            return [n async for n in agen()]

        async def agen():
            yield 1

        seen = []
        def trace(frame, event, arg):
            if frame.f_code.co_filename == __file__:
                seen.append((frame.f_code.co_name, event, frame.f_lineno))
            return trace

        sys.settrace(trace)
        print(traced())
        sys.settrace(None)
        print(seen)
        print(released(), asyncio.run(main()))
        try:
            fails(3)
        except KeyError:
            traceback.print_exc(file=sys.stdout)
        print(threading.active_count(), gc.isenabled(), sys.getrecursionlimit())
        fails(1)
        """

    done = record(source, options=FULL)
    expected = plain(source)

    assert done.stdout == expected.stdout
    assert done.returncode == expected.returncode == 1
    assert done.stderr.startswith(expected.stderr)


def test_the_limit_of_recursion_is_where_it_was(record, plain):
    """Within the frame or two that the hook itself needs."""
    source = """
        def depth(n=1):
            try:
                return depth(n + 1)
            except RecursionError:
                return n

        def falls():
            return falls()

        print(depth(), depth())
        try:
            falls()
        except RecursionError as error:
            print(error)
            while error.__traceback__.tb_next:
                error.__traceback__ = error.__traceback__.tb_next
            print(error.__traceback__.tb_frame.f_code.co_name)
        """

    done = record(source, options=FULL)
    expected = plain(source)

    assert done.returncode == 0, done.stderr
    depths, *rest = done.stdout.splitlines()
    expected_depths, *expected_rest = expected.stdout.splitlines()
    assert rest == expected_rest
    for found, wanted in zip(depths.split(), expected_depths.split(), strict=True):
        assert 0 <= int(wanted) - int(found) <= 2
    # 3.11 takes a profile function away that cannot be called; that is said.
    assert ("calls" in done.problems) != HAS_MONITORING


def test_an_exception_of_a_signal_handler_reaches_the_program(record):
    """Wherever it strikes, in the program or in a hook, it is the program's."""
    done = record(
        """
        import signal

        class Late(Exception):
            pass

        def handler(number, frame):
            raise Late

        def leaf():
            pass

        def spin():
            for _ in range(1_000_000_000):
                leaf()

        def once():
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.003)
                spin()
            except Late:
                return 1

        signal.signal(signal.SIGALRM, handler)
        print(sum(once() for _ in range(15)))
        """,
        options=FULL,
    )

    assert (done.returncode, done.stdout) == (0, "15\n"), done.stderr
    if HAS_MONITORING:
        assert done.problems == {}
    else:
        assert "signal handler" in done.problems.get("calls", "signal handler")


def test_a_profiler_of_the_program_works(record, plain):
    """``sys.setprofile`` and cProfile see what they saw; on 3.11 clew steps aside, and says so."""
    source = """
        import cProfile, pstats, sys

        def leaf():
            return len([1])

        def work():
            return leaf() + leaf()

        seen = []
        def profile(frame, event, arg):
            if frame.f_code.co_filename == __file__ and frame.f_code.co_name != "<module>":
                seen.append((frame.f_code.co_name, event))

        sys.setprofile(profile)
        work()
        sys.setprofile(None)
        print(seen)
        profiler = cProfile.Profile()
        profiler.runcall(work)
        print(sorted((key[2], row[0]) for key, row in pstats.Stats(profiler).stats.items() if key[0] == __file__))
        """

    done = record(source, options=FULL)

    assert done.stdout == plain(source).stdout
    if HAS_MONITORING:
        assert names(starts(done, "work")) == ["work", "work"]
        assert done.problems == {}
    else:
        assert "own profiler" in done.problems["calls"]


@pytest.mark.skipif(not HAS_MONITORING, reason="sys.monitoring is there from 3.12 on")
def test_other_tools_keep_their_tool_ids(record):
    """The ids that debuggers, coverage, profilers and optimizers use are free."""
    done = record(
        """
        import sys

        mon = sys.monitoring
        for tool in (mon.DEBUGGER_ID, mon.COVERAGE_ID, mon.PROFILER_ID, mon.OPTIMIZER_ID):
            mon.use_tool_id(tool, "mine")
        seen = []
        mon.register_callback(mon.OPTIMIZER_ID, mon.events.PY_START, lambda code, offset: seen.append(code.co_name))
        mon.set_events(mon.OPTIMIZER_ID, mon.events.PY_START)

        def work():
            pass

        work()
        mon.set_events(mon.OPTIMIZER_ID, 0)
        print(seen)
        """,
        options=FULL,
    )

    assert (done.returncode, done.stdout) == (0, "['work']\n"), done.stderr
    assert names(starts(done, "work")) == ["work"]


@pytest.mark.skipif(not HAS_MONITORING, reason="sys.monitoring is there from 3.12 on")
def test_without_a_free_tool_id_nothing_is_recorded_and_that_is_said(plain, tmp_path):
    """The program's own tools come first."""
    done = plain(
        """
        import sys

        for tool in (3, 4, 5):
            sys.monitoring.use_tool_id(tool, "mine")

        import clew

        clew.install(calls="full", output="recording.clew")

        def work():
            print("works")

        work()
        """
    )

    assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr
    (stream,) = open_recording(tmp_path / "recording.clew").streams
    assert int(EventKind.LIFE_CALL_START) not in stream.data.columns["kind"]
    assert "tool id" in stream.end["problems"]["calls"]


def test_recorded_calls_make_a_flame_graph(record):
    """speedscope gets a balanced profile in which calls lie in the calls that made them."""
    done = record(
        """
        import time

        def leaf():
            pass

        def numbers():
            yield leaf()
            yield leaf()

        def slow():
            time.sleep(0.006)
            return list(numbers())

        slow()
        """,
        options=FULL,
    )

    whole = json.loads("".join(profiles_of(done.recording)))

    (profile,) = whole["profiles"]
    frames = [frame["name"] for frame in whole["shared"]["frames"]]
    paths, stack = [], []
    for event in profile["events"]:
        if event["type"] == "O":
            stack.append(frames[event["frame"]])
            paths.append(" > ".join(stack))
        else:
            assert stack.pop() == frames[event["frame"]]
    inner = ["numbers", "numbers > leaf"]
    assert stack == []
    assert paths == [
        "<module>",
        "<module> > slow",
        *(f"<module> > slow > {path}" for path in [*inner, *inner, "numbers"]),
    ]


def test_a_bug_in_a_hook_does_not_reach_the_program(record):
    """It is noted once, and no further call is recorded."""
    done = record(
        """
        import importlib, sys

        name = "_calls_monitoring" if sys.version_info >= (3, 12) else "_calls_profile"
        hook = importlib.import_module(f"clew.probe.seams.{name}")

        def work():
            return 7

        work()
        hook._pack = None
        print(work() + work())
        """,
        options=FULL,
    )

    assert (done.returncode, done.stdout) == (0, "14\n"), done.stderr
    assert len(starts(done, "work")) == 1
    assert "TypeError" in done.problems["calls"]


def test_calls_can_be_disabled(record):
    """``--disable calls`` beats ``--calls``."""
    done = record("def work(): pass\nwork()\n", options=("--calls", "--disable", "calls"))

    assert starts(done) == []
