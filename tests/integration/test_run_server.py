"""``clew run --server``, recording without it, and ``clew push``: programs, a server, and what goes wrong between them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import await_rings, events_of
from test_sidecar import kill, sidecar_of
from tests.support.chunk_server import ChunkServer

from clew.format.collector import rings_of
from clew.format.reader import open_recording

KEY = "clew_key_0123456789abcdef"
PROGRAM = """
    import clew, os, sys
    for n in range(5000):
        clew.event("custom", n=n)
    print("done", "CLEW_SERVER_KEY" in os.environ)
    sys.exit(3)
"""
STEERED = """
    import clew, os, sys
    def emit(first, count):
        for n in range(first, first + count):
            clew.event("custom", n=n)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""
AWAY = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[ChunkServer]:
    with ChunkServer() as found:
        yield found


class Place:
    """A folder in which programs are run by clew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[str]] = []

    def start(self, source: str, *command: str, **environ: str) -> subprocess.Popen[str]:
        script = self.path / "program.py"
        script.write_text(textwrap.dedent(source))
        return self.begin(*command, str(script), **environ)

    def begin(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.path, env=clean | environ,
        )  # fmt: skip
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()
            process.wait()

    def run(self, source: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        process = self.start(source, "-m", "clew", "run", *options, **environ)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def clew(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "clew", *arguments],
            capture_output=True, text=True, cwd=self.path, env=os.environ | environ, timeout=60, check=False,
        )  # fmt: skip

    @property
    def spools(self) -> list[Path]:
        return sorted((self.path / ".clew").glob("*.clew"))

    @property
    def spool(self) -> Path:
        (found,) = self.spools
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.end()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def await_true(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_complete(server: ChunkServer) -> None:
    """Of each process, every number that its END chunk counts was stored."""
    assert server.seqs.keys() == server.heads.keys() == server.ends.keys()
    for process, seqs in server.seqs.items():
        assert seqs == set(range(1, max(seqs) + 1))
        assert len(seqs) == server.ends[process]["events"]


def files_with(text: str, folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


# -- clew run


def test_a_program_is_sent_while_it_runs_and_nothing_is_left(place, server):
    """The summary says where it is now, and the address of its run; the program sees no key."""
    done = place.run(PROGRAM, "--server", server.url, CLEW_SERVER_KEY=KEY)

    assert (done.returncode, done.stdout) == (3, "done False\n")
    check_complete(server)
    (head,) = server.heads.values()
    first, last = done.stderr.splitlines()
    assert re.fullmatch(r"clew: recorded 5,003 events of 1 process in .* s, .* kB: sent to " + server.url, first)
    assert last == f"clew: next: {server.url}/runs/{head['trace']}"
    assert place.spools == []
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}
    assert KEY not in str(server.heads)
    assert files_with(KEY, place.path) == []


def test_a_recording_that_was_asked_for_stays(place, server):
    """``-o`` beside ``--server``: both have everything, and the recording has no key."""
    key_file = place.path / "key"
    key_file.write_text(KEY + "\n")
    done = place.run(PROGRAM, "-o", "kept.clew", "--server", server.url, "--server-key-file", str(key_file))

    check_complete(server)
    assert server.events == len(open_recording(place.path / "kept.clew").streams[0].data)
    (head,) = server.heads.values()
    assert f"clew: sent to {server.url}: {server.url}/runs/{head['trace']}\n" in done.stderr
    assert done.stderr.splitlines()[-1] == "clew: next: clew show kept.clew"
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}
    assert files_with(KEY, place.path) == ["key"]


def test_the_server_may_be_a_setting(place, server):
    """``[tool.clew] server``, and ``CLEW_SERVER``, which beats it."""
    (place.path / "pyproject.toml").write_text(f'[tool.clew]\nserver = "{AWAY}"\n')
    done = place.run(PROGRAM, CLEW_SERVER=server.url)

    assert f"sent to {server.url}" in done.stderr
    check_complete(server)


def test_children_are_sent_too(place, server):
    """Those that were forked, started, and made by multiprocessing."""
    done = place.run(
        """
        import clew, multiprocessing, os, subprocess, sys
        if __name__ == "__main__":
            pid = os.fork()
            if not pid:
                clew.event("custom", who="forked")
                sys.exit()
            os.waitpid(pid, 0)
            subprocess.run([sys.executable, "-c", "import clew; clew.event('custom', who='started')"])
            child = multiprocessing.get_context("spawn").Process(target=clew.event, args=("custom",))
            child.start()
            child.join()
        """,
        "--server", server.url, PYTHONWARNINGS="ignore",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "4 processes" in done.stderr
    check_complete(server)
    assert len(server.seqs) == 4
    assert place.spools == []


def test_a_child_that_outlives_the_program_is_sent_by_a_sidecar(place, server):
    """Whoever takes over finds the server and the key, and removes the spool when all is sent."""
    done = place.run(
        """
        import os, sys, time
        if not os.fork():
            for fd in range(3):
                os.close(fd)
            deadline = time.monotonic() + 20
            while not os.path.exists("go") and time.monotonic() < deadline:
                time.sleep(0.01)
        """,
        "--server", server.url, CLEW_SERVER_KEY=KEY, PYTHONWARNINGS="ignore",
    )  # fmt: skip

    assert "[still-running]" in done.stderr
    assert f"it is sent to {server.url} as it is written" in done.stderr
    assert (place.spool / ".server").stat().st_mode & 0o777 == 0o600
    (place.path / "go").touch()
    await_true(lambda: place.spools == [])
    check_complete(server)
    assert len(server.ends) == 2
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("misbehaviour", ["silent", "garbage", "endless body", "drip", "401", "portal"])
def test_a_program_is_unharmed_by_its_server(place, server, misbehaviour):
    """Its output, exit code and time are its own; clew says what is not sent, and it can be sent later."""
    server.usually = misbehaviour
    done = place.run(PROGRAM, "--server", server.url, CLEW_SERVER_WAIT_S="1")

    assert (done.returncode, done.stdout) == (3, "done False\n")
    assert f"events of 1 process are not sent to {server.url} yet" in done.stderr
    assert f"clew push {place.spool.relative_to(place.path)} [not-sent]" in done.stderr
    assert len(done.stderr.splitlines()) <= 4
    assert len(open_recording(place.spool).streams[0].data) == 5003

    server.usually = "ok"
    pushed = place.clew("push", str(place.spool))
    assert pushed.returncode == 0, pushed.stderr
    assert f"sent 5,003 events of 1 process to {server.url}" in pushed.stdout
    check_complete(server)


def test_signals_reach_the_program_and_not_the_sender(place, server):
    """However many threads clew has: each signal goes to the program, which ends when and as it likes."""
    process = place.start(
        """
        import signal, sys, time
        count = 0

        def counted(*_):
            global count
            count += 1
            print(count, flush=True)

        signal.signal(signal.SIGTERM, counted)
        signal.signal(signal.SIGUSR1, counted)
        print(0, flush=True)
        while count < 20:
            time.sleep(0.01)
        sys.exit(5)
        """,
        "-m", "clew", "run", "--server", server.url,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    for n in range(1, 21):
        process.send_signal(signal.SIGTERM if n % 2 else signal.SIGUSR1)
        assert process.stdout.readline() == f"{n}\n"
    _, err = process.communicate(timeout=30)

    assert process.returncode == 5
    assert f"sent to {server.url}" in err


def test_a_signal_ends_the_wait_for_a_server(place, server):
    """Ctrl-C at the end: clew says what is not sent, and ends as the program did."""
    server.usually = "silent"
    process = place.start(
        "print('done', flush=True)", "-m", "clew", "run", "--server", server.url, CLEW_SERVER_WAIT_S="60"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    (program,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    await_true(lambda: not Path("/proc", program).exists())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "[not-sent]" in err


def test_children_follow_the_first_process_not_their_project_file(place, server):
    """``--server`` with nothing turns the setting off, for children too."""
    (place.path / "pyproject.toml").write_text(f'[tool.clew]\nserver = "{server.url}"\n')
    done = place.run("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", "--server", "")

    assert "2 processes" in done.stderr
    assert server.requests == []
    assert len(open_recording(place.spool).streams) == 2


def test_a_slow_server_does_not_slow_the_drain(place, server):
    """The program's events are on the disk, none dropped, while a request hangs."""
    server.usually = "silent"
    process = place.start(STEERED, "-m", "clew", "run", "--server", server.url, CLEW_SERVER_WAIT_S="0")
    tell(process, "emit(0, 1)")
    await_true(lambda: bool(server._connections))
    tell(process, "for n in range(20): emit(n * 10_000, 10_000); import time; time.sleep(0.02)")
    out, err = process.communicate(timeout=30)

    assert process.returncode == 0, out
    assert "recorded 200,004 events" in err
    assert "dropped" not in err


def test_a_report_and_findings_need_no_recording_that_stays(place, server):
    """They are made before the spool goes."""
    done = place.run("raise ValueError('wrong')", "--server", server.url, "--report", "found.json")

    assert done.returncode == 1
    assert "clew: found: " in done.stderr
    assert "ValueError" in (place.path / "found.json").read_text()
    assert f"sent to {server.url}" in done.stderr
    assert place.spools == []


def test_a_spool_that_is_full_leaves_a_counted_gap(place):
    """A server that is away fills no disk: what finds no room is counted as lost, and told once."""
    noisy = """
        import clew, os, time
        for n in range(60):
            for _ in range(1000):
                clew.event("custom", noise=os.urandom(16).hex())
            time.sleep(0.02)
        """
    done = place.run(noisy, "--server", AWAY, CLEW_SPOOL_BYTES=str(1 << 20), CLEW_SERVER_WAIT_S="0")

    assert done.returncode == 0
    assert done.stderr.count("[spool-full]") == 1
    stream = open_recording(place.spool).streams[0]
    assert stream.size < (1 << 20) + 10_000
    assert stream.end["not_written"] > 0
    gaps = [e for e in events_of(open_recording(place.spool)) if e.kind == "gap.dropped"]
    assert sum(gap.arg for gap in gaps) == stream.end["not_written"] + stream.end["dropped"]
    assert "the server has not taken" in gaps[0].attrs["reason"]
    assert "[not-written]" in done.stderr


def test_another_machine_without_tls_is_warned_of_once(place):
    """Also that the key can be read on its way; the program runs as ever."""
    done = place.run(PROGRAM, "--server", "http://clew.invalid:7777", CLEW_SERVER_KEY=KEY, CLEW_SERVER_WAIT_S="0")

    assert done.returncode == 3
    assert done.stderr.count("[server-unencrypted]") == 1
    assert "the recording and the key travel unencrypted to clew.invalid" in done.stderr
    assert KEY not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:7777",
        "ftp://here",
        "http://",
        "http://user:pw@here",
        "http://here/?key=1",
        "http://here:99999",
        "http://[::1",
    ],
)
def test_an_address_that_is_none_is_one_line_and_starts_nothing(place, url):
    """Exit code 2, before the program begins."""
    done = place.run(PROGRAM, "--server", url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"clew: --server is {url!r}; expected a URL")
    assert place.spools == []


@pytest.mark.parametrize("key", ["two words", "line\nfeed", "ключ", "x" * 5000])
def test_a_key_that_can_be_none_is_not_shown(place, key):
    """It could change the request; whatever it is, it is no business of a terminal."""
    done = place.run(PROGRAM, "--server", AWAY, CLEW_SERVER_KEY=key)

    assert (done.returncode, done.stdout) == (2, "")
    assert "[server-key]" in done.stderr
    assert key not in done.stderr
    assert len(done.stderr.splitlines()) == 1


# -- without clew run


def test_a_program_that_records_by_itself_is_sent_before_it_has_ended(place, server):
    """In a container the sidecar ends with it: so it waits, a little."""
    process = place.start(PROGRAM, CLEW="record", CLEW_SERVER=server.url, CLEW_SERVER_KEY=KEY)
    _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (3, "")
    assert server.events == 5003
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}
    await_true(lambda: place.spools == [])
    assert files_with(KEY, place.path) == []


def test_a_program_that_records_by_itself_does_not_wait_for_a_server_that_is_away(place):
    """It says so in one line, and the sidecar goes on trying."""
    process = place.start(PROGRAM, CLEW="record", CLEW_SERVER=AWAY)
    out, err = process.communicate(timeout=30)
    sidecar = sidecar_of(place.spool)
    try:
        assert (process.returncode, out) == (3, "done False\n")
        # Why is said as far as it is known by then.
        assert f"clew: {AWAY} has not taken everything yet (" in err
        assert len(err.splitlines()) == 1
    finally:
        kill(sidecar)


def test_install_names_a_server(place, server):
    """``clew.install(server=…)`` sends from there on."""
    process = place.start(f"import clew; clew.install(server={server.url!r}); clew.event('custom')")
    _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (0, "")
    check_complete(server)


def test_a_sidecar_that_was_killed_is_followed_by_one_that_sends_the_rest(place, server):
    """What was trimmed is not missed: numbers go on, and the counts at the end are those of the whole."""
    process = place.start(STEERED, CLEW="record", CLEW_SERVER=server.url)
    tell(process, "emit(0, 40_000)")
    server.wait_for(lambda: server.events >= 40_000)
    spool = place.spool
    (path,) = spool.glob("*.stream")
    kill(sidecar_of(spool))
    tell(process, "emit(40_000, 10_000)")
    _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (0, "")
    check_complete(server)
    assert server.events == 50_003
    await_true(lambda: not path.exists())


# -- clew push


def test_push_saves_what_a_killed_supervisor_left(place, server):
    """The ring and the spool: everything until the program's end is sent, once."""
    process = place.start(STEERED, "-m", "clew", "run", "--server", server.url, CLEW_SERVER_KEY=KEY)
    tell(process, "emit(0, 10_000)")
    server.wait_for(lambda: server.events >= 10_000)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    tell(process, "emit(10_000, 10_000)")
    process.communicate(timeout=30)
    spool = place.spool
    assert rings_of(spool)

    done = place.clew("push", str(spool), "--follow", "--remove")

    assert done.returncode == 0, done.stderr
    await_rings(spool, 1)
    check_complete(server)
    assert server.events == 20_003
    assert place.spools == []
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}


def test_push_follows_a_program_that_still_runs(place, server):
    """Beside the process that collects; it ends when the program has."""
    process = place.start(STEERED, "-m", "clew", "run", "-o", "some.clew")
    tell(process, "emit(0, 10_000)")
    await_true(lambda: any((place.path / "some.clew").glob("*.stream")))
    push = place.begin("-m", "clew", "push", "some.clew", "--follow", "--server", server.url)
    server.wait_for(lambda: server.events >= 9_000)
    tell(process, "emit(10_000, 10_000)")
    process.communicate(timeout=30)
    _, err = push.communicate(timeout=30)

    assert push.returncode == 0, err
    check_complete(server)
    assert server.events == 20_003


def test_push_twice_stores_once(place, server):
    """The second says that the server had everything."""
    place.run(PROGRAM, "-o", "some.clew")
    first = place.clew("push", "some.clew", CLEW_SERVER=server.url)
    second = place.clew("push", "some.clew", CLEW_SERVER=server.url)

    assert first.stdout == f"sent 5,003 events of 1 process to {server.url}\n"
    assert second.stdout == f"sent 5,003 events of 1 process to {server.url}, which had 5,003 of them\n"
    check_complete(server)


def test_push_of_a_cut_recording_sends_what_is_whole(place, server):
    """The beginning of a chunk that was never finished is not waited for."""
    place.run(PROGRAM, "-o", "some.clew")
    (path,) = (place.path / "some.clew").glob("*.stream")
    os.truncate(path, path.stat().st_size - 10)
    done = place.clew("push", "some.clew", "--server", server.url)

    assert done.returncode == 0, done.stderr
    assert server.events == 5003


def test_push_gives_up_in_one_line(place, server):
    """A server that refuses, one that is away for too long, none named, no recording."""
    place.run(PROGRAM, "-o", "some.clew")
    server.usually = "404"
    refused = place.clew("push", "some.clew", "--server", server.url)
    away = place.clew("push", "some.clew", "--server", AWAY, "--wait", "0.5")
    nowhere = place.clew("push", "some.clew")
    nothing = place.clew("push", "other.clew", "--server", AWAY)

    assert "[server-refused]" in refused.stderr
    assert "[server-away]" in away.stderr
    assert "[no-server]" in nowhere.stderr
    assert "[no-recording]" in nothing.stderr
    assert [done.returncode for done in (refused, away, nowhere, nothing)] == [2] * 4


def test_the_key_of_the_environment_is_not_for_a_server_a_folder_names(place, server):
    """A recording from elsewhere must not draw it out."""
    place.run(PROGRAM, "-o", "some.clew")
    (place.path / "some.clew" / ".server").write_text(
        f'{{"url": "{server.url}", "key": "", "keeps": true, "spool_bytes": 1}}'
    )
    done = place.clew("push", "some.clew", CLEW_SERVER_KEY=KEY)

    assert done.returncode == 0, done.stderr
    assert server.events == 5003
    assert not [1 for _, headers in server.requests if "authorization" in headers]
