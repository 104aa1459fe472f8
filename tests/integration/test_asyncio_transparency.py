"""The program cannot tell that asyncio's synchronisation is recorded, and no bug of a hook reaches it."""

from __future__ import annotations

import re

import pytest
from asyncio_programs import LOCKS, LOCKS_PRINT, QUEUES, WAITS, WAITS_PRINT

SHAPES = """
    import asyncio, inspect, pickle

    NAMES = {
        asyncio.Lock: "acquire release locked __aenter__ __aexit__",
        asyncio.Semaphore: "acquire release locked",
        asyncio.BoundedSemaphore: "acquire release",
        asyncio.Event: "wait set clear is_set",
        asyncio.Condition: "wait wait_for notify notify_all",
        asyncio.Barrier: "wait reset abort",
        asyncio.Queue: "put get put_nowait get_nowait join task_done full empty",
        asyncio.TaskGroup: "__aenter__ __aexit__ create_task",
        asyncio.Timeout: "__aenter__ __aexit__ reschedule",
        asyncio: "sleep wait wait_for gather as_completed timeout wrap_future to_thread run_coroutine_threadsafe",
    }
    for owner, names in NAMES.items():
        for name in names.split():
            function = getattr(owner, name)
            print(name, function.__module__, function.__qualname__, inspect.signature(function), function.__doc__)
            print(inspect.iscoroutinefunction(function), asyncio.iscoroutinefunction(function))
            if inspect.isfunction(function):
                print(pickle.loads(pickle.dumps(function)) is function)
                print(function.__defaults__, function.__kwdefaults__, function.__annotations__)
    print(asyncio.sleep is asyncio.tasks.sleep, asyncio.wait_for is asyncio.tasks.wait_for)

    class Lock(asyncio.Lock):
        async def acquire(self):
            print("acquire")
            return await super().acquire()

        def release(self):
            print("release")
            super().release()

    class Queue(asyncio.Queue):
        def _init(self, maxsize):
            self._queue = []

        def _put(self, item):
            print("put", item)
            self._queue.append(item)

        def _get(self):
            return self._queue.pop(0)

        async def get(self):
            print("get")
            return await super().get()

    class Group(asyncio.TaskGroup):
        async def __aexit__(self, *error):
            print("leave")
            return await super().__aexit__(*error)

    class Slotted(asyncio.Event):
        __slots__ = ("more",)

    async def main():
        lock, queue, event = Lock(), Queue(2), Slotted()
        async with lock:
            print(type(lock).__mro__[1] is asyncio.Lock, isinstance(lock, asyncio.Lock), lock.locked())
        for n in range(2):
            await queue.put(n)
        print(await queue.get(), queue.get_nowait(), queue.qsize())
        async with Group() as group:
            task = group.create_task(event.wait())
            event.set()
        print(task.result(), vars(asyncio.Lock()).keys(), vars(asyncio.Queue()).keys())
        for thing in (lock, queue, event, asyncio.Semaphore(2), asyncio.Condition(), asyncio.Barrier(2)):
            print(repr(thing))
        print(type(pickle.loads(pickle.dumps(asyncio.Lock()))))
        print(await asyncio.sleep(0, "result"), await asyncio.wait_for(asyncio.sleep(0, 1), None))
        print(asyncio.sleep(0).close(), asyncio.sleep(delay=0, result=1).close())
        asyncio.sleep(1)

    asyncio.run(main())
    """

ERRORS = """
    import asyncio, gc, sys, traceback

    gc.disable()  # what is destroyed when depends on how much was allocated

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("failed")

    async def forever():
        await asyncio.get_running_loop().create_future()

    async def twice(semaphore):
        semaphore.release()
        semaphore.release()

    async def notify(condition):
        condition.notify()

    async def abandoned(barrier):
        await barrier.abort()
        await barrier.wait()

    async def full(queue):
        queue.put_nowait(1)
        queue.put_nowait(2)

    async def limited(awaitable):
        await asyncio.wait_for(awaitable, 0.001)

    async def timed():
        async with asyncio.timeout(0.001):
            await forever()

    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(forever())

    async def late():
        for ready in asyncio.as_completed([forever()], timeout=0.001):
            await ready

    async def cancelled(coroutine):
        task = asyncio.create_task(coroutine)
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel("enough")
        await task

    async def held(lock):
        await lock.acquire()
        await lock.acquire()

    async def use(condition):
        async with condition:
            await condition.wait()

    def job():
        raise KeyError("job")

    class Broken(asyncio.Queue):
        def _put(self, item):
            raise OSError("disk full")

    async def main():
        lock = asyncio.Lock()
        for failing in (
            lambda: asyncio.to_thread(lock.release),
            lambda: twice(asyncio.BoundedSemaphore(1)),
            lambda: notify(asyncio.Condition()),
            lambda: asyncio.Condition().wait(),
            lambda: abandoned(asyncio.Barrier(2)),
            lambda: full(asyncio.Queue(1)),
            lambda: Broken().put(1),
            lambda: limited(fail()),
            lambda: limited(forever()),
            lambda: limited(asyncio.create_task(forever())),
            lambda: limited(3),
            timed,
            grouped,
            late,
            lambda: asyncio.gather(fail(), fail()),
            lambda: asyncio.to_thread(job),
            lambda: asyncio.sleep("long"),
            lambda: asyncio.sleep(float("nan")),
            lambda: asyncio.wait([]),
            lambda: asyncio.wait([fail()]),
            lambda: cancelled(held(asyncio.Lock())),
            lambda: cancelled(use(asyncio.Condition())),
            lambda: cancelled(asyncio.Queue().get()),
            lambda: cancelled(asyncio.Event().wait()),
            lambda: cancelled(asyncio.sleep(60)),
            lambda: cancelled(grouped()),
            lambda: cancelled(asyncio.wait_for(forever(), 60)),
        ):
            try:
                print(await failing())
            except BaseException as error:
                traceback.print_exc(file=sys.stdout)
                print(repr(error.__cause__), repr(error.__context__), asyncio.current_task().cancelling())

    asyncio.run(main())
    """

SABOTAGE = """
    import asyncio
    from clew.probe.seams import (
        asyncio_awaits, asyncio_groups, asyncio_locks, asyncio_queues, asyncio_time, asyncio_waits,
    )

    def broken(*args, **options):
        raise RuntimeError("a bug of clew's")

    for part in (asyncio_awaits, asyncio_groups, asyncio_locks, asyncio_queues, asyncio_time, asyncio_waits):
        for name in ("note", "begin", "begin_at", "end", "meet", "define_group", "number_of", "_watch", "_record"):
            if hasattr(part, name):
                setattr(part, name, broken)
    """


def scrubbed(text: str) -> str:
    """*text* without addresses."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)


@pytest.mark.parametrize("program", [SHAPES, ERRORS], ids=["shapes", "errors"])
def test_the_program_cannot_tell(record, plain, program):
    """Signatures, names, subclasses, pickles, representations, tracebacks and warnings are the same."""
    done, without = record(program, options=("--quiet",)), plain(program)

    assert without.returncode == 0, without.stderr
    assert scrubbed(done.stdout) == scrubbed(without.stdout)
    assert scrubbed(done.stderr) == scrubbed(without.stderr)
    assert done.problems == {}


@pytest.mark.parametrize(
    ("program", "printed", "groups"),
    [
        (LOCKS, LOCKS_PRINT, {"asyncio.Lock", "asyncio.Semaphore", "asyncio.Event", "asyncio.Condition"}),
        (QUEUES, None, {"asyncio.Queue"}),
        (WAITS, WAITS_PRINT, {"asyncio.Future", "asyncio.TaskGroup", "asyncio.wait", "asyncio.wait_for"}),
    ],
    ids=["locks", "queues", "waits"],
)
def test_a_bug_in_a_hook_does_not_reach_the_program(record, plain, program, printed, groups):
    """The group of the hook is switched off and that is noted; the program goes on."""
    done = record(SABOTAGE + program)

    assert done.stdout == (printed or plain(program).stdout), done.stderr
    assert done.returncode == 0
    assert groups <= set(done.problems)
    assert all("a bug of clew's" in problem for problem in done.problems.values())


def test_groups_of_hooks_can_be_left_out(record):
    """What is disabled leaves no event; what it is made of stays as it is."""
    groups = ("Future", "TaskGroup", "wait", "sleep", "wait_for", "timeout", "Lock")
    done = record(WAITS, options=("--disable", ",".join(f"asyncio.{group}" for group in groups)))

    assert done.stdout == WAITS_PRINT, done.stderr
    parts = {"gathers", "groups", "sets", "limits", "threads", "sleeps"}
    assert [e for e in done.of("sync.wait", "sync.abandon") if e.scope.name in parts] == []
