"""Vector clocks of other SDKs, turned into causes.

An event whose clock has, for another component, a higher count than the event before it in
its scope, was enabled by that component's event of that count. A component counts its own
events, so an event's own entry says which one it is. Source: Fidge 1988, Mattern 1988.

What it can miss: an event further back than ``KEPT``, or that arrives after what it
enabled; and of several components that advanced at once all but one. Those events keep
their clock among their attributes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from clew.convert.attrs_json import make_room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEX = frozenset("0123456789abcdef")
_ID_DIGITS = 16


class Clocks:
    """Turns vector clocks into causes.

    It knows the last ``KEPT`` events of each component, of the ``COMPONENTS`` it heard of last.
    What lies further back keeps its clock among its attributes, and has no cause.

    Thread safety: any thread may ask.

    Args:
        find_process: Returns the id of the process a service was last sent by, or None.
    """

    KEPT = 4096
    COMPONENTS = 4096

    def __init__(self, find_process: Callable[[str], str | None]) -> None:
        self._find_process = find_process
        self._seqs: dict[str, dict[int, tuple[str, int]]] = {}
        self._latest: dict[tuple[str, int], dict[str, int]] = {}
        self._turn = threading.Lock()

    def cause_of(self, own: tuple[str, ...], scope: int, seq: int, clock: Mapping[str, int]) -> tuple[str, int] | None:
        """Return process and ``seq`` of what enabled an event, by its clock; note the event itself.

        Args:
            own: The names by which clocks may know the event's own component; the first is the
                id of its process.
            scope: Number of its scope there.
            seq: Its own number.
            clock: Counts by component.
        """
        with self._turn:
            return self._cause_of(own, scope, seq, clock)

    def _cause_of(self, own: tuple[str, ...], scope: int, seq: int, clock: Mapping[str, int]) -> tuple[str, int] | None:
        process_id = own[0]
        before = self._latest.get((process_id, scope), {})
        for component in own:
            if component in clock:
                self._note(component, clock[component], (process_id, seq))
        make_room(self._latest, self.COMPONENTS)
        self._latest[process_id, scope] = dict(clock)
        advanced = [
            (component, count)
            for component, count in clock.items()
            if component not in own and count > before.get(component, 0)
        ]
        # Of several the one that came last; the rest stands in the attributes.
        for component, count in reversed(advanced):
            found = self._seqs.get(component, {}).get(count) or self._by_process(component, count)
            if found is not None:
                return found
        return None

    def _note(self, component: str, count: int, event: tuple[str, int]) -> None:
        seqs = self._seqs.get(component)
        if seqs is None:
            make_room(self._seqs, self.COMPONENTS)
            seqs = self._seqs[component] = {}
        make_room(seqs, self.KEPT)
        seqs[count] = event

    def _by_process(self, component: str, count: int) -> tuple[str, int] | None:
        """Where a component is a whole process, its count is the number of its event."""
        if "#" in component or count < 1:
            return None
        if len(component) == _ID_DIGITS and set(component) <= _HEX:
            return component, count
        process_id = self._find_process(component)
        return (process_id, count) if process_id else None
