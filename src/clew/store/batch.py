"""What one transaction stores: worked out in memory for many requests, then written in bulk.

A request changes nothing until all of it is worked out, so one that fails takes nothing of
the others with it. The number of statements depends on how many processes the requests
speak of, not on how many events or chunks they have.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from clew.format.chunk import ChunkType
from clew.model.errors import FormatError
from clew.store import coverage, ingest, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from clew.store.coverage import Interval
    from clew.store.ingest import CheckedChunk

NextSeq: TypeAlias = Callable[[str], int]
"""Gives the first sequence number after all that is stored of a process."""
RETENTION_CLASSES = ("dev", "ci", "incident")
_END_OF_TIME = (1 << 63) - 1
_NEAR = 10_000
"""Ranges with fewer numbers between them are looked up together."""
_MAX_WINDOWS = 16
_AT_ONCE = 64
"""Processes asked for in one statement; SQLite takes 999 parameters."""


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What is to be stored as a whole or not at all.

    Attributes:
        chunks: As ``ingest.check_chunks`` gives them.
        build: For senders without sequence numbers: called within the transaction, with a
            function from a process id to the next free number; returns more chunks. It must
            not use the store.
        key: Key of a receipt: a second request with it is answered as the first was.
        answer: That answer.
        source: Who sent it: ``clew``, ``json``, ``otlp``.
        size: Bytes it holds in memory beside the chunks.
    """

    chunks: Sequence[CheckedChunk] = ()
    build: Callable[[NextSeq], Sequence[CheckedChunk]] | None = None
    key: str | None = None
    answer: str = ""
    source: str = "clew"
    size: int = 0


class Receipt(NamedTuple):
    """What became of a request, once it is durable.

    Attributes:
        accepted: Events that are stored now and were not before.
        duplicates: Events that were stored before, or whose process is deleted.
        chunks: How many chunks it had.
        revision: Of the processes it changed; the latest of the store if it changed none.
        repeated_answer: The answer to the first request with the same key, if this is another.
    """

    accepted: int
    duplicates: int
    chunks: int
    revision: int
    repeated_answer: str | None = None


@dataclass(slots=True)
class _Process:
    """What is known of a process within the transaction.

    ``before`` are the rows of its coverage, as they stand in the database, that reach into or
    touch ``loaded``; ``covered`` is what they are to become.
    """

    id: str
    is_new: bool = True
    is_deleted: bool = False
    source: str = "clew"
    head: str = "{}"
    end: str | None = None
    has_new_json: bool = False
    retention: str | None = None
    loaded: list[Interval] = field(default_factory=list[tuple[int, int]])
    before: list[Interval] = field(default_factory=list[tuple[int, int]])
    covered: list[Interval] = field(default_factory=list[tuple[int, int]])
    events: int = 0
    is_touched: bool = False

    def merge(self, chunk: CheckedChunk) -> None:
        """Take the JSON of a PROCESS or END chunk."""
        assert chunk.json is not None
        is_head = chunk.header.type == ChunkType.PROCESS
        text = self.head if is_head else self.end
        before: dict[str, Any] = json.loads(text or "{}")
        merged = _compact(before | chunk.json)
        if merged == text:
            return
        if len(merged) > ingest.MAX_JSON:
            raise FormatError(
                "damaged-chunk",
                f"what the chunks of process {self.id} say of it grows beyond {ingest.MAX_JSON:,} bytes",
                "expected a head and an end that fit",
                "send less of it",
                offset=chunk.header.offset,
            )
        if is_head:
            wish = chunk.json.get("retention")
            if wish in RETENTION_CLASSES and wish != before.get("retention"):
                self.retention = wish
            self.head = merged
        else:
            self.end = merged
        self.has_new_json = self.is_touched = True


class Batch:
    """The requests of one transaction.

    Args:
        connection: In a transaction that holds the store's write lock.
        requests: Those that will be added: what they need is read in bulk.
        now_ns: Wall time.
    """

    def __init__(self, connection: Connection, requests: Sequence[IngestRequest], now_ns: int) -> None:
        self._connection = connection
        self.now_ns = now_ns
        self._processes: dict[str, _Process] = {}
        self._rows: list[dict[str, Any]] = []
        self._receipts: dict[str, str] = {}
        self._new_receipts: dict[str, str] = {}
        chunks = [chunk for request in requests for chunk in request.chunks]
        self._load(_windows(chunks))
        self._known_definitions = self._stored_definitions(chunks)
        keys = sorted({request.key for request in requests if request.key})
        for some in _pieces(keys):
            found = connection.execute(select(schema.receipts).where(schema.receipts.c.key.in_(some)))
            self._receipts.update({row.key: row.answer for row in found})
        self._revision = current_revision(connection)

    def add(self, request: IngestRequest) -> Receipt:
        """Work out what *request* changes.

        Raises:
            Exception: Whatever ``request.build`` raises; nothing of the request is kept.
        """
        if request.key is not None:
            answer = self._receipts.get(request.key)
            if answer is not None:
                return Receipt(0, 0, 0, self._revision, answer)
        chunks = list(request.chunks)
        if request.build is not None:
            built = request.build(self.next_seq)
            self._load(_windows(built))
            self._known_definitions |= self._stored_definitions(built)
            chunks += built
        part = _Part(self, request.source)
        for chunk in chunks:
            part.add(chunk)
        self._processes.update(part.processes)
        self._rows += part.rows
        self._known_definitions |= part.definitions
        if request.key is not None:
            self._receipts[request.key] = self._new_receipts[request.key] = request.answer
        is_change = any(process.is_touched for process in part.processes.values())
        return Receipt(part.accepted, part.duplicates, len(chunks), self._revision + is_change)

    def next_seq(self, process: str) -> int:
        """Return the first sequence number after all that is stored of *process*."""
        end = select(func.max(schema.coverage.c.end_seq)).where(schema.coverage.c.process_id == process)
        self._load({process: [(self._connection.execute(end).scalar() or 0, _END_OF_TIME)]})
        return max((end for _, end in self._processes[process].covered), default=1)

    def process(self, process_id: str) -> _Process:
        """Return a copy of what is known of a process."""
        return copy.copy(self._processes[process_id])

    def is_known_definition(self, key: tuple[str, int]) -> bool:
        """Tell whether a chunk without events is stored already."""
        return key in self._known_definitions

    def _load(self, windows: dict[str, list[Interval]]) -> None:
        """Read what is stored of processes, with the coverage in the windows of each."""
        new = sorted(windows.keys() - self._processes.keys())
        for some in _pieces(new):
            columns = schema.processes.c
            found = self._connection.execute(
                select(columns.process_id, columns.head, columns.end, columns.deleted_ns).where(
                    columns.process_id.in_(some)
                )
            )
            for row in found:
                self._processes[row.process_id] = _Process(
                    row.process_id,
                    is_new=False,
                    is_deleted=row.deleted_ns is not None,
                    head=row.head,
                    end=row.end,
                )
            for process_id in some:
                self._processes.setdefault(process_id, _Process(process_id))
        wanted: list[tuple[_Process, Interval]] = []
        for process_id, some in sorted(windows.items()):
            process = self._processes[process_id]
            wider = coverage.missing(process.loaded, some)
            process.loaded = coverage.normalized([*process.loaded, *wider])
            if not process.is_new:
                wanted += [(process, window) for window in wider]
        for some in _pieces(wanted):
            self._load_coverage(some)

    def _load_coverage(self, windows: Sequence[tuple[_Process, Interval]]) -> None:
        table = schema.coverage
        inner = table.alias()
        wanted = [
            and_(
                table.c.process_id == process.id,
                table.c.first_seq <= high,
                # The interval that begins at or before `low` may reach into the window; none before it does.
                table.c.first_seq
                >= func.coalesce(
                    select(func.max(inner.c.first_seq))
                    .where(inner.c.process_id == process.id, inner.c.first_seq <= low)
                    .scalar_subquery(),
                    0,
                ),
            )
            for process, (low, high) in windows
        ]
        processes = {process.id: process for process, _ in windows}
        rows: dict[str, set[Interval]] = {process_id: set() for process_id in processes}
        for process_id, first, end in self._connection.execute(select(table).where(or_(*wanted))):
            rows[process_id].add((first, end))
        for process_id, process in processes.items():
            new = rows[process_id].difference(process.before)
            process.before = sorted([*process.before, *new])
            process.covered = coverage.normalized([*process.covered, *new])

    def _stored_definitions(self, chunks: Iterable[CheckedChunk]) -> set[tuple[str, int]]:
        """Return which of the chunks without events are stored."""
        wanted = sorted({_definition_key(chunk) for chunk in chunks if _is_definitions(chunk)})
        table, found = schema.chunks, set[tuple[str, int]]()
        for some in _pieces(wanted):
            rows = self._connection.execute(
                select(table.c.process_id, table.c.crc).where(
                    table.c.first_seq == 0,
                    table.c.type == int(ChunkType.EVENTS),
                    table.c.process_id.in_(sorted({process for process, _ in some})),
                    table.c.crc.in_(sorted({crc for _, crc in some})),
                )
            )
            found.update((row.process_id, row.crc) for row in rows)
        return found

    def write(self) -> None:
        """Write everything; the caller commits."""
        touched = [process for _, process in sorted(self._processes.items()) if process.is_touched]
        run = self._connection.execute
        if touched:
            self._revision = take_revision(self._connection)
            self._write_processes(touched)
            self._write_coverage(touched)
        if self._rows:
            run(schema.chunks.insert(), self._rows)
        if self._new_receipts:
            rows = [
                {"key": key, "answer": answer, "received_ns": self.now_ns}
                for key, answer in sorted(self._new_receipts.items())
            ]
            run(schema.receipts.insert(), rows)

    def _write_processes(self, touched: Sequence[_Process]) -> None:
        table = schema.processes
        new = [process for process in touched if process.is_new]
        if new:
            rows = [{"process_id": process.id, "source": process.source, "received_ns": self.now_ns} for process in new]
            self._connection.execute(table.insert(), rows)
        same = {"revision": self._revision, "received_ns": self.now_ns}
        counted = update(table).where(table.c.process_id == bindparam("of")).values(**same)
        counted = counted.values(events=table.c.events + bindparam("more"))
        self._connection.execute(counted, [{"of": process.id, "more": process.events} for process in touched])
        said = [process for process in touched if process.has_new_json]
        if said:
            names = ("head", "end", "service", "environment", "wall_ns")
            values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
            statement = update(table).where(table.c.process_id == bindparam("of")).values(**values)
            self._connection.execute(statement, [_json_columns(process) for process in said])
        for process in said:
            if process.retention is not None:
                self._connection.execute(
                    update(table).where(table.c.process_id == process.id).values(retention=process.retention)
                )

    def _write_coverage(self, touched: Sequence[_Process]) -> None:
        table = schema.coverage
        gone: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for process in touched:
            removed, written = coverage.difference(process.before, process.covered)
            gone += [{"of": process.id, "first": first} for first, _ in removed]
            rows += [{"process_id": process.id, "first_seq": first, "end_seq": end} for first, end in written]
        if gone:
            condition = (table.c.process_id == bindparam("of"), table.c.first_seq == bindparam("first"))
            self._connection.execute(delete(table).where(*condition), gone)
        if rows:
            dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
            insert = dialect.insert(table)
            statement = insert.on_conflict_do_update(
                index_elements=["process_id", "first_seq"], set_={"end_seq": insert.excluded.end_seq}
            )
            self._connection.execute(statement, rows)


class _Part:
    """What one request adds; put into the batch when all of it is worked out."""

    def __init__(self, batch: Batch, source: str) -> None:
        self._batch = batch
        self._source = source
        self.processes: dict[str, _Process] = {}
        self.rows: list[dict[str, Any]] = []
        self.definitions: set[tuple[str, int]] = set()
        self.accepted = 0
        self.duplicates = 0

    def add(self, chunk: CheckedChunk) -> None:
        process = self.processes.get(chunk.process)
        if process is None:
            process = self.processes[chunk.process] = self._batch.process(chunk.process)
            if process.is_new and not process.is_touched:
                process.source = self._source
        if process.is_deleted:
            self.duplicates += chunk.header.events
        elif chunk.json is not None:
            process.merge(chunk)
        elif _is_definitions(chunk):
            key = _definition_key(chunk)
            if key not in self.definitions and not self._batch.is_known_definition(key):
                self.definitions.add(key)
                self._store(process, chunk)
        elif chunk.header.type == ChunkType.EVENTS:
            self._add_events(process, chunk)

    def _add_events(self, process: _Process, chunk: CheckedChunk) -> None:
        new = coverage.missing(process.covered, chunk.ranges)
        count = coverage.size(new)
        self.accepted += count
        self.duplicates += chunk.header.events - count
        if not count:
            return
        process.covered = coverage.normalized([*process.covered, *new])
        process.events += count
        self._store(process, chunk if count == chunk.header.events else ingest.only(chunk, new))

    def _store(self, process: _Process, chunk: CheckedChunk) -> None:
        process.is_touched = True
        header = chunk.header
        self.rows.append(
            {
                "process_id": process.id,
                "type": header.type,
                "first_seq": chunk.ranges[0][0] if chunk.ranges else 0,
                "events": header.events,
                "crc": header.payload_crc,
                "received_ns": self._batch.now_ns,
                "body": chunk.body,
            }
        )


def current_revision(connection: Connection) -> int:
    """Return the last revision that was given out."""
    counters = schema.counters
    return connection.execute(select(counters.c.value).where(counters.c.name == "revision")).scalar_one()


def take_revision(connection: Connection) -> int:
    """Give out the next revision, in a transaction that holds the store's write lock."""
    counters = schema.counters
    statement = update(counters).where(counters.c.name == "revision").values(value=counters.c.value + 1)
    return connection.execute(statement.returning(counters.c.value)).scalar_one()


def _windows(chunks: Iterable[CheckedChunk]) -> dict[str, list[Interval]]:
    """Return where the numbers of chunks lie, by process, as few intervals."""
    ranges: dict[str, list[Interval]] = {}
    for chunk in chunks:
        ranges.setdefault(chunk.process, []).extend(chunk.ranges)
    windows: dict[str, list[Interval]] = {}
    for process_id, some in ranges.items():
        found: list[Interval] = []
        for first, end in sorted(some):
            if found and first - found[-1][1] < _NEAR:
                found[-1] = (found[-1][0], max(end, found[-1][1]))
            else:
                found.append((first, end))
        windows[process_id] = found if len(found) <= _MAX_WINDOWS else [(found[0][0], found[-1][1])]
    return windows


def _is_definitions(chunk: CheckedChunk) -> bool:
    return chunk.header.type == ChunkType.EVENTS and not chunk.header.events


def _definition_key(chunk: CheckedChunk) -> tuple[str, int]:
    return chunk.process, chunk.header.payload_crc


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _json_columns(process: _Process) -> dict[str, Any]:
    head = json.loads(process.head)
    wall_ns = head.get("wall_ns")
    return {
        "of": process.id,
        "new_head": process.head,
        "new_end": process.end,
        "new_service": storable(head.get("service")),
        "new_environment": storable(head.get("environment")),
        "new_wall_ns": wall_ns if isinstance(wall_ns, int) and 0 <= wall_ns <= _END_OF_TIME else 0,
    }


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def storable(value: object) -> str:
    """Return text that both databases take: PostgreSQL has no zero bytes, neither has half a surrogate pair."""
    text = value if isinstance(value, str) else ""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
