"""Mend a recording: save what a killed process left in its ring, drop what is damaged.

Repairing never touches what can be read. A stream with a cut tail is truncated to its
last whole chunk; a stream with damage in the middle is rewritten without the damaged
chunks, beside the original, which keeps the suffix ``.damaged``.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from clew.format import ring
from clew.format.chunk import HEADER_SIZE, ChunkHeader, ChunkType
from clew.format.collector import rings_of
from clew.format.drain import Drain, resume_stream
from clew.format.reader import Stream, open_recording
from clew.model.errors import ClewError, FormatError


class StreamRepair(NamedTuple):
    """What was done to one stream."""

    path: Path
    kept_events: int
    cut_at: int | None
    """Byte offset from which the tail was removed, or None."""
    cut_bytes: int
    damage: list[FormatError]
    saved_events: int
    """Events that came out of the ring the process left behind."""


def repair(path: str | Path) -> list[StreamRepair]:
    """Mend every stream of the recording at *path*.

    Raises:
        FormatError: There is no recording at *path*, nothing of it can be read, or a
            process still writes it.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if folder.is_dir() and ring.is_collected(str(folder)):
        raise _still_recording(f"another process still writes {folder}")
    saved = _save_rings(folder) if path.is_dir() else []
    try:
        recording = open_recording(path, tolerant=True)
    except FormatError:
        if not saved:
            raise
        return saved
    done = {report.path for report in saved}
    return saved + [repair_stream(stream) for stream in recording.streams if stream.path not in done]


def _save_rings(folder: Path) -> list[StreamRepair]:
    """Write the streams of processes whose ring was left behind before anything was written."""
    saved: list[StreamRepair] = []
    for path in rings_of(folder):
        try:
            drain = Drain(path, folder)
        except (OSError, ClewError):
            continue
        try:
            Stream(drain.stream_path, tolerant=True)
        except (FileNotFoundError, FormatError):
            _refuse_if_alive(drain)
            resume_stream(drain)
            drain.finish()
            saved.append(StreamRepair(drain.stream_path, 0, None, 0, [], drain.events))
        else:
            drain.close()
    return saved


def _refuse_if_alive(drain: Drain) -> None:
    if drain.is_owner_alive():
        drain.close()
        raise _still_recording(f"process {drain.pid} still writes {drain.stream_path}")


def _still_recording(found: str) -> FormatError:
    return FormatError(
        "still-recording",
        found,
        "expected a recording whose processes have ended",
        "stop the process first, or read the recording as it is",
        offset=0,
    )


def repair_stream(stream: Stream) -> StreamRepair:
    """Mend one stream, which must have been opened with ``tolerant=True``."""
    drain = drain_of(stream)
    if drain is not None:
        _refuse_if_alive(drain)
    kept = [header for header in stream.headers if _is_readable(stream, header)]
    kept_events = sum(header.events for header in kept if header.type == ChunkType.EVENTS)
    end = kept[-1].end if kept else 0
    has_holes = any(a.end != b.offset for a, b in pairwise(kept))
    cut_at, cut_bytes = None, 0
    if has_holes or any(error.offset < end for error in stream.damage):
        _rewrite(stream, kept)
    elif end < stream.size:
        cut_at, cut_bytes = end, stream.size - end
        os.truncate(stream.path, end)
    saved = 0
    if drain is not None:
        resume_stream(drain)
        drain.finish()
        saved = drain.events - kept_events
    return StreamRepair(stream.path, kept_events, cut_at, cut_bytes, stream.damage, saved)


def drain_of(stream: Stream) -> Drain | None:
    """Return a drain for the ring that *stream* names, if it is there and belongs to it."""
    path = stream.process.get("ring")
    if not isinstance(path, str):
        return None
    try:
        drain = Drain(Path(path), stream.path.parent)
    except (OSError, ClewError):
        return None
    return drain if drain.process_id == stream.process_id else None


def _is_readable(stream: Stream, header: ChunkHeader) -> bool:
    try:
        stream.payload(header)
    except FormatError as error:
        if all(error.offset != known.offset for known in stream.damage):
            stream.damage.append(error)
        return False
    return True


def _rewrite(stream: Stream, kept: list[ChunkHeader]) -> None:
    """Write the readable chunks to a new file, then put it in the place of the old one."""
    mended = stream.path.with_name(stream.path.name + ".mended")
    with stream.path.open("rb") as source, mended.open("wb") as target:
        for header in kept:
            source.seek(header.offset)
            target.write(source.read(HEADER_SIZE + header.stored))
        target.flush()
        os.fsync(target.fileno())
    stream.path.rename(stream.path.with_name(stream.path.name + ".damaged"))
    mended.rename(stream.path)
