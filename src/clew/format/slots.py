"""From the slots of a ring to the columns of a chunk.

Only the drain needs this; apart from ``ring``, so that the observed process does not import
the schema of chunks.
"""

from __future__ import annotations

import sys

from clew.format import ring, schema

# Where each event column stands in a slot; slots and columns are one schema.
_OFFSETS = {
    "t_ns": 0,
    "cause": 8,
    "wait_ns": 16,
    "arg": 24,
    "entity": 32,
    "scope": 36,
    "site": 40,
    "span": 44,
    "kind": 48,
    "op": 49,
    "outcome": 50,
}
_BIG_ENDIAN_END = {"kind": 3, "op": 2, "outcome": 1}


def _plane_offsets(spec: schema.ColumnSpec) -> list[int]:
    """Return where byte 0, 1, … of a column stand in a slot."""
    offset = _OFFSETS[spec.name]
    if sys.byteorder == "little":
        return [offset + k for k in range(spec.width)]
    if spec.name in _BIG_ENDIAN_END:
        return [ring.KIND_OFFSET + _BIG_ENDIAN_END[spec.name]]
    return [offset + spec.width - 1 - k for k in range(spec.width)]


_PLANES = [(spec.number, _plane_offsets(spec)) for spec in schema.EVENTS.columns]


def slot_planes(slots: bytes) -> list[tuple[int, list[bytes]]]:
    """Turn packed slots into the byte planes of the event columns, by column number."""
    return [(number, [slots[offset :: ring.SLOT_SIZE] for offset in offsets]) for number, offsets in _PLANES]
