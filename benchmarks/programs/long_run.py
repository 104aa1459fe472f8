"""An asyncio program that goes on: clients take a lock, queue work, wait for its result; workers do it.

Prints, each time another third of the work is done, how many MiB of memory are resident
and how many of them private, and at the end what it took.
Usage: long_run.py MODE REQUESTS [FILE], where MODE is plain or viztracer (which saves to FILE).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from pathlib import Path

from observers import events_so_far, start

CLIENTS, WORKERS = 20, 5


def memory_mib() -> tuple[float, float]:
    """Return the resident memory of this process: all of it, and what is private to it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))


async def check(number):
    await asyncio.sleep(0)
    return number % 7 == 0


async def client(requests, work, lock, balance):
    loop = asyncio.get_running_loop()
    for number in requests:
        async with lock:
            balance["requests"] = balance.get("requests", 0) + 1
        answer = loop.create_future()
        await work.put((number, answer))
        if await answer:
            await asyncio.create_task(check(number))


async def worker(work):
    while True:
        number, answer = await work.get()
        await asyncio.sleep(0)
        answer.set_result(await check(number))
        work.task_done()


async def main(requests: int, figures: dict[str, float]) -> None:
    work, lock, balance = asyncio.Queue(10), asyncio.Lock(), {}
    workers = [asyncio.create_task(worker(work)) for _ in range(WORKERS)]
    for third in range(4):
        # The first is to warm up: what any program allocates once.
        numbers = iter(range(requests // 30 if third == 0 else requests // 3))
        await asyncio.gather(*(client(numbers, work, lock, balance) for _ in range(CLIENTS)))
        figures[f"mib_{third}"], figures[f"private_mib_{third}"] = memory_mib()
        figures[f"events_{third}"] = events_so_far()
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


def run(mode: str, requests: int, file: str) -> None:
    figures: dict[str, float] = {}
    tracer = start(mode, entries=10_000_000)
    begin, cpu = time.perf_counter(), time.process_time()
    asyncio.run(main(requests, figures))
    figures["wall_s"] = time.perf_counter() - begin
    figures["own_cpu_s"] = time.process_time() - cpu
    if tracer is not None:
        tracer.stop()
        tracer.save(file)
        figures["file_bytes"] = Path(file).stat().st_size
        with open(file, "rb") as stream:
            figures["gz_bytes"] = len(gzip.compress(stream.read(), 6))
            stream.seek(0)
            figures["traced"] = sum(event["ph"] == "X" for event in json.load(stream)["traceEvents"])
    print(json.dumps(figures))


run(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
