"""How long it takes to look at a recording of a million events."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import PROGRAMS, Plan, clean_environ, interleave_calls, run_json
from benchmarks.report import Section, Table, Target
from benchmarks.synthetic import write_recording

if TYPE_CHECKING:
    from collections.abc import Callable

METHOD = """The commands as one types them, start of the interpreter included, on a synthetic recording (`benchmarks/synthetic.py`: a server, its requests, locks, queues, threads, spans).
The peer's is the least that any reader of its file has to do: `json.loads` of a file with as many events that VizTracer wrote of `programs/long_run.py`, and counting them by name.
All files are in the page cache."""
COUNT_BY_NAME = """
import collections, json, pathlib, sys
events = json.loads(pathlib.Path(sys.argv[1]).read_bytes())["traceEvents"]
print(len(collections.Counter(event["name"] for event in events)))
"""
COUNT_BY_KIND = "select kind, count(*) from events group by kind"
BECAUSE_SHOW = (
    "each of the 126,000 spans of this recording becomes a Python object, and each of its 31,000 requests a run"
)
BECAUSE_SQL = "the whole stream is decoded, though the query reads one column"
EVENTS_PER_REQUEST = 100
"""Of VizTracer's, in ``long_run.py``."""


def measure(plan: Plan) -> Section:
    """Run it."""
    events = plan.size(1_000_000, 50_000)
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as name:
        folder = Path(name)
        plan.progress("writing the recordings")
        recording, trace = str(write_recording(folder / "r.clew", events)), str(folder / "trace.json")
        program = (sys.executable, str(PROGRAMS / "long_run.py"), "viztracer", str(events // EVENTS_PER_REQUEST), trace)
        traced = run_json(program, name)[0]["traced"]
        clew = (sys.executable, "-m", "clew")
        commands = {
            "clew show": (*clew, "show", recording),
            "clew sql": (*clew, "sql", recording, COUNT_BY_KIND),
            "json": (sys.executable, "-c", COUNT_BY_NAME, trace),
        }
        figures = interleave_calls({name: _timed(command) for name, command in commands.items()}, plan)
        sizes = [
            sum(file.stat().st_size for file in Path(recording).rglob("*") if file.is_file()),
            Path(trace).stat().st_size,
        ]
    labels = {
        "clew show": "`clew show RECORDING`",
        "clew sql": f"`clew sql RECORDING '{COUNT_BY_KIND}'`",
        "json": "VizTracer's JSON: `json.loads`, count by name",
    }
    counts = {"clew show": events, "clew sql": events, "json": traced}
    rows = [
        (
            label,
            f"{counts[name]:,.0f}",
            f"{sizes[name == 'json'] / 1e6:,.0f} MB",
            figures[name]["wall_s"].text(2),
            figures[name]["cpu_s"].text(2),
            figures[name]["mib"].text(),
        )
        for name, label in labels.items()
    ]
    return Section(
        "Reading a million events",
        METHOD,
        [Table("", ("command", "events", "file", "seconds", "CPU seconds", "peak memory, MiB"), rows)],
        [
            Target("`clew show`", 2, figures["clew show"]["wall_s"].median, " s", BECAUSE_SHOW, digits=2),
            Target("`clew sql`, count by kind", 1, figures["clew sql"]["wall_s"].median, " s", BECAUSE_SQL, digits=2),
        ],
    )


def _timed(command: tuple[str, ...]) -> Callable[[], dict[str, float]]:
    """Return a function that runs *command*: how long, how much CPU time, and how much memory at most."""

    def run() -> dict[str, float]:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environ())
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would look for it
        if status:
            raise RuntimeError(f"{' '.join(command[1:4])} failed")
        return {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}

    return run
