"""The payload of an event chunk: strings, then tables.

Everything a chunk refers to is in it, except definitions (entities, sites, spans) that
an earlier chunk of the same stream introduced: each is written once, in the chunk that
holds the first event about it. A reader that lost that chunk shows the number instead.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from clew.format import schema
from clew.format.chunk import MAX_ROWS, ChunkHeader, ChunkType, encode_chunk
from clew.format.tables import TYPECODES, Column, EncodedTable, encode_table, parse_table, planes_of
from clew.model.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STRINGS = struct.Struct("<BBII")

Row = tuple[Any, ...]
"""A row in the order of its table's columns; strings as ``str``."""


class Strings:
    """The strings of one chunk, each stored once. Index 0 is the empty string."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {"": 0}

    def index(self, text: str) -> int:
        """Return the index of *text*, adding it if it is new."""
        return self._index.setdefault(text, len(self._index))

    def encode(self) -> bytes:
        """Encode as: head, length of each string in bytes, the UTF-8 bytes."""
        texts = [text.encode("utf-8", "backslashreplace") for text in self._index]
        lengths = array("I", map(len, texts))
        if sys.byteorder == "big":
            lengths.byteswap()
        blob = b"".join(texts)
        return _STRINGS.pack(schema.STRINGS, 0, len(texts), len(blob)) + lengths.tobytes() + blob


class Definitions(NamedTuple):
    """Rows a chunk introduces beside its events."""

    entities: Sequence[Row] = ()
    sites: Sequence[Row] = ()
    spans: Sequence[Row] = ()
    attrs: Sequence[tuple[int, str]] = ()
    remote_causes: Sequence[tuple[int, int, int]] = ()
    texts: Sequence[tuple[int, str]] = ()


def encode_event_chunk(
    process_id: int,
    ranges: Sequence[tuple[int, int]],
    event_planes: Iterable[tuple[int, Sequence[bytes]]],
    definitions: Definitions,
    *,
    level: int = 1,
) -> bytes:
    """Encode events and what they introduce as one chunk.

    Args:
        process_id: The process the events belong to.
        ranges: Runs of consecutive sequence numbers, as (first, count), ascending.
        event_planes: Byte planes of the columns of ``schema.EVENTS``, by number.
        definitions: Rows introduced here.
        level: zlib level.
    """
    strings = Strings()
    count = sum(n for _, n in ranges)
    tables = [encode_table(schema.EVENTS.number, count, event_planes)]
    for spec, rows in (
        (schema.RANGES, ranges),
        (schema.ATTRS, definitions.attrs),
        (schema.ENTITIES, definitions.entities),
        (schema.SITES, definitions.sites),
        (schema.SPANS, definitions.spans),
        (schema.REMOTE_CAUSES, definitions.remote_causes),
        (schema.TEXTS, definitions.texts),
    ):
        if rows:
            tables.append(_encode_rows(spec, rows, strings))
    payload = b"".join([strings.encode(), *tables])
    first_seq = ranges[0][0] if ranges else 0
    return encode_chunk(ChunkType.EVENTS, process_id, payload, first_seq=first_seq, count=count, level=level)


def _encode_rows(spec: schema.TableSpec, rows: Sequence[Row], strings: Strings) -> bytes:
    columns: list[tuple[int, list[bytes]]] = []
    # A chunk may hold definitions only: then it has no ranges of events.
    transposed = zip(*rows, strict=True) if rows else [()] * len(spec.columns)
    for column, values in zip(spec.columns, transposed, strict=True):
        if column.holds == "string":
            values = map(strings.index, values)
        columns.append((column.number, planes_of(array(TYPECODES[column.width], values))))
    return encode_table(spec.number, len(rows), columns)


class EventChunk(NamedTuple):
    """A parsed event chunk; columns are decoded when they are asked for."""

    header: ChunkHeader
    strings: list[str]
    tables: dict[int, EncodedTable]

    def column(self, table: schema.TableSpec, name: str) -> Column:
        """Return a column by name; zeros if the writer did not have it."""
        spec = next(column for column in table.columns if column.name == name)
        encoded = self.tables.get(table.number)
        if encoded is None:
            return array(TYPECODES[spec.width])
        column = encoded.column(spec.number)
        return array(TYPECODES[spec.width], bytes(encoded.rows * spec.width)) if column is None else column

    def rows(self, table: schema.TableSpec) -> list[Row]:
        """Return the rows of a small table, strings resolved."""
        columns: list[Iterable[Any]] = []
        for spec in table.columns:
            values = self.column(table, spec.name)
            columns.append(self._texts(values) if spec.holds == "string" else values)
        return list(zip(*columns, strict=True))

    def _texts(self, indexes: Column) -> list[str]:
        strings = self.strings
        try:
            return [strings[i] for i in indexes]
        except IndexError:
            raise _damaged(
                self.header, f"a row refers to string {max(indexes)} of {len(strings)}", "an index into its strings"
            ) from None


def decode_event_chunk(header: ChunkHeader, payload: bytes) -> EventChunk:
    """Parse the payload of an EVENTS chunk.

    Raises:
        FormatError: The payload does not hold what its heads say.
    """
    data = memoryview(payload)
    strings, position = _decode_strings(data, header)
    tables: dict[int, EncodedTable] = {}
    while position < len(data):
        table, position = parse_table(data, position, offset=header.offset)
        if table.number in tables:
            raise _damaged(header, f"table {table.number} stands twice", "each table once")
        _check_widths(table, header)
        tables[table.number] = table
    chunk = EventChunk(header, strings, tables)
    events = tables.get(schema.EVENTS.number)
    n_events = events.rows if events else 0
    ranged = sum(chunk.column(schema.RANGES, "count"))
    if not n_events == ranged == header.events:
        found = f"it has {n_events} events, {ranged} sequence numbers and {header.events} in its header"
        raise _damaged(header, found, "three equal numbers")
    return chunk


def _check_widths(table: EncodedTable, header: ChunkHeader) -> None:
    """Refuse a known column of another width: its values would mean something else."""
    spec = schema.TABLE_BY_NUMBER.get(table.number)
    for column in spec.columns if spec else ():
        width = table.width(column.number)
        if width not in (0, column.width):
            raise _damaged(header, f"column {column.name} is {width} bytes wide", f"{column.width}")


def _damaged(header: ChunkHeader, found: str, expected: str) -> FormatError:
    return FormatError(
        "damaged-chunk",
        f"the chunk that begins here is damaged: {found}",
        f"expected {expected}",
        "'clew repair' keeps the chunks that can be read",
        offset=header.offset,
    )


def _decode_strings(data: memoryview, header: ChunkHeader) -> tuple[list[str], int]:
    damaged = _damaged(header, "its strings are cut", "a head, lengths and UTF-8 bytes")
    if len(data) < _STRINGS.size:
        raise damaged
    table, _, count, blob_size = _STRINGS.unpack_from(data)
    start = _STRINGS.size
    blob_start = start + 4 * count
    if table != schema.STRINGS or count > MAX_ROWS or blob_start + blob_size > len(data):
        raise damaged
    lengths = array("I")
    lengths.frombytes(data[start:blob_start])
    if sys.byteorder == "big":
        lengths.byteswap()
    if sum(lengths) != blob_size:
        raise damaged
    texts: list[str] = []
    position = blob_start
    for length in lengths:
        texts.append(str(data[position : position + length], "utf-8", "replace"))
        position += length
    return texts, position
