"""Calls as intervals, whole and where events were lost."""

from __future__ import annotations

import numpy as np

from clew.analysis.calls import calls_of
from clew.model.kinds import EventKind

START, END, OTHER = int(EventKind.LIFE_CALL_START), int(EventKind.LIFE_CALL_END), int(EventKind.LIFE_STEP)


def intervals(*events):
    """Calls of events (seq, time, kind, scope, arg, cause) as (seq of the start, start, end), None if open."""
    seq, t_ns, kind, scope, arg, cause = (np.array(column, np.int64) for column in zip(*events, strict=True))
    columns = {"seq": seq, "t_ns": t_ns, "kind": kind, "scope": scope, "arg": arg, "cause": cause}
    calls = calls_of(columns)
    return [
        (int(seq[row]), int(start), int(end) if ended else None)
        for row, start, end, ended in zip(
            calls.start_rows, calls.start_ns, calls.end_ns, calls.has_ended, strict=True
        )
    ]  # fmt: skip


def test_a_start_with_its_duration_is_a_whole_call():
    """No end follows it."""
    assert intervals((1, 10, START, 1, 50, 0), (2, 20, START, 1, 5, 0)) == [(1, 10, 60), (2, 20, 25)]


def test_an_end_closes_the_start_it_names():
    """Whatever lies between them, in whichever scope."""
    found = intervals(
        (1, 10, START, 1, 0, 0),
        (2, 20, START, 2, 0, 0),
        (3, 30, START, 1, 0, 0),
        (4, 40, END, 1, 10, 3),
        (5, 50, END, 1, 40, 1),
        (6, 60, END, 2, 40, 2),
    )

    assert found == [(1, 10, 50), (2, 20, 60), (3, 30, 40)]


def test_a_call_that_did_not_end_is_open():
    """The program was killed in it."""
    assert intervals((1, 10, START, 1, 0, 0), (2, 20, START, 1, 5, 0)) == [(1, 10, None), (2, 20, 25)]


def test_an_end_whose_start_was_lost_stands_for_the_time_before_it():
    """It says how long that was."""
    found = intervals((1, 10, START, 1, 0, 0), (9, 40, END, 1, 15, 0), (10, 50, END, 1, 40, 1))

    assert found == [(1, 10, 50), (9, 25, 40)]


def test_an_end_that_names_a_start_that_was_lost_stands_alone_too():
    """The start was not written, the end was."""
    assert intervals((9, 40, END, 1, 15, 3)) == [(9, 25, 40)]


def test_a_call_whose_end_was_lost_ends_with_the_one_around_it():
    """Or else it would swallow everything that came later."""
    found = intervals(
        (1, 10, START, 1, 90, 0),
        (2, 20, START, 1, 0, 0),
        (3, 30, START, 1, 5, 0),
        (4, 200, START, 1, 5, 0),
        (5, 300, START, 2, 0, 0),
    )

    assert found == [(1, 10, 100), (2, 20, 100), (3, 30, 35), (4, 200, 205), (5, 300, None)]


def test_ends_that_say_nothing_belong_to_the_latest_open_call():
    """Recorded by something else than clew."""
    found = intervals(
        (1, 5, END, 1, 0, 0),
        (2, 10, START, 1, 0, 0),
        (3, 20, START, 1, 0, 0),
        (4, 25, START, 2, 0, 0),
        (5, 30, END, 1, 0, 0),
        (6, 40, END, 1, 0, 0),
        (7, 45, END, 2, 0, 0),
    )

    assert found == [(2, 10, 40), (3, 20, 30), (4, 25, 45)]


def test_without_calls_there_are_none():
    """Other events do not matter."""
    assert intervals((1, 10, OTHER, 1, 0, 0)) == []
