"""Read a recording: the streams of a folder, their chunks, their columns.

A stream whose last bytes are missing is normal (its process was killed, or is still
writing): the reader gives what is there and says where it is cut. Damage anywhere else
is an error with its byte offset; ``clew repair`` writes what can be saved.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clew.format import schema
from clew.format.chunk import (
    HEADER_SIZE,
    MAGIC,
    ChunkHeader,
    ChunkType,
    decode_json,
    decode_payload,
    parse_header,
)
from clew.format.events import EventChunk, decode_event_chunk
from clew.format.stream_data import StreamData
from clew.model.errors import FormatError
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAM_SUFFIX = ".stream"
RECORDING_SUFFIX = ".clew"


class Stream:
    """The recording of one process, read from its file.

    Opening reads chunk headers only; payloads are read, checked and decoded when they
    are asked for.

    Args:
        path: The stream file.
        tolerant: Skip damaged chunks and note them in ``damage`` instead of raising.

    Raises:
        FormatError: The file is not a stream, or is damaged before its last chunk.
    """

    def __init__(self, path: Path, *, tolerant: bool = False) -> None:
        self.path = path
        self.tolerant = tolerant
        self.damage: list[FormatError] = []
        self.cut: FormatError | None = None
        self.headers: list[ChunkHeader] = []
        with path.open("rb") as file:
            self.size = file.seek(0, 2)
            self._scan(file)
        if not self.headers:
            raise self.cut or _empty(0)
        self.process_id = self.headers[0].process_id
        self.process = self._json_of(ChunkType.PROCESS) or {}
        self.end = self._json_of(ChunkType.END)

    def _scan(self, file: Any) -> None:
        position = 0
        while position < self.size:
            file.seek(position)
            head = file.read(HEADER_SIZE)
            if len(head) < HEADER_SIZE or not any(head):
                self.cut = _cut(position, self.size)
                return
            try:
                header = parse_header(head, position)
            except FormatError as error:
                if error.slug == "newer-recording" or not self.tolerant:
                    raise
                self.damage.append(error)
                position = next_chunk(file, position + 1, self.size)
                continue
            if header.end > self.size:
                self.cut = _cut(position, self.size)
                if self.tolerant:
                    position = next_chunk(file, position + 1, self.size)
                    continue
                return
            self.headers.append(header)
            position = header.end

    def payload(self, header: ChunkHeader) -> bytes:
        """Read, check and decompress the payload of *header*."""
        return decode_payload(header, self.stored(header))

    def stored(self, header: ChunkHeader) -> bytes:
        """Read the payload of *header* as it is stored."""
        with self.path.open("rb") as file:
            file.seek(header.offset + HEADER_SIZE)
            return file.read(header.stored)

    def _json_of(self, type_: ChunkType) -> dict[str, Any] | None:
        """Merge the JSON objects of all chunks of one type, later ones over earlier ones.

        A stream has several END chunks when its process said how it ended and
        ``clew run`` added with which exit code.
        """
        merged: dict[str, Any] | None = None
        for header in self.headers:
            if header.type == type_:
                try:
                    merged = (merged or {}) | decode_json(header, self.payload(header))
                except FormatError as error:
                    if not self.tolerant:
                        raise
                    self.damage.append(error)
        return merged

    def chunks(self) -> Iterator[EventChunk]:
        """Yield the event chunks in file order."""
        for header in self.headers:
            if header.type != ChunkType.EVENTS:
                continue
            try:
                yield decode_event_chunk(header, self.payload(header))
            except FormatError as error:
                if not self.tolerant:
                    raise
                self.damage.append(error)

    @property
    def id(self) -> str:
        """The process id as people see it: 16 hex digits."""
        return f"{self.process_id:016x}"

    @property
    def next_seq(self) -> int:
        """The first number that stands neither in the stream nor in a gap at its end.

        A stream is written in the order of its events: the last chunk knows.
        """
        for header in reversed(self.headers):
            if header.type != ChunkType.EVENTS or not header.events:
                continue
            try:
                chunk = decode_event_chunk(header, self.payload(header))
            except FormatError:
                if not self.tolerant:
                    raise
                continue
            is_gap = chunk.column(schema.EVENTS, "kind")[-1] == EventKind.GAP_DROPPED
            lost = chunk.column(schema.EVENTS, "arg")[-1] - 1 if is_gap else 0
            return max(first + count for first, count, *_ in chunk.rows(schema.RANGES)) + lost
        return 1

    @cached_property
    def data(self) -> StreamData:
        """Every event and definition of the stream, as columns."""
        return StreamData(self.chunks())


class Recording:
    """One or several streams that belong together, sorted by the start of their process."""

    def __init__(self, path: Path, streams: list[Stream]) -> None:
        self.path = path
        self.streams = sorted(streams, key=lambda stream: (stream.process.get("wall_ns", 0), stream.process_id))

    @property
    def size(self) -> int:
        """Bytes of all stream files."""
        return sum(stream.size for stream in self.streams)


def open_recording(path: str | Path, *, tolerant: bool = False) -> Recording:
    """Open a recording folder, or a single stream file of one.

    Raises:
        FormatError: Nothing is there, it holds no stream, or a stream is damaged.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*" + STREAM_SUFFIX))
        files = [file for file in files if file.stat().st_size]
        if not files:
            raise FormatError(
                "no-recording",
                f"the folder {path} holds no stream",
                f"expected files that end in {STREAM_SUFFIX}",
                "name the folder that 'clew run' printed",
                offset=0,
            )
    elif path.is_file():
        files = [path]
    else:
        raise FormatError(
            "no-recording",
            f"there is nothing at {path}",
            f"expected a recording (a folder NAME{RECORDING_SUFFIX})",
            "name the folder that 'clew run' printed",
            offset=0,
        )
    return Recording(path, [_open_stream(file, tolerant=tolerant) for file in files])


def _open_stream(file: Path, *, tolerant: bool) -> Stream:
    try:
        return Stream(file, tolerant=tolerant)
    except FormatError as error:
        error.add_note(f"in {file}")
        raise


def next_chunk(file: Any, position: int, size: int) -> int:
    """Find the next offset from *position* on at which a whole header parses, or *size*."""
    block_size = 1 << 20
    while position < size:
        file.seek(position)
        block = file.read(block_size + HEADER_SIZE)
        found = block.find(MAGIC)
        while found >= 0:
            head = block[found : found + HEADER_SIZE]
            if len(head) == HEADER_SIZE:
                try:
                    if parse_header(head, position + found).end <= size:
                        return position + found
                except FormatError:
                    pass
            found = block.find(MAGIC, found + 1)
        position += block_size
    return size


def _cut(position: int, size: int) -> FormatError:
    return FormatError(
        "truncated-stream",
        f"the last {size - position} bytes are the beginning of a chunk that was never finished",
        "expected a whole chunk",
        "the process was killed or is still writing; 'clew repair' removes the rest",
        offset=position,
    )


def _empty(size: int) -> FormatError:
    return FormatError(
        "truncated-stream",
        f"the file has {size} bytes and no chunk",
        "expected a stream, which begins with a PROCESS chunk",
        "the process was killed before it wrote anything",
        offset=0,
    )
