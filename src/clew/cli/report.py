"""The findings of a recording as one JSON document, ``clew.findings/1``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clew.analysis.findings import unhandled_errors
from clew.format.reader import open_recording
from clew.model.errors import ClewError

if TYPE_CHECKING:
    from clew.format.reader import Recording, Stream
    from clew.model.findings import Finding

LOOKED_FOR = ("unhandled-error",)
"""The kinds of findings this version can have."""


def timestamp(ns: int) -> str:
    """Write a Unix time as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns % 10**9 // 1000:06}Z"


def findings_of(folder: Path | None) -> tuple[Recording | None, list[Finding]]:
    """Return a recording and what was found in it; None where there is none that can be read."""
    if folder is None:
        return None, []
    try:
        recording = open_recording(folder)
        return recording, unhandled_errors(recording)
    except ClewError:
        return None, []


def findings_json(recording: Recording | None, findings: list[Finding]) -> dict[str, Any]:
    """Return the document; its schema is fixed, additions aside."""
    return {
        "schema": "clew.findings/1",
        "recording": _recording_json(recording) if recording is not None else None,
        "coverage": {
            "looked_for": list(LOOKED_FOR),
            "processes": [_coverage(stream) for stream in recording.streams] if recording is not None else [],
        },
        "findings": [finding.to_json() for finding in findings],
    }


def write_report(path: str, recording: Recording | None, findings: list[Finding]) -> str:
    """Write the document to *path*; return what went wrong, in clew's one error shape, or nothing."""
    try:
        Path(path).write_text(json.dumps(findings_json(recording, findings), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        return f"clew: the report {path} cannot be written ({error.strerror}); expected a file in a folder that exists; name another one [output-not-writable]\n"
    return ""


def _recording_json(recording: Recording) -> dict[str, Any]:
    streams = recording.streams
    first = streams[0]
    starts = [_wall(stream, min(stream.data.columns["t_ns"])) for stream in streams if len(stream.data)]
    ends = [_wall(stream, max(stream.data.columns["t_ns"])) for stream in streams if len(stream.data)]
    return {
        "id": first.id,
        "path": str(recording.path),
        "service": str(first.process.get("service") or first.path.stem),
        "started_at": timestamp(min(starts, default=0)),
        "duration_ns": max(ends, default=0) - min(starts, default=0),
        "events": sum(len(stream.data) for stream in streams),
        "dropped": sum(_dropped(stream) for stream in streams),
        "bytes": recording.size,
        "complete": "complete" if all(_state(stream) == "ended" for stream in streams) else "cut",
    }


def _wall(stream: Stream, monotonic_ns: int) -> int:
    """Return the Unix time of a moment of a process."""
    wall, monotonic = stream.process.get("wall_ns"), stream.process.get("monotonic_ns")
    return monotonic_ns + (wall - monotonic if type(wall) is int and type(monotonic) is int else 0)


def _coverage(stream: Stream) -> dict[str, Any]:
    return {
        "process": stream.id,
        "pid": stream.process.get("pid"),
        "service": stream.process.get("service"),
        "state": _state(stream),
        "events": len(stream.data),
        "dropped": _dropped(stream),
        "hooks_off": (stream.end or {}).get("problems", {}),
    }


def _state(stream: Stream) -> str:
    if stream.end is None:
        return "running"
    return "ended" if stream.end.get("reason") == "exit" and stream.cut is None else "cut"


def _dropped(stream: Stream) -> int:
    dropped = (stream.end or {}).get("dropped", 0)
    return dropped if type(dropped) is int else 0
