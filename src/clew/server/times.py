"""Times of day as the routes tell them."""

from __future__ import annotations

from clew.model.times import format_time


def rfc3339(wall_ns: int) -> str:
    """Return *wall_ns*, nanoseconds since 1970, as a time of day in UTC with all nine digits."""
    return format_time(wall_ns)
