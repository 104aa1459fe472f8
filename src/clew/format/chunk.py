"""The frame of a chunk: header, checksums, compression, and the limits a reader keeps.

Layout of the 48 header bytes, little-endian: magic ``CLEW``; major and minor version
and type and compression (one byte each); process id; first sequence number; event
count; stored size; raw size; CRC-32 of the stored payload; a reserved word; CRC-32 of
the 44 bytes before. The header has its own checksum so that a size is only believed
when it was written that way.
"""

from __future__ import annotations

import json
import struct
import zlib
from enum import IntEnum
from typing import Any, NamedTuple, cast

from clew.model.errors import FormatError

MAGIC = b"CLEW"
MAJOR = 1
MINOR = 0
HEADER = struct.Struct("<4sBBBBQQIIIIII")
HEADER_SIZE = HEADER.size

MAX_RAW = 64 << 20
"""Most uncompressed bytes in a chunk."""
MAX_ROWS = 1 << 20
"""Most rows in a table of a chunk."""
MAX_RATIO = 64
"""Most uncompressed bytes a stored byte may stand for. A writer that compresses better
than this stores the payload as it is, so that a small hostile file cannot claim to be a
large one: real recordings stay under 10."""


class ChunkType(IntEnum):
    """What a chunk holds."""

    PROCESS = 1
    EVENTS = 2
    END = 3


class Compression(IntEnum):
    """How a payload is stored."""

    NONE = 0
    ZLIB = 1


class ChunkHeader(NamedTuple):
    """A parsed header and where it stands."""

    offset: int
    minor: int
    type: int
    compression: int
    process_id: int
    first_seq: int
    events: int
    stored: int
    raw: int
    payload_crc: int

    @property
    def end(self) -> int:
        """Byte offset just after the chunk."""
        return self.offset + HEADER_SIZE + self.stored


def encode_chunk(
    type: ChunkType, process_id: int, payload: bytes, *, first_seq: int = 0, count: int = 0, level: int = 1
) -> bytes:
    """Frame *payload* as one chunk.

    Args:
        type: What the chunk holds.
        process_id: The process it belongs to.
        payload: Uncompressed payload, at most ``MAX_RAW`` bytes.
        first_seq: Sequence number of its first event.
        count: How many events it holds.
        level: zlib level; 0 stores the payload as it is.
    """
    stored, compression = payload, Compression.NONE
    if level:
        packed = zlib.compress(payload, level)
        if len(packed) < len(payload) <= len(packed) * MAX_RATIO:
            stored, compression = packed, Compression.ZLIB
    head = HEADER.pack(
        MAGIC,
        MAJOR,
        MINOR,
        type,
        compression,
        process_id,
        first_seq,
        count,
        len(stored),
        len(payload),
        zlib.crc32(stored),
        0,
        0,
    )[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + stored


def encode_json_chunk(type: ChunkType, process_id: int, value: dict[str, Any], *, first_seq: int = 0) -> bytes:
    """Frame a PROCESS or END chunk, whose payload is one JSON object."""
    payload = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return encode_chunk(type, process_id, payload, first_seq=first_seq, level=0)


def parse_header(data: bytes | memoryview, offset: int) -> ChunkHeader:
    """Parse the header that begins *data*.

    Args:
        data: At least ``HEADER_SIZE`` bytes.
        offset: Where it stands in the file.

    Raises:
        FormatError: Not a chunk, damaged, or of a newer major version.
    """
    magic, major, minor, type_, compression, process_id, first_seq, count, stored, raw, payload_crc, _, header_crc = (
        HEADER.unpack_from(data)
    )
    if magic != MAGIC:
        raise FormatError(
            "not-a-chunk",
            f"found {bytes(magic)!r} where a chunk begins",
            f"expected {MAGIC!r}",
            "'clew repair' keeps the chunks that can be read",
            offset=offset,
        )
    if major != MAJOR:
        raise FormatError(
            "newer-recording" if major > MAJOR else "older-recording",
            f"the chunk has format version {major}.{minor}",
            f"this clew reads version {MAJOR}",
            "read it with the clew that wrote it, or a newer one",
            offset=offset,
        )
    if header_crc != zlib.crc32(bytes(data[: HEADER_SIZE - 4])):
        raise _damaged_header("its checksum does not fit", offset)
    if raw > MAX_RAW or count > MAX_ROWS or raw > max(stored, 1) * MAX_RATIO:
        raise _damaged_header(f"it claims {count} events and {raw} bytes in {stored} stored ones", offset)
    return ChunkHeader(offset, minor, type_, compression, process_id, first_seq, count, stored, raw, payload_crc)


def decode_payload(header: ChunkHeader, stored: bytes | memoryview) -> bytes:
    """Check and decompress the payload of *header*.

    Raises:
        FormatError: The checksum, the size or the compression does not fit.
    """
    offset = header.offset
    if zlib.crc32(stored) != header.payload_crc:
        raise FormatError(
            "damaged-chunk",
            "the checksum of the chunk that begins here does not fit its bytes",
            f"expected CRC-32 {header.payload_crc:08x}",
            "'clew repair' keeps the chunks that can be read",
            offset=offset,
        )
    if header.compression == Compression.NONE:
        raw = bytes(stored)
    elif header.compression == Compression.ZLIB:
        try:
            raw = zlib.decompressobj().decompress(stored, header.raw + 1)
        except zlib.error as error:
            raise _damaged_header(f"its payload does not decompress ({error})", offset) from None
    else:
        raise _damaged_header(f"it has compression {header.compression}", offset)
    if len(raw) != header.raw:
        raise _damaged_header(f"its payload has {len(raw)} bytes instead of {header.raw}", offset)
    return raw


def decode_json(header: ChunkHeader, payload: bytes) -> dict[str, Any]:
    """Parse the JSON object of a PROCESS or END chunk.

    Raises:
        FormatError: The payload is not a JSON object.
    """
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _damaged_header(f"its JSON does not parse ({error})", header.offset) from None
    if not isinstance(value, dict):
        raise _damaged_header("its JSON is not an object", header.offset)
    return cast("dict[str, Any]", value)


def _damaged_header(found: str, offset: int) -> FormatError:
    return FormatError(
        "damaged-chunk",
        f"the chunk that begins here is damaged: {found}",
        "expected a chunk as docs/format.md describes it",
        "'clew repair' keeps the chunks that can be read",
        offset=offset,
    )
