"""What happened in one run, and what made it go on? The run as a tree.

Shown is what took time or went wrong. In short: a group of things that are alike (the
turns of a loop, the workers of a pool) is one node with its count, below it the one of
them that went wrong or took longest; what took less than a hundredth of the run, taken
together with what is like it, is left out and counted, unless it or something inside it
went wrong. A wait inside a call to another system is what the call is, and left out too.

What it can miss: what ran for the run without its context (``run_items``). What it can
wrongly report: the time a task ran, where it was waiting for the GIL or in a call that
blocks, which is the same seen from outside.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from clew.analysis.run_items import ItemKind, items_of, tops_of
from clew.analysis.run_nodes import Describer

if TYPE_CHECKING:
    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.run_items import Items
    from clew.analysis.run_nodes import Facts
    from clew.analysis.runs import Run, SpanRef
    from clew.analysis.timeline import ProcessTimeline

PARTS_OF_RUN = 100
"""What takes less than this part of the run is left out: more would be lines nobody reads."""
FOLD_FROM = 3
"""How many that are alike are told as one."""
MAX_CHILDREN = 30
"""Most nodes below one node, alike ones being one."""
MAX_NODES = 150
"""Most nodes of a tree: about three screens."""
MAX_DEPTH = 120
"""Deeper than this nothing is shown: tasks that each start the next are a chain of any length."""


@dataclass(slots=True)
class Node:
    """One line of the tree.

    Attributes:
        facts: What is known of it; of several that are alike, of the one that went wrong or took longest.
        count: How many are alike.
        total_ns: How long they took together.
        first_ns: When the first of them began, since the start of the tree.
        omitted: How many things inside it are left out.
        is_cut: Some of those took long or went wrong: the tree is too large.
    """

    item: int
    facts: Facts
    count: int
    total_ns: int
    first_ns: int
    children: list[Node] = field(default_factory=list["Node"])
    omitted: int = 0
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class RunTree:
    """A run as a tree.

    Attributes:
        threshold_ns: What took less is left out, where nothing went wrong.
        items: How many things happened in it.
    """

    root: Node
    threshold_ns: int
    items: int


def run_tree(
    run: Run, timelines: list[ProcessTimeline], *, root: SpanRef | None = None, everything: bool = False
) -> RunTree:
    """Return a run, or what happened inside one span of it, as a tree.

    Args:
        run: Of ``runs_of``.
        timelines: All processes of the recording.
        root: One of the run's spans; the whole run without it.
        everything: Leave nothing out, and tell each thing by itself.

    Complexity: that of ``items_of``, plus O(n log n) for its n items.
    """
    items = items_of(run, timelines)
    return _Growth(items, Describer(run, timelines, items), run.spans.index(root) if root else 0, everything).tree()


class _Growth:
    """Grows the tree from the root, the most telling branches first."""

    def __init__(self, items: Items, describer: Describer, root: int, everything: bool) -> None:
        self._items = items
        self._describer = describer
        self._root = root
        self._everything = everything
        self._length = int(items.end_ns[root] - items.start_ns[root])
        self.threshold_ns = 0 if everything else self._length // PARTS_OF_RUN
        self._took = items.end_ns - items.start_ns
        self._inside = self._below_root()
        order = np.lexsort((items.start_ns, items.parent))
        self._order = order[self._inside[order]]
        self._parents = items.parent[self._order]
        self._group, self._group_total = self._alike()
        self._is_shown = self._shown()

    def tree(self) -> RunTree:
        """Grow it."""
        root = self._node(np.array([self._root]))
        waiting = [(False, -self._length, self._root, 0, root)]
        nodes = 1
        while waiting:
            *_, depth, node = heapq.heappop(waiting)
            budget = MAX_CHILDREN if not self._everything else len(self._order)
            if not self._everything:
                budget = min(budget, MAX_NODES - nodes)
            for child in self._children(node, budget if depth < MAX_DEPTH else 0):
                nodes += 1
                is_wrong = bool(self._items.is_wrong[child.item])
                heapq.heappush(waiting, (not is_wrong, -int(self._took[child.item]), child.item, depth + 1, child))
        return RunTree(root, self.threshold_ns, len(self._order) + 1)

    def _below_root(self) -> Flags:
        """Tell which items lie in the root."""
        parent = self._items.parent.copy()
        parent[self._root] = self._root
        inside = tops_of(parent) == self._root
        inside[self._root] = False
        return inside

    def _alike(self) -> tuple[Numbers, Numbers]:
        """Return for each item the group of those in one place that are alike, and how long each group took."""
        items = self._items
        keys = items.parent * (int(items.alike.max()) + 1) + items.alike
        _, groups = np.unique(keys, return_inverse=True)
        groups = groups.reshape(-1)
        return groups, np.bincount(groups, weights=self._took).astype(np.int64)

    def _shown(self) -> Flags:
        """Tell which items are told: what took long or went wrong, and what leads there."""
        items = self._items
        if self._everything:
            return self._inside
        is_call = np.isin(np.arange(len(items.kind)), self._describer.calls())
        is_within_call = (items.kind == ItemKind.WAIT) & is_call[items.parent]
        is_long = (self._group_total[self._group] >= max(self.threshold_ns, 1)) & ~is_within_call
        shown = self._inside & (is_long | items.is_wrong | (items.kind == ItemKind.MARK))
        parents = items.parent.tolist()
        for item in np.flatnonzero(shown).tolist():
            above = parents[item]
            while not shown[above] and above != self._root:
                shown[above] = True
                above = parents[above]
        return shown

    def _children(self, node: Node, budget: int) -> list[Node]:
        """Give *node* its children; return them."""
        begin, end = np.searchsorted(self._parents, [node.item, node.item + 1])
        inside = self._order[begin:end]
        shown = inside[self._is_shown[inside]]
        # Those that are alike, in the order in which the first of them began.
        _, firsts, members = np.unique(self._group[shown], return_index=True, return_inverse=True)
        order = np.argsort(members.reshape(-1), kind="stable")
        bounds = np.searchsorted(members.reshape(-1)[order], np.arange(len(firsts) + 1))
        parts: list[Numbers] = []
        for i in np.argsort(firsts, kind="stable").tolist():
            alike = shown[order[bounds[i] : bounds[i + 1]]]
            is_told_as_one = len(alike) >= FOLD_FROM and not self._everything
            parts += [alike] if is_told_as_one else list(alike.reshape(-1, 1))
        node.is_cut = len(parts) > budget
        if node.is_cut:
            parts = self._most_telling(parts, budget)
        parts.sort(key=lambda part: (int(self._items.start_ns[part[0]]), int(part[0])))
        node.children = [self._node(part) for part in parts]
        node.omitted = len(inside) - sum(child.count for child in node.children)
        return node.children

    def _most_telling(self, parts: list[Numbers], budget: int) -> list[Numbers]:
        items = self._items
        return heapq.nsmallest(
            max(budget, 0),
            parts,
            key=lambda part: (not bool(items.is_wrong[part[0]]), -int(self._took[part].sum()), int(part[0])),
        )

    def _node(self, alike: Numbers) -> Node:
        items = self._items
        worst = int(alike[np.argmax(self._took[alike])])
        start = int(items.start_ns[self._root])
        return Node(
            item=worst,
            facts=self._describer.facts(worst, alike=alike, since_ns=start),
            count=len(alike),
            total_ns=int(self._took[alike].sum()),
            first_ns=int(items.start_ns[alike].min()) - start,
        )
