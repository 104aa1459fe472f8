"""``clew demo``: record the bundled bank and its planted bugs, show the recording, serve the page on it.

It types the commands a user would type, and shows them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import clew
from clew.cli import run
from clew.cli.main import load
from clew.model.errors import UsageError
from clew.probe.startup import new_folder

if TYPE_CHECKING:
    from clew.cli.main import Command

DEPENDENCIES = ("httpx", "starlette", "uvicorn")
"""What the bank is written with: the extra ``demo``."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--no-serve", action="store_true", help="end after the answers, without the page")
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help="of the page; by default any free one")


def execute(args: argparse.Namespace) -> int:
    """Record the bank, show the recording, say what to type next, serve the page until it is ended."""
    missing = [name for name in DEPENDENCIES if find_spec(name) is None]
    if missing:
        raise UsageError(
            "missing-extra",
            f"'clew demo' needs {_listed(missing)}, not installed for {sys.executable}",
            "expected the extra 'demo'",
            "install it with: pip install 'clew[demo]'",
        )
    recording = _new_recording()
    program = _shown(find_bank(recording.parent))
    shown = _shown(recording)
    _type("clew run", program)
    status = _call(run, "-o", shown, program)
    if status:
        return status
    if find_spec("clew.cli.show") is not None:
        _type("clew show", shown)
        _call(load("show"), shown)
    _say(
        "",
        "The lines marked WRONG are planted bugs; each stands beside a healthy look-alike.",
        f"  what is planted, and where:  {program}/expected.json",
        "Next:",
        f'  clew sql {shown} "select kind, count(*) from events group by kind"',
        f"  clew export {shown} --format perfetto",
        f"  clew run {program} --scenario transfers",
    )
    if args.no_serve:
        _say(f"  clew ui {shown}")
        return 0
    _type("clew ui", shown)
    return _call(load("ui"), "--port", str(args.port), shown)


def find_bank(folder: Path) -> Path:
    """Return the folder of the bank's program.

    In a checkout that is ``examples/bank``. An installed clew carries a copy among its
    own files, which counts as library code, so that a recording of it would not name its
    lines; it is copied below *folder* first, where it can also be edited. A copy that is
    there already is left as it is.
    """
    package = Path(clew.__file__).resolve().parent
    checkout = package.parent.parent / "examples" / "bank"
    if (checkout / "__main__.py").is_file():
        return checkout
    copy = folder / f"demo-{clew.__version__}" / "bank"
    if not copy.is_dir():
        shutil.copytree(package / "_examples" / "bank", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _new_recording() -> Path:
    try:
        return Path(new_folder("bank"))
    except OSError as error:
        raise UsageError(
            "output-not-writable", str(error), "expected a place for the recording", "change into another folder"
        ) from None


def _call(command: Command, *argv: str) -> int:
    """Do what ``clew COMMAND argv…`` does."""
    parser = argparse.ArgumentParser()
    command.prepare(parser)
    return command.execute(parser.parse_args(argv))


def _type(*words: str) -> None:
    _say("", f"$ {' '.join(words)}", "")


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()  # the program writes to the same terminal


def _shown(path: Path) -> str:
    """Return *path* as a user would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
