"""The local recording while it waits to be sent: how much it may hold, and what may go.

The drain appends, the sender trims; both are in one process and share one ``Spool``. Its
lock is held for an append and for the instant in which a trimmed stream takes the place
of the long one, never while anything long is copied or sent.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from clew.format import destination, ring
from clew.format.chunk import HEADER_SIZE, ChunkHeader, ChunkType, decode_json, encode_json_chunk, parse_header
from clew.format.drain import TRIMMED
from clew.format.events import Definitions, encode_event_chunk
from clew.format.reader import STREAM_SUFFIX
from clew.format.slots import slot_planes
from clew.model.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import BinaryIO

    from clew.format.tail import Tail
    from clew.format.values import Values

KEPT_BYTES = 64 << 20
"""Sent bytes that stay: a program that records less can be looked at whole when it ends."""
LEAST_FILE = 4096
"""What a file takes on the disk at least: many small ones count too."""
COPY_SHARE = 4
"""A stream is shortened when what is copied is at most this part (1/n) of what was sent of it."""
SMALL = 4096
"""Chunks below this always find room: the end of a process, and that events were lost."""


class Spool:
    """What waits in the recording folder *folder*.

    Args:
        folder: The recording folder.
        cap_bytes: How much it may hold; 0: as much as the disk.
        kept_bytes: How much of what was sent may stay.

    Attributes:
        lock: Held by whoever changes a stream file.
        grown: Set whenever something was appended.
        refusals: How many chunks found no room.
    """

    def __init__(self, folder: Path, *, cap_bytes: int, kept_bytes: int = KEPT_BYTES) -> None:
        self.folder = folder
        self.cap_bytes = cap_bytes
        self.kept_bytes = kept_bytes
        self.lock = threading.Lock()
        self.grown = threading.Event()
        self.refusals = 0
        self.values: dict[Path, Values] = {}
        """By stream: what a trimmed one must still tell a drain that takes over."""
        self.size = sum(_size_of(path) for path in folder.glob("*" + STREAM_SUFFIX))

    def admit(self, size: int) -> str:
        """Return why a chunk of *size* bytes may not be appended, or nothing if it may."""
        if not self.cap_bytes or size < SMALL or self.size + size <= self.cap_bytes:
            return ""
        self.refusals += 1
        return f"{self.folder} holds {self.size:,} bytes that the server has not taken, and may hold {self.cap_bytes:,}"

    @contextmanager
    def appending(self, size: int) -> Generator[None]:
        """Keep the streams in their place while *size* bytes are appended."""
        with self.lock:
            yield
            self.size += size
        self.grown.set()

    # -- trimming

    def is_trim_due(self, tails: list[Tail]) -> bool:
        """Tell whether more of what was sent stays than may, and it is worth the copying."""
        return sum(_removable(tail) for tail in tails) > min(self.kept_bytes, self.cap_bytes // 2 or self.kept_bytes)

    def trim(self, tails: list[Tail]) -> list[Tail]:
        """Remove what was sent; return the streams that are gone as a whole.

        Raises:
            OSError: A shorter stream could not be written; the long one is untouched.
        """
        gone: list[Tail] = []
        for tail in tails:
            if tail.passed_over:
                continue  # it holds what the server does not have
            if tail.has_ended and tail.acked >= _size_of(tail.path):
                with self.lock:
                    self.size -= _size_of(tail.path)
                    tail.path.unlink(missing_ok=True)
                self.values.pop(tail.path, None)
                gone.append(tail)
            # Little is copied for what is freed: for the time it takes, and the room it needs meanwhile.
            elif _removable(tail) and (_size_of(tail.path) - tail.acked) * COPY_SHARE <= tail.acked:
                self._shorten(tail)
        return gone

    def _shorten(self, tail: Tail) -> None:
        aside = tail.path.with_name(tail.path.name + ".trimmed")
        try:
            with tail.path.open("rb") as source, aside.open("wb") as target:
                last = self._write_kept(tail, source, target)
                by = tail.acked - target.tell()
                if by <= 0:
                    return  # what must stay is all there is
                source.seek(tail.acked)
                shutil.copyfileobj(source, target)  # most of the rest, while the drain may append
                with self.lock:
                    shutil.copyfileobj(source, target)
                    target.flush()
                    aside.replace(tail.path)
                    self.size -= by
                tail.moved(os.fstat(target.fileno()).st_ino, by, last)
        finally:
            aside.unlink(missing_ok=True)  # if it was not put in the place of the long one

    def _write_kept(self, tail: Tail, source: BinaryIO, target: BinaryIO) -> ChunkHeader | None:
        """Write what a drain that takes over needs of the sent part; return where its last chunk stands now."""
        head, value = _read_process(source)
        before = value.get(TRIMMED, 0)
        kept = tail.last.events if tail.last is not None else 0
        value[TRIMMED] = tail.events - kept + (before if isinstance(before, int) else 0)
        target.write(encode_json_chunk(ChunkType.PROCESS, head.process_id, value))
        values = self.values.get(tail.path)
        texts = list(values.texts.items()) if values is not None else []  # one call: the drain's thread may add
        if texts:
            target.write(encode_event_chunk(head.process_id, (), slot_planes(b""), Definitions(texts=texts)))
        if tail.last is None:
            return None
        moved = tail.last._replace(offset=target.tell())
        source.seek(tail.last.offset)
        target.write(source.read(HEADER_SIZE + tail.last.stored))
        return moved

    def remove(self) -> bool:
        """Remove the folder and all that clew put there; return whether it is gone."""
        for path in self.folder.glob("*" + STREAM_SUFFIX):
            path.unlink(missing_ok=True)
        destination.clear_marks(str(self.folder))
        with suppress(OSError):
            (self.folder / ring.LOCK_NAME).unlink(missing_ok=True)
            self.folder.rmdir()
        return not self.folder.exists()


def _removable(tail: Tail) -> int:
    """Return how many bytes a trim would remove of *tail*, about."""
    if tail.passed_over or not tail.acked:
        return 0
    if tail.has_ended:
        return max(tail.acked, LEAST_FILE)
    kept = HEADER_SIZE + tail.last.stored if tail.last is not None else 0
    return max(tail.acked - kept - LEAST_FILE, 0)


def _read_process(source: BinaryIO) -> tuple[ChunkHeader, dict[str, object]]:
    head = parse_header(source.read(HEADER_SIZE), 0)
    if head.type != ChunkType.PROCESS:
        raise FormatError(
            "not-a-chunk",
            f"the stream begins with a chunk of type {head.type}",
            "expected a PROCESS chunk",
            "'clew repair' keeps the chunks that can be read",
            offset=0,
        )
    return head, decode_json(head, source.read(head.stored))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
