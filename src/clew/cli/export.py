"""``clew export``: convert a recording for another program."""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from clew.cli.progress import Progress
from clew.format.reader import RECORDING_SUFFIX, open_recording
from clew.model.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Iterator

    from clew.format.reader import Recording

SUFFIXES = {"perfetto": ".perfetto.json", "speedscope": ".speedscope.json", "jsonl": ".jsonl"}
"""The formats, and what is added to the recording's name for the default output."""
VIEWERS = {
    "perfetto": "open it at https://ui.perfetto.dev (your browser reads it; nothing is uploaded)",
    "speedscope": "open it at https://www.speedscope.app (your browser reads it; nothing is uploaded)",
    "jsonl": "read it back with: clew import {output} --format jsonl -o NAME.clew",
}
STDOUT = "-"


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recording", metavar="RECORDING", help="recording folder, or one stream of it")
    parser.add_argument("--format", required=True, choices=list(SUFFIXES), help="for which program")
    parser.add_argument(
        "-o", "--output", metavar="OUT",
        help="file to write, compressed if it ends in .gz; - for stdout (default: NAME.FORMAT here)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="say what was written as one JSON document")


def execute(args: argparse.Namespace) -> int:
    """Convert; return the exit code."""
    recording = open_recording(args.recording)
    if args.json and args.output == STDOUT:
        raise UsageError(
            "usage",
            "--json and -o - both want stdout",
            "expected one of them",
            "name a file with -o, or leave out --json",
        )
    output = args.output or _default_name(recording) + SUFFIXES[args.format]
    for stream in recording.streams:
        if stream.cut is not None:
            sys.stderr.write(f"clew: {stream.path.name}: {stream.cut}\n")
    about: dict[str, Any] = {"schema": "clew.export/1", "format": args.format, "output": output}
    with _opened(output) as file, Progress(_total(recording, args.format), "exporting") as progress:
        about["bytes"] = _write(file, _pieces(recording, args.format, progress, about))
    about["events"] = sum(len(stream.data) for stream in recording.streams)
    about["processes"] = len(recording.streams)
    if args.json:
        print(json.dumps(about))
    elif output != STDOUT:
        viewer = VIEWERS[args.format].format(output=output)
        print(
            f"{output}: {about['events']:,} events of {about['processes']} process(es), {about['bytes']:,} bytes\n{viewer}"
        )
    return 0


def _default_name(recording: Recording) -> str:
    path = recording.path.absolute()
    return path.name.removesuffix(RECORDING_SUFFIX) if path.is_dir() else path.stem


def _total(recording: Recording, format_name: str) -> int:
    """Return what the progress counts, where that is known beforehand."""
    return (
        sum(header.events for stream in recording.streams for header in stream.headers) if format_name == "jsonl" else 0
    )


def _pieces(
    recording: Recording, format_name: str, progress: Callable[[int], None], about: dict[str, Any]
) -> Iterator[str]:
    # Only what is asked for is imported: JSON lines need nothing but the standard library.
    if format_name == "jsonl":
        from clew.convert.jsonl import lines_of

        return lines_of(recording, progress)
    if format_name == "perfetto":
        from clew.convert.perfetto import trace_of

        return trace_of(recording, progress)
    from clew.convert.speedscope import STEPS, profiles_of, source_of

    about["source"] = source_of(recording)
    if about["source"] == STEPS:
        sys.stderr.write(
            "clew: the recording holds no function calls and no samples; expected those for a flame graph of functions; "
            "the profiles show steps and spans instead, record with --calls for more [no-calls]\n"
        )
    else:
        sys.stderr.write(f"clew: the profiles are made of the recorded {about['source']}\n")
    return profiles_of(recording, progress)


def _write(file: IO[bytes], pieces: Iterator[str]) -> int:
    """Write *pieces*; return how many bytes they are before compression."""
    size = 0
    for piece in pieces:
        # A name may hold half a surrogate pair; written like this it is JSON all the same.
        data = piece.encode("utf-8", "backslashreplace")
        file.write(data)
        size += len(data)
    return size


@contextmanager
def _opened(output: str) -> Generator[IO[bytes]]:
    """Open the output; a file appears whole or not at all, an older one of its name is replaced."""
    if output == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if path.is_dir():
        raise UsageError(
            "output-exists", f"{path} is a folder", "expected the name of a file", "choose another with -o"
        )
    partial = ""
    try:
        number, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(number, "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield file
        Path(partial).replace(path)
        partial = ""
    except OSError as error:
        raise UsageError(
            "output-not-writable",
            f"{path} cannot be written ({error.strerror or error})",
            "expected a place that can be written to",
            "choose another with -o",
        ) from None
    finally:
        if partial:
            Path(partial).unlink(missing_ok=True)
