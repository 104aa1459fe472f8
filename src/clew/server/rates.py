"""How often a client may ask: a bucket of tokens for each."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

MAX_CLIENTS = 10_000
"""Clients remembered; one that was forgotten begins with a full bucket."""


class Rates:
    """Counts requests by client.

    Args:
        per_s: Tokens that come back each second.
        burst: Tokens a bucket holds.

    Thread safety: to be used from the server's event loop only.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now: float | None = None) -> int:
        """Take one token of *client*.

        Args:
            client: Who asks.
            now: Seconds of a monotonic clock.

        Returns:
            0, or after how many whole seconds there will be one.
        """
        now = time.monotonic() if now is None else now
        tokens, at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        wait = 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / self._per_s))
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return wait
