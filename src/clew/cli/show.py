"""``clew show``: say what a recording holds, or what happened in one run of it."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clew.analysis.runs import find_run, find_spans, owning_spans, runs_of
from clew.analysis.summary import summary_of
from clew.analysis.timeline import timelines_of
from clew.analysis.words import duration, short_type
from clew.cli import text
from clew.cli.report import timestamp
from clew.cli.text import moment, plural
from clew.convert.run_json import run_json
from clew.format.reader import open_recording
from clew.model.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from clew.analysis.runs import Run, SpanRef
    from clew.analysis.summary import Summary
    from clew.analysis.timeline import ProcessTimeline

FEW = 6
"""How many lines a section of the overview has."""
LEAST = 2
"""How many lines a section has, however little they tell."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recording", metavar="RECORDING", help="a recording folder, or one stream of it")
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run: its id, the beginning of it, or its name")
    parser.add_argument("--all", action="store_true", help="leave nothing out")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(args: argparse.Namespace) -> int:
    """Show it."""
    recording = open_recording(args.recording)
    for stream in recording.streams:
        if stream.cut is not None:
            sys.stderr.write(f"clew: {stream.path.name}: {stream.cut}\n")
    timelines = timelines_of(recording)
    if args.run is not None:
        from clew.cli.show_run import show_run

        run, root = _wanted(runs_of(timelines), args.run, timelines)
        show_run(run, timelines, as_json=args.json, everything=args.all, root=root)
        return 0
    summary = summary_of(timelines, size_bytes=recording.size)
    if args.json:
        print(json.dumps(to_json(summary)))
    else:
        print("\n".join(overview(summary, str(args.recording), everything=args.all)))
    return 0


def _wanted(runs: list[Run], name: str, timelines: list[ProcessTimeline]) -> tuple[Run, SpanRef | None]:
    """Return the run, or the span of a run, that *name* means."""
    found = find_run(runs, name)
    named = [run for run in found if run.name == name or run.id.startswith(name.lower())]
    if not named:
        spans = find_spans(runs, name)
        if spans:
            errors = [set(owning_spans(timeline, timeline.errors.rows).tolist()) for timeline in timelines]
            return max(spans, key=lambda found: _telling(found[1], found[1].number in errors[found[1].process]))
    if not found:
        raise UsageError(
            "no-run",
            f"no run or request is called {name!r}",
            f"expected one of {len(runs)} runs, by id or name, or of the requests in them",
            "'clew show RECORDING' lists them",
        )
    # Of runs of one name, the one that went wrong or took longest is what people look for.
    return max(named or found, key=lambda run: (run.status not in ("succeeded", "running"), run.duration_ns)), None


def _telling(span: SpanRef, has_error: bool) -> tuple[bool, bool, int]:
    """Order requests of one name: what went wrong or took longest is what people look for."""
    return span.outcome not in ("ok", ""), has_error, span.end_ns - span.start_ns


def to_json(summary: Summary) -> dict[str, Any]:
    """Return the document of ``clew show --json``; its schema is fixed, additions aside."""
    return {
        "schema": "clew.recording/1",
        "recording": {
            "id": summary.id,
            "service": summary.service,
            "started_at": timestamp(summary.started_ns),
            "duration_ns": summary.duration_ns,
            "events": summary.events,
            "dropped": summary.dropped,
            "bytes": summary.bytes,
            "complete": summary.complete,
        },
        "processes": [
            {
                "process": p.process, "pid": p.pid, "service": p.service, "label": p.label, "argv": list(p.argv), "python": p.python,
                "exit": p.exit, "signal": p.signal or None, "state": p.state, "events": p.events, "dropped": p.dropped,
                "tasks": p.tasks, "threads": p.threads, "problems": dict(p.problems),
            }
            for p in summary.processes
        ],
        "runs": [run_json(run) for run in summary.runs],
        "requests": [
            {
                "name": r.name, "service": r.service, "count": r.count, "outcomes": dict(r.outcomes),
                "median_ns": r.median_ns, "longest_ns": r.longest_ns, "worst": r.worst_id,
            }
            for r in summary.requests
        ],
        "errors": [
            {
                "type": e.type, "message": e.message, "site": e.site, "service": e.service, "count": e.count,
                "unhandled": e.unhandled, "first_ns": e.first_ns,
            }
            for e in summary.errors
        ],
        "busiest": [
            {
                "name": b.name, "service": b.service, "count": b.count, "total_ns": b.total_ns, "steps": b.steps,
                "longest_ns": b.longest_ns, "created_at": b.site,
            }
            for b in summary.busiest
        ],
        "waits": [
            {
                "for": w.label, "service": w.service, "count": w.count, "unfinished": w.unfinished,
                "total_ns": w.total_ns, "longest_ns": w.longest_ns, "longest_by": w.longest_by, "site": w.site,
                "ended": w.ended, "ended_by": w.ended_by,
            }
            for w in summary.waits
        ],
        "kinds": dict(summary.kinds),
    }  # fmt: skip


def overview(summary: Summary, path: str, *, everything: bool) -> list[str]:
    """Return the lines of the overview."""
    style = text.Style()
    lines = _headline(summary, style)
    limit = 10**9 if everything else FEW
    for heading, body in (
        ("processes", _processes(summary, limit)),
        ("runs", _runs(summary, limit, style)),
        ("requests", _requests(summary, limit, style)),
        ("errors", _errors(summary, limit, style)),
        ("ran longest", _busiest(summary, limit)),
        ("waited longest", _waits(summary, limit, style)),
        ("not recorded", _losses(summary)),
    ):
        if body:
            lines += ["", style.heading(heading), *body]
    return [*lines, "", style.dim(f"next: clew show {path} {_next(summary)}")] if summary.runs else lines


def _next(summary: Summary) -> str:
    """Return the run or request that is worth a look first."""
    named = [run for run in summary.runs if run.entry != "process"]
    worst = max(named or summary.runs, key=lambda run: (run.status not in ("succeeded", "running"), run.duration_ns))
    bad = [group for group in summary.requests if group.outcomes[0][0] not in ("ok", "running")]
    is_fine = worst.status in ("succeeded", "running")
    return shlex.quote(bad[0].name) if bad and (is_fine or not named) else worst.id[:8]


def _headline(summary: Summary, style: text.Style) -> list[str]:
    state = "" if summary.complete == "complete" else ", cut: a process did not come to its end in it"
    started = datetime.fromtimestamp(summary.started_ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return [
        style.heading(summary.service)
        + f"  {started}  {duration(summary.duration_ns)}, {plural(summary.events, 'event')} of "
        + f"{plural(len(summary.processes), 'process')}, {text.size(summary.bytes)}{state}"
    ]


def _processes(summary: Summary, limit: int) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for process in summary.processes[:limit]:
        if process.exit is not None:
            end = process.signal or f"exit {process.exit}"
        else:
            end = {"ended": "ended", "running": "still running", "cut": "killed, or crashed"}[process.state]
        parts = [plural(process.events, "event")]
        if process.tasks:
            parts.append(plural(process.tasks, "task"))
        if process.threads > 1:
            parts.append(plural(process.threads, "thread"))
        rows.append(
            (
                process.label,
                f"pid {process.pid}",
                end,
                moment(process.start_ns),
                duration(process.duration_ns),
                ", ".join(parts),
            )
        )
    return _more(text.columns(rows, "lllrrl"), len(summary.processes), limit) if rows else []


def _runs(summary: Summary, limit: int, style: text.Style) -> list[str]:
    runs = [run for run in summary.runs if run.entry != "process"]
    if not runs:
        return []
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.name, run.service), []).append(run)
    ordered = sorted(groups.items(), key=lambda item: (-_bad(item[1]), -len(item[1]), item[0]))
    rows = [("", "", "median", "longest", "", "")]
    for (name, service), members in ordered[:limit]:
        longest = max(members, key=lambda run: (run.status not in ("succeeded", "running"), run.duration_ns))
        times = sorted(run.duration_ns for run in members)
        rows.append(
            (
                text.fit(name, 34), f"{len(members):,}×", duration(times[len(times) // 2]), duration(times[-1]),
                _outcomes(members), f"{longest.id[:8]}  {service}",
            )
        )  # fmt: skip
    lines = text.columns(rows, "lrrrll")
    return _more([style.dim(lines[0]), *lines[1:]], len(groups), limit)


def _requests(summary: Summary, limit: int, style: text.Style) -> list[str]:
    if not summary.requests:
        return []
    rows = [("", "", "median", "longest", "", "")]
    for group in summary.requests[:limit]:
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in group.outcomes)
        if group.outcomes[0][0] == "ok":
            outcomes = "all succeeded" if group.count > 1 else "succeeded"
        rows.append(
            (
                text.fit(group.name, 34), f"{group.count:,}×", duration(group.median_ns), duration(group.longest_ns),
                outcomes.replace(" ok", " succeeded"), f"{group.worst_id[:8]}  {group.service}",
            )
        )  # fmt: skip
    lines = text.columns(rows, "lrrrll")
    return _more([style.dim(lines[0]), *lines[1:]], len(summary.requests), limit)


def _bad(runs: list[Run]) -> int:
    return sum(run.status not in ("succeeded", "running") for run in runs)


def _outcomes(runs: list[Run]) -> str:
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.status] = counts.get(run.status, 0) + 1
    if set(counts) == {"succeeded"}:
        return "all succeeded" if len(runs) > 1 else "succeeded"
    order = ("failed", "lost", "cancelled", "running", "succeeded")
    return ", ".join(f"{counts[status]:,} {status}" for status in order if status in counts)


def _errors(summary: Summary, limit: int, style: text.Style) -> list[str]:
    rows = [
        (
            f"{error.count:,}×",
            ""
            if not error.unhandled
            else "unhandled"
            if error.unhandled == error.count
            else f"{error.unhandled:,} unhandled",
            text.fit(": ".join(filter(None, (short_type(error.type), error.message))), 60),
            f"{error.service}  {error.site}",
        )
        for error in summary.errors[:limit]
    ]
    lines = text.columns(rows, "rlll") if rows else []
    marked = [style.bad(line) if row[1] else line for line, row in zip(lines, rows, strict=True)]
    return _more(marked, len(summary.errors), limit)


def _busiest(summary: Summary, limit: int) -> list[str]:
    # Beyond the first few, what ran for next to no time tells nothing.
    told = [b for i, b in enumerate(summary.busiest[:limit]) if i < LEAST or b.total_ns * 1000 >= summary.duration_ns]
    rows = [
        (
            duration(busy.total_ns),
            f"in {plural(busy.steps, 'step')}, longest {duration(busy.longest_ns)}",
            text.fit(busy.name, 36) + (f"  × {busy.count:,}" if busy.count > 1 else ""),
            f"{busy.service}" + (f"  created at {busy.site}" if busy.site else ""),
        )
        for busy in told
    ]
    return text.columns(rows, "rlll") if rows else []


def _waits(summary: Summary, limit: int, style: text.Style) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for wait in summary.waits[:limit]:
        ended = {"timeout": "timed out", "ok": "", "woken": ""}.get(wait.ended, wait.ended)
        if wait.ended_by and wait.ended in ("woken", "cancelled", "served"):
            ended = f"{wait.ended} by {wait.ended_by}"
        rows.append(
            (
                duration(wait.longest_ns),
                f"{wait.count:,}×",
                text.fit(wait.label, 32),
                f"{wait.unfinished:,} never ended" if wait.unfinished else text.fit(ended, 36),
                f"{wait.service}  {text.fit(wait.longest_by, 28)}  {wait.site}",
            )
        )
    lines = text.columns(rows, "rrlll") if rows else []
    return [style.bad(line) if wait.unfinished else line for line, wait in zip(lines, summary.waits, strict=False)]


def _losses(summary: Summary) -> list[str]:
    lines: list[str] = []
    for process in summary.processes:
        if process.dropped:
            share = process.dropped / (process.dropped + process.events)
            lines.append(
                f"  {process.label}: {plural(process.dropped, 'event')} dropped, {share:.0%} of all; "
                "what follows from them is missing above; record with a larger buffer_events"
            )
        lines += [f"  {process.label}: hook {name} was switched off: {problem}" for name, problem in process.problems]
    return lines


def _more(lines: list[str], total: int, limit: int) -> list[str]:
    return [*lines, f"  … {total - limit:,} more, see --all"] if total > limit else lines
