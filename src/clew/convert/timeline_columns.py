"""The timeline of a run as ``application/vnd.clew.columns``: ``clew.timeline/1``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clew.convert.columns import encode_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clew.analysis.blocks import Picture
    from clew.analysis.timeline import ProcessTimeline

SCHEMA = "clew.timeline/1"
BLOCKS = {
    "start": "f64", "end": "f64", "row": "u32", "kind": "u8", "state": "u8", "label": "u32", "place": "u32",
    "process": "u16", "scope": "u32", "seq": "u32", "end_seq": "u32", "waker": "i32", "depth": "u8",
}  # fmt: skip
"""Columns of blocks and their types."""
MARKS = {"t": "f64", "row": "u32", "kind": "u8", "label": "u32", "process": "u16", "seq": "u32", "count": "u32"}
"""Columns of marks and their types."""


def encode_timeline(
    picture: Picture, timelines: list[ProcessTimeline], origin_ns: int, about: Mapping[str, Any]
) -> bytearray:
    """Encode what there is to draw of a run.

    Args:
        picture: Of ``picture_of``.
        timelines: The processes it was drawn from.
        origin_ns: When the run began, on their clock.
        about: What the head says of the run: ``run``, ``started_at``, ``duration_ns``, ``revision``, ``running``.
    """
    head = {
        "schema": SCHEMA,
        **about,
        "from_ns": picture.from_ns,
        "to_ns": picture.to_ns,
        "processes": [_process(timeline, origin_ns) for timeline in timelines],
        "lanes": [asdict(lane) for lane in picture.lanes.lanes],
        "rows": picture.lanes.rows,
        "labels": picture.labels,
        "places": picture.places,
    }
    blocks, marks = picture.blocks, picture.marks
    tables = {
        "blocks": {name: (type_, getattr(blocks, name)) for name, type_ in BLOCKS.items()},
        # A named tuple has a method ``count`` already.
        "marks": {
            name: (type_, getattr(marks, "counts" if name == "count" else name)) for name, type_ in MARKS.items()
        },
    }
    return encode_columns(head, tables)


def _process(timeline: ProcessTimeline, origin_ns: int) -> dict[str, Any]:
    end_ns = None if timeline.is_running else timeline.end_ns - origin_ns
    return {
        "process": timeline.stream.id,
        "service": timeline.service,
        "label": timeline.label,
        "pid": timeline.pid,
        "start_ns": timeline.start_ns - origin_ns,
        "end_ns": end_ns,
    }
