"""Sorting by group, looking numbers up, and ranges that cover places: the quick ways against the plain ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.analysis import pauses
from clew.analysis.columns import distinct, order_of_groups, positions_of

GROUPS = st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), max_size=60)


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint64])
@given(GROUPS)
def test_groups_stand_together_and_in_their_order(dtype, groups):
    """As a stable sort has it."""
    values = np.array(groups, dtype)

    assert order_of_groups(values).tolist() == np.argsort(values, kind="stable").tolist()
    assert distinct(values).tolist() == sorted(set(groups))


@given(GROUPS, GROUPS)
def test_positions_are_those_of_the_first_that_is_equal(values, wanted):
    """Sorted or not, dense or with holes, of equal ones the first."""
    for known in (values, sorted(values)):
        expected = [known.index(value) if value in known else -1 for value in wanted]

        assert positions_of(np.array(known, np.uint32), np.array(wanted, np.uint32)).tolist() == expected


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_the_innermost_wait_is_found_either_way(lengths):
    """Written down for each pause, or searched for, where they are too many to be written down."""
    starts = np.arange(len(lengths))
    ends = np.array(
        [max(len(lengths) + 3 - i, i) for i in range(len(lengths))], np.int64
    )  # each lies in the one before
    names = starts + 100

    written = pauses._latest_over(20, starts, ends, names).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pauses, "MOST_COVERED", -1)
        searched = pauses._latest_over(20, starts, ends, names).tolist()

    expected = [-1] * 20
    for start, end, name in zip(starts.tolist(), ends.tolist(), names.tolist(), strict=True):
        expected[start:end] = [name] * (end - start)
    assert written == searched == expected
