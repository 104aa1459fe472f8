"""``clew show RECORDING RUN``: one run as a tree, each line with its age and its place in the code."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from clew.analysis.run_tree import PARTS_OF_RUN, run_tree
from clew.analysis.words import duration, short_type
from clew.cli import text
from clew.cli.text import age, plural
from clew.convert.run_json import run_tree_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clew.analysis.run_nodes import Facts, Woken
    from clew.analysis.run_tree import Node, RunTree
    from clew.analysis.runs import Run, SpanRef
    from clew.analysis.timeline import ProcessTimeline

NARROW = 100
"""Below this width the time a task ran is left out."""
LEAST_SITE = 26
"""Characters a place in the code gets before names are cut."""
LONG_STEP_NS = 50_000_000
"""From here on people notice that a loop is held up."""
PIPED_WIDTH = 160
"""How long a line may be where no terminal says it; what is read by programs is ``--json``."""
SAID = ("ok", "", "raised")
"""Outcomes that go without saying."""


def show_run(
    run: Run,
    timelines: list[ProcessTimeline],
    *,
    as_json: bool,
    everything: bool,
    root: SpanRef | None = None,
) -> None:
    """Print one run.

    Args:
        run: Of ``runs_of``.
        timelines: All processes of the recording.
        as_json: As one JSON document.
        everything: Leave nothing out.
        root: The span of the run to begin at; the whole run without it.
    """
    tree = run_tree(run, timelines, root=root, everything=everything)
    if as_json:
        print(json.dumps(run_tree_json(run, tree)))
    else:
        print("\n".join(tree_lines(run, tree, root)))


# -- as text


class _Line(NamedTuple):
    age: str
    name: str
    took: str
    ran: str
    outcome: str
    site: str
    is_bad: bool
    is_note: bool
    """Belongs to the line before it."""


def tree_lines(run: Run, tree: RunTree, root: SpanRef | None) -> list[str]:
    """Return the lines of a run."""
    style = text.Style()
    width = text.terminal_width(most=PIPED_WIDTH) if sys.stdout.isatty() else PIPED_WIDTH
    lines: list[_Line] = []
    # Not by recursion: a tree may be deeper than Python's stack.
    waiting: list[tuple[Node | str, str, str]] = [(tree.root, "", "")]
    while waiting:
        node, first, rest = waiting.pop()
        if isinstance(node, str):
            lines.append(_Line("", first + node, "", "", "", "", is_bad=False, is_note=True))
            continue
        below: list[Node | str] = [*node.children]
        if node.is_cut:
            below.append(f"… {node.omitted:,} more")
        lines += _node_lines(node, run, first, rest + ("│  " if below else "   "), tree.threshold_ns)
        for i, child in reversed(list(enumerate(below))):
            is_last = i == len(below) - 1
            waiting.append((child, rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  ")))
    return [
        *_heading(run, tree, root, width, style),
        "",
        *_laid_out(lines, width, style),
        *_rule(tree, min(width, 100), style),
    ]


def _heading(run: Run, tree: RunTree, root: SpanRef | None, width: int, style: text.Style) -> list[str]:
    facts = tree.root.facts
    parts = [facts.outcome or "ok", duration(facts.duration_ns or 0), f"{facts.service}, pid {facts.pid}"]
    if root is None:
        parts += [plural(run.events, "event"), f"run {run.id}"]
    else:
        parts.append(f"in run {run.name} {run.id[:8]}")
    said = "  ".join(parts)
    room = width - len(facts.name) - 2
    if len(said) > room:
        said = text.cut(said.replace(run.id, run.id[:8]), room)
    return [f"{style.heading(facts.name)}  {said}"]


def _rule(tree: RunTree, width: int, style: text.Style) -> list[str]:
    """Say by which rule how much is left out."""
    told = sum(node.count for node in _nodes(tree.root))
    if tree.items <= told:
        return []
    said = f"left out: {tree.items - told:,} of {tree.items:,} things; --all shows them"
    if tree.threshold_ns:
        said = (
            f"left out: {tree.items - told:,} of {tree.items:,} things, which did not go wrong and took less than "
            f"{duration(tree.threshold_ns)} (1/{PARTS_OF_RUN} of it), or are waits of a call; --all shows them"
        )
    return ["", *(style.dim(line) for line in textwrap.wrap(said, width))]


def _nodes(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _node_lines(node: Node, run: Run, first: str, rest: str, threshold_ns: int) -> list[_Line]:
    facts = node.facts
    is_bad = facts.kind == "error" or facts.outcome in ("failed", "timeout", "unhandled", "lost")
    line = _Line(
        age(node.first_ns),
        first + _name(node),
        duration(facts.duration_ns) if facts.duration_ns else "",
        duration(facts.ran_ns) if facts.ran_ns is not None else "",
        "" if facts.outcome in SAID else facts.outcome,
        facts.site,
        is_bad=is_bad,
        is_note=False,
    )
    notes = _notes(node, run, threshold_ns)
    return [line, *(_Line("", rest + note, "", "", "", "", is_bad=False, is_note=True) for note in notes)]


def _name(node: Node) -> str:
    """Say what it is; a word for its kind where the name does not tell."""
    facts = node.facts
    name = facts.group if node.count > 1 else facts.name
    if facts.kind == "error":
        name = short_type(name)
    elif facts.kind == "visit":
        name = f"in {name}"
    elif facts.kind == "request":
        name = f"{facts.service} serves {name}"
    elif facts.kind == "wait":
        name = f"wait {name}" if name != "sleep" else name
    elif facts.kind not in ("effect", "gap"):
        name = f"{facts.kind} {name}"
    if facts.detail:
        name += f"{': ' if facts.kind in ('error', 'log', 'gap') else ' → '}{' '.join(facts.detail.split())}"
    return f"{name}  × {node.count:,}" if node.count > 1 and facts.kind != "gap" else name


def _notes(node: Node, run: Run, threshold_ns: int) -> list[str]:
    """Say in lines below a node what does not fit beside it."""
    facts = node.facts
    notes: list[str] = []
    if node.count > 1 and facts.duration_ns is not None:
        which = f"{facts.name}, " if facts.name != facts.group else ""
        notes.append(f"{duration(node.total_ns)} in all; the longest, {which}at {age(facts.start_ns)}:")
    if facts.run and facts.run != run.id:
        notes.append(f"see run {facts.run[:8]}")
    if facts.ready_ns and facts.duration_ns and facts.ready_ns >= max(threshold_ns, facts.duration_ns // 10):
        notes.append(f"ready but not running for {duration(facts.ready_ns)}: something else ran")
    if facts.longest_ns and facts.longest_ns >= LONG_STEP_NS:
        notes.append(f"held up its loop for {duration(facts.longest_ns)}")
    if facts.woken is not None and (facts.outcome != "timeout" or facts.woken.how == "event"):
        notes.append(_woken(facts, facts.woken))
    return notes


def _woken(facts: Facts, woken: Woken) -> str:
    verb = "cancelled" if facts.outcome == "cancelled" else "woken"
    if woken.how != "event":
        return f"{verb} by {'a timer' if woken.how == 'timer' else 'I/O'}"
    who = f"{verb} by {woken.scope}"
    if woken.service != facts.service:
        who += f" of {woken.service}"
    said = f"{who}, which {woken.did}" if woken.did else who
    return f"{said} at {age(woken.at_ns)}" + (f"  {woken.site}" if woken.site else "")


def _laid_out(lines: list[_Line], width: int, style: text.Style) -> list[str]:
    """Align the columns, and cut what does not fit."""
    entries = [line for line in lines if not line.is_note]
    entries.insert(0, _Line("since", "", "took", "ran", "", "", is_bad=False, is_note=False))
    widths = {
        name: max(len(getattr(line, name)) for line in entries)
        for name in ("age", "name", "took", "ran", "outcome", "site")
    }
    shown = [name for name in ("took", "ran", "outcome") if widths[name] and (name != "ran" or width >= NARROW)]
    left = width - widths["age"] - 2 - sum(widths[name] + 2 for name in shown)
    site_width = min(widths["site"], max(left - 2 - widths["name"], LEAST_SITE))
    name_width = min(widths["name"], left - 2 - site_width)
    result: list[str] = []
    for line in [entries[0], *lines]:
        if line.is_note:
            said = " " * (widths["age"] + 2) + text.cut(line.name, width - widths["age"] - 2)
            result.append(style.dim(said))
            continue
        cells = [line.age.rjust(widths["age"]), text.cut(line.name, name_width).ljust(name_width)]
        cells += [
            getattr(line, name).ljust(widths[name]) if name == "outcome" else getattr(line, name).rjust(widths[name])
            for name in shown
        ]
        said = "  ".join([*cells, text.cut(line.site, site_width)]).rstrip()
        result.append(style.bad(said) if line.is_bad else said)
    return [style.dim(result[0]), *result[1:]]
