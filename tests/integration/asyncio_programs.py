"""Programs that use asyncio's synchronisation, each in every way, and what they print."""

from __future__ import annotations

LOCKS = """
    import asyncio, sys

    class Account:
        def __init__(self):
            self.lock = asyncio.Lock()

    async def settle():
        for _ in range(3):
            await asyncio.sleep(0)

    async def start(coroutine, name):
        task = asyncio.create_task(coroutine, name=name)
        await settle()
        return task

    async def cancel(task):
        task.cancel()
        await asyncio.wait([task])

    async def use(lock):
        async with lock:
            pass

    async def notified(changed):
        async with changed:
            await changed.wait()

    async def locks():
        account = Account()
        async with account.lock:
            waiter = await start(use(account.lock), "waiter")
            await cancel(await start(use(account.lock), "cancelled"))
            await asyncio.create_task(late(account.lock), name="late")
        await waiter

    async def late(lock):
        try:
            async with asyncio.timeout(0.02):
                await lock.acquire()
        except TimeoutError:
            pass

    async def semaphores():
        permits = asyncio.BoundedSemaphore(2)
        async with permits:
            await permits.acquire()
            waiter = await start(use(permits), "waiter")
            permits.release()
            await waiter
        try:
            permits.release()
        except ValueError as error:
            print(error)

    async def events():
        ready = asyncio.Event()
        waiters = [await start(ready.wait(), f"waiter-{n}") for n in range(2)]
        await cancel(await start(ready.wait(), "cancelled"))
        ready.set()
        ready.set()
        await asyncio.gather(*waiters)
        await ready.wait()
        ready.clear()
        ready.clear()

    async def conditions():
        changed = asyncio.Condition()
        waiters = [await start(notified(changed), f"waiter-{n}") for n in range(3)]
        async with changed:
            changed.notify()
        await settle()
        async with changed:
            changed.notify_all()
        await asyncio.gather(*waiters)
        await cancel(await start(notified(changed), "cancelled"))
        try:
            changed.notify()
        except RuntimeError as error:
            print(error)

    async def barriers():
        meeting = asyncio.Barrier(2)
        waiter = await start(meeting.wait(), "waiter")
        await meeting.wait()
        await waiter
        broken = await start(meeting.wait(), "broken")
        await meeting.abort()
        await asyncio.wait([broken])
        print(type(broken.exception()).__name__)

    async def main():
        for part in (locks, semaphores, events, conditions, barriers):
            await asyncio.create_task(part(), name=part.__name__)

    if "uvloop" in sys.argv:
        import uvloop
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())
    """
LOCKS_PRINT = "BoundedSemaphore released too many times\ncannot notify on un-acquired lock\nBrokenBarrierError\n"

QUEUES = """
    import asyncio, sys

    async def settle():
        for _ in range(3):
            await asyncio.sleep(0)

    async def start(coroutine, name):
        task = asyncio.create_task(coroutine, name=name)
        await settle()
        return task

    async def cancel(task):
        task.cancel()
        await asyncio.wait([task])

    async def take(letters):
        return await letters.get()

    async def bring(letters, item):
        await letters.put(item)

    async def waiting():
        letters = asyncio.Queue(maxsize=1)
        getter = await start(take(letters), "getter")
        letters.put_nowait("a")
        print(await getter)
        await letters.put("b")
        putter = await start(bring(letters, "c"), "putter")
        await cancel(await start(bring(letters, "x"), "cancelled"))
        print(await letters.get())
        await putter
        try:
            letters.put_nowait("d")
        except asyncio.QueueFull:
            print("full")
        print(letters.get_nowait())
        try:
            letters.get_nowait()
        except asyncio.QueueEmpty:
            print("empty")

    async def finish(work):
        await work.join()

    async def joining():
        work = asyncio.Queue()
        for n in range(2):
            work.put_nowait(n)
        joiner = await start(finish(work), "joiner")
        for _ in range(2):
            await work.get()
            work.task_done()
        await joiner
        await work.join()
        try:
            work.task_done()
        except ValueError as error:
            print(error)

    class Choosy(asyncio.Queue):
        '''One that decides by itself when it is full.'''

        def full(self):
            return len(self._queue) >= 1

    async def kinds():
        ordered, stack, choosy = asyncio.PriorityQueue(), asyncio.LifoQueue(), Choosy()
        for queue in (ordered, stack):
            for n in (2, 1):
                await queue.put(n)
            print(await queue.get(), await queue.get())
        await choosy.put(1)
        putter = await start(choosy.put(2), "choosy")
        print(await choosy.get())
        await putter

    async def work(seconds):
        await asyncio.sleep(seconds)
        return seconds

    async def completions():
        done = asyncio.get_running_loop().create_future()
        never = asyncio.get_running_loop().create_future()
        done.set_result("done")
        for ready in asyncio.as_completed([done]):
            print(await ready)
        try:
            for ready in asyncio.as_completed([never], timeout=0.001):
                await ready
        except TimeoutError:
            print("too late")

    async def closing():
        closed = asyncio.Queue()
        getter = await start(closed.get(), "closed-getter")
        closed.shutdown()
        await asyncio.wait([getter])
        print(type(getter.exception()).__name__)
        try:
            closed.put_nowait(1)
        except asyncio.QueueShutDown:
            print("closed")

    async def main():
        parts = [waiting, joining, kinds, completions]
        if sys.version_info >= (3, 13):
            parts.append(closing)
        for part in parts:
            await asyncio.create_task(part(), name=part.__name__)

    asyncio.run(main())
    """

WAITS = """
    import asyncio, sys, threading

    async def settle():
        for _ in range(3):
            await asyncio.sleep(0)

    async def start(coroutine, name):
        task = asyncio.create_task(coroutine, name=name)
        await settle()
        return task

    async def cancel(task):
        task.cancel()
        await asyncio.wait([task])

    async def soon(result):
        await asyncio.sleep(0.001)
        return result

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("failed")

    async def forever():
        await asyncio.get_running_loop().create_future()

    async def gathers():
        children = [asyncio.create_task(soon(n), name=f"child-{n}") for n in range(2)]
        print(await asyncio.gather(*children))
        try:
            await asyncio.gather(fail(), soon(0))
        except ValueError as error:
            print(error)

        async def outer():
            await asyncio.gather(forever(), forever())

        await cancel(await start(outer(), "cancelled-gather"))

    async def groups():
        async with asyncio.TaskGroup() as group:
            group.create_task(soon(1), name="member")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(), name="failing")
                group.create_task(forever(), name="sibling")
        except* ValueError as errors:
            print(errors.exceptions)
        async with asyncio.TaskGroup():
            pass

    async def sets():
        quick, slow = asyncio.create_task(soon(1), name="quick"), asyncio.create_task(forever(), name="slow")
        await asyncio.wait([quick, slow], return_when=asyncio.FIRST_COMPLETED)
        done, pending = await asyncio.wait([slow], timeout=0.001)
        print(len(done), len(pending))
        await cancel(slow)

    async def limits():
        lock = asyncio.Lock()
        await lock.acquire()
        try:
            await asyncio.wait_for(lock.acquire(), 0.02)
        except TimeoutError:
            print("too late")
        late = asyncio.create_task(forever(), name="late")
        try:
            await asyncio.wait_for(late, 0.02)
        except TimeoutError:
            print("too late")
        print(await asyncio.wait_for(asyncio.create_task(soon(2), name="in-time"), 10))
        try:
            await asyncio.wait_for(fail(), 10)
        except ValueError as error:
            print(error)
        try:
            async with asyncio.timeout(0.02):
                await forever()
        except TimeoutError:
            print("too late")
        async with asyncio.timeout(10):
            pass

    async def threads():
        loop = asyncio.get_running_loop()
        print(await loop.run_in_executor(None, job, loop, 3), await asyncio.to_thread(job, loop, 4))
        answer = loop.create_future()
        setter = threading.Thread(target=loop.call_soon_threadsafe, args=(answer.set_result, 5), name="setter")
        setter.start()
        print(await answer)
        asker = threading.Thread(target=ask, args=(loop,), name="asker")
        asker.start()
        await asyncio.to_thread(asker.join)

    def job(loop, number):
        asyncio.run_coroutine_threadsafe(settle(), loop).result()  # now the task waits
        return number

    async def asked():
        return 6

    def ask(loop):
        print(asyncio.run_coroutine_threadsafe(asked(), loop).result())

    async def sleeps():
        await asyncio.sleep(0.001, "result")
        await asyncio.sleep(0)

        async def nap():
            await asyncio.sleep(60)

        await cancel(await start(nap(), "nap"))

    async def main():
        for part in (gathers, groups, sets, limits, threads, sleeps):
            await asyncio.create_task(part(), name=part.__name__)

    if "uvloop" in sys.argv:
        import uvloop
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())
    """
WAITS_PRINT = "[0, 1]\nfailed\n(ValueError('failed'),)\n0 1\ntoo late\ntoo late\n2\nfailed\ntoo late\n3 4\n5\n6\n"
