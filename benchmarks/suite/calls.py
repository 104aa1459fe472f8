"""What `--calls` costs a program that does little but call functions."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from tools.test_all import OTHERS, environment, find_python

from benchmarks.harness import Case, Figures, Plan, interleave
from benchmarks.report import Section, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "functions.py"
METHOD = """`fib`, whose calls cost less than any observation of them, and a calculator made of small functions, by CPU time of the whole process
(least of 5 repeats). Peers record the same calls: VizTracer with `ignore_c_function`, cProfile without builtins; VizTracer's writing of its file
is not counted. Sampling has a longer run of its own, and the mean of its repeats: most moments have no sample. On 3.12 and newer clew uses
`sys.monitoring`, on 3.11 `sys.setprofile`."""
LABELS = {
    "calls": "clew, `--calls`",
    "clew": "clew, as it is by default",
    "viztracer": "VizTracer",
    "cprofile": "cProfile",
    "sampled": "clew, `--calls=sampled`",
}
COUNTED = ("fib", "calculator")


def measure(plan: Plan) -> Section:
    """Run it on every Python there is."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    pythons = {own: sys.executable}
    for version in OTHERS:
        found = None if version == own else find_python(version)
        if found is not None:
            plan.progress(f"environment of Python {version}")
            with redirect_stdout(sys.stderr):
                pythons[version] = str(environment(version, found))
    short = (str(plan.size(22, 16)), str(plan.size(400, 40)))
    long = (str(plan.size(29, 20)), str(plan.size(6000, 200)))
    counts = {size: Case("count", PROGRAM, ("count", *size)).run() for size in (short, long)}
    rows: list[Sequence[str]] = []
    for version, python in pythons.items():
        cases = [
            Case("plain", PROGRAM, ("plain", *short), python=python),
            Case("clew", PROGRAM, ("plain", *short), python=python, clew=()),
            Case("calls", PROGRAM, ("plain", *short), python=python, clew=("--calls",)),
            Case("viztracer", PROGRAM, ("viztracer", *short), python=python),
            Case("cprofile", PROGRAM, ("cprofile", *short), python=python),
            Case("plain, long", PROGRAM, ("plain", *long), python=python),
            Case("sampled", PROGRAM, ("plain", *long), python=python, clew=("--calls=sampled",)),
        ]
        figures = interleave(cases, plan)
        for name, label in LABELS.items():
            is_long = name == "sampled"
            plain, count = figures["plain, long" if is_long else "plain"], counts[long if is_long else short]
            rows.append((version, label, *_cells(figures[name], plain, count, " mean" if is_long else "")))
    head = ("Python", "observed by", "fib, ns a call", "fib, ×", "calculator, ns a call", "calculator, ×", "dropped")
    return Section("Every function call", METHOD, [Table("", head, rows)])


def _cells(mine: Figures, plain: Figures, count: dict[str, float], suffix: str) -> list[str]:
    cells: list[str] = []
    for program in COUNTED:
        key = program + suffix
        cells.append(((mine[key] - plain[key]) / count[program]).text(1 if suffix else 0))
        cells.append(f"{(mine[key] / plain[key]).median:.2f}")
    cells.append(f"{(mine['dropped'] / mine['events']).median:.1%}" if "events" in mine else "")
    return cells
