"""What does a recording hold, in the order in which an engineer wants to know it?

Processes, runs with outcome and time, errors, the tasks that ran most, the waits that took
longest, and what is missing from the recording.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.analysis.longest_waits import longest_waits_of
from clew.analysis.processes import STARTS
from clew.analysis.runs import Run, runs_of
from clew.model.kinds import EntityKind, EventKind, Operation, slug_of

if TYPE_CHECKING:
    from clew.analysis.longest_waits import WaitGroup
    from clew.analysis.timeline import ProcessTimeline

_WORST_FIRST = ("failed", "lost", "timeout", "cancelled", "running", "ok")


@dataclass(frozen=True, slots=True)
class ProcessSummary:
    """One process."""

    process: str
    pid: int
    service: str
    label: str
    """The service, or the name by which its parent knows it."""
    argv: tuple[str, ...]
    python: str
    exit: int | None
    signal: str
    state: str
    """``ended``, ``running`` (no end was written yet), or ``cut`` (killed, crashed or ``os._exit``)."""
    events: int
    dropped: int
    tasks: int
    threads: int
    start_ns: int
    duration_ns: int
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one type and message from one place."""

    type: str
    message: str
    site: str
    service: str
    count: int
    unhandled: int
    first_ns: int


@dataclass(frozen=True, slots=True)
class BusyScope:
    """A task or thread, or tasks that are alike, and how long they ran."""

    name: str
    service: str
    count: int
    total_ns: int
    steps: int
    longest_ns: int
    site: str
    """Where they were created."""


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """Requests of one name that were served on behalf of other runs."""

    name: str
    service: str
    count: int
    outcomes: tuple[tuple[str, int], ...]
    """How many ended how; without an end: ``running`` or ``lost``."""
    median_ns: int
    longest_ns: int
    worst_id: str
    """The span id of the longest of those that went worst."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a recording holds."""

    id: str
    service: str
    started_ns: int
    """Unix time of the first event, in nanoseconds."""
    duration_ns: int
    events: int
    dropped: int
    bytes: int
    complete: str
    """``complete``, or ``cut`` if a process did not come to its end in it."""
    processes: tuple[ProcessSummary, ...]
    runs: tuple[Run, ...]
    requests: tuple[RequestGroup, ...]
    errors: tuple[ErrorGroup, ...]
    busiest: tuple[BusyScope, ...]
    waits: tuple[WaitGroup, ...]
    kinds: tuple[tuple[str, int], ...]


def summary_of(timelines: list[ProcessTimeline], *, size_bytes: int) -> Summary:
    """Summarise the processes of a recording.

    Args:
        timelines: Of ``timelines_of``: at least one.
        size_bytes: Size of the recording.

    Complexity: O(n log n) for n events.
    """
    processes = processes_of(timelines)
    runs = runs_of(timelines)
    ends = [process.start_ns + process.duration_ns for process in processes]
    main = timelines[0]
    return Summary(
        id=main.stream.id,
        service=main.service,
        started_ns=_wall_start(timelines),
        duration_ns=max(ends) - min(process.start_ns for process in processes),
        events=sum(process.events for process in processes),
        dropped=sum(process.dropped for process in processes),
        bytes=size_bytes,
        complete="complete" if all(process.state == "ended" for process in processes) else "cut",
        processes=processes,
        runs=tuple(runs),
        requests=requests_of(runs, timelines),
        errors=errors_of(timelines),
        busiest=busiest_of(timelines),
        waits=longest_waits_of(runs, timelines),
        kinds=_kinds(timelines),
    )


def _wall_start(timelines: list[ProcessTimeline]) -> int:
    """Return the Unix time at which the recording's own clock stands at 0."""
    first = timelines[0].stream.process
    wall, monotonic = first.get("wall_ns"), first.get("monotonic_ns")
    if type(wall) is not int or type(monotonic) is not int:
        return 0
    return wall - monotonic - timelines[0].shift_ns


def _exits_seen(timelines: list[ProcessTimeline]) -> dict[int, int]:
    """Return the exit codes that other processes of the recording came to know, by pid."""
    found: dict[int, int] = {}
    for timeline in timelines:
        columns = timeline.columns
        is_end = (columns["kind"] == EventKind.EFFECT_RESULT) & np.isin(columns["op"], STARTS)
        for row in np.flatnonzero(is_end).tolist():
            call = timeline.row_of(int(columns["cause"][row]))
            attrs = (timeline.attrs_of(call) if call >= 0 else {}) | timeline.attrs_of(row)
            pid, code = attrs.get("pid"), attrs.get("returncode")
            if type(pid) is int and type(code) is int:
                found[pid] = code
    return found


def processes_of(timelines: list[ProcessTimeline]) -> tuple[ProcessSummary, ...]:
    """Summarise every process, in the order of *timelines*."""
    exits = _exits_seen(timelines)
    return tuple(_process(timeline, exits.get(timeline.pid)) for timeline in timelines)


def _process(timeline: ProcessTimeline, exit_seen: int | None) -> ProcessSummary:
    """Summarise one process; *exit_seen* is the exit code that another one came to know."""
    head, end = timeline.stream.process, timeline.end
    times = timeline.columns["t_ns"]
    kinds = timeline.entities["kind"]
    argv: Any = head.get("argv")
    problems: Any = end.get("problems")
    state = "running" if timeline.is_running else "ended" if timeline.ended_orderly else "cut"
    return ProcessSummary(
        process=timeline.stream.id,
        pid=timeline.pid,
        service=timeline.service,
        label=timeline.label,
        argv=tuple(map(str, cast("list[object]", argv))) if isinstance(argv, list) else (),
        python=str(head.get("python", "")),
        exit=exit_seen if timeline.exit_code is None else timeline.exit_code,
        signal=str(end.get("signal", "")),
        state="cut" if timeline.stream.cut is not None else state,
        events=len(times),
        dropped=timeline.dropped,
        tasks=int((kinds == EntityKind.TASK).sum()),
        threads=int((kinds == EntityKind.THREAD).sum()),
        start_ns=int(times.min()) + timeline.shift_ns if len(times) else 0,
        duration_ns=int(times.max() - times.min()) if len(times) else 0,
        problems=tuple(sorted((str(k), str(v)) for k, v in cast("dict[object, object]", problems).items()))
        if isinstance(problems, dict)
        else (),
    )


def requests_of(runs: list[Run], timelines: list[ProcessTimeline]) -> tuple[RequestGroup, ...]:
    """Group the requests that were served within other runs; those that went wrong first, then the most frequent."""
    groups: dict[tuple[str, str], list[tuple[str, int, int]]] = defaultdict(list)
    for run in runs:
        for span in run.spans[1:]:
            if span.kind == "server":
                timeline = timelines[span.process]
                outcome = span.outcome or ("running" if timeline.is_running else "lost")
                groups[span.name, timeline.label].append((outcome, span.end_ns - span.start_ns, span.span_id))
    result: list[RequestGroup] = []
    for (name, service), members in groups.items():
        counts = Counter(outcome for outcome, *_ in members)
        times = sorted(duration for _, duration, _ in members)
        worst = min(members, key=lambda member: (_badness(member[0]), -member[1]))
        outcomes = tuple(sorted(counts.items(), key=lambda item: _badness(item[0])))
        result.append(
            RequestGroup(name, service, len(members), outcomes, times[len(times) // 2], times[-1], f"{worst[2]:016x}")
        )
    return tuple(sorted(result, key=lambda group: (_badness(group.outcomes[0][0]), -group.count, group.name)))


def _badness(outcome: str) -> int:
    return _WORST_FIRST.index(outcome) if outcome in _WORST_FIRST else 0


def errors_of(timelines: list[ProcessTimeline]) -> tuple[ErrorGroup, ...]:
    """Group the errors by type, message and place; unhandled ones first, then the most frequent.

    An error that was raised and then found to be handled, or not, is one error.
    """
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for timeline in timelines:
        columns, errors = timeline.columns, timeline.errors
        for row in errors.rows.tolist():
            attrs = timeline.attrs_of(row)
            key = (
                str(attrs.get("type", "error")),
                str(attrs.get("message", "")),
                timeline.place_of(int(columns["site"][row])),
                timeline.label,
            )
            at = int(columns["t_ns"][row]) + timeline.shift_ns
            group = groups.setdefault(key, [0, 0, at])
            group[0] += 1
            group[1] += row in errors.unhandled
            group[2] = min(group[2], at)
    result = [ErrorGroup(*key, count, unhandled, first) for key, (count, unhandled, first) in groups.items()]
    return tuple(sorted(result, key=lambda e: (-e.unhandled, -e.count, e.first_ns, e.type, e.message)))


def busiest_of(timelines: list[ProcessTimeline], limit: int = 8) -> tuple[BusyScope, ...]:
    """List the tasks and threads that ran longest, by the time of their steps.

    Tasks are taken together where they are of one function and created in one place: a server
    has one for each request. The time of a step is wall-clock time
    between two awaits: it includes waiting for the GIL and for blocking calls.
    """
    groups: dict[tuple[object, ...], _Busy] = {}
    for position, timeline in enumerate(timelines):
        steps = timeline.steps
        is_run = ~_is_main_job(timeline)
        scopes, durations = steps.scope[is_run], (steps.end_ns - steps.start_ns)[is_run]
        if not len(scopes):
            continue
        order = np.argsort(scopes, kind="stable")
        scopes, durations = scopes[order], durations[order]
        firsts = np.flatnonzero(np.concatenate(([True], scopes[1:] != scopes[:-1])))
        totals = np.add.reduceat(durations, firsts).tolist()
        longest = np.maximum.reduceat(durations, firsts).tolist()
        counts = np.diff(np.append(firsts, len(scopes))).tolist()
        for scope, total, count, most in zip(scopes[firsts].tolist(), totals, counts, longest, strict=True):
            key = (position, *_alike(timeline, scope))
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Busy(timeline, scope)
            group.scopes += 1
            group.total_ns += total
            group.steps += count
            group.longest_ns = max(group.longest_ns, most)
    # Names are worked out for those that are told: a service has thousands of tasks.
    top = nlargest(limit + 8, groups.values(), key=lambda busy: busy.total_ns)
    found = [busy.described() for busy in top]
    return tuple(sorted(found, key=lambda busy: (-busy.total_ns, busy.name))[:limit])


@dataclass(slots=True)
class _Busy:
    """What scopes that are alike add up to."""

    timeline: ProcessTimeline
    scope: int
    """One of them."""
    scopes: int = 0
    total_ns: int = 0
    steps: int = 0
    longest_ns: int = 0

    def described(self) -> BusyScope:
        timeline, scope = self.timeline, self.scope
        name = timeline.name_of(scope) if self.scopes == 1 else timeline.data.entities[scope][3]
        place = timeline.place_of(timeline.creation_site_of(scope))
        return BusyScope(name, timeline.label, self.scopes, self.total_ns, self.steps, self.longest_ns, place)


def _alike(timeline: ProcessTimeline, scope: int) -> tuple[object, ...]:
    """Return what tasks of one function and place have in common; of others, what only *scope* has."""
    row = timeline.data.entities.get(scope)
    if row is not None and row[1] == EntityKind.TASK and row[3]:
        site = timeline.data.sites.get(row[5], (0, "", 0, ""))
        return row[3], site[1], site[2]
    return (scope,)


def _is_main_job(timeline: ProcessTimeline) -> Any:
    """Tell which steps are the whole life of a thread: its function, not something it ran."""
    rows = timeline.steps.rows
    # A job has a future; one that a worker process was sent has it in another process.
    is_sent = np.isin(timeline.columns["seq"][rows], list(timeline.data.remote_causes))
    return (
        (timeline.columns["op"][rows] == Operation.RUN)
        & (timeline.kinds_of(timeline.steps.scope) == EntityKind.THREAD)
        & (timeline.columns["entity"][rows] == 0)
        & ~is_sent
    )


def _kinds(timelines: list[ProcessTimeline]) -> tuple[tuple[str, int], ...]:
    counts: Counter[int] = Counter()
    for timeline in timelines:
        numbers = np.bincount(timeline.columns["kind"], minlength=1)
        counts.update({int(kind): int(numbers[kind]) for kind in np.flatnonzero(numbers)})
    return tuple(sorted((slug_of(EventKind, kind) or str(kind), count) for kind, count in counts.items()))
