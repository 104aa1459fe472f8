"""Recordings opened for analysis: the processes of a run on one clock, kept while they are asked for.

Opening decodes every event of the processes that have a part of the run, which takes a
quarter of a second for a million; what was worked out from them stays with them. A view that
has become old because a process sent more is replaced when it is asked for the next time,
and takes over what was decoded already.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from clew.analysis.blocks import picture_of
from clew.analysis.causes import Causes
from clew.analysis.links import Links
from clew.analysis.runs import run_starts
from clew.analysis.timeline import timelines_of_streams
from clew.convert.stored import StoredStream, streams_of
from clew.convert.timeline_columns import encode_timeline
from clew.format.clocks import wall_offset
from clew.server.errors import no_run
from clew.server.times import rfc3339
from clew.store.run_processes import processes_of_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clew.analysis.blocks import Picture
    from clew.analysis.timeline import ProcessTimeline
    from clew.format.reader import Stream
    from clew.store.run_processes import RunProcesses
    from clew.store.store import Store

MAX_VIEWS = 16
"""Runs that stay open."""
MAX_BYTES = 2 << 30
"""About how much memory they may take; the one that was asked for last stays, whatever it takes."""
_BYTES_PER_EVENT = 400
"""Its columns (57), what the analyses make of them (some 150), blocks and what was sent of them (two times 45)."""
_BYTES_PER_DEFINITION = 500


@dataclass(slots=True)
class _Slot:
    """A place in the library; who holds the lock loads what belongs there."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    view: RunView | None = None


class RunView:
    """A run and the processes that have a part of it.

    Attributes:
        timelines: The processes, by their start.
        run: The row of the catalog: ``run_id``, ``status``, ``started_ns``, ``duration_ns``, …
        zero_ns: When the run began, ns since 1970: its time 0.
        origin_ns: The same moment on the clock of *timelines*; subtract it from their times.
        revision: Of the latest change to anything in it.

    Thread safety: yes; what two threads ask for at one time is worked out once.
    """

    def __init__(self, run: Mapping[str, Any], timelines: list[ProcessTimeline], revision: int) -> None:
        self.run = run
        self.timelines = timelines
        self.revision = revision
        self.zero_ns = int(run["started_ns"])
        self.origin_ns = _origin_ns(run, timelines)
        self._lock = threading.RLock()

    @property
    def run_id(self) -> str:
        """Its id, 32 hexadecimal digits."""
        return str(self.run["run_id"])

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where each process stands among the timelines, by its id."""
        return {timeline.stream.id: position for position, timeline in enumerate(self.timelines)}

    @property
    def picture(self) -> Picture:
        """Its lanes, blocks and marks."""
        with self._lock:
            return self._picture

    @cached_property
    def _picture(self) -> Picture:
        return picture_of(self.timelines, self.run_id, self.origin_ns, self.links)

    @property
    def causes(self) -> Causes:
        """What led to what in it."""
        with self._lock:
            return self._causes

    @cached_property
    def _causes(self) -> Causes:
        return Causes(self.timelines, self.links)

    @property
    def links(self) -> Links:
        """What in one process led to what in another."""
        with self._lock:
            return self._links

    @cached_property
    def _links(self) -> Links:
        return Links(self.timelines)

    @property
    def timeline_body(self) -> bytearray:
        """The timeline as it is sent."""
        with self._lock:
            return self._timeline_body

    @cached_property
    def _timeline_body(self) -> bytearray:
        about = {
            "run": self.run_id,
            "started_at": rfc3339(self.zero_ns),
            "duration_ns": int(self.run["duration_ns"]),
            "revision": self.revision,
            "running": self.run["status"] == "running",
        }
        return encode_timeline(self.picture, self.timelines, self.origin_ns, about)

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes once everything was asked for."""
        data = [timeline.data for timeline in self.timelines]
        definitions = sum(len(d.entities) + len(d.spans) + len(d.attrs) for d in data)
        return sum(map(len, data)) * _BYTES_PER_EVENT + definitions * _BYTES_PER_DEFINITION


class Library:
    """Opens runs of a store, and keeps the last ones open.

    Args:
        store: Where they are stored.
        max_views: How many stay open.
        max_bytes: About how much memory they may take.

    Thread safety: yes; a run is loaded once, however many ask for it at one time.
    """

    def __init__(self, store: Store, *, max_views: int = MAX_VIEWS, max_bytes: int = MAX_BYTES) -> None:
        self._store = store
        self._max_views = max_views
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    def timelines(self, run_id: str) -> RunView:
        """Return a run as it is stored now.

        Args:
            run_id: 32 hexadecimal digits.

        Raises:
            HttpError: There is no such run.
        """
        wanted = self._wanted(run_id)
        with self._lock:
            slot = self._slots.setdefault(run_id, _Slot())
            self._slots.move_to_end(run_id)
        with slot.lock:
            view = slot.view
            if view is None or view.revision < wanted.revision or list(view.positions) != list(wanted.process_ids):
                view = slot.view = self._load(wanted, view)
        self._forget(run_id)
        return view

    def revision_of(self, run_id: str) -> int:
        """Return the revision of a run as it is stored now; nothing is opened.

        Raises:
            HttpError: There is no such run.
        """
        return self._wanted(run_id).revision

    def _wanted(self, run_id: str) -> RunProcesses:
        found = processes_of_run(self._store, run_id)
        if found is None:
            raise no_run(run_id)
        return found

    def _load(self, wanted: RunProcesses, before: RunView | None) -> RunView:
        known = [cast("StoredStream", timeline.stream) for timeline in before.timelines] if before is not None else []
        streams = streams_of(self._store, wanted.process_ids, known)
        timelines = timelines_of_streams(cast("list[Stream]", streams))
        revision = max((stream.revision for stream in streams), default=0)
        return RunView(wanted.run, timelines, max(revision, wanted.revision))

    def _forget(self, current: str) -> None:
        """Close what was not asked for the longest, until the rest is as much as may be."""
        with self._lock:
            sizes = {run: slot.view.size_bytes for run, slot in self._slots.items() if slot.view is not None}
            total = sum(sizes.values())
            for run in list(self._slots):
                if (len(self._slots) <= self._max_views and total <= self._max_bytes) or run == current:
                    continue
                # Somebody who loads into it at this moment keeps it, and loads it for themselves.
                del self._slots[run]
                total -= sizes.get(run, 0)


def _origin_ns(run: Mapping[str, Any], timelines: list[ProcessTimeline]) -> int:
    """Return when a run began, on the clock of *timelines*.

    Its root span says so to the nanosecond. Where that is not there, the catalog's wall time
    is taken, which other processes of the host see shifted by what the wall clock was adjusted.
    """
    root = next((timeline for timeline in timelines if timeline.stream.id == run["process_id"]), None)
    if root is None:
        return min((timeline.start_ns for timeline in timelines), default=0)
    start = run_starts(root, str(run["run_id"]))
    return start if start is not None else int(run["started_ns"]) - wall_offset(root.stream.process) + root.shift_ns
