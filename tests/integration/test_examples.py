"""The example programs: they run, their planted bugs show, and they can be recorded."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.cli import demo
from clew.format.reader import Recording, open_recording
from clew.model.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PROGRAMS = ("bank", "pipeline")
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
# fmt: off
KINDS = {
    "deadlock", "distributed-deadlock", "blocked-loop", "orphan-wait", "exhausted-pool", "external-wait",
    "backpressure", "top-blocker", "data-race", "lost-update", "lock-order-inversion", "unhandled-error",
    "critical-path", "blocking-call", "anomaly", "retry-storm", "n-plus-one", "divergence", "drift",
    "live-call-blocked",
}
# fmt: on

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run Python with the given arguments, in an empty folder."""

    def run_python(*args: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args],
            capture_output=True, text=True, timeout=60, env=ENVIRON, cwd=tmp_path, check=False,
        )  # fmt: skip

    return run_python


def verdicts(output: str) -> dict[str, str]:
    """What the bank printed, by subject: the verdict and the text."""
    lines = (re.match(r"(ok|WRONG)\s+(.+?)\s{2,}(.+)", line) for line in output.splitlines())
    return {line[2]: f"{line[1]}: {line[3]}" for line in lines if line}


def problems(recording: Recording) -> dict[str, str]:
    """Hooks that failed, in any process."""
    found: dict[str, str] = {}
    for stream in recording.streams:
        found |= (stream.end or {}).get("problems", {})
    return found


def test_the_bank_shows_its_customers_what_is_wrong(run):
    """Each planted bug has a visible effect, and its healthy look-alike has none."""
    scenarios = ("transfers", "receipts", "loans")

    done = run(EXAMPLES / "bank", *(f"--scenario={name}" for name in scenarios))

    assert done.returncode == 0, done.stderr
    seen = verdicts(done.stdout)
    assert seen["POST /transfer"] == "WRONG: alice 800, bob 600, charlie 500: 1900 of 1800"
    assert seen["POST /transfer/safe"] == "ok: alice 700, bob 600, charlie 500: 1800 of 1800"
    assert seen["POST /transfer/checked"] == "ok: alice 700, bob 600, charlie 500: 1800 of 1800"
    assert seen["POST /receipt/…"] == "WRONG: 3 promised, 2 sent, 0 known to have failed"
    assert seen["POST /receipt/…/checked"] == "ok: 3 promised, 2 sent, 1 known to have failed"
    assert seen["loan bob_12000"].startswith("WRONG: approved: 42 % of the income, limit 50 %")
    assert seen["loan bob_12000_current"].startswith("ok: declined: 42 % of the income, limit 35 %")
    assert [subject for subject, text in seen.items() if text.startswith("WRONG")] == [
        "POST /transfer",
        "POST /receipt/…",
        "loan bob_12000",
    ]


def test_the_bank_ends_although_two_of_its_requests_never_do(run):
    """The customers of the deadlock give up, and no service is left behind."""
    done = run(EXAMPLES / "bank", "--scenario", "deadlock", "--seconds", "0.3")

    assert done.returncode == 0, done.stderr
    assert verdicts(done.stdout)["POST /settle, /refund"] == "WRONG: at once: 0 of 2 answered within 0.3 s"
    pids = [int(pid) for pid in re.findall(r"pid (\d+)", done.stdout)]
    assert len(pids) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_the_bank_is_recorded_with_all_its_services(run, tmp_path):
    """Under ``clew run`` the bank does what it does without, and every process has its stream."""
    path = tmp_path / "bank.clew"

    done = run("-m", "clew", "run", "-o", path, EXAMPLES / "bank", "--scenario=transfers", "--scenario=settlements")

    assert done.returncode == 0, done.stderr
    seen = verdicts(done.stdout)
    assert seen["POST /transfer"] == "WRONG: alice 800, bob 600, charlie 500: 1900 of 1800"
    assert seen["POST /transfer/safe"].startswith("ok: alice 700")
    assert seen["POST /settle/safe, /refund/safe"] == "ok: at once: both answered"
    recording = open_recording(path)
    services = sorted(stream.process["service"] for stream in recording.streams)
    assert services == ["bank", "bank.app", "bank.backoffice", "bank.model_server"]
    assert problems(recording) == {}


def test_the_pipeline_shows_what_is_wrong(run):
    """The unlocked counter loses lines, one batch is silently not archived, the rest is right."""
    done = run(EXAMPLES / "pipeline")

    assert done.returncode == 0, done.stderr
    counted, spoilt = re.search(r"lines counted: (\d+) of 2400, spoilt: (\d+)", done.stdout).groups()
    assert int(counted) < 2400
    assert spoilt == "24"
    assert "47 batches, 1 left out, 115,049.62 paid to 9 merchants" in done.stdout
    assert "batches archived: 47 of 48" in done.stdout
    assert done.stderr == "aggregator: a batch is left out: merchant-7 was paid nothing\n"


def test_the_pipeline_is_recorded_with_its_workers(run, tmp_path):
    """Under ``clew run`` the pipeline does what it does without, and the workers have their streams."""
    path = tmp_path / "pipeline.clew"

    done = run("-m", "clew", "run", "-o", path, EXAMPLES / "pipeline")

    assert done.returncode == 0, done.stderr
    assert "batches archived: 47 of 48" in done.stdout
    recording = open_recording(path)
    assert len(recording.streams) >= 3
    assert problems(recording) == {}


def test_the_pipeline_hangs_when_its_writer_dies():
    """In the scenario ``stuck`` the main thread waits until its alarm goes off."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "pipeline", "--scenario", "stuck"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRON,
    )  # fmt: skip
    try:
        for line in process.stderr:
            if "No space left on device" in line:
                break
        process.send_signal(signal.SIGALRM)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 1
    assert output == ""
    assert "gave up" in errors


def test_the_expected_sites_are_those_of_the_markers(run):
    """``expected.json`` names the files, lines and functions that the sources mark."""
    done = run(ROOT / "tools" / "expected_answers.py")

    assert done.returncode == 0, f"stale: {done.stdout}{done.stderr}: run tools/expected_answers.py --write"


@pytest.mark.parametrize("program", PROGRAMS)
def test_expected_answers_use_known_words(program, monkeypatch):
    """Kinds, questions and scenarios of ``expected.json`` exist."""
    monkeypatch.syspath_prepend(EXAMPLES)
    known = {"all", "stuck"} if program == "pipeline" else {"all", *importlib.import_module("bank.load").SCENARIOS}
    expected = json.loads((EXAMPLES / program / "expected.json").read_text())

    for entry in expected["planted"]:
        assert set(entry["scenarios"]) <= known
        for answer in entry["answers"]:
            assert answer["kind"] in KINDS
            assert answer["question"] in ("stuck", "wrong", "slow", "what-if")
            assert set(answer.get("scenarios", [])) <= set(entry["scenarios"])
    for entry in expected["healthy"]:
        assert set(entry["scenarios"]) <= known
        assert set(entry["never"]) <= KINDS | {"*"}
    planted = {entry["id"] for entry in expected["planted"]}
    assert planted <= {entry["id"] for entry in expected["healthy"]}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_knows_nothing_of_clew(program):
    """No example imports clew."""
    for path in (EXAMPLES / program).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "clew" for name in names), path


def test_the_demo_records_the_bank_and_says_what_to_type_next(run, tmp_path):
    """``clew demo`` plays every scenario, keeps the recording, and names it in what comes next."""
    done = run("-m", "clew", "demo", "--no-serve")

    assert done.returncode == 0, done.stderr
    assert f"$ clew run {EXAMPLES / 'bank'}" in done.stdout
    assert len(verdicts(done.stdout)) == 24  # of 25 lines, two are about the same requests
    (path,) = (tmp_path / ".clew").glob("bank-*.clew")
    assert f"clew sql {path.relative_to(tmp_path)}" in done.stdout
    recording = open_recording(path)
    assert len(recording.streams) == 4
    assert problems(recording) == {}


def test_the_demo_names_the_extra_it_lacks(monkeypatch):
    """Without the bank's dependencies the demo says what to install."""
    monkeypatch.setattr(demo, "DEPENDENCIES", ("json", "no_such_package"))

    with pytest.raises(UsageError, match=r"needs no_such_package, .*pip install 'clew\[demo\]' \[missing-extra\]"):
        demo.execute(None)


def test_an_installed_demo_runs_a_copy_that_may_be_edited(tmp_path, monkeypatch):
    """Outside a checkout the bank is copied out of the package, once."""
    package = tmp_path / "site-packages" / "clew"
    bank = package / "_examples" / "bank"
    bank.mkdir(parents=True)
    (bank / "__main__.py").write_text("print('bank')")
    monkeypatch.setattr(demo.clew, "__file__", str(package / "__init__.py"))

    copy = demo.find_bank(tmp_path / ".clew")
    (copy / "__main__.py").write_text("edited")

    assert "site-packages" not in str(copy)
    assert demo.find_bank(tmp_path / ".clew") == copy
    assert (copy / "__main__.py").read_text() == "edited"
