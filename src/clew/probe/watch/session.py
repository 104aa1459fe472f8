"""Begin to watch, begin anew in a forked child, and say at the end what was watched."""

from __future__ import annotations

import sys

from clew.probe.patching import report
from clew.probe.watch import compiling, owners, places, selection, summaries
from clew.probe.watch.loading import Finder
from clew.probe.watch.script import watch_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from clew.probe.session import Session


def install(session: Session) -> None:
    """Watch what the settings of *session* ask for, from its import on."""
    chosen = selection.current = selection.Selection(session.config.watch, session.redactor)
    summaries.reset(session.redactor)
    for prefix in chosen.prefixes:
        if prefix in sys.modules and prefix != selection.MAIN:
            chosen.refuse(prefix, "it is imported before any program begins")
    session.at_begin.append(lambda: _begin_anew(session))
    session.at_end.append(lambda: _describe(chosen))
    sys.meta_path.insert(0, Finder(chosen))
    watch_script(chosen)


def last_words() -> list[str]:
    """Return what is to be said of prefixes that matched nothing, where nobody else says it."""
    return selection.unknown(_found(selection.current))


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


def _describe(chosen: selection.Selection) -> dict[str, Any]:
    """Return what was watched, for the end of the stream."""
    try:
        return {"watch": _found(chosen)}
    except Exception as error:  # the end must be written
        report("watch", f"{type(error).__name__}: {error}")
        return {}


def _found(chosen: selection.Selection) -> dict[str, Any]:
    found: dict[str, Any] = {"modules": chosen.modules}
    if owners.left_out:
        found["left_out"] = owners.left_out
    if chosen.refused:
        found["refused"] = chosen.refused
    if chosen.unmatched:
        found["unmatched"] = [prefix for prefix in chosen.prefixes if prefix in chosen.unmatched]
        found["known"] = selection.known_names(chosen.main)
    return found
