"""Which errors of a recording did nobody handle?

Definition: an exception that left a task whose result nobody asked for, a callback of a
loop, the function of a thread, or the program; each was recorded where the interpreter or
the loop reported it (``error.unhandled``). One finding for each type of exception, place
it was raised at and kind of what it ended; a second report of one exception is the same
finding.

Not among them: what ends a program or task on purpose (``SystemExit``,
``KeyboardInterrupt``, a cancellation); reports of a loop without an exception.

What it can miss: errors of processes that were killed before they reported them, and of
tasks that were never collected. What it can wrongly report: an error a task kept on
purpose, whose result nobody asked for.

Standard library only: ``clew run`` says this without the extra ``all``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from clew.model.findings import SEVERITIES, Finding, Site, Subject
from clew.model.kinds import EntityKind, EventKind, slug_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clew.format.reader import Recording, Stream
    from clew.model.findings import Severity

KIND = "unhandled-error"
ON_PURPOSE = frozenset(
    {"SystemExit", "KeyboardInterrupt", "GeneratorExit", "asyncio.exceptions.CancelledError",
     "concurrent.futures._base.CancelledError", "trio.Cancelled"}
)  # fmt: skip
"""Exceptions that end something because it was to end."""
MAX_STACK = 30
MAX_PARTS = 3
"""Exceptions of a group that are named."""
MAX_EVENTS = 20
"""Frames and events given as evidence of one finding."""


@dataclass(frozen=True, slots=True)
class _Unhandled:
    """One exception nobody handled."""

    stream: Stream
    row: int
    raised_row: int
    """Where it was seen first: as it was raised, or logged; -1 if it was not."""
    attrs: dict[str, Any]
    entity: int
    victim: str
    """What it ended: ``process``, ``thread``, ``task`` or ``callback``."""

    @property
    def first_row(self) -> int:
        """Where it is known of first."""
        return self.raised_row if self.raised_row >= 0 else self.row


def unhandled_errors(recording: Recording) -> list[Finding]:
    """List the errors nobody handled, the gravest first.

    Complexity: O(n) for n events.
    """
    return [finding for _, finding in unhandled_errors_by(recording.streams, lambda _, rows: [""] * len(rows))]


def unhandled_errors_by(
    streams: Sequence[Stream], part_of: Callable[[Stream, Sequence[int]], Sequence[str]]
) -> list[tuple[str, Finding]]:
    """List the errors nobody handled, those of each part of a recording by themselves.

    Args:
        streams: The processes.
        part_of: Names for some events of a stream, given by their rows, the part of each:
            such as the run it belongs to. Asked of where each error was seen first.

    Returns:
        Part and finding, the gravest first.
    """
    groups: dict[tuple[object, ...], list[_Unhandled]] = {}
    for stream in streams:
        unhandled = _unhandled_of(stream)
        parts = part_of(stream, [found.first_row for found in unhandled]) if unhandled else ()
        for part, found in zip(parts, unhandled, strict=True):
            site = _site(stream, _column(stream, "site", found.row))
            key = (part, found.attrs.get("type"), found.victim, _definition(found), site)
            groups.setdefault(key, []).append(found)
    findings = [(str(key[0]), _finding(members)) for key, members in groups.items()]
    return sorted(findings, key=_rank)


def _rank(found: tuple[str, Finding]) -> tuple[object, ...]:
    part, finding = found
    return SEVERITIES.index(finding.severity), -finding.occurrences, finding.title, finding.fingerprint, part


def _unhandled_of(stream: Stream) -> list[_Unhandled]:
    data = stream.data
    kinds = bytes(data.columns["kind"])
    rows = _rows_of(kinds, EventKind.ERROR_UNHANDLED)
    if not rows:
        return []
    seen = _rows_of(kinds, EventKind.ERROR_RAISED) + _rows_of(kinds, EventKind.ERROR_HANDLED)
    by_seq = {data.columns["seq"][row]: row for row in seen}
    by_error: dict[int, _Unhandled] = {}
    for row in rows:
        attrs = _attrs(stream, row)
        if not attrs.get("type") or attrs["type"] in ON_PURPOSE:
            continue
        raised_row = by_seq.get(data.columns["cause"][row], -1)
        if raised_row >= 0 and not _is_same(attrs, _attrs(stream, raised_row)):
            raised_row = -1  # another error, from which this one was raised
        entity = data.columns["entity"][row]
        found = _Unhandled(stream, row, raised_row, attrs, entity, _victim(stream, entity))
        # A task's error may go on to end the thread or the program: that is what counts.
        error = raised_row if raised_row >= 0 else -row - 2
        known = by_error.get(error)
        if known is None or _severity(found.victim) == "critical":
            by_error[error] = found
    return list(by_error.values())


def _is_same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return all(one.get(name) == two.get(name) for name in ("type", "message"))


def _rows_of(kinds: bytes, kind: EventKind) -> list[int]:
    rows: list[int] = []
    at = kinds.find(kind)
    while at >= 0:
        rows.append(at)
        at = kinds.find(kind, at + 1)
    return rows


def _victim(stream: Stream, entity: int) -> str:
    row = stream.data.entities.get(entity)
    kind = slug_of(EntityKind, row[1]) if row is not None else None
    return kind if kind in ("process", "thread", "task") else "callback"


def _severity(victim: str) -> Severity:
    return "critical" if victim == "process" else "error"


def _definition(found: _Unhandled) -> str:
    """Return the function of a task, which is what many tasks that fail have in common."""
    row = found.stream.data.entities.get(found.entity)
    return row[3] if row is not None and found.victim == "task" else ""


def _finding(members: list[_Unhandled]) -> Finding:
    first = members[0]
    stream, error = first.stream, _error_name(first.attrs)
    site = _site(stream, _column(stream, "site", first.row))
    where = f" at {_short(stream, site)}" if site is not None else ""
    name = _name(first)
    several = f", {len(members)} times" if len(members) > 1 else ""
    subjects: list[Subject] = []
    evidence: list[dict[str, Any]] = []
    for found in members[:MAX_EVENTS]:
        subjects.append(_subject(found, site))
        evidence += _events(found)
    evidence.append(_stack(first))
    return Finding(
        kind=KIND,
        severity=_severity(first.victim),
        confidence="proved",
        title=f"{error} was not handled in {name}{several}",
        explanation=_explanation(first, error, where, len(members)),
        advice=_ADVICE[first.victim],
        fingerprint=_fingerprint(first, site),
        occurrences=len(members),
        subjects=tuple(subjects),
        evidence=tuple(evidence),
    )


_ADVICE = {
    "process": "Handle it where the program can still do something about it, or prevent it where it is raised.",
    "thread": "Handle it in the thread's function, or run the function in an executor and ask for its result.",
    "task": "Await the task, or create it in a TaskGroup, so that its error reaches the code that started it.",
    "callback": "Handle it in the callback: a loop can only log what a callback raises.",
}


def _explanation(found: _Unhandled, error: str, where: str, occurrences: int) -> str:
    stream = found.stream
    times = stream.data.columns["t_ns"]
    at = (times[found.first_row] - times[0]) / 1e9
    service = stream.process.get("service", "the program")
    said = f"{error} was raised{where} in {_name(found)} of {service}, {at:.3f} s after its recording began"
    said += f" (the first of {occurrences} times). " if occurrences > 1 else ". "
    for link in cast("list[Any]", found.attrs.get("chain") or [])[:1]:
        if isinstance(link, dict):
            said += f"It followed from {_error_name(cast('dict[str, Any]', link))}. "
    held = cast("list[Any]", found.attrs.get("exceptions") or [])
    parts = [_error_name(cast("dict[str, Any]", part)) for part in held if isinstance(part, dict)]
    if parts:
        said += f"It holds {'; '.join(parts[:MAX_PARTS])}{' …' if len(parts) > MAX_PARTS else ''}. "
    created = _site(stream, _entity(found, 5))
    by = f" (created at {_short(stream, created)})" if created is not None else ""
    if found.victim == "process":
        code = (stream.end or {}).get("exit")
        return said + "It left the program" + (f", which ended with exit code {code}." if type(code) is int else ".")
    if found.victim == "thread":
        return said + f"It ended the thread{by}; the rest of the program went on without it."
    if found.victim == "task":
        return said + f"It ended the task{by}, and nobody asked for the task's result."
    return said + f"The loop reported: {found.attrs.get('reason') or 'an error in a callback'}."


def _name(found: _Unhandled) -> str:
    if found.victim == "process":
        return "the program"
    if found.victim == "callback":
        return "a callback of the loop"
    name, type_name = _entity(found, 2), _entity(found, 3)
    return f"{found.victim} {name or type_name or found.entity}"


def _entity(found: _Unhandled, column: int) -> Any:
    row = found.stream.data.entities.get(found.entity)
    return row[column] if row is not None else 0


def _error_name(attrs: dict[str, Any]) -> str:
    name, message = str(attrs.get("type", "error")), str(attrs.get("message", ""))
    name = name.rpartition(".")[2] or name
    return f"{name}: {' '.join(message.split())[:200]}" if message else name


def _subject(found: _Unhandled, site: Site | None) -> Subject:
    name = _entity(found, 2) or _entity(found, 3) or ""
    kind = slug_of(EntityKind, _entity(found, 1)) or "loop"
    return Subject(kind, str(found.entity), str(name), found.stream.id, "raiser", site)


def _events(found: _Unhandled) -> list[dict[str, Any]]:
    seqs = found.stream.data.columns["seq"]
    kinds = found.stream.data.columns["kind"]
    return [
        {"type": "event", "process": found.stream.id, "seq": seqs[row], "kind": slug_of(EventKind, kinds[row])}
        for row in (found.raised_row, found.row)
        if row >= 0
    ]


def _stack(found: _Unhandled) -> dict[str, Any]:
    sites: Any = found.attrs.get("stack")
    numbers = cast("list[object]", sites)[:MAX_STACK] if isinstance(sites, list) else []
    frames = [_site(found.stream, number) for number in numbers if type(number) is int]
    return {
        "type": "stack",
        "process": found.stream.id,
        "frames": [frame.to_json() for frame in frames if frame is not None],
    }


def _fingerprint(found: _Unhandled, site: Site | None) -> str:
    """Return what stays the same when lines move."""
    place = (_short_file(found.stream, site.file), site.function) if site is not None else ("", "")
    parts = (KIND, str(found.attrs.get("type")), found.victim, str(_definition(found)), *place)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _site(stream: Stream, number: int) -> Site | None:
    row = stream.data.sites.get(number)
    return Site(row[1], row[2], row[3]) if row is not None else None


def _short(stream: Stream, site: Site) -> str:
    return f"{_short_file(stream, site.file)}:{site.line} {site.function}"


def _short_file(stream: Stream, file: str) -> str:
    folder = str(stream.process.get("cwd") or "").rstrip("/") + "/"
    return file.removeprefix(folder)


def _column(stream: Stream, name: str, row: int) -> int:
    return stream.data.columns[name][row]


def _attrs(stream: Stream, row: int) -> dict[str, Any]:
    try:
        attrs = json.loads(stream.data.attrs.get(stream.data.columns["seq"][row], "{}"))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", attrs) if isinstance(attrs, dict) else {}
