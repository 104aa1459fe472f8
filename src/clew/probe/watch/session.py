"""Begin to watch, begin anew in a forked child, and say at the end what was watched."""

from __future__ import annotations

import sys

from clew.probe.watch import compiling, owners, places, summaries
from clew.probe.watch.loading import Finder, Selection
from clew.probe.watch.script import watch_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.session import Session


def install(session: Session) -> None:
    """Watch the modules the settings of *session* ask for, from their import on."""
    selection = Selection(session.config.watch, session.redactor)
    summaries.reset(session.redactor)
    session.at_begin.append(lambda: _begin_anew(session))
    session.at_end.append(lambda: {"watch": _describe(selection)})
    sys.meta_path.insert(0, Finder(selection))
    watch_script(selection)


def _begin_anew(session: Session) -> None:
    """Forget every number: those of a forked child are its own."""
    summaries.reset(session.redactor)
    for owner in list(owners.owners.values()):
        owner.slow_numbers.clear()
    for held in list(places.helds.values()):
        held.slow_numbers.clear()
    for unit in list(compiling.units):
        if unit.owner is not None:
            unit.owner.slow_numbers.clear()
        for point in unit.points:
            point.site = 0
    owners.release(owners.live)


def _describe(selection: Selection) -> dict[str, Any]:
    """Return what was watched, for the end of the stream."""
    found: dict[str, Any] = {
        "modules": {prefix: len(names) for prefix, names in selection.watched.items()},
        "variables": owners.live,
    }
    if owners.left_out:
        found["left_out"] = owners.left_out
    if selection.refused:
        found["refused"] = selection.refused
    return found
