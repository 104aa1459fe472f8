"""A run, and a run as a tree, as JSON documents: for ``clew show --json`` and the server alike.

Their schemas are fixed, additions aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.analysis.run_tree import Node, RunTree
    from clew.analysis.runs import Run


def run_json(run: Run) -> dict[str, Any]:
    """Return one run as JSON."""
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "entry": run.entry,
        "service": run.service,
        "process": run.process,
        "start_ns": run.start_ns,
        "duration_ns": run.duration_ns,
        "events": run.events,
        "errors": run.errors,
        "spans": len(run.spans),
    }


def run_tree_json(run: Run, tree: RunTree) -> dict[str, Any]:
    """Return the document of ``clew show RECORDING RUN --json``: ``clew.run/1``."""
    return {
        "schema": "clew.run/1",
        "run": run_json(run),
        "threshold_ns": tree.threshold_ns,
        "items": tree.items,
        "tree": _node_json(tree.root),
    }


def _node_json(root: Node) -> dict[str, Any]:
    document = _one_json(root)
    waiting = [(root, document)]
    while waiting:
        node, value = waiting.pop()
        value["children"] = [_one_json(child) for child in node.children]
        waiting += zip(node.children, value["children"], strict=True)
    return document


def _one_json(node: Node) -> dict[str, Any]:
    facts = node.facts
    woken = facts.woken
    return {
        "kind": facts.kind,
        "name": facts.name,
        "detail": facts.detail,
        "process": facts.process,
        "service": facts.service,
        "seq": facts.seq,
        "start_ns": facts.start_ns,
        "duration_ns": facts.duration_ns,
        "outcome": facts.outcome,
        "site": facts.site,
        "ran_ns": facts.ran_ns,
        "longest_ns": facts.longest_ns,
        "ready_ns": facts.ready_ns,
        "waited_ns": facts.waited_ns,
        "run": facts.run or None,
        "woken_by": None
        if woken is None
        else {
            "how": woken.how,
            "scope": woken.scope,
            "did": woken.did,
            "service": woken.service,
            "site": woken.site,
            "at_ns": woken.at_ns,
        },
        "count": node.count,
        "total_ns": node.total_ns,
        "first_ns": node.first_ns,
        "omitted": node.omitted,
    }
