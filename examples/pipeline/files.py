"""The payment files of one night: what the card network would have sent."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

FILES = 6
LINES = 400
BATCH = 50
"""Lines that go through the pipeline together."""

SPOILT_EVERY = 97
REFUND_AT = (2, 120)
EMPTY_AT = (4, 310)
"""File and line of the one refund (below 0) and the one payment over nothing."""


@dataclass(frozen=True)
class Record:
    """One payment."""

    merchant: str
    cents: int


def make_files(folder: Path, seed: int) -> list[Path]:
    """Write the files of one night; every 97th line is spoilt."""
    source = random.Random(seed)
    paths: list[Path] = []
    for number in range(FILES):
        lines: list[str] = []
        for line in range(LINES):
            cents = source.randint(100, 9_999)
            if (number, line) == REFUND_AT:
                cents = -cents
            if (number, line) == EMPTY_AT:
                cents = 0
            amount = "n/a" if line % SPOILT_EVERY == SPOILT_EVERY - 1 else str(cents)
            lines.append(f"merchant-{source.randint(1, 9)},{amount}\n")
        path = folder / f"payments-{number}.csv"
        path.write_text("".join(lines))
        paths.append(path)
    return paths


def parse(lines: list[str]) -> tuple[list[Record], int]:
    """Return the payments that *lines* tell, and how many lines are spoilt."""
    records: list[Record] = []
    for line in lines:
        merchant, amount = line.rstrip().split(",")
        if amount.removeprefix("-").isdigit():
            records.append(Record(merchant, int(amount)))
    return records, len(lines) - len(records)
