"""Receipts by e-mail, sent in the background so that the customer need not wait."""

from __future__ import annotations

import asyncio
import logging

ADDRESSES = {"alice": "alice@example.com", "bob": "bob@example.com"}

log = logging.getLogger(__name__)


class Receipts:
    """The receipts of one day.

    Attributes:
        sent: Who got one.
        failed: Who did not, as far as we know.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.failed: list[str] = []
        self.running: set[asyncio.Task[None]] = set()

    async def send(self, owner: str) -> None:
        """Send *owner* a receipt."""
        await asyncio.sleep(0.01)
        address = ADDRESSES[owner]  # expect: unhandled-error/raised
        log.info("receipt for %s", address)
        self.sent.append(owner)

    def post(self, owner: str) -> None:
        """Send *owner* a receipt, soon."""
        task = asyncio.create_task(self.send(owner), name=f"receipt-{owner}")  # expect: unhandled-error/task
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def post_checked(self, owner: str) -> None:
        """Send *owner* a receipt, soon, and note if that fails."""
        task = asyncio.create_task(self.send(owner), name=f"checked-{owner}")  # expect: no unhandled-error/task
        self.running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if not task.cancelled() and task.exception():
            owner = task.get_name().removeprefix("checked-")
            log.warning("no receipt for %s: %r", owner, task.exception())
            self.failed.append(owner)
