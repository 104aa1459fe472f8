"""``clew show`` and ``clew show RUN`` of recorded programs, as a user types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_http_services import SERVICES
from tests.conftest import Recorded

BANK = Path(__file__).resolve().parents[2] / "examples" / "bank"

FAILS = """
    import asyncio, clew, logging

    class Declined(Exception):
        pass

    async def charge(number):
        await asyncio.sleep(0.005)
        raise Declined(f"card {number}")

    async def ship():
        await asyncio.sleep(10)

    @clew.run
    async def order(number):
        logging.getLogger("shop").warning("order %d is late", number)
        async with asyncio.TaskGroup() as group:
            group.create_task(ship(), name="ship")
            group.create_task(charge(number), name="charge")

    async def main():
        try:
            await order(1)
        except* Declined:
            pass
        lock = asyncio.Lock()
        async def hold(i):
            async with lock:
                await asyncio.sleep(0.001)
        async with asyncio.TaskGroup() as group:
            for i in range(20):
                group.create_task(hold(i))

    asyncio.run(main())
"""


def show(path: Path, *args: str, code: int = 0, **environ: str) -> str:
    """What ``clew show`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "clew", "show", str(path), *args],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ | environ,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert code or done.stderr == ""
    return done.stderr if code else done.stdout


def nodes_of(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of the JSON of a run."""
    yield tree
    for child in tree["children"]:
        yield from nodes_of(child)


def named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The node of that kind and name."""
    (node,) = (node for node in nodes_of(document["tree"]) if (node["kind"], node["name"]) == (kind, name))
    return node


def test_a_failed_run_shows_what_went_wrong_and_who_was_cancelled_by_whom(record):
    """The tree of a failed run has its tasks, its log, the error with its line, and the canceller."""
    done = record(FAILS)

    text = show(done.path, "order")
    document = json.loads(show(done.path, "order", "--json"))

    assert document["schema"] == "clew.run/1"
    assert (document["run"]["name"], document["run"]["status"]) == ("order", "failed")
    charge, ship = named(document, "task", "charge"), named(document, "task", "ship")
    assert (charge["outcome"], ship["outcome"]) == ("failed", "cancelled")
    assert ship["woken_by"]["scope"] == "charge"
    (error,) = (node for node in charge["children"] if node["kind"] == "error")
    assert (error["name"], error["detail"]) == ("__main__.Declined", "card 1")
    assert error["site"] == "program.py:9 charge"
    assert named(document, "log", "warning shop")["detail"] == "order 1 is late"
    assert re.search(r"\+[\d.]+ ms  [│├└─ ]+Declined: card 1 +program\.py:9 charge", text)
    assert re.search(r"cancelled by charge, which ended at \+[\d.]+ ms", text)
    assert "\x1b" not in text


def test_the_run_of_a_program_folds_its_loops_and_names_who_released_a_lock(record):
    """Twenty tasks of one line are one line of the tree; the longest waited for a lock of another one."""
    done = record(FAILS)

    document = json.loads(show(done.path, "program", "--json"))

    (held,) = (node for node in nodes_of(document["tree"]) if node["count"] == 20)
    assert (held["kind"], held["site"]) == ("task", "program.py:32 main")
    assert re.search(r"task main\.<locals>\.hold  × 20 ", show(done.path, "program"))
    waits = [node for node in held["children"] if node["kind"] == "wait" and node["woken_by"] is not None]
    assert [wait["woken_by"]["did"] for wait in waits] == ["released it"]
    order = named(document, "run", "order")
    assert (order["outcome"], order["children"]) == ("failed", [])
    assert order["run"] == json.loads(show(done.path, "order", "--json"))["run"]["id"]


def test_the_overview_leads_to_the_run_that_failed(record):
    """Runs, each error once, the longest wait with who ended it, and what to type next."""
    done = record(FAILS)

    text = show(done.path)
    document = json.loads(show(done.path, "--json"))

    assert document["schema"] == "clew.recording/1"
    assert [(run["name"], run["status"]) for run in document["runs"]] == [("program", "succeeded"), ("order", "failed")]
    assert {error["type"]: (error["count"], error["unhandled"]) for error in document["errors"]} == {
        "__main__.Declined": (1, 0),
        "ExceptionGroup": (1, 0),
    }
    held = next(wait for wait in document["waits"] if wait["for"].startswith("lock"))
    assert (held["count"], held["ended"]) == (19, "woken")
    assert "hold (Task-" in held["ended_by"]
    assert f"next: clew show {done.path} {document['runs'][1]['id'][:8]}" in text


def test_two_processes_are_one_tree(record):
    """A request, the call it makes, and what another process served for it lie in each other."""
    done = record(SERVICES)

    document = json.loads(show(done.path, "GET /outer/0", "--json"))

    (call,) = (node for node in document["tree"]["children"] if node["kind"] == "effect")
    (inner,) = (node for node in call["children"] if node["kind"] == "request")
    assert (document["tree"]["service"], call["service"], inner["service"]) == ("a", "a", "b")
    assert (call["name"], inner["name"]) == ("http GET /inner", "GET /inner")
    assert call["start_ns"] <= inner["start_ns"]
    assert inner["duration_ns"] <= call["duration_ns"]
    # A request that another process asked for can be looked at by itself.
    below = json.loads(show(done.path, "GET /inner", "--json"))
    assert (below["tree"]["kind"], below["tree"]["service"], below["tree"]["start_ns"]) == ("request", "b", 0)


def test_a_killed_program_shows_what_it_was_waiting_for(record):
    """The wait that was open when the process was killed is told in overview and tree."""
    done = record(
        """
        import asyncio, os, signal

        async def waiter(ready):
            await ready.wait()

        async def main():
            ready = asyncio.Event()
            task = asyncio.create_task(waiter(ready), name="stuck")
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
        """
    )

    document = json.loads(show(done.path, "--json"))
    text = show(done.path)
    tree = show(done.path, "program")

    assert document["recording"]["complete"] == "cut"
    (wait,) = document["waits"]
    assert (wait["for"], wait["unfinished"], wait["longest_by"]) == ("event ready", 1, "stuck")
    assert "SIGKILL" in text
    assert "1 never ended" in text
    assert re.search(r"wait event ready +[\d.]+ ms +never ended +program\.py:5 waiter", tree)


def test_what_was_dropped_is_told_and_nothing_is_called_unfinished_for_it(record):
    """With a small buffer, the share of lost events is told; a wait whose end was lost is not blamed."""
    done = record(
        """
        import asyncio

        async def put(queue):
            for i in range(8000):
                await queue.put(i)

        async def get(queue):
            for i in range(8000):
                await queue.get()

        async def main():
            queue = asyncio.Queue(1)
            await asyncio.gather(put(queue), get(queue))

        asyncio.run(main())
        """,
        env={"CLEW_BUFFER_EVENTS": "1024"},
    )

    document = json.loads(show(done.path, "--json"))
    text = show(done.path)
    tree = show(done.path, "program")

    dropped = document["recording"]["dropped"]
    assert dropped > 0
    assert f"{dropped:,} events dropped" in text
    assert re.search(r"[\d,]+ events? dropped: the buffer was full", tree)
    assert "never ended" not in text + tree


def test_an_unknown_run_is_refused_with_what_to_do(record):
    """The message says what was asked for and how to see what there is."""
    done = record("print(1)")

    message = show(done.path, "nonsense", code=2)

    assert "no run or request is called 'nonsense'" in message
    assert "[no-run]" in message


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The bank's planted bugs, recorded."""
    path = tmp_path_factory.mktemp("bank") / "bank.clew"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
    done = subprocess.run(
        [sys.executable, "-m", "clew", "run", "-o", str(path), "--report", str(path.with_suffix(".json")), str(BANK),
         "--scenario", "receipts", "--scenario", "reports", "--scenario", "deadlock"],
        capture_output=True, text=True, timeout=60, env=environ, check=False,
    )  # fmt: skip
    return Recorded(done.returncode, done.stdout, done.stderr, path)


def test_the_bank_shows_its_planted_bugs(bank):
    """The blocked loop, the deadlock and the lost error stand in overview and trees, with their lines."""
    document = json.loads(show(bank.path, "--json"))
    report = json.loads(show(bank.path, "GET /report", "--json"))
    settle = json.loads(show(bank.path, "POST /settle", "--json"))
    receipt = json.loads(show(bank.path, "POST /receipt/{owner}", "--json"))

    waits = {(wait["for"], wait["site"].rpartition("/")[2]) for wait in document["waits"]}
    assert {
        ("lock Account.lock", "accounts.py:93 Bank.settle"),
        ("lock Account.lock", "accounts.py:103 Bank.refund"),
    } <= waits
    assert not any("LifespanOn" in wait["longest_by"] for wait in document["waits"])
    assert {p["exit"] for p in document["processes"]} == {0}
    assert report["tree"]["longest_ns"] > report["tree"]["duration_ns"] // 2
    (wait,) = (n for n in nodes_of(settle["tree"]) if n["name"] == "lock Account.lock")
    assert (wait["outcome"], wait["site"].rpartition("/")[2]) == ("cancelled", "accounts.py:93 Bank.settle")
    (error,) = (n for n in nodes_of(receipt["tree"]) if n["kind"] == "error")
    assert (error["name"], error["outcome"]) == ("KeyError", "unhandled")


def test_the_bank_report_has_the_lost_error_and_not_the_one_that_was_seen(bank):
    """``--report`` tells the receipt that failed unseen; its healthy look-alike is no finding."""
    document = json.loads(bank.path.with_suffix(".json").read_text())

    (finding,) = document["findings"]
    assert (document["schema"], finding["kind"], finding["severity"]) == ("clew.findings/1", "unhandled-error", "error")
    assert finding["title"] == "KeyError: charlie was not handled in task receipt-charlie"
    assert finding["subjects"][0]["site"]["file"].endswith("bank/receipts.py")
    assert "found: KeyError: charlie" in bank.stderr


def test_the_tree_of_the_whole_bank_is_bounded_and_crosses_processes(bank):
    """The program's run fits on some screens and holds what the services did for it."""
    lines = show(bank.path, "bank").splitlines()

    assert len(lines) < 300
    assert any("bank.app serves GET /report" in line for line in lines)
    assert all(len(line) <= 160 for line in lines)
