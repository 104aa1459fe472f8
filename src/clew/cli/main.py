"""The ``clew`` command: finds the subcommand, runs it, turns errors into one line."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NoReturn, Protocol

from clew import __version__
from clew.model.errors import ClewError
from clew.model.garbage import uncollected

EXIT_ERROR = 2

COMMANDS = {
    "run": "run a program and record it",
    "show": "say what a recording holds",
    "ui": "open a recording in the browser",
    "serve": "keep recordings of several programs, and show them",
    "worker": "index and compact what a server stores",
    "sql": "query a recording with SQL",
    "export": "convert a recording for another program",
    "import": "make a recording from another program's file",
    "push": "send a recording to a server",
    "repair": "mend a damaged or cut recording",
    "demo": "record the bundled example and show it",
}

STAYING = ("run", "demo", "push", "serve", "ui", "worker")
"""Commands that live long: as long as the program they watch, or until they are told to end."""


class Command(Protocol):
    """A module of this package: one subcommand."""

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        ...

    def execute(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""
        ...


class _Parser(argparse.ArgumentParser):
    """Reports misuse in clew's one error shape."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(
            f"clew: {message}; expected: {self.format_usage().removeprefix('usage: ').strip()}; see '{self.prog} --help' [usage]\n"
        )
        raise SystemExit(EXIT_ERROR)


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the options of *command* are filled in, which keeps it quick."""
    parser = _Parser(
        prog="clew",
        description="A causal debugger for async, threaded, distributed and agentic Python.",
        epilog="Start with: clew run app.py",
    )
    parser.add_argument("--version", action="version", version=f"clew {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, summary in COMMANDS.items():
        sub = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == command:
            load(name).prepare(sub)
    return parser


def load(name: str) -> Command:
    """Import the module of a subcommand."""
    module: Any = import_module(f"clew.cli.{name}_" if name == "import" else f"clew.cli.{name}")
    return module


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv*; return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    command = next((argument for argument in argv if not argument.startswith("-")), None)
    args = argparse.Namespace(command=command, debug=False)
    try:
        parser = build_parser(command)
        args = parser.parse_args(argv)
        if args.command is None:
            parser.print_help()
            return 0
        # A command reads much and ends; a third of its time would go into looking for garbage.
        with nullcontext() if args.command in STAYING else uncollected():
            return load(args.command).execute(args)
    except ClewError as error:
        if args.debug:
            raise
        place = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        sys.stderr.write(f"clew: {error}{place}\n")
        return EXIT_ERROR
    except ModuleNotFoundError as error:
        if args.debug or (error.name or "").startswith("clew"):
            raise
        sys.stderr.write(
            f"clew: 'clew {args.command}' needs the package {error.name!r}, which is not installed; "
            "expected the extra 'all'; install it with: pip install 'clew[all]' [missing-extra]\n"
        )
        return EXIT_ERROR
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
