"""What a benchmark has to say, and docs/benchmarks.md made of it."""

from __future__ import annotations

import datetime
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
COMMAND = "make bench"


@dataclass(frozen=True)
class Table:
    """Rows under a heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Render it."""
        lines = [f"{self.caption}\n"] if self.caption else []
        lines += ["| " + " | ".join(self.head) + " |", "|" + "---|" * len(self.head)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines)


@dataclass(frozen=True)
class Target:
    """What is to be reached, and what was measured.

    Attributes:
        what: The figure.
        limit: Its target.
        value: What was measured.
        unit: Of both.
        because: Why it is missed, when it is.
        at_least: The target is a least value, not a greatest.
        digits: Behind the decimal point.
    """

    what: str
    limit: float
    value: float
    unit: str
    because: str = ""
    at_least: bool = False
    digits: int = 0

    @property
    def is_reached(self) -> bool:
        """Whether it is reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> tuple[str, str, str, str]:
        """Return what, target, measured and verdict."""
        sign = "≥" if self.at_least else "≤"
        if self.is_reached:
            verdict = "reached"
        else:
            short = abs(self.value - self.limit)
            verdict = f"missed by {short:,.{self.digits}f}{self.unit}"
            verdict += f" ({short / self.limit:.0%})" if self.limit else ""
            verdict += f": {self.because}" if self.because else ""
        limit, value = (f"{number:,.{self.digits}f}{self.unit}" for number in (self.limit, self.value))
        return self.what, f"{sign} {limit}", value, verdict


@dataclass(frozen=True)
class Section:
    """One benchmark.

    Attributes:
        title: Its question.
        method: What was run and how it was measured, fairness included.
        tables: What was measured, beside the peers.
        targets: What should have come out.
    """

    title: str
    method: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()

    def markdown(self) -> str:
        """Render it."""
        parts = [f"## {self.title}", self.method, *(table.markdown() for table in self.tables)]
        if self.targets:
            rows = [target.row() for target in self.targets]
            parts.append(Table("", ("target", "wanted", "measured", "verdict"), rows).markdown())
        return "\n\n".join(parts)


def document(sections: Sequence[Section], conditions: str) -> str:
    """Return the whole page.

    Args:
        sections: The benchmarks.
        conditions: Rounds, and versions of interpreters and peers.
    """
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    reached = sum(target.is_reached for section in sections for target in section.targets)
    number = sum(len(section.targets) for section in sections)
    head = f"""# Benchmarks

What clew costs, beside what others cost, in one run of `{COMMAND}`. This page is written by
`python -m benchmarks --write`; nothing on it is edited by hand.

- Date: {date}
- Machine: {machine()}
- {conditions}

Every case ran in a process of its own, in each round, and the cases took turns. Figures are medians over the rounds,
with the least and the greatest round in brackets. What something *costs* is the difference, within a round, to the same program
left alone. {reached} of {number} targets are reached."""
    return "\n\n".join([head, *(section.markdown() for section in sections)]) + "\n"


def updated(page: str, sections: Sequence[Section]) -> str:
    """Return the page with *sections* in the place of those of their titles; new ones stand at its end.

    Args:
        page: As ``document`` made it.
        sections: Measured later than the rest, on the same machine.
    """
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    head, *parts = page.rstrip().split("\n\n## ")
    by_title = {part.partition("\n")[0]: part for part in parts}
    for section in sections:
        title, _, rest = section.markdown().removeprefix("## ").partition("\n\n")
        by_title[title] = f"{title}\n\nMeasured by itself, {date}.\n\n{rest}"
    found = "\n\n## ".join([head, *by_title.values()]) + "\n"
    verdicts = _VERDICT.findall(found)
    counts = f"{verdicts.count('reached')} of {len(verdicts)} targets are reached"
    return _COUNTS.sub(counts, found, count=1)


_VERDICT = re.compile(r"^\| [^|]+ \| [≤≥] [^|]+ \| [^|]+ \| (reached|missed)", re.MULTILINE)
_COUNTS = re.compile(r"\d+ of \d+ targets are reached")


def machine() -> str:
    """Say in one line what the figures were measured on."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"
