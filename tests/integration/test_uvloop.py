"""uvloop is recorded as asyncio's own loops are: the same program gives the same events."""

from __future__ import annotations

import re

import pytest

PROGRAM = """
    import asyncio, sys, time

    async def waiter(future):
        return await future

    async def boom():
        await asyncio.sleep(0.001)
        raise ValueError("boom")

    async def sleeper():
        await asyncio.sleep(60)

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.create_task(waiter(future), name="waiter")
        await asyncio.sleep(0)
        future.set_result(7)
        assert await task == 7
        assert isinstance((await asyncio.gather(boom(), return_exceptions=True))[0], ValueError)
        victim = asyncio.create_task(sleeper(), name="victim")
        await asyncio.sleep(0)
        victim.cancel()
        await asyncio.wait([victim])
        seen = asyncio.Event()
        loop.call_soon(seen.set)
        await seen.wait()
        await asyncio.to_thread(time.sleep, 0)
        print("done")

    if sys.argv[1] == "uvloop":
        import uvloop
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())
    """


def shape(done):
    """Who ran, and what woke it, without numbers and times; protocol internals left out."""
    by_seq = {event.seq: event for event in done.events}
    rows = []
    for event in done.of("life.task_start", "life.task_end", "life.task_cancel", "life.step", "error.raised"):
        if event.scope.kind != "task" or "shutdown" in event.scope.type:
            continue
        cause = by_seq.get(event.cause)
        if event.kind == "life.step":
            waker = (cause.kind, cause.op) if cause is not None else None
            # asyncio wakes a loop from another thread through a socket, uvloop by its own
            # means: what a thread wakes has the same cause, whichever callback carries it.
            rows.append((event.scope.type, event.kind, waker))
        else:
            rows.append((event.scope.type, event.kind, event.outcome))
    return rows


def test_uvloop_and_asyncio_give_the_same_recording(record):
    """Tasks, steps, wakes, errors and cancellation are the same on both loops."""
    pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")

    asyncio_run, uvloop_run = record(PROGRAM, "asyncio"), record(PROGRAM, "uvloop")

    assert asyncio_run.stdout == uvloop_run.stdout == "done\n", uvloop_run.stderr
    assert shape(asyncio_run) == shape(uvloop_run)
    assert not asyncio_run.problems
    assert not uvloop_run.problems


def test_a_timer_is_one_step_on_uvloop(record):
    """``call_at`` is made of ``call_later``; the callback is recorded once for either."""
    pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")
    done = record(
        """
        import asyncio, uvloop

        async def main():
            loop = asyncio.get_running_loop()
            loop.call_later(float("inf"), print).cancel()
            for schedule in (lambda call: loop.call_at(loop.time() + 0.01, call), lambda call: loop.call_later(0.01, call)):
                over = asyncio.Event()
                schedule(over.set)
                await over.wait()

        uvloop.run(main())
        """
    )

    assert done.returncode == 0, done.stderr
    assert done.problems == {}
    assert len([event for event in done.of("life.step") if event.op == "timer"]) == 2


def test_a_failing_callback_reads_the_same_on_uvloop(record, plain):
    """The traceback that uvloop logs for a failing callback does not show clew."""
    pytest.importorskip("uvloop", reason="uvloop has no build for this interpreter")
    program = """
        import asyncio, uvloop

        def fail():
            raise RuntimeError("in a callback")

        async def main():
            asyncio.get_running_loop().call_soon(fail)
            await asyncio.sleep(0)

        uvloop.run(main())
        """

    done, without = record(program, options=("--quiet",)), plain(program)

    addresses = re.compile(r"0x[0-9a-f]+")
    assert addresses.sub("", done.stderr) == addresses.sub("", without.stderr)
