"""Take events out of a ring file and append them to the stream of their process.

One drain serves one ring. ``step`` moves what is there; ``finish`` moves the rest once
the owner has ended. The same code runs in ``clew run``, in the sidecar of a process that
records by itself, and in ``clew repair`` for a ring both of them left behind.

A slot or journal record is taken one step after it was first seen filled. For that long
the observed process may still complete it (a short loop step gets its duration in the
slot of its start), and on processors with weak memory order its bytes become visible.

What was taken stays in the ring until it stands in the stream: a drain that is killed
loses nothing, the next one goes on where the stream ends.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import time
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from clew.format import ring, schema
from clew.format.chunk import ChunkType, encode_json_chunk
from clew.format.events import Definitions, Row, encode_event_chunk
from clew.format.reader import STREAM_SUFFIX, Stream
from clew.format.slots import slot_planes
from clew.format.values import Values
from clew.model.errors import FormatError
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from clew.format.spool import Spool

CHUNK_EVENTS = 32_768
CHUNK_MIN_EVENTS = 4096
"""Fewer events than this wait for ``CHUNK_AGE_NS`` before they are written: small chunks
compress worse."""
CHUNK_AGE_NS = 700_000_000
WAITING_SHARE = 4
"""A chunk is written as soon as what it holds fills this part (1/n) of the ring or of the
journal, which get their room back only then."""
KEPT_ROWS = 200_000
"""Definitions of a kind that are kept for a later attempt while nothing can be written."""
HOLE_PATIENCE_NS = 2_000_000_000
"""A reserved slot that stays empty this long was given up: an exception (a signal
handler's, say) struck between reserving and filling."""
TRIMMED = "trimmed"
"""Key of the PROCESS chunk of a trimmed stream: how many events were sent and removed."""
_FIRST_LOOK = 256


class _Gap(NamedTuple):
    """Numbers that will never be events: the first, how many, and when."""

    first: int
    numbers: int
    from_ns: int
    to_ns: int
    reason: str


class Drain:
    """Moves the events of one ring file into one stream file.

    Args:
        path: The ring file.
        folder: Recording folder of the stream; by default the one the ring names.

    Raises:
        FormatError: The file is not a ring of this version.
        OSError: It cannot be opened, or another drain works on it.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._open(path, folder)
        except BaseException:
            os.close(self._fd)
            raise

    def _open(self, path: Path, folder: Path | None) -> None:
        # Two drains on one ring would each take a part of its events.
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = os.fstat(self._fd).st_size
        if size < ring.HEADER_SIZE:
            raise _not_a_ring(path)
        self._map = mmap.mmap(self._fd, size)
        magic, version, slot_size, self.capacity, self.process_id, self.pid, _, self._ticks, self._journal_size = (
            ring.IDENTITY.unpack_from(self._map)
        )
        if (magic, version, slot_size) != (ring.MAGIC, ring.VERSION, ring.SLOT_SIZE) or size != ring.file_size(
            self.capacity, self._journal_size
        ):
            raise _not_a_ring(path)
        self._slots = memoryview(self._map)[ring.HEADER_SIZE : ring.HEADER_SIZE + self.capacity * ring.SLOT_SIZE]
        self._journal = memoryview(self._map)[ring.journal_offset(self.capacity) :]
        self.stream_path = self._find_stream(folder)
        self.spool: Spool | None = None
        self.process: dict[str, Any] = {}
        self.size = 0
        self.next_seq = self._freed_seq = self._get(ring.NEXT_SEQ)
        self._journal_read = self._journal_freed = self._get(ring.JOURNAL_READ)
        self._seen_seq = self.next_seq
        self._seen_journal = self._journal_read
        self._hole = (0, 0)
        self._lost_from: tuple[int, int] | None = None
        self._ranges: list[tuple[int, int]] = []
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._waiting_since = 0
        self._rows: dict[int, list[Row]] = {}
        self.values = Values()
        self._gaps = 0
        self._last_ns = 0
        self._unwritten = b""
        self.end: dict[str, Any] = {}
        self.events = 0
        self.kinds: Counter[int] = Counter()
        self.dropped = 0
        self.not_written = 0
        self.error = ""

    def _find_stream(self, folder: Path | None) -> Path:
        (length,) = ring.FOLDER_LENGTH.unpack_from(self._map, ring.FOLDER_OFFSET)
        start = ring.FOLDER_OFFSET + ring.FOLDER_LENGTH.size
        named = Path(os.fsdecode(self._map[start : start + length]))
        return (folder or named) / f"{self.process_id:016x}{STREAM_SUFFIX}"

    def _get(self, offset: int) -> int:
        return ring.NUMBER.unpack_from(self._map, offset)[0]

    def _put(self, offset: int, value: int) -> None:
        ring.NUMBER.pack_into(self._map, offset, value)

    def is_owner_alive(self) -> bool:
        """Tell whether the observed process still runs."""
        return ring.start_ticks(self.pid) == self._ticks

    def has_ended(self) -> bool:
        """Tell whether the observed process said it is done, or became another program."""
        return self._get(ring.STATE) == ring.STATE_ENDED or self.has_become_another()

    def has_become_another(self) -> bool:
        """Tell whether the observed process has executed another program."""
        return self._get(ring.STATE) == ring.STATE_EXEC and not (
            self.is_owner_alive() and ring.is_mapped(self.pid, self.path.name)
        )

    def step(self) -> int:
        """Move what was there at the previous step; return how many events that were."""
        seen_seq, seen_journal = self._filled_to(), self._get(ring.JOURNAL_WRITTEN)
        self._take_journal(self._seen_journal)
        moved = self._take_slots(self._seen_seq)
        self._seen_seq, self._seen_journal = seen_seq, seen_journal
        if not moved and seen_seq == self.next_seq:
            self._look_for_hole(patient=True)
        self._write_if_due()
        return moved

    def finish(self, **end: Any) -> None:
        """Move the rest, write the END chunk and remove the ring file.

        Args:
            end: What to note about the end, beside what the process said itself.
        """
        self._take_journal(self._get(ring.JOURNAL_WRITTEN))
        while True:
            self._take_slots(self._filled_to())
            if not self._look_for_hole(patient=False):
                break
            self._write_if_due()
        self._write(last=True)
        if self._lost_from is not None:
            self._write(last=True)  # the events did not fit; that they are lost may
        lost_definitions = self._get(ring.JOURNAL_DROPPED)
        if lost_definitions:
            end["definitions_dropped"] = lost_definitions
        if self.has_become_another():
            end.setdefault("reason", "exec")
        end |= self.end | {"events": self.events, "dropped": self.dropped, "not_written": self.not_written}
        self._append(encode_json_chunk(ChunkType.END, self.process_id, end))
        self.remove()

    def remove(self) -> None:
        """Remove the ring file; the owner, if it still runs, keeps what it mapped."""
        self.close()
        with suppress(OSError):
            self.path.unlink()

    def flush(self) -> None:
        """Write what was taken."""
        self._write()

    def hand_over(self) -> None:
        """Write what was taken and let go of the ring, for another drain to go on."""
        self._write()
        self.close()

    def resume_at(self, seq: int) -> None:
        """Begin at *seq*: everything before it stands in the stream."""
        if seq > self.next_seq:
            # Beyond the ring stand only numbers that were refused for want of room.
            known = max(self._freed_seq + self.capacity, self._get(ring.REFUSED_TO))
            self.next_seq = self._seen_seq = min(seq, known)
            self._free()
        elif seq < self.next_seq:
            # The drain before could not write those and was killed before it could say so.
            self._lost_from = (seq, 0)
            self.not_written += self.next_seq - seq
            self.error = "the process that wrote could not, and was killed"

    def close(self) -> None:
        """Let go of the ring file, leaving it where it is."""
        self._slots.release()
        self._journal.release()
        self._map.close()
        os.close(self._fd)

    # -- slots

    def _filled_to(self) -> int:
        """Return the first number from ``next_seq`` on whose slot is empty."""
        seq = self.next_seq
        end = self._freed_seq + self.capacity
        look = _FIRST_LOOK
        while seq < end:
            start = seq % self.capacity
            size = min(look, end - seq, self.capacity - start)
            kinds = self._kinds(start, size)
            empty = kinds.find(0)
            if empty >= 0:
                return seq + empty
            seq += size
            look *= 16
        return end

    def _kinds(self, start: int, size: int) -> bytes:
        first = start * ring.SLOT_SIZE
        return bytes(self._slots[first : first + size * ring.SLOT_SIZE])[ring.KIND_OFFSET :: ring.SLOT_SIZE]

    def _take_slots(self, end: int) -> int:
        """Copy the slots from ``next_seq`` to *end*."""
        first = self.next_seq
        while self.next_seq < end:
            start = self.next_seq % self.capacity
            count = min(end - self.next_seq, self.capacity - start, CHUNK_EVENTS)
            piece = bytes(self._slots[start * ring.SLOT_SIZE : (start + count) * ring.SLOT_SIZE])
            self._hold(self.next_seq, count, self.values.take(self.next_seq, piece))
            self.next_seq += count
            if self._waiting >= CHUNK_EVENTS:
                self._write()
        return self.next_seq - first

    def _free(self) -> None:
        """Give what was taken back to the observed process, emptied."""
        while self._freed_seq < self.next_seq:
            start = self._freed_seq % self.capacity
            count = min(self.next_seq - self._freed_seq, self.capacity - start)
            self._slots[start * ring.SLOT_SIZE : (start + count) * ring.SLOT_SIZE] = bytes(count * ring.SLOT_SIZE)
            self._freed_seq += count
        self._put(ring.NEXT_SEQ, self._freed_seq)
        self._journal_freed = self._journal_read
        self._put(ring.JOURNAL_READ, self._journal_freed)

    def _hold(self, first: int, count: int, piece: bytes) -> None:
        self._last_ns = ring.NUMBER.unpack_from(piece, len(piece) - ring.SLOT_SIZE)[0]
        if self._ranges and sum(self._ranges[-1]) == first:
            self._ranges[-1] = (self._ranges[-1][0], self._ranges[-1][1] + count)
        else:
            self._ranges.append((first, count))
        self._pieces.append(piece)
        if not self._waiting:
            self._waiting_since = time.monotonic_ns()
        self._waiting += count

    def _look_for_hole(self, *, patient: bool) -> int:
        """Step over numbers that were taken but will not be filled; return how many.

        Those the process refused for want of room are known to be lost at once. A hole
        before a filled slot is given ``HOLE_PATIENCE_NS``, or no time after the end.
        """
        first = self.next_seq
        refused_from, refused_to = self._get(ring.REFUSED_FROM), self._get(ring.REFUSED_TO)
        later = self._next_filled(first)
        if refused_from <= first < refused_to:
            self._skip(first, min(later or refused_to, refused_to), "the buffer was full")
        elif later:
            now = time.monotonic_ns()
            if self._hole[0] != first:
                self._hole = (first, now)
            if patient and now - self._hole[1] < HOLE_PATIENCE_NS:
                return 0
            self._skip(first, later, "it was interrupted")
        return self.next_seq - first

    def _next_filled(self, first: int) -> int:
        """Return the first number after *first* whose slot is filled, 0 if there is none."""
        start, size = first % self.capacity, self._freed_seq + self.capacity - first
        at_end = min(size, self.capacity - start)
        kinds = self._kinds(start, at_end) + self._kinds(0, size - at_end)
        distance = len(kinds) - len(kinds.lstrip(b"\0"))
        return first + distance if distance < len(kinds) else 0

    def _skip(self, first: int, end: int, reason: str) -> None:
        self._seen_seq = max(self._seen_seq, end)
        self.next_seq = end
        self.dropped += end - first
        self._note_gap(_Gap(first, end - first, self._last_ns, time.monotonic_ns(), reason))

    def _note_gap(self, gap: _Gap) -> None:
        """Put a gap event in the place of the first of the numbers that were lost."""
        row = ring.SLOT.pack(gap.to_ns, 0, 0, gap.numbers, 0, 0, 0, 1, EventKind.GAP_DROPPED)
        attrs = {"from_ns": gap.from_ns, "to_ns": gap.to_ns, "reason": gap.reason}
        self._row(ring.RECORD_ATTRS, (gap.first, json.dumps(attrs)))
        self._gaps += 1
        self._hold(gap.first, 1, row)

    # -- journal

    def _take_journal(self, end: int) -> None:
        position = self._journal_read
        while position < end:
            size, kind = ring.RECORD.unpack(self._journal_bytes(position, ring.RECORD.size))
            position += ring.RECORD.size
            if size > end - position:
                self.error = self.error or f"the journal of process {self.pid} is damaged"
                position = end
                break
            try:
                self._take_record(kind, self._journal_bytes(position, size))
            except ValueError as error:
                self.error = self.error or f"a journal record of process {self.pid} does not parse: {error}"
            position += size
        self._journal_read = position

    def _journal_bytes(self, position: int, size: int) -> bytes:
        start = position % self._journal_size
        piece = bytes(self._journal[start : start + size])
        return piece + bytes(self._journal[: size - len(piece)])

    def _take_record(self, kind: int, payload: bytes) -> None:
        if kind == ring.RECORD_PROCESS:
            self.process = json.loads(payload)
            self._unwritten = encode_json_chunk(ChunkType.PROCESS, self.process_id, self.process)
        elif kind == ring.RECORD_END:
            self.end = json.loads(payload)
        elif kind == ring.RECORD_ATTRS:
            seq, _, text = payload.partition(b"\0")
            self._row(kind, (int(seq), text.decode("utf-8", "replace")))
        else:
            fields = payload.decode("utf-8", "replace").split("\0")
            if kind == ring.RECORD_ENTITY:
                number, entity_kind, name, type_name, parent, site, span, detail = fields
                self._row(
                    kind, (int(number), int(entity_kind), name, type_name, int(parent), int(site), int(span), detail)
                )
            elif kind == ring.RECORD_SITE:
                number, file, line, function = fields
                self._row(kind, (int(number), file, int(line), function))
            elif kind == ring.RECORD_SPAN:
                *numbers, name = fields
                self._row(kind, (*map(int, numbers), name))
            elif kind == ring.RECORD_TEXT:
                number, text = fields
                self.values.texts[int(number)] = text
                self._row(kind, (int(number), text))
            elif kind == ring.RECORD_REMOTE_CAUSE:
                self._row(kind, tuple(map(int, fields)))

    def _row(self, kind: int, row: Row) -> None:
        self._rows.setdefault(kind, []).append(row)
        if not self._waiting_since:
            self._waiting_since = time.monotonic_ns()

    # -- the stream

    def _write_if_due(self) -> None:
        since = self._waiting_since
        if since and (
            self._waiting >= min(CHUNK_MIN_EVENTS, self.capacity // WAITING_SHARE)
            or self._journal_read - self._journal_freed >= self._journal_size // WAITING_SHARE
            or time.monotonic_ns() - since > CHUNK_AGE_NS
        ):
            self._write()

    def _write(self, *, last: bool = False) -> None:
        """Append what was taken as one chunk, and free its room in the ring."""
        if self._lost_from is not None and (self._waiting or last):
            self._note_lost(*self._lost_from)
        if not self._waiting and not self._rows and not self._unwritten:
            self._free()
            return
        rows, self._rows = self._rows, {}
        rows.setdefault(ring.RECORD_ATTRS, []).extend(self.values.rows())
        ranges, self._ranges = self._ranges, []
        pieces, self._pieces = self._pieces, []
        count, self._waiting = self._waiting, 0
        gaps, self._gaps = self._gaps, 0
        self._waiting_since = 0
        definitions = Definitions(
            entities=rows.get(ring.RECORD_ENTITY, ()),
            sites=rows.get(ring.RECORD_SITE, ()),
            spans=rows.get(ring.RECORD_SPAN, ()),
            attrs=rows.get(ring.RECORD_ATTRS, ()),  # pyright: ignore[reportArgumentType]  rows of that shape
            remote_causes=rows.get(ring.RECORD_REMOTE_CAUSE, ()),  # pyright: ignore[reportArgumentType]
            texts=rows.get(ring.RECORD_TEXT, ()),  # pyright: ignore[reportArgumentType]
        )
        chunk = encode_event_chunk(self.process_id, ranges, slot_planes(b"".join(pieces)), definitions)
        if self._append(chunk):
            self._lost_from = None
            self.events += count
            for piece in pieces:
                self.kinds.update(piece[ring.KIND_OFFSET :: ring.SLOT_SIZE])
        else:
            self._keep_definitions(rows)
            self.not_written += count - gaps
            if ranges and self._lost_from is None:
                self._lost_from = (ranges[0][0], ring.NUMBER.unpack_from(pieces[0])[0])
        self._free()

    def _keep_definitions(self, rows: dict[int, list[Row]]) -> None:
        """Keep what the next attempt needs of *rows*, whose events are lost: they make room.

        That is the definitions, and what belongs to events that were not taken yet: the
        journal may be ahead of the slots.
        """
        for kind, values in rows.items():
            of_events = kind in (ring.RECORD_ATTRS, ring.RECORD_REMOTE_CAUSE)
            kept = [row for row in values if row[0] >= self.next_seq] if of_events else values[-KEPT_ROWS:]
            if kept:
                self._rows[kind] = kept

    def _note_lost(self, first: int, from_ns: int) -> None:
        """Put a gap before what waits, for everything since *first* that was not written."""
        end = self._ranges[0][0] if self._ranges else self.next_seq
        ranges, self._ranges = self._ranges, []
        pieces, self._pieces = self._pieces, []
        self._note_gap(_Gap(first, end - first, from_ns, time.monotonic_ns(), self.error))
        self._ranges += ranges
        self._pieces += pieces

    def _append(self, chunk: bytes) -> bool:
        """Append *chunk* whole, or leave the stream as it was.

        The PROCESS chunk goes before the first of them that can be written.
        """
        chunk = self._unwritten + chunk
        spool = self.spool
        refusal = spool.admit(len(chunk)) if spool is not None else ""
        if refusal:
            self.error = refusal
            self._put(ring.TROUBLE, ring.TROUBLE_NOT_WRITTEN)
            return False
        try:
            with (
                spool.appending(len(chunk)) if spool is not None else nullcontext(),
                self.stream_path.open("ab", buffering=0) as file,
            ):
                size = file.tell()
                view = memoryview(chunk)
                try:
                    while view:
                        view = view[file.write(view) :]
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            self.error = f"{self.stream_path}: {error.strerror}"
            self._put(ring.TROUBLE, ring.TROUBLE_NOT_WRITTEN)
            return False
        self._unwritten = b""
        self.size += len(chunk)
        return True


def resume_stream(drain: Drain) -> None:
    """Make *drain* go on where the stream of its process ends.

    For a ring whose drain was killed: a cut chunk at the end of the stream is removed,
    and events that stand in it already are not written again.
    """
    try:
        stream = Stream(drain.stream_path, tolerant=True)
    except FileNotFoundError:
        drain.resume_at(1)
        return
    except FormatError as error:
        # Not one whole chunk: what it would have said is still in the ring.
        if error.slug == "truncated-stream":
            os.truncate(drain.stream_path, 0)
            drain.resume_at(1)
        return
    if stream.cut is not None and not stream.damage:
        os.truncate(drain.stream_path, stream.cut.offset)
    drain.resume_at(stream.next_seq)
    drain.process = stream.process
    drain.size = stream.size
    trimmed = stream.process.get(TRIMMED, 0)
    drain.events = sum(header.events for header in stream.headers) + (trimmed if isinstance(trimmed, int) else 0)
    for chunk in stream.chunks():
        drain.values.texts.update(chunk.rows(schema.TEXTS))


def _not_a_ring(path: Path) -> FormatError:
    return FormatError(
        "not-a-ring",
        f"{path} is not a ring file of version {ring.VERSION}",
        f"expected {ring.MAGIC!r} and the sizes its header names",
        "delete it",
        offset=0,
    )
