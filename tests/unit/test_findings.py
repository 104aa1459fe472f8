"""Errors that nobody handled, and what only looks like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.recordings import Process, write

from clew.analysis.findings import unhandled_errors
from clew.format.reader import open_recording
from clew.model.findings import Finding
from clew.model.kinds import EntityKind, EventKind, Outcome

K = EventKind


def found_in(folder: Path, *processes: Process) -> list[Finding]:
    return unhandled_errors(open_recording(write(folder / "made.clew", *processes)))


def unhandled(process: Process, entity: int, *, type_name: str = "app.Bad", line: int = 9, **attrs: Any) -> None:
    """Add an error that was raised and not handled."""
    site = process.site(line, "work")
    values = {"type": type_name, "message": "no", "stack": [site]} | attrs
    cause = process.event(10, K.ERROR_RAISED, entity, entity=entity, site=site, attrs=values)
    process.event(20, K.ERROR_UNHANDLED, process.main, entity=entity, site=site, cause=cause, attrs=values)


@pytest.mark.parametrize(
    ("kind", "severity", "title"),
    [
        (EntityKind.PROCESS, "critical", "Bad: no was not handled in the program"),
        (EntityKind.THREAD, "error", "Bad: no was not handled in thread mail"),
        (EntityKind.TASK, "error", "Bad: no was not handled in task mail"),
    ],
)
def test_an_error_that_nobody_handled_is_found(tmp_path: Path, kind: EntityKind, severity: str, title: str):
    """It names what the error ended, where it was raised, and the events that say so."""
    process = Process()
    victim = process.process if kind == EntityKind.PROCESS else process.entity(kind, "mail", parent=process.main)
    unhandled(process, victim)

    (finding,) = found_in(tmp_path, process)

    assert (finding.kind, finding.severity, finding.confidence) == ("unhandled-error", severity, "proved")
    assert finding.title == title
    assert "app.py:9 work" in finding.explanation
    (subject,) = finding.subjects
    assert subject.site is not None
    assert (subject.kind, subject.site.file, subject.site.line) == (kind.slug, "app.py", 9)
    events = [(part["kind"], part["seq"]) for part in finding.evidence if part["type"] == "event"]
    assert events == [("error.raised", 1), ("error.unhandled", 2)]


def test_the_same_error_in_many_tasks_is_one_finding(tmp_path: Path):
    """Tasks of one function that fail in one place are told together, however many."""
    process = Process()
    for i in range(50):
        unhandled(process, process.task(f"mail-{i}", "send"))

    # Each of them has a site of its own number, of the same file, line and function.
    (finding,) = found_in(tmp_path, process)

    assert finding.occurrences == 50
    assert finding.title.endswith("50 times")


def test_a_fingerprint_outlives_a_move_of_the_line(tmp_path: Path):
    """The same error of the same function has the same fingerprint; another type has another."""
    prints: list[str] = []
    for i, (name, line) in enumerate((("app.Bad", 9), ("app.Bad", 14), ("app.Worse", 9))):
        process = Process()
        unhandled(process, process.task("mail", "send"), type_name=name, line=line)
        prints += [finding.fingerprint for finding in found_in(tmp_path / str(i), process)]

    assert prints[0] == prints[1] != prints[2]


def test_an_error_that_ended_a_task_and_then_the_program_is_one_finding(tmp_path: Path):
    """What was raised once and reported twice counts as what it ended last."""
    process = Process()
    task = process.task("main", "main")
    unhandled(process, task)
    process.event(30, K.ERROR_UNHANDLED, process.main, entity=process.process, cause=1, attrs={"type": "app.Bad"})

    (finding,) = found_in(tmp_path, process)

    assert finding.severity == "critical"


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "asyncio.exceptions.CancelledError"])
def test_what_ends_a_program_on_purpose_is_no_finding(tmp_path: Path, name: str):
    """Leaving, being interrupted and being cancelled are not errors."""
    process = Process()
    unhandled(process, process.process, type_name=name)

    assert found_in(tmp_path, process) == []


def test_errors_that_were_handled_are_no_findings(tmp_path: Path):
    """An error that was raised, or handled, or a report of a loop without an error, is no finding."""
    process = Process()
    task = process.task("mail", "send")
    cause = process.event(10, K.ERROR_RAISED, task, entity=task, attrs={"type": "app.Bad"})
    process.event(11, K.ERROR_HANDLED, task, cause=cause, attrs={"type": "app.Bad"})
    process.event(12, K.LIFE_TASK_CANCEL, task, entity=task)
    process.event(13, K.LIFE_TASK_END, task, entity=task, outcome=Outcome.CANCELLED)
    process.event(14, K.ERROR_UNHANDLED, process.main, entity=task, attrs={"type": "", "message": "was destroyed"})

    assert found_in(tmp_path, process) == []
