"""What a process is called that nobody gave a name."""

from __future__ import annotations

import sys

import pytest

from clew.probe.session import default_service


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["shop/app.py", "-m", "x"], "app"),
        (["/usr/bin/datasette", "serve"], "datasette"),
        (["-m", "http.server", "80"], "http.server"),
        (["-B", "-Im", "http.server"], "http.server"),
        (["-mhttp.server"], "http.server"),
        (["-c", "print()"], "python -c"),
        (["-Ic", "print()"], "python -c"),
        (["-X", "faulthandler", "-I", "-c", "print()"], "python -c"),
        (["-Xdev", "-Wm", "-W", "ignore", "app.py"], "app"),
        (["--check-hash-based-pycs", "always", "app.py"], "app"),
        (["-"], "python"),
        (["-i"], "python"),
        (["-m"], "python"),
        ([], "python"),
    ],
)
def test_a_process_is_called_after_the_script_or_module_that_runs(monkeypatch, arguments, name):
    """Options of the interpreter, and their values, are neither."""
    monkeypatch.setattr(sys, "orig_argv", ["python3", *arguments])

    assert default_service() == name
