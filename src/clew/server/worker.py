"""The worker: indexes what changed, makes segments of what has ended, removes what is too old.

Any number of workers may share a store. Each holds a lease that says it is there; those that
are there share out the processes by their ids. While one comes or goes two may do the same
for a moment, which costs time and changes nothing: each job replaces its result as a whole.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from clew.convert.stored import pending_tables
from clew.model.errors import ClewError
from clew.server.logs import log
from clew.store import compaction, leases, retention
from clew.store.schema import processes

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from clew.store.retention import Policy
    from clew.store.store import Store

    Index = Callable[[Store, str], object]

LOGGER = logging.getLogger("clew.worker")
LEASE = "worker-"
LEASE_S = 30.0
RENEW_S = 10.0
LOOK_S = 0.25
"""How often the worker looks whether something came: that is one small query."""
LEAST_PAUSE_S = 0.5
PAUSE_SHARE = 10
"""A process whose indexing took t is left alone for 10 t: a tenth of a core at most goes into it."""
COMPACT_S = 2.0
SETTLE_NS = 2_000_000_000
"""How long after its last chunk a process that has ended is compacted: stragglers come before."""
MERGE_S = 60.0
RETAIN_S = 600.0
LONGEST_BACK_OFF_S = 60.0


class Worker:
    """Does what is due, until it is told to end.

    Args:
        store: Whose.
        index: Indexes one process: ``clew.server.indexer.index_process``.
        policy: How long things stay.
    """

    def __init__(self, store: Store, index: Index, policy: Policy | None = None) -> None:
        self._store = store
        self._index = index
        self._policy = policy
        self._name = LEASE + secrets.token_hex(8)
        self._due: dict[str, float] = {}
        """When something is to be done again, by its name; on the monotonic clock."""
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._seen = -1
        self._rank, self._count = 0, 1

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set; a database that is away is waited for."""
        log(logging.INFO, "the worker begins", logger=LOGGER, store=self._store.catalog.shown, worker=self._name)
        failures = 0
        while not stop.is_set():
            try:
                self.work(stop)
            except (ClewError, SQLAlchemyError, OSError) as error:
                failures += 1
                pause_s = min(2.0**failures / 2, LONGEST_BACK_OFF_S / 4)
                problem = str(error).strip().splitlines()[0]
                log(logging.WARNING, "the store is away", logger=LOGGER, problem=problem, again_in_s=pause_s)
                stop.wait(pause_s)
                continue
            if failures:
                log(logging.INFO, "the store is back", logger=LOGGER)
                failures = 0
            stop.wait(LOOK_S)
        self._leave()
        log(logging.INFO, "the worker ends", logger=LOGGER, worker=self._name)

    def work(self, stop: threading.Event) -> None:
        """Do once what is due now.

        Raises:
            StoreUnavailableError: The store is away.
            SQLAlchemyError: The same, found in the middle of something.
        """
        if self._is_due("lease", RENEW_S):
            self._join()
        self._index_changed(stop)
        if not stop.is_set() and self._is_due("compact", COMPACT_S):
            self._compact(stop)
        if self._rank == 0 and not stop.is_set() and self._is_due("merge", MERGE_S):
            self._merge(stop)
        if self._rank == 0 and not stop.is_set() and self._is_due("retain", RETAIN_S):
            self._retain()

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True

    def _join(self) -> None:
        """Say that this worker is there, and see who else is."""
        try:
            leases.take(self._store, self._name, self._name, LEASE_S)
            there = leases.names(self._store, LEASE)
        except BaseException:
            self._due["lease"] = 0.0
            raise
        rank = there.index(self._name) if self._name in there else 0
        if (rank, len(there)) != (self._rank, self._count):
            log(logging.INFO, "the work is shared", logger=LOGGER, workers=len(there), number=rank)
            self._seen = -1
        self._rank, self._count = rank, max(len(there), 1)

    def _leave(self) -> None:
        try:
            leases.give_up(self._store, self._name, self._name)
        except (ClewError, SQLAlchemyError, OSError) as error:
            # It ends by itself, half a minute later.
            log(logging.INFO, "the lease stays", logger=LOGGER, problem=str(error).splitlines()[0])

    def _is_mine(self, process_id: str) -> bool:
        return int(process_id, 16) % self._count == self._rank

    def _index_changed(self, stop: threading.Event) -> None:
        revision = self._store.revision
        if revision == self._seen and not self._not_before:
            return
        now = time.monotonic()
        changed = [process_id for process_id in self._changed() if self._is_mine(process_id)]
        waiting = False
        for process_id in changed:
            if stop.is_set():
                return
            if now < self._not_before.get(process_id, 0.0):
                waiting = True
                continue
            self._index_one(process_id)
            waiting |= process_id in self._failures
        # Pauses that are over are forgotten; those of processes that changed meanwhile bring us back.
        now = time.monotonic()
        self._not_before = {name: until for name, until in self._not_before.items() if until > now}
        self._seen = -1 if waiting else revision

    def _changed(self) -> list[str]:
        late = sa.select(processes.c.process_id).where(
            processes.c.revision > processes.c.indexed_revision, processes.c.deleted_ns.is_(None)
        )
        with self._store.engine.connect() as connection:
            return list(connection.execute(late.order_by(processes.c.revision)).scalars())

    def _index_one(self, process_id: str) -> None:
        begin = time.monotonic()
        try:
            self._index(self._store, process_id)
        except (OperationalError, InterfaceError, ConnectionError):
            raise
        except Exception as error:
            if getattr(error, "slug", "") == "store-unavailable":
                raise
            failures = self._failures[process_id] = self._failures.get(process_id, 0) + 1
            pause_s = min(2.0**failures, LONGEST_BACK_OFF_S)
            log(logging.ERROR, "a process cannot be indexed", logger=LOGGER, process=process_id, again_in_s=pause_s,
                error=error)  # fmt: skip
        else:
            self._failures.pop(process_id, None)
            took_s = time.monotonic() - begin
            pause_s = max(LEAST_PAUSE_S, PAUSE_SHARE * took_s)
            log(logging.DEBUG, "indexed", logger=LOGGER, process=process_id, ms=round(took_s * 1000))
        self._not_before[process_id] = time.monotonic() + pause_s

    def _compact(self, stop: threading.Event) -> None:
        for group in compaction.due(self._store, settle_ns=SETTLE_NS, is_wanted=self._is_mine):
            if stop.is_set():
                return
            begin = time.monotonic()
            written = compaction.compact(self._store, group, lambda stored: pending_tables(self._store, stored))
            if written is not None:
                log(logging.INFO, "compacted", logger=LOGGER, processes=len(group), events=written.events,
                    bytes=written.size, ms=round((time.monotonic() - begin) * 1000))  # fmt: skip

    def _merge(self, stop: threading.Event) -> None:
        for segments in [*([one] for one in retention.segments_to_rewrite(self._store)),
                         *compaction.merge_groups(self._store)]:  # fmt: skip
            if stop.is_set():
                return
            written = compaction.rewrite(self._store, segments)
            log(logging.INFO, "merged", logger=LOGGER, segments=len(segments), events=written.events if written else 0)

    def _retain(self) -> None:
        removed = retention.apply(self._store, self._policy)
        if any(removed):
            log(logging.INFO, "removed what was too old", logger=LOGGER, **removed._asdict())
