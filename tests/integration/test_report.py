"""``clew run --report``: the findings of a run as JSON, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def report(record, tmp_path: Path):
    """Record a program with ``--report``; return the document and what was recorded."""

    def run(source: str) -> tuple[dict[str, Any], Any]:
        path = tmp_path / "findings.json"
        done = record(source, options=("--report", str(path)))
        return json.loads(path.read_text()), done

    return run


def test_an_error_that_ended_the_program_is_found(report):
    """It is critical, names the line and the exit code, and is said at the end of the run."""
    document, done = report(
        """
        def pay():
            raise ValueError("no money")

        pay()
        """
    )

    (finding,) = document["findings"]
    assert (document["schema"], done.returncode) == ("clew.findings/1", 1)
    assert (finding["severity"], finding["confidence"]) == ("critical", "proved")
    assert finding["title"] == "ValueError: no money was not handled in the program"
    assert "exit code 1" in finding["explanation"]
    (subject,) = finding["subjects"]
    assert (subject["kind"], subject["site"]["line"], subject["site"]["function"]) == ("process", 3, "pay")
    (stack,) = (part for part in finding["evidence"] if part["type"] == "stack")
    assert [frame["function"] for frame in stack["frames"]] == ["pay", "<module>"]
    assert f"clew: found: {finding['title']} [unhandled-error]" in done.stderr
    assert document["coverage"]["processes"][0]["events"] == document["recording"]["events"] > 0


def test_errors_of_threads_and_of_tasks_nobody_asked_are_found(report):
    """A thread that died and a task that failed unseen are a finding each."""
    document, done = report(
        """
        import asyncio, gc, threading

        def work():
            raise KeyError("lost")

        async def send():
            raise OSError("unsent")

        async def main():
            task = asyncio.create_task(send(), name="mail")
            await asyncio.wait([task])
            del task
            gc.collect()

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
        asyncio.run(main())
        """
    )

    assert done.returncode == 0
    assert [(f["severity"], f["subjects"][0]["kind"], f["subjects"][0]["name"]) for f in document["findings"]] == [
        ("error", "thread", "worker"),
        ("error", "task", "mail"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.exit(0)",
        "import sys; sys.exit(3)",
        "raise KeyboardInterrupt",
        "import threading, sys\nt = threading.Thread(target=sys.exit)\nt.start()\nt.join()",
        """
        import asyncio

        async def fail():
            raise ValueError("seen")

        async def main():
            task = asyncio.create_task(asyncio.sleep(10))
            await asyncio.sleep(0)
            task.cancel()
            failed = asyncio.create_task(fail())
            try:
                await failed
            except ValueError:
                pass

        asyncio.run(main())
        """,
    ],
    ids=["exit", "exit-code", "interrupt", "thread-exit", "handled-and-cancelled"],
)
def test_what_only_looks_like_an_error_is_no_finding(report, source: str):
    """Leaving, an interrupt, a cancelled task and an error that was handled are none."""
    document, done = report(source)

    assert document["findings"] == []
    assert document["recording"]["events"] > 0
    assert "found:" not in done.stderr


def test_a_report_that_cannot_be_written_changes_nothing_for_the_program(record, tmp_path: Path):
    """The program's exit code stays, and one line says why there is no report."""
    done = record("import sys; sys.exit(5)", options=("--report", str(tmp_path / "nowhere" / "r.json")))

    assert done.returncode == 5
    assert "[output-not-writable]" in done.stderr
