"""Streams that are written chunk by chunk while a test looks on."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path

from clew.format import ring
from clew.format.chunk import ChunkType, encode_json_chunk
from clew.format.events import Definitions, encode_event_chunk
from clew.format.slots import slot_planes
from clew.format.spool import Spool
from clew.model.kinds import EventKind


class GrowingStream:
    """The stream of process *process* in *folder*, written as a drain writes it."""

    def __init__(self, folder: Path, process: int = 0xA1, *, spool: Spool | None = None) -> None:
        self.path = folder / f"{process:016x}.stream"
        self.process = process
        self.spool = spool
        self.next_seq = 1
        self._turn = threading.Lock()
        self._append(encode_json_chunk(ChunkType.PROCESS, process, {"pid": 1, "trace": "ab" * 16}))

    def add(self, count: int = 100, *, noise: bytes = b"") -> bytes:
        """Append a chunk of *count* events, larger by the length of *noise*; return it. Any thread may."""
        with self._turn:
            return self._add(count, noise)

    def _add(self, count: int, noise: bytes) -> bytes:
        first = self.next_seq
        rows = b"".join(ring.SLOT.pack(n, 0, 0, 0, 0, 0, 0, 1, EventKind.CUSTOM_EVENT) for n in range(count))
        attrs = [(first, noise.hex())] if noise else []
        chunk = encode_event_chunk(self.process, [(first, count)], slot_planes(rows), Definitions(attrs=attrs))
        self.next_seq += count
        self._append(chunk)
        return chunk

    def end(self) -> None:
        self._append(encode_json_chunk(ChunkType.END, self.process, {"reason": "exit"}))

    def _append(self, chunk: bytes) -> None:
        place = self.spool.appending(len(chunk)) if self.spool is not None else nullcontext()
        with place, self.path.open("ab") as file:
            file.write(chunk)
