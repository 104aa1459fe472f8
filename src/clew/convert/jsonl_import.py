"""JSON lines to a recording: every line is checked before anything is written.

Lines may come in any order; events are sorted by ``seq``. See docs/reference/jsonl.md.
"""

from __future__ import annotations

import json
from array import array
from functools import cache
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from clew.convert.jsonl import DEFINITIONS, EVENT_FIELDS, FORMAT, VERSION, Field, compact, without_trace
from clew.convert.recording_writer import StreamContent, empty_columns
from clew.model.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clew.format.events import Row
    from clew.model.kinds import Vocabulary

MAX_LINE = 16 << 20
"""Most bytes in a line: a chunk, which its strings must fit into, has at most 64 MiB."""
MAX_SEQ = (1 << 64) - 1
_MAX_SHOWN = 60
"""Most characters of a value that a message repeats."""


class LineError(ClewError):
    """A line cannot be imported.

    Args:
        line: Its number, counted from 1.
    """

    def __init__(self, slug: str, line: int, found: str, expected: str, remedy: str) -> None:
        self.line = line
        super().__init__(slug, f"line {line}: {found}", expected, remedy)


class _Bad(Exception):
    """A member of the current line has a value it cannot have: found, expected."""


class _Process:
    """What the lines said of one process."""

    def __init__(self, line: int) -> None:
        self.first_line = line
        self.head: dict[str, Any] | None = None
        self.end: dict[str, Any] | None = None
        self.columns = empty_columns()
        self.lines = array("Q")
        self.attrs: dict[int, str] = {}
        self.remote_causes: dict[int, tuple[int, int]] = {}
        self.definitions: dict[str, dict[int, Row]] = {spec.name: {} for spec, _ in DEFINITIONS.values()}


def read_lines(file: IO[bytes], progress: Callable[[int], None] = lambda size: None) -> list[StreamContent]:
    """Read JSON lines; return one stream a process, by process id.

    Args:
        file: The lines.
        progress: Called now and then with the number of bytes read since.

    Raises:
        LineError: A line is not what docs/reference/jsonl.md describes.
    """
    processes: dict[int, _Process] = {}
    number = size = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        size += len(line)
        if size > 1 << 20:
            progress(size)
            size = 0
        if not line.isspace():
            _take(_parse(line, number), number, processes)
    progress(size)
    if not processes:
        raise LineError("jsonl-process", number, "the file ends and named no process", *_WANTED_HEAD)
    return [_content(process_id, processes[process_id]) for process_id in sorted(processes)]


_WANTED_HEAD = ('expected a line like {"record":"process","process":"00000000000000a1","head":{}}', "add it anywhere")
_SEE = "see docs/reference/jsonl.md"


def _parse(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise LineError("jsonl-syntax", number, f"it is longer than {MAX_LINE:,} bytes", "expected less", "shorten it")
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        found = f"it is not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:
        found = f"it is not JSON that can be read: {error}"
    else:
        if isinstance(value, dict):
            return value  # pyright: ignore[reportUnknownVariableType]  any JSON object
        found = f"it holds {_name(value)}"
    raise LineError("jsonl-syntax", number, found, "expected one JSON object", _SEE)


def _take(line: dict[str, Any], number: int, processes: dict[int, _Process]) -> None:
    """Check one line and add it to what is known."""
    record = line.pop("record", None)
    try:
        if record == "recording":
            _check_version(line)
            return
        if not isinstance(record, str) or record not in _TAKERS:
            _bad("record", record, f"one of: recording, {', '.join(_TAKERS)}")
        process_id = _hexadecimal("process", line.pop("process", None), 16)
        process = processes.get(process_id)
        if process is None:
            process = processes[process_id] = _Process(number)
        _TAKERS[record](process, line, number)
        for name, value in line.items():
            _bad(name, value, f"no such member in a line with the record {record!r}", what="the unknown member")
    except _Bad as bad:
        found, expected = bad.args
        raise LineError("jsonl-value", number, found, f"expected {expected}", _SEE) from None


def _check_version(line: dict[str, Any]) -> None:
    if line.get("format") != FORMAT:
        _bad("format", line.get("format"), repr(FORMAT))
    if line.get("version") != VERSION:
        _bad("version", line.get("version"), f"{VERSION}, which this clew reads")


def _take_head(process: _Process, line: dict[str, Any], number: int) -> None:
    if process.head is not None:
        _twice(number, f"the process whose head is line {process.first_line}")
    process.head = _json_object("head", line.pop("head", None))
    process.first_line = number


def _take_end(process: _Process, line: dict[str, Any], number: int) -> None:
    if process.end is not None:
        _twice(number, "the end of this process")
    process.end = _json_object("end", line.pop("end", None))


def _make_taker(record: str) -> Callable[[_Process, dict[str, Any], int], None]:
    table, fields = DEFINITIONS[record]

    def take(process: _Process, line: dict[str, Any], number: int) -> None:
        if "id" not in line:
            _bad("id", None, "a number")
        row = tuple([_decode(field, line) for field in fields])
        process.definitions[table.name][row[0]] = without_trace(row) if record == "span" else row

    return take


@cache
def _numbers_by_word(words: Vocabulary) -> dict[str, int]:
    """Return the numbers of a vocabulary by their slugs; NONE has none."""
    return {word.slug: int(word) for word in words if word.slug}


_EVENT_NUMBERS = {field.name: (1 << 8 * field.size) - 1 for field in EVENT_FIELDS if field.holds == "number"}
_EVENT_WORDS: dict[str, dict[str, int]] = {
    field.name: _numbers_by_word(field.words) for field in EVENT_FIELDS if field.words is not None
}
_PAIR = 2


def _take_event(process: _Process, line: dict[str, Any], number: int) -> None:
    """Add one event; quick for the members that most events have."""
    seq = _number("seq", line.pop("seq", None), MAX_SEQ)
    if not seq:
        _bad("seq", seq, "a number from 1 on")
    if "t_ns" not in line or "kind" not in line:
        _bad("t_ns" if "kind" in line else "kind", None, "it in every event")
    columns = process.columns
    for name, most in _EVENT_NUMBERS.items():
        value = line.pop(name, 0)
        if type(value) is not int or not 0 <= value <= most:
            _number(name, value, most)
        columns[name].append(value)
    for name, words in _EVENT_WORDS.items():
        word = line.pop(name, 0)
        columns[name].append(words[word] if type(word) is str and word in words else _word(name, word, words, 1))
    columns["seq"].append(seq)
    process.lines.append(number)
    if not line:
        return
    text = _json_text("attrs", line)
    if text is not None:
        process.attrs[seq] = text
    if "remote_cause" in line:
        cause = line.pop("remote_cause")
        if not isinstance(cause, list) or len(cast("list[Any]", cause)) != _PAIR:
            _bad("remote_cause", cause, '["process id", seq]')
        process_id = _hexadecimal("remote_cause[0]", cause[0], 16)
        process.remote_causes[seq] = (process_id, _number("remote_cause[1]", cause[1], MAX_SEQ))


_TAKERS: dict[str, Callable[[_Process, dict[str, Any], int], None]] = {
    "process": _take_head,
    **{record: _make_taker(record) for record in DEFINITIONS},
    "event": _take_event,
    "end": _take_end,
}


# -- values


def _decode(field: Field, line: dict[str, Any]) -> Any:
    """Take the value of one member of a definition out of *line*; what is absent is 0 or empty."""
    if field.holds == "json":
        return _json_text(field.name, line) or ""
    if field.name not in line:
        return "" if field.holds == "text" else 0
    value = line.pop(field.name)
    if field.holds == "text":
        return _text(field.name, value)
    if field.holds == "hex":
        return _hexadecimal(field.name, value, field.size)
    if field.words is not None:
        return _word(field.name, value, _numbers_by_word(field.words), field.size)
    return _number(field.name, value, (1 << 8 * field.size) - 1)


def _number(name: str, value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        _bad(name, value, f"a whole number from 0 to {most}")
    return value


def _word(name: str, value: Any, words: dict[str, int], size: int) -> int:
    if type(value) is str:
        if value not in words:
            _bad(name, value, f"one of: {', '.join(words)}")
        return words[value]
    # A newer recorder knows more names; then the number stands in their place.
    return _number(name, value, (1 << 8 * size) - 1)


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        _bad(name, value, "a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        _bad(name, value, "a string without lone surrogates")
    return value


def _hexadecimal(name: str, value: Any, digits: int) -> int:
    if type(value) is not str or len(value) != digits or not set(value) <= set("0123456789abcdef"):
        _bad(name, value, f"a string of {digits} hexadecimal digits, in lower case")
    return int(value, 16)


def _json_object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        _bad(name, value, "an object")
    return value  # pyright: ignore[reportUnknownVariableType]  any JSON object


def _json_text(name: str, line: dict[str, Any]) -> str | None:
    """Take ``name`` or ``name_text`` out of *line*; return it as text, None if neither is there."""
    if name in line:
        try:
            return compact(_json_object(name, line.pop(name)))
        except ValueError:
            raise _Bad(f"the member {name!r} holds NaN or an infinite number", "numbers that JSON knows") from None
        except RecursionError:
            raise _Bad(f"the member {name!r} nests too deeply", "less of that") from None
    return _text(f"{name}_text", line.pop(f"{name}_text")) if f"{name}_text" in line else None


def _bad(name: str, value: Any, expected: str, *, what: str = "") -> NoReturn:
    raise _Bad(f"{what or 'the member'} {name!r} is {_name(value)}", expected)


def _twice(number: int, what: str) -> NoReturn:
    raise LineError("jsonl-duplicate", number, f"{what} stands twice", "expected it once", "remove one of them")


def _name(value: Any) -> str:
    """Name a value in a message, in a few characters."""
    if value is None:
        return "null or absent"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


# -- the end of the file


def _content(process_id: int, process: _Process) -> StreamContent:
    if process.head is None:
        found = f"process {process_id:016x}, which is first named here, has no head"
        raise LineError("jsonl-process", process.first_line, found, *_WANTED_HEAD)
    columns = process.columns
    seqs = columns["seq"]
    order = sorted(range(len(seqs)), key=seqs.__getitem__)
    if any(a != i for i, a in enumerate(order)):
        for name, column in columns.items():
            columns[name] = array(column.typecode, [column[i] for i in order])
        seqs = columns["seq"]
    for i in range(1, len(seqs)):
        if seqs[i] == seqs[i - 1]:
            first, second = sorted((process.lines[order[i - 1]], process.lines[order[i]]))
            _twice(second, f"event {seqs[i]} of process {process_id:016x}, which is line {first},")
    definitions = {name: [rows[number] for number in sorted(rows)] for name, rows in process.definitions.items()}
    return StreamContent(
        process_id, process.head, columns, process.attrs, process.remote_causes, definitions, process.end
    )
