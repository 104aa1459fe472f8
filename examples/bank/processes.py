"""Start the bank's services, each in a process of its own, and stop them again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SERVICES = ("backoffice", "model_server", "app")
STOP_SECONDS = 5


@dataclass(frozen=True)
class Service:
    """A running service."""

    name: str
    url: str
    pid: int


@contextmanager
def running(seed: int, log: IO[str]) -> Generator[dict[str, Service]]:
    """Run the services on free ports of this machine; what they log goes to *log*."""
    listeners = {name: socket.create_server(("127.0.0.1", 0), backlog=128) for name in SERVICES}
    urls = {name: f"http://127.0.0.1:{listener.getsockname()[1]}" for name, listener in listeners.items()}
    environ = os.environ | {"BANK_SEED": str(seed), "BACKOFFICE_URL": urls["backoffice"]}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, listener in listeners.items():
            with listener:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-m", f"bank.{name}", str(listener.fileno())],
                    pass_fds=[listener.fileno()],
                    cwd=Path(__file__).resolve().parent.parent,
                    env=environ,
                    stdout=log,
                    stderr=log,
                )
        yield {name: Service(f"bank.{name}", urls[name], process.pid) for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGINT)
        for process in processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
