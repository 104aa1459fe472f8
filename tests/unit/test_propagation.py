"""W3C Trace Context: what is read, refused, and written."""

from __future__ import annotations

import string

import pytest

from clew.probe import propagation
from clew.probe.context import Span
from clew.probe.propagation import RANDOM, SAMPLED, TraceContext, format_parent, outgoing, parse, parse_state

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_parent_is_read_into_its_ids_and_flags():
    """The four fields become numbers."""
    found = parse([PARENT], [])

    assert found is not None
    assert (found.trace_id, found.span_id, found.flags, found.state) == (int(TRACE, 16), int(SPAN, 16), SAMPLED, "")


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "fe", "ff"])
def test_flags_are_bits_and_unknown_ones_are_dropped(flags):
    """Only the bits this version knows are kept."""
    found = parse([f"00-{TRACE}-{SPAN}-{flags}"], [])

    assert found is not None
    assert found.flags == int(flags, 16) & 0x03


@pytest.mark.parametrize(
    "text",
    [
        f"01-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-what-the-future-brings",
        f"fe-{TRACE}-{SPAN}-01-",
        f" \t{PARENT}\t ",
    ],
)
def test_a_later_version_and_outer_space_are_accepted(text):
    """A version from the future may have more fields, behind a dash."""
    found = parse([text], [])

    assert found is not None
    assert found.trace_id == int(TRACE, 16)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + ".",
        PARENT + "-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"000-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-.1",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-٠١",
    ],
)
def test_a_malformed_parent_restarts_the_trace(text):
    """Nothing of a header that is wrong anywhere is used."""
    assert parse([text], ["foo=1"]) is None


@pytest.mark.parametrize("count", [0, 2, 3])
def test_anything_but_one_parent_restarts_the_trace(count):
    """Of two headers, neither can be trusted, even if they are equal."""
    assert parse([PARENT] * count, []) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([""], ""),
        (["foo=1"], "foo=1"),
        (["foo=1,bar=2", "baz=3"], "foo=1,bar=2,baz=3"),
        (["foo=1 \t , \t bar=2"], "foo=1,bar=2"),
        (["foo=1", "", " , ,", "bar=2"], "foo=1,bar=2"),
        (["foo= 1"], "foo= 1"),
        (["0tenant@system=x"], "0tenant@system=x"),
        (["1=x"], "1=x"),
        ([f"{'z' * 256}={'v' * 256}"], f"{'z' * 256}={'v' * 256}"),
        ([f"{'t' * 241}@{'v' * 14}=1"], f"{'t' * 241}@{'v' * 14}=1"),
        ([",".join(f"k{i}={i}" for i in range(32))], ",".join(f"k{i}={i}" for i in range(32))),
    ],
)
def test_valid_state_keeps_members_and_order(values, expected):
    """Empty members and optional white space go, everything else stays."""
    assert parse_state(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        ["foo=1,foo=1"],
        ["foo=1", "foo=2"],
        ["foo"],
        ["foo="],
        ["=1"],
        ["foo =1"],
        ["FOO=1"],
        ["foo.bar=1"],
        ["foo=a=b"],
        ["foo=\x7f"],
        ["foo=ä"],
        ["foo@=1"],
        ["@foo=1"],
        ["foo@@bar=1"],
        ["foo@bar@baz=1"],
        ["t@1system=1"],
        ["z" * 257 + "=1"],
        ["foo=" + "v" * 257],
        ["t" * 242 + "@v=1"],
        ["t@" + "v" * 15 + "=1"],
        [",".join(f"k{i}={i}" for i in range(33))],
    ],
)
def test_invalid_state_is_dropped_as_a_whole(values):
    """One wrong member makes the list untrustworthy; the parent stays valid."""
    assert parse_state(["ok=1", *values]) == ""
    assert parse([PARENT], ["ok=1", *values]) is not None


def test_every_allowed_character_passes():
    """The grammar's whole alphabet, in key and value."""
    key = string.ascii_lowercase + string.digits + "_-*/"
    value = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in ",=")

    assert parse_state([f"{key}={value}"]) == f"{key}={value}"


def test_state_is_not_read_without_a_parent():
    """A state that belongs to no trace is not passed on."""
    assert parse([], ["foo=1"]) is None


def test_what_is_written_can_be_read():
    """``format_parent`` pads, and ``parse`` understands it."""
    text = format_parent(5, 7, 3)

    found = parse([text], [])

    assert text == f"00-{5:032x}-{7:016x}-03"
    assert found is not None
    assert (found.trace_id, found.span_id, found.flags) == (5, 7, 3)


def _span(number=4, trace_id=1, span_id=2, carried=None):
    span = Span(number, trace_id, span_id, 0, 0)
    span.carried = carried
    return span


def test_a_trace_of_our_own_says_that_it_is_recorded_and_random():
    """Flags of a trace that began here."""
    parent, state = outgoing(_span())

    assert parent == format_parent(1, 2, SAMPLED | RANDOM)
    assert state == ""


def test_a_trace_that_goes_on_keeps_its_random_flag_and_state():
    """Only what came is claimed; the flag ``sampled`` is ours, since we record."""
    parent, state = outgoing(_span(carried=TraceContext(1, 9, 0, "foo=1")))

    assert parent == format_parent(1, 2, SAMPLED)
    assert state == "foo=1"


def test_an_unrecorded_request_passes_on_what_came():
    """Forwarding: the same parent, flags and state."""
    token = propagation.FORWARDED.set(TraceContext(1, 9, RANDOM, "foo=1"))
    try:
        assert outgoing(None) == (format_parent(1, 9, RANDOM), "foo=1")
        assert outgoing(_span(number=0)) == (format_parent(1, 9, RANDOM), "foo=1")
    finally:
        propagation.FORWARDED.reset(token)


def test_an_unrecorded_run_tells_its_trace_id_and_a_parent_of_its_own():
    """So that the next process decides alike."""
    token = propagation.FORWARDED.set(TraceContext(1, 0, RANDOM))
    try:
        first, second = (parse([outgoing(None)[0]], []) for _ in range(2))
    finally:
        propagation.FORWARDED.reset(token)

    assert first is not None
    assert second is not None
    assert first.trace_id == second.trace_id == 1
    assert first.span_id != second.span_id


def test_nothing_is_sent_where_nothing_is_known():
    """Neither a recorded span nor anything to pass on."""
    assert outgoing(None) == ("", "")
