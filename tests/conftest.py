"""What the tests share: recording a program, and reading what was recorded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clew.format.collector import rings_of
from clew.format.reader import Recording, open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome


@dataclass(frozen=True)
class Site:
    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Entity:
    id: int
    kind: str
    name: str
    type: str
    parent: int
    site: Site | None
    span: int


@dataclass(frozen=True)
class Event:
    """An event with its numbers resolved."""

    process: str
    seq: int
    t_ns: int
    kind: str
    op: str
    outcome: str
    scope: Entity | None
    entity: Entity | None
    site: Site | None
    span: int
    cause: int
    remote_cause: tuple[int, int] | None
    wait_ns: int
    arg: int
    attrs: dict[str, Any] = field(default_factory=dict)


def events_of(recording: Recording) -> list[Event]:
    """Every event of every stream, in order."""
    events: list[Event] = []
    for stream in recording.streams:
        data = stream.data
        sites = {n: Site(row[1], row[2], row[3]) for n, row in data.sites.items()}
        entities = {
            n: Entity(n, EntityKind(row[1]).slug, row[2], row[3], row[4], sites.get(row[5]), row[6])
            for n, row in data.entities.items()
        }
        names = ("seq", "t_ns", "kind", "op", "outcome", "scope", "entity", "site", "span", "cause", "wait_ns", "arg")
        for seq, t, kind, op, outcome, scope, entity, site, span, cause, wait, arg in zip(
            *(data.columns[name] for name in names), strict=True
        ):
            events.append(
                Event(
                    stream.id, seq, t, EventKind(kind).slug, Operation(op).slug, Outcome(outcome).slug,
                    entities.get(scope), entities.get(entity), sites.get(site), span, cause,
                    data.remote_causes.get(seq), wait, arg, json.loads(data.attrs.get(seq, "{}")),
                )
            )  # fmt: skip
    return events


@dataclass
class Recorded:
    """A program that was run under ``clew run``, and what was recorded of it."""

    returncode: int
    stdout: str
    stderr: str
    path: Path

    @property
    def recording(self) -> Recording:
        return open_recording(self.path)

    @property
    def events(self) -> list[Event]:
        return events_of(self.recording)

    def of(self, *kinds: str, entity: str | None = None, scope: str | None = None) -> list[Event]:
        """Events of the given kinds, of an entity or scope of that name."""
        return [
            e
            for e in self.events
            if e.kind in kinds
            and (entity is None or (e.entity is not None and e.entity.name == entity))
            and (scope is None or (e.scope is not None and e.scope.name == scope))
        ]

    @property
    def problems(self) -> dict[str, str]:
        """Hooks that failed, in any process."""
        found: dict[str, str] = {}
        for stream in self.recording.streams:
            found |= (stream.end or {}).get("problems", {})
        return found


Record = Callable[..., Recorded]


def record_program(
    folder: Path,
    source: str,
    *args: str,
    options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    timeout: float = 60,
) -> Recorded:
    """Run *source* as ``program.py`` in *folder* under ``clew run``."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(source))
    path = folder / f"recording-{len(list(folder.iterdir()))}.clew"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")} | (env or {})
    done = subprocess.run(
        [sys.executable, "-m", "clew", "run", "-o", str(path), *options, str(script), *args],
        capture_output=True, text=True, timeout=timeout, env=environ, cwd=folder, check=False,
    )  # fmt: skip
    return Recorded(done.returncode, done.stdout, done.stderr, path)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Run a program under ``clew run``: ``record(source, *args, options=(), env={})``."""
    return partial(record_program, tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the same program without clew, to compare."""

    def run(source: str, *args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(source))
        return subprocess.run(
            [sys.executable, str(script), *args],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            check=False,
        )

    return run


def await_rings(path: Path, seconds: float = 20) -> None:
    """Wait until no process of the recording at *path* has anything left to be written."""
    deadline = time.monotonic() + seconds
    while rings_of(path):
        assert time.monotonic() < deadline, rings_of(path)
        time.sleep(0.01)


@pytest.fixture
def record_alone(tmp_path: Path) -> Record:
    """Run a program that records by itself: ``record_alone(source, *args, env={}, output=NAME)``."""

    def run(
        source: str,
        *args: str,
        env: dict[str, str] | None = None,
        output: str = "alone.clew",
        await_end: bool = True,
        timeout: float = 60,
    ) -> Recorded:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(source))
        path = tmp_path / output
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
        environ |= {"CLEW": "record", "CLEW_OUTPUT": str(path)} | (env or {})
        done = subprocess.run(
            [sys.executable, str(script), *args],
            capture_output=True, text=True, timeout=timeout, env=environ, cwd=tmp_path, check=False,
        )  # fmt: skip
        if await_end:
            await_rings(path)
        return Recorded(done.returncode, done.stdout, done.stderr, path)

    return run


@pytest.fixture(autouse=True)
def _no_rings_left(request: pytest.FixtureRequest) -> Any:
    """No recording of a test leaves anything in shared memory."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    for path in folder.rglob("*.clew") if folder is not None else ():
        await_rings(path)


@pytest.fixture(autouse=True)
def _own_signals() -> Any:
    """No test leaves a signal handler behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}
