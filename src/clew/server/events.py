"""Events of a run: pages of them by time, and one with all that is known around it."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from clew.analysis.event_filters import FIELDS
from clew.analysis.event_list import EventList, EventRef
from clew.analysis.filters import parse
from clew.convert.event_json import EventWriter
from clew.server import cursors
from clew.server.answers import Events, WholeEvent, json_response
from clew.server.auth import Role, require
from clew.server.context import Shared
from clew.server.errors import HttpError
from clew.server.runs import Cursor, Filter, Limit, RunId

if TYPE_CHECKING:
    from clew.analysis.columns import Numbers
    from clew.server.library import RunView

router = APIRouter(prefix="/api/v1", tags=["events"], dependencies=[require(Role.VIEWER)])

ProcessId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Id of a process")]
Seq = Annotated[int, Path(ge=1, le=(1 << 63) - 1, description="Number of an event in its process")]
_AROUND = re.compile(r"([0-9a-f]{16}):(\d{1,18})", re.ASCII)
_KEPT_FILTERS = 8


class _Opened:
    """What is worked out for the events of a view, and kept as long as the view is."""

    def __init__(self, view: RunView) -> None:
        # Not the view itself: it would keep its own key alive.
        self._timelines, self._run_id = view.timelines, view.run_id
        self._origin_ns = view.origin_ns
        self.writer = EventWriter(view.timelines, view.origin_ns, view.zero_ns)
        self._lock = threading.RLock()
        self._selected: OrderedDict[str, Numbers] = OrderedDict()

    @cached_property
    def _events(self) -> EventList:
        return EventList(self._timelines, self._run_id, self._origin_ns)

    @property
    def events(self) -> EventList:
        with self._lock:
            return self._events

    def selected(self, text: str) -> Numbers:
        """Return the ranks of the events that a filter means, ascending."""
        terms = parse(text, FIELDS)
        with self._lock:
            ranks = self._selected.get(text)
            if ranks is None:
                ranks = self._selected[text] = self.events.select(terms)
            self._selected.move_to_end(text)
            while len(self._selected) > _KEPT_FILTERS:
                self._selected.popitem(last=False)
            return ranks


_OPENED: WeakKeyDictionary[RunView, _Opened] = WeakKeyDictionary()
_OPENED_LOCK = threading.Lock()


def _opened(view: RunView) -> _Opened:
    with _OPENED_LOCK:
        found = _OPENED.get(view)
        if found is None:
            found = _OPENED[view] = _Opened(view)
        return found


@router.get("/runs/{run}/events", response_model=Events)
def list_events(
    context: Shared,
    run: RunId,
    filter: Filter = "",
    around: Annotated[str | None, Query(max_length=100, description="PROCESS:SEQ, the event in the middle")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List the events of a run by time, page by page in both directions."""
    view = context.library.timelines(run)
    opened = _opened(view)
    ranks = opened.selected(filter)
    start, end = _window(view, opened.events, ranks, around=around, cursor=cursor, limit=limit)
    refs = [opened.events[rank] for rank in ranks[start:end].tolist()]
    page = [opened.writer.event(*ref) for ref in refs]
    return json_response(
        {
            "events": page,
            "next_cursor": _cursor("after", page[-1]) if end < len(ranks) and page else None,
            "previous_cursor": _cursor("before", page[0]) if start > 0 and page else None,
            "total": len(ranks),
        }
    )


def _cursor(side: str, event: dict[str, Any]) -> str:
    return cursors.encode("events", side, event["process"], event["seq"])


def _window(
    view: RunView, events: EventList, ranks: Numbers, *, around: str | None, cursor: str | None, limit: int
) -> tuple[int, int]:
    """Return from where to where in *ranks* the page goes."""
    count = len(ranks)
    if cursor is not None:
        side, process, seq = cursors.decode(cursor, "events", str, str, int)
        event = _find(view, process, seq)
        if side not in ("after", "before") or event is None:
            raise cursors.bad(cursor)
        rank = events.rank_of(event)
        if side == "after":
            start = int(ranks.searchsorted(rank, "right" if events and _is_at(events, rank, event) else "left"))
            return start, min(start + limit, count)
        end = int(ranks.searchsorted(rank, "left"))
        return max(end - limit, 0), end
    if around is not None:
        middle = int(ranks.searchsorted(events.rank_of(_around(view, around)), "left"))
        start = max(min(middle - limit // 2, count - limit), 0)
        return start, min(start + limit, count)
    return 0, min(limit, count)


def _is_at(events: EventList, rank: int, event: EventRef) -> bool:
    return rank < len(events) and events[rank] == event


def _around(view: RunView, text: str) -> EventRef:
    match = _AROUND.fullmatch(text)
    event = _find(view, match[1], int(match[2])) if match is not None else None
    if event is None:
        raise _no_event(text[:80], view.run_id)
    return event


def _find(view: RunView, process: str, seq: int) -> EventRef | None:
    """Return where an event of one of the run's processes stands."""
    position = view.positions.get(process)
    row = view.timelines[position].row_of(seq) if position is not None else -1
    return EventRef(position, row) if position is not None and row >= 0 else None


def _no_event(event: str, run: str) -> HttpError:
    return HttpError(
        "event-missing",
        f"run {run} has no event {event!r} in its processes",
        "expected PROCESS:SEQ of an event that is stored: 16 hexadecimal digits and a number",
        "GET /api/v1/runs/{run}/events lists them; it may have been dropped",
        status=404,
    )


@router.get("/runs/{run}/events/{process}/{seq}", response_model=WholeEvent)
def get_event(context: Shared, run: RunId, process: ProcessId, seq: Seq) -> Response:
    """Return one event of any process of the run, with all that is known around it."""
    view = context.library.timelines(run)
    event = _find(view, process, seq)
    if event is None:
        raise _no_event(f"{process}:{seq}", run)
    writer = _opened(view).writer
    return json_response(writer.event(*event) | {"detail": writer.detail(*event)})
