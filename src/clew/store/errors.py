"""Errors of the store: what a caller can wait for, and what an operator must mend."""

from __future__ import annotations

from clew.model.errors import ClewError


class StoreError(ClewError):
    """The store was asked for something it cannot do, or holds something it cannot read."""


class StoreUnavailableError(StoreError):
    """The database or the place of the blobs is away, or full; the same request may go through later.

    Args:
        where: What is away, without passwords.
        problem: What its client said.
    """

    retry_after_s = 5

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            "store-unavailable",
            f"{where} does not answer ({problem})",
            "expected a store that can be written to",
            "nothing of the request was kept: send it again when the store is back",
        )


class StoreBusyError(StoreError):
    """More waits to be written than the store holds in memory; the same request may go through later.

    Args:
        requests: How many requests wait.
        size: Bytes in them.
        retry_after_s: When there is likely to be room.
    """

    def __init__(self, requests: int, size: int, *, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            "store-busy",
            f"{requests} requests of {size:,} bytes wait to be written",
            "expected room for one more",
            f"nothing of the request was kept: send it again in {retry_after_s} s",
        )
