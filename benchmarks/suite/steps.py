"""What a step of an event loop costs more when it is recorded."""

from __future__ import annotations

from benchmarks.harness import Case, Plan, interleave
from benchmarks.report import Section, Table, Target

LOOPS = ("asyncio", "uvloop")
PEERS = {
    "otel": "OpenTelemetry, one span a step",
    "viztracer": "VizTracer",
    "cprofile": "cProfile",
}
BECAUSE = {
    "asyncio": "the hooks are Python functions: two more are entered in each step, and the clock is read three times",
    "uvloop": "uvloop calls from C, where nothing can be replaced, so each callback is put into a function of clew's: "
    "making and entering it comes on top",
}
METHOD = """Two tasks wake each other through bare futures: each step is a wake, a begin and an end, and nothing else happens. CPU time of the loop's
own thread per step (least of 5 repeats in the process, after a warm-up), less the same unrecorded; and of the whole process, where a
peer has a thread that exports. clew writes to disk from another process, whose CPU time is in the section on size.
OpenTelemetry does not see steps: its unit is a span, so its program opens one around each step (`BatchSpanProcessor` with default settings; the exporter
encodes OTLP and sends it nowhere). The same program with `clew.span` instead, in which clew records the steps *and* the spans, is the row beside it.
VizTracer and cProfile see functions, not steps; writing VizTracer's file is not counted. On uvloop they see none of the loop."""


def measure(plan: Plan) -> Section:
    """Run it."""
    steps = str(plan.size(30_000, 3_000))
    cases: list[Case] = []
    for loop in LOOPS:
        cases.append(Case(f"{loop} plain", "pingpong.py", (loop, "plain", steps)))
        cases.append(Case(f"{loop} clew", "pingpong.py", (loop, "plain", steps), clew=()))
        cases.append(Case(f"{loop} span", "pingpong.py", (loop, "span", steps), clew=()))
        cases += [Case(f"{loop} {peer}", "pingpong.py", (loop, peer, steps)) for peer in PEERS if _is_seen(loop, peer)]
    figures = interleave(cases, plan)
    rows: list[tuple[str, ...]] = []
    targets: list[Target] = []
    for loop in LOOPS:
        plain = figures[f"{loop} plain"]
        costs = {name: figures[f"{loop} {name}"]["step_ns"] - plain["step_ns"] for name in _names(loop)}
        for name, label in _names(loop).items():
            mine = figures[f"{loop} {name}"]
            whole = mine["step_process_ns"] - plain["step_process_ns"]
            lost = f"{mine['lost'].median:.1%}" if "lost" in mine else ""
            if "events" in mine:
                lost = f"{mine['dropped'].median / mine['events'].median:.1%}"
            queue = (mine["queue_ns"] - plain["queue_ns"]).text() if "queue_ns" in mine else ""
            times = f"{costs[name].median / costs['clew'].median:.1f}"
            rows.append((loop, label, costs[name].text(), times, whole.text(), lost, queue))
        rows.append((loop, "*(the step itself)*", plain["step_ns"].text(), "", "", "", plain["queue_ns"].text()))
        targets.append(Target(f"a loop step, {loop}", 1500, costs["clew"].median, " ns", BECAUSE[loop]))
        ratio = costs["otel"].median / costs["clew"].median
        targets.append(
            Target(
                f"an OpenTelemetry span costs as many recorded steps, {loop}", 10, ratio, "×", at_least=True, digits=1
            )
        )
    head = (
        "loop",
        "observed by",
        "ns a step",
        "× clew's",
        "ns a step, whole process",
        "lost",
        "ns a round trip with queues",
    )
    table = Table("", head, rows)
    return Section("A step of an event loop", METHOD, [table], targets)


def _names(loop: str) -> dict[str, str]:
    peers = {name: label for name, label in PEERS.items() if _is_seen(loop, name)}
    return {"clew": "clew", "span": "clew, and `clew.span` around each step", **peers}


def _is_seen(loop: str, peer: str) -> bool:
    return loop == "asyncio" or peer == "otel"
