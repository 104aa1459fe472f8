"""Make a body of timeline columns as docs/reference/http.md describes it, for the bench of the picture.

    .venv/bin/python tools/bench/timeline_body.py OUT [--blocks 600000] [--rows 64]

The worst that a recording can ask for: every row is busy all the time, steps and waits take turns without a gap and are
some microseconds long, spans lie over them in two levels, and each has a waker in another row.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {"f64": "<f8", "u32": "<u4", "i32": "<i4", "u16": "<u2", "u8": "u1"}
BLOCKS = {
    "start": "f64", "end": "f64", "row": "u32", "kind": "u8", "state": "u8", "label": "u32", "place": "u32",
    "process": "u16", "scope": "u32", "seq": "u32", "end_seq": "u32", "waker": "i32", "depth": "u8",
}  # fmt: skip
MARKS = {"t": "f64", "row": "u32", "kind": "u8", "label": "u32", "process": "u16", "seq": "u32", "count": "u32"}
NAMES = 2000


def body(blocks: int, rows: int, seed: int = 7) -> bytes:
    """Return a body with about *blocks* blocks on *rows* rows of four processes."""
    random = np.random.default_rng(seed)
    each = blocks // rows
    steps = each * 9 // 10
    parts = [_row(random, row, steps, (each - steps) // 2, rows) for row in range(rows)]
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((-table["end"], table["start"]))
    table = {name: values[order] for name, values in table.items()}
    count = len(order)
    table["seq"] = np.arange(1, count + 1)
    table["end_seq"] = np.arange(2, count + 2)
    table["waker"] = np.maximum(np.arange(count) - random.integers(1, 200, count), -1)
    errors = np.sort(random.choice(count, 500, replace=False))
    marks: dict[str, NDArray[Any]] = {
        "t": table["start"][errors], "row": table["row"][errors], "kind": random.integers(1, 6, 500),
        "label": table["label"][errors], "process": table["process"][errors], "seq": table["seq"][errors],
        "count": random.integers(1, 1000, 500),
    }  # fmt: skip
    end = int(table["end"].max())
    return _encode(_head(rows, end), {"blocks": (BLOCKS, table), "marks": (MARKS, marks)})


def _row(random: np.random.Generator, row: int, steps: int, spans: int, rows: int) -> dict[str, NDArray[Any]]:
    lengths = random.exponential(5_000, steps) + 500
    ends = np.cumsum(lengths)
    starts = ends - lengths
    edges = np.sort(random.uniform(0, ends[-1], spans + 1))
    start = np.concatenate([[0.0], starts, edges[:-1], edges[:-1]])
    end = np.concatenate([[ends[-1]], ends, edges[1:], (edges[:-1] + edges[1:]) / 2])
    count = len(start)
    kinds = np.concatenate([[5], np.arange(steps) % 3 + 1, np.full(2 * spans, 4)])
    return {
        "start": start.round(), "end": end.round(), "row": np.full(count, row), "kind": kinds,
        "state": np.where(random.random(count) < 0.5, 8, 0) | np.where(random.random(count) < 0.01, 2, 0),
        "label": random.integers(1, NAMES, count), "place": random.integers(0, 200, count),
        "process": np.full(count, row * 4 // rows), "scope": np.full(count, row + 1),
        "depth": np.concatenate([np.zeros(1 + steps + spans), np.ones(spans)]),
    }  # fmt: skip


def _head(rows: int, end: int) -> dict[str, Any]:
    processes = [
        {"process": f"{i:016x}", "service": f"service-{i}", "label": f"service-{i}", "pid": 100 + i, "start_ns": 0, "end_ns": end}
        for i in range(4)
    ]  # fmt: skip
    lanes: list[dict[str, Any]] = []
    for row in range(rows):
        process = row * 4 // rows
        is_first = row == 0 or (row - 1) * 4 // rows != process
        thread = len(lanes) if is_first else max(i for i, lane in enumerate(lanes) if lane["kind"] == "thread")
        lanes.append(
            {
                "process": process, "kind": "thread" if is_first else "task",
                "name": "MainThread" if is_first else f"worker-{row}", "parent": None if is_first else thread,
                "first_row": row, "rows": 1, "busy_ns": end // 3, "scopes": 1, "in_run": True,
            }
        )  # fmt: skip
    return {
        "schema": "clew.timeline/1", "run": "0" * 31 + "1", "started_at": "2026-11-27T11:20:06.123456789Z",
        "duration_ns": end, "revision": 1, "running": False, "from_ns": 0, "to_ns": end, "processes": processes,
        "lanes": lanes, "rows": rows, "labels": ["", *(f"handle_request_{i}" for i in range(NAMES))],
        "places": ["", *(f"app/views.py:{i} handle_{i}" for i in range(200))],
    }  # fmt: skip


def _encode(head: dict[str, Any], tables: dict[str, tuple[dict[str, str], dict[str, NDArray[Any]]]]) -> bytes:
    columns: list[bytes] = []
    offset = 0
    described: dict[str, Any] = {}
    for name, (types, values) in tables.items():
        places: dict[str, Any] = {}
        for column, type_ in types.items():
            data = values[column].astype(TYPES[type_]).tobytes()
            data += bytes(-len(data) % 8)
            places[column] = {"type": type_, "offset": offset}
            columns.append(data)
            offset += len(data)
        described[name] = {"count": len(values[next(iter(types))]), "columns": places}
    text = json.dumps({**head, "tables": described}).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return struct.pack("<I", len(text)) + text + b"".join(columns)


def main() -> None:
    """Write a body to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--blocks", type=int, default=600_000)
    parser.add_argument("--rows", type=int, default=64)
    arguments = parser.parse_args()
    arguments.out.write_bytes(body(arguments.blocks, arguments.rows))


if __name__ == "__main__":
    main()
