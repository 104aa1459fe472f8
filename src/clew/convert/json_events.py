"""Events as JSON, from programs in any language: what ``POST /api/v1/events`` takes.

A request names things (scopes, entities, places, spans); a recording numbers them. The
numbers of one process are handed out by the caller, who keeps them, so that the same name
is the same entity in every request. Definitions are written with the events that use them.

Vector clocks become causes (``vector_clocks``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias, cast

import msgspec
import numpy as np

from clew.convert.attrs_json import AttrsEncoder
from clew.convert.vector_clocks import Clocks
from clew.format import schema
from clew.format.chunk import MAX_ROWS, ChunkType, encode_json_chunk, parse_header
from clew.format.events import Definitions, encode_event_chunk
from clew.format.tables import planes_of
from clew.model.errors import ClewError
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole
from clew.probe.redact import Redactor
from clew.store.ingest import CheckedChunk, check_chunks

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from clew.model.kinds import Vocabulary

MAX_EVENTS = 1 << 17
"""Most events of one process in a request."""
MAX_AHEAD_NS = 24 * 3_600_000_000_000
"""How far an event may lie in the future: clocks are wrong by minutes, not by days."""
MAX_NAME = 512
PROCESS_NUMBER = 1
"""The number of the process among its entities."""
_HEX = frozenset("0123456789abcdef")
_SEPARATOR = "\x1f"
_NS = 1_000_000_000


class EventsError(ClewError):
    """A request with JSON events has a mistake; nothing of it is taken."""


class Named(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A scope or entity."""

    name: str
    kind: str = ""
    type: str = ""


class Place(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A place in the code."""

    file: str
    line: int = 0
    function: str = ""


class JsonEvent(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One event of a request."""

    seq: int
    kind: str
    t_ns: int | None = None
    at: str | None = None
    op: str = ""
    outcome: str = ""
    scope: str | Named | None = None
    entity: str | Named | None = None
    site: Place | None = None
    trace: str = ""
    span: str = ""
    parent_span: str = ""
    span_kind: str = ""
    name: str = ""
    cause: int = 0
    remote_cause: tuple[str, int] | None = None
    clock: list[tuple[str, int]] | None = None
    wait_ns: int = 0
    arg: int = 0
    attrs: dict[str, Any] | None = None


class JsonProcess(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Who sends."""

    id: str
    service: str = ""
    environment: str = ""
    host: str = ""
    pid: int = 0
    argv: list[str] = []
    runtime: str = ""
    wall_ns: int = 0
    monotonic_ns: int = 0
    retention: str = ""


class JsonBatch(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Events of one process."""

    process: JsonProcess
    events: list[JsonEvent] = []
    end: dict[str, Any] | None = None


_ONE = msgspec.json.Decoder(JsonBatch)
_MANY = msgspec.json.Decoder(list[JsonBatch])


class ProcessChunks(NamedTuple):
    """What one process sent, as chunks."""

    process_id: str
    chunks: list[CheckedChunk]
    events: int
    repeated: int
    """Events whose ``seq`` stands twice in the request."""


Numbers: TypeAlias = "Callable[[str, str, Sequence[str]], Mapping[str, int]]"
"""Gives names their numbers, from 1 on: process id, kind of definition (``entity``, ``site``,
``span``), names."""


def decode(body: bytes) -> list[JsonBatch]:
    """Decode the body of a request.

    Raises:
        EventsError: It is no JSON, or has a member of a wrong type or name.
    """
    try:
        return _MANY.decode(body) if body.lstrip()[:1] == b"[" else [_ONE.decode(body)]
    except msgspec.ValidationError as error:
        raise EventsError(
            "event-value",
            f"the request does not fit: {error}",
            "expected the members that docs/reference/http.md shows",
            "correct it",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventsError(
            "event-json", f"the request is no JSON ({error})", "expected one object, or a list of them", "correct it"
        ) from None


class Converter:
    """Turns requests into chunks.

    Args:
        numbers: Gives names their numbers.
        find_process: Returns the id of the process a service was last sent by, or None.
    """

    def __init__(self, numbers: Numbers, find_process: Callable[[str], str | None]) -> None:
        self._numbers = numbers
        self._clocks = Clocks(find_process)
        self._attrs = AttrsEncoder()

    def convert(self, batches: Sequence[JsonBatch], *, now_ns: int) -> list[ProcessChunks]:
        """Convert a request.

        Args:
            batches: Of ``decode``.
            now_ns: Wall time, to tell events that lie in the future.

        Raises:
            EventsError: A value cannot be; the message names the process and the event.
        """
        return [self._convert(batch, now_ns) for batch in batches]

    def _convert(self, batch: JsonBatch, now_ns: int) -> ProcessChunks:
        process = batch.process
        _check_id("process.id", process.id, 16)
        if len(batch.events) > MAX_EVENTS:
            raise EventsError(
                "event-count",
                f"process {process.id} has {len(batch.events):,} events in one request",
                f"expected at most {MAX_EVENTS:,}",
                "send several requests",
            )
        number = int(process.id, 16)
        chunks = check_chunks(encode_json_chunk(ChunkType.PROCESS, number, _head_of(process)))
        events, seq = _in_order(process.id, batch.events)
        for start in range(0, len(events), MAX_ROWS >> 4):
            piece = slice(start, start + (MAX_ROWS >> 4))
            chunk = self._event_chunk(process, events[piece], seq[piece], now_ns)
            intervals = [(first, first + count) for first, count in ranges_of(seq[piece])]
            # It was made a line above: checking it as if it came from elsewhere would take as long again.
            chunks.append(CheckedChunk(parse_header(chunk, 0), chunk, intervals))
        if batch.end is not None:
            end = self._attrs.redactor.mapping(batch.end)
            chunks += check_chunks(encode_json_chunk(ChunkType.END, number, end))
        return ProcessChunks(process.id, chunks, len(events), len(batch.events) - len(events))

    def _event_chunk(
        self, process: JsonProcess, events: Sequence[JsonEvent], seq: NDArray[np.uint64], now_ns: int
    ) -> bytes:
        place = _Place(process.id, events)
        scopes = [event.scope for event in events]
        things = [event.entity for event in events]
        entity_keys = {thing: _entity_key(thing, "custom") for thing in set(things) if thing is not None}
        scope_keys = {scope: _entity_key(scope, "task") for scope in set(scopes) if scope is not None}
        entity_numbers = self._numbered(process.id, "entity", {*entity_keys.values(), *scope_keys.values()}, shift=1)
        sites = {event.site for event in events if event.site is not None}
        site_numbers = self._numbered(process.id, "site", {_site_key(site) for site in sites})
        span_keys = [_span_key(event) for event in events]
        # Number 1 is the process itself among entities, and its own run among spans.
        span_numbers = self._numbered(process.id, "span", {key for key in span_keys if key}, shift=1)
        of_scope: dict[Any, int] = {scope: entity_numbers[key] for scope, key in scope_keys.items()} | {None: 0}
        of_thing: dict[Any, int] = {thing: entity_numbers[key] for thing, key in entity_keys.items()} | {None: 0}
        of_site: dict[Any, int] = {site: site_numbers[_site_key(site)] for site in sites} | {None: 0}
        scope_column = [of_scope[scope] for scope in scopes]
        columns: dict[str, NDArray[Any]] = {
            "t_ns": _times(place, process, now_ns),
            "cause": place.numbers("cause", np.uint64),
            "wait_ns": place.numbers("wait_ns", np.uint64),
            "arg": place.numbers("arg", np.uint64),
            "entity": np.array([of_thing[thing] for thing in things], np.uint32),
            "scope": np.array(scope_column, np.uint32),
            "site": np.array([of_site[event.site] for event in events], np.uint32),
            "span": np.array([span_numbers[key] if key else 0 for key in span_keys], np.uint32),
            "kind": place.words("kind", _KINDS),
            "op": place.words("op", _OPERATIONS),
            "outcome": place.words("outcome", _OUTCOMES),
        }
        remote = self._remote_causes(place, process, seq, scope_column, columns["cause"])
        definitions = Definitions(
            entities=_entity_rows(process, {*entity_keys.values(), *scope_keys.values()}, entity_numbers),
            sites=[
                (site_numbers[_site_key(site)], site.file[:MAX_NAME], site.line, site.function[:MAX_NAME])
                for site in sites
            ],
            spans=_span_rows(place, process, span_keys, span_numbers, columns["kind"]),
            attrs=self._attrs_of(seq, events),
            remote_causes=remote,
        )
        planes = [(spec.number, planes_of(cast("array[int]", columns[spec.name]))) for spec in schema.EVENTS.columns]
        return encode_event_chunk(int(process.id, 16), ranges_of(seq), planes, definitions)

    def _attrs_of(self, seq: NDArray[np.uint64], events: Sequence[JsonEvent]) -> list[tuple[int, str]]:
        encode = self._attrs.encode
        numbers: list[int] = seq.tolist()
        return [
            (at, encode({**(event.attrs or {}), "clock": event.clock} if event.clock else event.attrs or {}))
            for at, event in zip(numbers, events, strict=True)
            if event.attrs or event.clock
        ]

    def _numbered(self, process_id: str, kind: str, names: Iterable[str], *, shift: int = 0) -> dict[str, int]:
        wanted = sorted(names)
        found: Mapping[str, int] = self._numbers(process_id, kind, wanted) if wanted else {}
        return {name: found[name] + shift for name in wanted}

    def _remote_causes(
        self,
        place: _Place,
        process: JsonProcess,
        seq: NDArray[np.uint64],
        scopes: Sequence[int],
        causes: NDArray[Any],
    ) -> list[tuple[int, int, int]]:
        """Return the causes in other processes; those in this one that clocks tell go into *causes*."""
        rows: list[tuple[int, int, int]] = []
        for i, event in enumerate(place.events):
            if event.remote_cause is not None:
                other, at = event.remote_cause
                place.check_id(i, "remote_cause[0]", other, 16)
                rows.append((int(seq[i]), int(other, 16), place.number(i, "remote_cause[1]", at)))
            elif event.clock:
                found = self._clocks.cause_of(
                    _own_components(process, event), scopes[i], int(seq[i]), dict(event.clock)
                )
                if found is None:
                    continue
                if found[0] == process.id:
                    causes[i] = causes[i] or found[1]
                else:
                    rows.append((int(seq[i]), int(found[0], 16), found[1]))
        return rows


def ranges_of(seq: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Return ascending numbers as ranges: (first, count)."""
    if not len(seq):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(seq) != 1) + 1])
    counts = np.diff(np.concatenate([starts, [len(seq)]]))
    return [(int(first), int(count)) for first, count in zip(seq[starts].tolist(), counts.tolist(), strict=True)]


def _own_components(process: JsonProcess, event: JsonEvent) -> tuple[str, ...]:
    scope = event.scope.name if isinstance(event.scope, Named) else event.scope or ""
    return (process.id, process.service, f"{process.service}#{scope}", f"{process.id}#{scope}")


class _Place:
    """The events of a chunk, and how to name one that is wrong."""

    def __init__(self, process_id: str, events: Sequence[JsonEvent]) -> None:
        self.process_id = process_id
        self.events = events

    def numbers(self, name: str, dtype: Any) -> NDArray[Any]:
        """Return a member of all events as a column."""
        values = [getattr(event, name) for event in self.events]
        try:
            return np.array(values, dtype)
        except OverflowError:
            at = next(i for i, value in enumerate(values) if not 0 <= value < 1 << 64)
            self.bad(at, name, values[at], "a whole number from 0 to 2^64 - 1")

    def words(self, name: str, known: Mapping[str, int]) -> NDArray[np.uint8]:
        """Return a member of all events, which is a word of a vocabulary, as a column."""
        values = [getattr(event, name) for event in self.events]
        try:
            return np.array([known[value] for value in values], np.uint8)
        except KeyError:
            at = next(i for i, value in enumerate(values) if value not in known)
            self.bad(at, name, values[at], "one of " + ", ".join(word for word in known if word))

    def number(self, at: int, name: str, value: int) -> int:
        """Return a number that a column of 64 bits holds."""
        if not 0 <= value < 1 << 63:
            self.bad(at, name, value, "a whole number from 0 to 2^63 - 1")
        return value

    def check_id(self, at: int, name: str, value: str, digits: int) -> None:
        """Refuse what is no id."""
        if len(value) != digits or not set(value) <= _HEX:
            self.bad(at, name, value, f"{digits} hexadecimal digits, in lower case")

    def bad(self, at: int, name: str, value: object, expected: str) -> NoReturn:
        """Refuse the value of one event's member."""
        shown = repr(value)
        raise EventsError(
            "event-value",
            f"event {self.events[at].seq} of process {self.process_id} has {name} {shown[:80]}",
            f"expected {expected}",
            "correct it; nothing of the request was taken",
        )


def _in_order(process_id: str, events: Sequence[JsonEvent]) -> tuple[Sequence[JsonEvent], NDArray[np.uint64]]:
    """Return events ascending by number, each number once."""
    place = _Place(process_id, events)
    for i, event in enumerate(events):
        if not 1 <= event.seq < 1 << 63:
            place.bad(i, "seq", event.seq, "a whole number from 1 on")
    seq = np.array([event.seq for event in events], np.uint64)
    if len(seq) < 2 or bool(np.all(seq[1:] > seq[:-1])):
        return events, seq
    kept, first = np.unique(seq, return_index=True)
    positions: list[int] = first.tolist()
    return [events[i] for i in positions], kept


def _times(place: _Place, process: JsonProcess, now_ns: int) -> NDArray[np.uint64]:
    offset = process.wall_ns - process.monotonic_ns
    values = [event.t_ns for event in place.events]
    for i, value in enumerate(values):
        if value is None:
            values[i] = _wall(place, i) - offset
    times = np.array(
        [-1 if value is None or not -(1 << 63) <= value < 1 << 63 else value for value in values], np.int64
    )
    if len(times) and int(times.min()) < 0:
        at = int(times.argmin())
        place.bad(at, "t_ns" if place.events[at].t_ns is not None else "at", values[at], "a time from its clock's 0 on")
    if len(times) and int(times.max()) + offset > now_ns + MAX_AHEAD_NS:
        at = int(times.argmax())
        place.bad(
            at,
            "t_ns" if place.events[at].at is None else "at",
            values[at],
            "a time that is not a day ahead of this server's clock",
        )
    return times.astype(np.uint64)


def _wall(place: _Place, at: int) -> int:
    text = place.events[at].at
    if text is None:
        place.bad(at, "t_ns", None, "t_ns, or at: a time of day")
    head, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        moment = datetime.fromisoformat(head + rest[len(digits) :])
    except ValueError:
        place.bad(at, "at", text, "a time of day as RFC 3339 has it")
    if moment.tzinfo is None or (dot and not 1 <= len(digits) <= 9):
        place.bad(at, "at", text, "a time of day as RFC 3339 has it, with its offset from UTC")
    whole = (moment.astimezone(UTC) - _EPOCH).total_seconds()
    return int(whole) * _NS + int(digits.ljust(9, "0") or 0)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _words(vocabulary: Vocabulary) -> dict[str, int]:
    return {word.slug: int(word) for word in vocabulary if word.slug}


_KINDS = _words(EventKind)
_OPERATIONS = {"": 0, **_words(Operation)}
_OUTCOMES = {"": 0, **_words(Outcome)}
_ENTITY_KINDS = _words(EntityKind)
_SPAN_KINDS = {"": 0, **_words(SpanKind)}
_STARTS = (EventKind.LIFE_RUN_START, EventKind.LIFE_SPAN_START, EventKind.EFFECT_CALL)


def _entity_key(thing: str | Named, kind: str) -> str:
    if isinstance(thing, str):
        return f"{kind}{_SEPARATOR}{_plain(thing)}{_SEPARATOR}"
    kind = thing.kind or kind
    if kind not in _ENTITY_KINDS:
        raise EventsError(
            "event-value",
            f"an entity has the kind {kind[:80]!r}",
            f"expected one of {', '.join(_ENTITY_KINDS)}",
            "correct it; nothing of the request was taken",
        )
    return f"{kind}{_SEPARATOR}{_plain(thing.name)}{_SEPARATOR}{_plain(thing.type)}"


def _plain(name: str) -> str:
    return name[:MAX_NAME].replace(_SEPARATOR, " ")


def _entity_rows(process: JsonProcess, keys: Iterable[str], numbers: Mapping[str, int]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [(PROCESS_NUMBER, int(EntityKind.PROCESS), process.service, "process", 0, 0, 0, "")]
    for key in sorted(keys):
        kind, name, type_name = key.split(_SEPARATOR)[:3]
        rows.append((numbers[key], _ENTITY_KINDS[kind], name, type_name, PROCESS_NUMBER, 0, 0, ""))
    return rows


def _site_key(site: Place) -> str:
    if not 0 <= site.line < 1 << 32:
        raise EventsError(
            "event-value",
            f"a site has the line {site.line}",
            "expected a whole number from 0 to 2^32 - 1",
            "correct it; nothing of the request was taken",
        )
    return f"{_plain(site.file)}{_SEPARATOR}{site.line}{_SEPARATOR}{_plain(site.function)}"


def _span_key(event: JsonEvent) -> str:
    return f"{event.trace}{event.span}" if event.trace else ""


def _span_rows(
    place: _Place,
    process: JsonProcess,
    keys: Sequence[str],
    numbers: Mapping[str, int],
    kinds: NDArray[np.uint8],
) -> list[tuple[Any, ...]]:
    """Return definitions of the spans that begin here; of those that only have a trace always."""
    rows: dict[str, tuple[Any, ...]] = {}
    for i, (event, key) in enumerate(zip(place.events, keys, strict=True)):
        if not key:
            if event.span:
                place.bad(i, "span", event.span, "trace beside it")
            continue
        if (key in rows) or not (event.name or not event.span or int(kinds[i]) in _STARTS):
            continue
        place.check_id(i, "trace", event.trace, 32)
        span = event.span or event.trace[16:]
        place.check_id(i, "span", span, 16)
        if event.parent_span:
            place.check_id(i, "parent_span", event.parent_span, 16)
        if event.span_kind not in _SPAN_KINDS:
            place.bad(i, "span_kind", event.span_kind, "one of " + ", ".join(word for word in _SPAN_KINDS if word))
        is_run = int(kinds[i]) == EventKind.LIFE_RUN_START
        parent = f"{event.trace}{event.parent_span}" if event.parent_span else ""
        op = _OPERATIONS.get(event.op, 0) if int(kinds[i]) == EventKind.EFFECT_CALL else 0
        rows[key] = (
            numbers[key], int(event.trace[:16], 16), int(event.trace[16:], 16), int(span, 16),
            int(event.parent_span or "0", 16), numbers.get(parent, 0), _SPAN_KINDS[event.span_kind],
            int(SpanRole.RUN if is_run else SpanRole.STEP), op, (event.name or process.service)[:MAX_NAME],
        )  # fmt: skip
    return list(rows.values())


def _head_of(process: JsonProcess) -> dict[str, Any]:
    redactor = Redactor()
    return {
        "pid": process.pid,
        "host": process.host[:MAX_NAME],
        "service": process.service[:MAX_NAME],
        "environment": process.environment[:MAX_NAME],
        "argv": redactor.arguments(process.argv[:64]),
        "implementation": process.runtime[:MAX_NAME],
        "wall_ns": process.wall_ns,
        "monotonic_ns": process.monotonic_ns,
        **({"retention": process.retention} if process.retention else {}),
    }


def _check_id(name: str, value: str, digits: int) -> None:
    if len(value) != digits or not set(value) <= _HEX or not int(value, 16):
        raise EventsError(
            "event-value",
            f"{name} is {value[:40]!r}",
            f"expected {digits} hexadecimal digits, in lower case, not all 0",
            "correct it; nothing of the request was taken",
        )
