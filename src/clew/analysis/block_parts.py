"""The blocks of one process, and which event led to each."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.columns import last_ns, look_up, positions_of
from clew.analysis.packing import MAX_LEVEL, levels_of
from clew.analysis.runs import are_whole_processes
from clew.analysis.timeline import effect_wait_label
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, slug_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.lanes import ProcessRows
    from clew.analysis.links import Links
    from clew.analysis.texts import Texts
    from clew.analysis.timeline import ProcessTimeline


class BlockKind(IntEnum):
    """What a block is."""

    STEP = 1
    READY = 2
    WAIT = 3
    SPAN = 4
    LIFE = 5


class BlockState(IntFlag):
    """What there is to know of a block."""

    NOT_ENDED = 1
    FAILED = 2
    CANCELLED = 4
    """Or it ran out of time."""
    IN_RUN = 8
    INFERRED = 16
    """No event says it: a pause without a recorded wait, or a beginning or end that was dropped."""


class Part(NamedTuple):
    """Blocks; arrays of one length, as narrow as they are sent."""

    start: NDArray[Any]
    end: NDArray[Any]
    row: NDArray[Any]
    kind: NDArray[Any]
    state: NDArray[Any]
    label: NDArray[Any]
    place: NDArray[Any]
    process: NDArray[Any]
    scope: NDArray[Any]
    seq: NDArray[Any]
    """The event that begins it; 0 if that is not known."""
    end_seq: NDArray[Any]
    """The event that ends it; 0 if none does."""
    waker: NDArray[Any]
    """Position of the block that enabled it, or -1."""
    depth: NDArray[Any]
    """Of a span in its row."""


_OF_OUTCOME = np.zeros(256, np.int64)
"""The state an outcome means."""
_OF_OUTCOME[Outcome.FAILED] = BlockState.FAILED
_OF_OUTCOME[[Outcome.CANCELLED, Outcome.TIMEOUT]] = BlockState.CANCELLED
_LIFE_ENDS = (EventKind.LIFE_TASK_END, EventKind.LIFE_THREAD_END, EventKind.LIFE_STEP_END)


class ProcessParts:
    """The blocks of one process.

    Args:
        position: Its place among the processes.
        timeline: Its events.
        members: Which of them belong to the run.
        rows: Where its scopes are drawn.
        labels: Takes the names of blocks.
        places: Takes their places in the code.

    Attributes:
        blocks: Its steps, its lives, then the others; without wakers.
    """

    def __init__(
        self, position: int, timeline: ProcessTimeline, members: Flags, rows: ProcessRows, labels: Texts, places: Texts
    ) -> None:
        self.timeline = timeline
        self._position = position
        self._members = members
        self._rows = rows
        self._labels = labels
        self._places = places
        self._last_ns = last_ns(timeline.columns)
        lifetimes = timeline.lifetimes
        self._names = np.array([labels.number(timeline.name_of(scope)) for scope in lifetimes.id.tolist()], np.int64)
        self._causing: list[Numbers] = []
        """For each block the row of the event whose cause is its waker, or -1."""
        parts = (self._steps(), self._lives(), self._pauses(), self._ready(), self._blocking_waits(), self._spans())
        self.blocks = Part(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _part(
        self, kind: BlockKind, causing: Numbers, start: Numbers, end: Numbers, row: Numbers, state: Numbers,
        label: Numbers, place: Numbers, scope: NDArray[Any], seq: Numbers, end_seq: Numbers, depth: Numbers | None = None,
    ) -> Part:  # fmt: skip
        self._causing.append(causing)
        count, shift = len(start), self.timeline.shift_ns
        # Narrow from here on: a million blocks are moved several times.
        narrow: list[Any] = [column.astype(np.uint32) for column in (row, label, place, scope, seq, end_seq)]
        rows, labels, places, scopes, seqs, end_seqs = narrow
        return Part(
            start + shift, np.maximum(start, end) + shift, rows, np.full(count, kind, np.uint8), state.astype(np.uint8),
            labels, places, np.full(count, self._position, np.uint16), scopes, seqs, end_seqs,
            np.full(count, -1, np.int32), np.zeros(count, np.uint8) if depth is None else depth.astype(np.uint8),
        )  # fmt: skip

    def _seq(self, rows: Numbers) -> Numbers:
        """Return the numbers of the events at some rows, 0 where there is none."""
        return np.where(rows >= 0, self.timeline.columns["seq"][rows], 0)

    def _outcomes(self, rows: Numbers) -> Numbers:
        return np.where(rows >= 0, _OF_OUTCOME[self.timeline.columns["outcome"][rows]], 0)

    def _in_run(self, rows: Numbers) -> Numbers:
        return np.where((rows >= 0) & self._members[rows], int(BlockState.IN_RUN), 0)

    def _places_of(self, rows: Numbers) -> Numbers:
        sites = np.where(rows >= 0, self.timeline.columns["site"][rows], 0)
        return self._places.numbers(self.timeline.place_of, sites)

    def _steps(self) -> Part:
        timeline, steps, columns = self.timeline, self.timeline.steps, self.timeline.columns
        rows = steps.rows
        at = positions_of(timeline.lifetimes.id, steps.scope)
        is_task = timeline.kinds_of(steps.scope) == EntityKind.TASK
        label = self._names[at] if len(self._names) else np.zeros(len(at), np.int64)
        others = np.flatnonzero(~is_task | (at < 0))
        label[others] = self._labels.numbers(
            timeline.step_label, steps.scope[others], columns["op"][rows[others]], columns["site"][rows[others]]
        )
        is_open = ~steps.has_ended & (steps.end_ns >= self._last_ns)
        state = np.where(is_open, int(BlockState.NOT_ENDED), 0)
        state |= np.where(~is_open & ~steps.has_ended, int(BlockState.INFERRED), 0)
        state |= self._in_run(rows) | self._outcomes(rows)
        ends = np.flatnonzero(np.isin(columns["kind"], _LIFE_ENDS))
        ended = timeline.step_of_event[ends]
        ends, ended = ends[ended >= 0], ended[ended >= 0]
        state[ended] |= self._outcomes(ends)
        end_rows = np.full(len(rows), -1, np.int64)
        is_end = columns["kind"][ends] == EventKind.LIFE_STEP_END
        end_rows[ended[is_end]] = ends[is_end]
        return self._part(
            BlockKind.STEP, rows, steps.start_ns, self._task_ends(is_task), self._rows.of(steps.scope) + self._rows.step_levels,
            state, label, self._places_of(rows), steps.scope, self._seq(rows), self._seq(end_rows),
        )  # fmt: skip

    def _task_ends(self, is_task: Flags) -> Numbers:
        """Return the ends of steps; no step of a task lasts longer than to the next, whatever a recording says."""
        pauses, ends = self.timeline.pauses, self.timeline.steps.end_ns
        between = np.flatnonzero((pauses.before >= 0) & (pauses.after >= 0))
        before, following = pauses.before[between], self.timeline.steps.start_ns[pauses.after[between]]
        late = ends[before] > following
        if not late.any():
            return ends
        ends = ends.copy()
        ends[before[late]] = np.maximum(following[late], self.timeline.steps.start_ns[before[late]])
        return ends

    def _lives(self) -> Part:
        lifetimes = self.timeline.lifetimes
        first = np.where(lifetimes.start_rows >= 0, lifetimes.start_rows, lifetimes.last_rows)
        state = np.where(lifetimes.has_ended, 0, int(BlockState.NOT_ENDED)) | self._outcomes(lifetimes.end_rows)
        state |= np.where(lifetimes.start_rows >= 0, 0, int(BlockState.INFERRED)) | self._in_run(first)
        sites = look_up(self.timeline.entities, "site", lifetimes.id)
        return self._part(
            BlockKind.LIFE, self._beginnings(), lifetimes.start_ns, lifetimes.end_ns, self._rows.of(lifetimes.id), state,
            self._names, self._places.numbers(self.timeline.place_of, sites), lifetimes.id,
            self._seq(lifetimes.start_rows), self._seq(lifetimes.end_rows),
        )  # fmt: skip

    def _beginnings(self) -> Numbers:
        """Return the events that began the lives; of the thread that began with the process, the process's."""
        lifetimes, columns = self.timeline.lifetimes, self.timeline.columns
        process = np.flatnonzero(columns["kind"] == EventKind.LIFE_PROCESS_START)[:1]
        is_first = (lifetimes.start_rows < 0) & np.isin(lifetimes.id, columns["scope"][process])
        return np.where(is_first, process[0], lifetimes.start_rows) if len(process) else lifetimes.start_rows

    # -- between the steps

    def _pauses(self) -> Part:
        timeline, pauses, waits = self.timeline, self.timeline.pauses, self.timeline.waits
        at = np.flatnonzero((pauses.before >= 0) & (pauses.woken_ns > pauses.start_ns))
        wait, after, before = pauses.wait[at], pauses.after[at], pauses.before[at]
        known = np.flatnonzero(wait >= 0)
        begin, end = np.full(len(at), -1, np.int64), np.full(len(at), -1, np.int64)
        begin[known] = waits.begin_rows[wait[known]]
        end[known] = waits.end_rows[wait[known]]
        # A wait over several pauses ends with the last of them.
        ends_here = (end >= 0) & (timeline.step_of_event[end] == after)
        end = np.where(ends_here, end, -1)
        steps = timeline.steps.rows
        after_rows = np.where(after >= 0, steps[after], -1) if len(steps) else after
        state = np.where(after < 0, int(BlockState.NOT_ENDED), 0) | self._outcomes(end)
        state |= np.where(wait < 0, int(BlockState.INFERRED), 0)
        state |= self._in_run(np.where(after >= 0, after_rows, steps[before] if len(steps) else before))
        names_cause = self._has_cause(end)
        return self._part(
            BlockKind.WAIT, np.where(names_cause, end, after_rows), pauses.start_ns[at], pauses.woken_ns[at],
            self._rows.of(pauses.scope[at]), state, self._pause_labels(at, wait, begin), self._places_of(begin),
            pauses.scope[at], self._seq(np.where(begin >= 0, begin, steps[before] if len(steps) else before)),
            self._seq(np.where(end >= 0, end, after_rows)),
        )  # fmt: skip

    def _pause_labels(self, at: Numbers, wait: Numbers, begin: Numbers) -> Numbers:
        timeline, pauses = self.timeline, self.timeline.pauses
        label = np.zeros(len(at), np.int64)
        recorded = np.flatnonzero(wait >= 0)
        label[recorded] = self._wait_labels(wait[recorded])
        others = np.flatnonzero(wait < 0)
        awaited = timeline.steps.awaited[pauses.before[at[others]]].astype(np.int64)
        spans = np.where(awaited > 0, 0, pauses.span[at[others]])
        effect = self._effect_labels(spans)
        label[others] = np.where(effect > 0, effect, self._labels.numbers(self._await_label, awaited))
        return label

    def _await_label(self, awaited: int) -> str:
        return self.timeline.wait_label_of(awaited, 0)

    @cached_property
    def _span_keys(self) -> tuple[Numbers, list[tuple[int, str]]]:
        """For each row of the table of spans which of some pairs of effect and name it has, and those."""
        rows = self.timeline.data.spans
        ordered = [rows[number] for number in sorted(rows)]
        pairs = list(zip(map(itemgetter(8), ordered), map(itemgetter(9), ordered), strict=True))
        place = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
        return np.fromiter(map(place.__getitem__, pairs), np.int64, len(pairs)), list(place)

    def _effect_labels(self, spans: Numbers) -> Numbers:
        """Name waits by the effect they happen in: ``wait db select account``; 0 where that is none."""
        keys, pairs = self._span_keys
        at = positions_of(self.timeline.spans_table["id"], spans)
        texts = [self._labels.number(effect_wait_label(*pair)) for pair in pairs]
        return np.where(at >= 0, np.array(texts, np.int64)[keys[at]], 0) if pairs else np.zeros(len(at), np.int64)

    def _wait_labels(self, waits: Numbers) -> Numbers:
        known, columns = self.timeline.waits, self.timeline.columns
        rows = np.where(known.begin_rows[waits] >= 0, known.begin_rows[waits], known.end_rows[waits])
        return self._labels.numbers(self.timeline.wait_label_of, known.entity[waits], columns["op"][rows])

    def _ready(self) -> Part:
        timeline, pauses = self.timeline, self.timeline.pauses
        at = np.flatnonzero((pauses.after >= 0) & (pauses.end_ns > pauses.woken_ns))
        rows = timeline.steps.rows[pauses.after[at]] if len(at) else at
        none = np.zeros(len(at), np.int64)
        label = none + self._labels.number("ready")
        return self._part(
            BlockKind.READY, rows, pauses.woken_ns[at], pauses.end_ns[at], self._rows.of(pauses.scope[at]), self._in_run(rows),
            label, none, pauses.scope[at], none, self._seq(rows),
        )  # fmt: skip

    def _blocking_waits(self) -> Part:
        waits, at = self.timeline.waits, self.timeline.blocking_waits
        begin, end = waits.begin_rows[at], waits.end_rows[at]
        first = np.where(begin >= 0, begin, end)
        state = np.where(end < 0, int(BlockState.NOT_ENDED), 0) | self._outcomes(end) | self._in_run(first)
        state |= np.where(begin < 0, int(BlockState.INFERRED), 0)
        return self._part(
            BlockKind.WAIT, np.where(self._has_cause(end), end, -1), waits.start_ns[at], waits.end_ns[at],
            self._rows.of(waits.scope[at]) + self._rows.wait_levels[at], state, self._wait_labels(at),
            self._places_of(first), waits.scope[at], self._seq(first), self._seq(end),
        )  # fmt: skip

    def _spans(self) -> Part:
        timeline, spans = self.timeline, self.timeline.spans
        at = np.flatnonzero(~are_whole_processes(timeline) & (self._rows.span_rows >= 0))
        rows, starts, ends = self._rows.span_rows[at], spans.start_ns[at], spans.end_ns[at]
        begin, end = spans.start_rows[at], spans.end_rows[at]
        state = np.where(end < 0, int(BlockState.NOT_ENDED), 0) | self._outcomes(end)
        state |= np.where(begin < 0, int(BlockState.INFERRED), 0)
        state |= self._in_run(np.where(begin >= 0, begin, end))
        depth = np.minimum(levels_of(rows, starts, ends), MAX_LEVEL)
        return self._part(
            BlockKind.SPAN, begin, starts, ends, rows, state, self._span_labels(spans.number[at]), self._places_of(begin),
            spans.scope[at], self._seq(begin), self._seq(end), depth,
        )  # fmt: skip

    def _span_labels(self, numbers: NDArray[Any]) -> Numbers:
        """Name spans: ``refresh``, of an effect with its kind: ``http POST /settle``."""
        keys, pairs = self._span_keys
        at = positions_of(self.timeline.spans_table["id"], numbers)
        texts = [f"{slug_of(Operation, op) or 'effect'} {name}" if op else name or "span" for op, name in pairs]
        found = np.array([self._labels.number(text) for text in texts], np.int64)
        unknown = self._labels.number("span")
        return np.where(at >= 0, found[keys[at]], unknown) if pairs else np.full(len(at), unknown)

    # -- what led to them

    def _has_cause(self, rows: Numbers) -> Flags:
        """Tell which events name a cause that is none of their own scope: not the step they happened in."""
        columns, remote = self.timeline.columns, self.timeline.data.remote_causes
        sources = positions_of(columns["seq"], columns["cause"][rows])
        has_cause = (sources >= 0) & (columns["scope"][sources] != columns["scope"][rows])
        if remote:
            has_cause |= np.isin(columns["seq"][rows], np.array(list(remote), np.uint64).astype(np.int64))
        return has_cause & (rows >= 0)

    def wakers(self, parts: list[ProcessParts], bases: list[int], links: Links) -> Numbers:
        """Return for each block the block that enabled it: a position among those of all processes, or -1.

        Args:
            parts: All processes.
            bases: Where the blocks of each begin.
            links: Between the processes.
        """
        timeline, columns = self.timeline, self.timeline.columns
        causing = np.concatenate(self._causing)
        sources = np.where(causing >= 0, positions_of(columns["seq"], columns["cause"][causing]), -1)
        sources[(causing >= 0) & (columns["cause"][causing] == 0)] = -1
        # A life is enabled where its start happened, a first step without a cause as its task is.
        n_steps, n_lives = len(timeline.steps.rows), len(timeline.lifetimes.id)
        sources[n_steps : n_steps + n_lives] = timeline.lifetimes.start_rows
        pauses = timeline.pauses
        first = pauses.after[(pauses.before < 0) & (pauses.after >= 0)]
        first = first[sources[first] < 0]
        born = positions_of(timeline.lifetimes.id, timeline.steps.scope[first])
        sources[first[born >= 0]] = timeline.lifetimes.start_rows[born[born >= 0]]
        own = bases[self._position]
        result = self.block_of_events(sources, own)
        is_itself = result == own + np.arange(len(result))
        result[is_itself] = -1
        arrivals = links.arrivals(self._position)
        at = positions_of(arrivals.rows, causing)
        others: list[int] = np.unique(arrivals.processes).tolist()
        for process in others:
            blocks = np.flatnonzero(at >= 0)
            blocks = blocks[arrivals.processes[at[blocks]] == process]
            result[blocks] = parts[process].block_of_events(arrivals.sources[at[blocks]], bases[process])
        return result

    def block_of_events(self, rows: Numbers, base: int) -> Numbers:
        """Return the step that events happened in, or else the life of their scope; *base* is the first step's position."""
        timeline = self.timeline
        if not len(timeline.columns["seq"]):
            return np.full(len(rows), -1, np.int64)
        steps = np.where(rows >= 0, timeline.step_of_event[rows], -1)
        lives = positions_of(timeline.lifetimes.id, timeline.columns["scope"][rows])
        lives = np.where((lives >= 0) & (rows >= 0), base + len(timeline.steps.rows) + lives, -1)
        return np.where(steps >= 0, base + steps, lives)
