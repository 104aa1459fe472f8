"""Causes as arrows: from what woke a step, a wait or another process, to what it woke.

An arrow of the format ends at slices. It leaves the step its source happened in and
arrives at the step it caused. Where there is no step (code of a thread outside of any,
the end of a thread's wait) a mark is drawn for it to hold on to.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from clew.analysis.columns import positions_of
from clew.convert.perfetto_rows import microseconds, quote, rows_of
from clew.model.kinds import EntityKind, EventKind, slug_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clew.analysis.columns import Flags, Numbers
    from clew.convert.perfetto_rows import Drawing

STEP = int(EventKind.LIFE_STEP)


def flow_events(drawings: list[Drawing]) -> Iterator[str]:
    """Draw the arrows within and between processes, and the marks they need."""
    ids = count(1)
    ends = {drawing.timeline.stream.process_id: _Ends(drawing) for drawing in drawings}
    for own in ends.values():
        sources, targets = _causes_within(own.drawing)
        is_plain = own.are_steps(sources, targets)
        yield from own.plain_arrows(sources[is_plain], targets[is_plain], ids)
        for source, target in rows_of(sources[~is_plain], targets[~is_plain]):
            yield from _arrow(own, source, own, target, ids)
    for own in ends.values():
        columns, remote = own.drawing.timeline.columns, own.drawing.timeline.data.remote_causes
        seqs = np.array(list(remote), np.uint64).astype(np.int64)
        for target, (process, cause) in zip(positions_of(columns["seq"], seqs).tolist(), remote.values(), strict=True):
            other = ends.get(process)
            if other is None or target < 0 or cause >= 1 << 63:
                continue
            (source,) = positions_of(other.drawing.timeline.columns["seq"], np.array([cause])).tolist()
            if source >= 0:
                yield from _arrow(other, source, own, target, ids)


def _causes_within(drawing: Drawing) -> tuple[Numbers, Numbers]:
    """Return rows of causes and rows of what they caused.

    Of steps all, of other events those by which a thread goes on because of another
    scope: in a task the step before has the arrow already.
    """
    timeline, columns = drawing.timeline, drawing.timeline.columns
    causes, kinds, scopes = columns["cause"], columns["kind"], columns["scope"]
    targets = np.flatnonzero((causes > 0) & (kinds != EventKind.LIFE_STEP_END))
    sources = positions_of(columns["seq"], causes[targets])
    is_known = (sources >= 0) & (sources != targets)
    sources, targets = sources[is_known], targets[is_known]
    is_step = kinds[targets] == STEP
    is_thread = timeline.kinds_of(scopes[targets]) == EntityKind.THREAD
    is_drawn = (is_step | (is_thread & (scopes[sources] != scopes[targets]))) & (scopes[sources] > 0)
    return sources[is_drawn], targets[is_drawn]


class _Ends:
    """Where arrows leave and arrive in one process."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self._marked: set[int] = set()

    def are_steps(self, sources: Numbers, targets: Numbers) -> Flags:
        """Tell which arrows go from a step to a step."""
        timeline = self.drawing.timeline
        return (timeline.step_of_event[sources] >= 0) & (timeline.columns["kind"][targets] == STEP)

    def plain_arrows(self, sources: Numbers, targets: Numbers, ids: Iterator[int]) -> Iterator[str]:
        """Draw arrows from steps to steps: most there are, and nothing is to be marked for them."""
        timeline, place_of = self.drawing.timeline, self.drawing.place_of
        steps, times = timeline.steps, self.drawing.times
        leaving = timeline.step_of_event[sources]
        ends = rows_of(
            steps.scope[leaving], steps.start_ns[leaving] + timeline.shift_ns, timeline.columns["scope"][targets], times[targets]
        )  # fmt: skip
        for (scope, time, to_scope, to_time), number in zip(ends, ids, strict=False):
            yield _leave(place_of(scope), time, number)
            yield _arrive(place_of(to_scope), to_time, number)

    def source(self, row: int) -> tuple[str, int, str]:
        """Return place and time an arrow from event *row* leaves at, and the mark it needs."""
        timeline = self.drawing.timeline
        step = int(timeline.step_of_event[row])
        if step < 0:
            return self._mark(row)
        # The viewer takes the latest slice of the row that began for the one the arrow
        # leaves: at the step's beginning that is the step, and not what lies in it.
        place = self.drawing.place_of(int(timeline.steps.scope[step]))
        return place, int(timeline.steps.start_ns[step]) + timeline.shift_ns, ""

    def target(self, row: int) -> tuple[str, int, str]:
        """Return place and time an arrow to event *row* arrives at, and the mark it needs."""
        columns = self.drawing.timeline.columns
        if columns["kind"][row] == STEP:
            return self.drawing.place_of(int(columns["scope"][row])), int(self.drawing.times[row]), ""
        return self._mark(row)

    def _mark(self, row: int) -> tuple[str, int, str]:
        drawing, columns = self.drawing, self.drawing.timeline.columns
        place, time = drawing.place_of(int(columns["scope"][row])), int(drawing.times[row])
        if row in self._marked:
            return place, time, ""
        self._marked.add(row)
        family, _, verb = (slug_of(EventKind, int(columns["kind"][row])) or "event.event").partition(".")
        entity = int(columns["entity"][row])
        name = f"{verb.replace('_', ' ')} {drawing.timeline.label_of(entity)}" if entity else verb.replace("_", " ")
        return place, time, drawing.mark(place, time, quote(name), family, drawing.event_args(row))


def _arrow(own: _Ends, source: int, other: _Ends, target: int, ids: Iterator[int]) -> Iterator[str]:
    from_place, from_time, from_mark = own.source(source)
    to_place, to_time, to_mark = other.target(target)
    if from_mark:
        yield from_mark
    number = next(ids)
    yield _leave(from_place, from_time, number)
    if to_mark:
        yield to_mark
    yield _arrive(to_place, to_time, number)


def _leave(place: str, time: int, number: int) -> str:
    return f'{{"ph":"s",{place},"ts":{microseconds(time)},"id":{number},"cat":"cause","name":"cause"}}'


def _arrive(place: str, time: int, number: int) -> str:
    return f'{{"ph":"f","bp":"e",{place},"ts":{microseconds(time)},"id":{number},"cat":"cause","name":"cause"}}'
