"""``clew import``: make a recording from another program's file."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from clew.cli.progress import Progress
from clew.convert.jsonl_import import read_lines
from clew.convert.recording_writer import RecordingWriter
from clew.model.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from clew.convert.recording_writer import StreamContent

STDIN = "-"


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", help="what to read, also if it is compressed (.gz); - for stdin")
    parser.add_argument("--format", required=True, choices=["jsonl"], help="what the file holds")
    parser.add_argument("-o", "--output", required=True, metavar="RECORDING", help="folder to make")
    parser.add_argument("--json", action="store_true", help="say what was made as one JSON document")


def execute(args: argparse.Namespace) -> int:
    """Convert; return the exit code."""
    with RecordingWriter(Path(args.output)) as writer:
        streams = _read(args.file)
        for content in streams:
            writer.write(content)
    about: dict[str, Any] = {
        "schema": "clew.import/1",
        "recording": args.output,
        "events": sum(len(content.columns["seq"]) for content in streams),
        "processes": len(streams),
    }
    if args.json:
        print(json.dumps(about))
    else:
        print(f"{args.output}: {about['events']:,} events of {about['processes']} process(es)")
        print(f"next: clew show {args.output}")
    return 0


def _read(name: str) -> list[StreamContent]:
    if name == STDIN:
        return read_lines(sys.stdin.buffer)
    path = Path(name)
    try:
        with path.open("rb") as file, Progress(path.stat().st_size, "importing") as progress:
            if path.suffix == ".gz":
                return read_lines(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))
            return read_lines(file, progress)
    except (OSError, EOFError) as error:  # also what is not gzip, or ends in the middle
        raise UsageError(
            "no-input",
            f"{name} cannot be read ({getattr(error, 'strerror', None) or error})",
            "expected a file that can be read",
            "check the path",
        ) from None
