"""What changed in the store, told to everybody who follows it.

One poller a server looks at the store's revision, whoever raised it: several servers may
share a store, and a worker is a process of its own. Nothing is polled while nobody follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from clew.model.errors import ClewError
from clew.server.errors import HttpError
from clew.server.logs import log
from clew.store.schema import processes, runs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from clew.store.store import Store

INTERVAL_S = 0.25
"""Between two looks, and so between two events."""
PAUSE_S = 2.0
"""After a look that failed."""
REMEMBERED = 64
"""Changes kept for clients that read slowly: 16 seconds of them."""
MAX_IDS = 500
"""Ids named in one event; who is told of more than that had better ask anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an event tells.

    Attributes:
        revision: The latest of the store.
        runs: Ids of runs that changed.
        processes: Ids of processes that something was stored of.
        total: How many runs there are.
    """

    revision: int
    runs: tuple[str, ...]
    processes: tuple[str, ...]
    total: int

    def document(self) -> dict[str, Any]:
        """Return what is sent."""
        return {
            "revision": self.revision,
            "runs": list(self.runs),
            "processes": list(self.processes),
            "total": self.total,
        }


def changes_since(store: Store, revision: int) -> Change | None:
    """Return what changed in *store* after *revision*, or None if nothing did.

    Complexity: One query of an index while nothing changed.
    """
    with store.engine.connect() as connection:
        changed_processes = connection.execute(
            sa.select(processes.c.process_id, processes.c.revision)
            .where(processes.c.revision > revision)
            .order_by(processes.c.revision)
            .limit(MAX_IDS)
        ).all()
        changed_runs = connection.execute(
            sa.select(runs.c.run_id, runs.c.revision)
            .where(runs.c.revision > revision)
            .order_by(runs.c.revision)
            .limit(MAX_IDS)
        ).all()
        # A page that is full ends where the shorter one does: what is after that is told next time.
        ends = [rows[-1][1] for rows in (changed_processes, changed_runs) if len(rows) == MAX_IDS]
        latest = min(ends) if ends else max((row[1] for row in (*changed_processes, *changed_runs)), default=revision)
        if latest == revision:
            return None
        total = connection.execute(sa.select(sa.func.count()).select_from(runs)).scalar_one()
    return Change(
        latest,
        tuple(row[0] for row in changed_runs if row[1] <= latest),
        tuple(row[0] for row in changed_processes if row[1] <= latest),
        total,
    )


class Hub:
    """Lets clients follow the changes of a store.

    Thread safety: to be used from the server's event loop only.
    """

    def __init__(self, store: Store, *, max_clients: int) -> None:
        self.clients = 0
        self._store = store
        self._max_clients = max_clients
        self._recent: deque[Change] = deque(maxlen=REMEMBERED)
        self._from = 0
        """The revision after which everything stands in ``_recent``."""
        self._revision = 0
        self._next = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._is_closed = False

    async def follow(self, since: int | None) -> AsyncGenerator[Change]:
        """Yield the state (a revision, no ids), then every change, until the hub is closed.

        Args:
            since: What the client knows already; None: what is there now.

        Raises:
            HttpError: Too many clients follow.
        """
        self.clients += 1
        try:
            await self._start()
            known = self._revision if since is None else min(since, self._revision)
            yield Change(known, (), (), 0)
            while not self._is_closed:
                after = self._next
                change = await self._since(known)
                if change is not None:
                    known = change.revision
                    yield change
                else:
                    await after.wait()
        finally:
            self.clients -= 1

    def check_room(self) -> None:
        """Raise if no further client may follow.

        Raises:
            HttpError: There are as many as may.
        """
        if self.clients >= self._max_clients:
            raise HttpError(
                "too-many-followers",
                f"{self.clients} clients follow the changes",
                f"expected at most {self._max_clients}",
                "close some, or ask again later",
                status=503,
                retry_after_s=5,
            )

    def close(self) -> None:
        """End everybody's following: the server ends."""
        self._is_closed = True
        self._next.set()
        if self._poller is not None:
            self._poller.cancel()

    async def _start(self) -> None:
        if self._poller is None or self._poller.done():
            # The loop may be another one than last time: tests start an application twice.
            self._next = asyncio.Event()
            self._revision = self._from = await asyncio.to_thread(lambda: self._store.revision)
            self._recent.clear()
            if self._poller is None or self._poller.done():  # another client may have been quicker
                self._poller = asyncio.create_task(self._poll(), name="clew changes")

    async def _since(self, known: int) -> Change | None:
        """Return what came after *known*, in one change, or None."""
        if known >= self._revision:
            return None
        if known < self._from:
            return await asyncio.to_thread(changes_since, self._store, known)
        later = [change for change in self._recent if change.revision > known]
        changed_runs = dict.fromkeys(run for change in later for run in change.runs)
        changed_processes = dict.fromkeys(process for change in later for process in change.processes)
        return Change(later[-1].revision, tuple(changed_runs), tuple(changed_processes), later[-1].total)

    async def _poll(self) -> None:
        """Look at the store as long as somebody follows."""
        while self.clients:
            await asyncio.sleep(INTERVAL_S)
            try:
                change = await asyncio.to_thread(changes_since, self._store, self._revision)
            except (SQLAlchemyError, ClewError) as error:
                # The database is away: followers hear of what changed when it is back.
                log(logging.WARNING, "changes cannot be read", problem=str(error).splitlines()[0])
                await asyncio.sleep(PAUSE_S)
                continue
            if change is not None:
                if len(self._recent) == REMEMBERED:
                    self._from = self._recent[0].revision
                self._recent.append(change)
                self._revision = change.revision
                self._next.set()
                self._next = asyncio.Event()
