"""Parts of runs of recorded programs: put together they are what ``clew show`` tells."""

from __future__ import annotations

from typing import Any

from conftest import Record
from test_http_services import SERVICES

from clew.analysis.run_parts import RunPart, merge, parts_of
from clew.analysis.runs import runs_of
from clew.analysis.timeline import ProcessTimeline, timelines_of
from clew.format.clocks import wall_offset


def test_runs_over_several_processes_are_those_of_the_whole_recording(record: Record) -> None:
    """Two services of which one calls the other, and who asks them: each row is the same from parts."""
    recorded = record(SERVICES)
    assert recorded.returncode == 0, recorded.stderr
    streams = recorded.recording.streams

    parts: dict[str, list[RunPart]] = {}
    for stream in streams:
        for part in parts_of(ProcessTimeline(stream, wall_offset(stream.process))):
            parts.setdefault(part.run, []).append(part)
    heads = {stream.id: stream.process for stream in streams}
    whole = {run: merge(found, heads) for run, found in parts.items()}
    found = sorted(
        (run.id, run.name, run.service, run.process, run.status, run.entry, run.duration_ns, run.events, run.errors, run.spans)
        for run in whole.values()
    )  # fmt: skip

    expected: list[tuple[Any, ...]] = [
        (run.id, run.name, run.service, run.process, run.status, run.entry, run.duration_ns, run.events, run.errors, len(run.spans))
        for run in runs_of(timelines_of(recorded.recording))
    ]  # fmt: skip
    assert found == sorted(expected)
    assert sorted((run.name, run.services) for run in whole.values() if len(run.processes) > 1) == [
        (f"GET /outer/{n}", ("a", "b")) for n in range(3)
    ]
