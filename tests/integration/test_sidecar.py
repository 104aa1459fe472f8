"""Recording without ``clew run``: the sidecar, and what happens when it, the disk or the folder fails."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Recorded, await_rings

from clew.format import ring, sidecar
from clew.format.collector import Collector, rings_of
from clew.format.repair import repair
from clew.model.errors import FormatError

EVENTS = """
    import clew, os, sys
    for n in range(1000):
        clew.event("custom", n=n)
"""
STEERED = """
    import clew, sys
    def emit(first, count):
        for n in range(first, first + count):
            clew.event("custom", n=n)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""


def numbers(done: Recorded) -> list[int]:
    return [e.attrs["n"] for e in done.of("custom.event")]


class Steered:
    """A program that runs the lines it is sent, one at a time."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.process = process
        self.path = path

    def run(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self, line: str = "") -> Recorded:
        """Let it end by itself, or by *line*."""
        stdout, stderr = self.process.communicate(line + "\n" if line else None)
        return Recorded(self.process.returncode, stdout, stderr, self.path)


@contextmanager
def steered(tmp_path: Path, *command: str, **environ: str) -> Iterator[Steered]:
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(STEERED))
    path = tmp_path / "steered.clew"
    process = subprocess.Popen(
        [sys.executable, *(part.replace("PATH", str(path)) for part in command), str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
        cwd=tmp_path,
    )
    try:
        yield Steered(process, path)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def alone(tmp_path: Path, **environ: str) -> Iterator[Steered]:
    with steered(tmp_path, CLEW="record", CLEW_OUTPUT=str(tmp_path / "steered.clew"), **environ) as program:
        yield program


def sidecar_of(path: Path) -> int:
    """Wait for the sidecar of the recording at *path*; return its pid."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if ring.is_collected(str(path)):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and is_sidecar(entry, path):
                    return int(entry.name)
        time.sleep(0.01)
    raise AssertionError("no sidecar")


def is_sidecar(entry: Path, path: Path) -> bool:
    try:
        command = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(b"clew.format.collector" in part for part in command) and os.fsencode(path) in command


def kill(pid: int) -> None:
    """Kill *pid*, which is no child of this process, and wait until it is gone."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        select.select([fd], [], [], 20)
    finally:
        os.close(fd)


def await_written(path: Path, events: int) -> None:
    """Wait until the recording at *path* holds that many events."""
    deadline = time.monotonic() + 20
    while True:
        try:
            if sum(len(stream.data) for stream in Recorded(0, "", "", path).recording.streams) >= events:
                return
        except FormatError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- a program that records by itself


@pytest.mark.parametrize(
    ("ending", "code", "reason"),
    [("", 0, "exit"), ("sys.exit(3)", 3, "exit"), ("os._exit(4)", 4, None), ("os.kill(os.getpid(), 9)", -9, None)],
)
def test_everything_until_the_end_is_recorded(record_alone, ending, code, reason):
    """However it ends, also at once; and nothing is said."""
    done = record_alone(textwrap.dedent(EVENTS) + ending)

    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert numbers(done) == list(range(1000))
    assert done.recording.streams[0].end.get("reason") == reason


def test_an_orderly_end_finds_everything_written(record_alone):
    """A program that ends in an orderly way waits for its sidecar: nothing has to be waited for afterwards."""
    done = record_alone("pass", await_end=False)

    assert not rings_of(done.path)
    assert [e.kind for e in done.events][-1] == "life.process_end"


def test_install_records_from_there_on(tmp_path, record_alone):
    """``clew.install()`` says where; a second call is refused."""
    done = record_alone(
        """
        import clew, sys
        folder = clew.install(service="shop", output="installed.clew")
        clew.event("custom", n=1)
        try:
            clew.install()
        except Exception as error:
            print(folder, error.slug, clew.is_recording())
        """,
        env={"CLEW": "", "CLEW_OUTPUT": ""},
        output="installed.clew",
    )

    assert done.stdout == f"{tmp_path / 'installed.clew'} already-recording True\n", done.stderr
    assert numbers(done) == [1]
    assert done.recording.streams[0].process["service"] == "shop"


def test_the_program_has_no_child_and_no_file_of_clews(record_alone, plain):
    """The sidecar is nobody's child, and no descriptor stays open in the program."""
    source = """
        import os
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("no child")
        print(len(os.listdir("/proc/self/fd")))
        """

    done = record_alone(source)

    assert done.stdout == plain(source).stdout


def test_the_sidecar_holds_nothing_of_the_program(tmp_path):
    """Not its pipes (a reader would wait for the end), its working directory, its session."""
    read, write = os.pipe()
    os.set_inheritable(write, True)
    script = tmp_path / "program.py"
    script.write_text("import os, time\nos.read(0, 1)\n")
    path = tmp_path / "held.clew"
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE, close_fds=False, cwd=tmp_path,
        env=os.environ | {"CLEW": "record", "CLEW_OUTPUT": str(path)},
    )  # fmt: skip
    os.close(write)
    try:
        entry = Path("/proc", str(sidecar_of(path)))
        files = {os.readlink(fd) for fd in (entry / "fd").iterdir() if fd.exists()}

        assert not [name for name in files if name.startswith("pipe:")]
        assert os.readlink(entry / "cwd") == "/"
        assert os.getsid(int(entry.name)) != os.getsid(0)
    finally:
        process.communicate(b"x")
        os.close(read)


def test_a_module_of_the_program_is_not_the_sidecars(tmp_path, record_alone):
    """A file named like one of the standard library, where the program runs, stays the program's."""
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')\n")
    (tmp_path / "mmap.py").write_text("raise SystemExit('nor this')\n")
    (tmp_path / "elsewhere").mkdir()

    done = record_alone("print('ran')", env={"PYTHONSAFEPATH": "1"})

    assert done.stdout == "ran\n", done.stderr
    assert len(done.recording.streams) == 1


def test_children_are_drained_by_the_same_sidecar(record_alone):
    """A child that outlives its parent is recorded to its end."""
    done = record_alone(
        """
        import clew, os, time
        parent = os.getpid()
        if os.fork() == 0:
            for fd in range(3):
                os.close(fd)
            while os.getppid() == parent:
                time.sleep(0.01)
            clew.event("custom", n=1)
            os._exit(0)
        """
    )

    assert done.returncode == 0, done.stderr
    assert numbers(done) == [1]
    assert len(done.recording.streams) == 2


def test_two_programs_with_one_output_share_it(tmp_path):
    """Each writes its own stream, one sidecar serves both."""
    path = tmp_path / "shared.clew"
    environ = os.environ | {"CLEW": "record", "CLEW_OUTPUT": str(path)}
    source = "import clew, sys; clew.event('custom', n=int(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", source, str(n)], env=environ) for n in range(2)]

    assert [process.wait() for process in both] == [0, 0]
    await_rings(path)

    done = Recorded(0, "", "", path)
    assert sorted(numbers(done)) == [0, 1]
    assert len({e.process for e in done.of("custom.event")}) == 2


# -- the sidecar is killed


def test_a_program_whose_sidecar_was_killed_gets_another_at_its_end(tmp_path):
    """Nothing is lost, neither what was taken and not written, nor what came after."""
    with alone(tmp_path) as program:
        program.run("emit(0, 500)")
        kill(sidecar_of(program.path))
        program.run("emit(500, 500)")
        done = program.end()

    assert (done.returncode, done.stderr) == (0, "")
    await_rings(program.path)
    assert numbers(done) == list(range(1000))
    assert not done.of("gap.dropped")


@pytest.mark.parametrize("written", [0, 500])
def test_repair_saves_what_is_in_the_ring(tmp_path, written):
    """The sidecar was killed and then the program: what neither wrote is still in memory."""
    with alone(tmp_path) as program:
        program.run("emit(0, 500)")
        pid = sidecar_of(program.path)
        if written:
            await_written(program.path, written)
        kill(pid)
        program.run("emit(500, 500)")
        done = program.end("import os; os.kill(os.getpid(), 9)")

    assert rings_of(program.path)
    (report,) = repair(program.path)
    assert (report.saved_events > 0, report.kept_events >= written) == (True, True)
    assert numbers(done) == list(range(1000))
    assert not done.of("gap.dropped")
    assert [e.seq for e in done.events] == list(range(1, len(done.events) + 1))
    assert not rings_of(program.path)


def test_a_recording_that_is_being_written_is_not_repaired(tmp_path):
    """Neither while a sidecar works on it, nor while the program lives."""
    with alone(tmp_path) as program:
        program.run("emit(0, 10)")
        pid = sidecar_of(program.path)
        await_written(program.path, 10)
        with pytest.raises(FormatError, match="another process still writes"):
            repair(program.path)
        kill(pid)
        with pytest.raises(FormatError, match="still writes"):
            repair(program.path)
        program.end()


def test_a_child_starts_a_sidecar_if_there_is_none(tmp_path):
    """Forked after the sidecar was killed: child and parent are recorded at once again."""
    with alone(tmp_path) as program:
        program.run("emit(0, 1)")
        first = sidecar_of(program.path)
        kill(first)
        program.run("import os; pid = os.fork(); pid or (emit(1, 1), os._exit(0)); os.waitpid(pid, 0)")
        assert sidecar_of(program.path) != first
        done = program.end()

    await_rings(program.path)
    assert sorted(numbers(done)) == [0, 1]


# -- the folder is removed


def test_a_removed_recording_is_not_made_again(tmp_path):
    """The program and its children go on unrecorded; nothing is left in memory."""
    with alone(tmp_path) as program:
        program.run("emit(0, 10)")
        await_written(program.path, 10)
        shutil.rmtree(program.path)
        program.run("emit(0, 100_000)")
        program.run("import os; pid = os.fork(); pid or os._exit(0); os.waitpid(pid, 0)")
        program.run("import subprocess; subprocess.run([sys.executable, '-c', ''], check=True)")
        done = program.end()

    assert (done.returncode, done.stderr) == (0, "")
    assert not program.path.exists()
    await_rings(program.path)


def test_clew_run_says_that_its_recording_was_removed(tmp_path):
    """One line, and the program's own exit code."""
    with steered(tmp_path, "-m", "clew", "run", "-o", "PATH") as program:
        program.run("emit(0, 10)")
        await_written(program.path, 10)
        shutil.rmtree(program.path)
        program.run("import time; time.sleep(0.2)")
        done = program.end("sys.exit(5)")

    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert "[recording-removed]" in done.stderr
    assert not program.path.exists()
    await_rings(program.path)


# -- the disk is full


def writer_of(program: Steered, *, under_run: bool) -> int:
    return program.process.pid if under_run else sidecar_of(program.path)


@pytest.mark.parametrize("under_run", [True, False])
def test_a_full_disk_leaves_a_gap_and_recording_goes_on(tmp_path, under_run):
    """What could not be written is counted; what comes after there is room again is there."""
    command = ("-m", "clew", "run", "-o", "PATH") if under_run else ()
    environ = {} if under_run else {"CLEW": "record", "CLEW_OUTPUT": str(tmp_path / "steered.clew")}
    with steered(tmp_path, *command, **environ) as program:
        program.run("emit(0, 100)")
        await_written(program.path, 100)
        (stream,) = program.path.glob("*.stream")
        pid = writer_of(program, under_run=under_run)
        size = stream.stat().st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        program.run("emit(1000, 10_000)")
        program.run("import time; time.sleep(0.1)")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        program.run("emit(100, 100)")
        done = program.end()

    assert done.returncode == 0
    await_rings(program.path)
    assert numbers(done)[:100] == list(range(100))
    assert numbers(done)[-100:] == list(range(100, 200))
    gaps = done.of("gap.dropped")
    assert len(gaps) == 1
    assert "File too large" in gaps[0].attrs["reason"]
    (recorded,) = done.recording.streams
    assert recorded.end["not_written"] == gaps[0].arg
    assert len(done.events) - 1 + gaps[0].arg == done.events[-1].seq
    assert {e.site.function for e in done.of("custom.event")} == {"emit"}
    if under_run:
        assert "[not-written]" in done.stderr


def test_a_disk_that_stays_full_keeps_what_was_written(tmp_path):
    """The stream is a readable prefix, and everything else is counted as not written."""
    with steered(tmp_path, "-m", "clew", "run", "-o", "PATH") as program:
        program.run("emit(0, 100)")
        await_written(program.path, 100)
        (stream,) = program.path.glob("*.stream")
        resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (stream.stat().st_size,) * 2)
        program.run("emit(100, 5000)")
        done = program.end("sys.exit(6)")

    assert done.returncode == 6
    assert "[not-written]" in done.stderr
    assert numbers(done) == list(range(100))
    (recorded,) = done.recording.streams
    assert recorded.cut is None
    assert recorded.end is None


# -- collectors


def test_a_collector_that_ends_leaves_its_rings_to_the_next(tmp_path):
    """Handing over writes what was taken; the next one goes on after it, without losing or doubling."""
    with steered(tmp_path, CLEW="run", CLEW_OUTPUT=str(tmp_path / "steered.clew")) as program:
        program.path.mkdir()
        # The program looks for its folder as it starts: it may have been too early.
        program.process.kill()
        program.process.communicate()
    with steered(tmp_path, CLEW="run", CLEW_OUTPUT=str(program.path)) as program:
        program.run("emit(0, 100)")
        for part in range(1, 5):
            collector = Collector(program.path)
            assert collector.acquire()
            collector.find()
            for _ in range(part):
                collector.step()
            collector.release()
            program.run(f"emit({part} * 100, 100)")
        done = program.end()
        sidecar.start(str(program.path))
        await_rings(program.path)

    assert numbers(done) == list(range(500))
    assert [e.seq for e in done.events] == list(range(1, len(done.events) + 1))


def test_a_ring_that_is_none_does_not_stop_the_others(tmp_path):
    """A damaged file among the rings is reported and left alone; one of a dead process is removed."""
    folder = tmp_path / "mixed.clew"
    folder.mkdir()
    name = ring.file_name(str(folder), os.getpid(), 1)
    damaged = folder / name
    damaged.write_bytes(b"not a ring" * 1000)
    os.utime(damaged, (0, 0))
    dead = folder / ring.file_name(str(folder), 0, 2)
    dead.write_bytes(b"")
    collector = Collector(folder)

    assert collector.acquire()
    assert not collector.find()
    assert not dead.exists()
    assert len(collector.errors) == 1
    assert name in collector.errors[0]
    collector.release()
    damaged.unlink()
