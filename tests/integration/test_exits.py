"""How a program ends: as without clew, with everything it recorded until then kept."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from clew.format.reader import open_recording

PREFIX = """
    import clew, os, sys
    for n in range(100):
        clew.event("custom", n=n)
    print("out", flush=True)
    print("err", file=sys.stderr, flush=True)
"""
ENDINGS = {
    "falls off the end": "",
    "sys.exit(3)": "sys.exit(3)",
    "sys.exit with a message": "sys.exit('no more')",
    "uncaught exception": "{}['missing']",
    "uncaught exception with a cause": """
try:
    {}['missing']
except KeyError as error:
    raise ValueError('worse') from error""",
    "uncaught group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "os._exit(4)": "os._exit(4)",
    "os.abort()": "os.abort()",
    "SIGTERM": "os.kill(os.getpid(), 15)",
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "SIGINT, uncaught": "import signal, time; os.kill(os.getpid(), 2); time.sleep(9)",
    "SIGPIPE, default action": "import signal; signal.signal(13, signal.SIG_DFL); os.kill(os.getpid(), 13)",
    "segmentation fault": "import ctypes; ctypes.string_at(0)",
    "sys.exit in a thread that is not the main one": """
import threading
thread = threading.Thread(target=sys.exit, args=(5,)); thread.start(); thread.join()""",
    "an exit function that fails": "import atexit; atexit.register(lambda: 1 / 0)",
    "recursion": "def again(): again()\nsys.setrecursionlimit(80)\nagain()",
}
NOT_ORDERLY = {"os._exit(4)", "os.abort()", "SIGTERM", "SIGKILL", "SIGPIPE, default action", "segmentation fault"}


def comparable(text: str) -> str:
    """Without addresses; and without the depth of a recursion, at whose limit there is no room
    left for the interpreter to call whoever watches raises (3.12 on): it ends one level earlier.
    """
    return re.sub("0x[0-9a-f]+|repeated [0-9]+ more", "…", text)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_ends_as_without_clew(record, plain, ending):
    """Output, errors, exit code or signal are the program's own; nothing recorded is lost."""
    source = textwrap.dedent(PREFIX) + ENDINGS[ending]

    done, bare = record(source, options=("--quiet",)), plain(source)

    assert (done.returncode, done.stdout) == (bare.returncode, bare.stdout)
    assert comparable(done.stderr) == comparable(bare.stderr)
    assert [e.attrs["n"] for e in done.of("custom.event")] == list(range(100))
    end = done.recording.streams[0].end
    assert end["exit"] == bare.returncode
    assert end.get("signal") == (signal.Signals(-bare.returncode).name if bare.returncode < 0 else None)
    assert end.get("reason") == (None if ending in NOT_ORDERLY else "exit")
    assert bool(done.of("life.process_end")) == (ending not in NOT_ORDERLY)
    assert not done.problems


def test_clew_says_what_it_recorded_after_the_program_has_spoken(record):
    """At most twelve lines on stderr, each by its name, after the program's own."""
    done = record("import sys; sys.stderr.write('mine\\n'); sys.exit(3)")

    first, *rest = done.stderr.splitlines()
    assert (first, done.returncode) == ("mine", 3)
    assert 1 <= len(rest) <= 12
    assert all(line.startswith("clew: ") for line in rest)


def test_a_signal_that_ended_the_program_is_told(record):
    """One line names it and says that nothing until then is lost."""
    done = record("import os; os.kill(os.getpid(), 15)")

    assert [line for line in done.stderr.splitlines() if "SIGTERM" in line] == [
        "clew: the program was ended by SIGTERM; what it recorded until then is kept [killed]"
    ]


def test_signals_sent_to_clew_reach_the_program(tmp_path: Path):
    """SIGTERM to ``clew run`` runs the program's handler; the exit code is the program's."""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            import signal, sys
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
            print("ready", flush=True)
            signal.pause()
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "run", "--quiet", "-o", str(tmp_path / "r.clew"), str(script)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()

    assert process.returncode == 7


# -- misuse and settings


def clew(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")} | (env or {})
    return subprocess.run(
        [sys.executable, "-m", "clew", *arguments], capture_output=True, text=True, cwd=cwd, env=environ, check=False
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    script = tmp_path / "program.py"
    script.write_text("print('ran')\n")
    return script


def one_line(text: str, slug: str) -> bool:
    """Three parts and a slug, on one line."""
    return (
        text.count("\n") == 1
        and text.startswith("clew: ")
        and text.endswith(f" [{slug}]\n")
        and text.count("; ") >= 2
        and "expected" in text
    ) or (text.count("\n") == 1 and slug == "unknown-setting" and "known: " in text)


@pytest.mark.parametrize(
    ("table", "slug", "names"),
    [
        ("[tool.clew]\nwatchh = ['x']\n", "unknown-setting", "watchh"),
        ("[tool.clew]\nsample = 2\n", "setting-value", "sample"),
        ("[tool.clew\n", "config-file", "pyproject.toml"),
        ("[tool]\nclew = 3\n", "config-file", "pyproject.toml"),
    ],
)
def test_a_wrong_project_file_is_one_line(tmp_path, program, table, slug, names):
    """``clew run`` does not start the program; ``CLEW=record`` runs it unrecorded. Both say why in one line."""
    (tmp_path / "pyproject.toml").write_text(table)

    refused = clew("run", "program.py", cwd=tmp_path)
    environ = {**os.environ, "CLEW": "record"}
    alone = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
    )

    assert (refused.returncode, refused.stdout) == (2, "")
    assert one_line(refused.stderr, slug), refused.stderr
    assert names in refused.stderr
    assert (alone.returncode, alone.stdout) == (0, "ran\n")
    assert one_line(alone.stderr, slug), alone.stderr
    assert alone.stderr.startswith("clew: this process is not recorded: ")
    assert not (tmp_path / ".clew").exists()


def test_a_wrong_variable_is_one_line(tmp_path, program):
    """Its name and value, what is possible; a child of the unrecorded program does not repeat it."""
    program.write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(1)'], check=True)\nprint('ran')\n"
    )
    wrong = {"CLEW_SAMPLE": "often"}

    refused = clew("run", "program.py", cwd=tmp_path, env=wrong)
    environ = {**os.environ, **wrong, "CLEW": "record"}
    alone = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
    )

    assert (refused.returncode, refused.stdout) == (2, "")
    assert one_line(refused.stderr, "setting-value"), refused.stderr
    assert "CLEW_SAMPLE is 'often'" in refused.stderr
    assert (alone.returncode, alone.stdout) == (0, "1\nran\n")
    assert one_line(alone.stderr, "setting-value"), alone.stderr


def test_a_flag_beats_the_environment(record):
    """Also where the flag asks for the default."""
    source = "import logging; logging.getLogger('x').error('here')"

    done = record(source, options=("--log-level", "WARNING"), env={"CLEW_LOG_LEVEL": "OFF"})

    assert done.recording.streams[0].process["settings"]["sample"] == 1.0
    assert [e.attrs["message"] for e in done.of("log.record")] == ["here"]


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        (("run", "-o", "taken", "program.py"), "output-exists"),
        (("run", "-o", "program.py", "program.py"), "output-exists"),
        (("run", "-o", "/proc/x/y", "program.py"), "output-not-writable"),
        (("run", "no-such.py"), "no-script"),
        (("run", "no-such-command"), "no-script"),
        (("run", "sh"), "no-script"),
        (("run", "taken"), "no-script"),
        (("run",), "usage"),
        (("run", "-m"), "usage"),
        (("run", "--log-level", "LOUD", "program.py"), "setting-value"),
        (("run", "--no-such-option", "program.py"), "usage"),
    ],
)
def test_misuse_is_one_line_and_starts_nothing(tmp_path, program, arguments, slug):
    """Exit code 2; the program does not run."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()

    done = clew(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr, slug), done.stderr


def test_a_command_that_is_installed_beside_clew_needs_no_path(tmp_path):
    """As people type it: ``clew run pytest …``; a folder of that name is not meant."""
    (tmp_path / "pytest").mkdir()

    done = clew("run", "-o", "r.clew", "--quiet", "pytest", "--version", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pytest ")
    assert open_recording(tmp_path / "r.clew").streams[0].process["service"] == "pytest"


def test_a_recording_goes_to_the_temporary_folder_if_it_must(tmp_path, program):
    """Where the working directory takes no file, one line says where the recording is."""
    environ = {"TMPDIR": str(tmp_path)}

    under = clew("run", str(program), cwd=Path("/proc"), env=environ)
    alone = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, cwd="/proc", env={**os.environ, **environ, "CLEW": "record"}, check=False,
    )  # fmt: skip

    assert (under.returncode, under.stdout, alone.returncode, alone.stdout) == (0, "ran\n", 0, "ran\n")
    assert "[output-moved]" in under.stderr.splitlines()[0]
    assert [line[-15:] for line in alone.stderr.splitlines()] == [" [output-moved]"]
    folders = list(tmp_path.rglob("*.clew"))
    assert len(folders) == 2
    assert all(list(folder.glob("*.stream")) for folder in folders)
    assert str(folders[0].parent) in alone.stderr


def test_a_program_runs_unrecorded_where_nothing_can_be_written(tmp_path, program):
    """Neither the working directory nor the temporary folder: one line, and the program's own result."""
    environ = {"TMPDIR": "/proc/nowhere"}

    under = clew("run", str(program), cwd=Path("/proc"), env=environ)
    alone = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, cwd="/proc", env={**os.environ, **environ, "CLEW": "record"}, check=False,
    )  # fmt: skip

    for done in under, alone:
        assert (done.returncode, done.stdout) == (0, "ran\n")
        assert one_line(done.stderr, "output-not-writable"), done.stderr
