"""Programs that are sent to a real ``clew serve``: nothing lost, nothing twice, and services join into one run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_run_server import Place, await_true, tell

from clew.format.reader import open_recording

STEERED = """
    import clew, sys
    def emit(first, count):
        for n in range(first, first + count):
            clew.event("custom", n=n)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""
SERVICE = """
    import sys, uvicorn

    async def app(scope, receive, send):
        status = 204
        if len(sys.argv) > 1:
            import httpx
            async with httpx.AsyncClient(trust_env=False) as client:
                status = (await client.get(sys.argv[1] + "/inner")).status_code
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    import socket
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off")).run([listening])
"""


class Served:
    """A ``clew serve`` of its own process, which can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.store = folder / "store"
        self.store.mkdir()
        self.options = options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
        self.process: subprocess.Popen[str] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "clew", "serve", "--store", str(self.store), *arguments]

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command("--port", str(self.port), *self.options),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environ,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.url in self.process.stdout.readline()

    def end(self, sig: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(sig)
            self.process.wait(20)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.store / "catalog.db", timeout=20)) as catalog:
            return catalog.execute(statement).fetchall()

    def events(self) -> dict[str, tuple[int, int, int]]:
        """By process: the first number that is stored, the one after the last, and how many events stand in chunks."""
        return {
            process: (first, end, events)
            for process, first, end, events in self.query(
                "select c.process_id, min(c.first_seq), max(c.end_seq), "
                "(select sum(events) from chunks where process_id = c.process_id) from coverage c group by c.process_id"
            )
        }

    def get(self, path: str) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=20) as response:
            return json.load(response)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path, "--no-worker")
    found.start()
    yield found
    found.end()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "place").mkdir()
    found = Place(tmp_path / "place")
    yield found
    found.end()


def check_same(served: Served, recording: Path) -> None:
    """What the server has of each process is what the recording has, each event once."""
    stored = served.events()
    for stream in open_recording(recording).streams:
        count = len(stream.data)
        assert stored[stream.id] == (1, count + 1, count)


def test_the_server_has_what_the_recording_has(place, served):
    """Of a program and its child, event by event."""
    done = place.run(
        """
        import clew, os
        pid = os.fork()
        for n in range(20_000):
            clew.event("custom", n=n)
        if pid:
            os.waitpid(pid, 0)
        """,
        "-o", "some.clew", "--server", served.url, PYTHONWARNINGS="ignore",
    )  # fmt: skip

    assert f"sent to {served.url}" in done.stderr
    assert len(served.events()) == 2
    check_same(served, place.path / "some.clew")


def test_a_killed_server_that_comes_back_has_everything_once(place, served):
    """SIGKILL between requests and within them: acknowledged is stored, the rest comes again."""
    process = place.start(STEERED, "-m", "clew", "run", "-o", "some.clew", "--server", served.url)
    for turn in range(3):
        tell(process, f"emit({turn * 20_000}, 10_000)")
        await_true(lambda: bool(served.events()))
        served.end(signal.SIGKILL)
        tell(process, f"emit({turn * 20_000 + 10_000}, 10_000)")
        served.start()
    _, err = process.communicate(timeout=60)

    assert f"sent to {served.url}" in err
    check_same(served, place.path / "some.clew")
    ((events,),) = served.query("select events from processes")
    assert events == 60_003


def test_a_server_with_keys_takes_from_those_who_have_one(tmp_path, place):
    """A key of the role operator sends; a wrong one, none, and one that only reads are refused at once."""
    served = Served(tmp_path, "--no-worker", "--require-key")
    secrets = [
        subprocess.run(
            served.command("--make-key", f"test:{role}"), capture_output=True, text=True, check=True, env=served.environ
        ).stdout.strip()
        for role in ("operator", "viewer")
    ]
    served.start()
    try:
        program = "import clew; clew.event('custom')"
        started = time.monotonic()
        refused = [
            place.run(program, "--server", served.url, **({"CLEW_SERVER_KEY": key} if key else {}))
            for key in ("", "wrong", secrets[1])
        ]
        assert time.monotonic() - started < 12
        taken = place.run(program, "--server", served.url, CLEW_SERVER_KEY=secrets[0])
    finally:
        served.end()

    for done in refused:
        assert done.stderr.count("[server-refused]") == 1
        assert "[not-sent]" in done.stderr
        assert not [secret for secret in secrets if secret in done.stderr]
    assert f"sent to {served.url}" in taken.stderr
    assert len(served.events()) == 1


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("clew.server.runs", "clew.cli.worker")),
    reason="runs are not indexed yet",
)
def test_two_services_stream_into_one_server_and_show_as_one_run(tmp_path, place):
    """Each under a ``clew run --server`` of its own, one calls the other: the request is one run of both."""
    served = Served(tmp_path)
    served.start()
    services: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: str) -> str:
        (place.path / f"{name}.py").write_text(textwrap.dedent(SERVICE))
        command = ("-m", "clew", "run", "--service", name, "--server", served.url, f"{name}.py", *arguments)
        services.append(place.begin(*command))
        assert services[-1].stdout is not None
        return f"http://127.0.0.1:{services[-1].stdout.readline().strip()}"

    def requests() -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"filter": "entry:request"})
        return served.get(f"/api/v1/runs?{query}")["runs"]

    try:
        inner = start("inner")
        outer = start("outer", inner)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{outer}/outer", timeout=20) as response:
            assert response.status == 204
        # While both services still run:
        await_true(lambda: [sorted(run["services"]) for run in requests()] == [["inner", "outer"]])
        (run,) = requests()
        assert (run["name"], run["entry"]) == ("GET /outer", "request")
        assert {process["service"] for process in served.get(f"/api/v1/runs/{run['id']}")["detail"]["processes"]} == {
            "inner",
            "outer",
        }
        for service in services:
            service.send_signal(signal.SIGTERM)
            service.communicate(timeout=20)
        await_true(lambda: requests()[0]["status"] == "succeeded")
        assert len(requests()) == 1
    finally:
        for service in services:
            service.terminate()  # killed, it would leave its program behind
            service.wait(20)
        served.end()
    assert place.spools == []
