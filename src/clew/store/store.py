"""The store: a catalog (a database) and blobs (files), and what every part of clew asks of them."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import sqlite3
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from clew.format.chunk import HEADER_SIZE, ChunkHeader, parse_header
from clew.store import batch, schema
from clew.store.blobs import Blobs
from clew.store.catalog import BUSY_TIMEOUT_S, WRITING, CatalogUrl, open_engine, parse_url, unavailable
from clew.store.errors import StoreError
from clew.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from typing import Self

    from sqlalchemy import Connection, Engine

MAX_NAME = 200
"""Longer names are known by their hash: PostgreSQL's indexes hold 2,704 bytes."""
_CACHED_NAMES = 1_000_000
_PAGE = 64
_AT_ONCE = 500


_log = logging.getLogger(__name__)


class ProcessRow(NamedTuple):
    """A row of ``processes``; the columns are described in ``schema``."""

    process_id: str
    service: str
    environment: str
    source: str
    head: str
    end: str | None
    wall_ns: int
    received_ns: int
    events: int
    revision: int
    indexed_revision: int
    retention: str
    hold: int
    deleted_ns: int | None


class StoredChunk(NamedTuple):
    """A chunk of events that is not in a segment yet."""

    id: int
    header: ChunkHeader
    body: bytes
    """Header and all."""

    @property
    def payload(self) -> memoryview:
        """The payload, as it is stored."""
        return memoryview(self.body)[HEADER_SIZE:]


class Store:
    """An open store.

    Attributes:
        catalog: The address of the catalog.
        engine: For reading; who writes uses ``write``.
        blobs: Segments and artifacts.
        writer: Takes what is sent.

    Thread safety: any thread may use it. It must not cross a fork.
    """

    def __init__(self, catalog: CatalogUrl, engine: Engine, blobs: Blobs) -> None:
        self.catalog = catalog
        self.engine = engine
        self.blobs = blobs
        self.writer = Writer(self)
        self._turn = threading.Lock()
        # The folder is locked, not the file: to close any descriptor of that would end SQLite's own locks.
        self._folder = None if catalog.path is None else os.open(catalog.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        self._writing_thread = 0
        self._names: OrderedDict[tuple[str, str], dict[str, int]] = OrderedDict()
        self._names_lock = threading.Lock()

    @classmethod
    def open(cls, catalog_url: str, blobs_url: str | None = None) -> Self:
        """Open a store, making it or bringing it to the schema of this clew.

        Args:
            catalog_url: ``sqlite:///PATH``, ``postgresql://…``, or a path.
            blobs_url: ``file:///PATH``, a path, ``s3://BUCKET/PREFIX`` or ``memory://``; by default
                a folder beside the SQLite file.

        Raises:
            StoreError: An address has no meaning, or what is there is not this clew's.
            StoreUnavailableError: The database does not answer.
        """
        catalog = parse_url(catalog_url)
        if blobs_url is None:
            if catalog.path is None:
                raise StoreError(
                    "store-blobs",
                    f"the store {catalog.shown} has no place for blobs",
                    "expected a folder or s3://BUCKET/PREFIX beside a PostgreSQL database",
                    "name one",
                )
            blobs_url = str(catalog.path.with_suffix(".blobs"))
        blobs = Blobs.open(blobs_url)
        return cls(catalog, open_engine(catalog), blobs)

    def close(self) -> None:
        """Store what waits, and close the database."""
        self.writer.close()
        self.engine.dispose()
        with self._turn:
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def write(self) -> Generator[Connection]:
        """Open a transaction that may write; it commits at the end, or not at all on an exception.

        Transactions that write take turns, in this process and among all of them: what is read
        in one is still so when it writes.

        Raises:
            RuntimeError: The thread is in such a transaction already, and would wait for itself.
        """
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a transaction that writes is open in this thread")
        with (
            self._my_turn(),
            self.engine.connect().execution_options(**{WRITING: True}) as connection,
            connection.begin(),
        ):
            self._writing_thread = threading.get_ident()
            try:
                yield connection
            finally:
                self._writing_thread = 0

    @contextmanager
    def _my_turn(self) -> Generator[None]:
        """Wait until no other thread or process writes into this SQLite file.

        SQLite's own waiting sleeps up to 0.1 s between looks. Measured with two processes that
        write all the time: the longest wait was 1.6 s with it and is 0.2 s with a lock that wakes
        whoever waits, and twice as many groups are stored. PostgreSQL's lock needs no such help.
        """
        with self._turn:
            if self._folder is None:
                yield
                return
            fcntl.flock(self._folder, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._folder, fcntl.LOCK_UN)

    def shrink(self) -> None:
        """Give the disk back what removed rows took, where the database does not do so by itself.

        The file is written anew when more than half of it is free, so what that costs (16 ms a
        megabyte that is in use, during which nothing else is written) is paid back. SQLite's
        own way, page by page from the end, took 15 s for 100 MB of chunks that had gone into a
        segment.
        """
        if self.catalog.path is None:
            return
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            (free,), (pages,) = (
                cursor.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_count")
            )
            if free * 2 > pages:
                with self._my_turn():
                    cursor.execute("VACUUM")
            # It waits for readers, and writers wait for it: better a larger file than that.
            cursor.execute("PRAGMA busy_timeout=100")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError as error:
            # Locked by another process, or no room for the new file: the next time will do.
            _log.warning("the catalog could not be made smaller: %s", error)
        finally:
            connection.cursor().execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
            connection.close()

    def ping(self) -> None:
        """Ask the catalog for something.

        Raises:
            StoreUnavailableError: It does not answer.
        """
        try:
            _ = self.revision
        except DBAPIError as error:
            raise unavailable(self.catalog.shown, error) from error

    @property
    def revision(self) -> int:
        """The revision of the latest change."""
        with self.engine.connect() as connection:
            return batch.current_revision(connection)

    def changes(self, since: int) -> list[ProcessRow]:
        """List the processes that changed after revision *since*, in the order of their revisions.

        Deleted ones are among them.
        """
        columns = schema.processes.c
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(schema.processes).where(columns.revision > since).order_by(columns.revision, columns.process_id)
            )
            return [ProcessRow(*row) for row in rows]

    def processes(self, process_ids: Iterable[str]) -> list[ProcessRow]:
        """Return the rows of processes, sorted by id; those that do not exist are left out."""
        wanted = sorted(set(process_ids))
        found: list[ProcessRow] = []
        with self.engine.connect() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                rows = connection.execute(select(schema.processes).where(schema.processes.c.process_id.in_(some)))
                found += [ProcessRow(*row) for row in rows]
        return sorted(found)

    def process(self, process_id: str) -> ProcessRow | None:
        """Return the row of a process."""
        rows = self.processes([process_id])
        return rows[0] if rows else None

    def chunks_of(self, process_id: str, after_id: int = 0) -> Iterator[StoredChunk]:
        """Yield the chunks of a process that are not in a segment, in the order in which they came.

        PROCESS and END chunks are not among them: what they say is in ``head`` and ``end``.

        Args:
            process_id: 16 hexadecimal digits.
            after_id: Only chunks with a greater id.
        """
        table = schema.chunks
        while True:
            with self.engine.connect() as connection:
                rows = connection.execute(
                    select(table.c.id, table.c.body)
                    .where(table.c.process_id == process_id, table.c.id > after_id)
                    .order_by(table.c.id)
                    .limit(_PAGE)
                ).all()
            for id_, body in rows:
                data = bytes(body)
                yield StoredChunk(id_, parse_header(data, 0), data)
            if len(rows) < _PAGE:
                return
            after_id = rows[-1].id

    def numbers_of(self, process_id: str, kind: str, names: Iterable[str]) -> dict[str, int]:
        """Number names: each has the same number for ever, from 1 upward in each process and kind.

        The numbers are durable before they are returned; whether a definition with them was
        stored is another matter. Not to be called from ``IngestRequest.build``.

        Args:
            process_id: 16 hexadecimal digits.
            kind: What is numbered: ``entity``, ``site``, ``span``.
            names: Any texts.
        """
        wanted = dict.fromkeys(names)
        known = self._cached_names(process_id, kind)
        new = [name for name in wanted if name not in known]
        if new:
            found = self._number(process_id, kind, new)
            with self._names_lock:
                known.update(found)
        return {name: known[name] for name in wanted}

    def _cached_names(self, process_id: str, kind: str) -> dict[str, int]:
        with self._names_lock:
            known = self._names.setdefault((process_id, kind), {})
            self._names.move_to_end((process_id, kind))
            total = sum(map(len, self._names.values()))
            while total > _CACHED_NAMES and len(self._names) > 1:
                total -= len(self._names.popitem(last=False)[1])
            return known

    def _number(self, process_id: str, kind: str, names: Sequence[str]) -> dict[str, int]:
        table = schema.names
        stored = {name: _stored_name(name) for name in names}
        unique = list(dict.fromkeys(stored.values()))
        here = (table.c.process_id == process_id, table.c.kind == kind)
        numbers: dict[str, int] = {}
        with self.write() as connection:
            for start in range(0, len(unique), _AT_ONCE):
                some = unique[start : start + _AT_ONCE]
                rows = connection.execute(select(table.c.name, table.c.number).where(*here, table.c.name.in_(some)))
                numbers.update((row.name, row.number) for row in rows)
            last = connection.execute(select(func.max(table.c.number)).where(*here)).scalar() or 0
            new = [name for name in unique if name not in numbers]
            numbers.update((name, last + i) for i, name in enumerate(new, 1))
            if new:
                rows = [{"process_id": process_id, "kind": kind, "name": n, "number": numbers[n]} for n in new]
                connection.execute(table.insert(), rows)
        return {name: numbers[stored[name]] for name in names}


def _stored_name(name: str) -> str:
    text = batch.storable(name)
    return text if len(text) <= MAX_NAME else "#" + hashlib.sha256(text.encode()).hexdigest()
