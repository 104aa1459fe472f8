"""Columns of events turned into intervals: steps, waits, spans, lifetimes."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clew.analysis.brackets import innermost, match_brackets
from clew.analysis.columns import as_arrays, look_up, positions_of, table_of
from clew.analysis.lifetimes import lifetimes_of, threads_of_scopes
from clew.analysis.spans import spans_after_events, spans_of, spans_of_events
from clew.analysis.steps import steps_of, steps_of_events
from clew.analysis.waits import waits_of
from clew.format import schema
from clew.model.kinds import EntityKind, EventKind, Operation

K = EventKind
WIDTHS = {"seq": "Q"} | {c.name: {1: "B", 4: "I", 8: "Q"}[c.width] for c in schema.EVENTS.columns}


def columns_of(*events: dict[str, int]) -> dict[str, Any]:
    """Columns of events that are given by what is not 0; `seq` counts from 1, `t_ns` by tens."""
    rows = [{"seq": i, "t_ns": 10 * i} | event for i, event in enumerate(events, 1)]
    return as_arrays({name: array(code, [row.get(name, 0) for row in rows]) for name, code in WIDTHS.items()})


def entities_of(*rows: tuple[int, EntityKind, int, int]) -> dict[str, Any]:
    """Entities by (number, kind, parent, span)."""
    return table_of({n: (n, kind, "", "", parent, 0, span, "") for n, kind, parent, span in rows}, schema.ENTITIES)


def spans_table(*rows: tuple[int, int]) -> dict[str, Any]:
    """Spans by (number, parent)."""
    return table_of({n: (n, 0, 1, n, 0, parent, 0, 0, 0, "") for n, parent in rows}, schema.SPANS)


class TestBrackets:
    """Which beginning belongs to which end."""

    @given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
    def test_brackets_are_matched_as_a_stack_would(self, brackets):
        """Within each group, every end takes the latest beginning that is still open."""
        groups = np.array([group for group, _ in brackets], np.uint32)
        opening = np.array([is_opening for _, is_opening in brackets], bool)
        expected = [-1] * len(brackets)
        stacks: dict[int, list[int]] = {}
        for i, (group, is_opening) in enumerate(brackets):
            stack = stacks.setdefault(group, [])
            if is_opening:
                stack.append(i)
            elif stack:
                begin = stack.pop()
                expected[begin], expected[i] = i, begin

        assert match_brackets(groups, opening).tolist() == expected

    @given(st.data())
    def test_a_moment_lies_in_the_innermost_interval(self, data):
        """Of nested intervals, the shortest one around the moment is found."""
        intervals = [(group, a, b) for group in (1, 2) for a, b in data.draw(nested_intervals())]
        moments = data.draw(st.lists(st.tuples(st.sampled_from((1, 2, 3)), st.integers(-1, 41)), max_size=20))
        order = data.draw(st.permutations(range(len(intervals))))
        intervals = [intervals[i] for i in order]

        found = innermost(
            np.array([g for g, _, _ in intervals], np.uint32),
            np.array([a for _, a, _ in intervals], np.int64),
            np.array([b for _, _, b in intervals], np.int64),
            np.array([g for g, _ in moments], np.uint32),
            np.array([t for _, t in moments], np.int64),
        )

        for (group, moment), i in zip(moments, found.tolist(), strict=True):
            around = [(b - a, a, b) for g, a, b in intervals if g == group and a <= moment < b]
            assert (i >= 0) == bool(around)
            if around:
                assert (intervals[i][2] - intervals[i][1]) == min(around)[0]
                assert intervals[i][0] == group


@st.composite
def nested_intervals(draw: Any, low: int = 0, high: int = 40, depth: int = 3) -> list[tuple[int, int]]:
    """Intervals between *low* and *high* that are nested or apart."""
    found: list[tuple[int, int]] = []
    at = low
    while at < high and depth and draw(st.booleans()):
        a = draw(st.integers(at, high))
        b = draw(st.integers(a, high))
        found.append((a, b))
        found += draw(nested_intervals(a, b, depth - 1))
        at = b
    return found


class TestSteps:
    """Steps as intervals, and the steps of events."""

    def test_a_short_step_carries_its_duration(self):
        """``arg`` of ``life.step`` is its duration."""
        columns = columns_of({"kind": K.LIFE_STEP, "scope": 3, "arg": 4, "entity": 9})

        steps = steps_of(columns)

        assert (steps.start_ns[0], steps.end_ns[0], steps.has_ended[0], steps.awaited[0]) == (10, 14, True, 9)

    def test_a_long_step_is_ended_by_the_event_that_names_it(self):
        """``life.step_end`` gives duration and awaited task."""
        columns = columns_of(
            {"kind": K.LIFE_STEP, "scope": 3},
            {"kind": K.LIFE_STEP, "scope": 4},
            {"kind": K.LIFE_STEP_END, "scope": 4, "cause": 2, "arg": 9},
            {"kind": K.LIFE_STEP_END, "scope": 3, "cause": 1, "arg": 29, "entity": 4},
        )

        steps = steps_of(columns)

        assert steps.end_ns.tolist() == [39, 29]
        assert steps.has_ended.all()
        assert steps.awaited.tolist() == [4, 0]

    def test_a_step_that_was_interrupted_ends_with_the_latest_of_its_scope(self):
        """An end that names no step ends the latest open one of the scope."""
        columns = columns_of(
            {"kind": K.LIFE_STEP, "scope": 3, "op": Operation.RUN},
            {"kind": K.LIFE_STEP, "scope": 3, "op": Operation.CALLBACK},
            {"kind": K.LIFE_STEP_END, "scope": 3},
            {"kind": K.LIFE_STEP_END, "scope": 8},
        )

        steps = steps_of(columns)

        assert steps.has_ended.tolist() == [False, True]
        assert steps.end_ns.tolist() == [40, 30]

    def test_a_step_that_never_ended_lasts_until_the_next_or_the_end(self):
        """A task cannot begin a step while another one of its own runs."""
        columns = columns_of(
            {"kind": K.LIFE_STEP, "scope": 3},
            {"kind": K.LIFE_STEP, "scope": 3},
            {"kind": K.LOG_RECORD, "scope": 4},
        )

        steps = steps_of(columns)

        assert steps.end_ns.tolist() == [20, 30]
        assert not steps.has_ended.any()

    def test_an_event_belongs_to_the_step_around_it(self):
        """Also to the function of a thread after a callback of the loop that runs in it."""
        columns = columns_of(
            {"kind": K.LIFE_THREAD_START, "scope": 1, "entity": 2},
            {"kind": K.LIFE_STEP, "scope": 2, "op": Operation.RUN, "arg": 75},
            {"kind": K.LIFE_STEP, "scope": 2, "op": Operation.CALLBACK, "arg": 15},
            {"kind": K.LOG_RECORD, "scope": 2},
            {"kind": K.LIFE_STEP, "scope": 7, "arg": 5},
            {"kind": K.LOG_RECORD, "scope": 2},
            {"kind": K.LOG_RECORD, "scope": 7},
            {"kind": K.LIFE_THREAD_END, "scope": 2},
            {"kind": K.LIFE_STEP, "scope": 7},
            {"kind": K.LIFE_STEP_END, "scope": 7, "cause": 9, "arg": 5},
        )

        steps = steps_of(columns)

        assert steps_of_events(columns, steps).tolist() == [-1, 0, 1, 1, 2, 0, -1, 0, 3, 3]

    def test_no_events_have_no_steps(self):
        """Every function takes an empty stream."""
        columns, entities = columns_of(), entities_of()

        assert len(steps_of(columns).rows) == 0
        assert len(steps_of_events(columns, steps_of(columns))) == 0
        assert len(waits_of(columns).scope) == 0
        assert len(spans_of(columns).number) == 0
        assert len(spans_of_events(columns, spans_after_events(columns, entities, spans_table()))) == 0
        assert len(lifetimes_of(columns, entities).id) == 0
        assert len(threads_of_scopes(entities)) == 0


class TestWaits:
    """Waits as intervals."""

    def test_a_wait_lasts_from_its_beginning_to_its_end(self):
        """Begin and end are on the same entity in the same scope, whatever others do."""
        columns = columns_of(
            {"kind": K.SYNC_ACQUIRE, "scope": 3, "entity": 50},
            {"kind": K.SYNC_WAIT, "scope": 4, "entity": 50},
            {"kind": K.SYNC_GET, "scope": 4, "entity": 50, "wait_ns": 9},
            {"kind": K.SYNC_ACQUIRED, "scope": 3, "entity": 50, "wait_ns": 29},
        )

        waits = waits_of(columns)

        assert list(zip(waits.scope, waits.start_ns, waits.end_ns, strict=True)) == [(3, 10, 40), (4, 20, 30)]
        assert waits.has_ended.all()

    def test_waits_within_waits_are_told_apart(self):
        """A condition takes its lock again before its own wait is over."""
        columns = columns_of(
            {"kind": K.SYNC_WAIT, "scope": 3, "entity": 60},
            {"kind": K.SYNC_RELEASE, "scope": 3, "entity": 61},
            {"kind": K.SYNC_ACQUIRE, "scope": 3, "entity": 61},
            {"kind": K.SYNC_ACQUIRED, "scope": 3, "entity": 61, "wait_ns": 9},
            {"kind": K.SYNC_AWAIT, "scope": 3, "entity": 60, "wait_ns": 39},
        )

        waits = waits_of(columns)

        assert waits.begin_rows.tolist() == [0, 2]
        assert waits.end_rows.tolist() == [4, 3]

    def test_a_wait_that_never_ends_is_open(self):
        """A deadlock leaves a beginning without an end."""
        columns = columns_of(
            {"kind": K.SYNC_ACQUIRED, "scope": 3, "entity": 50},
            {"kind": K.SYNC_ACQUIRE, "scope": 3, "entity": 51},
            {"kind": K.LOG_RECORD, "scope": 9},
        )

        waits = waits_of(columns)

        assert waits.has_ended.tolist() == [False]
        assert (waits.start_ns[0], waits.end_ns[0], waits.entity[0]) == (20, 30, 51)

    def test_an_operation_that_does_not_wait_is_no_wait(self):
        """Uncontended acquires, puts and gets have ``wait_ns`` 0."""
        columns = columns_of(
            {"kind": K.SYNC_ACQUIRED, "scope": 3, "entity": 50}, {"kind": K.SYNC_PUT, "scope": 3, "entity": 51}
        )

        assert len(waits_of(columns).scope) == 0

    def test_a_wait_whose_beginning_was_dropped_is_known_by_its_end(self):
        """``wait_ns`` says when it began."""
        columns = columns_of({}, {"kind": K.SYNC_AWAIT, "scope": 3, "entity": 50, "wait_ns": 15})

        waits = waits_of(columns)

        assert (waits.begin_rows[0], waits.start_ns[0], waits.end_ns[0]) == (-1, 5, 20)


class TestSpans:
    """Spans as intervals, and the spans of events."""

    def test_a_span_lasts_from_its_start_to_its_end(self):
        """Runs, spans and effects alike."""
        columns = columns_of(
            {"kind": K.LIFE_RUN_START, "scope": 3, "span": 2},
            {"kind": K.EFFECT_CALL, "scope": 3, "span": 3},
            {"kind": K.EFFECT_RESULT, "scope": 3, "span": 3},
            {"kind": K.LIFE_RUN_END, "scope": 3, "span": 2},
            {"kind": K.LIFE_SPAN_START, "scope": 4, "span": 9},
        )

        spans = spans_of(columns)

        assert spans.number.tolist() == [2, 3, 9]
        assert spans.start_ns.tolist() == [10, 20, 50]
        assert spans.end_ns.tolist() == [40, 30, 50]
        assert spans.has_ended.tolist() == [True, True, False]

    def test_the_run_of_the_process_ends_with_it(self):
        """There is no ``life.run_end`` for it."""
        columns = columns_of(
            {"kind": K.LIFE_PROCESS_START, "entity": 1, "scope": 2, "span": 1},
            {"kind": K.LIFE_RUN_START, "entity": 1, "scope": 2, "span": 1},
            {"kind": K.LIFE_RUN_START, "scope": 2, "span": 2},
            {"kind": K.LIFE_PROCESS_END, "entity": 1, "scope": 2, "span": 1},
        )

        assert spans_of(columns).has_ended.tolist() == [True, False]

    def test_a_step_belongs_to_the_span_its_scope_was_last_in(self):
        """First the definition's, then the latest event's, after an end its parent."""
        step = {"kind": K.LIFE_STEP, "scope": 3, "arg": 1}
        columns = columns_of(
            step,
            {"kind": K.LIFE_SPAN_START, "scope": 3, "span": 5},
            {"kind": K.LOG_RECORD, "scope": 4, "span": 8},
            step,
            {"kind": K.LIFE_SPAN_END, "scope": 3, "span": 5},
            step,
            {"kind": K.GAP_DROPPED},
        )
        entities = entities_of((3, EntityKind.TASK, 0, 2))

        after = spans_after_events(columns, entities, spans_table((2, 1), (5, 2)))
        assert spans_of_events(columns, after).tolist() == [2, 5, 8, 5, 5, 2, 0]


class TestLifetimes:
    """Tasks and threads."""

    def test_a_task_lives_from_its_start_to_its_end(self):
        """Both events have it as their entity; one that is pending at the end is open."""
        columns = columns_of(
            {"kind": K.LIFE_PROCESS_START, "scope": 2, "entity": 1},
            {"kind": K.LIFE_TASK_START, "scope": 2, "entity": 3},
            {"kind": K.LIFE_TASK_START, "scope": 2, "entity": 4},
            {"kind": K.LIFE_TASK_END, "scope": 3, "entity": 3},
            {"kind": K.LIFE_PROCESS_END, "scope": 2, "entity": 1},
        )
        entities = entities_of(
            (1, EntityKind.PROCESS, 0, 0), (2, EntityKind.THREAD, 1, 0), (3, EntityKind.TASK, 2, 0),
            (4, EntityKind.TASK, 2, 0), (5, EntityKind.LOCK, 2, 0), (6, EntityKind.TASK, 2, 0),
        )  # fmt: skip

        lifetimes = lifetimes_of(columns, entities)

        assert lifetimes.id.tolist() == [2, 3, 4]
        assert lifetimes.start_ns.tolist() == [10, 20, 30]
        assert lifetimes.end_ns.tolist() == [50, 40, 50]
        assert lifetimes.has_ended.tolist() == [True, True, False]

    def test_a_task_runs_in_the_thread_of_its_creator(self):
        """Through any chain of creators; a circle of them leads nowhere."""
        entities = entities_of(
            (2, EntityKind.THREAD, 1, 0), (3, EntityKind.TASK, 2, 0), (4, EntityKind.TASK, 3, 0), (5, EntityKind.TASK, 4, 0),
            (6, EntityKind.TASK, 7, 0), (7, EntityKind.TASK, 8, 0), (8, EntityKind.TASK, 6, 0), (9, EntityKind.TASK, 99, 0),
        )  # fmt: skip

        assert threads_of_scopes(entities).tolist() == [2, 2, 2, 2, 0, 0, 0, 0]


def test_numbers_are_found_in_any_order():
    """``positions_of`` and ``look_up`` do not need sorted input."""
    assert positions_of(np.array([5, 3, 9]), np.array([9, 4, 5])).tolist() == [2, -1, 0]
    assert look_up(spans_table((7, 3), (2, 1)), "parent", np.array([7, 2, 8])).tolist() == [3, 1, 0]


def test_columns_are_not_copied():
    """A million events are looked at where the reader put them."""
    column = array("Q", [1, 2])

    view = as_arrays({"t_ns": column})["t_ns"]
    column[0] = 7

    assert view[0] == 7
