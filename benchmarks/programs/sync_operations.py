"""Operations on what asyncio and threading synchronise with, none of which has to wait.

Prints for each object nanoseconds of CPU time of this thread per round of operations,
and how many events clew recorded in one. Usage: sync_operations.py MODE ROUNDS
"""

from __future__ import annotations

import asyncio
import inspect
import json
import queue
import statistics
import sys
import threading
import time

from observers import events_so_far, start

REPEATS = 5


async def asyncio_lock(rounds):
    lock = asyncio.Lock()
    for _ in range(rounds):
        await lock.acquire()
        lock.release()


async def asyncio_semaphore(rounds):
    semaphore = asyncio.Semaphore(2)
    for _ in range(rounds):
        await semaphore.acquire()
        semaphore.release()


async def asyncio_event(rounds):
    event = asyncio.Event()
    for _ in range(rounds):
        event.set()
        await event.wait()
        event.clear()


async def asyncio_queue(rounds):
    items = asyncio.Queue()
    for number in range(rounds):
        await items.put(number)
        await items.get()


def threading_lock(rounds):
    lock = threading.Lock()
    for _ in range(rounds):
        lock.acquire()
        lock.release()


def threading_rlock(rounds):
    lock = threading.RLock()
    for _ in range(rounds):
        lock.acquire()
        lock.release()


def threading_condition(rounds):
    condition = threading.Condition()
    for _ in range(rounds):
        with condition:
            condition.notify()


def threading_event(rounds):
    event = threading.Event()
    for _ in range(rounds):
        event.set()
        event.wait()
        event.clear()


def queue_queue(rounds):
    items = queue.Queue()
    for number in range(rounds):
        items.put(number)
        items.get()


def queue_simplequeue(rounds):
    items = queue.SimpleQueue()
    for number in range(rounds):
        items.put(number)
        items.get()


OPERATIONS = {
    "asyncio.Lock: acquire, release": asyncio_lock,
    "asyncio.Semaphore: acquire, release": asyncio_semaphore,
    "asyncio.Event: set, wait, clear": asyncio_event,
    "asyncio.Queue: put, get": asyncio_queue,
    "threading.Lock: acquire, release": threading_lock,
    "threading.RLock: acquire, release": threading_rlock,
    "threading.Condition: acquire, notify, release": threading_condition,
    "threading.Event: set, wait, clear": threading_event,
    "queue.Queue: put, get": queue_queue,
    "queue.SimpleQueue: put, get": queue_simplequeue,
}


async def measure_async(operation, rounds):
    begin = time.thread_time_ns()
    await operation(rounds)
    return time.thread_time_ns() - begin


def measure(operation, rounds, runner):
    if inspect.iscoroutinefunction(operation):
        return runner.run(measure_async(operation, rounds))
    begin = time.thread_time_ns()
    operation(rounds)
    return time.thread_time_ns() - begin


def main(mode: str, rounds: int) -> None:
    observer = start(mode, entries=3_000_000)
    figures = {}
    with asyncio.Runner() as runner:
        for name, operation in OPERATIONS.items():
            measure(operation, rounds // 10, runner)
            times, events = [], []
            for _ in range(REPEATS):
                before = events_so_far()
                times.append(measure(operation, rounds, runner) / rounds)
                events.append((events_so_far() - before) / rounds)
            figures[name] = min(times)
            figures[f"{name} events"] = round(statistics.median(events))
    del observer
    print(json.dumps(figures))


main(sys.argv[1], int(sys.argv[2]))
