"""``clew repair``: mend a recording whose process was killed or whose file was damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clew.format.repair import StreamRepair, repair

if TYPE_CHECKING:
    import argparse


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recording", metavar="RECORDING", help="a recording folder, or one stream of it")


def execute(args: argparse.Namespace) -> int:
    """Mend it and say what was kept, cut and saved."""
    for report in repair(args.recording):
        print(_describe(report))
    return 0


def _describe(report: StreamRepair) -> str:
    parts: list[str] = [f"{report.kept_events:,} events kept"]
    if report.saved_events:
        parts.append(f"{report.saved_events:,} saved from memory the process left behind")
    if report.cut_at is not None:
        parts.append(
            f"{report.cut_bytes:,} bytes cut at byte {report.cut_at:,}, the beginning of a chunk that was never finished"
        )
    parts += [f"a chunk at byte {error.offset:,} dropped: {error.found.partition(': ')[2]}" for error in report.damage]
    if len(parts) == 1:
        parts.append("nothing to mend")
    return f"{report.path.name}: " + "; ".join(parts)
