"""Run CPython's own tests plain and under ``clew run``, and say which differ: what ``make transparency`` does.

A program must not notice that it is recorded. CPython's tests of what clew hooks know more ways
to notice than we can think of. Each module is run once without and once with clew, by the same
interpreter; a test that ends otherwise is run again on both sides, since some of them depend on
how loaded the machine is.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from clew.format.reader import open_recording
from clew.model.errors import ClewError

MODULES = (
    "test_asyncio",
    "test_threading",
    "test_queue",
    "test_concurrent_futures",
    "test_subprocess",
    "test_logging",
)
AGAIN = 3
"""How often a test that differs is run again on each side."""
TOO_LONG_S = 1200
WHOLE = "(as a whole)"
"""In place of a test's name: how the run of the module ended."""


@dataclass
class Side:
    """One run of a module, plain or recorded.

    Attributes:
        outcomes: ``passed``, ``failed``, ``error`` or ``skipped`` by name of the test.
        reasons: The last line of what a test that did not pass said.
        complaints: What clew says went wrong in itself.
    """

    outcomes: dict[str, str]
    reasons: dict[str, str]
    seconds: float
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """A test that ended differently."""

    test: str
    plain: str
    recorded: str
    reason: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.test}: {self.plain} plain, {self.recorded} recorded" + (
            f": {self.reason}" if self.reason else ""
        )


def main() -> int:
    """Compare; return 1 if a difference stays or clew failed."""
    parser = argparse.ArgumentParser(description="CPython's own tests, plain and under `clew run`: which differ?")
    parser.add_argument("modules", nargs="*", metavar="MODULE", default=MODULES, help=f"default: {' '.join(MODULES)}")
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="an interpreter with clew installed, such as .venv-3.13/bin/python (default: this one)",
    )
    parser.add_argument(
        "--options", default="", help="options for `clew run`, such as --options='--calls --watch test'"
    )
    parser.add_argument("--logs", type=Path, help="keep output and recordings in this folder")
    args = parser.parse_args()
    # Not resolved: the interpreter of a virtual environment is a link.
    python, options = str(Path(args.python).absolute()), args.options.split()
    different = False
    with tempfile.TemporaryDirectory(prefix="clew-transparency-") as temporary:
        logs = args.logs or Path(temporary)
        logs.mkdir(parents=True, exist_ok=True)
        for module in args.modules:
            different |= compare_module(python, options, module, logs)
    return int(different)


def compare_module(python: str, options: list[str], module: str, logs: Path) -> bool:
    """Run *module* on both sides and print what differs; return whether something does."""
    plain = run_plain(python, module, logs)
    if len(plain.outcomes) == 1:
        print(f"{module}: not compared: this Python has no such tests, or they do not start", flush=True)
        return False
    recorded = run_recorded(python, options, module, logs)
    found = differences(plain, recorded)
    lasting = [difference for difference in found if not is_chance(difference, python, options, module, logs)]
    print(
        f"{module}: {len(plain.outcomes) - 1} tests, {plain.seconds:.0f} s plain, {recorded.seconds:.0f} s recorded, "
        + (f"{len(lasting)} differ" if lasting else "no difference")
        + (f", {len(found) - len(lasting)} differed by chance" if len(found) > len(lasting) else ""),
        flush=True,
    )
    for line in [*lasting, *recorded.complaints]:
        print(f"  {line}", flush=True)
    return bool(lasting or recorded.complaints)


def differences(plain: Side, recorded: Side) -> list[Difference]:
    """List the tests that ended differently, by name."""
    names = sorted({*plain.outcomes, *recorded.outcomes})
    return [
        Difference(
            name,
            plain.outcomes.get(name, "not run"),
            recorded.outcomes.get(name, "not run"),
            recorded.reasons.get(name) or plain.reasons.get(name, ""),
        )
        for name in names
        if plain.outcomes.get(name) != recorded.outcomes.get(name)
    ]


def is_chance(difference: Difference, python: str, options: list[str], module: str, logs: Path) -> bool:
    """Run a test that differed again, alone: tell whether both sides can end in the same way."""
    if difference.test == WHOLE:
        return False
    seen: tuple[set[str], set[str]] = ({difference.plain}, {difference.recorded})
    for _ in range(AGAIN):
        sides = (
            run_plain(python, module, logs, difference.test),
            run_recorded(python, options, module, logs, difference.test),
        )
        for known, side in zip(seen, sides, strict=True):
            known.add(side.outcomes.get(difference.test, "not run"))
        if seen[0] == seen[1] or "passed" in seen[1]:
            return True
    return False


def run_plain(python: str, module: str, logs: Path, test: str = "") -> Side:
    """Run tests without clew."""
    return run([python], module, logs / f"{module}-plain", test)


def run_recorded(python: str, options: list[str], module: str, logs: Path, test: str = "") -> Side:
    """Run tests under ``clew run``."""
    number = len(list(logs.glob(f"{module}*.clew")))
    recording = logs / f"{module}-{number}.clew"
    side = run([python, "-m", "clew", "run", "-o", str(recording), *options], module, logs / f"{module}-recorded", test)
    side.complaints += complaints_of(recording)
    return side


def run(command: list[str], module: str, log: Path, test: str) -> Side:
    """Run one module, or one test of it, with CPython's own runner."""
    results = log.with_suffix(".xml")
    results.unlink(missing_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
    arguments = ["-m", "test", "-v", "--junit-xml", str(results.absolute()), *(("-m", test) if test else ()), module]
    started = time.monotonic()
    with log.with_suffix(".txt").open("w") as output:
        # A group of its own: what a test leaves behind when it hangs ends with it.
        process = subprocess.Popen(
            [*command, *arguments], stdout=output, stderr=output, env=environ, start_new_session=True
        )
        try:
            code: int | str = process.wait(TOO_LONG_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = f"hung for {TOO_LONG_S} s"
    outcomes, reasons = read_results(results.read_text()) if results.exists() else ({}, {})
    outcomes[WHOLE] = f"exit {code}"
    return Side(outcomes, reasons, time.monotonic() - started)


def read_results(xml: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return how each test ended, and the last line of what those said that did not pass.

    Args:
        xml: In JUnit's format, as CPython's runner writes it.
    """
    outcomes: dict[str, str] = {}
    reasons: dict[str, str] = {}
    kinds = {"failure": "failed", "error": "error", "skipped": "skipped"}
    for case in ET.fromstring(xml).iter("testcase"):
        name = case.get("name", "")
        found = next((child for child in case if child.tag in kinds), None)
        outcomes[name] = "passed" if found is None else kinds[found.tag]
        if found is not None:
            said = (found.text or found.get("message") or "").strip().splitlines()
            reasons[name] = said[-1] if said else ""
    return outcomes, reasons


def complaints_of(path: Path) -> list[str]:
    """Return which hooks failed while *path* was recorded."""
    try:
        streams = open_recording(path).streams
    except ClewError as error:
        return [str(error)]
    problems = {
        f"clew: hook {name} was switched off: {problem}"
        for stream in streams
        for name, problem in (stream.end or {}).get("problems", {}).items()
    }
    return sorted(problems)


if __name__ == "__main__":
    sys.exit(main())
