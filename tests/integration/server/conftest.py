"""Servers: the application in this process, and ``clew serve`` in one of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from clew.server.app import create_app
from clew.server.settings import Settings
from clew.store.store import Store

BASE_URL = "http://127.0.0.1"
MakeClient = Callable[..., TestClient]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store on SQLite and a folder."""
    with Store.open(str(tmp_path / "store")) as store:
        yield store


@pytest.fixture
def make_client(store: Store) -> Iterator[MakeClient]:
    """Make clients of applications with given settings: ``make_client(body_bytes=10)``."""
    clients: list[TestClient] = []

    def make(**settings: Any) -> TestClient:
        app = create_app(store, settings=Settings(log_requests=False, **settings))
        client = TestClient(app, base_url=BASE_URL, raise_server_exceptions=False, follow_redirects=False)
        client.__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of an application with default settings."""
    return make_client()


@dataclass
class LiveServer:
    """A ``clew serve`` that runs."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal and wait; return the exit code, and what it logged."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, logged = self.process.communicate(timeout=20)
        return self.process.returncode, logged


def environment(**more: str) -> dict[str, str]:
    """The environment without clew's settings, and *more*."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLEW")} | more


def start_server(store: str, *options: str, port: int = 0, **variables: str) -> LiveServer:
    """Start ``clew serve`` and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "serve", "--port", str(port), "--store", store, "--no-worker", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**variables),
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r":(\d+)$", line.strip())
    assert found is not None, process.communicate(timeout=10)
    return LiveServer(process, int(found[1]))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Start servers on one store, as often as one likes: ``serve(*options, port=0, VARIABLE="…")``."""
    servers: list[LiveServer] = []

    def start(*options: str, store: str = "", port: int = 0, **variables: str) -> LiveServer:
        servers.append(start_server(store or str(tmp_path / "served"), *options, port=port, **variables))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()
