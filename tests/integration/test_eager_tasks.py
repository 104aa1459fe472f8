"""Eager tasks (Python 3.12 on): the first step runs inside ``create_task``."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")

PROGRAM = """
    import asyncio

    async def quick():
        return 1

    async def slow(event):
        await event.wait()
        return 2

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        assert loop.get_task_factory() is asyncio.eager_task_factory
        event = asyncio.Event()
        first = asyncio.create_task(quick(), name="quick")
        assert first.done()
        second = asyncio.create_task(slow(event), name="slow")
        event.set()
        print(await first, await second)

    asyncio.run(main())
    """


def test_an_eager_task_is_recorded_from_its_first_step(record):
    """A task that ends at once and one that goes on later both have start, step and end."""
    done = record(PROGRAM)

    assert done.stdout == "1 2\n", done.stderr
    for name in ("quick", "slow"):
        (start,) = done.of("life.task_start", entity=name)
        first = done.of("life.step", scope=name)[0]
        (end,) = done.of("life.task_end", entity=name)
        assert (start.op, first.op, first.cause, end.outcome) == ("eager", "eager", start.seq, "ok")
        assert start.scope.type == "main"
        assert start.site.function == "main"
    assert not done.problems


def test_the_creator_goes_on_as_itself_after_an_eager_step(record):
    """What happens after ``create_task`` belongs to the creator again."""
    done = record(PROGRAM)

    (start,) = done.of("life.task_start", entity="slow")
    (woken,) = [step for step in done.of("life.step", scope="slow") if step.op != "eager"]
    by_seq = {event.seq: event for event in done.events}
    assert by_seq[woken.cause].scope.type == "main"
    assert by_seq[woken.cause].seq != start.seq


def test_an_eager_task_that_yields_at_once_is_one_task(record):
    """It schedules itself in its first step, before its factory returned."""
    done = record(
        """
        import asyncio

        async def child():
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        async def main():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            await asyncio.create_task(child(), name="child")

        asyncio.run(main())
        """
    )

    assert len(done.of("life.task_start", entity="child")) == 1
    assert len(done.of("life.step", scope="child")) == 3
    assert len(done.of("life.task_end", entity="child")) == 1


def test_an_eager_factory_may_make_tasks_of_another_class(record):
    """A task that is none of asyncio's C class does not make the hook fail."""
    done = record(
        """
        import asyncio

        async def child():
            await asyncio.sleep(0)
            return 7

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_task_factory(asyncio.create_eager_task_factory(asyncio.tasks._PyTask))
            return await asyncio.create_task(child(), name="child")

        print(asyncio.run(main()))
        """
    )

    assert done.stdout == "7\n", done.stderr
    assert done.problems == {}
    (start,) = [e for e in done.of("life.task_start") if e.entity.type == "child"]
    assert start.op == "eager"
