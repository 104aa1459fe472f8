"""Recordings of any size, made without running a program: the same for the same seed.

What is recorded is a small simulated server, one process of it or several: requests come
in, each is a task and a run of its own; it takes a lock that others want, works in spans,
asks a database, hands a job to a thread, puts work on a queue that a few workers empty,
and now and then fails or blocks the loop. Causes, waits and steps fit together as in a
real recording, and the files are written through ``clew.format``.

    python -m benchmarks.synthetic OUT.clew 1000000
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from array import array
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clew.format import schema
from clew.format.chunk import ChunkType, encode_json_chunk
from clew.format.events import Definitions, encode_event_chunk
from clew.format.reader import STREAM_SUFFIX
from clew.format.tables import TYPECODES, planes_of
from clew.model.kinds import EntityKind as E
from clew.model.kinds import EventKind as K
from clew.model.kinds import Operation as Op
from clew.model.kinds import Outcome, SpanKind, SpanRole

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

CHUNK_EVENTS = 32_768
START_NS = 5_000_000_000_000
WALL_NS = 1_790_000_000_000_000_000
LONG_STEP_NS = 5_000_000
MAX_REQUESTS = 60
"""Requests served at one time."""

PROCESS, MAIN_THREAD, MAIN_SPAN = 1, 2, 1


class StreamWriter:
    """Writes one stream, chunk by chunk."""

    def __init__(self, folder: Path, process_id: int, head: dict[str, Any]) -> None:
        self.process_id = process_id
        self.seq = 0
        self.counts = dict.fromkeys(("entities", "sites", "spans"), 0)
        self._file = (folder / f"{process_id:016x}{STREAM_SUFFIX}").open("wb")
        self._file.write(encode_json_chunk(ChunkType.PROCESS, process_id, head))
        self._begin_chunk()

    def _begin_chunk(self) -> None:
        self.columns = {c.name: array(TYPECODES[c.width]) for c in schema.EVENTS.columns}
        self._rows: dict[str, list[Any]] = {name: [] for name in Definitions._fields}
        self._first = self.seq + 1
        self._add = [self.columns[c.name].append for c in schema.EVENTS.columns]

    def define(self, table: str, *row: Any) -> int:
        """Add a definition; return its number."""
        self.counts[table] += 1
        self._rows[table].append((self.counts[table], *row))
        return self.counts[table]

    def emit(
        self, t_ns: int, kind: int, *, scope: int, op: int = 0, outcome: int = 0, entity: int = 0, site: int = 0,
        span: int = 0, cause: int = 0, wait_ns: int = 0, arg: int = 0, attrs: dict[str, Any] | None = None,
    ) -> int:  # fmt: skip
        """Add an event; return its sequence number."""
        values = (t_ns, cause, wait_ns, arg, entity, scope, site, span, kind, op, outcome)
        for add, value in zip(self._add, values, strict=True):
            add(value)
        self.seq += 1
        if attrs:
            self._rows["attrs"].append((self.seq, json.dumps(attrs, separators=(",", ":"))))
        return self.seq

    def set_duration(self, seq: int, duration_ns: int, awaited: int) -> None:
        """Complete a step of the current chunk."""
        at = seq - self._first
        self.columns["arg"][at] = duration_ns
        self.columns["entity"][at] = awaited

    def remote_cause(self, seq: int, process_id: int, cause: int) -> None:
        """Say that an event was enabled by another process."""
        self._rows["remote_causes"].append((seq, process_id, cause))

    def flush(self, *, at_least: int = 1) -> None:
        """Write a chunk if as many events wait."""
        count = len(self.columns["t_ns"])
        if count < at_least:
            return
        planes = [(c.number, planes_of(self.columns[c.name])) for c in schema.EVENTS.columns]
        rows = Definitions(**self._rows)
        self._file.write(encode_event_chunk(self.process_id, [(self._first, count)], planes, rows))
        self._begin_chunk()

    def close(self) -> None:
        """Write the rest and the end."""
        self.flush()
        end = {"events": self.seq, "dropped": 0, "not_written": 0, "exit": 0, "reason": "exit"}
        self._file.write(encode_json_chunk(ChunkType.END, self.process_id, end))
        self._file.close()


class Task:
    """A simulated task: a generator that yields what it waits for."""

    def __init__(self, number: int, code: Generator[Callable[[Task], None], None, None], span: int) -> None:
        self.number = number
        self.code = code
        self.span = span
        self.awaited = 0


class Lock:
    """A lock and who waits for it, with the beginning of each wait."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_held = False
        self.waiters: deque[tuple[Task, int]] = deque()


class Queue:
    """A queue of numbers and who waits for one."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.items: deque[int] = deque()
        self.getters: deque[tuple[Task, int]] = deque()


class Server:
    """One simulated process with a loop, a pool of threads, locks and queues."""

    def __init__(self, folder: Path, seed: int, index: int, n_events: int) -> None:
        self.random = random.Random(f"{seed}/{index}")
        self.n_events = n_events
        self.name = "bank" if index == 0 else f"bank-{index}"
        self.process_id = self.random.getrandbits(64) | 1
        self.trace = self.random.getrandbits(128)
        head = {
            "pid": 4000 + index, "parent_pid": 1, "service": self.name, "environment": "", "host": "synthetic",
            "argv": ["python", "bank.py"], "executable": "/usr/bin/python3", "python": "3.11.7",
            "implementation": "cpython", "cwd": "/srv/bank", "trace": f"{self.trace:032x}",
            "monotonic_ns": START_NS - 1000, "wall_ns": WALL_NS - 1000, "settings": {},
        }  # fmt: skip
        self.out = StreamWriter(folder, self.process_id, head)
        self.now = START_NS
        self.ready: deque[tuple[Task, int, int]] = deque()
        self.timers: list[tuple[int, int, Task, int]] = []
        self.step = 0
        self.requests = 0
        self.live = 0
        self._define()

    def _define(self) -> None:
        out = self.out
        names = ("handle", "transfer", "load", "worker", "query", "main", "hash_password")
        self.sites = {name: out.define("sites", "/srv/bank/bank.py", 10 * i, name) for i, name in enumerate(names, 1)}
        out.define("entities", E.PROCESS, self.name, "process", 0, 0, 0, "")
        out.define("entities", E.THREAD, "MainThread", "thread", PROCESS, 0, 0, "")
        self.ids = {MAIN_SPAN: (self.trace, self.random.getrandbits(64))}
        """Trace id and span id of every open span."""
        halves = self.trace >> 64, self.trace & (1 << 64) - 1
        out.define("spans", *halves, self.ids[MAIN_SPAN][1], 0, 0, SpanKind.INTERNAL, SpanRole.RUN, 0, self.name)
        start = out.emit(self.now, K.LIFE_PROCESS_START, scope=MAIN_THREAD, entity=PROCESS, span=MAIN_SPAN)
        out.emit(self.now, K.LIFE_RUN_START, scope=MAIN_THREAD, entity=PROCESS, span=MAIN_SPAN, cause=start)
        self.locks = [Lock(self._entity(E.LOCK, f"Bank.lock_{i}", "asyncio.locks.Lock")) for i in range(8)]
        self.queue = Queue(self._entity(E.QUEUE, "Bank.jobs", "asyncio.queues.Queue"))
        self.pool = self._entity(E.EXECUTOR, "pool", "concurrent.futures.thread.ThreadPoolExecutor")
        self.balance = self._entity(E.VARIABLE, "Account.balance", "attribute")
        self.threads: dict[int, int] = {}
        """When each thread of the pool is free again."""
        for i in range(2):
            number = self._entity(E.THREAD, f"pool_{i}", "thread")
            self._emit(K.LIFE_THREAD_START, number, scope=MAIN_THREAD)
            self.threads[number] = self.now
        for i in range(3):
            self._start_task(f"worker-{i}", "worker", self._worker(), scope=MAIN_THREAD)
        self._start_task("main", "main", self._main(), scope=MAIN_THREAD)

    def _entity(self, kind: E, name: str, type_name: str) -> int:
        return self.out.define("entities", kind, name, type_name, MAIN_THREAD, self.sites["main"], MAIN_SPAN, "")

    # -- the loop

    def run(self) -> None:
        """Simulate until as many events were written as asked for."""
        while self.out.seq < self.n_events - 1:
            if not self.ready:
                due, _, task, cause = heapq.heappop(self.timers)
                self.now = max(self.now, due)
                callback = self.out.emit(
                    self.now, K.LIFE_STEP, scope=MAIN_THREAD, op=Op.TIMER, cause=cause, arg=1500, wait_ns=self.now - due
                )
                self.ready.append((task, callback, self.now))
                self.now += 2000
            else:
                self._run_step(*self.ready.popleft())
            self.out.flush(at_least=CHUNK_EVENTS)
        self.out.emit(self.now, K.LIFE_PROCESS_END, scope=MAIN_THREAD, entity=PROCESS, span=MAIN_SPAN)
        self.out.close()

    def _run_step(self, task: Task, cause: int, woken_ns: int) -> None:
        began = self.now
        self.task = task
        self.step = self.out.emit(began, K.LIFE_STEP, scope=task.number, cause=cause, wait_ns=began - woken_ns)
        self.now += self.random.randrange(2_000, 30_000)
        task.awaited = 0
        try:
            wait = next(task.code)
        except StopIteration:
            self._emit(K.LIFE_TASK_END, task.number, outcome=Outcome.OK)
        else:
            wait(task)
        if self.random.random() < 0.0005:
            self.now += 3 * LONG_STEP_NS
        duration = self.now - began
        if duration < LONG_STEP_NS:
            self.out.set_duration(self.step, duration, task.awaited)
        else:
            self._emit(K.LIFE_STEP_END, task.awaited, cause=self.step, arg=duration)
        self.now += 1_500

    def _emit(self, kind: int, entity: int = 0, *, scope: int = 0, **more: Any) -> int:
        self.now += 400
        if not scope:
            scope = self.task.number
            more.setdefault("span", self.task.span)
        return self.out.emit(self.now, kind, scope=scope, entity=entity, **more)

    def _wake(self, task: Task, cause: int) -> None:
        self.ready.append((task, cause, self.now))

    def _start_task(self, name: str, function: str, code: Any, *, scope: int = 0, span: int = MAIN_SPAN) -> None:
        creator, site = scope or self.task.number, self.sites[function]
        number = self.out.define("entities", E.TASK, name, function, creator, site, span, "")
        self._wake(Task(number, code, span), self._emit(K.LIFE_TASK_START, number, scope=creator, span=span, site=site))

    # -- what a task can wait for

    def _sleep(self, duration_ns: int) -> Callable[[Task], None]:
        def wait(task: Task) -> None:
            heapq.heappush(self.timers, (self.now + duration_ns, self.out.seq, task, self.out.seq))

        return wait

    def _park(self, waiters: deque[tuple[Task, int]]) -> Callable[[Task], None]:
        return lambda task: waiters.append((task, self.now))

    def _acquire(self, lock: Lock) -> Generator[Any, None, None]:
        if lock.is_held:
            began = self._emit(K.SYNC_ACQUIRE, lock.number, op=Op.ACQUIRE) and self.now
            yield self._park(lock.waiters)
            self._emit(K.SYNC_ACQUIRED, lock.number, op=Op.ACQUIRE, wait_ns=self.now - began)
        else:
            lock.is_held = True
            self._emit(K.SYNC_ACQUIRED, lock.number, op=Op.ACQUIRE)

    def _release(self, lock: Lock) -> None:
        seq = self._emit(K.SYNC_RELEASE, lock.number)
        if lock.waiters:
            self._wake(lock.waiters.popleft()[0], seq)
        else:
            lock.is_held = False

    def _put(self, item: int) -> None:
        self.queue.items.append(item)
        seq = self._emit(K.SYNC_PUT, self.queue.number, op=Op.PUT, arg=len(self.queue.items))
        if self.queue.getters:
            self._wake(self.queue.getters.popleft()[0], seq)

    def _get(self) -> Generator[Any, None, None]:
        waited = 0
        if not self.queue.items:
            self._emit(K.SYNC_WAIT, self.queue.number, op=Op.GET)
            began = self.now
            yield self._park(self.queue.getters)
            waited = self.now - began
        if self.queue.items:
            self.queue.items.popleft()
        self._emit(K.SYNC_GET, self.queue.number, op=Op.GET, wait_ns=waited, arg=len(self.queue.items))

    def _in_thread(self) -> Generator[Any, None, None]:
        """Hand a job to the pool and wait for it."""
        future = self.out.define("entities", E.FUTURE, "", "asyncio.Future", self.task.number, 0, self.task.span, "")
        cause = self._emit(K.SYNC_WAIT, future, op=Op.SUBMIT, site=self.sites["hash_password"])
        began = self.now
        thread = min(self.threads, key=self.threads.__getitem__)
        start = max(began + 20_000, self.threads[thread])
        duration = self.random.randrange(200_000, 900_000)
        end = self.threads[thread] = start + duration
        job = self.out.emit(
            start, K.LIFE_STEP, scope=thread, op=Op.RUN, cause=cause, wait_ns=start - began, arg=duration,
            entity=future, site=self.sites["hash_password"],
        )  # fmt: skip

        def wait(task: Task) -> None:
            heapq.heappush(self.timers, (end, self.out.seq, task, job))

        yield wait
        self._emit(K.SYNC_AWAIT, future, op=Op.SUBMIT, outcome=Outcome.OK, wait_ns=self.now - began, cause=job)

    # -- what the tasks do

    def _span(
        self, name: str, *, role: SpanRole = SpanRole.STEP, effect: Op = Op.NONE, site: int = 0
    ) -> tuple[int, int]:
        parent = self.task.span
        trace, parent_id = (self.random.getrandbits(128), 0) if role else self.ids[parent]
        span_id = self.random.getrandbits(64)
        kind = SpanKind.SERVER if role else (SpanKind.CLIENT if effect else SpanKind.INTERNAL)
        halves = trace >> 64, trace & (1 << 64) - 1
        number = self.out.define("spans", *halves, span_id, parent_id, parent, kind, role, effect, name)
        self.ids[number] = (trace, span_id)
        self.task.span = number
        start = K.EFFECT_CALL if effect else (K.LIFE_RUN_START if role else K.LIFE_SPAN_START)
        self._emit(start, op=effect, site=site)
        return number, parent

    def _end_span(self, kind: int, span: tuple[int, int], *, op: int = 0, outcome: int = Outcome.OK) -> None:
        self._emit(kind, op=op, outcome=outcome, span=span[0])
        del self.ids[span[0]]
        self.task.span = span[1]

    def _main(self) -> Generator[Any, None, None]:
        while True:
            if self.live < MAX_REQUESTS:
                self.requests += 1
                self.live += 1
                self._start_task(f"request-{self.requests}", "handle", self._handle())
            yield self._sleep(self.random.randrange(20_000, 400_000))

    def _worker(self) -> Generator[Any, None, None]:
        while True:
            yield from self._get()
            self._emit(K.STATE_READ, self.balance, op=Op.ATTRIBUTE, site=self.sites["worker"], attrs={"value": "700"})
            yield self._sleep(self.random.randrange(50_000, 300_000))
            self._emit(K.STATE_WRITE, self.balance, op=Op.ATTRIBUTE, site=self.sites["worker"])

    def _handle(self) -> Generator[Any, None, None]:
        run = self._span("POST /transfer", role=SpanRole.RUN, site=self.sites["handle"])
        for _ in range(self.random.randrange(1, 4)):
            load = self._span("load", site=self.sites["load"])
            effect = self._span("select account", effect=Op.DB, site=self.sites["query"])
            yield self._sleep(self.random.randrange(300_000, 3_000_000))
            self._end_span(K.EFFECT_RESULT, effect, op=Op.DB)
            self._end_span(K.LIFE_SPAN_END, load)
        lock = self.random.choice(self.locks)
        yield from self._acquire(lock)
        yield self._sleep(self.random.randrange(20_000, 200_000))
        self._put(self.requests)
        self._release(lock)
        if self.random.random() < 0.1:
            yield from self._in_thread()
        outcome = Outcome.OK
        if self.random.random() < 0.02:
            outcome = Outcome.FAILED
            site = self.sites["transfer"]
            attrs = {"type": "ValueError", "message": "account is closed", "stack": [site, self.sites["handle"]]}
            self._emit(K.ERROR_RAISED, site=site, attrs=attrs)
            self._emit(K.LOG_RECORD, arg=40, site=site, attrs={"logger": "bank", "message": "transfer failed"})
        self._end_span(K.LIFE_RUN_END, run, outcome=outcome)
        self.live -= 1


def write_recording(folder: Path, events: int, *, seed: int = 1, processes: int = 1) -> Path:
    """Write a recording of about *events* events; return *folder*.

    Args:
        folder: A folder that does not exist yet.
        events: How many events in all, to within a few dozen a process.
        seed: Equal seeds give equal bytes.
        processes: How many processes they are spread over.
    """
    folder.mkdir(parents=True)
    for index in range(processes):
        Server(folder, seed, index, events // processes).run()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a synthetic recording.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("events", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    print(write_recording(args.folder, args.events, seed=args.seed, processes=args.processes))


if __name__ == "__main__":
    main()
