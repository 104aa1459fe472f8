"""What the worker processes do: all that needs the processor for long."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from pipeline.files import Record

ROUNDS = 200


def score(records: list[Record]) -> dict[str, int]:
    """Return how much each merchant got, once each payment has its fingerprint.

    Raises:
        ValueError: A payment is over nothing.
    """
    totals: dict[str, int] = {}
    for record in records:
        if record.cents == 0:
            raise ValueError(f"{record.merchant} was paid nothing")
        fingerprint = record.merchant.encode()
        for _ in range(ROUNDS):
            fingerprint = hashlib.sha256(fingerprint).digest()
        totals[record.merchant] = totals.get(record.merchant, 0) + record.cents
    return totals


def archive(path: Path, records: list[Record]) -> None:
    """Keep a compressed copy of the payments.

    Raises:
        OverflowError: An amount does not fit into four bytes without a sign.
    """
    amounts = b"".join(record.cents.to_bytes(4, "big") for record in records)  # expect: unhandled-error/raised
    path.write_bytes(gzip.compress(amounts))
