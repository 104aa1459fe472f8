"""Times of day in text: RFC 3339, in UTC, to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_time(wall_ns: int) -> str:
    """Return a time of day in UTC with all nine digits: ``2026-11-27T11:20:06.123456789Z``.

    Args:
        wall_ns: Nanoseconds since 1970, of a year up to 9999.
    """
    seconds, nanoseconds = divmod(wall_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def parse_time(text: str) -> int | None:
    """Return the nanoseconds since 1970 of a time of day, None if *text* is none.

    Args:
        text: As ``format_time`` writes it, or a part of that from the left: at least the day.
            Without an offset it is in UTC.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        offset_s = _offset_s(zone or "Z")
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds - offset_s) * _SECOND_NS + int((fraction or "").ljust(9, "0"))


def _offset_s(zone: str) -> int:
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    seconds = hours * 3_600 + minutes * 60
    return -seconds if zone[0] == "-" else seconds
