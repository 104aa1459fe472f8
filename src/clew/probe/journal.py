"""The journal: definitions and attributes on their way out of the observed process.

Any thread may write at any time. Records queue in a deque, and whichever thread finds
the pump free moves them into the shared file; a thread that finds it taken (by another
thread, or by itself further down the stack, in a destructor) leaves its record to the
holder. So nothing here waits.
"""

from __future__ import annotations

import json
from _thread import allocate_lock
from collections import deque
from os import getpid

from clew.format import ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_WAITING = 10_000
"""Records that wait while the drain does not keep up; beyond it they are dropped."""
MAX_RECORD = 32_768
"""Largest payload in bytes; attributes beyond it are replaced by a note of their size."""

_queue: deque[tuple[int, bytes]] = deque()
_pump = allocate_lock()
_map: Any = None
_start = 0
_size = 0
_written = 0
_room = 0
"""Bytes that are free for certain: the drain may have made more room since."""
_owner = 0
_HEAD = ring.RECORD.size
_JOURNAL_WRITTEN = ring.JOURNAL_WRITTEN
_put_head = ring.RECORD.pack_into
_put_number = ring.NUMBER.pack_into
dropped = 0


def _type_name(value: object) -> str:
    return f"<{type(value).__qualname__}>"


# Values are JSON already; should one not be, its own __str__ must not run here.
_encode = json.JSONEncoder(separators=(",", ":"), default=_type_name, skipkeys=True).encode
_make_encoder: Any = getattr(json.encoder, "c_make_encoder", None)
if _make_encoder is not None:
    # ``JSONEncoder.encode`` makes one of these for every call, which takes as long as its work.
    _chunks = _make_encoder(None, _type_name, json.encoder.encode_basestring_ascii, None, ":", ",", False, True, True)

    def _dumps(values: dict[str, Any]) -> str:
        return "".join(_chunks(values, 0))

else:

    def _dumps(values: dict[str, Any]) -> str:
        return _encode(values)


_SPAN_FIELDS = "%d\0" * 9 + "%s"
_ENTITY_FIELDS = "%d\0%d\0%s\0%s\0%d\0%d\0%d\0%s"


def open_journal(mapping: Any, start: int, size: int) -> None:
    """Write from now on to *size* bytes of *mapping*, from byte *start* on."""
    global _map, _start, _size, _written, _room, _owner, _pump, dropped
    _queue.clear()
    _pump = allocate_lock()  # in a forked child, the old one may be held by a thread that is not there
    _map, _start, _size, _written, _room, _owner, dropped = mapping, start, size, 0, 0, getpid(), 0


def close_journal() -> None:
    """Take no more records. In a forked child, also let go of what another thread held."""
    global _map, _pump
    _map = None
    _pump = allocate_lock()
    _queue.clear()


def write_entity(row: tuple[Any, ...]) -> None:
    """Define an entity: a row of ``schema.ENTITIES``."""
    text = _ENTITY_FIELDS % row
    if text.count("\0") != len(row) - 1:  # in a name of the program's
        _write_fields(ring.RECORD_ENTITY, row)
    else:
        _write(ring.RECORD_ENTITY, text.encode("utf-8", "backslashreplace"))


def write_site(row: tuple[Any, ...]) -> None:
    """Define a site: a row of ``schema.SITES``."""
    _write_fields(ring.RECORD_SITE, row)


def write_span(row: tuple[Any, ...]) -> None:
    """Define a span: a row of ``schema.SPANS``."""
    if "\0" in row[9]:
        row = (*row[:9], row[9].replace("\0", " "))
    _write(ring.RECORD_SPAN, (_SPAN_FIELDS % row).encode("utf-8", "backslashreplace"))


def write_remote_cause(seq: int, process_id: int, cause: int) -> None:
    """Say that event *seq* was enabled by event *cause* of another process."""
    _write_fields(ring.RECORD_REMOTE_CAUSE, (seq, process_id, cause))


def write_attrs(seq: int, values: dict[str, Any]) -> None:
    """Attach redacted JSON *values* to event *seq*."""
    text = _dumps(values).encode("utf-8", "replace")
    if len(text) > MAX_RECORD:
        text = _dumps({"clew.attrs_size": len(text), "clew.attrs_dropped": "too large"}).encode()
    _write(ring.RECORD_ATTRS, b"%d\0%b" % (seq, text))


def write_text(number: int, text: str) -> None:
    """Define text *number*, JSON, which values in slots refer to (``format.values``)."""
    _write_fields(ring.RECORD_TEXT, (number, text))


def write_process(values: dict[str, Any]) -> None:
    """Write the head of the stream."""
    _write(ring.RECORD_PROCESS, _dumps(values).encode("utf-8", "replace"))


def write_end(values: dict[str, Any]) -> None:
    """Write what the process says about its own end."""
    _write(ring.RECORD_END, _dumps(values).encode("utf-8", "replace"))


def _write_fields(kind: int, row: tuple[Any, ...]) -> None:
    text = "\0".join([value.replace("\0", " ") if type(value) is str else str(value) for value in row])
    _write(kind, text.encode("utf-8", "backslashreplace"))


def _write(kind: int, payload: bytes) -> None:
    global _written, _room, dropped
    mapping = _map
    if mapping is None or getpid() != _owner:
        # The second: a child between the fork and its own journal, which must not write
        # into its parent's.
        return
    is_written = False
    pump = _pump  # a fork in between gives the child another one
    if not _queue and pump.acquire(False):
        # The usual case, written out for speed: nobody is ahead, and there is room.
        try:
            size = _HEAD + len(payload)
            at = _written % _size
            if size <= _room and at + size <= _size:
                at += _start
                _put_head(mapping, at, size - _HEAD, kind)
                mapping[at + _HEAD : at + size] = payload
                _room -= size
                _written += size
                _put_number(mapping, _JOURNAL_WRITTEN, _written)
                is_written = True
        finally:
            pump.release()
        if is_written and not _queue:
            return
    if not is_written:
        if len(_queue) >= MAX_WAITING:
            dropped += 1
            return
        _queue.append((kind, payload))
    while _queue and pump.acquire(False):
        try:
            done = _move()
        finally:
            pump.release()
        if not done:
            return


def _move() -> bool:
    """Move queued records to the shared file; return False if it is full."""
    global _written, _room
    mapping = _map
    if mapping is None:
        return False
    while _queue:
        kind, payload = _queue[0]
        record = ring.RECORD.pack(len(payload), kind) + payload
        if len(record) > _room:
            _room = _size - (_written - ring.NUMBER.unpack_from(mapping, ring.JOURNAL_READ)[0])
            if len(record) > _room:
                ring.NUMBER.pack_into(mapping, ring.JOURNAL_DROPPED, dropped)
                return False
        _queue.popleft()
        at = _written % _size
        first = record[: _size - at]
        mapping[_start + at : _start + at + len(first)] = first
        rest = record[len(first) :]
        mapping[_start : _start + len(rest)] = rest
        # The mark that the record is there comes last.
        _room -= len(record)
        _written += len(record)
        ring.NUMBER.pack_into(mapping, ring.JOURNAL_WRITTEN, _written)
    return True
