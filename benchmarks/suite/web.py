"""What recording takes from the throughput of a web service."""

from __future__ import annotations

from benchmarks.harness import Case, Plan, interleave
from benchmarks.report import Section, Table, Target

LOADS = {
    "a request with httpx, 16 at a time": ("call", "16"),
    "a request with httpx, 2 at a time": ("call", "2"),
}
LABELS = {"plain": "nothing", "clew": "clew", "otel": "OpenTelemetry"}
BECAUSE = (
    "a request is 28 events in 12 steps, about 10,000 bytecodes of clew's Python; 40 % of them are the steps of the loop, a sixth each "
    "the two HTTP spans and the search for the user's line behind the frames of httpx"
)
METHOD = """Starlette on uvicorn (asyncio, h11 or httptools as uvicorn chooses), each request waits 2 ms as for a database and makes one HTTP request with httpx to a stub.
The load comes from another process, over as many connections as requests are under way; with 16 the service's core is busy all the time, so whatever a
recorder takes is missing: the hardest case. clew runs with default settings: it records each step, wake, lock, HTTP request and response.
OpenTelemetry records with its instrumentations of Starlette and httpx, through `BatchSpanProcessor` and an exporter that encodes OTLP and sends it nowhere.
*Kept* is throughput by that of the service left alone, within each round."""


def measure(plan: Plan) -> Section:
    """Run it."""
    requests = str(plan.size(1500, 200))
    cases: list[Case] = []
    for load, (work, concurrency) in LOADS.items():
        for name in LABELS:
            mode = "otel" if name == "otel" else "plain"
            options = () if name == "clew" else None
            cases.append(Case(f"{load}: {name}", "web_service.py", (mode, work, requests, concurrency), clew=options))
    figures = interleave(cases, plan)
    rows: list[tuple[str, ...]] = []
    kept: dict[str, float] = {}
    for load in LOADS:
        plain = figures[f"{load}: plain"]
        for name, label in LABELS.items():
            mine = figures[f"{load}: {name}"]
            share = mine["rate"] / plain["rate"]
            kept[f"{load}: {name}"] = share.median * 100
            more = (mine["cpu_us"] - plain["cpu_us"]).text() if name != "plain" else ""
            records = ""
            if "events" in mine:
                records = f"{mine['events'].median / (int(requests) + min(200, int(requests))):,.0f} events"
            elif "spans" in mine:
                records = f"{mine['spans'].median:,.0f} spans"
            parts = ((share / 0.01).text(0, " %") if name != "plain" else "", mine["cpu_us"].text(), more, records)
            rows.append((load, label, mine["rate"].text(), *parts))
    head = (
        "each request makes",
        "observed by",
        "requests/s",
        "kept",
        "CPU µs a request",
        "of it for the observer",
        "recorded a request",
    )
    targets = [
        Target(
            f"throughput kept, {load}",
            95,
            kept[f"{load}: clew"],
            " %",
            BECAUSE,
            at_least=True,
            digits=1,
        )
        for load in LOADS
    ]
    return Section("A web service under load", METHOD, [Table("", head, rows)], targets)
