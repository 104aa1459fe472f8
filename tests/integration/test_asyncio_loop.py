"""What is recorded of asyncio loops: tasks, steps, wakes, cancellation."""

from __future__ import annotations


def test_every_step_names_the_event_that_woke_it(record):
    """A task woken by another task's step has that step as its cause."""
    done = record(
        """
        import asyncio

        async def waiter(future):
            return await future

        async def main():
            future = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(waiter(future), name="waiter")
            await asyncio.sleep(0)
            future.set_result(7)
            assert await task == 7

        asyncio.run(main())
        """
    )

    assert done.returncode == 0, done.stderr
    by_seq = {e.seq: e for e in done.events}
    steps = done.of("life.step", scope="waiter")
    assert by_seq[steps[0].cause].kind == "life.task_start"
    assert by_seq[steps[1].cause].scope.type == "main"


def test_a_cancelled_task_names_its_canceller(record):
    """The cause of ``life.task_cancel`` is the step in which ``cancel()`` was called."""
    done = record(
        """
        import asyncio

        async def sleeper():
            await asyncio.sleep(60)

        async def main():
            task = asyncio.create_task(sleeper(), name="sleeper")
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(main())
        """
    )

    (cancel,) = done.of("life.task_cancel")
    by_seq = {e.seq: e for e in done.events}
    assert cancel.entity.name == "sleeper"
    assert by_seq[cancel.cause].scope.type == "main"
    assert done.of("life.task_end", entity="sleeper")[0].outcome == "cancelled"


def test_a_blocked_loop_shows_the_step_that_blocks_it(record):
    """A long step is recorded when it begins and when it ends."""
    done = record(
        """
        import asyncio, time

        async def main():
            time.sleep(0.02)

        asyncio.run(main())
        """
    )

    (step,) = [e for e in done.of("life.step") if e.scope.type == "main"]
    (end,) = done.of("life.step_end")
    assert step.arg == 0
    assert end.cause == step.seq
    assert end.arg >= 20_000_000


def test_a_failed_task_tells_its_exception(record):
    """Type, redacted message and stack of the exception a task ended with."""
    done = record(
        """
        import asyncio

        async def boom():
            raise ValueError("bad", "password=hunter2!")

        async def main():
            await asyncio.gather(asyncio.create_task(boom(), name="boom"), return_exceptions=True)

        asyncio.run(main())
        """
    )

    (error,) = done.of("error.raised")
    assert error.attrs["type"] == "ValueError"
    assert error.attrs["message"] == "bad, password=[redacted]"
    assert error.site.function == "boom"


def test_a_failed_task_nobody_keeps_is_reported_as_soon_as_without_clew(record, plain):
    """No frame of clew's, in the traceback of the task's exception, keeps the task."""
    source = """
        import asyncio

        async def main():
            async def boom():
                1 / 0

            asyncio.get_running_loop().set_exception_handler(lambda loop, context: print(context["message"]))
            asyncio.Task(boom())
            await asyncio.sleep(0)
            print("next step")

        asyncio.run(main())
        """

    done = record(source)

    assert done.stdout == plain(source).stdout == "Task exception was never retrieved\nnext step\n"


def test_a_callback_at_the_address_of_a_task_that_never_ended_is_no_task(record):
    """The address of a task that was destroyed while it waited may become another object's."""
    done = record(
        """
        import asyncio, gc

        async def never():
            await asyncio.get_running_loop().create_future()

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: None)
            tasks = [asyncio.Task(never()) for _ in range(50)]
            await asyncio.sleep(0)
            tasks.clear()
            gc.collect()
            futures = [asyncio.Future() for _ in range(1000)]  # of the size of a task up to 3.12
            for future in futures:
                loop.call_soon(future.done)
            await asyncio.sleep(0)

        asyncio.run(main())
        """
    )

    assert done.returncode == 0, done.stderr
    assert done.problems == {}
