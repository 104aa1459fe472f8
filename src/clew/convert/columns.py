"""Tables of numbers as one body, ``application/vnd.clew.columns``: what a browser takes without parsing.

A head in JSON, then the columns as they stand in memory: typed arrays of JavaScript look
into the body where it lies. See docs/reference/http.md.

Rejected: Arrow's IPC format, which needs a library of 200 kB in the page to say the same.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MEDIA_TYPE = "application/vnd.clew.columns"
TYPES = {"f64": "<f8", "u32": "<u4", "i32": "<i4", "u16": "<u2", "u8": "u1"}
"""Types of columns, and what numpy calls them."""
_ALIGNMENT = 8
_LENGTH = struct.Struct("<I")


def encode_columns(head: Mapping[str, Any], tables: Mapping[str, Mapping[str, tuple[str, NDArray[Any]]]]) -> bytearray:
    """Encode tables behind a head.

    Args:
        head: Members of the head; ``tables`` is added.
        tables: By name, then by column: the type and the values, of one length in a table.
    """
    described: dict[str, Any] = {}
    placed: list[tuple[int, str, NDArray[Any]]] = []
    end = 0
    for name, columns in tables.items():
        known: dict[str, Any] = {}
        count = 0
        for column, (type_, values) in columns.items():
            count = len(values)
            known[column] = {"type": type_, "offset": end}
            placed.append((end, TYPES[type_], values))
            end = _aligned(end + count * np.dtype(TYPES[type_]).itemsize)
        described[name] = {"count": count, "columns": known}
    text = json.dumps({**head, "tables": described}, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
    start = _aligned(_LENGTH.size + len(text))
    body = bytearray(start + end)
    _LENGTH.pack_into(body, 0, start - _LENGTH.size)
    body[_LENGTH.size : start] = text.ljust(start - _LENGTH.size)
    for offset, dtype, values in placed:
        # Converted where it is to stand: a million blocks are copied once.
        np.frombuffer(body, dtype, len(values), start + offset)[:] = values
    return body


def decode_columns(body: bytes | bytearray) -> tuple[dict[str, Any], dict[str, dict[str, NDArray[Any]]]]:
    """Decode a body: its head, and its tables by name.

    Args:
        body: What ``encode_columns`` returned.
    """
    (length,) = _LENGTH.unpack_from(body)
    start = _LENGTH.size + length
    head = json.loads(body[_LENGTH.size : start])
    tables = {
        name: {
            column: np.frombuffer(body, TYPES[place["type"]], table["count"], start + place["offset"])
            for column, place in table["columns"].items()
        }
        for name, table in head["tables"].items()
    }
    return head, tables


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
