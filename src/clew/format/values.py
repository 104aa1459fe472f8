"""Values of variables inside slots: 8 bytes and a code, instead of a JSON text each.

A ``state`` event has no use for the slot's ``wait_ns`` and ``arg``, so the observed
process puts what a variable held there, the old value and the new one, and how they are
to be read into the byte after the outcome (low 4 bits: new, high 4 bits: old). The
drain, which has time, turns them into ``attrs`` and clears the fields. So a recording
holds values as attributes only, and a recorded access costs no JSON in the program:
writing one took 2.5 µs, packing takes 0.1.

Texts (strings, names of types) go through the journal once each and are referred to by
number from then on; they also stand in the stream, for a drain that takes over.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from clew.format import ring

if TYPE_CHECKING:
    from clew.format.events import Row

NOTHING = 0
INT = 1
FLOAT = 2
TEXT = 3
"""The number of a text, which is shown as a string."""
CONSTANT = 4
OBJECT = 5
"""The number of the type's name, then the address."""
LIST, DICT, TUPLE, SET, FROZENSET, BYTES, BYTEARRAY, STR = range(6, 14)
"""The length (the largest that fits, if it is longer), then the address."""
ABSENT = 14
"""There was nothing under this name."""
DELETED = 15

SIZED = {
    LIST: "list",
    DICT: "dict",
    TUPLE: "tuple",
    SET: "set",
    FROZENSET: "frozenset",
    BYTES: "bytes",
    BYTEARRAY: "bytearray",
    STR: "str",
}
NONE, TRUE, FALSE, REDACTED = range(4)
_CONSTANTS = ("null", "true", "false", '"[redacted]"')

ADDRESS_BITS = 44
"""Addresses end at 2**47 or 2**48, and objects begin at multiples of 16."""
ADDRESS_MASK = (1 << ADDRESS_BITS) - 1
MAX_NUMBER = (1 << 64 - ADDRESS_BITS) - 1
"""Largest length or number of a type's name beside an address."""
_MAX_KNOWN = 65_536

_FLOAT = struct.Struct("<d")
_PAIR = struct.Struct("@QQ")
_OLD_OFFSET = 16


class Values:
    """The values in the slots of one ring.

    Attributes:
        texts: By number, as JSON.
    """

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self._waiting: list[tuple[int, int, int, int]] = []
        self._known: dict[tuple[int, int], str] = {}

    def take(self, first: int, piece: bytes) -> bytes:
        """Take the values out of slots.

        Args:
            first: Sequence number of the first slot.
            piece: The slots.

        Returns:
            The slots, without values.
        """
        codes = piece[ring.VALUE_OFFSET :: ring.SLOT_SIZE]
        if not any(codes):
            return piece
        slots = bytearray(piece)
        for i, code in enumerate(codes):
            if code:
                offset = i * ring.SLOT_SIZE + _OLD_OFFSET
                old, new = _PAIR.unpack_from(slots, offset)
                _PAIR.pack_into(slots, offset, 0, 0)
                self._waiting.append((first + i, code, new, old))
        return bytes(slots)

    def rows(self) -> list[Row]:
        """Return the attributes of what was taken since the last call: (seq, JSON)."""
        waiting, self._waiting = self._waiting, []
        return [(seq, self._attrs(code, new, old)) for seq, code, new, old in waiting]

    def _attrs(self, code: int, new: int, old: int) -> str:
        before = code >> 4
        code &= 15
        if code == DELETED:
            text = '{"state":"deleted"'
        elif code == ABSENT:
            text = '{"state":"absent"'
        elif code:
            text = f'{{"value":{self._json(code, new)}'
        else:
            text = "{"
        if before and before != ABSENT:
            text += f'{"," if code else ""}"old":{self._json(before, old)}'
        return text + "}"

    def _json(self, code: int, bits: int) -> str:
        if code == INT:
            return str(bits - (1 << 64) if bits >> 63 else bits)
        if code == CONSTANT:
            return _CONSTANTS[bits] if bits < len(_CONSTANTS) else "null"
        text = self._known.get((code, bits))
        if text is None:
            text = self._describe(code, bits)
            if code != TEXT and len(self._known) < _MAX_KNOWN:
                self._known[code, bits] = text
        return text

    def _describe(self, code: int, bits: int) -> str:
        if code == FLOAT:
            (number,) = _FLOAT.unpack(bits.to_bytes(8, "little"))
            # Infinities and NaN are not JSON.
            return repr(number) if number - number == 0 else f'"{number}"'
        if code == TEXT:
            return self.texts.get(bits, '"…"')
        number, address = bits >> ADDRESS_BITS, (bits & ADDRESS_MASK) << 4
        if code == OBJECT:
            name = json.loads(self.texts.get(number, '"object"'))
            return json.dumps(f"<{name} at {address:#x}>")
        more = "more than " if number == MAX_NUMBER else ""
        return f'"<{SIZED.get(code, "?")} of {more}{number} at {address:#x}>"'
