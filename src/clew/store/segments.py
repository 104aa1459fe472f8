"""Segments: events of one or several processes as a few Parquet files, written once.

The encodings were measured on the bank's recording and on a synthetic million (bytes an
event of the events' file, zstd level 9): dictionaries 11.0 and 8.4; byte planes instead,
which is what Parquet's BYTE_STREAM_SPLIT makes, and causes as distances, 8.9 and 5.9. Level 15 saves a further
twentieth and takes three times as long. Statistics are kept only where readers can skip by
them; the Arrow schema is not repeated in each footer.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow carries no types.

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clew.store.stream_tables import SCHEMAS, Tables, signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from clew.store.blobs import Blobs

FOLDER = "segments"
ROW_GROUP_ROWS = 65_536
"""Readers skip whole groups: 10,000 events of ten million lie in one or two of this size."""
COMPRESSION_LEVEL = 9
_SKIPPED_BY = ("process", "seq", "id")
_DELTAS = ("seq", "t_ns", "first_seq", "last_seq", "id")
_DICTIONARIES = ("process",)


class WrittenSegment(NamedTuple):
    """A segment whose files are written, and which the catalog may now name."""

    key: str
    files: dict[str, int]
    """Size in bytes by table; tables without rows have no file."""
    events: int

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(self.files.values())


def new_key(now_ns: int | None = None) -> str:
    """Return the key of a new segment: its time, so that left-over files tell their age, and chance."""
    return f"{(time.time_ns() if now_ns is None else now_ns) // 1_000_000:012x}-{secrets.token_hex(6)}"


def path_of(key: str, table: str) -> str:
    """Return the blob that holds a table of a segment."""
    return f"{FOLDER}/{key}/{table}.parquet"


def write_segment(blobs: Blobs, key: str, tables: Tables) -> WrittenSegment:
    """Write the files of a segment; they are durable when this returns.

    Args:
        blobs: Where to.
        key: Of ``new_key``.
        tables: Of ``SCHEMAS``: rows of one process stand together, in the order of their events.
    """
    files: dict[str, int] = {}
    for name, table in tables.items():
        if len(table):
            data = encode_table(table)
            blobs.put(path_of(key, name), data)
            files[name] = len(data)
    return WrittenSegment(key, files, len(tables["events"]))


def encode_table(table: Any) -> bytes:
    """Encode one table as a Parquet file."""
    sink = pa.BufferOutputStream()
    encodings: dict[str, str] = {}
    dictionaries = list(_DICTIONARIES)
    for field in table.schema:
        if field.name in _DELTAS:
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_integer(field.type) and field.name not in _DICTIONARIES:
            encodings[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_string(field.type):
            dictionaries.append(field.name)
    options: dict[str, Any] = {
        "use_dictionary": dictionaries,
        "write_statistics": [name for name in _SKIPPED_BY if name in table.schema.names],
    }
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        column_encoding=encodings,
        store_schema=False,
        **options,
    )
    return sink.getvalue().to_pybytes()


def read_segment(blobs: Blobs, key: str, files: Mapping[str, int], process_ids: Sequence[int] | None = None) -> Tables:
    """Read the tables of a segment.

    Args:
        blobs: Where it stands.
        key: Its key.
        files: Its tables, as the catalog lists them; others are empty.
        process_ids: Only rows of these; None for all.
    """
    return {name: _read(blobs, key, name, process_ids) if name in files else empty(name) for name in SCHEMAS}


def empty(name: str) -> Any:
    """Return a table of ``SCHEMAS`` without rows."""
    return SCHEMAS[name].empty_table()


def _read(blobs: Blobs, key: str, name: str, process_ids: Sequence[int] | None) -> Any:
    path = blobs.path(path_of(key, name))
    source = pa.BufferReader(blobs.get(path_of(key, name))) if path is None else _opened(path, blobs, key, name)
    with pq.ParquetFile(source) as file:
        if process_ids is None:
            return file.read().cast(SCHEMAS[name])
        wanted = {signed(number) for number in process_ids}
        groups = [i for i in range(file.num_row_groups) if _may_hold(file.metadata.row_group(i), wanted)]
        table = file.read_row_groups(groups).cast(SCHEMAS[name])
    keep = pc.is_in(table["process"], pa.array(sorted(wanted), pa.int64()))
    return table if pc.all(keep).as_py() is not False else table.filter(keep)


def _opened(path: Path, blobs: Blobs, key: str, name: str) -> Any:
    if path.exists():
        return str(path)
    blobs.size(path_of(key, name))  # raises what the store says of a file that is missing
    return str(path)


def _may_hold(group: Any, wanted: Iterable[int]) -> bool:
    statistics = group.column(0).statistics
    return statistics is None or any(statistics.min <= process <= statistics.max for process in wanted)
