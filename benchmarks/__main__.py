"""Measure what clew costs, beside the named peers.

Usage: python -m benchmarks [NAME…] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import traceback
from importlib import import_module
from importlib.metadata import version

from benchmarks.harness import Plan
from benchmarks.peers import PEERS, missing_peers
from benchmarks.report import DOCUMENT, document, machine, updated

NAMES = ("imports", "steps", "sync", "calls", "web", "size", "read", "ingest", "kills", "store", "timeline", "page")


def main() -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure clew beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small and few: to see that everything runs")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, or the sections that are named")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(NAMES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    if args.write and args.quick:
        parser.error("--write takes no --quick: the page holds real figures")
    if missing_peers():
        parser.error(f"not installed: {', '.join(missing_peers())}; run `make bench`, which installs them")
    started = time.monotonic()
    progress = _Progress(started)
    plan = Plan(is_quick=args.quick, progress=progress)
    sections = []
    failed: list[str] = []
    for name in args.names or NAMES:
        progress.name = name
        try:
            sections.append(import_module(f"benchmarks.suite.{name}").measure(plan))
        except Exception:  # noqa: BLE001  the others took minutes: what they found is kept
            traceback.print_exc()
            failed.append(name)
            continue
        progress("")
        if not args.write:
            print(sections[-1].markdown(), end="\n\n", flush=True)
    rounds = f"Rounds: {plan.rounds}, if nothing else is said" + (
        " (quick: sizes are too small to judge by)" * args.quick
    )
    if failed:
        rounds += f". Not measured, because it failed: {', '.join(failed)}"
    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    conditions = (
        f"{rounds}\n- Python {platform.python_version()}, if nothing else is said; clew {version('clew')}, {peers}"
    )
    if args.write:
        page = updated(DOCUMENT.read_text(), sections) if args.names else document(sections, conditions)
        DOCUMENT.write_text(page)
        print(f"wrote docs/{DOCUMENT.name}")
    else:
        print(f"- Machine: {machine()}\n- {conditions}\n- Took {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


class _Progress:
    """Says on stderr what is being run: one line that is overwritten on a terminal."""

    def __init__(self, started: float) -> None:
        self.name = ""
        self._started = started

    def __call__(self, text: str) -> None:
        line = f"{time.monotonic() - self._started:4.0f} s  {self.name}: {text}" if text else ""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}")
        elif line:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
