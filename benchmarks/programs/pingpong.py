"""Two tasks that hand each other an item: nothing but loop steps and queue operations.

Prints nanoseconds of this thread's CPU time per round trip (2 steps, 4 queue operations).
Usage: pingpong.py LOOP MODE, where LOOP is asyncio or uvloop and MODE is plain, debug,
otel, viztracer, cprofile.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

ROUND_TRIPS = 20_000
REPEATS = 5


async def ping(a, b, n):
    for i in range(n):
        await a.put(i)
        await b.get()


async def pong(a, b, n):
    for i in range(n):
        await a.get()
        await b.put(i)


async def play():
    a, b = asyncio.Queue(1), asyncio.Queue(1)
    await asyncio.gather(ping(a, b, ROUND_TRIPS), pong(a, b, ROUND_TRIPS))


async def ping_futures(n, box):
    """The same with bare futures: two steps and no queue."""
    loop = asyncio.get_running_loop()
    for _ in range(n):
        mine = loop.create_future()
        theirs, box[0] = box[0], mine
        if theirs is not None:
            theirs.set_result(None)
        await mine
    if box[0] is not None and not box[0].done():
        box[0].set_result(None)


async def play_futures():
    box = [None]
    tasks = [asyncio.ensure_future(ping_futures(ROUND_TRIPS, box)) for _ in range(2)]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def main(loop: str, mode: str) -> None:
    factory = asyncio.SelectorEventLoop
    if loop == "uvloop":
        import uvloop

        factory = uvloop.Loop
    if mode == "viztracer":
        from viztracer import VizTracer

        VizTracer(tracer_entries=3_000_000, verbose=0).start()
    elif mode == "cprofile":
        import cProfile

        cProfile.Profile().enable()
    results: dict[str, float] = {}
    for name, program in (("queue_ns", play), ("futures_ns", play_futures)):
        times = []
        for _ in range(REPEATS):
            with asyncio.Runner(loop_factory=factory, debug=mode == "debug") as runner:
                begin = time.thread_time_ns()
                runner.run(program())
                times.append((time.thread_time_ns() - begin) / ROUND_TRIPS)
        results[name] = statistics.median(times)
    print(json.dumps(results))


main(*sys.argv[1:])
