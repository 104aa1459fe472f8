"""What there is to draw of a run."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from tests.support.recordings import Process, write

from clew.analysis.block_parts import BlockKind, BlockState
from clew.analysis.blocks import picture_of
from clew.analysis.lanes import MAX_ALIKE
from clew.analysis.marks import MarkKind
from clew.analysis.timeline import timelines_of
from clew.convert.columns import decode_columns
from clew.convert.timeline_columns import BLOCKS, MARKS, encode_timeline
from clew.format.reader import open_recording
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole

RUN = f"{7:016x}{9:016x}"
US = 1000


def drawn(folder, *processes, run=RUN, origin_ns=0):
    """The picture of a recording made by hand."""
    timelines = timelines_of(open_recording(write(folder / "r.clew", *processes)))
    return picture_of(timelines, run, origin_ns)


def described(picture, *kinds):
    """Blocks as people would note them down: kind, name, from, to (in µs), row."""
    blocks = picture.blocks
    return [
        (BlockKind(int(kind)).name, picture.labels[label], start / US, end / US, int(row))
        for kind, label, start, end, row in zip(
            blocks.kind, blocks.label, blocks.start.tolist(), blocks.end.tolist(), blocks.row, strict=True
        )
        if not kinds or kind in kinds
    ]


@pytest.fixture
def handover():
    """Two tasks and a lock: a takes it, b waits for it, a releases it."""
    process = Process()
    main = process.main
    lock = process.entity(EntityKind.LOCK, "Bank.lock")
    site = process.site(31, "transfer")
    run = process.span("bank", role=SpanRole.RUN)
    process.event(0, EventKind.LIFE_RUN_START, main, entity=process.process, span=run)
    a, b = process.task("a", span=run), process.task("b", span=run)
    start_a = process.event(1, EventKind.LIFE_TASK_START, main, entity=a, span=run)
    start_b = process.event(2, EventKind.LIFE_TASK_START, main, entity=b, span=run)
    process.step(10, a, 10, cause=start_a)
    process.event(12, EventKind.SYNC_ACQUIRED, a, op=Operation.ACQUIRE, entity=lock, site=site)
    process.step(20, b, 5, cause=start_b, wait_ns=4 * US)
    process.event(22, EventKind.SYNC_ACQUIRE, b, op=Operation.ACQUIRE, entity=lock, site=site)
    process.step(30, a, 10, wait_ns=2 * US)
    released = process.event(35, EventKind.SYNC_RELEASE, a, entity=lock)
    process.event(39, EventKind.LIFE_TASK_END, a, entity=a, outcome=Outcome.FAILED)
    process.step(45, b, 5, cause=released, wait_ns=10 * US)
    process.event(46, EventKind.SYNC_ACQUIRED, b, op=Operation.ACQUIRE, entity=lock, wait_ns=24 * US, cause=released)
    process.event(49, EventKind.LIFE_TASK_END, b, entity=b, outcome=Outcome.OK)
    process.event(60, EventKind.LIFE_PROCESS_END, main, entity=process.process)
    return process


def test_every_block_of_a_small_recording(tmp_path, handover):
    """Lives, steps, the time between them; each on the row of its task."""
    picture = drawn(tmp_path, handover)

    assert described(picture) == [
        ("LIFE", "MainThread", 0, 60, 0),
        ("LIFE", "a", 1, 39, 1),
        ("LIFE", "b", 2, 49, 2),
        ("STEP", "a", 10, 20, 1),
        ("READY", "ready", 16, 20, 2),
        ("WAIT", "wait", 20, 28, 1),
        ("STEP", "b", 20, 25, 2),
        ("WAIT", "wait lock Bank.lock", 25, 35, 2),
        ("READY", "ready", 28, 30, 1),
        ("STEP", "a", 30, 40, 1),
        ("READY", "ready", 35, 45, 2),
        ("STEP", "b", 45, 50, 2),
    ]
    assert [(lane.kind, lane.name, lane.parent, lane.first_row, lane.rows, lane.busy_ns) for lane in picture.lanes.lanes] == [
        ("thread", "MainThread", None, 0, 1, 30 * US),
        ("task", "a", 0, 1, 1, 20 * US),
        ("task", "b", 0, 2, 1, 10 * US),
    ]  # fmt: skip


def test_a_block_knows_what_enabled_it(tmp_path, handover):
    """The waiting task by the release, a task by its creator, both in the step it happened in."""
    picture = drawn(tmp_path, handover)
    names = described(picture)
    wakers = {
        names[i][:4]: names[waker] if waker >= 0 else None for i, waker in enumerate(picture.blocks.waker.tolist())
    }

    assert wakers["WAIT", "wait lock Bank.lock", 25, 35] == ("STEP", "a", 30, 40, 1)
    assert wakers["STEP", "b", 45, 50] == ("STEP", "a", 30, 40, 1)
    assert wakers["READY", "ready", 35, 45] == ("STEP", "a", 30, 40, 1)
    assert wakers["LIFE", "a", 1, 39] == ("LIFE", "MainThread", 0, 60, 0)
    assert wakers["STEP", "a", 10, 20] == ("LIFE", "MainThread", 0, 60, 0)
    assert wakers["STEP", "a", 30, 40] is None


def test_blocks_name_their_events_places_and_states(tmp_path, handover):
    """The events that begin and end them, the place of a wait, how a task ended."""
    picture = drawn(tmp_path, handover)
    blocks, names = picture.blocks, described(picture)
    at = {name[:3]: i for i, name in enumerate(names)}

    wait = at["WAIT", "wait lock Bank.lock", 25]
    assert (int(blocks.seq[wait]), int(blocks.end_seq[wait])) == (7, 12)
    assert picture.places[blocks.place[wait]] == "app.py:31 transfer"
    assert blocks.state[at["LIFE", "a", 1]] == BlockState.FAILED | BlockState.IN_RUN
    assert blocks.state[at["STEP", "a", 30]] == BlockState.FAILED | BlockState.IN_RUN
    assert blocks.state[at["WAIT", "wait", 20]] & BlockState.INFERRED
    assert not blocks.state[wait] & BlockState.INFERRED
    assert picture.block_of_step[0].tolist() == [at["STEP", "a", 10], at["STEP", "b", 20], at["STEP", "a", 30], at["STEP", "b", 45]]  # fmt: skip


def test_another_run_has_the_same_blocks_and_none_belongs_to_it(tmp_path, handover):
    """The bit says what the page may fade."""
    picture = drawn(tmp_path, handover, run="ab" * 16)

    assert not (picture.blocks.state & BlockState.IN_RUN).any()
    assert not any(lane.in_run for lane in picture.lanes.lanes)
    assert len(picture.blocks.start) == 12


def test_times_count_from_the_start_of_the_run(tmp_path, handover):
    """What was before it is negative."""
    picture = drawn(tmp_path, handover, origin_ns=10 * US)

    assert described(picture)[0] == ("LIFE", "MainThread", -10, 50, 0)
    assert (picture.from_ns, picture.to_ns) == (-10 * US, 50 * US)


def test_a_wait_that_never_ended_lasts_to_the_end(tmp_path):
    """The deadlock is on the picture, and marked as open."""
    process = Process()
    process.end = None
    lock, task = process.entity(EntityKind.LOCK, "lock"), process.task("stuck")
    start = process.event(0, EventKind.LIFE_TASK_START, process.main, entity=task)
    process.step(1, task, 2, cause=start)
    process.event(2, EventKind.SYNC_ACQUIRE, task, op=Operation.ACQUIRE, entity=lock)
    process.event(90, EventKind.LOG_RECORD, process.main, arg=30, attrs={"message": "%s left", "arguments": [3]})

    picture = drawn(tmp_path, process)

    assert ("WAIT", "wait lock lock", 3, 90, 1) in described(picture, BlockKind.WAIT)
    wait = described(picture).index(("WAIT", "wait lock lock", 3, 90, 1))
    assert picture.blocks.state[wait] == BlockState.NOT_ENDED
    assert picture.blocks.end_seq[wait] == 0
    marks = picture.marks
    assert [(MarkKind(int(k)).name, picture.labels[l], t / US) for k, l, t in zip(marks.kind, marks.label, marks.t, strict=True)] == [
        ("LOG", "3 left", 90)
    ]  # fmt: skip


def test_spans_that_lie_in_one_another_go_deeper(tmp_path):
    """On the row of the task that began them; an effect is named with its kind."""
    process = Process()
    task = process.task("t")
    outer, inner = process.span("refresh"), process.span("select", op=Operation.DB, parent=1)
    process.event(0, EventKind.LIFE_TASK_START, process.main, entity=task)
    process.step(1, task, 50)
    process.event(2, EventKind.LIFE_SPAN_START, task, span=outer)
    process.event(5, EventKind.EFFECT_CALL, task, op=Operation.DB, span=inner)
    process.event(9, EventKind.EFFECT_RESULT, task, op=Operation.DB, span=inner, outcome=Outcome.FAILED)
    process.event(20, EventKind.LIFE_SPAN_END, task, span=outer, outcome=Outcome.OK)

    picture = drawn(tmp_path, process)

    spans = [block for block in described(picture) if block[0] == "SPAN"]
    assert spans == [("SPAN", "refresh", 2, 20, 1), ("SPAN", "db select", 5, 9, 1)]
    depth = picture.blocks.depth[picture.blocks.kind == BlockKind.SPAN].tolist()
    assert depth == [0, 1]


def test_a_process_of_spans_alone_has_a_lane_of_spans(tmp_path):
    """As OpenTelemetry tells of one: rows are filled again, children lie in their parents."""
    process = Process()
    numbers = [process.span(f"request {i}", kind=SpanKind.SERVER) for i in range(3)]
    child = process.span("child", parent=numbers[0])
    for number, start in zip(numbers, (0, 5, 20), strict=True):
        process.event(start, EventKind.LIFE_SPAN_START, process.process, span=number)
    process.event(2, EventKind.LIFE_SPAN_START, process.process, span=child)
    process.event(4, EventKind.LIFE_SPAN_END, process.process, span=child, outcome=Outcome.OK)
    for number, end in zip(numbers, (10, 15, 30), strict=True):
        process.event(end, EventKind.LIFE_SPAN_END, process.process, span=number, outcome=Outcome.OK)

    picture = drawn(tmp_path, process)

    (lane,) = picture.lanes.lanes
    assert (lane.kind, lane.name, lane.rows, lane.in_run) == ("spans", "bank", 2, True)
    assert described(picture) == [
        ("SPAN", "request 0", 0, 10, 0),
        ("SPAN", "child", 2, 4, 0),
        ("SPAN", "request 1", 5, 15, 1),
        ("SPAN", "request 2", 20, 30, 0),
    ]
    assert picture.blocks.depth.tolist() == [0, 1, 0, 0]


def test_many_tasks_of_one_function_share_rows(tmp_path):
    """As many rows as lived at one time; the task with a function of its own keeps its lane."""
    process = Process()
    site = process.site(5, "main")
    other = process.task("other", "audit")
    process.event(0, EventKind.LIFE_TASK_START, process.main, entity=other)
    process.step(0, other, 500)
    for i in range(MAX_ALIKE + 1):
        task = process.task(f"Task-{i + 2}", "handle", site=site)
        process.event(10 * i, EventKind.LIFE_TASK_START, process.main, entity=task, site=site)
        process.step(10 * i + 1, task, 8)
        process.event(10 * i + 15, EventKind.LIFE_TASK_END, task, entity=task, outcome=Outcome.OK)

    picture = drawn(tmp_path, process)

    lanes = [(lane.kind, lane.name, lane.first_row, lane.rows, lane.scopes) for lane in picture.lanes.lanes]
    assert lanes == [
        ("thread", "MainThread", 0, 1, 1),
        ("task", "other", 1, 1, 1),
        ("tasks", "handle", 2, 2, MAX_ALIKE + 1),
    ]


def test_a_step_in_a_step_of_a_thread_has_a_row_of_its_own(tmp_path):
    """The function of a thread runs a loop whose callbacks lie in it."""
    process = Process()
    thread = process.entity(EntityKind.THREAD, "loop-thread", parent=process.main)
    process.event(0, EventKind.LIFE_THREAD_START, process.main, entity=thread)
    run = process.event(1, EventKind.LIFE_STEP, thread, op=Operation.RUN, site=process.site(8, "serve"))
    process.step(10, thread, 5, op=Operation.CALLBACK, site=process.site(9, "called"))
    process.event(40, EventKind.LIFE_STEP_END, thread, cause=run, arg=39 * US, outcome=Outcome.FAILED)

    picture = drawn(tmp_path, process)

    assert described(picture, BlockKind.STEP) == [("STEP", "serve", 1, 40, 1), ("STEP", "called", 10, 15, 2)]
    (lane,) = [lane for lane in picture.lanes.lanes if lane.name == "loop-thread"]
    assert (lane.first_row, lane.rows) == (1, 2)
    outer = described(picture).index(("STEP", "serve", 1, 40, 1))
    assert picture.blocks.state[outer] & BlockState.FAILED
    assert picture.blocks.end_seq[outer] == 4


def test_wakers_reach_across_processes(tmp_path):
    """A served request by the call that asked for it, a cause that names another process's event."""
    client, server = Process(0xA1, pid=1, service="web"), Process(0xB2, pid=2, service="db")
    asking = client.task("asking")
    client.event(0, EventKind.LIFE_TASK_START, client.main, entity=asking)
    client.step(1, asking, 5)
    call = client.span("GET /", kind=SpanKind.CLIENT, op=Operation.HTTP, span_id=77)
    client.event(2, EventKind.EFFECT_CALL, asking, op=Operation.HTTP, span=call)
    sent = client.event(3, EventKind.MESSAGE_SEND, asking)
    served = server.span("GET /", kind=SpanKind.SERVER, parent_span_id=77)
    serving = server.task("serving")
    server.event(10, EventKind.LIFE_TASK_START, server.main, entity=serving)
    server.step(20, serving, 5, remote_cause=(0xA1, sent))
    server.event(21, EventKind.LIFE_SPAN_START, serving, span=served)

    picture = drawn(tmp_path, client, server)

    names = described(picture)
    step = names.index(("STEP", "serving", 20, 25, 3))
    span = next(i for i, name in enumerate(names) if name[0] == "SPAN" and name[4] == 3)
    assert names[picture.blocks.waker[step]] == ("STEP", "asking", 1, 6, 1)
    assert names[picture.blocks.waker[span]] == ("STEP", "asking", 1, 6, 1)


def test_marks(tmp_path):
    """Each error once, the unhandled one as such; lost events with their number, on the process's row."""
    process = Process()
    task = process.task("t")
    process.event(0, EventKind.LIFE_TASK_START, process.main, entity=task)
    error = {"type": "builtins.KeyError", "message": "'x'"}
    raised = process.event(5, EventKind.ERROR_RAISED, task, attrs=error)
    process.event(6, EventKind.ERROR_UNHANDLED, task, attrs=error, cause=raised)
    process.event(7, EventKind.ERROR_RAISED, task, attrs={"type": "ValueError", "message": "y" * 500})
    process.event(8, EventKind.GAP_DROPPED, 0, arg=17)
    process.event(9, EventKind.CUSTOM_EVENT, task, attrs={"name": "paid"})

    picture = drawn(tmp_path, process)

    marks = picture.marks
    found = [
        (MarkKind(int(kind)).name, picture.labels[label], int(row), int(seq), int(count))
        for kind, label, row, seq, count in zip(
            marks.kind, marks.label, marks.row, marks.seq, marks.counts, strict=True
        )
    ]
    assert found[0] == ("UNHANDLED_ERROR", "builtins.KeyError: 'x'", 1, 2, 1)
    assert found[1][0] == "ERROR"
    assert len(found[1][1]) < 130
    assert found[2] == ("DROPPED", "17 events dropped", 0, 5, 17)
    assert found[3] == ("CUSTOM", "paid", 1, 6, 1)


def test_the_columns_are_those_of_the_contract(tmp_path, handover):
    """What a browser reads is what was drawn."""
    timelines = timelines_of(open_recording(write(tmp_path / "r.clew", handover)))
    picture = picture_of(timelines, RUN, 0)

    head, tables = decode_columns(encode_timeline(picture, timelines, 0, {"run": RUN, "revision": 3}))

    assert (head["schema"], head["run"], head["revision"], head["rows"]) == ("clew.timeline/1", RUN, 3, 3)
    assert head["lanes"][1] == {
        "process": 0, "kind": "task", "name": "a", "parent": 0, "first_row": 1, "rows": 1, "busy_ns": 20_000,
        "scopes": 1, "in_run": True,
    }  # fmt: skip
    assert head["processes"] == [
        {"process": "00000000000000a1", "service": "bank", "label": "bank", "pid": 100, "start_ns": 0, "end_ns": 60_000}
    ]
    assert list(tables["blocks"]) == list(BLOCKS)
    assert list(tables["marks"]) == list(MARKS)
    assert tables["blocks"]["start"].tolist() == picture.blocks.start.tolist()
    assert tables["blocks"]["waker"].tolist() == picture.blocks.waker.tolist()


def test_a_recording_of_nothing_has_an_empty_picture():
    """No process, no event."""
    picture = picture_of([], RUN, 0)

    assert (len(picture.blocks.start), picture.lanes.lanes, picture.lanes.rows, picture.from_ns) == (0, (), 0, 0)


def scrambled(seed):
    """A process in which kinds, scopes, times and causes go together by chance, or not at all."""
    random = Random(seed)
    process = Process(seed + 1, pid=seed + 1)
    process.end = random.choice([None, {"reason": "exit"}, {"exit": -9, "dropped": 5}])
    kinds = [EntityKind.TASK, EntityKind.THREAD, EntityKind.LOCK, EntityKind.PROCESS, EntityKind.QUEUE]
    for i in range(random.randint(0, 12)):
        process.entity(
            random.choice(kinds), f"e{i}", type_name="f", parent=random.randint(0, 14), span=random.randint(0, 5)
        )
    for i in range(random.randint(0, 5)):
        process.span(f"s{i}", parent=random.randint(0, 5), role=SpanRole(random.randint(0, 1)), op=random.choice([0, 32]),
                     span_id=random.randint(1, 9), parent_span_id=random.randint(0, 9))  # fmt: skip
    for _ in range(random.randint(0, 150)):
        process.event(
            random.choice([random.randint(0, 300), random.randint(0, 10**12)]), random.choice(list(EventKind)),
            random.choice([0, random.randint(0, 14), 2**32 - 1]), op=random.choice([0, *Operation]),
            outcome=random.choice(list(Outcome)), entity=random.randint(0, 14), span=random.randint(0, 6),
            cause=random.randint(0, 160), arg=random.choice([0, random.randint(0, 10**5), 2**62]),
            wait_ns=random.choice([0, random.randint(0, 10**5), 2**62]), site=random.randint(0, 3),
            attrs=random.choice([None, {}, {"message": 5}, {"from_ns": -1}]),
            remote_cause=random.choice([None, None, (random.randint(1, 3), random.randint(1, 99))]),
        )  # fmt: skip
    return process


@pytest.mark.parametrize("seed", range(0, 120, 2))
def test_invariants_hold_for_whatever_a_recording_says(tmp_path, seed):
    """Rows exist, nothing of one kind overlaps, every step is there, no block wakes itself."""
    folder = write(tmp_path / "r.clew", scrambled(seed), scrambled(seed + 1))
    timelines = timelines_of(open_recording(folder))

    picture = picture_of(timelines, RUN, 0)
    encode_timeline(picture, timelines, 0, {})

    blocks = picture.blocks
    assert (blocks.row < max(picture.lanes.rows, 1)).all()
    assert (blocks.end >= blocks.start).all()
    assert (np.diff(blocks.start) >= 0).all()
    assert int((blocks.kind == BlockKind.STEP).sum()) == sum(len(timeline.steps.rows) for timeline in timelines)
    firsts = [0, *np.cumsum([lane.rows for lane in picture.lanes.lanes]).tolist()]
    assert [*(lane.first_row for lane in picture.lanes.lanes), picture.lanes.rows] == firsts
    assert (blocks.waker < len(blocks.start)).all()
    assert (blocks.waker != np.arange(len(blocks.start))).all()
    assert overlapping(blocks) == []


def overlapping(blocks):
    """Pairs of blocks of one kind that overlap in a row (spans: at one depth); lives may in rows that are shared."""
    found = []
    for kind in (BlockKind.STEP, BlockKind.READY, BlockKind.WAIT, BlockKind.SPAN):
        at = np.flatnonzero((blocks.kind == kind) & (blocks.depth < 255))
        lines = blocks.row[at].astype(np.int64) * 256 + blocks.depth[at]
        order = np.lexsort((blocks.end[at], blocks.start[at], lines))
        at, lines = at[order], lines[order]
        clash = (lines[1:] == lines[:-1]) & (blocks.start[at[1:]] < blocks.end[at[:-1]])
        found += [(kind.name, int(at[i]), int(at[i + 1])) for i in np.flatnonzero(clash)]
    return found
