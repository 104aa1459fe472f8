"""One process as trace events: the names of its rows, and the slices and marks on them."""

from __future__ import annotations

import json
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clew.model.kinds import EntityKind, EventKind, Outcome, slug_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from clew.analysis.timeline import ProcessTimeline
    from clew.convert.perfetto_tracks import Row, Rows

# The viewer shows escaped characters as they are escaped, so only what must be is.
quote = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

MARKS = (
    EventKind.ERROR_RAISED,
    EventKind.ERROR_HANDLED,
    EventKind.ERROR_UNHANDLED,
    EventKind.LOG_RECORD,
    EventKind.LIFE_TASK_CANCEL,
    EventKind.CUSTOM_EVENT,
)
"""Events that are shown as marks."""
MAX_NAME = 120


def microseconds(ns: int) -> str:
    """Write nanoseconds in the unit of the format, nothing lost."""
    return f"{ns // 1000}.{ns % 1000:03}" if ns >= 0 else f"-{microseconds(-ns)}"


def rows_of(*arrays: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    """Iterate over arrays side by side as Python values, without making them all at once."""
    size = 1 << 15
    for start in range(0, len(arrays[0]), size):
        yield from zip(*[array[start : start + size].tolist() for array in arrays], strict=True)


class Drawing:
    """Draws one process.

    Args:
        timeline: Its events.
        rows: Where they are drawn; their numbers are given before anything is drawn.
    """

    def __init__(self, timeline: ProcessTimeline, rows: Rows) -> None:
        self.timeline = timeline
        self.rows = rows
        self._places: dict[int, str] = {}

    def place_of(self, scope: int) -> str:
        """Return the members that put an event on the row of *scope*."""
        place = self._places.get(scope)
        if place is None:
            place = self._places[scope] = self._place(self.rows.of.get(scope))
        return place

    def _place(self, row: Row | None) -> str:
        return f'"pid":{self.rows.pid},"tid":{row.number if row is not None else self.rows.pid}'

    @cached_property
    def times(self) -> NDArray[np.int64]:
        """When each event happened, on the common clock."""
        return self.timeline.columns["t_ns"] + self.timeline.shift_ns

    def names(self) -> Iterator[str]:
        """Name the process and its rows."""
        pid = self.rows.pid
        name = quote(self.timeline.service)
        yield f'{{"ph":"M","pid":{pid},"tid":{pid},"name":"process_name","args":{{"name":{name}}}}}'
        for i, row in enumerate(self.rows.rows):
            place = self._place(row)
            yield f'{{"ph":"M",{place},"name":"thread_name","args":{{"name":{quote(row.name)}}}}}'
            yield f'{{"ph":"M",{place},"name":"thread_sort_index","args":{{"sort_index":{i}}}}}'

    def slices(self) -> Iterator[str]:
        """Draw everything that lies on a row, outer slices first."""
        yield from self._lifetimes()
        yield from self._steps()
        yield from self._pauses()
        yield from self._blocking_waits()
        yield from self._calls()
        yield from self._marks()
        yield from self._gaps()

    # -- slices

    def slice(self, place: str, start: int, end: int | None, name: str, category: str, args: str = "") -> str:
        """Return one slice; *end* None is for what never ended."""
        begin = f'{{"ph":"{"B" if end is None else "X"}",{place},"ts":{microseconds(start)}'
        length = "" if end is None else f',"dur":{microseconds(max(end - start, 0))}'
        return f'{begin}{length},"name":{name},"cat":"{category}","args":{{{args}}}}}'

    def _lifetimes(self) -> Iterator[str]:
        timeline, lifetimes, shift = self.timeline, self.timeline.lifetimes, self.timeline.shift_ns
        seqs, sites = timeline.columns["seq"], timeline.columns["site"]
        outcomes = timeline.columns["outcome"]
        # The viewer does not take an open slice for the outer one of what begins with it,
        # so a lifetime that never ended is drawn to the end of the recording.
        for entity, kind, start, end, has_ended, start_row, end_row in rows_of(
            lifetimes.id, lifetimes.kind, lifetimes.start_ns + shift, self.rows.end_ns + shift,
            lifetimes.has_ended, lifetimes.start_rows, lifetimes.end_rows,
        ):  # fmt: skip
            args = [f'"entity":{entity}']
            if start_row >= 0:
                args.append(f'"seq":{seqs[start_row]}')
                if sites[start_row]:
                    args.append(f'"started at":{quote(timeline.site_of(int(sites[start_row])))}')
            if not has_ended:
                args.append('"outcome":"never ended"')
            elif outcomes[end_row]:
                args.append(f'"outcome":{quote(_outcome(int(outcomes[end_row])))}')
            definition = timeline.data.entities.get(entity)
            if definition is not None and definition[3] and kind == EntityKind.TASK:
                args.append(f'"function":{quote(definition[3])}')
            name = quote(timeline.name_of(entity))
            category = "task" if kind == EntityKind.TASK else "thread"
            yield self.slice(self.place_of(entity), start, end, name, category, ",".join(args))

    def _steps(self) -> Iterator[str]:
        """Draw each step on the row of its thread, and a task's also on its own."""
        timeline, steps, columns = self.timeline, self.timeline.steps, self.timeline.columns
        shift, last = timeline.shift_ns, int(steps.end_ns.max()) if len(steps.rows) else 0
        labels: dict[tuple[int, int, int], str] = {}
        threads = {task: self._place(row) for task, row in self.rows.thread_of.items()}
        rows, are_tasks = steps.rows, timeline.kinds_of(steps.scope) == EntityKind.TASK
        for scope, is_task, start, end, has_ended, seq, op, site in rows_of(
            steps.scope, are_tasks, steps.start_ns, steps.end_ns, steps.has_ended, columns["seq"][rows], columns["op"][rows],
            columns["site"][rows],
        ):  # fmt: skip
            key = (scope, op, site)
            label = labels.get(key)
            if label is None:
                label = labels[key] = quote(timeline.step_label(scope, op, site))
            until = end + shift if has_ended or end < last else None
            args = f'"seq":{seq},"site":{quote(timeline.site_of(site))}' if site else f'"seq":{seq}'
            thread = threads.get(scope) if is_task else self.place_of(scope)
            if thread is not None:
                yield self.slice(thread, start + shift, until, label, "step", args)
            if is_task:
                yield self.slice(self.place_of(scope), start + shift, until, '"run"', "run", args)

    # -- what lies between the steps of a task

    def _pauses(self) -> Iterator[str]:
        """Draw the time between two steps of a task: waiting, then ready."""
        pauses, shift = self.timeline.pauses, self.timeline.shift_ns
        for i, (scope, before, after, start, woke, end) in enumerate(
            rows_of(pauses.scope, pauses.before, pauses.after, pauses.start_ns, pauses.woken_ns, pauses.end_ns)
        ):
            if after < 0:
                yield self._pause(i, scope, start + shift, None)
                continue
            if woke > start and before >= 0:
                yield self._pause(i, scope, start + shift, woke + shift)
            if end > woke:
                yield self.slice(self.place_of(scope), woke + shift, end + shift, '"ready"', "ready")

    def _pause(self, pause: int, scope: int, start: int, end: int | None) -> str:
        """Draw the wait after a step: as it was recorded, else by what is known of the await."""
        timeline, pauses = self.timeline, self.timeline.pauses
        wait = int(pauses.wait[pause])
        if wait >= 0:
            name, args = self._wait_name(wait), self._wait_args(wait)
        else:
            awaited = int(timeline.steps.awaited[pauses.before[pause]])
            span = int(pauses.span[pause])
            label = timeline.wait_label_of(awaited, 0) if awaited else timeline.effect_label_of(span)
            name, args = quote(label or "wait"), ""
        return self.slice(self.place_of(scope), start, end, name, "wait", args)

    def _wait_name(self, wait: int) -> str:
        waits, columns = self.timeline.waits, self.timeline.columns
        row = int(waits.begin_rows[wait] if waits.begin_rows[wait] >= 0 else waits.end_rows[wait])
        return quote(self.timeline.wait_label_of(int(waits.entity[wait]), int(columns["op"][row])))

    def _wait_args(self, wait: int) -> str:
        timeline, waits, columns = self.timeline, self.timeline.waits, self.timeline.columns
        begin, end = int(waits.begin_rows[wait]), int(waits.end_rows[wait])
        first = begin if begin >= 0 else end
        args = [f'"seq":{columns["seq"][first]}']
        site = int(columns["site"][first])
        if site:
            args.append(f'"site":{quote(timeline.site_of(site))}')
        if end >= 0:
            args.append(f'"ended by seq":{columns["seq"][end]}')
            args.append(f'"waited":"{microseconds(int(waits.end_ns[wait] - waits.start_ns[wait]))} µs"')
            if columns["outcome"][end]:
                args.append(f'"outcome":{quote(_outcome(int(columns["outcome"][end])))}')
        return ",".join(args)

    def _blocking_waits(self) -> Iterator[str]:
        """Draw the waits that hold up a thread: those of threads, and of tasks within one step."""
        waits, shift = self.timeline.waits, self.timeline.shift_ns
        for wait in self.timeline.blocking_waits.tolist():
            end = int(waits.end_ns[wait]) + shift if waits.has_ended[wait] else None
            yield self.slice(
                self.place_of(int(waits.scope[wait])), int(waits.start_ns[wait]) + shift, end,
                self._wait_name(wait), "wait", self._wait_args(wait),
            )  # fmt: skip

    def _calls(self) -> Iterator[str]:
        """Draw the function calls that lie within one step, or in a thread."""
        timeline, shift, columns = self.timeline, self.timeline.shift_ns, self.timeline.columns
        calls = timeline.calls
        kinds = timeline.kinds_of(calls.scope)
        is_inside = timeline.step_of_event[calls.start_rows] == timeline.step_of_event[calls.end_rows]
        is_drawn = (kinds == EntityKind.THREAD) | (calls.has_ended & is_inside)
        for call in np.flatnonzero(is_drawn).tolist():
            row = int(calls.start_rows[call])
            site = int(columns["site"][row])
            end = int(calls.end_ns[call]) + shift if calls.has_ended[call] else None
            yield self.slice(
                self.place_of(int(calls.scope[call])), int(calls.start_ns[call]) + shift, end,
                quote(timeline.function_of(site) or "call"), "call", f'"site":{quote(timeline.site_of(site))}',
            )  # fmt: skip

    # -- marks

    def mark(self, place: str, time: int, name: str, category: str, args: str = "", *, reach: str = "t") -> str:
        """Return one mark, on its row or (*reach* ``p``) on the process."""
        return (
            f'{{"ph":"i","s":"{reach}",{place},"ts":{microseconds(time)},"name":{name},"cat":"{category}",'
            f'"args":{{{args}}}}}'
        )

    def event_args(self, row: int) -> str:
        """Return what is known of one event as members of an object."""
        timeline, columns = self.timeline, self.timeline.columns
        seq = int(columns["seq"][row])
        args = [f'"seq":{seq}']
        site = int(columns["site"][row])
        if site:
            args.append(f'"site":{quote(timeline.site_of(site))}')
        if columns["outcome"][row]:
            args.append(f'"outcome":{quote(_outcome(int(columns["outcome"][row])))}')
        text = timeline.data.attrs.get(seq)
        if text is not None:
            args.append(f'"attrs":{self._readable(text)}')
        return ",".join(args)

    def _readable(self, text: str) -> str:
        """Return attributes as JSON, the numbers of stacks replaced by the places they stand for."""
        try:
            attrs = _parsed(text)
            return quote(self._resolve(attrs) if '"stack"' in text else attrs)
        except (ValueError, RecursionError):  # an infinite number, or too deep
            return quote(text)

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, dict):
            items: Any = value.items()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  any JSON
            return {name: self._places_of(inner) if name == "stack" else self._resolve(inner) for name, inner in items}
        if isinstance(value, list):
            return [self._resolve(inner) for inner in cast("list[Any]", value)]
        return value

    def _places_of(self, stack: Any) -> Any:
        if not isinstance(stack, list):
            return stack
        return [self.timeline.site_of(site) if type(site) is int else site for site in cast("list[Any]", stack)]

    def _marks(self) -> Iterator[str]:
        columns = self.timeline.columns
        kinds, scopes = columns["kind"], columns["scope"]
        for row in np.flatnonzero(np.isin(kinds, MARKS)).tolist():
            kind = EventKind(int(kinds[row]))
            name = quote(self._mark_name(kind, row))
            category = kind.slug.partition(".")[0]
            yield self.mark(self.place_of(int(scopes[row])), int(self.times[row]), name, category, self.event_args(row))

    def _mark_name(self, kind: EventKind, row: int) -> str:
        attrs = self.timeline.attrs_of(row)
        if kind == EventKind.LIFE_TASK_CANCEL:
            return "cancelled"
        if kind == EventKind.LOG_RECORD:
            name = f"log: {attrs.get('message', '')}"
        elif kind == EventKind.CUSTOM_EVENT:
            name = str(attrs.get("name", "event"))
        else:
            name = f"{attrs.get('type', 'error')}: {attrs.get('message', '')}"
            if kind != EventKind.ERROR_RAISED:
                name = f"{kind.slug.partition('.')[2]} {name}"
        return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"

    def _gaps(self) -> Iterator[str]:
        columns = self.timeline.columns
        for row in np.flatnonzero(columns["kind"] == EventKind.GAP_DROPPED).tolist():
            count = int(columns["arg"][row])
            name = quote(f"{count:,} event{'' if count == 1 else 's'} lost")
            start = self.timeline.attrs_of(row).get("from_ns")
            args = self.event_args(row)
            if type(start) is int:
                args += f',"since":"{microseconds(max(int(columns["t_ns"][row]) - start, 0))} µs before"'
            yield self.mark(f'"pid":{self.rows.pid}', int(self.times[row]), name, "gap", args, reach="p")


def _parsed(text: str) -> Any:
    """Return a JSON text as a value; as it is, where it is none that every reader takes."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


@cache
def _outcome(number: int) -> str:
    return slug_of(Outcome, number) or str(number)
