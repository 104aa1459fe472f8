"""Whose code is it: the user's, an installed library's, or Python's."""

from __future__ import annotations

import dataclasses
import os
import sys

import pytest

from clew.probe import sites

COMMAND = "import sys\nfrom datasette.cli import cli\nif __name__ == '__main__':\n    sys.exit(cli())\n"
"""What pip writes for a console script."""


@pytest.mark.parametrize("folder", [os.path.join(sys.prefix, "bin"), os.path.dirname(sys.executable)])
def test_the_command_of_an_installed_package_is_no_user_code(folder):
    """What a library does is not said to happen in the two lines that start it."""
    code = compile(COMMAND, os.path.join(folder, "datasette"), "exec")

    assert sites.tier_of(code) == sites.LIBRARY


def test_a_command_that_is_named_relative_to_the_working_folder_is_known_too(monkeypatch):
    """Python keeps the name that was typed."""
    monkeypatch.chdir(sys.prefix)
    code = compile(COMMAND, os.path.join("bin", "datasette"), "exec")

    assert sites.tier_of(code) == sites.LIBRARY


def test_a_program_beside_the_commands_is_user_code():
    """It defines what it does."""
    code = compile("def main():\n    pass\n\nmain()\n", os.path.join(sys.prefix, "bin", "report"), "exec")

    assert sites.tier_of(code) == sites.USER


def test_the_same_lines_elsewhere_are_user_code():
    """A script of the user's own may look like a command."""
    code = compile(COMMAND, "/home/me/bin/serve.py", "exec")

    assert sites.tier_of(code) == sites.USER


def test_what_dataclass_wrote_is_no_user_code():
    """The user's line is the one that uses it."""

    @dataclasses.dataclass(frozen=True)
    class Point:
        x: int

    assert sites.tier_of(Point.__setattr__.__code__) == sites.HIDDEN
    assert sites.tier_of(Point.__init__.__code__) == sites.HIDDEN
