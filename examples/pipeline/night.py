"""One night of the pipeline, from the files to the result."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import queue
import signal
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from pipeline import stages
from pipeline.files import BATCH, FILES, LINES, Record, make_files
from pipeline.workers import score

READERS = 2
PARSERS = 3
WORKERS = 2
PLENTY = 1_000_000

BATCHES = FILES * LINES // BATCH


class Night:
    """Queues, counters and threads of one run.

    Args:
        folder: Where everything is kept.
        room: How many rows the disk has room for.
    """

    def __init__(self, folder: Path, room: int) -> None:
        self.folder = folder
        self.room = room
        self.archive = folder / "archive"
        self.archive.mkdir()
        self.batches: stages.Batches = queue.Queue(maxsize=64)
        self.scores: stages.Scores = queue.Queue()
        self.rows: stages.Rows = queue.Queue(maxsize=2)
        self.stats = stages.Stats()
        self.totals = stages.Totals()
        self.stop = threading.Event()

    def run(self, paths: list[Path]) -> None:
        """Send the files through all stages; return when everything is written."""
        # Not by fork: a copy of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(WORKERS, mp_context=context) as workers:
            for _ in workers.map(score, [list[Record]() for _ in range(WORKERS)]):
                pass  # now they are up
            # These two run for as long as the process.
            _thread("monitor", stages.monitor, self.totals, self.stats, self.stop, daemon=True)
            _thread("writer", stages.write, self.rows, self.folder / "sums.txt", self.room, daemon=True)
            parser = stages.Parser(workers, self.archive, self.stats)
            aggregator = _thread("aggregator", stages.aggregate, self.scores, self.totals, self.stats, self.rows)
            parsers = [_thread(f"parser-{i}", parser.run, self.batches, self.scores) for i in range(PARSERS)]
            readers = [_thread(f"reader-{i}", stages.read, paths[i::READERS], self.batches) for i in range(READERS)]
            for reader in readers:
                reader.join()
            for _ in parsers:
                self.batches.put(None)
            for thread in parsers:
                thread.join()
            self.scores.put(None)
            aggregator.join()
            self.rows.join()  # expect: orphan-wait/join
        self.stop.set()

    def report(self) -> str:
        """Say what came out, beside what should have."""
        archived = len(list(self.archive.iterdir()))
        return (
            f"{stages.summary(self.totals, self.stats)}\n"
            f"lines counted: {self.stats.lines} of {FILES * LINES}, spoilt: {self.stats.spoilt}\n"
            f"batches archived: {archived} of {BATCHES}"
        )


def _thread(name: str, body: Any, *args: Any, daemon: bool = False) -> threading.Thread:
    thread = threading.Thread(name=name, target=body, args=args, daemon=daemon)
    thread.start()
    return thread


def _give_up(*_: object) -> NoReturn:
    raise TimeoutError


def main(argv: list[str] | None = None) -> int:
    """Run the pipeline once."""
    parser = argparse.ArgumentParser(prog="pipeline", description="Go through a night's payment files.")
    parser.add_argument(
        "--scenario", choices=["all", "stuck"], default="all", help="stuck: the disk is full at the end"
    )
    parser.add_argument("--seconds", type=float, default=60, help="after which to give up (60)")
    parser.add_argument("--seed", type=int, default=7, help="of the files (7)")
    options = parser.parse_args(argv)
    logging.basicConfig(format="%(threadName)s: %(message)s")
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, options.seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        night = Night(folder, room=BATCHES - 2 if options.scenario == "stuck" else PLENTY)
        try:
            night.run(make_files(folder, options.seed))
        except TimeoutError:
            print(f"not ready after {options.seconds:g} s, gave up", file=sys.stderr)
            return 1
        print(night.report())
    return 0
