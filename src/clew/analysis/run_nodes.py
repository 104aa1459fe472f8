"""What is known of one thing that happened in a run: its name, times, outcome, and who woke it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.analysis.processes import START_EFFECTS
from clew.analysis.run_items import ItemKind
from clew.analysis.wakes import positions_by_id, verb_of, wake_of
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, slug_of

if TYPE_CHECKING:
    from clew.analysis.columns import Numbers
    from clew.analysis.run_items import Items
    from clew.analysis.runs import Run, SpanRef
    from clew.analysis.timeline import ProcessTimeline
    from clew.analysis.wakes import Wake

LEVELS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug"))


@dataclass(frozen=True, slots=True)
class Woken:
    """Who ended a wait or cancelled a task.

    Attributes:
        how: ``event``, ``timer`` or ``io``; the rest is empty unless it was an event.
        scope: The task or thread that did it.
        did: What it did: ``released it``.
        service: Its process.
        site: Where, as far as known.
        at_ns: When, since the start of the tree.
    """

    how: str
    scope: str
    did: str
    service: str
    site: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one thing.

    Attributes:
        kind: ``run``, ``request``, ``effect``, ``span``, ``task``, ``thread``, ``visit``, ``wait``, ``error``, ``log``,
            ``event`` or ``gap``.
        group: The name of those that are alike: of tasks their function.
        detail: What more there is to say: a message, a status.
        start_ns: Since the start of the tree.
        duration_ns: None of what happens at one instant.
        outcome: How it ended: a slug of ``Outcome``, ``running``, ``lost``, ``never ended`` or ``end not recorded``.
        site: Where in the code: where it was created, waited, raised.
        ran_ns: How long a task ran, or the task did in this span; None where that is not known.
        longest_ns: How long it ran at most without a pause.
        ready_ns: How long it could have run, but did not.
        waited_ns: How long it waited.
        run: The id of another run that this belongs to; empty if it is this one.
        seq: The event that says so first.
    """

    kind: str
    name: str
    group: str
    detail: str
    process: str
    service: str
    pid: int
    start_ns: int
    duration_ns: int | None
    outcome: str
    site: str
    seq: int
    ran_ns: int | None = None
    longest_ns: int | None = None
    ready_ns: int | None = None
    waited_ns: int | None = None
    woken: Woken | None = None
    run: str = ""


class Describer:
    """Says what is known of the items of a run, one at a time.

    Args:
        run: The run.
        timelines: All processes of the recording.
        items: Of ``items_of``.
    """

    def __init__(self, run: Run, timelines: list[ProcessTimeline], items: Items) -> None:
        self._run = run
        self._timelines = timelines
        self._items = items
        self._positions = positions_by_id(timelines)
        self._activities = [_Activity(timeline) for timeline in timelines]

    def calls(self) -> Numbers:
        """Return the items that are calls to something outside the process."""
        return np.array([i for i, span in enumerate(self._run.spans) if span.effect], np.int64)

    def facts(self, item: int, *, alike: Numbers, since_ns: int) -> Facts:
        """Return what is known of *item*, one of *alike*; times since *since_ns*."""
        kind, ref = ItemKind(int(self._items.kind[item])), int(self._items.ref[item])
        process = int(self._items.process[item])
        known: dict[str, Any] = {}
        if kind == ItemKind.SPAN:
            known = self._span(self._run.spans[item], is_root=item == 0)
        elif kind == ItemKind.SCOPE:
            known = self._scope(process, ref, since_ns)
        elif kind == ItemKind.VISIT:
            timeline = self._timelines[process]
            known = {"kind": "visit", "name": timeline.name_of(ref), "site": timeline.creation_site_of(ref)}
        elif kind == ItemKind.WAIT:
            known = self._wait(process, ref, since_ns)
        elif kind == ItemKind.RUN:
            known = self._other_run(process, ref)
        elif kind == ItemKind.GAP:
            known = self._gap(process, self._items.ref[alike])
        else:
            known = self._mark(process, ref)
        return self._facts(item, known, since_ns)

    def _facts(self, item: int, known: dict[str, Any], since_ns: int) -> Facts:
        items, process = self._items, int(self._items.process[item])
        timeline = self._timelines[process]
        is_instant = items.kind[item] in (ItemKind.MARK, ItemKind.GAP)
        row = known.pop("row", -1)
        common: dict[str, Any] = {
            "detail": "",
            "outcome": "",
            "process": timeline.stream.id,
            "service": timeline.label,
            "pid": timeline.pid,
            "start_ns": int(items.start_ns[item]) - since_ns,
            "duration_ns": None if is_instant else int(items.end_ns[item] - items.start_ns[item]),
            "seq": int(timeline.columns["seq"][row]) if row >= 0 else 0,
        }
        common |= {"group": known["name"]} | known
        common["site"] = timeline.place_of(known.get("site", 0))
        return Facts(**common)

    def _span(self, span: SpanRef, *, is_root: bool) -> dict[str, Any]:
        timeline = self._timelines[span.process]
        kind = "effect" if span.effect else "request" if span.kind == "server" else "run" if is_root else "span"
        name, detail = span.name, ""
        if span.effect:
            name = f"{span.effect} {span.name}"
        attrs = timeline.attrs_of(span.end_row) if span.end_row >= 0 else {}
        asked = timeline.attrs_of(span.start_row) if span.start_row >= 0 else {}
        if "status" in attrs:
            detail = str(attrs["status"])
        elif "pid" in asked or "pid" in attrs:
            detail = self._child(span, attrs.get("pid", asked.get("pid")), attrs.get("returncode"))
        outcome = span.outcome or ("not awaited" if span.effect in START_EFFECTS else self._unended(timeline))
        if is_root:
            outcome = {"succeeded": "ok"}.get(self._run.status, self._run.status)
        known = {
            "kind": kind,
            "name": name,
            "detail": detail,
            "outcome": outcome,
            "site": span.site,
            "row": span.start_row,
        }
        return known | self._activities[span.process].of(span.scope, span.start_ns, span.end_ns)

    @staticmethod
    def _unended(timeline: ProcessTimeline) -> str:
        if timeline.is_running:
            return "running"
        return "end not recorded" if timeline.dropped else "never ended"

    def _child(self, span: SpanRef, pid: Any, code: Any) -> str:
        """Name a started process by the service it became: the first of its pid that began afterwards."""
        known = [t for t in self._timelines if t.pid == pid and t.start_ns >= span.start_ns]
        said = f"{known[0].label}, pid {pid}" if known else f"pid {pid}"
        return said if code is None else f"{said}, exit {code}"

    def _scope(self, process: int, number: int, since_ns: int) -> dict[str, Any]:
        timeline = self._timelines[process]
        lifetimes = timeline.lifetimes
        at = int(np.searchsorted(lifetimes.id, number))
        definition = timeline.data.entities[number]
        end_row = int(lifetimes.end_rows[at])
        is_task = lifetimes.kind[at] == EntityKind.TASK
        start, end = int(lifetimes.start_ns[at]) + timeline.shift_ns, int(lifetimes.end_ns[at]) + timeline.shift_ns
        known: dict[str, Any] = {
            "kind": "task" if is_task else "thread",
            "name": timeline.name_of(number),
            "group": (definition[3] if is_task else definition[2].rstrip("0123456789_-")) or timeline.name_of(number),
            "site": timeline.creation_site_of(number),
            "row": int(lifetimes.start_rows[at]),
            "outcome": _outcome(timeline, end_row) if end_row >= 0 else self._unended(timeline),
        }
        if known["outcome"] == "cancelled":
            rows = np.flatnonzero(
                (timeline.columns["kind"] == EventKind.LIFE_TASK_CANCEL) & (timeline.columns["entity"] == number)
            )
            if len(rows):
                known["woken"] = self._woken(wake_of(self._timelines, self._positions, process, int(rows[0])), since_ns)
        return known | self._activities[process].of(number, start, end)

    def _wait(self, process: int, at: int, since_ns: int) -> dict[str, Any]:
        timeline, waits = self._timelines[process], self._timelines[process].waits
        begin, end = int(waits.begin_rows[at]), int(waits.end_rows[at])
        row = begin if begin >= 0 else end
        columns = timeline.columns
        label = timeline.wait_label_of(int(waits.entity[at]), int(columns["op"][row]))
        known: dict[str, Any] = {
            "kind": "wait",
            "name": label.removeprefix("wait "),
            "site": int(columns["site"][row]),
            "row": row,
            "outcome": _outcome(timeline, end) if end >= 0 else self._unended(timeline),
        }
        if (end >= 0 and columns["op"][row] != Operation.SLEEP) or known["outcome"] == "cancelled":
            known["woken"] = self._woken(wake_of(self._timelines, self._positions, process, end), since_ns)
        return known

    def _woken(self, wake: Wake | None, since_ns: int) -> Woken | None:
        if wake is None:
            return None
        timeline, columns = self._timelines[wake.process], self._timelines[wake.process].columns
        at = int(columns["t_ns"][wake.row]) + timeline.shift_ns - since_ns
        if wake.how != "event":
            return Woken(wake.how, "", "", timeline.label, "", at)
        scope = int(columns["scope"][wake.row])
        site = timeline.place_of(int(columns["site"][wake.row]))
        return Woken("event", timeline.name_of(scope), verb_of(timeline, wake.row), timeline.label, site, at)

    def _other_run(self, process: int, number: int) -> dict[str, Any]:
        timeline = self._timelines[process]
        spans = timeline.spans
        at = int(np.searchsorted(spans.number, number))
        row = timeline.data.spans[number]
        start_row, end_row = int(spans.start_rows[at]), int(spans.end_rows[at])
        return {
            "kind": "run",
            "name": row[9],
            "outcome": _outcome(timeline, end_row) if end_row >= 0 else self._unended(timeline),
            "site": int(timeline.columns["site"][start_row]) if start_row >= 0 else 0,
            "row": start_row,
            "run": f"{row[1] << 64 | row[2]:032x}",
        }

    def _gap(self, process: int, rows: Numbers) -> dict[str, Any]:
        timeline = self._timelines[process]
        count = int(timeline.columns["arg"][rows].sum())
        return {
            "kind": "gap",
            "name": f"{count:,} event{'' if count == 1 else 's'} dropped",
            "detail": str(timeline.attrs_of(int(rows[0])).get("reason", "")),
            "row": int(rows[0]),
        }

    def _mark(self, process: int, row: int) -> dict[str, Any]:
        timeline, columns = self._timelines[process], self._timelines[process].columns
        attrs, kind = timeline.attrs_of(row), EventKind(int(columns["kind"][row]))
        known: dict[str, Any] = {"site": int(columns["site"][row]), "row": row}
        if kind == EventKind.LOG_RECORD:
            level = next(name for least, name in LEVELS if int(columns["arg"][row]) >= least)
            return known | {"kind": "log", "name": f"{level} {attrs.get('logger', '')}", "detail": message_of(attrs)}
        if kind == EventKind.CUSTOM_EVENT:
            return known | {"kind": "event", "name": str(attrs.get("name", "event"))}
        outcome = kind.slug.partition(".")[2]
        if kind == EventKind.ERROR_RAISED and int(columns["seq"][row]) in self._unhandled[process]:
            outcome = "unhandled"
        error = str(attrs.get("type", "error"))
        return known | {
            "kind": "error",
            "name": error,
            "detail": str(attrs.get("message", "")),
            "outcome": outcome,
        }

    @cached_property
    def _unhandled(self) -> list[set[int]]:
        """Of each process the errors that nobody handled, by their numbers."""
        found: list[set[int]] = []
        for timeline in self._timelines:
            columns = timeline.columns
            found.append(set(columns["cause"][columns["kind"] == EventKind.ERROR_UNHANDLED].tolist()))
        return found


_PLACEHOLDER = re.compile(r"%(?:%|[-#0 +]*\d*(?:\.\d+)?[a-zA-Z])")
"""What ``logging`` replaces by an argument."""


def message_of(attrs: dict[str, Any]) -> str:
    """Return the message of a log record, its recorded arguments put in."""
    message, arguments = str(attrs.get("message", "")), attrs.get("arguments")
    if not isinstance(arguments, list):
        return message
    values = iter(cast("list[object]", arguments))
    return _PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else str(next(values, found[0])), message)


def _outcome(timeline: ProcessTimeline, row: int) -> str:
    return slug_of(Outcome, int(timeline.columns["outcome"][row])) or "ok"


class _Activity:
    """When the scopes of one process ran."""

    def __init__(self, timeline: ProcessTimeline) -> None:
        self._timeline = timeline

    @cached_property
    def _by_scope(self) -> tuple[Numbers, Numbers]:
        order = np.argsort(self._timeline.steps.scope, kind="stable")
        return self._timeline.steps.scope[order].astype(np.int64), order

    @cached_property
    def _waits_by_scope(self) -> tuple[Numbers, Numbers]:
        order = np.argsort(self._timeline.waits.scope, kind="stable")
        return self._timeline.waits.scope[order].astype(np.int64), order

    @cached_property
    def _hosts(self) -> set[int]:
        """Threads in which tasks run: what a loop does between its steps is not recorded."""
        entities = self._timeline.entities
        return set(self._timeline.threads[entities["kind"] == EntityKind.TASK].tolist())

    def of(self, scope: int, start_ns: int, end_ns: int) -> dict[str, int]:
        """Return how long a task or thread ran between two times on the common clock."""
        row = self._timeline.data.entities.get(scope)
        if row is None:
            return {}
        start, end = start_ns - self._timeline.shift_ns, end_ns - self._timeline.shift_ns
        if row[1] == EntityKind.TASK:
            return self._of_task(scope, start, end)
        if row[1] == EntityKind.THREAD and scope not in self._hosts:
            return {"waited_ns": self._waited(scope, start, end)}
        return {}

    def _of_task(self, scope: int, start: int, end: int) -> dict[str, int]:
        scopes, order = self._by_scope
        steps = self._timeline.steps
        at = order[slice(*np.searchsorted(scopes, [scope, scope + 1]))]
        overlaps = np.minimum(steps.end_ns[at], end) - np.maximum(steps.start_ns[at], start)
        is_inside = overlaps >= 0
        begun = at[is_inside & (steps.start_ns[at] > start)]
        if not is_inside.any():
            return {}
        ran, ready = int(overlaps[is_inside].sum()), int(self._timeline.columns["wait_ns"][steps.rows[begun]].sum())
        return {
            "ran_ns": ran,
            "longest_ns": int(overlaps[is_inside].max()),
            "ready_ns": ready,
            "waited_ns": max(end - start - ran - ready, 0),
        }

    def _waited(self, scope: int, start: int, end: int) -> int:
        """Return how long a thread waited: its waits may lie in one another."""
        scopes, order = self._waits_by_scope
        waits = self._timeline.waits
        at = order[slice(*np.searchsorted(scopes, [scope, scope + 1]))]
        starts, ends = np.maximum(waits.start_ns[at], start), np.minimum(waits.end_ns[at], end)
        kept = ends > starts
        starts, ends = starts[kept], ends[kept]
        if not len(starts):
            return 0
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(ends[order])
        before = np.concatenate((starts[:1], ends[:-1]))
        return int(np.maximum(ends - np.maximum(starts, before), 0).sum())
