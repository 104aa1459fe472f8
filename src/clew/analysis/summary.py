"""What does a recording hold, in the order in which an engineer wants to know it?

Processes, runs with outcome and time, errors, the tasks that ran most, the waits that took
longest, and what is missing from the recording.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from clew.analysis.runs import Run, runs_of
from clew.model.kinds import EntityKind, EventKind, Operation, slug_of

if TYPE_CHECKING:
    from clew.analysis.timeline import ProcessTimeline

IDLE_OPERATIONS = (Operation.SLEEP,)
"""Waits that are meant to last: they are not listed among the longest."""


@dataclass(frozen=True, slots=True)
class ProcessSummary:
    """One process."""

    process: str
    pid: int
    service: str
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
    total_ns: int
    steps: int
    longest_ns: int
    site: str
    """Where the task was created."""


@dataclass(frozen=True, slots=True)
class WaitGroup:
    """Waits for one thing."""

    label: str
    service: str
    count: int
    unfinished: int
    total_ns: int
    longest_ns: int
    longest_by: str
    """Who waited longest."""
    site: str
    """Where that wait was."""


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
    processes = tuple(process_summary(timeline) for timeline in timelines)
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
        runs=tuple(runs_of(timelines)),
        errors=errors_of(timelines),
        busiest=busiest_of(timelines),
        waits=waits_summary_of(timelines),
        kinds=_kinds(timelines),
    )


def _wall_start(timelines: list[ProcessTimeline]) -> int:
    """Return the Unix time at which the recording's own clock stands at 0."""
    first = timelines[0].stream.process
    wall, monotonic = first.get("wall_ns"), first.get("monotonic_ns")
    if type(wall) is not int or type(monotonic) is not int:
        return 0
    return wall - monotonic - timelines[0].shift_ns


def process_summary(timeline: ProcessTimeline) -> ProcessSummary:
    """Summarise one process."""
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
        argv=tuple(map(str, cast("list[object]", argv))) if isinstance(argv, list) else (),
        python=str(head.get("python", "")),
        exit=timeline.exit_code,
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


def errors_of(timelines: list[ProcessTimeline]) -> tuple[ErrorGroup, ...]:
    """Group the errors by type, message and place; unhandled ones first, then the most frequent.

    An error that was seen more than once, as it was raised, logged and not handled, is one.
    """
    groups: dict[_ErrorKey, list[int]] = {}
    for timeline in timelines:
        columns = timeline.columns
        known: dict[int, _ErrorKey] = {}
        unhandled: set[int] = set()
        wanted = (EventKind.ERROR_RAISED, EventKind.ERROR_HANDLED, EventKind.ERROR_UNHANDLED)
        for row in np.flatnonzero(np.isin(columns["kind"], wanted)).tolist():
            seq, first = int(columns["seq"][row]), int(columns["cause"][row])
            attrs = _attrs(timeline, seq)
            key = _ErrorKey(
                str(attrs.get("type", "error")),
                str(attrs.get("message", "")),
                timeline.place_of(int(columns["site"][row])),
                timeline.service,
            )
            # The cause of a second event of an error is the first; but another error may be the cause, too.
            is_again = columns["kind"][row] != EventKind.ERROR_RAISED and first in known and known[first].fits(key)
            if is_again:
                key = known[first]
            at = int(columns["t_ns"][row]) + timeline.shift_ns
            group = groups.setdefault(key, [0, 0, at])
            group[0] += not is_again
            group[2] = min(group[2], at)
            identity = first if is_again else seq
            known[seq] = key
            if columns["kind"][row] == EventKind.ERROR_UNHANDLED and identity not in unhandled:
                unhandled.add(identity)
                group[1] += 1
    result = [ErrorGroup(*key, count, unhandled, first) for key, (count, unhandled, first) in groups.items()]
    return tuple(sorted(result, key=lambda e: (-e.unhandled, -e.count, e.first_ns, e.type, e.message)))


class _ErrorKey(NamedTuple):
    """What errors of one group have in common."""

    type: str
    message: str
    site: str
    service: str

    def fits(self, again: _ErrorKey) -> bool:
        """Tell whether *again* may be of the same error, whose place is sometimes not known any more."""
        return again in (self, self._replace(site=""))


def _attrs(timeline: ProcessTimeline, seq: int) -> dict[str, Any]:
    try:
        value = json.loads(timeline.data.attrs.get(seq, "{}"))
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def busiest_of(timelines: list[ProcessTimeline], limit: int = 8) -> tuple[BusyScope, ...]:
    """List the tasks and threads that ran longest, by the time of their steps.

    Tasks that nobody named are taken together where they are of one function and created in
    one place: a server has one for each request. The time of a step is wall-clock time
    between two awaits: it includes waiting for the GIL and for blocking calls.
    """
    found: list[BusyScope] = []
    for timeline in timelines:
        steps = timeline.steps
        is_run = ~_is_main_job(timeline)
        scopes, durations = steps.scope[is_run], (steps.end_ns - steps.start_ns)[is_run]
        if not len(scopes):
            continue
        order = np.argsort(scopes, kind="stable")
        scopes, durations = scopes[order], durations[order]
        firsts = np.flatnonzero(np.concatenate(([True], scopes[1:] != scopes[:-1])))
        totals = np.add.reduceat(durations, firsts)
        longest = np.maximum.reduceat(durations, firsts)
        counts = np.diff(np.append(firsts, len(scopes)))
        groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for i, scope in enumerate(scopes[firsts].tolist()):
            groups[_alike(timeline, scope)].append(i)
        for members in groups.values():
            scope = int(scopes[firsts[members[0]]])
            name = _scope_name(timeline, scope)
            if len(members) > 1:
                name = f"{len(members):,} tasks {timeline.data.entities[scope][3]}"
            found.append(
                BusyScope(
                    name, timeline.service, int(totals[members].sum()), int(counts[members].sum()),
                    int(longest[members].max()), timeline.place_of(timeline.creation_site_of(scope)),
                )
            )  # fmt: skip
    return tuple(sorted(found, key=lambda busy: (-busy.total_ns, busy.name))[:limit])


def _alike(timeline: ProcessTimeline, scope: int) -> tuple[object, ...]:
    """Return what unnamed tasks of one function and place have in common; what only *scope* has, else."""
    row = timeline.data.entities.get(scope)
    if row is not None and timeline.is_unnamed_task(scope):
        return row[3], timeline.place_of(row[5])
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


def _scope_name(timeline: ProcessTimeline, scope: int) -> str:
    """Name a task or thread; the main thread of a worker process by the process."""
    name = timeline.name_of(scope)
    if name != "MainThread":
        return name
    process = next((row[2] for row in timeline.data.entities.values() if row[1] == EntityKind.PROCESS), "")
    return name if process in ("", timeline.service, "MainProcess") else f"{process} {name}"


def waits_summary_of(timelines: list[ProcessTimeline], limit: int = 8) -> tuple[WaitGroup, ...]:
    """Group the waits by what was waited for; those that never ended first, then the longest."""
    groups: dict[tuple[int, str], list[_Waits]] = defaultdict(list)
    for position, timeline in enumerate(timelines):
        waits, columns = timeline.waits, timeline.columns
        rows = np.where(waits.begin_rows >= 0, waits.begin_rows, waits.end_rows)
        ops = columns["op"][rows]
        keep = np.flatnonzero(~np.isin(ops, IDLE_OPERATIONS))
        keys = (waits.entity.astype(np.int64) << 8 | ops)[keep]
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.diff(keys[order], prepend=-1))
        durations = (waits.end_ns - waits.start_ns)[keep]
        for at in np.split(order, bounds[1:]) if len(order) else []:
            key = int(keys[at[0]])
            label = timeline.wait_label_of(key >> 8, key & 0xFF)
            longest = int(keep[at[np.argmax(durations[at])]])
            unfinished = int((~waits.has_ended[keep[at]]).sum())
            groups[position, label].append(_Waits(len(at), unfinished, int(durations[at].sum()), longest))
    found = [_wait_group(timelines[position], label, parts) for (position, label), parts in groups.items()]
    found.sort(key=lambda group: (group.unfinished == 0, -group.longest_ns, group.label))
    return tuple(found[:limit])


class _Waits(NamedTuple):
    """The waits for one entity: how many, and the position of the longest."""

    number: int
    unfinished: int
    total_ns: int
    longest: int


def _wait_group(timeline: ProcessTimeline, label: str, parts: list[_Waits]) -> WaitGroup:
    """Join the waits for things of one label: several locks may have one name."""
    waits, columns = timeline.waits, timeline.columns
    longest = max((part.longest for part in parts), key=lambda at: waits.end_ns[at] - waits.start_ns[at])
    row = int(waits.begin_rows[longest] if waits.begin_rows[longest] >= 0 else waits.end_rows[longest])
    return WaitGroup(
        label=label,
        service=timeline.service,
        count=sum(part.number for part in parts),
        unfinished=sum(part.unfinished for part in parts),
        total_ns=sum(part.total_ns for part in parts),
        longest_ns=int(waits.end_ns[longest] - waits.start_ns[longest]),
        longest_by=_scope_name(timeline, int(waits.scope[longest])),
        site=timeline.place_of(int(columns["site"][row])),
    )


def _kinds(timelines: list[ProcessTimeline]) -> tuple[tuple[str, int], ...]:
    counts: Counter[int] = Counter()
    for timeline in timelines:
        numbers = np.bincount(timeline.columns["kind"], minlength=1)
        counts.update({int(kind): int(numbers[kind]) for kind in np.flatnonzero(numbers)})
    return tuple(sorted((slug_of(EventKind, kind) or str(kind), count) for kind, count in counts.items()))
