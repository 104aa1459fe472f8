"""Put recordings into a store as they stand, and what is added to them while their programs run."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from clew.format.reader import STREAM_SUFFIX, Stream
from clew.model.errors import ClewError, FormatError
from clew.model.garbage import uncollected
from clew.server.logs import log
from clew.store.ingest import CheckedChunk, check_chunks
from clew.store.writer import IngestRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clew.store.store import Store
    from clew.store.writer import Receipt

POLL_S = 0.25
PAUSE_SHARE = 3
BATCH_BYTES = 4 << 20
AT_ONCE = 4
"""Batches on their way to the disk."""


class Follower:
    """Reads recordings in a thread of its own.

    Args:
        store: Where to.
        recordings: Folders, or stream files.
        index: Called after something was stored.

    Attributes:
        is_read: Set once everything that stood there at the start is stored and indexed.
        damaged: Chunks that could not be read, and were left out.
    """

    def __init__(self, store: Store, recordings: Sequence[Path], index: Callable[[], object]) -> None:
        self.is_read = threading.Event()
        self.damaged = 0
        self._store = store
        self._recordings = recordings
        self._index = index
        self._positions: dict[Path, int] = {}
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clew-follower", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_ending.is_set():
            begin = time.monotonic()
            try:
                with uncollected():
                    if self.read_new():
                        self._index()
            except (ClewError, OSError, SQLAlchemyError) as error:
                # A full disk, a folder that is gone: what is there stays to be seen.
                log(logging.ERROR, "a recording cannot be followed", problem=str(error))
                self._positions.clear()  # what was not stored is read again, and what was counts once
            self.is_read.set()
            # A recording that grows is worked out anew each time: most of a core is for the page.
            self._is_ending.wait(max(POLL_S, PAUSE_SHARE * (time.monotonic() - begin)))

    def read_new(self) -> int:
        """Store what was added since the last time; return how many chunks that were."""
        waiting: set[Future[Receipt]] = set()
        count = 0
        for batch in self._batches():
            waiting.add(self._store.writer.submit(IngestRequest(batch)))
            count += len(batch)
            if len(waiting) >= AT_ONCE:
                _, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in waiting:
            future.result()
        return count

    def _batches(self) -> Iterator[list[CheckedChunk]]:
        """Yield the new chunks, a few megabytes at a time."""
        for path in self._files():
            position = self._positions.get(path, 0)
            if path.stat().st_size <= position:
                continue
            try:
                stream = Stream(path, tolerant=True)
            except FormatError:
                continue  # nothing whole stands in it yet, or ever
            batch: list[CheckedChunk] = []
            size = 0
            with path.open("rb") as file:
                for header in stream.headers:
                    if header.offset < position:
                        continue
                    file.seek(header.offset)
                    checked = self._check(file.read(header.end - header.offset))
                    batch += checked
                    size += header.end - header.offset
                    if size >= BATCH_BYTES:
                        yield batch
                        batch, size = [], 0
                    self._positions[path] = header.end
            if batch:
                yield batch

    def _check(self, chunk: bytes) -> list[CheckedChunk]:
        try:
            return check_chunks(chunk)
        except FormatError:
            self.damaged += 1
            return []

    def _files(self) -> list[Path]:
        files: list[Path] = []
        for path in self._recordings:
            files += sorted(path.glob("*" + STREAM_SUFFIX)) if path.is_dir() else [path]
        return files
