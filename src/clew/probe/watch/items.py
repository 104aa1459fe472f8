"""Notes of the items of dicts that an attribute, a global or another such dict holds.

Where the key may be evaluated twice (a name, a constant) a note goes before the
program's own operation. Where it may not, a stand-in takes the place of the dict for
that one operation, learns the key from it, and does it on the dict.
"""

from __future__ import annotations

import sys
from itertools import islice

from clew.probe.patching import hide_frame
from clew.probe.watch import owners, summaries
from clew.probe.watch.attributes import read
from clew.probe.watch.events import (
    IS_ABSENT,
    IS_DELETED,
    IS_HIDDEN,
    NO_VALUE,
    READ_ITEM,
    WRITE_ITEM,
    caught,
    record,
    switch,
)
from clew.probe.watch.kinds import MISSING, peek
from clew.probe.watch.owners import globals_of, owner_of
from clew.probe.watch.places import DICTS, HELD_TYPES, Held, dict_get, hold, is_safe, known
from clew.probe.watch.summaries import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from clew.probe.watch.compiling import Point

MAX_KEYS = 64
"""Most items of one ``update`` or ``clear`` that are recorded; further ones are counted."""

_getframe: Any = sys._getframe  # pyright: ignore[reportPrivateUsage]  the documented way to the caller
_owner_at = owners.owners.get


def item_read(container: Any, key: Any, point: Point, thing: Any = None) -> Any:
    """Note that the item *key* of *container* is about to be read, or looked for.

    Args:
        container: Anything with items.
        key: As the program will look it up.
        point: Where; names the global or attribute the container was just read from.
        thing: The object of that attribute.
    """
    if switch.is_off or type(container) not in DICTS:
        return container
    try:
        held = _held(container, point, thing, _getframe(1).f_globals)
        if held is not None:
            _note_read(container, held, key, point)
    except BaseException as error:
        if caught(error):
            raise
    return container


def item_wrote(base: Any, key: Any, point: Point) -> None:
    """Note that the item *key* of the container that *base* leads to was assigned."""
    if switch.is_off:
        return
    try:
        container, held = _find(base, point, _getframe(1).f_globals)
        if held is not None and is_safe(key):
            value = dict_get(container, key, MISSING)
            if value is not MISSING:
                _note_write(held, key, point, value, NO_VALUE)
    except BaseException as error:
        if caught(error):
            raise


def item_deleted(base: Any, key: Any, point: Point) -> None:
    """Note that the item *key* of the container that *base* leads to was deleted."""
    if switch.is_off:
        return
    try:
        container, held = _find(base, point, _getframe(1).f_globals)
        if held is not None and is_safe(key) and key not in container:
            _note_delete(held, key, point, NO_VALUE)
    except BaseException as error:
        if caught(error):
            raise


def items(container: Any, point: Point, thing: Any = None) -> Any:
    """Return what stands in for *container* during one operation on an item."""
    if switch.is_off or type(container) not in DICTS:
        return container
    try:
        held = _held(container, point, thing, _getframe(1).f_globals)
        if held is not None:
            return Items(container, held, point)
    except BaseException as error:
        if caught(error):
            raise
    return container


def method(container: Any, point: Point, thing: Any = None) -> Any:
    """Return what stands in for *container* while a method is called that a dict has too."""
    if type(container) not in DICTS:
        return read(container, point)
    if switch.is_off:
        return container
    try:
        held = _held(container, point, thing, _getframe(1).f_globals)
        if held is not None:
            return Items(container, held, point)
    except BaseException as error:
        if caught(error):
            raise
    return container


def _held(container: Any, point: Point, thing: Any, namespace: dict[str, Any]) -> Held | None:
    """Return the container as what is known of it, None if nothing that is watched holds it."""
    if point.path:
        owner = _owner_at(id(thing))
        held = owner.helds.get(point.path[0]) if owner is not None else None
    elif point.container:
        holder = point.unit.owner
        held = holder.helds.get(point.container) if holder is not None else None
    else:
        held = None
    if held is None or held.key != id(container):
        held = known(container)
    is_whole = point.unit.is_whole
    if held is None and point.container and namespace.get(point.container) is container:
        holder = globals_of(point.unit)
        if is_whole or holder.is_wanted(point.container):
            held = hold(holder, point.container, container)
    return held if held is None or is_whole or held.is_selected else None


def _find(base: Any, point: Point, namespace: dict[str, Any]) -> tuple[Any, Held | None]:
    """Return the container that *base* leads to, and what is known of it."""
    path = point.path
    if not path:
        return base, _held(base, point, None, namespace) if type(base) in DICTS else None
    thing = base
    for name in path[:-1]:
        thing = peek(thing, name)
    container = peek(thing, path[-1])
    if type(container) not in DICTS:
        return container, None
    owner = owner_of(thing, point)
    held = owner.helds.get(path[-1]) if owner is not None else None
    return container, held if held is not None and held.key == id(container) else known(container)


def _summary(held: Held, key: Any, value: Any) -> tuple[int, int]:
    rules = summaries.redactor
    if held.is_secret or (type(key) is str and rules.is_secret(key) and rules.hides(key, value)):
        return IS_HIDDEN
    return encode(value)


def _note_read(container: Any, held: Held, key: Any, point: Point) -> None:
    if not is_safe(key):
        owners.leave_out()
        return
    value = dict_get(container, key, MISSING)
    if value is MISSING:
        record(READ_ITEM, held, key, point, IS_ABSENT)
        return
    if type(value) in HELD_TYPES:
        hold(held, key, value)
    record(READ_ITEM, held, key, point, _summary(held, key, value))


def _note_write(held: Held, key: Any, point: Point, value: Any, old: tuple[int, int]) -> None:
    if type(value) in HELD_TYPES:
        hold(held, key, value)
    elif key in held.helds:
        held.helds[key].leave(held, key)
    record(WRITE_ITEM, held, key, point, _summary(held, key, value), old)


def _note_delete(held: Held, key: Any, point: Point, old: tuple[int, int]) -> None:
    if key in held.helds:
        held.helds[key].leave(held, key)
    record(WRITE_ITEM, held, key, point, IS_DELETED, old)


class Items:
    """Stands in for a dict during one operation; never stored anywhere.

    Every operation is the dict's own, noted before or after. An exception of it passes
    without a frame of ours.
    """

    __slots__ = ("container", "held", "point")

    def __init__(self, container: Any, held: Held, point: Point) -> None:
        self.container = container
        self.held = held
        self.point = point

    def __getitem__(self, key: Any) -> Any:
        self._note(_note_read, key)
        try:
            return self.container[key]
        except BaseException as error:
            hide_frame(error)
            raise

    def __contains__(self, key: Any) -> bool:
        self._note(_note_read, key)
        try:
            return key in self.container
        except BaseException as error:
            hide_frame(error)
            raise

    def __setitem__(self, key: Any, value: Any) -> None:
        before = self._look([key])
        try:
            self.container[key] = value
        except BaseException as error:
            hide_frame(error)
            raise
        self._compare(before)

    def __delitem__(self, key: Any) -> None:
        before = self._look([key])
        try:
            del self.container[key]
        except BaseException as error:
            hide_frame(error)
            raise
        self._compare(before)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Note a read, and do it."""
        if args:
            self._note(_note_read, args[0])
        try:
            return self.container.get(*args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise

    def pop(self, *args: Any, **kwargs: Any) -> Any:
        """Note a read and, if something was there, a deletion."""
        if args:
            self._note(_note_read, args[0])
        before = self._look(args[:1])
        try:
            result = self.container.pop(*args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise
        self._compare(before)
        return result

    def setdefault(self, *args: Any, **kwargs: Any) -> Any:
        """Note a read and, if nothing was there, a write."""
        if args:
            self._note(_note_read, args[0])
        before = self._look(args[:1])
        try:
            result = self.container.setdefault(*args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise
        self._compare(before, is_write=False)
        return result

    def popitem(self, *args: Any, **kwargs: Any) -> Any:
        """Note the deletion of what was taken."""
        try:
            result = self.container.popitem(*args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise
        if is_safe(result[0]):
            self._compare([result])
        return result

    def clear(self, *args: Any, **kwargs: Any) -> None:
        """Note the deletion of every item."""
        before = self._look(self.container)
        try:
            self.container.clear(*args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise
        self._compare(before)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Note a write of every item that is given; those of an iterator cannot be seen."""
        before = self._look(_keys_of(args, kwargs))
        try:
            self.container.update(*args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise
        self._compare(before)

    def _note(self, note: Callable[..., None], key: Any) -> None:
        try:
            if not switch.is_off:
                note(self.container, self.held, key, self.point)
        except BaseException as error:
            if caught(error):
                raise

    def _look(self, keys: Any) -> list[tuple[Any, Any]]:
        """Return keys with what stands under them now."""
        found: list[tuple[Any, Any]] = []
        try:
            some = islice(keys, MAX_KEYS)
            found += [(key, dict_get(self.container, key, MISSING)) for key in some if is_safe(key)]
            owners.leave_out(len(keys) - len(found))
        except BaseException as error:
            if caught(error):
                raise
        return found

    def _compare(self, before: list[tuple[Any, Any]], *, is_write: bool = True) -> None:
        """Note what an operation did to the items that were looked at before it.

        Args:
            before: Keys, and what stood under them.
            is_write: An item that is as it was was written all the same.
        """
        try:
            for key, old in before:
                value = dict_get(self.container, key, MISSING)
                if value is MISSING:
                    if old is not MISSING:
                        _note_delete(self.held, key, self.point, _summary(self.held, key, old))
                elif is_write or old is MISSING:
                    summary = NO_VALUE if old is MISSING else _summary(self.held, key, old)
                    _note_write(self.held, key, self.point, value, summary)
        except BaseException as error:
            if caught(error):
                raise


def _keys_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return the keys that ``update(*args, **kwargs)`` sets, as far as built-in types tell."""
    keys: list[Any] = list(kwargs)
    for source in args:
        if type(source) in DICTS:
            keys += source
        elif type(source) in (list, tuple):
            keys += [pair[0] for pair in source if type(pair) in (list, tuple) and pair]
        else:
            owners.leave_out()
    return keys
