"""Write a recording that did not come out of a ring.

The folder appears whole or not at all: it is made beside its final place under a name of
its own, and renamed when everything is written.
"""

from __future__ import annotations

import shutil
import tempfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from clew.format import schema
from clew.format.chunk import ChunkType, encode_json_chunk
from clew.format.events import Definitions, encode_event_chunk
from clew.format.reader import STREAM_SUFFIX
from clew.format.tables import TYPECODES, Column, planes_of
from clew.model.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from clew.format.events import Row

CHUNK_EVENTS = 32_768
CHUNK_ROWS = 16_384
CHUNK_BYTES = 16 << 20
"""Most bytes of strings gathered before a chunk is written; a chunk may hold 64 MiB."""


class StreamContent(NamedTuple):
    """What is to stand in one stream."""

    process_id: int
    head: dict[str, Any]
    columns: Mapping[str, Column]
    """``seq`` and the columns of ``schema.EVENTS``, ascending by ``seq``, no ``seq`` twice."""
    attrs: Mapping[int, str]
    remote_causes: Mapping[int, tuple[int, int]]
    definitions: Mapping[str, Sequence[Row]]
    """Rows by name of their table: ``sites``, ``entities``, ``spans``."""
    end: dict[str, Any] | None


class RecordingWriter:
    """Writes a new recording folder; a context manager.

    Leaving it without an exception puts the folder in its place; with one, nothing is left.

    Args:
        folder: Where it is to be; its parents are made.

    Raises:
        UsageError: Something is there already, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.exists():
            raise _exists(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError as error:
            raise _not_writable(folder, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._partial.rename(self.folder)
                return
            except OSError as problem:
                error = problem
        shutil.rmtree(self._partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise (_exists(self.folder) if self.folder.exists() else _not_writable(self.folder, error)) from None

    def write(self, content: StreamContent) -> None:
        """Write the stream of one process."""
        process_id = content.process_id
        with (self._partial / f"{process_id:016x}{STREAM_SUFFIX}").open("xb") as file:
            file.write(encode_json_chunk(ChunkType.PROCESS, process_id, content.head))
            for name, rows in content.definitions.items():
                for piece in _pieces(rows):
                    file.write(
                        encode_event_chunk(process_id, [], _planes(content.columns, 0, 0), Definitions(**{name: piece}))
                    )
            start = 0
            for end in _chunk_ends(content):
                file.write(_event_chunk(content, start, end))
                start = end
            if content.end is not None:
                file.write(encode_json_chunk(ChunkType.END, process_id, content.end))


def _pieces(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut *rows* so that each piece fits a chunk."""
    start, size = 0, 0
    for i, row in enumerate(rows):
        size += sum(len(value) for value in row if isinstance(value, str))
        if i - start >= CHUNK_ROWS or size > CHUNK_BYTES:
            if i > start:
                yield rows[start:i]
            start, size = i, 0
    if start < len(rows):
        yield rows[start:]


def _chunk_ends(content: StreamContent) -> Iterator[int]:
    """Yield the row after the last one of each chunk."""
    seqs, attrs = content.columns["seq"], content.attrs
    start, size = 0, 0
    for i, seq in enumerate(seqs):
        size += len(attrs.get(seq, ""))
        if i - start >= CHUNK_EVENTS or (size > CHUNK_BYTES and i > start):
            yield i
            start, size = i, len(attrs.get(seq, ""))
    if start < len(seqs):
        yield len(seqs)


def _event_chunk(content: StreamContent, start: int, end: int) -> bytes:
    seqs = content.columns["seq"][start:end]
    attrs = [(seq, content.attrs[seq]) for seq in seqs if seq in content.attrs]
    remote = [(seq, *content.remote_causes[seq]) for seq in seqs if seq in content.remote_causes]
    return encode_event_chunk(
        content.process_id,
        _ranges(seqs),
        _planes(content.columns, start, end),
        Definitions(attrs=attrs, remote_causes=remote),
    )


def _ranges(seqs: Column) -> list[tuple[int, int]]:
    """Return the runs of consecutive numbers in *seqs*, as (first, count)."""
    ranges: list[tuple[int, int]] = []
    first = previous = seqs[0]
    for seq in seqs[1:]:
        if seq != previous + 1:
            ranges.append((first, previous - first + 1))
            first = seq
        previous = seq
    ranges.append((first, previous - first + 1))
    return ranges


def _planes(columns: Mapping[str, Column], start: int, end: int) -> list[tuple[int, list[bytes]]]:
    return [(spec.number, planes_of(columns[spec.name][start:end])) for spec in schema.EVENTS.columns]


def empty_columns() -> dict[str, Column]:
    """Return columns without events, to be appended to."""
    widths = {"seq": 8} | {spec.name: spec.width for spec in schema.EVENTS.columns}
    return {name: array(TYPECODES[width]) for name, width in widths.items()}


def _exists(folder: Path) -> UsageError:
    return UsageError("output-exists", f"{folder} exists", "expected a new folder", "choose another name, or remove it")


def _not_writable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        "output-not-writable",
        f"{folder} cannot be written ({error.strerror or error})",
        "expected a place that can be written to",
        "choose another with -o",
    )
