"""Programs from PyPI, as their users start them: recorded unmodified, and what ``clew show`` says of them.

Nobody here wrote them. Each runs plain and under ``clew run``: what the program answers, prints
and returns must be the same, and the overview must say what it did.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import await_rings

from clew.cli.main import main

COMMANDS = Path(sys.executable).parent
CLEW = [str(COMMANDS / "clew"), "run", "--quiet", "-o"]


@dataclass(frozen=True)
class Shown:
    """What ``clew show`` says of a recording: for programs, and for people."""

    json: dict[str, Any]
    text: str

    def wait(self, label: str) -> dict[str, Any]:
        return next(wait for wait in self.json["waits"] if wait["for"] == label)

    def line(self, *parts: str) -> str:
        """The one line of the text with all of *parts*."""
        (line,) = [line for line in self.text.splitlines() if all(part in line for part in parts)]
        return line


@pytest.fixture
def show_run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Ask ``clew show`` for the tree of one run."""

    def ask(path: Path, name: str) -> dict[str, Any]:
        assert main(["show", str(path), name, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["tree"]

    return ask


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Any:
    """Ask ``clew show`` about a recording, which must have lost nothing."""

    def ask(path: Path) -> Shown:
        await_rings(path)
        assert main(["show", str(path), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert main(["show", str(path), "--all"]) == 0
        shown = Shown(document, capsys.readouterr().out)
        assert (document["recording"]["complete"], document["recording"]["dropped"]) == ("complete", 0)
        assert [process["problems"] for process in document["processes"]] == [{}] * len(document["processes"])
        assert "not recorded" not in shown.text
        # The two lines of a console script explain nothing.
        places = [
            thing.get("site") or thing.get("created_at") or ""
            for key in ("errors", "busiest", "waits")
            for thing in document[key]
        ]
        assert [place for place in places if "bin/" in place or "clew/" in place or "<string>" in place] == []
        return shown

    return ask


@contextmanager
def running(command: list[str], folder: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program; it is killed if the test leaves it running."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=inherited | {"PYTHONUNBUFFERED": "1"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


# -- datasette: a web framework under load, on asyncio and a pool of threads

LOAD = Counter(
    {
        "/shop/items.json?_shape=array&_size=20": 20,
        "/shop/items/7.json?_shape=array": 20,
        "/shop.json?_shape=array&sql=select+count(*)+as+n+from+items": 20,
        "/shop/items": 5,
        "/shop.json?_shape=array&sql=select+broken": 10,
    }
)
"""What is asked for, and how often."""
CLIENTS = 8


def make_shop(folder: Path) -> None:
    """Write the database that is served."""
    database = sqlite3.connect(folder / "shop.db")
    database.execute("create table items (id integer primary key, name text, price int)")
    database.executemany("insert into items (name, price) values (?, ?)", [(f"item {n}", n % 97) for n in range(200)])
    database.commit()
    database.close()


def fetch(url: str) -> tuple[int, str]:
    """Return status and body."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def serve(command: list[str], folder: Path) -> tuple[int, Counter[tuple[str, int, str]], Counter[str], str]:
    """Run datasette under load; return its exit code, its answers, its access log and the end of its stderr."""
    options = ["--setting", "suggest_facets", "off", "--setting", "sql_time_limit_ms", "30000"]
    with running([*command, "serve", "shop.db", "--port", "0", *options], folder) as server:
        assert server.stderr is not None
        assert server.stdout is not None
        address = ""
        while not (found := re.search(r"running on (http://\S+)", address)):
            address = server.stderr.readline()
            assert address, "datasette ended before it served"
        with ThreadPoolExecutor(CLIENTS) as clients:
            asked = list(LOAD.elements())
            answers = list(clients.map(lambda path: fetch(found[1] + path), asked))
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    log = Counter(re.sub(r"127\.0\.0\.1:\d+", "CLIENT", line) for line in out.splitlines())
    times = r'(?<="query_ms": )[\d.]+|[\d.]+ms'
    bodies = Counter(
        (path, status, re.sub(times, "TIME", body.replace(found[1], "ADDRESS")))
        for path, (status, body) in zip(asked, answers, strict=True)
    )
    return server.returncode, bodies, log, re.sub(r"\[\d+\]", "[PID]", err[err.index("INFO:     Shutting down") :])


def test_datasette_under_load(tmp_path, show, show_run):
    """Every request is a run that ended well; the SQL ran in a pool of threads, for which the requests waited."""
    make_shop(tmp_path)
    recording = tmp_path / "recording.clew"
    datasette = str(COMMANDS / "datasette")

    plain = serve([datasette], tmp_path)
    recorded = serve([*CLEW, str(recording), "datasette"], tmp_path)
    shown = show(recording)

    assert recorded == plain
    assert plain[0] == 0
    (process,) = shown.json["processes"]
    assert (process["service"], process["exit"], process["state"]) == ("datasette", 0, "ended")
    assert shown.line("datasette", f"pid {process['pid']}", "exit 0")
    requests = [run for run in shown.json["runs"] if run["entry"] == "request"]
    sent = Counter[str]()
    for path, times in LOAD.items():
        sent[f"GET {path.partition('?')[0]}"] += times
    assert Counter(run["name"] for run in requests) == sent
    assert {run["status"] for run in requests} == {"succeeded"}
    for name, times in sent.items():
        assert shown.line(f"{name} ", f"{times}×", "all succeeded")
    # The database: a pool of three threads, a thread that writes.
    assert process["tasks"] >= sent.total()
    workers = [busy for busy in shown.json["busiest"] if busy["name"].startswith("ThreadPoolExecutor-")]
    assert [worker["name"] for worker in sorted(workers, key=lambda worker: worker["name"])] == [
        f"ThreadPoolExecutor-1_{n}" for n in range(len(workers))
    ]
    assert {worker["created_at"].partition(":")[0] for worker in workers} == {"datasette/database.py"}
    waits = shown.wait("wait future Database.execute_fn.<locals>.in_thread")
    assert waits["count"] >= sent.total()
    assert waits["unfinished"] == 0
    assert sum(worker["steps"] for worker in workers) >= waits["count"]
    # One line for the tasks of all requests.
    name = f"{sent.total()} tasks RequestResponseCycle.run_asgi"
    (tasks,) = [busy for busy in shown.json["busiest"] if busy["name"] == name]
    assert tasks["count"] == sent.total()
    assert tasks["steps"] > sent.total()
    assert re.match(r"uvicorn/protocols/http/\w+.py:\d+ ", tasks["created_at"])
    # The thread that writes had nothing to do: nobody waited for it.
    assert not [wait for wait in shown.json["waits"] if wait["longest_by"] == "Thread-1 (_execute_writes)"]
    # What is wrong in it: SQL that SQLite refuses.
    (error,) = [error for error in shown.json["errors"] if error["message"] == "no such column: broken"]
    broken = LOAD["/shop.json?_shape=array&sql=select+broken"]
    assert (error["type"], error["count"], error["unhandled"]) == ("sqlite3.OperationalError", broken, 0)
    assert re.match(r"datasette/database.py:\d+ Database.execute.<locals>", error["site"])
    assert shown.line(f"{broken}×", "OperationalError: no such column: broken")

    # One request: where its time went, and who served it.
    tree = show_run(recording, "GET /shop/items/7.json")
    assert (tree["kind"], tree["detail"], tree["outcome"]) == ("request", "200", "ok")
    assert tree["ran_ns"] + tree["ready_ns"] + tree["waited_ns"] <= tree["duration_ns"]
    waited = [child for child in tree["children"] if child["name"] == "future Database.execute_fn.<locals>.in_thread"]
    assert waited
    assert {child["woken_by"]["scope"].rpartition("_")[0] for child in waited} == {"ThreadPoolExecutor-1"}


# -- huey: eight threads that take tasks from one queue

SHOP = """
    import threading

    from huey import SqliteHuey

    huey = SqliteHuey("shop", filename="queue.db")
    counting = threading.Lock()
    together = threading.Barrier(8)
    total = 0

    @huey.task()
    def add(n):
        global total
        with counting:
            total += n
        print(f"added {n}\\n", end="")

    @huey.task(retries=1)
    def flaky(n):
        print(f"tried {n}\\n", end="")
        raise ValueError(f"bad order {n}")

    @huey.task()
    def meet():
        together.wait(30)
        print("met\\n", end="")

    @huey.task()
    def report():
        print(f"total {total}\\n", end="")
"""
ENQUEUE = """
    import shop

    for n in range(100):
        shop.add(n)
    for n in range(2):
        shop.flaky(n)
    for _ in range(8):
        shop.meet()
"""


def consume(command: list[str], folder: Path) -> tuple[int, Counter[str], Counter[str]]:
    """Run huey's consumer until all is done; return its exit code, its output and its log."""
    for file in folder.glob("queue.db*"):
        file.unlink()
    enqueue = [sys.executable, "-c"]
    subprocess.run([*enqueue, textwrap.dedent(ENQUEUE)], cwd=folder, check=True)
    options = ["shop.huey", "--workers", "8", "--delay", "0.01", "--max-delay", "0.05"]
    with running([*command, *options], folder, PYTHONPATH=str(folder)) as consumer:
        assert consumer.stdout is not None
        lines = [consumer.stdout.readline() for _ in range(100 + 4 + 8)]
        subprocess.run([*enqueue, "import shop; shop.report()"], cwd=folder, check=True)
        lines.append(consumer.stdout.readline())
        consumer.send_signal(signal.SIGINT)
        out, err = consumer.communicate(timeout=30)
    lines += out.splitlines(keepends=True)
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    log = re.sub(uuid, "ID", re.sub(r"^\[.*?\] |Worker-\d+|in \d+\.\d+s|PID \d+ at .*", "", err, flags=re.MULTILINE))
    return consumer.returncode, Counter(lines), Counter(log.splitlines())


def test_huey_with_eight_threads(tmp_path, show, capsys):
    """Who the threads are, what they waited for, what failed in them, and where in the user's code."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    recording = tmp_path / "recording.clew"

    plain = consume([str(COMMANDS / "huey_consumer")], tmp_path)
    recorded = consume([*CLEW, str(recording), "huey_consumer"], tmp_path)
    shown = show(recording)

    assert recorded == plain
    assert (plain[0], plain[1]["total 4950\n"], plain[1]["met\n"]) == (0, 1, 8)
    (process,) = shown.json["processes"]
    assert (process["exit"], process["state"], process["threads"]) == (0, "ended", 10)
    assert shown.line("huey_consumer", "exit 0", "10 threads")
    # All eight are there at once; each waits for the last.
    met = shown.wait("wait barrier shop.together")
    assert (met["count"], met["unfinished"]) == (8, 0)
    assert re.fullmatch(r"Worker-[1-8]", met["longest_by"])
    assert re.fullmatch(r"shop.py:\d+ meet", met["site"])
    # Each order was tried twice; huey logs the error and goes on.
    errors = {error["message"]: error for error in shown.json["errors"]}
    assert set(errors) == {"bad order 0", "bad order 1"}
    for error in errors.values():
        assert (error["type"], error["count"], error["unhandled"]) == ("ValueError", 2, 0)
        assert re.fullmatch(r"shop.py:\d+ flaky", error["site"])
    assert shown.json["kinds"]["log.record"] == 4
    assert shown.json["kinds"]["life.thread_end"] == 9
    assert main(["export", str(recording), "--format", "perfetto", "-o", str(tmp_path / "trace.json")]) == 0
    capsys.readouterr()
    trace = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    names = {event["args"]["name"] for event in trace if event["ph"] == "M" and event["name"] == "thread_name"}
    assert names >= {"MainThread", "Scheduler", *(f"Worker-{n}" for n in range(1, 9))}


# -- black: a pool of processes

FILES = 8
BAD_STYLE = "def area( width,height ):\n  return {{ 'of' : {} , 'is':width*height }}\n"


def format_files(command: list[str], folder: Path) -> tuple[int, str, Counter[str], dict[str, str]]:
    """Run black on files in *folder*; return its exit code, its output and the files afterwards."""
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    source.mkdir()
    for number in range(FILES):
        (source / f"m{number}.py").write_text(BAD_STYLE.format(number) * 20)
    (source / "broken.py").write_text("def (:\n")
    with running([*command, "--workers", "2", "source"], folder, BLACK_CACHE_DIR=str(folder / "cache")) as process:
        out, err = process.communicate(timeout=60)
    return (
        process.returncode,
        out,
        Counter(err.splitlines()),
        {file.name: file.read_text() for file in source.iterdir()},
    )


def test_black_with_two_worker_processes(tmp_path, show, show_run):
    """The work is said to be done by the workers, the error to have come from one of them."""
    recording = tmp_path / "recording.clew"

    plain = format_files([str(COMMANDS / "black")], tmp_path)
    recorded = format_files([*CLEW, str(recording), "black"], tmp_path)
    shown = show(recording)

    assert recorded == plain
    assert (plain[0], len(plain[3])) == (123, FILES + 1)
    first, *workers = shown.json["processes"]
    assert (first["exit"], first["state"], first["tasks"]) == (123, "ended", 1)
    assert shown.line(f"pid {first['pid']}", "exit 123")
    assert [(worker["state"], worker["exit"]) for worker in workers] == [("ended", 0), ("ended", 0)]
    assert {worker["label"] for worker in workers} == {"ForkProcess-1", "ForkProcess-2"}
    (run,) = [run for run in shown.json["runs"] if run["process"] == first["process"]]
    assert (run["name"], run["status"], run["entry"]) == ("black", "failed", "process")
    jobs = [busy for busy in shown.json["busiest"] if re.fullmatch(r"ForkProcess-[12]", busy["service"])]
    assert sum(job["steps"] for job in jobs) == FILES + 1
    finished = shown.wait("wait queue finished (get)")
    assert finished["longest_by"] == "schedule_formatting (Task-1)"
    assert re.fullmatch(r"black/concurrency.py:\d+ schedule_formatting", finished["site"])
    (error,) = shown.json["errors"]
    assert (error["type"], error["count"], error["unhandled"]) == ("black.parsing.InvalidInput", 1, 0)
    assert "black/parsing.py" in shown.line("1×", "InvalidInput: cannot parse: 1:4")
    tree = show_run(recording, "black")
    assert (tree["kind"], tree["outcome"]) == ("run", "failed")
    failed = [
        child for child in tree["children"] if child["name"] == "format_file_in_place" and child["outcome"] == "failed"
    ]
    assert [child["service"] for child in failed] == [error["service"]]
