"""What recording costs a web service, by the work its requests do.

Usage: python -m benchmarks.web [ROUNDS]
"""

from __future__ import annotations

import sys

from benchmarks.harness import Case, clew_run, interleave, machine, table

REQUESTS = "1500"
LOADS = (("none", "16"), ("file", "16"), ("call", "16"), ("call", "2"))
"""Work of a request, and how many requests are under way at a time."""


def main(rounds: int) -> None:
    """Run the cases and print a table."""
    cases: list[Case] = []
    for work, concurrency in LOADS:
        arguments = (work, REQUESTS, concurrency)
        for name, runner in (
            ("plain", ()),
            ("without HTTP", clew_run("--disable", "http_clients,http_servers")),
            ("recorded", clew_run()),
        ):
            cases.append(Case(f"{work}/{concurrency} {name}", "web_service.py", arguments, runner))
    figures = interleave(cases, rounds, lambda text: print(text, file=sys.stderr))
    rows: list[list[str]] = []
    for case in cases:
        plain = figures[case.name.partition(" ")[0] + " plain"]
        mine = figures[case.name]
        kept = mine.median("rate") / plain.median("rate")
        rows.append(
            [
                case.name,
                f"{mine.median('rate'):,.0f} ({mine.spread('rate')})",
                f"{kept:.0%}",
                f"{mine.median('cpu_us'):,.0f} ({mine.spread('cpu_us')})",
                f"{min(mine.values['cpu_us']) - min(plain.values['cpu_us']):+,.0f}",
            ]
        )
    print(machine(), f"{rounds} rounds, medians", sep="; ", end="\n\n")
    print(table(("work/concurrency", "requests/s", "kept", "CPU µs a request", "least CPU, difference"), rows))


main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
