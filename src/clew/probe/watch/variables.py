"""Notes of module globals that change while the program runs."""

from __future__ import annotations

import sys

from clew.probe.watch.events import (
    IS_DELETED,
    NO_VALUE,
    READ_GLOBAL,
    WRITE_GLOBAL,
    caught,
    record,
    summary,
    switch,
)
from clew.probe.watch.kinds import MISSING
from clew.probe.watch.owners import globals_of
from clew.probe.watch.places import HELD_TYPES, hold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.watch.compiling import Point

_getframe: Any = sys._getframe  # pyright: ignore[reportPrivateUsage]  the documented way to the caller


def global_read(value: Any, point: Point) -> Any:
    """Note that *value* was read from a global, if it is one that changes."""
    unit = point.unit
    if point.name not in unit.rebound or switch.is_off:
        return value
    try:
        holder = unit.owner or globals_of(unit)
        if type(value) in HELD_TYPES:
            hold(holder, point.name, value)
        record(READ_GLOBAL, holder, point.name, point, summary(value, point))
    except BaseException as error:
        if caught(error):
            raise
    return value


def global_write(value: Any, point: Point) -> Any:
    """Note that *value* is about to be assigned to a global."""
    if switch.is_off:
        return value
    try:
        old = _getframe(1).f_globals.get(point.name, MISSING)
        _note_write(value, point, NO_VALUE if old is MISSING else summary(old, point))
    except BaseException as error:
        if caught(error):
            raise
    return value


def global_wrote(point: Point) -> None:
    """Note that a global was assigned."""
    if switch.is_off:
        return
    try:
        value = _getframe(1).f_globals.get(point.name, MISSING)
        if value is not MISSING:
            _note_write(value, point, NO_VALUE)
    except BaseException as error:
        if caught(error):
            raise


def _note_write(value: Any, point: Point, old: tuple[int, int]) -> None:
    holder = globals_of(point.unit)
    name = point.name
    if type(value) in HELD_TYPES:
        hold(holder, name, value)
    elif name in holder.helds:
        holder.helds[name].leave(holder, name)
    record(WRITE_GLOBAL, holder, name, point, summary(value, point), old)


def global_deleted(point: Point) -> None:
    """Note that a global was deleted."""
    if switch.is_off:
        return
    try:
        holder = globals_of(point.unit)
        if point.name in holder.helds:
            holder.helds[point.name].leave(holder, point.name)
        record(WRITE_GLOBAL, holder, point.name, point, IS_DELETED)
    except BaseException as error:
        if caught(error):
            raise


def keep(value: Any, point: Point) -> Any:
    """Remember the container *value* by the global it is about to be assigned to."""
    if type(value) in HELD_TYPES and not switch.is_off:
        try:
            holder = globals_of(point.unit)
            if point.unit.is_whole or holder.is_wanted(point.name):
                hold(holder, point.name, value)
        except BaseException as error:
            if caught(error):
                raise
    return value
