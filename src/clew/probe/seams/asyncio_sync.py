"""asyncio's synchronisation: everything by which tasks wait for one another.

The methods are replaced on asyncio's own classes, which are written in Python; functions
are replaced in every module that exports them.

Can miss: functions that a module took by name before recording began
(``from asyncio import sleep``), and who resolves a bare future: that is the cause of the
step it wakes.
"""

from __future__ import annotations

from clew.probe.seams import asyncio_awaits, asyncio_groups, asyncio_locks, asyncio_queues, asyncio_time, asyncio_waits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from clew.probe.session import Session


def install(module: ModuleType, session: Session) -> None:
    """Hook the primitives of *module*, which is asyncio."""
    session.at_begin.append(asyncio_waits.forget)
    for part in (asyncio_locks, asyncio_queues, asyncio_awaits, asyncio_groups, asyncio_time):
        part.install(module, session)
