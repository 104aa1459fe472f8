"""Events as JSON: with their numbers resolved, and with all that is known around one of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.analysis.sentences import sentence_of
from clew.analysis.steps import durations_of_events
from clew.analysis.timeline import PROCESS_ENTITY
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, slug_of
from clew.model.times import format_time

if TYPE_CHECKING:
    from clew.analysis.columns import Numbers
    from clew.analysis.timeline import ProcessTimeline

MAX_EFFECTS = 50
MAX_FRAMES = 100
MAX_CHAIN = 20
_HASH = re.compile("[0-9a-f]{64}")


class EventWriter:
    """Writes events of some processes.

    Args:
        timelines: The processes.
        origin_ns: The time 0 of what is written, on their clock.
        zero_ns: The same moment in Unix time.
    """

    def __init__(self, timelines: list[ProcessTimeline], origin_ns: int, zero_ns: int) -> None:
        self._timelines = timelines
        self._origin_ns = origin_ns
        self._zero_ns = zero_ns
        self._durations: dict[int, Numbers] = {}

    def event(self, process: int, row: int) -> dict[str, Any]:
        """Return an event, as lists have it.

        Args:
            process: Position of its process.
            row: Where it stands in the columns.
        """
        timeline = self._timelines[process]
        data = timeline.data
        seq, t_ns, kind, op, outcome, scope, entity, site, cause, wait_ns, arg = (
            int(timeline.columns[name][row])
            for name in (
                "seq", "t_ns", "kind", "op", "outcome", "scope", "entity", "site", "cause", "wait_ns", "arg",
            )
        )  # fmt: skip
        scope_row, entity_row, place = data.entities.get(scope), data.entities.get(entity), data.sites.get(site)
        number = int(timeline.span_of_event[row])
        span = data.spans.get(number)
        remote = data.remote_causes.get(seq)
        duration_ns = int(self._durations_of(process)[row])
        return {
            "process": timeline.stream.id,
            "service": timeline.service,
            "seq": seq,
            "t_ns": t_ns + timeline.shift_ns - self._origin_ns,
            "kind": slug_of(EventKind, kind) or f"#{kind}",
            "op": (slug_of(Operation, op) or f"#{op}") if op else None,
            "outcome": (slug_of(Outcome, outcome) or f"#{outcome}") if outcome else None,
            "scope": (scope_row[2] or scope_row[3]) if scope_row is not None else None,
            "scope_id": scope or None,
            "entity": (entity_row[2] or entity_row[3]) if entity_row is not None else None,
            "entity_kind": (slug_of(EntityKind, entity_row[1]) or "") if entity_row is not None else None,
            "entity_id": entity or None,
            "run": f"{span[1] << 64 | span[2]:032x}" if span is not None else None,
            "span": span[9] if span is not None else None,
            "span_id": number or None,
            "file": place[1] if place is not None else None,
            "line": place[2] if place is not None else None,
            "function": place[3] if place is not None else None,
            "wait_ns": wait_ns,
            "duration_ns": duration_ns if duration_ns > 0 else None,
            "arg": arg,
            "cause": {"process": f"{remote[0]:016x}", "seq": remote[1]}
            if remote is not None
            else {"process": timeline.stream.id, "seq": cause}
            if cause > 0
            else None,
            "attrs": timeline.attrs_of(row) if seq in data.attrs else None,
        }

    def _durations_of(self, process: int) -> Numbers:
        found = self._durations.get(process)
        if found is None:
            timeline = self._timelines[process]
            found = self._durations[process] = durations_of_events(timeline.columns, timeline.steps)
        return found

    def detail(self, process: int, row: int) -> dict[str, Any]:
        """Return all that is known around an event.

        Args:
            process: Position of its process.
            row: Where it stands in the columns.

        Complexity: O(n) for n events of its process, and remote causes of the others.
        """
        timeline = self._timelines[process]
        attrs = timeline.attrs_of(row)
        site = int(timeline.columns["site"][row])
        at_ns = int(timeline.columns["t_ns"][row]) + timeline.shift_ns - self._origin_ns + self._zero_ns
        return {
            "at": format_time(max(-_LATEST, min(at_ns, _LATEST))),
            "text": sentence_of(timeline, row),
            "site_id": site or None,
            "stack": _stack(timeline, attrs.get("stack")) or _stack(timeline, [site]),
            "chain": _chain(timeline, attrs),
            "scope_path": _scope_path(timeline, int(timeline.columns["scope"][row])),
            "artifacts": _artifacts(attrs),
            "effects": self._effects(process, row),
        }

    def _effects(self, process: int, row: int) -> list[dict[str, Any]]:
        """Return the events that one enabled, by time."""
        timeline = self._timelines[process]
        seq = int(timeline.columns["seq"][row])
        own = np.flatnonzero(timeline.columns["cause"] == seq)
        found = [(process, at) for at in own[: 4 * MAX_EFFECTS].tolist() if not self._is_remote(process, at)]
        wanted = timeline.stream.process_id, seq
        for other, elsewhere in enumerate(self._timelines):
            for later, cause in elsewhere.data.remote_causes.items():
                if cause == wanted and (at := elsewhere.row_of(later)) >= 0:
                    found.append((other, at))
        effects = [self._effect(*ref) for ref in found]
        return sorted(effects, key=lambda effect: (effect["t_ns"], effect["process"], effect["seq"]))[:MAX_EFFECTS]

    def _is_remote(self, process: int, row: int) -> bool:
        timeline = self._timelines[process]
        return int(timeline.columns["seq"][row]) in timeline.data.remote_causes

    def _effect(self, process: int, row: int) -> dict[str, Any]:
        timeline = self._timelines[process]
        kind, scope = int(timeline.columns["kind"][row]), int(timeline.columns["scope"][row])
        return {
            "process": timeline.stream.id,
            "seq": int(timeline.columns["seq"][row]),
            "t_ns": int(timeline.columns["t_ns"][row]) + timeline.shift_ns - self._origin_ns,
            "kind": slug_of(EventKind, kind) or f"#{kind}",
            "scope": timeline.name_of(scope) if scope else "",
            "text": sentence_of(timeline, row),
        }


_LATEST = (1 << 63) - 1


def _stack(timeline: ProcessTimeline, sites: object) -> list[dict[str, Any]]:
    """Return the frames of some sites; what is no site is left out."""
    frames: list[dict[str, Any]] = []
    for number in cast("list[object]", sites)[:MAX_FRAMES] if isinstance(sites, list) else ():
        row = timeline.data.sites.get(number) if type(number) is int else None
        if row is not None:
            frames.append({"file": row[1], "line": row[2], "function": row[3], "site": row[0]})
    return frames


def _chain(timeline: ProcessTimeline, attrs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the errors that one followed from, nearest first, then those it holds."""
    found: list[dict[str, Any]] = []
    for name, relation in (("chain", "context"), ("exceptions", "member")):
        links: Any = attrs.get(name)
        for link in cast("list[object]", links)[:MAX_CHAIN] if isinstance(links, list) else ():
            if not isinstance(link, dict):
                continue
            said = cast("dict[str, Any]", link)
            found.append(
                {
                    "type": str(said.get("type", "error")),
                    "message": str(said.get("message", "")),
                    "relation": str(said.get("relation", relation)),
                    "stack": _stack(timeline, said.get("stack")),
                }
            )
    return found


def _scope_path(timeline: ProcessTimeline, scope: int) -> list[dict[str, Any]]:
    """Return where something ran: process, thread, task, as far as they are known."""
    thread = int(timeline.thread_of(np.array([scope], np.int64))[0]) if scope else 0
    path: list[dict[str, Any]] = []
    for number in dict.fromkeys((PROCESS_ENTITY, thread, scope)):
        row = timeline.data.entities.get(number)
        if row is None or (number == PROCESS_ENTITY and row[1] != EntityKind.PROCESS and number != scope):
            continue
        name = timeline.label if row[1] == EntityKind.PROCESS else timeline.name_of(number)
        path.append({"entity_id": number, "kind": slug_of(EntityKind, row[1]) or "", "name": name})
    return path


def _artifacts(attrs: dict[str, Any]) -> list[str]:
    hashes: Any = attrs.get("artifacts")
    if not isinstance(hashes, list):
        return []
    return [value for value in cast("list[object]", hashes) if isinstance(value, str) and _HASH.fullmatch(value)]
