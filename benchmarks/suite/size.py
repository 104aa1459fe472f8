"""What a recording weighs, on disk and in the observed process."""

from __future__ import annotations

from benchmarks.harness import Case, Plan, interleave
from benchmarks.report import Section, Table, Target

EVENTS_PER_REQUEST = 14.8
"""Of ``programs/long_run.py``; only to choose how long it runs, the events are counted."""
LABELS = {"clew": "clew", "viztracer": "VizTracer"}
METHOD = """A long asyncio program (clients that take a lock, put work on a queue and await its result, workers that serve it, tasks that come and go), recorded into a folder,
as it stands on disk when the program has ended. VizTracer records its own kind of events of a shorter run of the same program, with a buffer that holds them all, and writes
JSON; it weighs each by itself. Memory is what the process has resident, ring in shared memory included, less what the unrecorded program has at the same point of its work;
shared pages are the ring's, of fixed size, and count once they were touched. A peer that keeps its events in memory grows with them."""


def measure(plan: Plan) -> Section:
    """Run it."""
    events = plan.size(3_000_000, 90_000)
    requests = str(int(events / EVENTS_PER_REQUEST))
    fewer = str(int(plan.size(1_000_000, 100_000) / 100))
    figures = interleave(
        [
            Case("plain", "long_run.py", ("plain", requests)),
            Case("clew", "long_run.py", ("plain", requests), clew=()),
            Case("viztracer", "long_run.py", ("viztracer", fewer, "{folder}/trace.json")),
        ],
        plan,
    )
    plain, clew, viztracer = figures["plain"], figures["clew"], figures["viztracer"]
    weight = clew["bytes"] / clew["events"]
    disk = [
        ("clew", f"{clew['events'].median:,.0f}", weight.text(1), f"{clew['bytes'].median / 1e6:,.1f} MB"),
        *(
            (
                label,
                f"{viztracer['traced'].median:,.0f}",
                (viztracer[key] / viztracer["traced"]).text(1),
                f"{viztracer[key].median / 1e6:,.1f} MB",
            )
            for key, label in (("file_bytes", "VizTracer, JSON"), ("gz_bytes", "VizTracer, JSON with gzip -6"))
        ),
    ]
    added, private = (
        [clew[f"{key}_{part}"] - plain[f"{key}_{part}"] for part in range(4)] for key in ("mib", "private_mib")
    )
    memory = [
        (f"clew, after {clew[f'events_{part}'].median:,.0f} events", added[part].text(1), private[part].text(1))
        for part in range(4)
    ]
    for part in range(4):
        shares = [(viztracer[f"{key}_{part}"] - plain[f"{key}_0"]).text(1) for key in ("mib", "private_mib")]
        memory.append(
            (f"VizTracer, after about {viztracer['traced'].median * (0.1 + part) / 3.1:,.0f} events", *shares)
        )
    drain = (clew["cpu_s"] - clew["own_cpu_s"]) / clew["events"].median / 1e-9
    own = (clew["own_cpu_s"] - plain["own_cpu_s"]) / clew["events"].median / 1e-9
    lost = clew["dropped"].median / clew["events"].median
    costs = [
        ("in the program, all its hooks", own.text()),
        ("in the process that writes (start of both interpreters included)", drain.text()),
    ]
    growth = (private[3] - private[1]).median
    targets = [
        Target("bytes per event on disk", 12, weight.median, " B", digits=1),
        Target("memory added to the process, at the end", 64, added[3].median, " MiB", digits=1),
        Target(
            "growth of private memory over the second and third part of the run", 0.5, growth, " MiB",
            "something of clew's grows with the number of events: a bug", digits=1,
        ),
    ]  # fmt: skip
    return Section(
        "Weight of a recording",
        METHOD,
        [
            Table("On disk", ("recorded by", "events", "bytes an event", "in all"), disk),
            Table("MiB of memory added to the observed process", ("recorded by", "MiB", "of it private"), memory),
            Table(
                f"Processor time of clew by event; {lost:.1%} of the events were dropped",
                ("where", "ns an event"),
                costs,
            ),
        ],
        targets,
    )
