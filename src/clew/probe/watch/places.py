"""Containers that cannot be referred to weakly, known by the places that hold them.

A dict has no weak references and tells nobody of its death, so its address alone does
not identify it. But a variable that holds it does: as long as an attribute, a global or
an item, seen to hold the dict at this address, still holds one at this address, it is
that dict (to hold another one there, it would have to have been given up in between, in
code that is not watched). A dict that only locals refer to has no such place, and no
name that people would know it by: it is not recorded.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from types import SimpleNamespace

from clew.probe.watch import owners, summaries
from clew.probe.watch import selection as selections
from clew.probe.watch.summaries import label, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.watch.compiling import Point

DICTS = frozenset({dict, OrderedDict, defaultdict, Counter})
HELD_TYPES = frozenset({*DICTS, SimpleNamespace})
MAX_HELDS = 20_000
"""Most containers known at one time; accesses to further ones are counted."""
MAX_PLACES = 8
MAX_KEY = 256
"""Longest string that is kept as the key of a variable, in characters."""
MAX_DEPTH = 4
"""How deep containers in containers are told apart."""

dict_get = dict.get
helds: dict[int, Held] = {}
"""By ``id()`` of the container."""


class Held:
    """A container.

    Attributes:
        key: Its address.
        name: What people know it by.
        type_name: Its class.
        number: Its number among objects.
        names: Full names by which it may be selected.
        is_selected: Whether it is, and with it its items.
        depth: In how many other containers it stands.
        is_secret: Whether its name says that its values must not be kept.
        is_dict: Whether its variables are items; otherwise they are attributes.
        slow_numbers: Numbers of variables, by key.
        helds: Containers in it, by key.
        places: Who holds it, and under which name.
    """

    __slots__ = (
        "depth",
        "helds",
        "is_dict",
        "is_secret",
        "is_selected",
        "key",
        "name",
        "names",
        "number",
        "places",
        "slow_numbers",
        "type_name",
    )

    def __init__(self, thing: Any, holder: Any, key: Any) -> None:
        self.key = id(thing)
        self.is_dict = type(thing) in DICTS
        self.depth = holder.depth + 1 if type(holder) is Held else 0
        self.is_secret = summaries.redactor.is_secret(key) if type(key) is str else False
        if self.depth:
            self.is_secret |= holder.is_secret
        self.name = holder.name_of(key)
        self.type_name = name_of(type(thing))
        self.number = holder.number
        self.names: list[str] = holder.full_names(key)
        self.is_selected: bool = holder.is_wanted(key)
        self.slow_numbers: dict[Any, int] = {}
        self.helds: dict[Any, Held] = {}
        self.places: list[tuple[Any, Any]] = [(holder, key)]

    def name_of(self, key: Any) -> str:
        """Return the name of the variable under *key*."""
        return f"{self.name}[{label(key)}]" if self.is_dict else f"{self.type_name.rpartition('.')[2]}.{key}"

    def variable(self, key: Any, point: Point) -> int:
        """Return the number of the variable under *key*, defining it; 0 if there are too many."""
        number = self.slow_numbers.get(key)
        if number is None:
            number = owners.define(self.name_of(key), self.type_name, self.number, point)
            if number:
                number = self.slow_numbers.setdefault(key, number)
                selections.current.mark(self.names)
        return number

    def full_names(self, _: Any) -> list[str]:
        """Return the names by which the variable under some key may be selected: its own."""
        return self.names

    def is_wanted(self, _: Any) -> bool:
        """Tell whether the variable under some key is selected by its name."""
        return self.is_selected

    def find(self, depth: int = 0) -> Any:
        """Return the container, from a place that still holds it, or None."""
        for holder, key in self.places:
            value = holder.peek(key, depth + 1) if type(holder) is Held else holder.peek(key)
            if id(value) == self.key and type(value) in HELD_TYPES:
                return value
        return None

    def peek(self, key: Any, depth: int = 0) -> Any:
        """Return what stands under *key*, or None."""
        thing = self.find(depth) if depth <= MAX_DEPTH else None
        if type(thing) is SimpleNamespace:
            return thing.__dict__.get(key)
        return None if thing is None else dict_get(thing, key)

    def leave(self, holder: Any, key: Any) -> None:
        """Note that *holder* no longer holds it; forget it if nobody else does."""
        if holder.helds.get(key) is self:
            del holder.helds[key]
        self.places = [place for place in self.places if place[0] is not holder or place[1] != key]
        if not self.places:
            self.forget()

    def forget(self) -> None:
        """Forget its variables."""
        if helds.get(self.key) is self:
            del helds[self.key]
        owners.release(len(self.slow_numbers))
        self.slow_numbers = {}
        for holder, key in self.places:
            if holder.helds.get(key) is self:
                del holder.helds[key]
        self.places = []
        for key, held in list(self.helds.items()):
            held.leave(self, key)


def hold(holder: Any, key: Any, thing: Any) -> Held | None:
    """Note that *holder* holds container *thing* under *key*.

    Args:
        holder: An ``Owner``, ``Globals`` or ``Held``.
        key: Attribute, global, or key.
        thing: Of one of ``HELD_TYPES``.
    """
    held = holder.helds.get(key)
    if held is not None:
        if held.key == id(thing):
            return held
        held.leave(holder, key)
    held = helds.get(id(thing))
    if held is not None and held.find() is not thing:
        held.forget()  # that one is gone
        held = None
    if held is None:
        if len(helds) >= MAX_HELDS or getattr(holder, "depth", 0) >= MAX_DEPTH:
            owners.leave_out()
            return None
        held = helds[id(thing)] = Held(thing, holder, key)
    elif len(held.places) < MAX_PLACES:
        held.places.append((holder, key))
        held.is_selected = held.is_selected or holder.is_wanted(key)
    else:
        return held
    holder.helds[key] = held
    return held


def known(thing: Any) -> Held | None:
    """Return container *thing* if one of the places that held it still does."""
    held = helds.get(id(thing))
    return held if held is not None and held.find() is thing else None


def is_safe(key: Any) -> bool:
    """Tell whether *key* can be looked up without running code of the program, and be named."""
    kind: Any = type(key)
    if kind is str:
        return len(key) <= MAX_KEY
    return label(key) != ""
