"""The stages of the pipeline, each the body of a thread, and what they share."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.files import BATCH, parse
from pipeline.workers import archive, score

REGISTER_SECONDS = 0.005
WRITE_SECONDS = 0.02
MONITOR_SECONDS = 10.0

log = logging.getLogger(__name__)

Batches = queue.Queue[list[str] | None]
Scores = queue.Queue[Future[dict[str, int]] | None]
Rows = queue.Queue[dict[str, int]]


@dataclass
class Stats:
    """How far the night's work is."""

    lines: int = 0
    spoilt: int = 0
    batches: int = 0
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


@dataclass
class Totals:
    """How much each merchant got."""

    cents: dict[str, int] = field(default_factory=dict[str, int])
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


def read(paths: Iterable[Path], batches: Batches) -> None:
    """Read files, pass their lines on in batches."""
    for path in paths:
        with path.open() as file:
            while batch := list(itertools.islice(file, BATCH)):
                batches.put(batch)  # expect: no backpressure/put


class Parser:
    """Parses batches and hands the payments to the worker processes.

    Args:
        workers: Where payments are scored and archived.
        folder: Where the archive is.
        stats: What the parsers count together.
    """

    numbers = itertools.count(1)

    def __init__(self, workers: Executor, folder: Path, stats: Stats) -> None:
        self.workers = workers
        self.folder = folder
        self.stats = stats

    def run(self, batches: Batches, scores: Scores) -> None:
        """Parse until there are no more batches."""
        while (batch := batches.get()) is not None:
            self.stats.lines += self.handle(batch, scores)  # expect: data-race/lines

    def handle(self, batch: list[str], scores: Scores) -> int:
        """Parse one batch; return how many lines it has."""
        records, spoilt = parse(batch)
        time.sleep(REGISTER_SECONDS)  # the merchant register is asked whether it knows them all
        scores.put(self.workers.submit(score, records))  # expect: no unhandled-error/submit
        path = self.folder / f"{next(self.numbers)}.gz"
        self.workers.submit(archive, path, records)  # expect: unhandled-error/submit
        with self.stats.lock:
            self.stats.spoilt += spoilt  # expect: no data-race/spoilt
        return len(batch)


def aggregate(scores: Scores, totals: Totals, stats: Stats, rows: Rows) -> None:
    """Add up the scores, and have the sums written after every batch."""
    while (future := scores.get()) is not None:
        try:
            merchants = future.result()  # expect: no unhandled-error/result
        except ValueError as error:
            log.warning("a batch is left out: %s", error)
            with stats.lock:
                stats.failed += 1
            continue
        with totals.lock:  # expect: lock-order-inversion/totals
            for merchant, cents in merchants.items():
                totals.cents[merchant] = totals.cents.get(merchant, 0) + cents
            with stats.lock:  # expect: lock-order-inversion/then-stats
                stats.batches += 1
            row = dict(totals.cents)
        rows.put(row)  # expect: backpressure/put


def monitor(totals: Totals, stats: Stats, stop: threading.Event) -> None:
    """Log at the start, and every ten seconds, how far the work is."""
    while True:
        with stats.lock, totals.lock:  # expect: lock-order-inversion/stats-then-totals
            log.info("%d batches, %d merchants", stats.batches, len(totals.cents))
        if stop.wait(MONITOR_SECONDS):
            return


def summary(totals: Totals, stats: Stats) -> str:
    """Return the result of the night in one line."""
    with totals.lock, stats.lock:  # expect: no lock-order-inversion/totals-then-stats
        euros = sum(totals.cents.values()) / 100
        return f"{stats.batches} batches, {stats.failed} left out, {euros:,.2f} paid to {len(totals.cents)} merchants"


def write(rows: Rows, path: Path, room: int) -> None:
    """Write sums to disk, one after the other, for ever.

    Args:
        rows: What to write.
        path: The file.
        room: How many rows the disk has room for.
    """
    with path.open("a") as file:
        for number in itertools.count(1):
            row = rows.get()  # expect: backpressure/get
            if number > room:
                raise OSError(28, "No space left on device", str(path))  # expect: orphan-wait/died
            time.sleep(WRITE_SECONDS)
            file.write(f"{number} {sorted(row.items())}\n")
            rows.task_done()  # expect: no orphan-wait/task-done
