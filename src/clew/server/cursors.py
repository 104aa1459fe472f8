"""Cursors: where the next page begins, written so that nobody is tempted to make one up."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, cast

from clew.server.errors import HttpError

_MAX = 2_000


def encode(kind: str, *values: str | int) -> str:
    """Return a cursor.

    Args:
        kind: What it pages; one of another kind is refused.
        values: Where the page begins.
    """
    text = json.dumps([kind, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, kind: str, *types: type[str | int]) -> list[Any]:
    """Return the values of a cursor.

    Args:
        cursor: Of ``encode``, as a client sent it back.
        kind: As there.
        types: Of the values.

    Raises:
        HttpError: It is not one that was given out for this.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found: Any = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise bad(cursor) from None
    if not isinstance(found, list):
        raise bad(cursor)
    values = cast("list[Any]", found)
    if len(values) != len(types) + 1 or values[0] != kind:
        raise bad(cursor)
    if any(type(value) is not wanted for value, wanted in zip(values[1:], types, strict=True)):
        raise bad(cursor)
    if any(isinstance(value, int) and abs(value) >= 1 << 63 for value in values):
        raise bad(cursor)
    return values[1:]


def bad(cursor: str) -> HttpError:
    """Return the error of a cursor that leads nowhere."""
    return HttpError(
        "cursor",
        f"the cursor is {cursor[:80]!r}",
        "expected the next_cursor of a page of this list, with the same sort",
        "ask for the first page, without a cursor",
        status=400,
    )
