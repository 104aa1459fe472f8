"""How many events a second one server process takes in, durable before it answers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import PROGRAMS, Plan, clean_environ, interleave_calls
from benchmarks.report import Section, Table, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

ROOT = Path(__file__).parent.parent.parent
METHOD = """One server process on SQLite (WAL, `synchronous=FULL`) with an empty store, no worker beside it; another process sends bodies that were made before, over four
connections, each waiting for its answer. *Chunks* are what `clew run --server` sends: 32,000 events a request as after a pause, 4,000 as in a steady stream. JSON events come
1,000 a request with scope, entity, site, cause and attributes; spans 500 a request as OTLP protobuf, each two events. The peers take the same JSON: a server as one would write it (FastAPI, a pydantic
model, SQLite's `executemany`, one commit a request, as durable), and the least any server in Python has to do (bare ASGI, msgspec, nothing kept).
Server and client share the machine."""


BECAUSE_JSON = (
    "each event becomes a Python object with its names, and is redacted: 2.6 µs while the processor's caches hold it, 5 "
    "between requests of 250 kB, on the one core that the interpreter uses; columns straight from the text would need C"
)


class Case(NamedTuple):
    """One way to send to one server."""

    label: str
    server: str
    route: str
    kind: str
    per_request: int
    events: int
    quick: int


CASES = {
    "chunks": Case("chunks, 32,000 a request", "clew", "/api/v1/chunks", "chunks", 32_000, 6_400_000, 128_000),
    "small chunks": Case("chunks, 4,000 a request", "clew", "/api/v1/chunks", "chunks", 4_000, 4_000_000, 40_000),
    "json": Case("JSON events", "clew", "/api/v1/events", "json_events", 1_000, 400_000, 8_000),
    "otlp": Case("OTLP spans", "clew", "/v1/traces", "spans", 500, 60_000, 2_000),
    "fastapi": Case("JSON events", "fastapi", "/api/v1/events", "json_events", 1_000, 100_000, 8_000),
    "msgspec": Case("JSON events, not kept", "msgspec", "/api/v1/events", "json_events", 1_000, 400_000, 8_000),
}
SERVERS = {"clew": "clew serve", "fastapi": "FastAPI, pydantic, SQLite", "msgspec": "bare ASGI, msgspec"}


def measure(plan: Plan) -> Section:
    """Run it."""
    figures = interleave_calls({name: _run(case, plan) for name, case in CASES.items()}, plan, plan.size(3, 1))
    rows = [
        (
            case.label,
            SERVERS[case.server],
            figures[name]["rate"].text(),
            figures[name]["requests"].text(),
            figures[name]["p99_ms"].text(1),
            figures[name]["bytes"].text(1),
            (figures[name]["server_cpu_s"] / (case.events if not plan.is_quick else case.quick) / 1e-6).text(2),
        )
        for name, case in CASES.items()
    ]
    head = (
        "what",
        "server",
        "events/s",
        "requests/s",
        "99 % answered within, ms",
        "bytes an event",
        "server's CPU µs an event",
    )
    return Section(
        "Taking events in over HTTP",
        METHOD,
        [Table("", head, rows)],
        [
            Target("chunks, durable", 1_000_000, figures["chunks"]["rate"].median, " events/s", at_least=True),
            Target(
                "JSON events, durable",
                200_000,
                figures["json"]["rate"].median,
                " events/s",
                BECAUSE_JSON,
                at_least=True,
            ),
        ],
    )


def _run(case: Case, plan: Plan) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder, _served(case.server, folder) as (port, pid):
            events = plan.size(case.events, case.quick)
            before = _cpu_s(pid)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.programs.ingest_load", str(port), case.route, case.kind,
                 str(events), str(case.per_request), "4"],
                capture_output=True, text=True, check=False, cwd=ROOT, env=_environ(),
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"the load on {case.server} failed: {done.stderr[-2000:]}")
            return json.loads(done.stdout.splitlines()[-1]) | {"server_cpu_s": _cpu_s(pid) - before}

    return run


@contextmanager
def _served(server: str, folder: str) -> Generator[tuple[int, int]]:
    """Start a server; give its port and the number of its process."""
    if server == "clew":
        command = [sys.executable, "-m", "clew", "serve", "--port", "0", "--store", f"{folder}/store", "--no-worker"]
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [sys.executable, str(PROGRAMS / "ingest_peer.py"), server, str(port), f"{folder}/peer.db"]
    environment = _environ() | {"CLEW_SERVER_LOG_LEVEL": "WARNING"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    try:
        if server == "clew":
            assert process.stdout is not None
            found = re.search(r":(\d+)$", process.stdout.readline().strip())
            if found is None:
                raise RuntimeError("clew serve did not start")
            port = int(found[1])
        else:
            _await_port(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _environ() -> dict[str, str]:
    return clean_environ() | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
