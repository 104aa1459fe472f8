"""A recording for speedscope, as JSON in its own file format.

Function calls make the best flame graph, sampled stacks the next best. Where neither was
recorded there are still the steps: one profile a thread, in which a task's step lies in
the runs and spans it worked for, so that «left heavy» shows what the loop's time went to.

Source: jlfwong/speedscope, src/lib/file-format-spec.ts.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.analysis.timeline import timelines_of
from clew.convert.speedscope_profile import Frames, Profile
from clew.convert.speedscope_steps import step_profiles
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from clew.analysis.timeline import ProcessTimeline
    from clew.format.reader import Recording

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
CALLS, SAMPLES, STEPS = "calls", "samples", "steps"
_MARKS = {CALLS: (EventKind.LIFE_CALL_START, EventKind.LIFE_CALL_END), SAMPLES: (EventKind.LIFE_SAMPLE,)}


def source_of(recording: Recording) -> str:
    """Return what the profiles of *recording* are made from: ``calls``, ``samples`` or ``steps``."""
    for source, kinds in _MARKS.items():
        for stream in recording.streams:
            if np.isin(np.asarray(stream.data.columns["kind"]), kinds).any():
                return source
    return STEPS


def profiles_of(recording: Recording, progress: Callable[[int], None] = lambda profiles: None) -> Iterator[str]:
    """Yield the text of the file, piece by piece.

    Args:
        recording: What to draw.
        progress: Called with 1 after each profile.
    """
    make = {CALLS: _call_profiles, SAMPLES: _sample_profiles, STEPS: step_profiles}[source_of(recording)]
    frames = Frames()
    name = json.dumps(recording.path.name)
    yield f'{{"$schema":"{SCHEMA}","exporter":"clew","name":{name},"activeProfileIndex":0,"profiles":[\n'
    separator = ""
    for timeline in timelines_of(recording):
        for profile in make(timeline, frames):
            yield separator
            yield from profile
            separator = ",\n"
            progress(1)
    yield f'\n],"shared":{{"frames":{frames.encode()}}}}}\n'


def _by_scope(timeline: ProcessTimeline, kinds: tuple[EventKind, ...]) -> Iterator[tuple[int, list[int]]]:
    """Yield scopes with their rows of some kinds, in order of their first one."""
    columns = timeline.columns
    scopes: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(columns["kind"], kinds)).tolist():
        scopes.setdefault(int(columns["scope"][row]), []).append(row)
    yield from scopes.items()


def _title(timeline: ProcessTimeline, scope: int) -> str:
    return f"{timeline.service} · {timeline.name_of(scope)}"


def _call_profiles(timeline: ProcessTimeline, frames: Frames) -> Iterator[Iterable[str]]:
    calls, shift = timeline.calls, timeline.shift_ns
    scopes: dict[int, list[int]] = {}
    for call, scope in enumerate(calls.scope.tolist()):
        scopes.setdefault(scope, []).append(call)
    sites = timeline.columns["site"]
    for scope, of_scope in scopes.items():
        profile = Profile(_title(timeline, scope), int(calls.start_ns[of_scope[0]]) + shift)
        ends: list[int | None] = []
        for call in of_scope:
            start = int(calls.start_ns[call]) + shift
            _close(profile, ends, start)
            profile.open(frames.of_site(timeline, int(sites[calls.start_rows[call]])), start)
            ends.append(int(calls.end_ns[call]) + shift if calls.has_ended[call] else None)
        _close(profile, ends, None)
        yield profile.encode()


def _close(profile: Profile, ends: list[int | None], now: int | None) -> None:
    """Close the calls that ended until *now* (None: at any time); *ends* is what the stack is of."""
    while ends:
        end = ends[-1]
        if end is None or (now is not None and end > now):
            return
        ends.pop()
        profile.close(end, down_to=len(ends))


def _sample_profiles(timeline: ProcessTimeline, frames: Frames) -> Iterator[Iterable[str]]:
    columns, shift = timeline.columns, timeline.shift_ns
    for scope, rows in _by_scope(timeline, _MARKS[SAMPLES]):
        rows.sort(key=lambda row: int(columns["t_ns"][row]))
        times = [int(columns["t_ns"][row]) + shift for row in rows]
        weights = [int(columns["arg"][row]) for row in rows]
        if not any(weights):
            # Recorded by something that does not say it: the time until the next one,
            # and for the last as long as usual.
            weights = [b - a for a, b in pairwise(times)]
            weights.append(sorted(weights)[len(weights) // 2] if weights else 1)
        stacks = [_stack_of(timeline, row, frames) for row in rows]
        head = {"type": "sampled", "name": _title(timeline, scope), "unit": "nanoseconds"}
        bounds = {"startValue": times[0], "endValue": times[0] + sum(weights)}
        yield [json.dumps(head | bounds | {"samples": stacks, "weights": weights}, separators=(",", ":"))]


def _stack_of(timeline: ProcessTimeline, row: int, frames: Frames) -> list[int]:
    """Return the frames of a sample, outermost first."""
    text = timeline.data.attrs.get(int(timeline.columns["seq"][row]), "")
    try:
        stack = json.loads(text).get("stack")
    except (ValueError, RecursionError, AttributeError):
        stack = None
    known = cast("list[Any]", stack) if isinstance(stack, list) else []
    sites: list[int] = [site for site in reversed(known) if type(site) is int]
    return [frames.of_site(timeline, site) for site in sites or [int(timeline.columns["site"][row])]]
