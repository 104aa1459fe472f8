"""Which event of which process started each process of a recording?

Definition: a child is joined to the event (``effect.call`` with op ``fork``, ``spawn``,
``subprocess`` or ``exec``) by which another recorded process started it. A forked child
names that event itself. Any other knows only the process whose environment it inherited;
its pid, or that of the shell between the two, leads to the event.

Assumptions: all times given are of one clock; a pid belongs to one process of a host at a
time, so of several starts of one pid the last one before the child began is its own.

Can miss: the event, if more than one unrecorded program lies between parent and child;
then only the process is told. Can wrongly report: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clew.model.kinds import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

STARTS = (Operation.FORK, Operation.SPAWN, Operation.SUBPROCESS, Operation.EXEC)
"""Operations of an ``effect.call`` that starts a process."""
START_EFFECTS = tuple(operation.slug for operation in STARTS)
"""Their names."""

Confidence = Literal["observed", "inferred", "likely"]


@dataclass(frozen=True, slots=True)
class Process:
    """What the head of a stream says of its process.

    Attributes:
        process_id: Its id.
        host: Name of the machine.
        pid: Its number there.
        parent_pid: The pid of its parent.
        parent: Process id and sequence number (0: not known) of what started it, or None.
        started_ns: When its recording began.
    """

    process_id: int
    host: str
    pid: int
    parent_pid: int
    parent: tuple[int, int] | None
    started_ns: int


@dataclass(frozen=True, slots=True)
class Start:
    """An event that started a process.

    Attributes:
        process_id: Whose event it is.
        seq: Its sequence number.
        pid: Pid of the process it started.
        at_ns: When it happened.
        result_seq: The event by which the starter knew that the process ended; 0 without one.
        ended_ns: When that happened; 0 without one.
    """

    process_id: int
    seq: int
    pid: int
    at_ns: int
    result_seq: int = 0
    ended_ns: int = 0


@dataclass(frozen=True, slots=True)
class Parentage:
    """A child and what started it.

    Attributes:
        child: Process id.
        parent: Process id of the starter.
        seq: The event there; 0 if only the process is known.
        result_seq: The event there by which it knew of the child's end; 0 without one.
        confidence: ``observed``: the child names the event; ``inferred``: by its pid;
            ``likely``: by the pid of a program between them, or by the environment.
    """

    child: int
    parent: int
    seq: int
    result_seq: int
    confidence: Confidence


def join_processes(processes: Iterable[Process], starts: Iterable[Start]) -> list[Parentage]:
    """Join every process to the events that led to it.

    Args:
        processes: All processes of a recording.
        starts: All events of theirs that started a process whose pid is known.

    Returns:
        Sorted by child, then parent, then event. None for a process that no recorded one
        started; two for a worker of a fork server: the fork there, and the call that
        asked for it.

    Complexity: O(p + s log s) for p processes and s starts.
    """
    by_id = {process.process_id: process for process in processes}
    by_event = {(start.process_id, start.seq): start for start in starts}
    by_pid: dict[tuple[str, int], list[Start]] = {}
    for start in sorted(by_event.values(), key=lambda start: (start.at_ns, start.process_id, start.seq)):
        starter = by_id.get(start.process_id)
        if starter is not None:
            by_pid.setdefault((starter.host, start.pid), []).append(start)
    found: list[Parentage] = []
    for child in by_id.values():
        found += _parents_of(child, by_event, by_pid)
    return sorted(found, key=lambda link: (link.child, link.parent, link.seq))


def _parents_of(
    child: Process, by_event: dict[tuple[int, int], Start], by_pid: dict[tuple[str, int], list[Start]]
) -> list[Parentage]:
    links: list[Parentage] = []
    if child.parent is not None and child.parent[1]:
        named = by_event.get(child.parent)
        links.append(Parentage(child.process_id, *child.parent, named.result_seq if named else 0, "observed"))
    of_its_pid = by_pid.get((child.host, child.pid), ())
    start = _last_before(child, [s for s in of_its_pid if not links or s.process_id != links[0].parent])
    if start is not None:
        links.append(Parentage(child.process_id, start.process_id, start.seq, start.result_seq, "inferred"))
    if links or child.parent is None:
        return links
    # A shell or the like between them: only what the process whose environment was
    # inherited started counts; that of another one would be an ancestor's.
    between = [s for s in by_pid.get((child.host, child.parent_pid), ()) if s.process_id == child.parent[0]]
    start = _last_before(child, between)
    if start is not None:
        return [Parentage(child.process_id, start.process_id, start.seq, 0, "likely")]
    return [Parentage(child.process_id, *child.parent, 0, "likely")]


def _last_before(child: Process, starts: Iterable[Start]) -> Start | None:
    """Return the last start before *child* began, unless that process had ended by then."""
    found = None
    for start in starts:
        if start.at_ns <= child.started_ns and start.process_id != child.process_id:
            found = start
    return found if found is not None and not 0 < found.ended_ns <= child.started_ns else None
