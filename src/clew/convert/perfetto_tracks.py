"""Which row of the trace viewer each thread and task is drawn on.

The viewer knows processes and threads, and sorts the threads of a process by number,
its main thread (which has the number of the process) first. So every thread gets a
number, and its tasks the numbers after it, by first use.

A process with many tasks would be thousands of rows: tasks of the same coroutine function
share rows then, as in ``analysis.lanes``, and each task is named by the slice of its lifetime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clew.analysis.lanes import MAX_OWN_ROWS, ends_with_steps, groups_of_tasks
from clew.analysis.packing import first_fit
from clew.model.kinds import EntityKind

if TYPE_CHECKING:
    from clew.analysis.columns import Numbers
    from clew.analysis.timeline import ProcessTimeline


class Row:
    """One row: a thread, a task, or tasks that take turns."""

    __slots__ = ("name", "number")

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0


class Rows:
    """The rows of one process.

    Attributes:
        pid: Its number in the trace.
        rows: In the order they are shown.
        of: The row of each task and thread, by its number in the recording.
        thread_of: The row of the thread each task runs in.
    """

    def __init__(self, timeline: ProcessTimeline) -> None:
        self.pid = 0
        self.rows: list[Row] = []
        self.of: dict[int, Row] = {}
        self.thread_of: dict[int, Row] = {}
        lifetimes = timeline.lifetimes
        self.end_ns = ends_with_steps(timeline)
        """When each of the timeline's lifetimes ends, its last step included."""
        is_thread = lifetimes.kind == EntityKind.THREAD
        tasks = np.flatnonzero(~is_thread)
        tasks = tasks[np.lexsort((lifetimes.id[tasks], lifetimes.start_ns[tasks]))]
        homes = timeline.thread_of(lifetimes.id[tasks])
        has_own = len(tasks) <= MAX_OWN_ROWS
        # Also threads that did nothing themselves, but ran tasks.
        for thread in np.union1d(lifetimes.id[is_thread], homes[homes > 0]).tolist():
            row = self.of[thread] = self._add(timeline.name_of(thread))
            self._add_tasks(timeline, tasks[homes == thread], row, has_own=has_own)
        self._add_tasks(timeline, tasks[homes == 0], None, has_own=has_own)
        # Scopes whose definition was lost are known by number only.
        for scope in np.unique(timeline.columns["scope"]).tolist():
            if scope and scope not in self.of:
                self.of[scope] = self._add(timeline.name_of(scope))

    def _add(self, name: str) -> Row:
        row = Row(name)
        self.rows.append(row)
        return row

    def _add_tasks(self, timeline: ProcessTimeline, tasks: Numbers, thread: Row | None, *, has_own: bool) -> None:
        """Give rows to *tasks*, positions in the lifetimes by first use, of one thread."""
        lifetimes = timeline.lifetimes
        ids = lifetimes.id[tasks].tolist()
        if thread is not None:
            self.thread_of.update(dict.fromkeys(ids, thread))
        if has_own:
            for task in ids:
                self.of[task] = self._add(timeline.name_of(task))
            return
        never = np.iinfo(np.int64).max
        ends = np.where(lifetimes.has_ended[tasks], self.end_ns[tasks], never)
        of_function: dict[str, list[Row]] = {}
        for (function, _), members in groups_of_tasks(timeline, ids).items():
            rows = of_function.setdefault(function or "task", [])
            at = np.array(members)
            lines = first_fit(lifetimes.start_ns[tasks[at]], ends[at])
            fresh = [self._add("") for _ in range(int(lines.max()) + 1)]
            rows += fresh
            for member, line in zip(members, lines.tolist(), strict=True):
                self.of[ids[member]] = fresh[line]
        for function, rows in of_function.items():
            for i, row in enumerate(rows):
                row.name = f"{function} #{i + 1}" if len(rows) > 1 else function


def assign_numbers(processes: list[tuple[int, Rows]]) -> None:
    """Give each process and row its number in the trace.

    Args:
        processes: Of each process the pid it had, and its rows.

    A pid that was used twice, and the numbers of rows, move on to the next free number:
    the viewer knows threads by number alone.
    """
    taken: set[int] = {0}
    for pid, rows in processes:
        rows.pid = _next_free(max(pid, 1), taken)
    for _, rows in processes:
        number = rows.pid
        for i, row in enumerate(rows.rows):
            number = row.number = number if i == 0 else _next_free(number + 1, taken)


def _next_free(number: int, taken: set[int]) -> int:
    while number in taken:
        number += 1
    taken.add(number)
    return number
