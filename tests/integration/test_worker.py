"""The worker: what it does and when, how several share the work, and that it outlives its database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.chunks import event_chunk, json_body
from tests.support.compacting import send

from clew.format.chunk import ChunkType
from clew.server import worker as worker_module
from clew.server.worker import Worker
from clew.store import leases, schema
from clew.store.errors import StoreUnavailableError
from clew.store.ingest import check_chunks
from clew.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store in a folder."""
    with Store.open(str(tmp_path / "store")) as store:
        yield store


class Index:
    """Says which processes were indexed, and marks them so; may be told to fail."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.errors: list[BaseException] = []
        self.happened = threading.Condition()

    def __call__(self, store: Store, process_id: str) -> None:
        with self.happened:
            self.seen.append(process_id)
            self.happened.notify_all()
            if self.errors:
                raise self.errors.pop()
        table = schema.processes
        with store.write() as connection:
            done = sa.update(table).where(table.c.process_id == process_id)
            connection.execute(done.values(indexed_revision=table.c.revision))

    def wait(self, condition: Callable[[list[str]], bool]) -> None:
        """Wait until what was indexed fulfils *condition*."""
        with self.happened:
            assert self.happened.wait_for(lambda: condition(self.seen), 20), self.seen


@pytest.fixture
def index() -> Index:
    """An index to look at."""
    return Index()


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., threading.Event]]:
    """Start workers in threads; they end with the test."""
    monkeypatch.setattr(worker_module, "LOOK_S", 0.01)
    monkeypatch.setattr(worker_module, "LEAST_PAUSE_S", 0.05)
    monkeypatch.setattr(worker_module, "COMPACT_S", 0.05)
    monkeypatch.setattr(worker_module, "SETTLE_NS", 0)
    monkeypatch.setattr(worker_module, "RENEW_S", 0.05)
    started: list[tuple[threading.Thread, threading.Event]] = []

    def start(store: Store, index: Index) -> threading.Event:
        stop = threading.Event()
        thread = threading.Thread(target=Worker(store, index).run, args=(stop,))
        thread.start()
        started.append((thread, stop))
        return stop

    yield start
    for _, stop in started:
        stop.set()
    for thread, _ in started:
        thread.join(20)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds: what it asks is the database, which tells nobody."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def segments(store: Store) -> int:
    """How many segments there are."""
    with store.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.segments)).scalar_one()


def end_of(process: int) -> list:
    """The END chunk of a process."""
    return check_chunks(json_body(ChunkType.END, {"reason": "exit"}, process=process))


def test_what_changed_is_indexed_and_what_ended_becomes_a_segment(store, index, running):
    """Each change of a process is indexed; once it has ended its chunks are compacted."""
    running(store, index)
    send(store, [event_chunk([1, 2], process=1)])
    index.wait(lambda seen: len(seen) == 1)

    send(store, [event_chunk([3], process=1), *end_of(1)])

    index.wait(lambda seen: seen == ["0000000000000001"] * 2)
    wait_for(lambda: segments(store) == 1)


def test_a_process_is_left_alone_for_ten_times_what_it_took(store, index, monkeypatch):
    """Indexing a process that changes all the time takes a tenth of the time at most."""
    clock = [100.0]
    monkeypatch.setattr(worker_module.time, "monotonic", lambda: clock[0])

    def slow(store: Store, process_id: str) -> None:
        clock[0] += 2.0
        index(store, process_id)

    worker, stop = Worker(store, slow), threading.Event()
    send(store, [event_chunk([1])])
    worker.work(stop)
    send(store, [event_chunk([2])])
    for _ in range(3):
        worker.work(stop)
    assert len(index.seen) == 1

    clock[0] += 20.1
    worker.work(stop)

    assert len(index.seen) == 2


def test_a_process_that_cannot_be_indexed_stops_no_other(store, index, running, monkeypatch):
    """It is logged, left for a while, and tried again."""
    monkeypatch.setattr(worker_module, "LONGEST_BACK_OFF_S", 0.05)
    index.errors = [ValueError("this one is odd")]
    send(store, [event_chunk([1], process=1), event_chunk([1], process=2)])

    running(store, index)

    index.wait(lambda seen: len(set(seen)) == 2 and len(seen) == 3)


def test_workers_share_the_processes(store, running):
    """Of two that are there each indexes its own, and one that leaves hands over its share."""
    first, second = Index(), Index()
    stop = running(store, first)
    running(store, second)
    wait_for(lambda: len(leases.names(store, worker_module.LEASE)) == 2)
    # Until both know of each other one may do the other's.
    for seq in range(1, 200):
        first.seen.clear()
        second.seen.clear()
        send(store, [event_chunk([seq], process=process) for process in range(1, 9)])
        wait_for(lambda: not late(store))
        if first.seen and second.seen and not set(first.seen) & set(second.seen):
            break
    assert set(first.seen) | set(second.seen) == {f"{process:016x}" for process in range(1, 9)}
    assert {int(name, 16) % 2 for name in first.seen} != {int(name, 16) % 2 for name in second.seen}

    stop.set()
    wait_for(lambda: len(leases.names(store, worker_module.LEASE)) == 1)
    second.seen.clear()
    send(store, [event_chunk([500], process=process) for process in range(1, 9)])

    second.wait(lambda seen: len(set(seen)) == 8)


def late(store: Store) -> bool:
    """Whether anything waits to be indexed."""
    table = schema.processes.c
    with store.engine.connect() as connection:
        waiting = sa.select(sa.func.count()).where(table.revision > table.indexed_revision)
        return connection.execute(waiting).scalar_one() > 0


def test_a_database_that_goes_away_and_comes_back(store, index, running, monkeypatch):
    """The worker says that it waits, and goes on where it was."""
    away = threading.Event()
    failed = threading.Event()
    revision = type(store).revision

    def asked(self: Store) -> int:
        if away.is_set():
            failed.set()
            raise StoreUnavailableError("the database", "connection refused")
        return revision.fget(self)

    monkeypatch.setattr(type(store), "revision", property(asked))
    monkeypatch.setattr(worker_module, "LONGEST_BACK_OFF_S", 0.1)
    running(store, index)
    send(store, [event_chunk([1])])
    index.wait(lambda seen: len(seen) == 1)

    away.set()
    assert failed.wait(20)
    send(store, [event_chunk([2])])
    away.clear()

    index.wait(lambda seen: len(seen) == 2)


def test_the_command_works_until_it_is_told_to_end(store, tmp_path):
    """It indexes with the real indexer, logs JSON lines, ends at once on SIGTERM, and leaves no lease."""
    send(store, [event_chunk([1])])
    command = [sys.executable, "-m", "clew", "worker", "--store", str(tmp_path / "store")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        wait_for(lambda: not late(store))
        wait_for(lambda: leases.names(store, worker_module.LEASE) != [])
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["message"] for line in lines] == ["the worker begins", "the worker ends"]
    assert leases.names(store, worker_module.LEASE) == []
