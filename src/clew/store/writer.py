"""One thread writes everything that is sent: many requests in one transaction.

A durable commit waits for the disk (about 1 ms), whatever is in it. While one group is
committed the next requests gather, so the wait is shared by more of them the more there are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from clew.store.batch import Batch, IngestRequest, NextSeq, Receipt
from clew.store.catalog import unavailable
from clew.store.errors import StoreBusyError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.store.store import Store

# Whoever writes needs these, and nothing else of `batch`.
__all__ = ["IngestRequest", "NextSeq", "Receipt", "StoreBusyError", "StoreUnavailableError", "Writer", "WriterStats"]

MAX_BYTES = 64 << 20
MAX_REQUESTS = 2_048
GROUP_BYTES = 16 << 20
GROUP_REQUESTS = 512
ATTEMPTS = 3
"""How often a group is tried whose transaction lost against another server's."""
_CONFLICTS = ("40001", "40P01", "23505")  # PostgreSQL: serialization failure, deadlock, unique violation
_BASE_SIZE = 1_024  # of a request in memory, beside its chunks

_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    request: IngestRequest
    size: int
    future: Future[Receipt]


class WriterStats(NamedTuple):
    """What the writer did and holds, for metrics and health."""

    waiting_requests: int
    waiting_bytes: int
    groups: int
    requests: int
    events: int
    duplicates: int
    refused: int
    failed: int


class Writer:
    """Stores requests, in the order in which they come.

    Args:
        store: Where to.
        max_bytes: Most bytes that may wait.
        max_requests: Most requests that may wait.

    Attributes:
        problem: What went wrong with the last group; None when it was stored.

    Thread safety: any thread may submit.
    """

    def __init__(self, store: Store, *, max_bytes: int = MAX_BYTES, max_requests: int = MAX_REQUESTS) -> None:
        self.problem: StoreUnavailableError | None = None
        self._store = store
        self._max_bytes = max_bytes
        self._max_requests = max_requests
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._groups = self._requests = self._events = self._duplicates = self._refused = self._failed = 0

    def submit(self, request: IngestRequest) -> Future[Receipt]:
        """Queue *request*; the future has its receipt once it is durable.

        The future fails with ``StoreUnavailableError`` when the database fails, and with whatever
        ``request.build`` raises.

        Raises:
            StoreBusyError: Too much waits already.
            StoreError: The store is closed.
        """
        size = _BASE_SIZE + request.size + sum(len(chunk.body) for chunk in request.chunks)
        waiting = _Waiting(request, size, Future())
        with self._changed:
            if self._is_closed:
                raise StoreError("store-closed", "the store is closed", "expected an open one", "open it again")
            # One that is larger than the limit goes in when nothing else waits.
            if self._queue and (self._size + size > self._max_bytes or len(self._queue) >= self._max_requests):
                self._refused += 1
                raise StoreBusyError(len(self._queue), self._size)
            self._queue.append(waiting)
            self._size += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clew-writer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return waiting.future

    def stats(self) -> WriterStats:
        """Return what was done so far, and what waits."""
        with self._changed:
            return WriterStats(
                len(self._queue),
                self._size,
                self._groups,
                self._requests,
                self._events,
                self._duplicates,
                self._refused,
                self._failed,
            )

    def close(self) -> None:
        """Store what waits, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while group := self._take():
            try:
                self._store_group(group)
            except StoreUnavailableError as error:
                self._fail_all(group, error)
            except Exception as error:  # noqa: BLE001  told to whoever sent it
                # The thread must go on: without it the server takes nothing ever again.
                _log.exception("a group of requests could not be stored")
                self._fail(group, error)

    def _take(self) -> list[_Waiting]:
        """Wait for requests and take as many as fit one transaction; nothing: the writer is closed."""
        group: list[_Waiting] = []
        size = 0
        with self._changed:
            while not group:
                while not self._queue:
                    if self._is_closed:
                        return []
                    self._changed.wait()
                while self._queue and len(group) < GROUP_REQUESTS and (not group or size < GROUP_BYTES):
                    waiting = self._queue.popleft()
                    self._size -= waiting.size
                    # Whoever sent it may have gone.
                    if waiting.future.set_running_or_notify_cancel():
                        group.append(waiting)
                        size += waiting.size
        return group

    def _store_group(self, group: Sequence[_Waiting]) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                outcomes = self._try(group)
                break
            except PoolTimeoutError as error:
                raise StoreUnavailableError(self._store.catalog.shown, str(error)) from error
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) in _CONFLICTS and attempt < ATTEMPTS:
                    continue
                if not isinstance(error, (DataError, IntegrityError, ProgrammingError)):
                    raise unavailable(self._store.catalog.shown, error) from error
                if len(group) == 1:
                    raise
                # One of them is to blame: the others are stored without it.
                for waiting in group:
                    self._store_alone(waiting)
                return
        self.problem = None
        self._tell(group, outcomes)

    def _store_alone(self, waiting: _Waiting) -> None:
        try:
            self._store_group([waiting])
        except StoreUnavailableError as error:
            self._fail([waiting], error)
        except Exception as error:  # noqa: BLE001  told to whoever sent it
            _log.exception("a request could not be stored")
            self._fail([waiting], error)

    def _try(self, group: Sequence[_Waiting]) -> list[Receipt | Exception]:
        """Store the group in one transaction; return a receipt or an error for each request."""
        outcomes: list[Receipt | Exception] = []
        with self._store.write() as connection:
            batch = Batch(connection, [waiting.request for waiting in group], time.time_ns())
            for waiting in group:
                try:
                    outcomes.append(batch.add(waiting.request))
                except (DBAPIError, PoolTimeoutError):
                    raise
                except Exception as error:  # noqa: BLE001  of the request's own `build`
                    outcomes.append(error)
            batch.write()
        return outcomes

    def _tell(self, group: Sequence[_Waiting], outcomes: Sequence[Receipt | Exception]) -> None:
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        with self._changed:
            self._groups += 1
            self._requests += len(group)
            self._failed += len(group) - len(receipts)
            self._events += sum(receipt.accepted for receipt in receipts)
            self._duplicates += sum(receipt.duplicates for receipt in receipts)
        for waiting, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                waiting.future.set_result(outcome)
            else:
                waiting.future.set_exception(outcome)

    def _fail(self, group: Sequence[_Waiting], error: Exception) -> None:
        with self._changed:
            self._failed += len(group)
        for waiting in group:
            if not waiting.future.done():
                waiting.future.set_exception(error)

    def _fail_all(self, group: Sequence[_Waiting], error: StoreUnavailableError) -> None:
        """Fail what waits too: it would only wait for the same failure. The next request tries again."""
        self.problem = error
        with self._changed:
            rest = [waiting for waiting in self._queue if waiting.future.set_running_or_notify_cancel()]
            self._queue.clear()
            self._size = 0
        self._fail([*group, *rest], error)
