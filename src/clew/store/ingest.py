"""Check what was sent before any of it is stored, and cut chunks down to what is new."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from clew.format import schema
from clew.format.chunk import (
    HEADER_SIZE,
    ChunkHeader,
    ChunkType,
    decode_json,
    decode_payload,
    parse_header,
)
from clew.format.events import Definitions, EventChunk, decode_event_chunk, encode_event_chunk
from clew.format.tables import planes_of
from clew.model.errors import FormatError
from clew.store.coverage import Interval, common

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SEQ = (1 << 63) - 2
"""Databases have no unsigned numbers of 64 bits; a probe would need a century for these."""
MAX_INTERVALS = 1 << 16
"""Most gaps in one chunk: each becomes a row, so a chunk of nothing but gaps could fill a disk."""
MAX_JSON = 1 << 20
"""Most bytes in the JSON of a PROCESS or END chunk."""
_SAFE_JSON = msgspec.json.Decoder(dict[str, msgspec.Raw])


class CheckedChunk(NamedTuple):
    """A chunk that every reader can read.

    Attributes:
        header: Its header; the offset is that in the body it came in.
        body: Its bytes, header and all.
        ranges: Intervals ``(first, end)`` of its sequence numbers, ascending, none touching another.
        json: Of a PROCESS or END chunk.
    """

    header: ChunkHeader
    body: bytes
    ranges: Sequence[Interval] = ()
    json: dict[str, Any] | None = None

    @property
    def process(self) -> str:
        """The id of its process, 16 hexadecimal digits."""
        return f"{self.header.process_id:016x}"


def check_chunks(body: bytes) -> list[CheckedChunk]:
    """Parse and check the chunks of *body*.

    Args:
        body: One chunk or several, nothing before, between or after them. Chunks of types that
            this version does not know are checked for their frame alone.

    Raises:
        FormatError: Something is damaged, or claims more than it holds; nothing is to be taken.
    """
    view = memoryview(body)
    chunks: list[CheckedChunk] = []
    position = 0
    while position < len(body):
        if len(body) - position < HEADER_SIZE:
            raise _cut(position, len(body) - position)
        header = parse_header(view[position : position + HEADER_SIZE], position)
        if header.end > len(body):
            raise _cut(position, len(body) - position)
        chunks.append(_check(header, view[position : header.end]))
        position = header.end
    if not chunks:
        raise _cut(0, 0)
    return chunks


def _check(header: ChunkHeader, piece: memoryview) -> CheckedChunk:
    stored = piece[HEADER_SIZE:]
    payload = decode_payload(header, stored)
    if header.type == ChunkType.EVENTS:
        return CheckedChunk(header, bytes(piece), _check_events(decode_event_chunk(header, payload)))
    if header.type in (ChunkType.PROCESS, ChunkType.END):
        if len(payload) > MAX_JSON:
            raise _damaged(header, f"its JSON has {len(payload):,} bytes", f"at most {MAX_JSON:,}")
        return CheckedChunk(header, bytes(piece), (), _check_json(header, payload))
    return CheckedChunk(header, bytes(piece))


def _check_json(header: ChunkHeader, payload: bytes) -> dict[str, Any]:
    value = decode_json(header, payload)
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise _damaged(header, f"its JSON cannot be written again ({error})", "JSON as RFC 8259 has it") from None
    return value


def _check_events(chunk: EventChunk) -> list[Interval]:
    """Check what the format's own code leaves to whoever reads the columns."""
    for table in chunk.tables.values():
        spec = schema.TABLE_BY_NUMBER.get(table.number)
        if spec is None:
            continue
        for column in spec.columns:
            if column.holds == "string" and max(chunk.column(spec, column.name), default=0) >= len(chunk.strings):
                found = f"a row of its {spec.name} refers to a string it does not have"
                raise _damaged(chunk.header, found, f"a number below {len(chunk.strings)}")
    _check_attrs(chunk)
    return _intervals(chunk)


def _check_attrs(chunk: EventChunk) -> None:
    for number in set(chunk.column(schema.ATTRS, "json")):
        text = chunk.strings[number]
        try:
            _SAFE_JSON.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            # Python writes what msgspec refuses (NaN, half of a surrogate pair), and programs do.
            if not _is_json_object(text):
                found = f"attributes are not a JSON object: {text[:60]!r}"
                raise _damaged(chunk.header, found, "an object") from None


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _intervals(chunk: EventChunk) -> list[Interval]:
    header = chunk.header
    firsts, counts = chunk.column(schema.RANGES, "first_seq"), chunk.column(schema.RANGES, "count")
    if header.events and header.first_seq != next(itertools.compress(firsts, counts)):
        raise _damaged(header, f"its first event is not {header.first_seq}", "the number that its header has")
    merged: list[Interval] = []
    for first, count in sorted(zip(firsts, counts, strict=True)):
        if not count:
            continue
        if first == 0 or first + count > MAX_SEQ:
            raise _damaged(header, f"it has sequence number {first or first + count - 1}", f"1 to {MAX_SEQ - 1}")
        if merged and first < merged[-1][1]:
            raise _damaged(header, f"it has sequence number {first} twice", "each number once")
        if merged and first == merged[-1][1]:
            merged[-1] = (merged[-1][0], first + count)
        else:
            merged.append((first, first + count))
    if len(merged) > MAX_INTERVALS:
        raise _damaged(header, f"it has {len(merged):,} gaps", f"at most {MAX_INTERVALS:,}")
    return merged


def only(chunk: CheckedChunk, wanted: Sequence[Interval]) -> CheckedChunk:
    """Return *chunk* with the events of *wanted* alone, and with all of its definitions.

    Tables and columns of a newer minor version are lost: this one cannot cut what it does not know.

    Args:
        chunk: An EVENTS chunk.
        wanted: Intervals within its ranges, ascending.
    """
    header = chunk.header
    decoded = decode_event_chunk(header, decode_payload(header, memoryview(chunk.body)[HEADER_SIZE:]))
    pieces, ranges = _rows_of(decoded, wanted)
    planes = [
        (spec.number, [b"".join(plane[a:b] for a, b in pieces) for plane in planes_of(column)])
        for spec in schema.EVENTS.columns
        for column in (decoded.column(schema.EVENTS, spec.name),)
    ]
    definitions = Definitions(
        entities=decoded.rows(schema.ENTITIES),
        sites=decoded.rows(schema.SITES),
        spans=decoded.rows(schema.SPANS),
        attrs=[(seq, text) for seq, text in decoded.rows(schema.ATTRS)],
        remote_causes=[(seq, process, cause) for seq, process, cause in decoded.rows(schema.REMOTE_CAUSES)],
        texts=[(number, text) for number, text in decoded.rows(schema.TEXTS)],
    )
    body = encode_event_chunk(header.process_id, ranges, planes, definitions)
    return CheckedChunk(parse_header(body, header.offset), body, list(wanted))


def _rows_of(chunk: EventChunk, wanted: Sequence[Interval]) -> tuple[list[Interval], list[Interval]]:
    """Return the rows that hold *wanted*, and their sequence numbers as (first, count), in the chunk's order."""
    pieces: list[Interval] = []
    ranges: list[Interval] = []
    row = 0
    for first, count, *_ in chunk.rows(schema.RANGES):
        for low, high in common(wanted, (first, first + count)):
            pieces.append((row + low - first, row + high - first))
            ranges.append((low, high - low))
        row += count
    return pieces, ranges


def _cut(position: int, left: int) -> FormatError:
    return FormatError(
        "truncated-stream",
        f"the last {left} bytes are no whole chunk",
        "expected whole chunks, and at least one",
        "send the body again as a whole",
        offset=position,
    )


def _damaged(header: ChunkHeader, found: str, expected: str) -> FormatError:
    return FormatError(
        "damaged-chunk",
        f"the chunk that begins here is damaged: {found}",
        f"expected {expected}",
        "'clew repair' keeps the chunks that can be read",
        offset=header.offset,
    )
