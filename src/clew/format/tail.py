"""Follow a stream that grows: its whole chunks, in order, from a position on."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from clew.format.chunk import HEADER_SIZE, ChunkHeader, ChunkType, parse_header
from clew.format.reader import next_chunk
from clew.model.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES = 1 << 18
"""Read at once: the sender's memory does not depend on the size of a chunk."""


class Piece(NamedTuple):
    """A whole chunk of a stream, which was checked."""

    tail: Tail
    header: ChunkHeader

    @property
    def size(self) -> int:
        """Bytes of the chunk, its header included."""
        return HEADER_SIZE + self.header.stored


class Tail:
    """What of one stream was read, and what of that was acknowledged.

    Args:
        path: The stream file, which may not be there yet.

    Attributes:
        position: Offset of the next chunk to read.
        acked: Everything before this offset is settled: acknowledged, or passed over.
        last: The last acknowledged chunk that holds events, which a trimmed stream keeps.
        events: How many events of those that stand in the stream were acknowledged.
        passed_over: Chunks that are damaged or that the server does not want.
        has_ended: Nothing will be appended any more.
        is_marked: It was said that all of an ended stream is settled.
        problem: The first damage that was found.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.acked = 0
        self.last: ChunkHeader | None = None
        self.events = 0
        self.passed_over = 0
        self.has_ended = False
        self.is_marked = False
        self.problem = ""
        self._inode = 0

    @property
    def process(self) -> str:
        """The id of the process, 16 hex digits."""
        return self.path.name.partition(".")[0]

    def read(self, limit: int) -> list[Piece]:
        """Return the next whole chunks, of *limit* bytes together but at least one if there is any.

        Everything that was returned before must be settled or taken back.
        """
        pieces: list[Piece] = []
        try:
            with self.path.open("rb") as file:
                size = self._size_of(file)
                while self.position < size:
                    header = self._next(file, size)
                    if header is None or (pieces and HEADER_SIZE + header.stored > limit):
                        break
                    pieces.append(Piece(self, header))
                    limit -= HEADER_SIZE + header.stored
                    self.position = header.end
        except FileNotFoundError:
            self._restart(0)
        if not pieces:
            self.acked = self.position  # the rest, if there was any, was passed over
        return pieces

    def _size_of(self, file: BinaryIO) -> int:
        """Return the size of the stream; begin again if it is another file, or was cut, meanwhile.

        The server knows what it has already, and says so.
        """
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self.position:
            self._restart(status.st_ino)
        return status.st_size

    def _restart(self, inode: int) -> None:
        self.position = self.acked = self.events = 0
        self.last = None
        self._inode = inode

    def moved(self, inode: int, by: int, last: ChunkHeader | None) -> None:
        """Note that the stream was replaced by one in which everything stands *by* bytes earlier."""
        self._inode = inode
        self.position -= by
        self.acked -= by
        self.last = last
        self.events = last.events if last is not None else 0

    def _next(self, file: BinaryIO, size: int) -> ChunkHeader | None:
        """Return the chunk at the position, or the next one that can be read; None: not there yet."""
        while self.position < size:
            file.seek(self.position)
            head = file.read(HEADER_SIZE)
            if len(head) < HEADER_SIZE or not any(head):
                return None
            try:
                header = parse_header(head, self.position)
                if header.end > size:
                    return None
                _check(file, header)
            except FormatError as error:
                self.problem = self.problem or f"{self.path.name}: {error}"
                self.passed_over += 1
                self.position = next_chunk(file, self.position + 1, size)
                continue
            return header
        return None

    def stored(self, header: ChunkHeader) -> Iterator[bytes]:
        """Yield the bytes of a chunk.

        Raises:
            OSError: They are not there any more.
        """
        with self.path.open("rb") as file:
            file.seek(header.offset)
            left = HEADER_SIZE + header.stored
            while left:
                part = file.read(min(left, READ_BYTES))
                if not part:
                    raise OSError(f"{self.path} was cut")
                left -= len(part)
                yield part

    def settle(self, header: ChunkHeader, *, is_taken: bool) -> None:
        """Note that the server has taken a chunk, or that it does not want it."""
        self.acked = header.end
        if not is_taken:
            self.passed_over += 1
        elif header.type == ChunkType.EVENTS and header.events:
            self.events += header.events
            self.last = header

    def take_back(self) -> None:
        """Read again from what was acknowledged last."""
        self.position = self.acked


def _check(file: BinaryIO, header: ChunkHeader) -> None:
    """Check the payload that *file* stands before; the server would refuse the whole request."""
    crc, left = 0, header.stored
    while left:
        part = file.read(min(left, READ_BYTES))
        if not part:
            break
        crc = zlib.crc32(part, crc)
        left -= len(part)
    if crc != header.payload_crc:
        raise FormatError(
            "damaged-chunk",
            "the checksum of the chunk that begins here does not fit its bytes",
            f"expected CRC-32 {header.payload_crc:08x}",
            "'clew repair' keeps the chunks that can be read",
            offset=header.offset,
        )
