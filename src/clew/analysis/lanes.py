"""On which row of the picture is each thread, task and span drawn?

A process has a lane for each thread, and below it one for each of its tasks, the busiest
first. A process with many tasks would be thousands of rows: where there are many tasks of one
coroutine function that were created at one place, they share a lane, and in it each row takes
the next task when the one before has ended. So do threads of one name.

What happens in a scope that is neither a task nor a thread (a process that was only told of
by spans) is drawn on a lane of spans; there a row holds one span and what lies in it, and the
next when that is over.

Busy is a scope while it runs: a task in its steps, a thread while it does not wait; the
thread of a loop in its callbacks and the steps of its tasks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from clew.analysis.columns import distinct, look_up, positions_of
from clew.analysis.packing import first_fit, levels_of
from clew.analysis.run_items import tops_of
from clew.analysis.runs import are_whole_processes
from clew.model.kinds import EntityKind, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.timeline import ProcessTimeline

MAX_OWN_ROWS = 60
"""Most tasks of a process, or threads, that get a row each: about two screens of them."""
MAX_ALIKE = 12
"""Most tasks of one function that get a row each in a process of few tasks."""
MAX_ALIKE_OF_MANY = 3
"""The same in a process of many tasks."""
MAX_BUSY_NS = 1 << 62
"""The longest time that is told: longer than any process ran."""
_DIGITS = re.compile(r"\d+")
LaneKind = Literal["thread", "task", "tasks", "spans"]


@dataclass(frozen=True, slots=True)
class Lane:
    """Rows that belong together.

    Attributes:
        process: Position of its process among the timelines.
        parent: Position of the lane of its thread, or None.
        rows: How many, from ``first_row`` on.
        busy_ns: How long its scopes ran, all together.
        scopes: How many tasks or threads take turns in it.
        in_run: Whether anything in it belongs to the run that was asked for.
    """

    process: int
    kind: LaneKind
    name: str
    parent: int | None
    first_row: int
    rows: int
    busy_ns: int
    scopes: int
    in_run: bool


class ProcessRows(NamedTuple):
    """Where the rows of one process are.

    Attributes:
        scopes: Tasks and threads, ascending.
        rows: The row of each.
        step_levels: For each step, how many rows below its scope's row it is drawn.
        wait_levels: The same for each wait.
        span_rows: For each span its row.
        home: The row of what has no scope.
    """

    scopes: NDArray[Any]
    rows: Numbers
    step_levels: Numbers
    wait_levels: Numbers
    span_rows: Numbers
    home: int

    def of(self, scopes: NDArray[Any]) -> Numbers:
        """Return the row of each of *scopes*; that of the process where it has none."""
        at = positions_of(self.scopes, scopes)
        return np.where(at >= 0, self.rows[at], self.home) if len(self.rows) else np.full(len(at), self.home)


@dataclass(frozen=True, slots=True)
class Lanes:
    """The rows of a picture.

    Attributes:
        lanes: In the order they are drawn.
        processes: For each timeline where its rows are.
        rows: How many there are.
    """

    lanes: tuple[Lane, ...]
    processes: tuple[ProcessRows, ...]
    rows: int


def lanes_of(timelines: list[ProcessTimeline], members: list[Flags]) -> Lanes:
    """Lay out the rows of *timelines*.

    Args:
        timelines: The processes, in the order they are drawn.
        members: For each process, which of its events belong to the run that is looked at.

    Complexity: O(n log n) for n events; Python work for each task and thread.
    """
    lanes: list[Lane] = []
    processes: list[ProcessRows] = []
    rows = 0
    for position, (timeline, are_members) in enumerate(zip(timelines, members, strict=True)):
        layout = _Layout(position, timeline, are_members, rows, lanes)
        processes.append(layout.place())
        rows = layout.rows
    return Lanes(tuple(lanes), tuple(processes), rows)


def groups_of_tasks(timeline: ProcessTimeline, tasks: Iterable[int]) -> dict[tuple[str, str], list[int]]:
    """Put together the tasks of one coroutine function that were created at one place.

    Args:
        timeline: Their process.
        tasks: Numbers of tasks.

    Returns:
        Positions in *tasks*, by function and place, as they come.
    """
    # Not by the number of the site: several may stand for one place.
    places: dict[int, str] = {}
    groups: dict[tuple[str, str], list[int]] = {}
    entities, place_of = timeline.data.entities, timeline.place_of
    for at, task in enumerate(tasks):
        row = entities.get(task)
        site = row[5] if row is not None else 0
        place = places.get(site)
        if place is None:
            place = places[site] = place_of(site)
        groups.setdefault((row[3] if row is not None else "", place), []).append(at)
    return groups


def ends_with_steps(timeline: ProcessTimeline) -> Numbers:
    """Return the ends of the lifetimes, late enough for what the scope did last.

    The step in which a task ends is over some microseconds after ``life.task_end``.
    """
    lifetimes, steps = timeline.lifetimes, timeline.steps
    ends = lifetimes.end_ns.copy()
    if len(lifetimes.id) and len(steps.rows):
        at = positions_of(lifetimes.id, steps.scope)
        is_known = at >= 0
        np.maximum.at(ends, at[is_known], steps.end_ns[is_known])
    return ends


class _Layout:
    """Gives rows to one process, beginning with a row; adds its lanes to those before."""

    def __init__(
        self, position: int, timeline: ProcessTimeline, are_members: Flags, rows: int, lanes: list[Lane]
    ) -> None:
        self._position = position
        self._timeline = timeline
        self._lanes = lanes
        self.rows = rows
        lifetimes = timeline.lifetimes
        # Scopes whose definition was lost are known by number only. Others that are no task or
        # thread get a lane if they run or wait.
        scopes = distinct(timeline.columns["scope"])
        acting = np.union1d(timeline.steps.scope, timeline.waits.scope[timeline.blocking_waits])
        is_lost = (positions_of(timeline.entities["id"], scopes) < 0) & (scopes > 0)
        others = scopes[(is_lost | np.isin(scopes, acting)) & (positions_of(lifetimes.id, scopes) < 0)]
        self._scopes = np.concatenate((lifetimes.id, others))
        self._rows = np.full(len(self._scopes), -1, np.int64)
        never = np.iinfo(np.int64).max
        self._starts = lifetimes.start_ns
        self._ends = np.where(lifetimes.has_ended, ends_with_steps(timeline), never)
        self._are_members = are_members
        self._in_run = np.isin(self._scopes, distinct(timeline.columns["scope"][are_members]))
        steps, waits = timeline.steps, timeline.waits
        self._step_levels = levels_of(steps.scope, steps.start_ns, steps.end_ns)
        self._step_levels[timeline.kinds_of(steps.scope) == EntityKind.TASK] = 0
        self._wait_levels = _levels_of_waits(timeline, self._step_levels)
        self._heights = np.ones(len(self._scopes), np.int64)
        for levels, of in ((self._step_levels, steps.scope), (self._wait_levels, waits.scope)):
            at = positions_of(self._scopes, of)
            np.maximum.at(self._heights, at[at >= 0], levels[at >= 0] + 1)
        self._busy = _busy_ns(timeline, self._scopes, self._step_levels)

    def place(self) -> ProcessRows:
        """Give every thread, task and span its row."""
        timeline, lifetimes = self._timeline, self._timeline.lifetimes
        first_row, first_lane = self.rows, len(self._lanes)
        is_task = lifetimes.kind == EntityKind.TASK
        tasks = np.flatnonzero(is_task)
        tasks = tasks[np.lexsort((lifetimes.id[tasks], lifetimes.start_ns[tasks]))]
        homes = timeline.thread_of(lifetimes.id[tasks])
        most_alike = MAX_ALIKE if len(tasks) <= MAX_OWN_ROWS else MAX_ALIKE_OF_MANY
        threads = np.flatnonzero(~is_task)
        hosts = np.unique(homes[homes > 0])
        is_host = np.isin(lifetimes.id[threads], hosts)
        # Also a thread that did nothing itself, but ran tasks.
        silent = hosts[positions_of(lifetimes.id, hosts) < 0].tolist()
        shares = len(threads) > MAX_OWN_ROWS
        own = threads if not shares else threads[is_host]
        placed = [(int(lifetimes.id[at]), int(at)) for at in own.tolist()] + [(thread, -1) for thread in silent]
        for thread, at in sorted(placed):
            lane = self._add_own(at, thread, "thread", None)
            self._add_tasks(tasks[homes == thread], lane, most_alike)
        if shares:
            self._share_threads(threads[~is_host])
        self._add_tasks(tasks[homes == 0], None, most_alike)
        for at in range(len(lifetimes.id), len(self._scopes)):
            scope = int(self._scopes[at])
            self._add_own(at, scope, "task", None, "" if scope else timeline.label)
        span_rows = self._place_spans(has_lanes=len(self._lanes) > first_lane)
        order = np.argsort(self._scopes, kind="stable")
        return ProcessRows(
            self._scopes[order], self._rows[order], self._step_levels, self._wait_levels, span_rows, first_row
        )

    def _add(self, kind: LaneKind, name: str, parent: int | None, rows: int, at: Numbers, scopes: int) -> int:
        """Add a lane for the scopes at some positions; return its number."""
        busy, in_run = int(self._busy[at].sum()), bool(self._in_run[at].any())
        self._lanes.append(Lane(self._position, kind, name, parent, self.rows, rows, busy, scopes, in_run))
        self.rows += rows
        return len(self._lanes) - 1

    def _add_own(self, at: int, scope: int, kind: LaneKind, parent: int | None, name: str = "") -> int:
        """Add the lane of one scope; *at* is -1 if nothing is known of it but its number."""
        places = np.array([at] if at >= 0 else [], np.int64)
        self._rows[places] = self.rows
        height = int(self._heights[at]) if at >= 0 else 1
        return self._add(kind, name or self._timeline.name_of(scope), parent, height, places, 1)

    def _add_tasks(self, tasks: Numbers, parent: int | None, most_alike: int) -> None:
        """Add the lanes of *tasks*, positions in the lifetimes by first use; the busiest first."""
        ids = self._scopes[tasks].tolist()
        groups: list[tuple[tuple[str, str], Numbers]] = []
        for key, members in groups_of_tasks(self._timeline, ids).items():
            at = tasks[np.array(members)]
            groups += [(key, at)] if len(members) > most_alike else [(key, at[i : i + 1]) for i in range(len(members))]
        shared = [key[0] for key, members in groups if len(members) > 1]
        for (function, place), members in sorted(groups, key=lambda group: -int(self._busy[group[1]].sum())):
            if len(members) == 1:
                self._add_own(int(members[0]), int(self._scopes[members[0]]), "task", parent)
                continue
            name = function or "task"
            if shared.count(function) > 1 and place:
                name = f"{name} from {place}"
            self._share(members, "tasks", name, parent)

    def _share_threads(self, threads: Numbers) -> None:
        """Add lanes for threads whose names differ in nothing but numbers."""
        starts = self._starts[threads]
        threads = threads[np.argsort(starts, kind="stable")]
        groups: dict[str, list[int]] = {}
        for at in threads.tolist():
            groups.setdefault(_DIGITS.sub("…", self._timeline.name_of(int(self._scopes[at]))), []).append(at)
        for name, members in groups.items():
            if len(members) == 1:
                self._add_own(members[0], int(self._scopes[members[0]]), "thread", None)
            else:
                self._share(np.array(members), "thread", name, None)

    def _share(self, members: Numbers, kind: LaneKind, name: str, parent: int | None) -> None:
        """Let scopes, by start, take turns in the rows of one lane."""
        lines = first_fit(self._starts[members], self._ends[members])
        height = int(self._heights[members].max())
        self._rows[members] = self.rows + lines * height
        self._add(kind, name, parent, (int(lines.max()) + 1) * height, members, len(members))

    def _place_spans(self, *, has_lanes: bool) -> Numbers:
        """Return the row of each span; those of no task or thread get a lane of their own."""
        timeline, spans = self._timeline, self._timeline.spans
        at = positions_of(self._scopes, spans.scope) if len(self._scopes) else np.full(len(spans.number), -1, np.int64)
        rows = np.where(at >= 0, self._rows[at], -1) if len(self._scopes) else at
        homeless = np.flatnonzero((at < 0) & ~are_whole_processes(timeline))
        if not len(homeless):
            if not has_lanes:
                self._add("spans", timeline.label, None, 1, np.empty(0, np.int64), 0)
            return rows
        table = timeline.spans_table
        parents = look_up(table, "parent", spans.number[homeless])
        up = positions_of(spans.number[homeless], parents)
        top = tops_of(np.where(up >= 0, up, np.arange(len(homeless))))
        starts, ends = spans.start_ns[homeless].copy(), spans.end_ns[homeless].copy()
        np.minimum.at(starts, top, spans.start_ns[homeless])
        np.maximum.at(ends, top, spans.end_ns[homeless])
        tops = np.unique(top)
        tops = tops[np.argsort(starts[tops], kind="stable")]
        line_of = np.zeros(len(homeless), np.int64)
        line_of[tops] = first_fit(starts[tops], ends[tops])
        lines = line_of[top]
        rows[homeless] = self.rows + lines
        events = spans.start_rows[homeless]
        self._lanes.append(
            Lane(
                self._position, "spans", timeline.label, None, self.rows, int(lines.max()) + 1,
                int((ends - starts)[tops].sum()), 0, bool(self._are_members[events[events >= 0]].any()),
            )
        )  # fmt: skip
        self.rows += int(lines.max()) + 1
        return rows


def _levels_of_waits(timeline: ProcessTimeline, step_levels: Numbers) -> Numbers:
    """Return for each wait that holds up its thread how deep it is drawn: below what it lies in."""
    waits, blocking = timeline.waits, timeline.blocking_waits
    levels = np.zeros(len(waits.scope), np.int64)
    rows = np.where(waits.begin_rows >= 0, waits.begin_rows, waits.end_rows)[blocking]
    steps = timeline.step_of_event[rows]
    around = np.where(steps >= 0, step_levels[steps], 0) if len(step_levels) else np.zeros(len(steps), np.int64)
    levels[blocking] = around + levels_of(
        waits.scope[blocking], waits.start_ns[blocking], waits.end_ns[blocking]
    )  # fmt: skip
    return levels


def _busy_ns(timeline: ProcessTimeline, scopes: NDArray[Any], step_levels: Numbers) -> Numbers:
    """Return how long each of *scopes* ran."""
    steps, waits, blocking, lifetimes = timeline.steps, timeline.waits, timeline.blocking_waits, timeline.lifetimes
    lengths = np.maximum(steps.end_ns - steps.start_ns, 0)
    are_tasks = timeline.kinds_of(steps.scope) == EntityKind.TASK
    is_outer = step_levels == 0
    in_steps = _sums(scopes, steps.scope[is_outer], lengths[is_outer])
    waited = _sums(scopes, waits.scope[blocking], (waits.end_ns - waits.start_ns)[blocking])
    of_thread = timeline.thread_of(steps.scope[are_tasks])
    hosted = _sums(scopes, of_thread, lengths[are_tasks])
    is_callback = ~are_tasks & (timeline.columns["op"][steps.rows] != Operation.RUN)
    called = _sums(scopes, steps.scope[is_callback], lengths[is_callback])
    lived = _sums(scopes, lifetimes.id, lifetimes.end_ns - lifetimes.start_ns)
    is_thread = timeline.kinds_of(scopes) == EntityKind.THREAD
    is_host = np.isin(scopes, np.unique(of_thread))
    alone = np.maximum(np.where(in_steps > 0, in_steps, lived) - waited, 0)
    return np.where(~is_thread, in_steps, np.where(is_host, hosted + called, alone))


def _sums(groups: NDArray[Any], of: NDArray[Any], values: Numbers) -> Numbers:
    """Add up *values* by group."""
    at = positions_of(groups, of)
    # Whatever a recording says of durations, the sum is a number that can be told.
    sums = np.bincount(at[at >= 0], weights=values[at >= 0], minlength=len(groups))
    return np.clip(sums, 0, MAX_BUSY_NS).astype(np.int64)
