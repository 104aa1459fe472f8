r"""Which rows does a filter mean? The words of a filter box, parsed.

A filter is terms with blanks between them, all of which must hold:

    service:bank status:failed,lost dur:>1s -name:"GET /health" transfer

``field:value`` compares a field, anything else is free text. ``-`` before a term negates it.
A value in double quotes may hold blanks, commas and colons (``\"`` and ``\\`` inside them);
``*`` stands for any characters, ``\*`` in quotes for itself; commas part alternatives. Numbers,
durations and times take ``>``, ``>=``, ``<``, ``<=`` before them, or are a range ``1s..2s``, whose
ends belong to it and either of which may be left out.

Nothing is looked up here: terms are data, and whoever knows the rows makes conditions of them.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from clew.model.errors import ClewError
from clew.model.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TEXT = 2_000
MAX_TERMS = 50
MAX_VALUES = 100
"""More than these is no filter that a person wrote, and would take long to answer."""
LARGEST = (1 << 63) - 1

UNITS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
    "h": 3_600_000_000_000, "d": 86_400_000_000_000,
}  # fmt: skip
"""Of durations, in nanoseconds; both letters that look like µ."""
_NUMBER = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_DURATION = re.compile(r"([+-]?)(\d{1,20})(?:\.(\d{1,12}))?(ns|us|µs|μs|ms|s|m|h|d)", re.ASCII)
_FIELD = re.compile(r"([A-Za-z_]+):")
_COMPARISON = re.compile(r">=|<=|>|<")
_BLANKS = " \t\n\r\f\v"


class Kind(Enum):
    """What values a field has."""

    TEXT = "a text"
    NUMBER = "a number such as 100"
    DURATION = "a duration such as 250ms or 1.5s"
    SINCE = "a duration back from now such as 2h, or a time such as 2026-11-27T11:20"


class Field(NamedTuple):
    """A field that can be asked for.

    Attributes:
        kind: What values it has.
        choices: Of a text all there are; a value that fits none is a mistake. None: any.
    """

    kind: Kind
    choices: tuple[str, ...] | None = None


class Pattern(NamedTuple):
    """A text; between the parts anything may stand, so one part is the text itself."""

    parts: tuple[str, ...]


class Bounds(NamedTuple):
    """A number, or nanoseconds, between two ends that belong to it; None: no end."""

    low: int | None
    high: int | None


class Since(NamedTuple):
    """From so long ago (``ago_ns``), or from a time of day (``wall_ns``), on."""

    ago_ns: int | None
    wall_ns: int | None


Value: TypeAlias = "Pattern | Bounds | Since"


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must hold: the field has one of the values, or, negated, none of them.

    Attributes:
        field: Empty for free text, which names contain without regard to case.
        at: Where it stands in the filter.
    """

    field: str
    values: tuple[Value, ...]
    is_negated: bool = False
    at: int = 0


class FilterError(ClewError):
    """A filter means nothing.

    Args:
        offset: Where in it, in characters.
    """

    def __init__(self, offset: int, found: str, expected: str, remedy: str) -> None:
        self.offset = offset
        super().__init__("filter", f"filter, character {offset + 1}: {found}", expected, remedy)


def parse(text: str, fields: Mapping[str, Field]) -> tuple[Term, ...]:
    """Parse a filter.

    Args:
        text: What was typed; nothing but blanks is a filter that everything passes.
        fields: Those there are.

    Raises:
        FilterError: It means nothing.

    Complexity: O(n).
    """
    if len(text) > MAX_TEXT:
        raise FilterError(MAX_TEXT, f"it has {len(text):,} characters", f"expected at most {MAX_TEXT:,}", "shorten it")
    reader = _Reader(text, fields)
    terms: list[Term] = []
    while reader.skip_blanks():
        if len(terms) == MAX_TERMS:
            raise FilterError(reader.at, "there are more terms", f"expected at most {MAX_TERMS}", "leave some out")
        terms.append(reader.term())
    return tuple(terms)


class _Piece(NamedTuple):
    """One value as it was written: characters, and whether each is a ``*`` that stands for anything."""

    text: str
    wild: tuple[bool, ...]
    at: int
    is_quoted: bool

    @property
    def pattern(self) -> Pattern:
        parts = [""]
        for character, is_wild in zip(self.text, self.wild, strict=True):
            if is_wild:
                parts.append("")
            else:
                parts[-1] += character
        return Pattern(tuple(parts))


class _Reader:
    """Reads a filter from left to right."""

    def __init__(self, text: str, fields: Mapping[str, Field]) -> None:
        self._text = text
        self._fields = fields
        self.at = 0

    def skip_blanks(self) -> bool:
        """Go to the next term; return whether there is one."""
        while self._peek() and self._peek() in _BLANKS:
            self.at += 1
        return self.at < len(self._text)

    def _peek(self) -> str:
        return self._text[self.at : self.at + 1]

    def term(self) -> Term:
        """Read one term."""
        start = self.at
        is_negated = self._peek() == "-"
        self.at += is_negated
        if is_negated and (not self._peek() or self._peek() in _BLANKS):
            raise FilterError(start, "nothing stands after -", "expected a term", "write it, or remove the -")
        match = _FIELD.match(self._text, self.at)
        if match is None:
            return Term("", (self._piece(stops="").pattern,), is_negated, start)
        name = match.group(1).lower()
        field = self._fields.get(name)
        if field is None:
            raise self._unknown(name, self.at)
        self.at = match.end()
        pieces = self._pieces(name)
        values = tuple(_value(name, field, piece) for piece in pieces)
        return Term(name, values, is_negated, start)

    def _unknown(self, name: str, at: int) -> FilterError:
        close = difflib.get_close_matches(name, self._fields, n=1)
        advice = f"did you mean {close[0]}:?" if close else f'put it in double quotes to look for the text "{name}:…"'
        return FilterError(at, f"there is no field {name!r}", f"expected one of {', '.join(self._fields)}", advice)

    def _pieces(self, name: str) -> list[_Piece]:
        pieces = [self._piece(stops=",")]
        while self._peek() == ",":
            self.at += 1
            pieces.append(self._piece(stops=","))
        if len(pieces) > MAX_VALUES:
            raise FilterError(
                pieces[MAX_VALUES].at, "there are more alternatives", f"expected at most {MAX_VALUES}", "leave some out"
            )
        for piece in pieces:
            if not piece.text and not piece.is_quoted:
                raise FilterError(
                    piece.at, f"{name}: has no value here", "expected one", f'{name}:"" means none at all'
                )
        return pieces

    def _piece(self, *, stops: str) -> _Piece:
        """Read up to a blank, or one of *stops*, outside of double quotes."""
        start, text, wild, is_quoted = self.at, "", list[bool](), False
        while (character := self._peek()) and character not in _BLANKS and character not in (*stops,):
            self.at += 1
            if character == '"':
                is_quoted = True
                inside, inside_wild = self._quoted(self.at - 1)
                text += inside
                wild += inside_wild
            else:
                text += character
                wild.append(character == "*")
        return _Piece(text, tuple(wild), start, is_quoted)

    def _quoted(self, start: int) -> tuple[str, list[bool]]:
        text, wild = "", list[bool]()
        while (character := self._peek()) != '"':
            self.at += 1
            is_escaped = character == "\\" and self._peek() in ('"', "\\", "*")
            if is_escaped:
                character = self._peek()
                self.at += 1
            if not character:
                raise FilterError(start, "a double quote is not closed", 'expected another "', "close it")
            text += character
            wild.append(character == "*" and not is_escaped)
        self.at += 1
        return text, wild


def _value(name: str, field: Field, piece: _Piece) -> Value:
    if field.kind is Kind.TEXT:
        pattern = piece.pattern
        _check_choice(name, field, piece, pattern)
        return pattern
    if field.kind is Kind.SINCE:
        return _since(name, piece)
    return _bounds(name, field, piece)


def _check_choice(name: str, field: Field, piece: _Piece, pattern: Pattern) -> None:
    if field.choices is None or any(matches(pattern, choice) for choice in field.choices):
        return
    close = difflib.get_close_matches(piece.text.lower(), field.choices, n=1)
    few = field.choices if len(field.choices) <= 8 else (*field.choices[:7], "…")
    raise FilterError(
        piece.at,
        f"{name} is never {piece.text[:60]!r}",
        f"expected one of {', '.join(few)}",
        f"did you mean {name}:{close[0]}?" if close else "choose one of them; * matches anything",
    )


def _bounds(name: str, field: Field, piece: _Piece) -> Bounds:
    text = piece.text
    low, separator, high = text.partition("..")
    if separator:
        ends = [None if not end else _number(name, field, end, piece) for end in (low, high)]
        if ends != [None, None]:
            return Bounds(ends[0], ends[1])
    match = _COMPARISON.match(text)
    number = _number(name, field, text[match.end() :] if match else text, piece)
    comparison = match.group() if match else ""
    return {
        "": Bounds(number, number),
        ">=": Bounds(number, None),
        "<=": Bounds(None, number),
        ">": Bounds(number + 1, None),
        "<": Bounds(None, number - 1),
    }[comparison]


def _number(name: str, field: Field, text: str, piece: _Piece) -> int:
    number = _parse_number(text) if field.kind is Kind.NUMBER else parse_duration(text)
    if number is None or abs(number) >= LARGEST:
        is_bare = field.kind is Kind.DURATION and _NUMBER.fullmatch(text)
        raise FilterError(
            piece.at,
            f"{name} is compared with {text[:60]!r}" if text else f"{name} is compared with nothing",
            f"expected {field.kind.value}",
            f"did you mean {name}:{piece.text[:40]}ms?" if is_bare else f"write it as {name}:>{_EXAMPLE[field.kind]}",
        )
    return number


_EXAMPLE = {Kind.NUMBER: "100", Kind.DURATION: "250ms", Kind.SINCE: "2h", Kind.TEXT: "text"}


def _parse_number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_duration(text: str) -> int | None:
    """Return the nanoseconds of a duration such as ``1.5s``, ``-20ms`` or ``0``; None if it is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return 0 if text == "0" else None
    sign, whole, fraction, unit = match.groups()
    factor, digits = UNITS[unit], fraction or ""
    # In integers: 0.1 s are exactly 100 ms.
    number = int(whole) * factor + int(digits or 0) * factor // 10 ** len(digits)
    return -number if sign == "-" else number


def _since(name: str, piece: _Piece) -> Since:
    ago_ns = parse_duration(piece.text)
    if ago_ns is not None and 0 <= ago_ns < LARGEST:
        return Since(ago_ns, None)
    wall_ns = parse_time(piece.text)
    if wall_ns is None or abs(wall_ns) >= LARGEST:
        raise FilterError(
            piece.at, f"{name} is {piece.text[:60]!r}", f"expected {Kind.SINCE.value}", f"write it as {name}:2h"
        )
    return Since(None, wall_ns)


def matches(pattern: Pattern, text: str) -> bool:
    """Return whether a text is what a pattern says, without regard to case.

    Complexity: O(parts × length): each part is looked for once, from the left.
    """
    parts, text = [part.casefold() for part in pattern.parts], text.casefold()
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def contains(pattern: Pattern, text: str) -> bool:
    """Return whether a text has in it what a pattern says, without regard to case."""
    return matches(Pattern(("", *pattern.parts, "")), text)


def within(bounds: Bounds, number: int) -> bool:
    """Return whether a number lies between two ends."""
    return (bounds.low is None or bounds.low <= number) and (bounds.high is None or number <= bounds.high)


def to_text(terms: Sequence[Term], fields: Mapping[str, Field]) -> str:
    """Write terms as a filter that means the same.

    Args:
        terms: Of ``parse``.
        fields: With which they were parsed.
    """
    return " ".join(_term_text(term, fields) for term in terms)


def _term_text(term: Term, fields: Mapping[str, Field]) -> str:
    sign = "-" if term.is_negated else ""
    if not term.field:
        return sign + _value_text(term.values[0], "")
    unit = "ns" if fields[term.field].kind is Kind.DURATION else ""
    return f"{sign}{term.field}:{','.join(_value_text(value, unit) for value in term.values)}"


def _value_text(value: Value, unit: str) -> str:
    if isinstance(value, Pattern):
        escaped = [part.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*") for part in value.parts]
        return '"' + "*".join(escaped) + '"'
    if isinstance(value, Since):
        return format_time(value.wall_ns) if value.wall_ns is not None else f"{value.ago_ns}ns"
    low, high = ("" if end is None else f"{end}{unit}" for end in value)
    return f"{low}..{high}"
