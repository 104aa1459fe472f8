"""What led to an event, step by step, back to where it began?

From an event the thread goes back in one of two ways, and says which with each step:

* *Why now?* Within a step of a task, or in a thread since it last waited, the latest thing
  that was waited for there is what held the event up: the thread goes to who ended that wait,
  through the callbacks of a loop, which only pass on what somebody else did (``wakes``). An
  answer from another recorded process leads there. Where a task could have run long before
  it did, it goes to what kept the loop busy.
  Of what came before in the same span or task, the longest wait is told, if it took much of the time.
* *Why at all?* Once nobody else held it up (a timer of its own, a socket, or nothing), the
  thread goes on to what the event is a part of: the span it lies in, the request or call that
  this span serves, the code that started its task, thread or process. It goes this way too
  behind a start and behind a request: what its starter did before has led to it in time, but
  hardly ever says anything about it.

Worked example, the abandoned wait of a request in a deadlock:

    bank began
    play (Task-1) started refund              spawn
    refund sent POST /refund                  remote
    bank.app served POST /refund              program-order
    handle asked for Account.lock             <- the event

What it can miss: a cause that was not recorded; it says so (``not-recorded``, ``dropped``).
What it can wrongly report: of several things that held an event up at one time, it follows the latest.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from clew.analysis.columns import positions_of
from clew.analysis.errors import ERRORS
from clew.analysis.runs import are_whole_processes
from clew.analysis.sentences import sentence_of
from clew.analysis.spans import STARTS
from clew.analysis.waits import ENDS
from clew.analysis.wakes import MAX_HOPS, PASSING, wake_of
from clew.analysis.words import duration
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind

if TYPE_CHECKING:
    from clew.analysis.links import Links
    from clew.analysis.timeline import ProcessTimeline

MAX_STEPS = 500
"""Most steps of a thread: more nobody reads."""
MAX_EFFECTS = 50
"""Most effects of an event that are listed."""
MAX_DEPTH = 100
"""Spans looked through for the one that a scope began."""
HELD_UP_NS = 20_000_000
"""How long a task must have been ready for it to be worth saying what ran instead."""

MUCH = 4
"""A wait was long if it took at least one part of so many of the time it lies in."""

How = Literal["program-order", "wake", "spawn", "remote", "cause"]
Begins = Literal["process-start", "request", "timer", "io", "not-recorded", "dropped"]


@dataclass(frozen=True, slots=True)
class ThreadStep:
    """One event of a thread of causes.

    Attributes:
        process: Position of its process among the timelines.
        row: Where it stands in the columns.
        how: Why the next one follows from it; of the last one empty.
        text: One sentence.
    """

    process: int
    row: int
    how: How | Literal[""]
    text: str


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of causes, from where it began to the event.

    Attributes:
        begins: What there is before the first step.
        truncated: Whether there are more steps before the first one.
    """

    steps: tuple[ThreadStep, ...]
    begins: Begins
    truncated: bool


class _Next(NamedTuple):
    """Where a thread goes on, backwards."""

    process: int
    row: int
    how: How
    why_now: bool
    """Whether it is asked of that event too why it happened just then."""
    text: str = ""


class Causes:
    """Follows causes through the processes of a recording.

    Args:
        timelines: All of them.
        links: What led from one to another.
    """

    def __init__(self, timelines: list[ProcessTimeline], links: Links) -> None:
        self._timelines = timelines
        self._links = links
        self._scopes = [_Scopes(timeline, links.arrivals(i).rows.tolist()) for i, timeline in enumerate(timelines)]

    def thread_of(self, process: int, row: int, *, limit: int = MAX_STEPS) -> Thread:
        """Return the thread of causes of an event.

        Args:
            process: Position of its process among the timelines.
            row: Where it stands in the columns.
            limit: Most steps.

        Complexity: O(steps), and O(n log n) for n events the first time.
        """
        steps = [ThreadStep(process, row, "", sentence_of(self._timelines[process], row))]
        seen = {(process, row)}
        why_now = True
        while True:
            found = self._before(process, row, why_now=why_now)
            if isinstance(found, str):
                return Thread(tuple(reversed(steps)), found, truncated=False)
            if len(steps) >= limit or (found.process, found.row) in seen:
                return Thread(tuple(reversed(steps)), "not-recorded", truncated=len(steps) >= limit)
            process, row, how, why_now, text = found
            seen.add((process, row))
            text = text or self._text(process, row, steps[-1])
            steps.append(ThreadStep(process, row, how, text))

    def effects_of(self, process: int, row: int, *, limit: int = MAX_EFFECTS) -> list[tuple[int, int]]:
        """Return the events that an event directly enabled, through callbacks of a loop too.

        Args:
            process: Position of its process among the timelines.
            row: Where it stands in the columns.
            limit: Most of them.

        Returns:
            Process and row of each, by time.
        """
        timeline = self._timelines[process]
        found: dict[tuple[int, int], None] = dict.fromkeys(self._links.targets_of(process, row))
        seqs = [int(timeline.columns["seq"][row])]
        for _ in range(MAX_HOPS):
            rows = np.flatnonzero(np.isin(timeline.columns["cause"], seqs))[:limit].tolist()
            seqs = []
            for target in rows:
                step = timeline.step_of_event[target]
                is_passing = timeline.columns["kind"][target] == EventKind.LIFE_STEP and self._is_passing(
                    process, target
                )
                if is_passing:
                    inside = np.flatnonzero(timeline.step_of_event == step)[:limit]
                    seqs += timeline.columns["seq"][inside].tolist()
                elif timeline.columns["kind"][target] != EventKind.LIFE_STEP_END:
                    found[process, target] = None
            if not seqs or len(found) >= limit:
                break
        return sorted(list(found)[:limit], key=lambda event: (self._at(*event), event))

    # -- one step back

    def _before(self, process: int, row: int, *, why_now: bool) -> _Next | Begins:
        timeline, columns = self._timelines[process], self._timelines[process].columns
        kind = int(columns["kind"][row])
        linked = self._linked(process, row, kind)
        if linked is not None:
            return linked
        cause = int(columns["cause"][row])
        if cause and kind in (*ERRORS, EventKind.LIFE_TASK_END, EventKind.LIFE_TASK_CANCEL):
            at = timeline.row_of(cause)
            if at < 0:
                return self._lost(process)
            if at != row:
                return _Next(process, at, "cause", why_now=True)
        found = (self._why_now(process, row) or self._why_late(process, row)) if why_now else None
        return found or self._why_at_all(process, row)

    def _linked(self, process: int, row: int, kind: int) -> _Next | Begins | None:
        """Follow what came from another process."""
        if kind == EventKind.LIFE_STEP and not self._is_job(process, row):
            return None  # a step says who woke it; what was waited for is told by its event
        source = self._links.source_of(process, row)
        if source is not None:
            is_start = kind == EventKind.LIFE_PROCESS_START
            return _Next(
                *source, "spawn" if is_start else "remote", why_now=kind not in (*STARTS, EventKind.LIFE_PROCESS_START)
            )
        return "not-recorded" if self._links.is_lost(process, row) else None

    def _why_now(self, process: int, row: int) -> _Next | Begins | None:
        """Return what held an event up last, None if nothing did."""
        scopes, timeline = self._scopes[process], self._timelines[process]
        columns = timeline.columns
        step = int(timeline.step_of_event[row])
        begin = int(timeline.steps.rows[step]) if step >= 0 else -1
        arrival = scopes.arrival_before(row, begin)
        is_arrival = row in scopes.arrivals
        if not is_arrival and arrival >= 0:
            return _Next(process, arrival, "program-order", why_now=True)
        if begin >= 0 and not self._is_job(process, begin) and not self._is_passing(process, begin):
            blocker = self._blocker(process, step, timeline.name_of(int(columns["scope"][row])))
            if blocker is not None:
                return blocker
        elif not is_arrival:
            return None
        at = row if is_arrival and columns["cause"][row] else begin
        return self._woken(process, at, row) if at >= 0 else None

    def _why_late(self, process: int, row: int) -> _Next | None:
        """Return the wait that took much of the time from the beginning of a span or task to an event."""
        arrival = self._scopes[process].longest_arrival_before(row)
        return _Next(process, arrival, "program-order", why_now=True) if arrival >= 0 else None

    def _woken(self, process: int, at: int, row: int) -> _Next | Begins | None:
        """Follow the wake that event *at*, a step or the end of a wait, names; *row* happened because of it."""
        timeline = self._timelines[process]
        wake = wake_of(self._timelines, self._links.positions, process, at)
        if wake is None:
            cause = int(timeline.columns["cause"][at])
            return self._lost(process) if cause and timeline.row_of(cause) < 0 else None
        kind = self._timelines[wake.process].columns["kind"][wake.row]
        if wake.how == "event" and kind in (EventKind.LIFE_TASK_START, EventKind.LIFE_THREAD_START):
            return None  # nothing held it up: it goes on from the span it is in, or its start
        if wake.how == "event" and not self._is_from_socket(wake.process, wake.row):
            how: How = "wake" if wake.process == process else "remote"
            return _Next(wake.process, wake.row, how, why_now=True)
        if wake.how == "timer":
            fired = int(self._timelines[wake.process].step_of_event[wake.row])
            blocker = self._blocker(wake.process, fired, timeline.name_of(int(timeline.columns["scope"][at])))
            if blocker is not None:
                return blocker
            setter = self._cause_row(wake.process, wake.row)
            is_own = setter >= 0 and timeline.columns["scope"][setter] == timeline.columns["scope"][at]
            return None if is_own else _Next(wake.process, wake.row, "wake", why_now=False)
        answer = self._scopes[process].answer_in(row)
        return _Next(process, answer, "program-order", why_now=True) if answer >= 0 else None

    def _blocker(self, process: int, step: int, who: str) -> _Next | None:
        """Return what ran instead, if *who* could have run long before a step and did not."""
        timeline, steps = self._timelines[process], self._timelines[process].steps
        ready = int(timeline.columns["wait_ns"][steps.rows[step]])
        if ready < HELD_UP_NS:
            return None
        end = int(steps.start_ns[step])
        overlaps = np.minimum(steps.end_ns, end) - np.maximum(steps.start_ns, end - ready)
        likely = np.flatnonzero(overlaps * 2 > ready)
        threads = timeline.thread_of(steps.scope[likely])
        own = timeline.thread_of(steps.scope[step : step + 1])[0]
        likely = likely[(threads == own) & (likely != step)]
        if not len(likely) or not own:
            return None
        found = int(likely[np.argmax(overlaps[likely])])
        lasted = duration(int(steps.end_ns[found] - steps.start_ns[found]))
        other = timeline.name_of(int(steps.scope[found]))
        text = f"{other} ran for {lasted} without a pause, and kept {who} from running for {duration(ready)}"
        return _Next(process, int(steps.rows[found]), "wake", why_now=False, text=text)

    def _why_at_all(self, process: int, row: int) -> _Next | Begins:
        """Return what an event is a part of."""
        timeline, columns = self._timelines[process], self._timelines[process].columns
        scope = int(columns["scope"][row])
        span = timeline.data.spans.get(int(columns["span"][row]))
        if columns["kind"][row] in STARTS and span is not None and span[6] == SpanKind.SERVER:
            return "request"  # nobody recorded sent it
        start = self._scopes[process].span_start_before(row)
        if start >= 0:
            return _Next(process, start, "program-order", why_now=False)
        step = int(timeline.step_of_event[row])
        begin = int(timeline.steps.rows[step]) if step >= 0 else -1
        if begin >= 0 and (self._is_job(process, begin) or self._is_passing(process, begin)):
            return self._behind_step(process, row, begin)
        born = self._scopes[process].start_of(scope)
        if born >= 0 and born != row:
            return _Next(process, born, "spawn", why_now=False)
        first = self._scopes[process].process_start
        if first == row:
            return "process-start"
        thread = timeline.data.entities.get(scope)
        is_main = scope == 0 or thread is None or thread[1] != EntityKind.TASK
        if first >= 0 and is_main:
            return _Next(process, first, "program-order", why_now=False)
        return self._lost(process)

    def _behind_step(self, process: int, row: int, begin: int) -> _Next | Begins:
        """Return what led to a job, or to a callback of a loop."""
        timeline = self._timelines[process]
        op = int(timeline.columns["op"][begin])
        if op in (Operation.IO, Operation.TIMER) and row != begin:
            return _Next(process, begin, "cause", why_now=False)
        linked = self._linked(process, begin, EventKind.LIFE_STEP)
        if linked is not None:
            return linked
        cause = self._cause_row(process, begin)
        if cause >= 0:
            is_start = timeline.columns["kind"][cause] in (EventKind.LIFE_THREAD_START, EventKind.LIFE_TASK_START)
            return _Next(process, cause, "spawn" if is_start else "cause", why_now=False)
        if timeline.columns["cause"][begin]:
            return self._lost(process)
        return "io" if op == Operation.IO else "timer" if op == Operation.TIMER else "not-recorded"

    # -- facts

    def _cause_row(self, process: int, row: int) -> int:
        return self._timelines[process].row_of(int(self._timelines[process].columns["cause"][row]))

    def _at(self, process: int, row: int) -> int:
        return int(self._timelines[process].columns["t_ns"][row]) + self._timelines[process].shift_ns

    def _lost(self, process: int) -> Begins:
        return "dropped" if self._timelines[process].dropped else "not-recorded"

    def _is_job(self, process: int, row: int) -> bool:
        return int(self._timelines[process].columns["op"][row]) == Operation.RUN

    def _is_passing(self, process: int, row: int) -> bool:
        """Tell whether a step is a callback of a loop."""
        return int(self._timelines[process].columns["op"][row]) in PASSING

    def _is_from_socket(self, process: int, row: int) -> bool:
        """Tell whether an event happened in the callback by which a loop reads from or writes to a socket."""
        timeline = self._timelines[process]
        step = int(timeline.step_of_event[row])
        return step >= 0 and timeline.columns["op"][timeline.steps.rows[step]] == Operation.IO

    def _text(self, process: int, row: int, following: ThreadStep) -> str:
        """Say what happened; of what woke or cancelled the next one, that it did."""
        timeline = self._timelines[process]
        text, kind = sentence_of(timeline, row), int(timeline.columns["kind"][row])
        other = self._timelines[following.process]
        woken = other.name_of(int(other.columns["scope"][following.row]))
        who = timeline.name_of(int(timeline.columns["scope"][row]))
        if who == woken:
            return text
        if other.columns["outcome"][following.row] == Outcome.CANCELLED and kind not in _TELLING:
            return f"{who} cancelled {woken}"
        is_step = kind == EventKind.LIFE_STEP and not self._is_passing(process, row)
        return f"{who} let {woken} go on" if is_step else text


_TELLING = frozenset({EventKind.EFFECT_RESULT, EventKind.LIFE_TASK_END, *STARTS, *ERRORS, EventKind.LIFE_TASK_START})
"""Events whose own sentence says more than that they cancelled somebody."""


class _Scopes:
    """What is asked again and again of the tasks and threads of one process."""

    def __init__(self, timeline: ProcessTimeline, linked: list[int]) -> None:
        self._timeline = timeline
        self._linked = linked

    @cached_property
    def arrivals(self) -> frozenset[int]:
        """Rows at which a scope had waited: ends of waits, and answers from other processes."""
        columns, waits = self._timeline.columns, self._timeline.waits
        ended = waits.end_rows[waits.end_rows >= 0]
        kinds = columns["kind"]
        others = [row for row in self._linked if kinds[row] == EventKind.EFFECT_RESULT or kinds[row] in ENDS]
        return frozenset(ended.tolist()) | frozenset(others)

    @cached_property
    def _by_scope(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        scopes = self._timeline.columns["scope"]
        for row in sorted(self.arrivals):
            found.setdefault(int(scopes[row]), []).append(row)
        return found

    def arrival_before(self, row: int, begin: int) -> int:
        """Return the latest arrival of a scope before an event, in its step or (*begin* -1) since its span began; or -1."""
        timeline = self._timeline
        rows = self._by_scope.get(int(timeline.columns["scope"][row]), [])
        at = bisect_left(rows, row) - 1
        since = begin if begin >= 0 else self.span_start_before(row)
        return rows[at] if at >= 0 and rows[at] > since else -1

    def longest_arrival_before(self, row: int) -> int:
        """Return the arrival with the longest wait since the span or task of an event began, if it was long; or -1."""
        columns = self._timeline.columns
        scope = int(columns["scope"][row])
        rows = self._by_scope.get(scope, [])
        since = max(self.span_start_before(row), self.start_of(scope))
        if since < 0:
            return -1
        found = np.array(rows[bisect_left(rows, since) : bisect_left(rows, row)], np.int64)
        if not len(found):
            return -1
        longest = int(found[np.argmax(columns["wait_ns"][found])])
        passed = int(columns["t_ns"][row] - columns["t_ns"][since])
        return longest if int(columns["wait_ns"][longest]) * MUCH > passed else -1

    def answer_in(self, row: int) -> int:
        """Return the answer from another process that an event came with: the end of the call it lies in; or -1."""
        columns, spans = self._timeline.columns, self._timeline.spans
        (at,) = positions_of(spans.number, columns["span"][row : row + 1]).tolist()
        end = int(spans.end_rows[at]) if at >= 0 else -1
        is_answer = end >= 0 and end != row and end in self.arrivals and columns["kind"][end] == EventKind.EFFECT_RESULT
        return end if is_answer and columns["t_ns"][end] <= columns["t_ns"][row] else -1

    def span_start_before(self, row: int) -> int:
        """Return the start of the innermost span around an event that its scope began; or -1."""
        timeline, columns = self._timeline, self._timeline.columns
        number = int(timeline.span_of_event[row])
        for _ in range(MAX_DEPTH):
            definition = timeline.data.spans.get(number)
            if definition is None or number in self._whole:
                return -1
            (at,) = positions_of(timeline.spans.number, np.array([number])).tolist()
            start = int(timeline.spans.start_rows[at]) if at >= 0 else -1
            if 0 <= start < row:
                return start if columns["scope"][start] == columns["scope"][row] else -1
            number = int(definition[5])
        return -1

    @cached_property
    def _whole(self) -> frozenset[int]:
        """Spans that last as long as the process: what they begin with is its start."""
        numbers: list[int] = self._timeline.spans.number[are_whole_processes(self._timeline)].tolist()
        return frozenset(numbers)

    def start_of(self, scope: int) -> int:
        """Return where a task or thread was started; -1 if that is not known."""
        lifetimes = self._timeline.lifetimes
        (at,) = positions_of(lifetimes.id, np.array([scope])).tolist()
        return int(lifetimes.start_rows[at]) if at >= 0 else -1

    @cached_property
    def process_start(self) -> int:
        """Where the start of the process stands, or -1."""
        rows = np.flatnonzero(self._timeline.columns["kind"] == EventKind.LIFE_PROCESS_START)[:1].tolist()
        return rows[0] if rows else -1
