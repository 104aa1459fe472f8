"""Run cases in turn, round by round, and report medians.

A case is a program started anew in every round; the rounds are interleaved (A B C A B C),
so that a drift of the machine's speed meets every case alike. A program prints one JSON
object of figures as its last line of output.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Case:
    """One way to run a program.

    Attributes:
        name: What the table calls it.
        program: File in ``programs/``.
        arguments: For the program.
        runner: What stands before the program, e.g. ``clew run`` with options; by default
            this interpreter.
        environ: Further environment variables.
    """

    name: str
    program: str
    arguments: Sequence[str] = ()
    runner: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self) -> dict[str, float]:
        """Run it once and return what it measured."""
        with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
            command = [part.replace("{folder}", folder) for part in (self.runner or [sys.executable])]
            environ = {k: v for k, v in os.environ.items() if not k.startswith("CLEW")} | dict(self.environ)
            done = subprocess.run(
                [*command, str(PROGRAMS / self.program), *self.arguments],
                capture_output=True,
                text=True,
                env=environ,
                check=False,
                cwd=folder,
            )
            if done.returncode:
                raise RuntimeError(f"{self.name} failed: {done.stderr[-2000:]}")
            return json.loads(done.stdout.strip().splitlines()[-1])


def clew_run(*options: str) -> tuple[str, ...]:
    """Return the runner that records a program into a temporary folder."""
    return (sys.executable, "-m", "clew", "run", "--quiet", "-o", "{folder}/r.clew", *options)


@dataclass(frozen=True)
class Figures:
    """What the rounds of one case measured."""

    name: str
    values: dict[str, list[float]]

    def median(self, key: str) -> float:
        """The median over the rounds."""
        return statistics.median(self.values[key])

    def spread(self, key: str) -> str:
        """Smallest and largest, for a sense of the noise."""
        return f"{min(self.values[key]):,.0f}–{max(self.values[key]):,.0f}"


def interleave(cases: Sequence[Case], rounds: int, progress: Callable[[str], None]) -> dict[str, Figures]:
    """Run every case once a round; return the figures by case name."""
    values: dict[str, dict[str, list[float]]] = {case.name: {} for case in cases}
    for number in range(rounds):
        for case in cases:
            progress(f"round {number + 1}/{rounds}: {case.name}")
            for key, value in case.run().items():
                values[case.name].setdefault(key, []).append(value)
    return {name: Figures(name, collected) for name, collected in values.items()}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def machine() -> str:
    """Say in one line what the figures were measured on."""
    model = "unknown processor"
    with Path("/proc/cpuinfo").open() as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}, CPython {platform.python_version()}"
