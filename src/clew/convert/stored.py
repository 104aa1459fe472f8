"""Processes of the store as streams: the analyses read them as they read a recording."""

from __future__ import annotations

import json
from functools import cached_property
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.analysis.steps import durations_of_events
from clew.analysis.timeline import ProcessTimeline
from clew.format.stream_data import StreamData
from clew.model.kinds import EventKind
from clew.store.errors import StoreError
from clew.store.segments import read_segment
from clew.store.stored import read_stored
from clew.store.stream_tables import Derived, joined_late, late_table, piece_of, positions, tables_of_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clew.format.chunk import ChunkHeader
    from clew.format.reader import Stream
    from clew.model.errors import FormatError
    from clew.store.store import Store
    from clew.store.stored import Stored
    from clew.store.stream_tables import Tables


class StoredStream:
    """What is stored of one process; stands for a ``format.reader.Stream``.

    Nothing is decoded before ``data`` is asked for, and then what was stored when the object
    was made. Its events stand by sequence number, up to the order of threads.

    Args:
        store: Where it is stored.
        stored: What is, of ``read_stored``.
        known: An earlier state of the same process, of which as much as possible is used.
    """

    cut: FormatError | None = None

    def __init__(self, store: Store, stored: Stored, known: StoredStream | None = None) -> None:
        self.stored = stored
        self.process_id = stored.number
        self.id = stored.process_id
        self.process: dict[str, Any] = json.loads(stored.head)
        self.end: dict[str, Any] | None = None if stored.end is None else json.loads(stored.end)
        self.headers: list[ChunkHeader] = []
        self.path = PurePath(f"{self.id}.stream")
        self._store = store
        self._known = known if known is not None and "data" in vars(known) else None

    @property
    def size(self) -> int:
        """Bytes it takes: its chunks, and its share of its segments."""
        share = sum(sum(part.files.values()) for part in self.stored.parts)
        return share + sum(len(chunk.body) for chunk in self.stored.chunks)

    @property
    def revision(self) -> int:
        """Of the process when it was read."""
        return self.stored.revision

    @cached_property
    def data(self) -> StreamData:
        """Every event and definition, as columns."""
        known, self._known = self._known, None
        if known is not None:
            added = self._added_to(known.stored)
            if added is not None:
                return known.data.extended(chunk.decode() for chunk in added) if added else known.data
        try:
            return self._decoded()
        except StoreError as error:
            # Its segments were merged since, and the old files are gone: the new ones hold the same.
            found = read_stored(self._store, [self.id]) if error.slug == "blob-missing" else []
            if not found or found[0].parts == self.stored.parts:
                raise
            self.stored = found[0]
            return self._decoded()

    def _added_to(self, before: Stored) -> Sequence[Any] | None:
        """Return the chunks that came after *before*, if they are all that came, and follow its events."""
        if [part.key for part in before.parts] != [part.key for part in self.stored.parts]:
            return None
        seen = {chunk.id for chunk in before.chunks}
        new = [chunk for chunk in self.stored.chunks if chunk.id not in seen]
        if len(new) + len(seen) != len(self.stored.chunks):
            return None
        last = max((chunk.first_seq for chunk in before.chunks), default=0)
        last = max([last, *(part.end_seq - 1 for part in before.parts)])
        return new if all(chunk.first_seq > last for chunk in new) else None

    def _decoded(self) -> StreamData:
        data = StreamData()
        bounds: list[tuple[int, int]] = []
        for part in self.stored.parts:
            tables = read_segment(self._store.blobs, part.key, part.files, [self.process_id])
            data.add_piece(piece_of(tables, self.process_id))
            if part.events:
                bounds.append((part.first_seq, part.end_seq))
        for chunk in self.stored.decoded_chunks():
            start = len(data)
            data.add(chunk)
            seqs = data.columns["seq"][start:]
            if seqs:
                bounds.append((min(seqs), max(seqs) + 1))
        if any(end > first for (_, end), (first, _) in pairwise(bounds)):
            _sort(data)  # something came late
        return data


def _sort(data: StreamData) -> None:
    order = np.argsort(np.asarray(data.columns["seq"]), kind="stable")
    for name, column in data.columns.items():
        values = np.asarray(column)[order].tobytes()
        fresh = column[:0]
        fresh.frombytes(values)
        data.columns[name] = fresh


def streams_of(
    store: Store, process_ids: Iterable[str] | None, known: Iterable[StoredStream] = ()
) -> list[StoredStream]:
    """Return the streams of processes, by their start.

    Args:
        store: Where they are stored.
        process_ids: 16 hexadecimal digits each; None for all of the store. Unknown and deleted ones are left out.
        known: Streams of an earlier call: what came since is added to what they decoded, at
            the cost of a copy in memory.
    """
    before = {stream.id: stream for stream in known}
    return [StoredStream(store, stored, before.get(stored.process_id)) for stored in read_stored(store, process_ids)]


def derived_of(stream: StoredStream) -> Derived:
    """Work out what the store keeps beside the events of a stream."""
    timeline = ProcessTimeline(cast("Stream", stream), 0)
    return Derived(timeline.span_of_event, durations_of_events(timeline.columns, timeline.steps))


def pending_tables(store: Store, stored: Stored, *, is_exact: bool = True) -> Tables:
    """Return the tables of what is in no segment yet.

    Args:
        store: Where it is stored.
        stored: What is.
        is_exact: Look at the earlier segments too: a step may belong to a span that its task
            entered before, or end one that began there. Without them it takes no longer than
            what is pending, and the span of such steps is that of the definition of the task.
    """
    alone = stored._replace(parts=())
    pending = StoredStream(store, alone)
    if not stored.parts or not is_exact:
        return tables_of_stream(stored.number, pending.data, derived_of(pending))
    whole = StoredStream(store, stored)
    derived = derived_of(whole)
    seq = np.asarray(whole.data.columns["seq"]).view(np.int64)
    at = positions(seq, dict.fromkeys(pending.data.columns["seq"]))
    tables = tables_of_stream(stored.number, pending.data, Derived(derived.spans[at], derived.durations[at]))
    late = _ended_late(whole.data, pending.data, derived, seq)
    if late:
        tables["late"] = joined_late(tables["late"], late_table(stored.number, long_ns=late))
    return tables


def _ended_late(whole: StreamData, pending: StreamData, derived: Derived, seq: Any) -> dict[int, int]:
    """Return the durations of steps that began in an earlier segment and have ended since."""
    kinds = np.asarray(pending.columns["kind"])
    begun = np.asarray(pending.columns["cause"])[kinds == EventKind.LIFE_STEP_END]
    own = np.asarray(pending.columns["seq"])
    elsewhere = cast("list[int]", np.setdiff1d(begun[begun > 0], own).tolist())
    wanted: dict[int, None] = dict.fromkeys(elsewhere)
    at = positions(seq, wanted)
    return {
        int(whole.columns["seq"][row]): int(derived.durations[row])
        for row in cast("list[int]", at.tolist())
        if row >= 0
    }
