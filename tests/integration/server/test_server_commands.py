"""``clew serve`` with its worker, and ``clew ui``: what a person starts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from benchmarks.synthetic import write_recording
from tests.integration.server.conftest import environment

from clew.format.reader import open_recording


def await_value(look: Callable[[], Any], seconds: float = 60) -> Any:
    """Call *look* until it returns something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, look
        time.sleep(0.05)
    return found


def workers_of(pid: int) -> list[int]:
    """The processes that have *pid* as their parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that serves, and the address it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**variables),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, process.communicate(timeout=10)
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recording."""
    return write_recording(tmp_path_factory.mktemp("recordings") / "r.clew", 3000)


def test_what_is_sent_becomes_runs(recording: Path, tmp_path: Path) -> None:
    """The worker beside the server indexes; when it is killed another is started; all end with the server."""
    with started("serve", "--port", "0", "--store", str(tmp_path / "s")) as (server, url):
        (first,) = await_value(lambda: workers_of(server.pid))
        os.kill(first, signal.SIGKILL)
        for path in recording.glob("*.stream"):
            assert httpx.post(f"{url}/api/v1/chunks", content=path.read_bytes()).status_code == 200

        total = await_value(lambda: httpx.get(f"{url}/api/v1/runs").json()["total"])

        assert total > 0
        (second,) = workers_of(server.pid)
        assert second != first
        server.terminate()
        assert server.wait(20) == 0
        assert not is_alive(second)


def test_a_server_that_is_killed_takes_its_worker_along(tmp_path: Path) -> None:
    """No worker goes on without its server."""
    with started("serve", "--port", "0", "--store", str(tmp_path / "s")) as (server, _):
        (worker,) = await_value(lambda: workers_of(server.pid))

        server.kill()
        server.wait()

        await_value(lambda: not is_alive(worker))


def test_a_recording_is_shown_and_nothing_is_left(recording: Path, tmp_path: Path) -> None:
    """clew ui has the runs when it says where; Ctrl-C ends it, and its store is gone."""
    variables = {"TMPDIR": str(tmp_path)}
    with started("ui", "--no-browser", str(recording), **variables) as (process, url):
        runs = await_value(lambda: httpx.get(f"{url}/api/v1/runs").json()["runs"])
        (folder,) = tmp_path.iterdir()
        mode = folder.stat().st_mode & 0o777
        timeline = httpx.get(f"{url}/api/v1/runs/{runs[0]['id']}/timeline")

        process.send_signal(signal.SIGINT)

        assert process.wait(20) == 0
    assert mode == 0o700
    assert timeline.status_code == 200
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_grows_is_followed(tmp_path: Path) -> None:
    """Chunks and streams that come later are shown, half a chunk once it is whole."""
    growing = tmp_path / "growing.clew"
    growing.mkdir()
    (stream,) = open_recording(write_recording(tmp_path / "r.clew", 70_000)).streams
    data = stream.path.read_bytes()
    target = growing / stream.path.name
    _, first_events, *_ = stream.headers
    target.write_bytes(data[: first_events.end + 100])
    with started("ui", "--no-browser", str(growing)) as (_, url):

        def processes() -> dict[str, int]:
            query = {"query": "select process, count(*) from events group by process"}
            answer = httpx.post(f"{url}/api/v1/sql", json=query).json()
            return dict(answer["rows"])

        half = await_value(processes)
        target.write_bytes(data)
        whole = await_value(lambda: (found := processes()) != half and found)
        other = write_recording(tmp_path / "other.clew", 500, seed=2)
        for path in other.glob("*.stream"):
            shutil.copy(path, growing)
        both = await_value(lambda: len(found := processes()) == 2 and found)

    (first,) = half
    assert half[first] == first_events.events
    assert whole[first] == both[first] == len(stream.data)


def test_nothing_to_show_is_said_at_once(tmp_path: Path) -> None:
    """A path that holds no recording starts no server."""
    done = subprocess.run(
        [sys.executable, "-m", "clew", "ui", "--no-browser", str(tmp_path / "none")],
        capture_output=True, text=True, timeout=30, env=environment(), check=False,
    )  # fmt: skip

    assert (done.returncode, "[no-recording]" in done.stderr) == (2, True)
