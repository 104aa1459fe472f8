"""A run as a tree: what lies in what, what is told and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.recordings import Process, write

from clew.analysis.run_tree import MAX_NODES, Node, RunTree, run_tree
from clew.analysis.runs import runs_of
from clew.analysis.timeline import timelines_of
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole

K, Op = EventKind, Operation


class Served(Process):
    """A process that serves one request of 100 ms in a task of its own."""

    def __init__(self, **head: object) -> None:
        super().__init__(**head)  # type: ignore[arg-type]
        self.span("process", role=SpanRole.RUN, trace=500)
        self.run = self.span("GET /", role=SpanRole.RUN, kind=SpanKind.SERVER)
        self.handler = self.task("handler", "serve")
        self.event(0, K.LIFE_RUN_START, self.handler, span=self.run)

    def created(self, at_us: float, task: int, **more: int) -> int:
        return self.event(at_us, K.LIFE_TASK_START, self.handler, entity=task, span=self.run, **more)

    def ended(self, at_us: float, task: int, outcome: Outcome = Outcome.OK, **more: int) -> int:
        return self.event(at_us, K.LIFE_TASK_END, task, entity=task, outcome=outcome, **more)

    def answered(self, at_us: float = 100_000) -> None:
        self.event(at_us, K.LIFE_RUN_END, self.handler, span=self.run, outcome=Outcome.OK)


def tree_of(folder: Path, *processes: Process, everything: bool = False) -> RunTree:
    """The tree of the first run of a recording of *processes*, the one its first process serves."""
    timelines = timelines_of(open_recording(write(folder / "made.clew", *processes)))
    return run_tree(runs_of(timelines)[0], timelines, everything=everything)


def nodes_of(tree: RunTree) -> dict[str, Node]:
    """Every node by kind and name."""
    found: dict[str, Node] = {}
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        found[f"{node.facts.kind} {node.facts.name}"] = node
        waiting += node.children
    return found


def names(nodes: list[Node]) -> list[str]:
    return [f"{node.facts.kind} {node.facts.name}" for node in nodes]


def test_a_task_lies_where_it_was_created_with_its_age_and_place(tmp_path: Path):
    """A task created in a request is below it; what it does is below the task."""
    process = Served()
    task = process.task("load", "fetch", parent=process.handler, span=process.run, site=process.site(12, "serve"))
    process.created(10_000, task)
    process.event(20_000, K.SYNC_WAIT, task, op=Op.SLEEP, span=process.run, site=process.site(30, "fetch"))
    process.event(60_000, K.SYNC_AWAIT, task, op=Op.SLEEP, span=process.run, wait_ns=40_000_000)
    process.ended(70_000, task)
    process.answered()

    tree = tree_of(tmp_path, process)

    assert names(tree.root.children) == ["task load"]
    load = tree.root.children[0]
    assert (load.first_ns, load.facts.duration_ns) == (10_000_000, 60_000_000)
    assert load.facts.site == "app.py:12 serve"
    assert names(load.children) == ["wait sleep"]
    assert load.children[0].facts.site == "app.py:30 fetch"


def test_tasks_of_one_loop_are_one_node_with_the_longest_below(tmp_path: Path):
    """Five tasks of one function from one line are told once, with their count and the longest one's facts."""
    process = Served()
    site = process.site(12, "serve")
    for i in range(5):
        task = process.task(f"part-{i}", "fetch", parent=process.handler, span=process.run, site=site)
        process.created(1_000 * i, task)
        process.ended(10_000 + 5_000 * (i == 3) + 1_000 * i, task)
    process.answered()

    folded = tree_of(tmp_path, process).root.children
    apart = tree_of(tmp_path / "all", process, everything=True).root.children

    assert [(node.count, node.facts.name, node.facts.group, node.total_ns) for node in folded] == [
        (5, "part-3", "fetch", 55_000_000)
    ]
    assert names(apart) == [f"task part-{i}" for i in range(5)]


def test_what_took_less_than_a_hundredth_is_left_out_and_counted(tmp_path: Path):
    """A short wait is left out of a run, counted below its parent, and told when everything is asked for."""
    process = Served()
    process.event(5_000, K.SYNC_WAIT, process.handler, op=Op.SLEEP, span=process.run, site=process.site(1, "f"))
    process.event(5_900, K.SYNC_AWAIT, process.handler, op=Op.SLEEP, span=process.run, wait_ns=900_000)
    process.answered()

    short = tree_of(tmp_path, process)
    everything = tree_of(tmp_path / "all", process, everything=True)

    assert (short.threshold_ns, short.root.children, short.root.omitted) == (1_000_000, [], 1)
    assert names(everything.root.children) == ["wait sleep"]


def test_many_short_waits_of_one_line_are_told_together(tmp_path: Path):
    """A loop of waits that are short each, but not together, is one node."""
    process = Served()
    site = process.site(1, "f")
    for i in range(20):
        process.event(1_000 * i, K.SYNC_WAIT, process.handler, op=Op.SLEEP, span=process.run, site=site)
        process.event(1_000 * i + 900, K.SYNC_AWAIT, process.handler, op=Op.SLEEP, span=process.run, wait_ns=900_000)
    process.answered()

    tree = tree_of(tmp_path, process)

    assert [(node.facts.name, node.count) for node in tree.root.children] == [("sleep", 20)]


def test_what_went_wrong_is_told_however_short_it_was(tmp_path: Path):
    """A task that failed at once is told with its error, which its scheduler noted outside of the run."""
    process = Served()
    task = process.task("quick", "fail", parent=process.handler, span=process.run)
    process.created(10, task)
    error = process.event(20, K.ERROR_RAISED, task, entity=task, attrs={"type": "app.Bad", "message": "no"})
    process.ended(21, task, Outcome.FAILED, cause=error)
    process.event(30, K.ERROR_UNHANDLED, process.main, entity=task, cause=error, attrs={"type": "app.Bad"})
    process.answered()

    nodes = nodes_of(tree_of(tmp_path, process))

    assert nodes["task quick"].facts.outcome == "failed"
    assert names(nodes["task quick"].children) == ["error app.Bad"]
    assert nodes["error app.Bad"].facts.outcome == "unhandled"
    assert nodes["error app.Bad"].facts.detail == "no"


def test_a_wait_names_who_ended_it_through_the_callbacks_of_the_loop(tmp_path: Path):
    """The end of a task wakes a waiter by a callback of the loop: the task is named."""
    process = Served()
    task = process.task("load", "fetch", parent=process.handler, span=process.run)
    process.created(10, task)
    process.event(20, K.SYNC_WAIT, process.handler, op=Op.AWAIT, entity=task, span=process.run)
    done = process.ended(50_000, task)
    callback = process.step(50_100, process.main, 10, op=Op.CALLBACK, cause=done)
    woken = process.step(50_200, process.handler, 10, cause=callback)
    process.event(
        50_201,
        K.SYNC_AWAIT,
        process.handler,
        op=Op.AWAIT,
        entity=task,
        span=process.run,
        cause=woken,
        wait_ns=50_181_000,
    )
    process.answered()

    wait = nodes_of(tree_of(tmp_path, process))["wait task load"]

    assert wait.facts.woken is not None
    assert (wait.facts.woken.scope, wait.facts.woken.did, wait.facts.woken.at_ns) == ("load", "ended", 50_000_000)


def test_a_lock_names_who_released_it_and_where(tmp_path: Path):
    """A wait for a lock tells the scope that released it and its line."""
    process = Served()
    lock = process.entity(EntityKind.LOCK, "Bank.lock")
    other = process.task("other", "hold", parent=process.handler, span=process.run)
    process.created(1, other)
    process.event(10, K.SYNC_ACQUIRE, process.handler, op=Op.ACQUIRE, entity=lock, span=process.run)
    release = process.event(40_000, K.SYNC_RELEASE, other, entity=lock, span=process.run, site=process.site(9, "hold"))
    process.event(
        40_010, K.SYNC_ACQUIRED, process.handler, op=Op.ACQUIRE, entity=lock, span=process.run, cause=release,
        wait_ns=40_000_000,
    )  # fmt: skip
    process.ended(40_020, other)
    process.answered()

    woken = nodes_of(tree_of(tmp_path, process))["wait lock Bank.lock"].facts.woken

    assert woken is not None
    assert (woken.scope, woken.did, woken.site) == ("other", "released it", "app.py:9 hold")


def test_a_thread_is_not_said_to_be_woken_by_who_started_it(tmp_path: Path):
    """A wait in a thread that names no cause is not put down to the start of the thread."""
    process = Served()
    thread = process.entity(EntityKind.THREAD, "worker", parent=process.handler, span=process.run)
    queue = process.entity(EntityKind.QUEUE, "jobs")
    start = process.event(10, K.LIFE_THREAD_START, process.handler, entity=thread, span=process.run)
    process.event(20, K.LIFE_STEP, thread, op=Op.RUN, cause=start, span=process.run)
    process.event(30, K.SYNC_WAIT, thread, op=Op.GET, entity=queue, span=process.run)
    process.event(50_000, K.SYNC_GET, thread, op=Op.GET, entity=queue, span=process.run, wait_ns=49_970_000)
    process.answered()

    wait = nodes_of(tree_of(tmp_path, process))["wait queue jobs (get)"]

    assert wait.facts.woken is None


def test_a_cancelled_task_names_who_cancelled_it(tmp_path: Path):
    """The canceller is told with the task that was cancelled."""
    process = Served()
    task = process.task("slow", "work", parent=process.handler, span=process.run)
    process.created(10, task)
    process.event(20, K.LIFE_STEP, process.handler, span=process.run)
    cancel = process.event(50_000, K.LIFE_TASK_CANCEL, task, entity=task, cause=process.columns["seq"][-1])
    process.ended(50_001, task, Outcome.CANCELLED, cause=cancel)
    process.answered()

    facts = nodes_of(tree_of(tmp_path, process))["task slow"].facts

    assert facts.outcome == "cancelled"
    assert facts.woken is not None
    assert facts.woken.scope == "handler"


@pytest.mark.parametrize("late_s", [0, 7])
def test_a_call_is_joined_to_the_request_another_process_served(tmp_path: Path, late_s: int):
    """The served request lies in the call that asked for it; what the call waits for inside is left out."""
    client = Served(service="front")
    call = client.span(
        "GET /rates", parent=client.run, op=Op.HTTP, kind=SpanKind.CLIENT, span_id=77, parent_span_id=client.run
    )
    client.event(10_000, K.EFFECT_CALL, client.handler, op=Op.HTTP, span=call, site=client.site(8, "ask"))
    socket = client.entity(EntityKind.EVENT, "")
    client.event(10_100, K.SYNC_WAIT, client.handler, op=Op.EVENT_WAIT, entity=socket, span=call)
    client.event(89_900, K.SYNC_AWAIT, client.handler, op=Op.EVENT_WAIT, entity=socket, span=call, wait_ns=79_800_000)
    client.event(
        90_000, K.EFFECT_RESULT, client.handler, op=Op.HTTP, span=call, outcome=Outcome.OK, attrs={"status": 200}
    )
    client.answered()
    # Its monotonic clock stands elsewhere: another machine.
    server = Process(0xB2, pid=200, service="rates", host="there", wall_ns=client.head["wall_ns"] - late_s * 10**9)
    own = server.span("rates", role=SpanRole.RUN, trace=1000)
    server.event(late_s * 1e6, K.LIFE_RUN_START, server.main, span=own, entity=server.process)
    served = server.span("GET /rates/{c}", parent=own, kind=SpanKind.SERVER, span_id=78, parent_span_id=77)
    task = server.task("request", "serve", span=own)
    server.event(late_s * 1e6 + 20_000, K.LIFE_SPAN_START, task, span=served)
    server.event(late_s * 1e6 + 80_000, K.LIFE_SPAN_END, task, span=served, outcome=Outcome.OK)

    tree = tree_of(tmp_path, client, server)

    (asked,) = tree.root.children
    assert (asked.facts.kind, asked.facts.name, asked.facts.detail) == ("effect", "http GET /rates", "200")
    assert names(asked.children) == ["request GET /rates/{c}"]
    answer = asked.children[0]
    assert (answer.facts.service, answer.first_ns, answer.facts.duration_ns) == ("rates", 20_000_000, 60_000_000)


def test_a_worker_thread_that_does_a_job_is_shown_where_it_works(tmp_path: Path):
    """What a thread from elsewhere does in the run lies in the span it does it for."""
    process = Served()
    pool = process.entity(EntityKind.THREAD, "pool_0", parent=process.main)
    lock = process.entity(EntityKind.LOCK, "lock")
    process.event(10_000, K.SYNC_ACQUIRE, pool, op=Op.ACQUIRE, entity=lock, span=process.run)
    process.event(60_000, K.SYNC_ACQUIRED, pool, op=Op.ACQUIRE, entity=lock, span=process.run, wait_ns=50_000_000)
    process.answered()

    tree = tree_of(tmp_path, process)

    (visit,) = tree.root.children
    assert (visit.facts.kind, visit.facts.name, visit.first_ns) == ("visit", "pool_0", 10_000_000)
    assert names(visit.children) == ["wait lock lock"]


def test_another_run_begun_inside_is_one_line_with_its_id(tmp_path: Path):
    """A run that was begun in the program's own run is told there, and what it did is not."""
    process = Process()
    own = process.span("app", role=SpanRole.RUN)
    process.event(0, K.LIFE_RUN_START, process.main, span=own, entity=process.process)
    order = process.span("order", role=SpanRole.RUN, parent=own, trace=42)
    process.event(10_000, K.LIFE_RUN_START, process.main, span=order)
    process.event(20_000, K.LOG_RECORD, process.main, span=order, attrs={"message": "hello"})
    process.event(60_000, K.LIFE_RUN_END, process.main, span=order, outcome=Outcome.FAILED)
    process.event(100_000, K.LIFE_PROCESS_END, process.main, entity=process.process, span=own)

    tree = tree_of(tmp_path, process)

    (node,) = tree.root.children
    assert (node.facts.kind, node.facts.name, node.facts.outcome) == ("run", "order", "failed")
    assert node.facts.run == f"{7 << 64 | 42:032x}"
    assert node.children == []


def test_log_records_have_their_arguments_and_level(tmp_path: Path):
    """A log record is told with its message as it read."""
    process = Served()
    attrs = {"logger": "bank", "message": "%s is late by %d %%", "arguments": ["order", 7]}
    process.event(1_000, K.LOG_RECORD, process.handler, span=process.run, arg=30, attrs=attrs)
    process.answered()

    (log,) = tree_of(tmp_path, process).root.children

    assert (log.facts.name, log.facts.detail) == ("warning bank", "order is late by 7 %")


def test_dropped_events_are_counted_together(tmp_path: Path):
    """Several gaps in a run are one line with the number of all lost events."""
    process = Served()
    for i in range(4):
        process.event(1_000 * i, K.GAP_DROPPED, 0, arg=25, attrs={"from_ns": 1, "reason": "full"})
    process.answered()

    (gap,) = tree_of(tmp_path, process).root.children

    assert (gap.facts.kind, gap.facts.name) == ("gap", "100 events dropped")


def test_a_recording_whose_tasks_created_each_other_ends(tmp_path: Path):
    """Two tasks that are each other's creators (damage) are told at the root."""
    process = Served()
    first = process.task("first", "f", span=process.run)
    second = process.task("second", "g", parent=first, span=process.run)
    process.definitions["entities"][first - 1] = (first, int(EntityKind.TASK), "first", "f", second, 0, process.run, "")
    for task in (first, second):
        process.event(10, K.LIFE_TASK_START, process.handler, entity=task, span=process.run)
        process.ended(50_000, task)
    process.answered()

    tree = tree_of(tmp_path, process)

    assert sorted(names(tree.root.children)) == ["task first", "task second"]


def test_a_tree_has_a_bounded_number_of_nodes(tmp_path: Path):
    """Of a thousand different failures as many as fit are told, and the rest is counted."""
    process = Served()
    for i in range(1_000):
        attrs = {"type": f"Error{i}", "message": ""}
        process.event(10 * i, K.ERROR_RAISED, process.handler, span=process.run, attrs=attrs)
    process.answered()

    tree = tree_of(tmp_path, process)

    shown = len(nodes_of(tree)) - 1
    assert 0 < shown < MAX_NODES
    assert tree.root.is_cut
    assert tree.root.omitted == 1_000 - shown


def test_how_long_a_task_ran_and_waited(tmp_path: Path):
    """The time of a task is divided into running, being ready, and waiting."""
    process = Served()
    task = process.task("load", "fetch", parent=process.handler, span=process.run)
    process.created(0, task)
    process.step(1_000, task, 4_000, wait_ns=1_000_000)
    process.step(65_000, task, 5_000, wait_ns=10_000_000)
    process.ended(70_000, task)
    process.answered()

    facts = nodes_of(tree_of(tmp_path, process))["task load"].facts

    assert (facts.ran_ns, facts.longest_ns, facts.ready_ns, facts.waited_ns) == (
        9_000_000,
        5_000_000,
        11_000_000,
        50_000_000,
    )
