"""Run cases in turn, round by round, and keep what every round measured.

A case is a program started anew in every round; the rounds are interleaved (A B C A B C),
so that a drift of the machine's speed meets every case alike. Costs are differences within
a round, between the case and the same program left alone. A program prints one JSON object
of figures as its last line of output.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clew.format.reader import open_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        is_quick: Small sizes and few rounds: shows that everything runs, and little more.
        progress: Told what is being run.
    """

    is_quick: bool
    progress: Callable[[str], None]

    @property
    def rounds(self) -> int:
        """How often each case runs."""
        return 2 if self.is_quick else 5

    def size(self, full: int, quick: int) -> int:
        """Choose between two sizes."""
        return quick if self.is_quick else full


@dataclass(frozen=True)
class Case:
    """One way to run a program.

    Attributes:
        name: What the tables call it.
        program: File in ``programs/``.
        arguments: For the program; ``{folder}`` stands for a temporary folder.
        clew: Options of ``clew run``, if the program is to be recorded by it.
        python: The interpreter.
    """

    name: str
    program: str
    arguments: Sequence[str] = ()
    clew: Sequence[str] | None = None
    python: str = sys.executable

    def run(self) -> dict[str, float]:
        """Run it once and return what it measured.

        Beside the program's own figures: ``cpu_s``, the CPU time of all processes, and of a
        recorded program ``events``, ``dropped`` and ``bytes`` (on disk).
        """
        with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
            command = [self.python]
            if self.clew is not None:
                command += ["-m", "clew", "run", "--quiet", "-o", f"{folder}/r.clew", *self.clew]
            command += [str(PROGRAMS / self.program), *(part.replace("{folder}", folder) for part in self.arguments)]
            figures, cpu_s = run_json(command, folder)
            figures["cpu_s"] = cpu_s
            if self.clew is not None:
                figures |= totals(Path(folder, "r.clew"))
            return figures


def run_json(command: Sequence[str], folder: str) -> tuple[dict[str, float], float]:
    """Run *command*; return the JSON object it printed last, and the CPU seconds it took.

    Raises:
        RuntimeError: It failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environ(), check=False, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr[-2000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.strip().splitlines()[-1]), cpu_s


def clean_environ() -> dict[str, str]:
    """Return the environment without settings of clew's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}


def totals(folder: Path) -> dict[str, float]:
    """Count what a recording holds, lost and weighs."""
    ends = [stream.end or {} for stream in open_recording(folder).streams]
    return {
        "events": sum(end.get("events", 0) for end in ends),
        "dropped": sum(end.get("dropped", 0) + end.get("not_written", 0) for end in ends),
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    }


@dataclass(frozen=True)
class Values:
    """One figure, measured in several rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)

    def __sub__(self, other: Values) -> Values:
        return Values(tuple(a - b for a, b in zip(self.rounds, other.rounds, strict=True)))

    def __truediv__(self, other: Values | float) -> Values:
        if isinstance(other, Values):
            return Values(tuple(a / b for a, b in zip(self.rounds, other.rounds, strict=True)))
        return Values(tuple(a / other for a in self.rounds))

    def text(self, digits: int = 0, unit: str = "") -> str:
        """Write the median, and the least and greatest round in brackets."""
        low, high = min(self.rounds), max(self.rounds)
        return f"{self.median:,.{digits}f}{unit} ({low:,.{digits}f} to {high:,.{digits}f})"


@dataclass(frozen=True)
class Figures:
    """What the rounds of one case measured."""

    name: str
    values: dict[str, list[float]] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Values:
        return Values(tuple(self.values[key]))

    def __contains__(self, key: str) -> bool:
        return key in self.values


def interleave(cases: Sequence[Case], plan: Plan, rounds: int = 0) -> dict[str, Figures]:
    """Run every case once a round; return the figures by case name."""
    return interleave_calls({case.name: case.run for case in cases}, plan, rounds)


def interleave_calls(
    calls: Mapping[str, Callable[[], Mapping[str, float]]], plan: Plan, rounds: int = 0
) -> dict[str, Figures]:
    """Call each of *calls* once a round; return the figures by name.

    The round begins with another one each time: who runs right after whom is part of the noise.
    """
    collected = {name: Figures(name) for name in calls}
    names = list(calls)
    rounds = rounds or plan.rounds
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            plan.progress(f"round {number + 1}/{rounds}: {name}")
            for key, value in calls[name]().items():
                collected[name].values.setdefault(key, []).append(value)
    return collected
