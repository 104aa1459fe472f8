"""Parts of runs: put together they are the runs of the whole recording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic import write_recording
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.recordings import START_NS, WALL_NS, Process, write

from clew.analysis.run_parts import MAX_TOPS, RunPart, WholeRun, merge, parts_of
from clew.analysis.runs import Run, runs_of
from clew.analysis.timeline import ProcessTimeline, timelines_of
from clew.format.clocks import wall_offset
from clew.format.reader import Recording, open_recording
from clew.model.kinds import EventKind, Outcome, SpanKind, SpanRole

K = EventKind


def merged(recording: Recording) -> dict[str, WholeRun]:
    """The runs of a recording, from parts that were written down and read again, one process at a time."""
    parts: dict[str, list[RunPart]] = {}
    for stream in reversed(recording.streams):
        for part in parts_of(ProcessTimeline(stream, wall_offset(stream.process))):
            again = RunPart.from_json(part.run, part.process, json.loads(json.dumps(part.to_json())))
            assert again is not None
            parts.setdefault(part.run, []).append(again)
    heads = {stream.id: stream.process for stream in recording.streams}
    return {run: merge(found, heads) for run, found in parts.items()}


def told(run: Run) -> tuple[Any, ...]:
    return (
        run.id, run.name, run.service, run.process, run.status, run.entry, run.duration_ns, run.events, run.errors,
        len(run.spans),
    )  # fmt: skip


def told_by_parts(run: WholeRun) -> tuple[Any, ...]:
    return (
        run.id, run.name, run.service, run.process, run.status, run.entry, run.duration_ns, run.events, run.errors,
        run.spans,
    )  # fmt: skip


def assert_same(recording: Recording) -> dict[str, WholeRun]:
    found = merged(recording)
    runs = runs_of(timelines_of(recording))
    assert [told(run) for run in runs] == [told_by_parts(found[run.id]) for run in runs]
    assert len(runs) == len(found)
    return found


def span(process: Process, at_us: float, name: str, *, until_us: float | None = None, **more: Any) -> int:
    """A span that begins, and ends if it is said when."""
    number = process.span(name, **more)
    process.event(at_us, K.LIFE_SPAN_START, process.main, span=number)
    if until_us is not None:
        process.event(until_us, K.LIFE_SPAN_END, process.main, span=number, outcome=Outcome.OK)
    return number


def test_parts_of_a_simulated_server_make_its_runs(tmp_path: Path) -> None:
    """Thousands of runs in several processes are the same by parts as all at once."""
    write_recording(tmp_path / "made.clew", 20_000, processes=3)

    found = assert_same(open_recording(tmp_path / "made.clew"))

    assert len(found) > 500


def test_a_run_begins_in_the_process_that_nobody_called(tmp_path: Path) -> None:
    """The root is the span without a recorded parent, even where another clock says that its child was earlier."""
    caller, callee = Process(0xA1, service="shop"), Process(0xB2, service="bank", host="there")
    callee.head["wall_ns"] -= 5_000_000
    span(caller, 0, "buy", span_id=71, until_us=900)
    span(callee, 100, "POST /pay", span_id=72, parent_span_id=71, kind=SpanKind.SERVER, until_us=500)

    (run,) = assert_same(open_recording(write(tmp_path / "made.clew", caller, callee))).values()

    assert (run.name, run.services, run.health) == ("buy", ("bank", "shop"), ())
    assert run.started_ns == WALL_NS


def test_times_of_a_run_are_times_of_day(tmp_path: Path) -> None:
    """What is recorded on the monotonic clock is told on the wall clock."""
    process = Process()
    span(process, 1500, "work", until_us=2500)

    (run,) = merged(open_recording(write(tmp_path / "made.clew", process))).values()

    assert (run.started_ns, run.duration_ns) == (WALL_NS + 1_500_000, 1_000_000)


def test_of_many_tops_only_those_that_can_open_the_run_are_kept(tmp_path: Path) -> None:
    """A service that answers a thousand requests of one run keeps a few of its spans."""
    process = Process()
    for i in range(1000):
        span(process, i, "GET /", span_id=1000 + i, parent_span_id=5000 + i, kind=SpanKind.SERVER, until_us=i + 0.5)

    (stream,) = open_recording(write(tmp_path / "made.clew", process)).streams
    (part,) = parts_of(ProcessTimeline(stream, wall_offset(stream.process)))

    assert (len(part.tops), part.spans, len(part.span_ids)) == (MAX_TOPS, 1000, 1000)


@pytest.mark.parametrize(
    ("end", "reasons"),
    [
        ({"reason": "exit"}, []),
        ({"reason": "signal", "signal": "SIGKILL"}, ["process-cut"]),
        ({"reason": "exit", "problems": {"asyncio": "boom"}}, ["hooks-off"]),
        (None, []),
    ],
)
def test_health_tells_how_the_process_ended(tmp_path: Path, end: dict[str, Any] | None, reasons: list[str]) -> None:
    """A killed process and hooks that were switched off are told; one that runs is not ill."""
    process = Process()
    process.end = end
    span(process, 0, "open")

    (run,) = merged(open_recording(write(tmp_path / "made.clew", process))).values()

    assert [reason["reason"] for reason in run.health] == reasons
    assert run.status == ("running" if end is None else "lost")


def test_health_names_events_lost_during_the_run_only(tmp_path: Path) -> None:
    """Of two runs the one that was open when events were dropped is incomplete."""
    process = Process()
    span(process, 0, "before", trace=1, until_us=10)
    span(process, 20, "during", trace=2, until_us=50)
    lost = {"from_ns": START_NS + 30_000, "to_ns": START_NS + 40_000}
    process.event(40, K.GAP_DROPPED, process.main, arg=7, attrs=lost)

    recording = open_recording(write(tmp_path / "made.clew", process))
    runs = {run.name: run.health for run in merged(recording).values()}

    assert runs["before"] == ()
    assert runs["during"] == (
        {
            "reason": "dropped-events",
            "text": "7 events of bank came faster than they could be written, and are missing",
        },
    )


def test_health_tells_what_is_not_recorded(tmp_path: Path) -> None:
    """A caller that is not recorded, and definitions that never came, are told."""
    process = Process()
    work = span(process, 0, "work", parent_span_id=99, until_us=10)
    process.event(5, K.CUSTOM_EVENT, process.main, span=work, entity=4711)

    (run,) = merged(open_recording(write(tmp_path / "made.clew", process))).values()

    assert [reason["reason"] for reason in run.health] == ["definitions-missing", "parent-not-recorded"]


def test_a_document_of_another_version_is_not_read() -> None:
    """It is worked out again instead."""
    assert RunPart.from_json("1" * 32, "a" * 16, {"v": 99}) is None


Spec = tuple[int, int, int, int, bool]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 50), st.integers(1, 12), st.integers(0, 14), st.booleans()),
        min_size=1,
        max_size=14,
        unique_by=lambda spec: spec[2],
    )
)
def test_parts_of_any_spans_make_the_same_runs(tmp_path_factory: pytest.TempPathFactory, specs: Sequence[Spec]) -> None:
    """Whichever spans lie in which process with whichever parents, even in circles: the run is the same."""
    processes = [Process(0xA1 + i, service=f"s{i}") for i in range(3)]
    for where, at, span_id, parent, is_run in sorted(specs, key=lambda spec: spec[1]):
        role = SpanRole.RUN if is_run else SpanRole.STEP
        span(processes[where], at, f"n{span_id}", span_id=span_id, parent_span_id=parent, role=role, until_us=at + 1)

    assert_same(open_recording(write(tmp_path_factory.mktemp("any") / "made.clew", *processes)))
