"""One process as intervals, and all processes of a recording on one clock."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.analysis.calls import calls_of
from clew.analysis.columns import as_arrays, last_ns, look_up, table_of
from clew.analysis.errors import errors_of_process
from clew.analysis.lifetimes import lifetimes_of, threads_of_scopes
from clew.analysis.pauses import blocking_waits_of, pauses_of
from clew.analysis.spans import spans_after_events, spans_of, spans_of_events
from clew.analysis.steps import steps_of, steps_of_events
from clew.analysis.waits import waits_of
from clew.format import schema
from clew.format.clocks import wall_offsets
from clew.model.kinds import EntityKind, EventKind, Operation, slug_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from clew.analysis.calls import Calls
    from clew.analysis.errors import Errors
    from clew.analysis.lifetimes import Lifetimes
    from clew.analysis.pauses import Pauses
    from clew.analysis.spans import Spans
    from clew.analysis.steps import Steps
    from clew.analysis.waits import Waits
    from clew.format.reader import Recording, Stream

PROCESS_ENTITY = 1
"""The number of the process itself among its entities."""
_UNNAMED_TASK = re.compile(r"Task-\d+")
"""What asyncio names a task that was given no name."""


class ProcessTimeline:
    """The events of one stream as intervals; each is worked out when it is asked for.

    Attributes:
        shift_ns: What to add to a time of this stream for the recording's common clock.
    """

    def __init__(self, stream: Stream, shift_ns: int) -> None:
        self.stream = stream
        self.shift_ns = shift_ns
        self.data = stream.data
        self.columns = as_arrays(self.data.columns)
        self._places: dict[int, str] = {}

    @cached_property
    def entities(self) -> dict[str, NDArray[Any]]:
        """Its entities as columns."""
        return table_of(self.data.entities, schema.ENTITIES)

    @cached_property
    def spans_table(self) -> dict[str, NDArray[Any]]:
        """The definitions of its spans as columns."""
        return table_of(self.data.spans, schema.SPANS)

    @cached_property
    def steps(self) -> Steps:
        """When each scope ran."""
        return steps_of(self.columns)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        """When each task, thread and process lived."""
        return lifetimes_of(self.columns, self.entities)

    @cached_property
    def step_of_event(self) -> NDArray[np.int64]:
        """For each event the step it happened in, or -1."""
        return steps_of_events(self.columns, self.steps)

    @cached_property
    def span_of_event(self) -> NDArray[Any]:
        """For each event the span it belongs to, or 0."""
        return spans_of_events(self.columns, self.span_after_event)

    @cached_property
    def span_after_event(self) -> NDArray[Any]:
        """For each event the span its scope is in after it, or 0."""
        return spans_after_events(self.columns, self.entities, self.spans_table)

    @cached_property
    def errors(self) -> Errors:
        """The errors of the process, each once."""
        return errors_of_process(self)

    @cached_property
    def waits(self) -> Waits:
        """The waits of the process."""
        return waits_of(self.columns)

    @cached_property
    def pauses(self) -> Pauses:
        """What its tasks did between their steps."""
        return pauses_of(self)

    @cached_property
    def blocking_waits(self) -> NDArray[np.int64]:
        """Positions of the waits that hold up a thread."""
        return blocking_waits_of(self)

    @cached_property
    def calls(self) -> Calls:
        """The function calls of the process, where they were recorded."""
        return calls_of(self.columns)

    @cached_property
    def spans(self) -> Spans:
        """The spans of the process."""
        return spans_of(self.columns)

    @cached_property
    def threads(self) -> NDArray[Any]:
        """For each row of ``entities`` the thread it runs in, or 0."""
        return threads_of_scopes(self.entities)

    @cached_property
    def _by_seq(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The numbers of the events ascending, and the row of each if that is another order."""
        seq = self.columns["seq"]
        if bool(np.all(seq[1:] > seq[:-1])):
            return seq, None
        order = np.argsort(seq, kind="stable")
        return seq[order], order

    def row_of(self, seq: int) -> int:
        """Return where an event stands in the columns, -1 if it is not recorded."""
        seqs, order = self._by_seq
        at = int(np.searchsorted(seqs, seq)) if 0 < seq < 1 << 63 else len(seqs)
        if at >= len(seqs) or seqs[at] != seq:
            return -1
        return at if order is None else int(order[at])

    def attrs_of(self, row: int) -> dict[str, Any]:
        """Return the attributes of an event; none if they are not a JSON object."""
        try:
            attrs = json.loads(self.data.attrs.get(int(self.columns["seq"][row]), "{}"), parse_constant=str)
        except (ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", attrs) if isinstance(attrs, dict) else {}

    def thread_of(self, scopes: NDArray[Any]) -> NDArray[Any]:
        """Return the thread each of *scopes* runs in, or 0."""
        return look_up({"id": self.entities["id"], "thread": self.threads}, "thread", scopes)

    @property
    def service(self) -> str:
        """What people call the process."""
        return str(self.stream.process.get("service") or self.stream.path.stem)

    @cached_property
    def label(self) -> str:
        """What tells the process from others: of a worker of multiprocessing its name there."""
        name = next((row[2] for row in self.data.entities.values() if row[1] == EntityKind.PROCESS), "")
        return self.service if name in ("", "MainProcess") or not self.is_worker else name

    @property
    def is_worker(self) -> bool:
        """Whether multiprocessing started it, and gave it a name."""
        row = self.data.entities.get(PROCESS_ENTITY)
        return row is not None and row[1] == EntityKind.PROCESS and row[3].startswith("multiprocessing")

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        return _number(self.stream.process.get("pid"))

    @property
    def start_ns(self) -> int:
        """When its first event happened, on the recording's clock."""
        times = self.columns["t_ns"]
        return int(times.min()) + self.shift_ns if len(times) else 0

    @property
    def end_ns(self) -> int:
        """When its last event happened, on the recording's clock."""
        return last_ns(self.columns) + self.shift_ns if len(self.columns["t_ns"]) else self.start_ns

    @property
    def end(self) -> dict[str, Any]:
        """What is known of its end; empty while it runs, or if that was never written."""
        return self.stream.end or {}

    @property
    def is_running(self) -> bool:
        """Whether the recording has not come to the end of the process yet."""
        return self.stream.end is None

    @property
    def ended_orderly(self) -> bool:
        """Whether the process said itself that it ends: it was not killed, and did not crash."""
        return self.end.get("reason") == "exit"

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None if that is not known."""
        code = self.end.get("exit")
        return code if type(code) is int else None

    @cached_property
    def dropped(self) -> int:
        """How many events were lost: numbers of the stream that no event has, but for the gaps' own.

        What was lost after the last event that was kept, only the end of the stream says.
        """
        seq = self.columns["seq"]
        missing = int(seq.max()) - len(seq) if len(seq) else 0
        return max(
            missing + int((self.columns["kind"] == EventKind.GAP_DROPPED).sum()), _number(self.end.get("dropped"))
        )

    def kinds_of(self, entities: NDArray[Any]) -> NDArray[Any]:
        """Return the ``EntityKind`` of each of *entities*, 0 where it is not defined."""
        return look_up(self.entities, "kind", entities)

    def name_of(self, entity: int) -> str:
        """Name a task or thread as people know it; a task nobody named by its function too."""
        row = self.data.entities.get(entity)
        if row is None:
            return f"#{entity}"
        name, type_name = row[2], row[3]
        if self.is_unnamed_task(entity):
            return f"{type_name} ({name})"
        return name or type_name or f"#{entity}"

    def is_unnamed_task(self, entity: int) -> bool:
        """Whether an entity is a task whose name says nothing, but whose function does."""
        row = self.data.entities.get(entity)
        return row is not None and row[1] == EntityKind.TASK and bool(row[3]) and bool(_UNNAMED_TASK.fullmatch(row[2]))

    def label_of(self, entity: int) -> str:
        """Name any entity with its kind: ``lock Bank.lock``, or ``lock of connect`` by who made it."""
        row = self.data.entities.get(entity)
        if row is None:
            return f"#{entity}"
        if row[1] == EntityKind.TASK:
            name = self.name_of(entity)
        else:
            function = self.function_of(row[5])
            name = row[2] or (f"of {function}" if function else f"#{entity}")
        return f"{slug_of(EntityKind, row[1]) or 'entity'} {name}"

    def wait_label_of(self, entity: int, op: int) -> str:
        """Name a wait by what is waited for: ``wait lock Bank.lock``, ``wait sleep``."""
        if op == Operation.SLEEP:
            return "sleep"
        what = slug_of(Operation, op) or ""
        if not entity:
            return f"wait {what}".rstrip()
        return f"wait {self.label_of(entity)}" + (f" ({what})" if op in (Operation.GET, Operation.PUT) else "")

    def effect_label_of(self, span: int) -> str:
        """Name a wait by the effect it happens in: ``wait db select account``; empty if it is none."""
        row = self.data.spans.get(span)
        return effect_wait_label(row[8], row[9]) if row is not None else ""

    def site_of(self, site: int) -> str:
        """Name a place in the code: ``bank.py:31 transfer``; empty if it is not known."""
        row = self.data.sites.get(site)
        return f"{row[1]}:{row[2]} {row[3]}" if row else ""

    def place_of(self, site: int) -> str:
        """Name a place in the code as short as it is still found: ``bank/app.py:31 transfer``."""
        place = self._places.get(site)
        if place is None:
            place = self._places[site] = self._name_place(site)
        return place

    def _name_place(self, site: int) -> str:
        row = self.data.sites.get(site)
        if row is None:
            return ""
        file = str(row[1])
        for part in ("/site-packages/", "/dist-packages/"):
            file = file.rpartition(part)[2]
        folder = str(self.stream.process.get("cwd") or "").rstrip("/") + "/"
        file = file.removeprefix(folder)
        if file.startswith("/"):
            file = "/".join(file.split("/")[-2:])
        return f"{file}:{row[2]} {row[3]}"

    def creation_site_of(self, entity: int) -> int:
        """Return the site at which an entity was created, or first met."""
        row = self.data.entities.get(entity)
        return row[5] if row is not None else 0

    def function_of(self, site: int) -> str:
        """Return the function at a site; empty if it is not known."""
        row = self.data.sites.get(site)
        return row[3] if row else ""

    def step_label(self, scope: int, op: int, site: int) -> str:
        """Name a step of a thread by its function, one of a task by the task."""
        row = self.data.entities.get(scope)
        if row is not None and row[1] == EntityKind.TASK:
            return self.name_of(scope)
        return self.function_of(site) or slug_of(Operation, op) or self.name_of(scope)


def effect_wait_label(op: int, name: str) -> str:
    """Name a wait by the effect it happens in; empty if *op* says that it is none."""
    return f"wait {slug_of(Operation, op) or 'effect'} {name}" if op else ""


def timelines_of(recording: Recording) -> list[ProcessTimeline]:
    """Return the processes of *recording* on one clock, whose 0 is the earliest event."""
    return timelines_of_streams(recording.streams)


def timelines_of_streams(streams: Sequence[Stream]) -> list[ProcessTimeline]:
    """Return processes on one clock, whose 0 is the earliest event.

    Args:
        streams: What was recorded of each, by its start.
    """
    offsets = wall_offsets([stream.process for stream in streams])
    starts = [
        int(np.asarray(stream.data.columns["t_ns"]).min()) + offset
        for stream, offset in zip(streams, offsets, strict=True)
        if len(stream.data)
    ]
    zero = min(starts, default=0)
    return [ProcessTimeline(stream, offset - zero) for stream, offset in zip(streams, offsets, strict=True)]


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1 << 62 else 0
