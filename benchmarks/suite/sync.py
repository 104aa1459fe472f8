"""What recording an operation of a lock, event or queue costs."""

from __future__ import annotations

from benchmarks.harness import Case, Plan, interleave
from benchmarks.report import Section, Table, Target

LIMIT_NS = 1000
METHOD = """Rounds of operations that do not have to wait, in one task or thread: CPU time of that thread (least of 5 repeats in the process, after a
warm-up), less the same unrecorded, by the number of events clew recorded in a round. VizTracer and cProfile do not know these operations; they record the
function calls made in them (C functions included, by default), and stand here for what looking at the same code costs, per round."""
BECAUSE = "an event is about 80 bytecodes of Python (site, clock, slot of the ring), entering and leaving the hook 20 to 40 more"
BECAUSE_OF = {
    "asyncio.Queue: put, get": "; put and get are coroutines, and an inner wake-up is seen on the way",
    "queue.Queue: put, get": "; its lock and conditions are seen and left out on the way: 7 calls of Python functions an event",
    "threading.Condition: acquire, notify, release": "; the user's line stands behind frames of `threading`, which must be walked",
}


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
        targets.append(Target(name, LIMIT_NS, an_event.median, " ns", BECAUSE + BECAUSE_OF.get(name, "")))
    head = ("operations", "unrecorded, ns", "events", "clew, ns an event", "clew, ns", "VizTracer, ns", "cProfile, ns")
    lost = f"Events dropped by clew: {clew['dropped'].median / clew['events'].median:.1%}."
    return Section("Synchronisation, event by event", METHOD, [Table(lost, head, rows)], targets)
