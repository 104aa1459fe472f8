"""The words of filter boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.analysis.filters import (
    LARGEST,
    MAX_TERMS,
    MAX_TEXT,
    Bounds,
    Field,
    FilterError,
    Kind,
    Pattern,
    Since,
    Term,
    contains,
    matches,
    parse,
    parse_duration,
    to_text,
)

FIELDS = {
    "service": Field(Kind.TEXT),
    "status": Field(Kind.TEXT, ("running", "succeeded", "failed")),
    "dur": Field(Kind.DURATION),
    "events": Field(Kind.NUMBER),
    "since": Field(Kind.SINCE),
}


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("service:bank", "service", Pattern(("bank",))),
        ("Service:bank", "service", Pattern(("bank",))),
        ('service:"the bank: a,b"', "service", Pattern(("the bank: a,b",))),
        (r'service:"a \"b\" \* \\"', "service", Pattern(('a "b" * \\',))),
        ('service:""', "service", Pattern(("",))),
        ("service:ba*.app", "service", Pattern(("ba", ".app"))),
        ("service:*", "service", Pattern(("", ""))),
        ("dur:250ms", "dur", Bounds(250_000_000, 250_000_000)),
        ("dur:>1s", "dur", Bounds(1_000_000_001, None)),
        ("dur:>=1.5s", "dur", Bounds(1_500_000_000, None)),
        ("dur:<2m", "dur", Bounds(None, 119_999_999_999)),
        ("dur:<=3us", "dur", Bounds(None, 3_000)),
        ("dur:1s..2s", "dur", Bounds(1_000_000_000, 2_000_000_000)),
        ("dur:1s..", "dur", Bounds(1_000_000_000, None)),
        ("dur:..1h", "dur", Bounds(None, 3_600_000_000_000)),
        ("dur:-1ms..0", "dur", Bounds(-1_000_000, 0)),
        ("events:10", "events", Bounds(10, 10)),
        ("events:>10", "events", Bounds(11, None)),
        ("since:2h", "since", Since(7_200_000_000_000, None)),
        ("since:1970-01-02", "since", Since(None, 86_400_000_000_000)),
        ("since:1970-01-01T00:00:01.5Z", "since", Since(None, 1_500_000_000)),
        ("since:1970-01-01T01:00+01:00", "since", Since(None, 0)),
        ("transfer", "", Pattern(("transfer",))),
        ('"POST /transfer"', "", Pattern(("POST /transfer",))),
        ("app.py:31", "", Pattern(("app.py:31",))),
        ("a,b", "", Pattern(("a,b",))),
    ],
)
def test_one_term(text: str, field: str, value: object) -> None:
    """Every form of a term means what the reference says."""
    assert parse(text, FIELDS) == (Term(field, (value,)),)  # type: ignore[arg-type]


def test_terms_alternatives_and_negation() -> None:
    """Terms stand beside each other; each knows where it began."""
    terms = parse('  status:failed,running -service:a,"b c"  -x', FIELDS)

    assert terms == (
        Term("status", (Pattern(("failed",)), Pattern(("running",))), at=2),
        Term("service", (Pattern(("a",)), Pattern(("b c",))), is_negated=True, at=24),
        Term("", (Pattern(("x",)),), is_negated=True, at=42),
    )


def test_blanks_are_a_filter_that_everything_passes() -> None:
    """Nothing is asked for."""
    assert parse(" \t", FIELDS) == ()


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ("servce:bank", 0, "did you mean service:?"),
        ("a status:faild", 9, "did you mean status:failed?"),
        ("status:99", 7, "expected one of running, succeeded, failed"),
        ("service:", 8, "has no value here"),
        ("service:a,,b", 10, "has no value here"),
        ("dur:>100", 4, "did you mean dur:>100ms?"),
        ("dur:fast", 4, "expected a duration such as 250ms"),
        ("events:many", 7, "expected a number"),
        ("events:..", 7, "compared with '..'"),
        ("events:>", 7, "compared with nothing"),
        (f"events:{LARGEST}", 7, "expected a number"),
        ("since:yesterday", 6, "expected a duration back from now"),
        ("since:2026-13-01", 6, "expected a duration back from now"),
        ("since:2026-01-01T00:00:00+99:99", 6, "expected a duration back from now"),
        ('x service:"bank', 10, "a double quote is not closed"),
        ("service:bank - x", 13, "nothing stands after -"),
        ("http://x", 0, "put it in double quotes"),
        ("x " * (MAX_TERMS + 1), 2 * MAX_TERMS, "expected at most 50"),
        ("x" * (MAX_TEXT + 1), MAX_TEXT, "shorten it"),
        ("service:" + "a," * 101 + "a", 208, "more alternatives"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_way_out(text: str, offset: int, said: str) -> None:
    """Whoever typed it learns which character is wrong and what would be right."""
    with pytest.raises(FilterError) as caught:
        parse(text, FIELDS)

    assert caught.value.offset == offset
    assert caught.value.slug == "filter"
    assert said in str(caught.value)


@given(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
    | st.text('service:dur"-><=.,*\\ 1s', max_size=40)
)
def test_any_text_is_a_filter_or_a_mistake_and_survives_being_written(text: str) -> None:
    """Nothing but FilterError is raised, and terms that are written and read again are the same."""
    try:
        terms = parse(text, FIELDS)
    except FilterError as error:
        terms, offset = (), error.offset
    else:
        offset = 0

    again = parse(to_text(terms, FIELDS), FIELDS)

    assert 0 <= offset <= len(text)

    assert [(t.field, t.values, t.is_negated) for t in again] == [(t.field, t.values, t.is_negated) for t in terms]


values = st.builds(lambda parts: Pattern(tuple(parts)), st.lists(st.text(max_size=5), min_size=1, max_size=4))
ends = st.none() | st.integers(1 - LARGEST, LARGEST - 1)
bounds = st.builds(Bounds, ends, ends).filter(lambda found: found != Bounds(None, None))


@given(
    st.lists(
        st.builds(lambda value, no: Term("", (value,), no), values, st.booleans())
        | st.builds(
            lambda some, no: Term("service", tuple(some), no), st.lists(values, min_size=1, max_size=3), st.booleans()
        )
        | st.builds(lambda some: Term("dur", tuple(some)), st.lists(bounds, min_size=1, max_size=3))
        | st.builds(lambda some: Term("events", tuple(some)), st.lists(bounds, min_size=1, max_size=3)),
        max_size=6,
    )
)
def test_any_terms_can_be_written(terms: list[Term]) -> None:
    """Whatever stands in the values, quotes and stars too."""
    assert [(t.field, t.values, t.is_negated) for t in parse(to_text(terms, FIELDS), FIELDS)] == [
        (t.field, t.values, t.is_negated) for t in terms
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        (("bank",), "Bank", True),
        (("bank",), "bank.app", False),
        (("bank", ""), "bank.app", True),
        (("", "app"), "bank.app", True),
        (("a", "a"), "a", False),
        (("a", "b", "c"), "axxbxxc", True),
        (("a", "b", "c"), "acb", False),
        (("", ""), "", True),
        (("a%",), "ax", False),
    ],
)
def test_patterns(pattern: tuple[str, ...], text: str, is_match: bool) -> None:
    """A star stands for any characters, everything else for itself, without regard to case."""
    assert matches(Pattern(pattern), text) is is_match
    assert contains(Pattern(pattern), f"<{text}>") or not is_match


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=8))
def test_patterns_are_those_of_regular_expressions(parts: list[str], text: str) -> None:
    """Looking for each part once from the left finds what any search would."""
    import re

    expected = re.fullmatch(".*".join(map(re.escape, parts)), text) is not None

    assert matches(Pattern(tuple(parts)), text) is expected


def test_durations_are_exact() -> None:
    """A tenth of a second is not off by a float's error."""
    assert [parse_duration(text) for text in ("0.1s", "1.000000001s", "0", "1", "1 s", "-2.5ms")] == [
        100_000_000, 1_000_000_001, 0, None, None, -2_500_000,
    ]  # fmt: skip
