"""What recording an operation of a lock, event or queue costs."""

from __future__ import annotations

from benchmarks.harness import Case, Plan, interleave
from benchmarks.report import Section, Table, Target

LIMIT_NS = 1000
METHOD = """Rounds of operations that do not have to wait, in one task or thread: CPU time of that thread (least of 5 repeats in the process, after a
warm-up), less the same unrecorded, by the number of events clew recorded in a round. VizTracer and cProfile do not know these operations; they record the
function calls made in them (C functions included, by default), and stand here for what looking at the same code costs, per round."""
BECAUSE = "C code is replaced by a Python function that calls it: entering and leaving that costs more than the event"


def measure(plan: Plan) -> Section:
    """Run it."""
    rounds = str(plan.size(10_000, 1_000))
    arguments = ("plain", rounds)
    figures = interleave(
        [
            Case("plain", "sync_operations.py", arguments),
            Case("clew", "sync_operations.py", arguments, clew=()),
            Case("viztracer", "sync_operations.py", ("viztracer", rounds)),
            Case("cprofile", "sync_operations.py", ("cprofile", rounds)),
        ],
        plan,
    )
    plain, clew = figures["plain"], figures["clew"]
    rows: list[tuple[str, ...]] = []
    targets: list[Target] = []
    for name in plain.values:
        if f"{name} events" not in clew:
            continue
        events = int(clew[f"{name} events"].median)
        cost = clew[name] - plain[name]
        an_event = cost / max(events, 1)
        others = [(figures[peer][name] - plain[name]).text() for peer in ("viztracer", "cprofile")]
        rows.append((name, plain[name].text(), str(events), an_event.text(), cost.text(), *others))
        targets.append(Target(name, LIMIT_NS, an_event.median, " ns", BECAUSE))
    head = ("operations", "unrecorded, ns", "events", "clew, ns an event", "clew, ns", "VizTracer, ns", "cProfile, ns")
    lost = f"Events dropped by clew: {clew['dropped'].median / clew['events'].median:.1%}."
    return Section("Synchronisation, event by event", METHOD, [Table(lost, head, rows)], targets)
