"""Two tasks that wake each other: nothing but loop steps, and then steps and queues.

Prints nanoseconds of this thread's CPU time (``step_ns``) and of the whole process's
(``process_ns``) per loop step; with queues (``queue_ns``) per round trip: 2 steps, 4 queue operations.
Usage: pingpong.py LOOP MODE STEPS, where LOOP is asyncio or uvloop and MODE is plain,
span (one ``clew.span`` around each step), otel (one span around each step), viztracer or cprofile.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

from observers import events_so_far, start

REPEATS = 5


async def wake_each_other(steps, box):
    loop = asyncio.get_running_loop()
    for _ in range(steps):
        mine = loop.create_future()
        theirs, box[0] = box[0], mine
        if theirs is not None:
            theirs.set_result(None)
        await mine
    if box[0] is not None and not box[0].done():
        box[0].set_result(None)


async def wake_each_other_in_spans(steps, box, begin):
    """The same, with each step in a span."""
    loop = asyncio.get_running_loop()
    for _ in range(steps):
        with begin("step"):
            mine = loop.create_future()
            theirs, box[0] = box[0], mine
            if theirs is not None:
                theirs.set_result(None)
            await mine
    if box[0] is not None and not box[0].done():
        box[0].set_result(None)


async def play_futures(steps, begin):
    box = [None]
    each = steps // 2
    if begin is None:
        players = [wake_each_other(each, box) for _ in range(2)]
    else:
        players = [wake_each_other_in_spans(each, box, begin) for _ in range(2)]
    tasks = [asyncio.ensure_future(player) for player in players]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def play_queues(steps, begin):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def ping():
        for number in range(steps // 2):
            await there.put(number)
            await back.get()

    async def pong():
        for number in range(steps // 2):
            await there.get()
            await back.put(number)

    await asyncio.gather(ping(), pong())


def main(loop: str, mode: str, steps: int) -> None:
    factory = asyncio.SelectorEventLoop
    if loop == "uvloop":
        import uvloop

        factory = uvloop.Loop
    observer = start(mode, entries=3_000_000)
    begin = None
    if mode == "otel":
        begin = observer.begin
    elif mode == "span":
        import clew

        begin = clew.span
    figures = {}
    programs = {"step": (play_futures, steps)}
    if begin is None:
        programs["queue"] = (play_queues, steps // 2)
    for name, (program, number) in programs.items():
        own, whole, events = [], [], []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(program(number // 10, begin))
            for _ in range(REPEATS):
                count = events_so_far()
                process, thread = time.process_time_ns(), time.thread_time_ns()
                runner.run(program(number, begin))
                own.append((time.thread_time_ns() - thread) / number)
                whole.append((time.process_time_ns() - process) / number)
                events.append((events_so_far() - count) / number)
        scale = 1 if name == "step" else 2
        figures[f"{name}_ns"] = min(own) * scale
        figures[f"{name}_process_ns"] = min(whole) * scale
        figures[f"{name}_events"] = statistics.median(events) * scale
    if mode == "otel":
        observer.provider.shutdown()
        made = REPEATS * steps + steps // 10
        figures["lost"] = 1 - observer.exporter.spans / made
    print(json.dumps(figures))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
