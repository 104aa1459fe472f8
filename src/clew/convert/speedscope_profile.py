"""The parts of a speedscope file: frames, and profiles of frames that open and close."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clew.analysis.timeline import ProcessTimeline

_PIECE = 1 << 14


class Frames:
    """The frames of a file, each once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, int], int] = {}

    def number(self, name: str, file: str = "", line: int = 0) -> int:
        """Return the index of a frame, adding it if it is new."""
        return self._numbers.setdefault((name, file, line), len(self._numbers))

    def of_site(self, timeline: ProcessTimeline, site: int) -> int:
        """Return the index of the frame at a site."""
        row = timeline.data.sites.get(site)
        return self.number(f"site {site}") if row is None else self.number(row[3] or "?", row[1], row[2])

    def encode(self) -> str:
        """Return the frames as a JSON list."""
        frames: list[dict[str, Any]] = []
        for name, file, line in self._numbers:
            frame: dict[str, Any] = {"name": name}
            if file:
                frame |= {"file": file, "line": line}
            frames.append(frame)
        return json.dumps(frames, separators=(",", ":"))


class Profile:
    """One profile of frames that open and close: what may be written is always balanced.

    Args:
        name: What it is of.
        start: When it begins, in nanoseconds.
    """

    def __init__(self, name: str, start: int) -> None:
        self.name = name
        self._start = self._now = max(start, 0)
        self._times = array("q")
        self._frames = array("q")
        """Frames as they open; ``~frame`` where one closes."""
        self.stack: list[int] = []

    def open(self, frame: int, at: int) -> None:
        """Enter *frame*."""
        self._note(frame, at)
        self.stack.append(frame)

    def close(self, at: int, *, down_to: int = 0) -> None:
        """Leave frames until *down_to* are left."""
        while len(self.stack) > down_to:
            self._note(~self.stack.pop(), at)

    def _note(self, frame: int, at: int) -> None:
        # The format wants times that never go back; threads may write a little out of order.
        self._now = max(self._now, at)
        self._times.append(self._now)
        self._frames.append(frame)

    def encode(self) -> Iterator[str]:
        """Yield the profile as JSON, piece by piece; what is open is closed."""
        self.close(self._now)
        yield (
            f'{{"type":"evented","name":{json.dumps(self.name)},"unit":"nanoseconds","startValue":{self._start},'
            f'"endValue":{self._now},"events":['
        )
        for start in range(0, len(self._times), _PIECE):
            events = zip(self._frames[start : start + _PIECE], self._times[start : start + _PIECE], strict=True)
            yield ("," if start else "") + ",".join([_event(frame, at) for frame, at in events])
        yield "]}"


def _event(frame: int, at: int) -> str:
    kind, number = ("O", frame) if frame >= 0 else ("C", ~frame)
    return f'{{"type":"{kind}","frame":{number},"at":{at}}}'
