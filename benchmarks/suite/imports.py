"""What clew costs a program that has it installed and does not record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Case, Plan, interleave
from benchmarks.report import Section, Table, Target

if TYPE_CHECKING:
    from benchmarks.harness import Figures

MODULES = {"clew": "clew", "opentelemetry.sdk.trace": "OpenTelemetry's SDK", "viztracer": "VizTracer"}
METHOD = """`import` of each in a fresh interpreter with warm `.pyc` files, and how many packages of others it brings along. Then the calls a
program may have in it for clew, while nothing records; their peer is the no-op that OpenTelemetry's API is without its SDK."""


def measure(plan: Plan) -> Section:
    """Run it."""
    rounds = 3 if plan.is_quick else 11
    imports = interleave([Case(name, "import_cost.py", (name,)) for name in MODULES], plan, rounds)
    number = str(plan.size(200_000, 20_000))
    calls = interleave([Case("calls", "idle_calls.py", (number,))], plan)["calls"]
    own = [name for name in calls.values if "clew" in name]
    dearest = max(own, key=lambda name: calls[name].median)
    return Section(
        "Installed, and not recording",
        METHOD,
        [
            Table(
                f"Import ({rounds} rounds)",
                ("import", "ms", "modules loaded", "packages of others"),
                [_row(name, imports[name]) for name in MODULES],
            ),
            Table(
                "Calls with nothing recording",
                ("call", "ns"),
                [
                    (f"`{name}`" if name in own else name, calls[name].text())
                    for name in calls.values
                    if name != "cpu_s"
                ],
            ),
        ],
        [
            Target("`import clew`", 15, imports["clew"]["import_ms"].median, " ms", digits=1),
            Target("packages of others that `import clew` loads", 0, imports["clew"]["others"].median, ""),
            Target(
                f"dearest call, `{dearest}`",
                100,
                calls[dearest].median,
                " ns",
                "a `with` is three calls of Python functions: making the mark, `__enter__`, `__exit__`"
                if dearest.startswith("with")
                else "a wrapper with `*arguments, **keywords` is one call more, and a coroutine more if it is async",
            ),
        ],
    )


def _row(name: str, figures: Figures) -> tuple[str, str, str, str]:
    modules, others = figures["modules"].median, figures["others"].median
    return f"{MODULES[name]}: `{name}`", figures["import_ms"].text(1), f"{modules:.0f}", f"{others:.0f}"
