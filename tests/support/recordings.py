"""Recordings made by hand: events written one by one, for what no program does on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clew.convert.recording_writer import RecordingWriter, StreamContent, empty_columns
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole

START_NS = 1_000_000_000
WALL_NS = 1_790_000_000_000_000_000


class Process:
    """One process of a recording; times are given in µs after its start.

    It has the process (entity 1) and its main thread (entity 2) already.
    """

    def __init__(self, process_id: int = 0xA1, *, pid: int = 100, service: str = "bank", **head: Any) -> None:
        self.process_id = process_id
        anchor = {"monotonic_ns": START_NS, "wall_ns": WALL_NS, "host": "here"}
        self.head: dict[str, Any] = anchor | {"pid": pid, "service": service} | head
        self.columns = empty_columns()
        self.attrs: dict[int, str] = {}
        self.remote_causes: dict[int, tuple[int, int]] = {}
        self.definitions: dict[str, list[Any]] = {"sites": [], "entities": [], "spans": []}
        self.end: dict[str, Any] | None = {"reason": "exit"}
        self.process = self.entity(EntityKind.PROCESS, service)
        self.main = self.entity(EntityKind.THREAD, "MainThread", parent=self.process)

    def entity(
        self, kind: EntityKind, name: str, *, type_name: str = "", parent: int = 0, span: int = 0, site: int = 0
    ) -> int:
        """Define an entity; a task's creator is the main thread unless said otherwise."""
        rows = self.definitions["entities"]
        if kind == EntityKind.TASK and not parent:
            parent = self.main
        rows.append((len(rows) + 1, int(kind), name, type_name, parent, site, span, ""))
        return len(rows)

    def task(self, name: str, function: str = "work", **more: int) -> int:
        """Define a task."""
        return self.entity(EntityKind.TASK, name, type_name=function, **more)

    def site(self, line: int, function: str) -> int:
        """Define a site in app.py."""
        rows = self.definitions["sites"]
        rows.append((len(rows) + 1, "app.py", line, function))
        return len(rows)

    def span(
        self, name: str, *, parent: int = 0, role: SpanRole = SpanRole.STEP, kind: SpanKind = SpanKind.INTERNAL,
        op: Operation = Operation.NONE, span_id: int = 0, parent_span_id: int = 0, trace: int = 9,
    ) -> int:  # fmt: skip
        """Define a span."""
        rows = self.definitions["spans"]
        number = len(rows) + 1
        rows.append((number, 7, trace, span_id or number, parent_span_id, parent, int(kind), int(role), int(op), name))
        return number

    def event(
        self, at_us: float, kind: EventKind, scope: int, *, op: Operation = Operation.NONE, outcome: Outcome = Outcome.NONE,
        attrs: dict[str, Any] | None = None, remote_cause: tuple[int, int] | None = None, **numbers: int,
    ) -> int:  # fmt: skip
        """Add an event; return its sequence number."""
        seq = len(self.columns["seq"]) + 1
        row = {
            "seq": seq,
            "t_ns": START_NS + round(at_us * 1000),
            "kind": kind,
            "op": op,
            "outcome": outcome,
            "scope": scope,
        }
        for name, column in self.columns.items():
            column.append(int((row | numbers).get(name, 0)))
        if attrs is not None:
            self.attrs[seq] = json.dumps(attrs)
        if remote_cause is not None:
            self.remote_causes[seq] = remote_cause
        return seq

    def step(self, at_us: float, scope: int, duration_us: float, **more: Any) -> int:
        """Add a step that has ended."""
        return self.event(at_us, EventKind.LIFE_STEP, scope, arg=round(duration_us * 1000), **more)

    @property
    def content(self) -> StreamContent:
        """What to write."""
        return StreamContent(
            self.process_id, self.head, self.columns, self.attrs, self.remote_causes, self.definitions, self.end
        )


def write(folder: Path, *processes: Process) -> Path:
    """Write a recording; return *folder*."""
    with RecordingWriter(folder) as writer:
        for process in processes:
            writer.write(process.content)
    return folder
