"""Values in slots: what the observed process packs is what the drain unpacks."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.format import ring
from clew.format.values import ADDRESS_BITS, DELETED, MAX_NUMBER, Values
from clew.probe import journal
from clew.probe.redact import Redactor
from clew.probe.watch import places, summaries
from clew.probe.watch.events import CODE_SHIFT

texts: dict[int, str] = {}


@pytest.fixture(autouse=True)
def _texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Texts go where a drain would find them."""
    texts.clear()
    monkeypatch.setattr(journal, "write_text", texts.__setitem__)
    summaries.reset(Redactor())
    yield
    summaries.reset(Redactor())


def attrs(new: tuple[int, int], old: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """What a drain makes of an event with these values."""
    slot = bytearray(ring.SLOT_SIZE)
    ring.SLOT.pack_into(slot, 0, 1, 0, old[1], new[1], 1, 1, 1, 1, 7 | new[0] << CODE_SHIFT | old[0] << CODE_SHIFT + 4)
    values = Values()
    values.texts.update(texts)
    left = values.take(5, bytes(slot))
    assert ring.SLOT.unpack(left)[2:4] == (0, 0)
    ((seq, text),) = values.rows()
    assert seq == 5
    return json.loads(text)


@given(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_numbers_and_constants_come_back_as_they_were(value: Any) -> None:
    """Integers of 64 bits, floats, booleans and None lose nothing."""
    summaries.reset(Redactor())

    found = attrs(summaries.encode(value))["value"]

    assert found == value
    assert type(found) is type(value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_texts_come_back_unless_they_are_secrets(new: str, old: str) -> None:
    """Strings are told whole, redacted as everywhere."""
    summaries.reset(Redactor())
    texts.clear()

    found = attrs(summaries.encode(new), summaries.encode(old))

    assert found == {"value": Redactor().text(new), "old": Redactor().text(old)}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_json_cannot_hold_is_a_string(value: float) -> None:
    """Infinities and NaN."""
    assert attrs(summaries.encode(value))["value"] == str(value)


def test_an_old_value_alone_and_a_deletion_are_told() -> None:
    """A deletion tells what was there."""
    assert attrs((DELETED, 0), summaries.encode(3)) == {"state": "deleted", "old": 3}


def test_containers_are_told_by_length_and_address() -> None:
    """Nothing in them is looked at."""
    value = [object()] * 3

    assert attrs(summaries.encode(value))["value"] == f"<list of 3 at {id(value):#x}>"


def test_a_length_that_does_not_fit_is_the_largest_that_does() -> None:
    """More than a million elements."""
    found = attrs((6, MAX_NUMBER << ADDRESS_BITS | 1))["value"]

    assert found == f"<list of more than {MAX_NUMBER} at 0x10>"


def test_slots_without_values_are_left_alone() -> None:
    """Events of other kinds keep their arg and wait."""
    slot = ring.SLOT.pack(1, 0, 2, 3, 1, 1, 1, 1, 7)
    values = Values()

    assert values.take(1, slot) is slot
    assert not values.rows()


def test_the_number_of_texts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it, a string is told by its length."""
    monkeypatch.setattr(summaries, "MAX_TEXTS", 10)

    for i in range(50):
        last = summaries.encode(f"text {i}")

    assert len(texts) <= 10
    assert attrs(last)["value"].startswith("<str of 7 at")


@pytest.mark.parametrize("key", ["", "k", 0, -(2**63), None, True, 1.5, b"k", ("a", 1), ("a", (1, 2))])
def test_plain_keys_are_safe(key: Any) -> None:
    """Keys of built-in types name an item."""
    assert places.is_safe(key)


@pytest.mark.parametrize(
    "key", [object(), "x" * 10_000, 10**5000, b"x" * 1000, tuple(range(9)), (((1,),),), (object(),), frozenset({1})],
    ids=lambda key: type(key).__name__,
)  # fmt: skip
def test_keys_that_run_code_or_are_large_are_not_kept(key: Any) -> None:
    """Accesses under them are counted, not recorded."""
    assert not places.is_safe(key)
