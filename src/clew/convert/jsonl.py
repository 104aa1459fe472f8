"""A recording as JSON lines: one object a line, nothing lost. See docs/reference/jsonl.md.

Here stands what a line may hold, once, for both directions, and the way out; the way in
is ``jsonl_import``. Columns that are 0 or empty are left out of a line. Numbers of a
vocabulary are written as their names, or as numbers where a newer recorder knew more
names than this one.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from clew.format import schema
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole, slug_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clew.format.events import Row
    from clew.format.reader import Recording, Stream
    from clew.format.stream_data import StreamData
    from clew.model.kinds import Vocabulary

FORMAT = "clew.jsonl"
VERSION = 1

compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Field(NamedTuple):
    """One member of a line."""

    name: str
    holds: str
    """``number``, ``text``, ``hex``, ``json`` or ``word``."""
    size: int = 4
    """Width in bytes of a number or word; digits of a hexadecimal number."""
    words: Vocabulary | None = None


def _fields(table: schema.TableSpec, **special: Field | Vocabulary) -> tuple[Field, ...]:
    """Return the members that stand for the columns of *table*."""
    fields: list[Field] = []
    for column in table.columns:
        different = special.get(column.name)
        if isinstance(different, Field):
            fields.append(different)
        elif different is not None:
            fields.append(Field(column.name, "word", column.width, different))
        elif column.name != "trace_low":  # stands in `trace`, see `with_trace`
            fields.append(Field(column.name, "text" if column.holds == "string" else "number", column.width))
    return tuple(fields)


EVENT_FIELDS = _fields(schema.EVENTS, kind=EventKind, op=Operation, outcome=Outcome)
DEFINITIONS: dict[str, tuple[schema.TableSpec, tuple[Field, ...]]] = {
    "site": (schema.SITES, _fields(schema.SITES)),
    "entity": (schema.ENTITIES, _fields(schema.ENTITIES, kind=EntityKind, detail=Field("detail", "json"))),
    "span": (
        schema.SPANS,
        _fields(
            schema.SPANS,
            trace_high=Field("trace", "hex", 32),
            span_id=Field("span_id", "hex", 16),
            parent_span_id=Field("parent_span_id", "hex", 16),
            kind=SpanKind,
            role=SpanRole,
            op=Operation,
        ),
    ),
}
"""By the ``record`` of a line: the table its rows belong to, and its members."""
_TRACE = 1
_LOW = (1 << 64) - 1


def with_trace(row: Row) -> Row:
    """Return a row of ``schema.SPANS`` with both halves of its trace id as one number."""
    return (*row[:_TRACE], row[_TRACE] << 64 | row[_TRACE + 1], *row[_TRACE + 2 :])


def without_trace(row: Row) -> Row:
    """Undo ``with_trace``."""
    return (*row[:_TRACE], row[_TRACE] >> 64, row[_TRACE] & _LOW, *row[_TRACE + 1 :])


def lines_of(recording: Recording, progress: Callable[[int], None] = lambda events: None) -> Iterator[str]:
    """Yield the lines of *recording*, each with its line end.

    Args:
        recording: What to write.
        progress: Called now and then with the number of events done since.
    """
    yield compact({"record": "recording", "format": FORMAT, "version": VERSION}) + "\n"
    for stream in recording.streams:
        process = f'"process":"{stream.id}"'
        yield f'{{"record":"process",{process},"head":{_any_json(stream.process)}}}\n'
        data = stream.data
        spans = {number: with_trace(row) for number, row in data.spans.items()}
        for record, rows in (("site", data.sites), ("entity", data.entities), ("span", spans)):
            for number in sorted(rows):
                yield f'{{"record":"{record}",{process},{_members(DEFINITIONS[record][1], rows[number])}}}\n'
        yield from _event_lines(stream, data, process, progress)
        if stream.end is not None:
            yield f'{{"record":"end",{process},"end":{_any_json(stream.end)}}}\n'


def _members(fields: tuple[Field, ...], row: Row) -> str:
    members: list[str] = []
    for field, value in zip(fields, row, strict=True):
        if not value and field.name != "id":
            continue
        if field.holds == "json":
            members.append(json_member(field.name, value))
        elif field.holds == "hex":
            members.append(f'"{field.name}":"{value:0{field.size}x}"')
        elif field.words is not None:
            members.append(f'"{field.name}":{_word(field.words, value)}')
        else:
            members.append(f'"{field.name}":{compact(value)}')
    return ",".join(members)


def _word(words: Vocabulary, value: int) -> str:
    slug = slug_of(words, value)
    return str(value) if slug is None else f'"{slug}"'


def json_member(name: str, text: str) -> str:
    """Return the member for a string that should be a JSON object: as one, or else as text."""
    try:
        value = json.loads(text, object_pairs_hook=_unique)
        if isinstance(value, dict):
            return f'"{name}":{compact(value)}'
    except (ValueError, RecursionError):
        pass
    return f'"{name}_text":{compact(text)}'


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a name stands twice"
        raise ValueError(msg)
    return found


def _any_json(value: dict[str, Any]) -> str:
    # As in the stream itself: sorted, and NaN as Python writes it.
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _event_lines(stream: Stream, data: StreamData, process: str, progress: Callable[[int], None]) -> Iterator[str]:
    """Yield the lines of the events by ``seq``.

    Written out at length: it runs for every event, and looking at each member in a loop
    would triple its time.
    """
    columns = data.columns
    names = ("seq", "t_ns", "kind", "op", "outcome", "scope", "entity", "site", "span", "cause", "wait_ns", "arg")
    rows: Any = zip(*(columns[name] for name in names), strict=True)
    seqs = columns["seq"]
    if any(a > b for a, b in pairwise(seqs)):
        rows = sorted(rows)
    kinds, ops, outcomes = (_words_by_number(words) for words in (EventKind, Operation, Outcome))
    attrs, remote_causes = data.attrs, data.remote_causes
    start = f'{{"record":"event",{process},"seq":'
    for i, (seq, t_ns, kind, op, outcome, scope, entity, site, span, cause, wait_ns, arg) in enumerate(rows, 1):
        line = f'{start}{seq},"t_ns":{t_ns},"kind":{kinds[kind]}'
        if op:
            line += f',"op":{ops[op]}'
        if outcome:
            line += f',"outcome":{outcomes[outcome]}'
        if scope:
            line += f',"scope":{scope}'
        if entity:
            line += f',"entity":{entity}'
        if site:
            line += f',"site":{site}'
        if span:
            line += f',"span":{span}'
        if cause:
            line += f',"cause":{cause}'
        if wait_ns:
            line += f',"wait_ns":{wait_ns}'
        if arg:
            line += f',"arg":{arg}'
        if seq in attrs:
            line += "," + json_member("attrs", attrs[seq])
        if seq in remote_causes:
            line += ',"remote_cause":["{:016x}",{}]'.format(*remote_causes[seq])
        yield line + "}\n"
        if not i & 0xFFFF:
            progress(0x10000)
    progress(len(seqs) & 0xFFFF)


def _words_by_number(words: Vocabulary) -> list[str]:
    return [_word(words, number) for number in range(256)]
