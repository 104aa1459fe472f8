"""The events of one process as columns, and its definitions, put together from pieces."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple, Self

from clew.format import schema
from clew.format.tables import TYPECODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clew.format.events import EventChunk, Row
    from clew.format.tables import Column

WIDTHS = {"seq": 8} | {spec.name: spec.width for spec in schema.EVENTS.columns}
"""Width in bytes of each column of ``StreamData.columns``."""


class Piece(NamedTuple):
    """Events and definitions that were read from somewhere else than a chunk."""

    columns: Mapping[str, bytes | memoryview]
    """The values of every column, in this machine's byte order."""
    attrs: Mapping[int, str]
    remote_causes: Mapping[int, tuple[int, int]]
    entities: Mapping[int, Row]
    sites: Mapping[int, Row]
    spans: Mapping[int, Row]


class StreamData:
    """The events of one stream as columns, and its definitions.

    Attributes:
        columns: By name of ``schema.EVENTS``, plus ``seq``; all of one length, ordered
            as written, that is by ``seq`` up to the order of threads.
        attrs: JSON text by sequence number.
        remote_causes: (process, seq) by sequence number.

    Args:
        chunks: What it holds, in the order of its events.
    """

    def __init__(self, chunks: Iterable[EventChunk] = ()) -> None:
        self.columns: dict[str, Column] = {name: array(TYPECODES[width]) for name, width in WIDTHS.items()}
        self.attrs: dict[int, str] = {}
        self.entities: dict[int, Row] = {}
        self.sites: dict[int, Row] = {}
        self.spans: dict[int, Row] = {}
        self.remote_causes: dict[int, tuple[int, int]] = {}
        for chunk in chunks:
            self.add(chunk)

    def __len__(self) -> int:
        return len(self.columns["seq"])

    def add(self, chunk: EventChunk) -> None:
        """Append a chunk; definitions in it replace those of the same number.

        Arrays that look into the columns must be gone: see ``extended``.
        """
        seq = self.columns["seq"]
        for first, count, *_ in chunk.rows(schema.RANGES):
            seq.extend(range(first, first + count))
        for spec in schema.EVENTS.columns:
            self.columns[spec.name].extend(chunk.column(schema.EVENTS, spec.name))
        self.attrs.update(chunk.rows(schema.ATTRS))
        self.entities.update((row[0], row) for row in chunk.rows(schema.ENTITIES))
        self.sites.update((row[0], row) for row in chunk.rows(schema.SITES))
        self.spans.update((row[0], row) for row in chunk.rows(schema.SPANS))
        self.remote_causes.update((row[0], row[1:]) for row in chunk.rows(schema.REMOTE_CAUSES))

    def add_piece(self, piece: Piece) -> None:
        """Append events and definitions, as ``add`` does."""
        for name, column in self.columns.items():
            column.frombytes(piece.columns[name])
        self.attrs.update(piece.attrs)
        self.remote_causes.update(piece.remote_causes)
        self.entities.update(piece.entities)
        self.sites.update(piece.sites)
        self.spans.update(piece.spans)

    def extended(self, chunks: Iterable[EventChunk]) -> Self:
        """Return these events and those of *chunks*; this object stays as it is.

        A copy, because analyses look into the columns, which must not move meanwhile: at the
        speed of memory, where decoding again would take fifty times as long.
        """
        result = self.copy()
        for chunk in chunks:
            result.add(chunk)
        return result

    def copy(self) -> Self:
        """Return an object of its own with the same events and definitions."""
        result = type(self)()
        result.columns = {name: column[:] for name, column in self.columns.items()}
        result.attrs = dict(self.attrs)
        result.entities = dict(self.entities)
        result.sites = dict(self.sites)
        result.spans = dict(self.spans)
        result.remote_causes = dict(self.remote_causes)
        return result
