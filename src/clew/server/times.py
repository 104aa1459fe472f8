"""Times of day as the routes tell them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(wall_ns: int) -> str:
    """Return *wall_ns*, nanoseconds since 1970, as a time of day in UTC with all nine digits."""
    seconds, nanoseconds = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
