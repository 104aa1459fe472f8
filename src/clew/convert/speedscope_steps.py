"""What each thread spent its time on, from steps and spans, as speedscope profiles.

A thread's profile has at its bottom the thread and the spans its own code is in. On them
lies each step that ran there: the spans its scope is in, as far as they are not below
already, and the function of the task or callback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clew.analysis.spans import ENDS, STARTS
from clew.convert.perfetto_rows import rows_of
from clew.convert.speedscope_profile import Frames, Profile
from clew.model.kinds import EntityKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clew.analysis.columns import Numbers
    from clew.analysis.timeline import ProcessTimeline

_STEP_END, _STEP_START, _SPAN_CHANGE = range(3)
"""At one instant: first what ends, then what begins, then what happens in it."""


class _Level(NamedTuple):
    """What one step, or the thread itself, has on the stack."""

    scope: int
    step: int
    label: int
    below: int
    """Frames under it."""
    spans: list[int]
    """Numbers of the spans it has put on the stack."""


def step_profiles(timeline: ProcessTimeline, frames: Frames) -> Iterator[Iterable[str]]:
    """Yield a profile of each thread of one process."""
    lifetimes = timeline.lifetimes
    threads = lifetimes.id[lifetimes.kind == EntityKind.THREAD]
    steps = timeline.steps
    homes = timeline.thread_of(steps.scope)
    changes = np.flatnonzero(np.isin(timeline.columns["kind"], STARTS + ENDS))
    change_homes = timeline.thread_of(timeline.columns["scope"][changes])
    # Steps of tasks whose thread is not known make a profile of their own, as thread 0.
    for thread in [*threads.tolist(), *([0] if (homes == 0).any() else [])]:
        of_thread = np.flatnonzero(homes == thread)
        if len(of_thread) or len(changes[change_homes == thread]):
            yield _ThreadProfile(timeline, frames, thread).draw(of_thread, changes[change_homes == thread])


class _ThreadProfile:
    """Builds the profile of one thread."""

    def __init__(self, timeline: ProcessTimeline, frames: Frames, thread: int) -> None:
        self.timeline = timeline
        self.frames = frames
        self.thread = thread
        self.levels: list[_Level] = []
        self._paths: dict[int, list[int]] = {0: []}
        self._labels: dict[tuple[int, int, int], int] = {}

    def draw(self, steps: Numbers, changes: Numbers) -> Iterable[str]:
        """Return the profile as JSON, piece by piece.

        Args:
            steps: Positions in the timeline's steps.
            changes: Rows of events that begin or end a span.
        """
        timeline, columns = self.timeline, self.timeline.columns
        all_steps, shift = timeline.steps, timeline.shift_ns
        n = len(steps)
        times = np.concatenate((all_steps.start_ns[steps], all_steps.end_ns[steps], columns["t_ns"][changes]))
        kinds = np.repeat(np.array([_STEP_START, _STEP_END, _SPAN_CHANGE]), (n, n, len(changes)))
        rows = all_steps.rows[steps]
        spans = np.concatenate(
            (timeline.span_of_event[rows], np.zeros(n, np.int64), timeline.span_after_event[changes])
        )
        scopes = np.concatenate((all_steps.scope[steps], all_steps.scope[steps], columns["scope"][changes]))
        sources = np.concatenate((steps, steps, changes))
        order = np.lexsort((kinds, times))
        start = int(times[order[0]]) + shift
        name = timeline.name_of(self.thread) if self.thread else "tasks of unknown threads"
        profile = Profile(f"{timeline.service} · {name}", start)
        self._push(profile, _Level(self.thread, -1, self.frames.number(name), 0, []), 0, start)
        for time, kind, span, scope, source in rows_of(*(a[order] for a in (times, kinds, spans, scopes, sources))):
            at = time + shift
            if kind == _STEP_START:
                level = _Level(scope, source, self._label(source), len(profile.stack), [])
                self._push(profile, level, span, at)
            elif kind == _STEP_END:
                self._pop(profile, source, at)
            elif self.levels[-1].scope == scope:
                self._change(profile, span, at)
        return profile.encode()

    def _push(self, profile: Profile, level: _Level, span: int, at: int) -> None:
        self.levels.append(level)
        self._open(profile, self._wanted(span), at)

    def _pop(self, profile: Profile, step: int, at: int) -> None:
        if any(level.step == step for level in self.levels):
            while (level := self.levels.pop()).step != step:
                pass
            profile.close(at, down_to=level.below)

    def _change(self, profile: Profile, span: int, at: int) -> None:
        """Make the spans of the running level those down to *span*."""
        level, wanted = self.levels[-1], self._wanted(span)
        if wanted == level.spans:
            return
        kept = 0
        while kept < min(len(wanted), len(level.spans)) and wanted[kept] == level.spans[kept]:
            kept += 1
        profile.close(at, down_to=level.below + kept)
        del level.spans[kept:]
        self._open(profile, wanted[kept:], at)

    def _open(self, profile: Profile, spans: list[int], at: int) -> None:
        """Put *spans* on the running level, and its function on them."""
        level = self.levels[-1]
        for number in spans:
            profile.open(self.frames.number(self.timeline.data.spans[number][9] or "span"), at)
        level.spans.extend(spans)
        profile.open(level.label, at)

    def _wanted(self, span: int) -> list[int]:
        """Return the spans the running level should have: those around *span* that are not below."""
        below = {number for level in self.levels[:-1] for number in level.spans}
        return [number for number in self._path(span) if number not in below]

    def _path(self, span: int) -> list[int]:
        """Return a span and those it lies in, outermost first, without the process's own run."""
        path = self._paths.get(span)
        if path is None:
            found: list[int] = []
            number = span
            while number and number not in found and (row := self.timeline.data.spans.get(number)) is not None:
                if not row[5]:  # no parent: the run of the process, which everything lies in
                    break
                found.append(number)
                number = row[5]
            path = self._paths[span] = found[::-1]
        return path

    def _label(self, step: int) -> int:
        """Return the frame that a step runs in: the function of its task or callback."""
        timeline = self.timeline
        scope, row = int(timeline.steps.scope[step]), int(timeline.steps.rows[step])
        op, site = int(timeline.columns["op"][row]), int(timeline.columns["site"][row])
        key = (scope, op, site)
        label = self._labels.get(key)
        if label is None:
            definition = timeline.data.entities.get(scope)
            if definition is not None and definition[1] == EntityKind.TASK:
                label = self.frames.number(definition[3] or timeline.name_of(scope))
            elif site in timeline.data.sites:
                label = self.frames.of_site(timeline, site)
            else:
                label = self.frames.number(timeline.step_label(scope, op, site))
            self._labels[key] = label
        return label
