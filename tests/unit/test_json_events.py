"""JSON events of any language become the chunks that clew itself writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.convert.json_events import MAX_AHEAD_NS, Converter, EventsError, decode
from clew.format import schema
from clew.format.chunk import HEADER_SIZE, ChunkType, decode_payload
from clew.format.events import decode_event_chunk
from clew.model.kinds import EntityKind, EventKind
from clew.store.ingest import check_chunks

ID = "00000000000000aa"
OTHER = "00000000000000bb"
NOW_NS = 1_764_242_406_000_000_000


class Numbers:
    """Numbers names as the store does: the same name gets the same number."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], dict[str, int]] = {}

    def __call__(self, process_id: str, kind: str, names: Any) -> dict[str, int]:
        known = self.known.setdefault((process_id, kind), {})
        return {name: known.setdefault(name, len(known) + 1) for name in names}


@pytest.fixture
def converter() -> Converter:
    return Converter(Numbers(), {"bank": OTHER}.get)


def convert(converter: Converter, *events: dict[str, Any], **process: Any) -> list[Any]:
    """Convert a request; return its event chunks, decoded."""
    body = json.dumps({"process": {"id": ID, "service": "cart", **process}, "events": list(events)})
    (found,) = converter.convert(decode(body.encode()), now_ns=NOW_NS)
    chunks = []
    for chunk in found.chunks:
        if chunk.header.type == ChunkType.EVENTS:
            (checked,) = check_chunks(chunk.body)
            assert (checked.ranges, checked.header) == (chunk.ranges, chunk.header)
            chunks.append(decode_event_chunk(chunk.header, decode_payload(chunk.header, chunk.body[HEADER_SIZE:])))
    return chunks


def event(seq: int, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "t_ns": 10 * seq, "kind": "custom.event", **more}


def test_an_event_has_its_names_numbered_and_defined(converter: Converter) -> None:
    """Scope, entity, place and span stand in the chunk of the event that names them."""
    (chunk,) = convert(
        converter,
        event(
            1, kind="life.run_start", scope="worker-1", entity={"kind": "lock", "name": "Cart.lock"},
            site={"file": "cart.js", "line": 31, "function": "checkout"}, trace="0" * 31 + "7", span="0" * 15 + "9",
            name="POST /checkout", attrs={"password": "hunter22", "n": 3},
        ),
    )  # fmt: skip

    entities = {row[0]: row for row in chunk.rows(schema.ENTITIES)}
    assert chunk.column(schema.EVENTS, "kind")[0] == EventKind.LIFE_RUN_START
    assert entities[chunk.column(schema.EVENTS, "scope")[0]][1:3] == (EntityKind.TASK, "worker-1")
    assert entities[chunk.column(schema.EVENTS, "entity")[0]][1:3] == (EntityKind.LOCK, "Cart.lock")
    assert chunk.rows(schema.SITES) == [(chunk.column(schema.EVENTS, "site")[0], "cart.js", 31, "checkout")]
    (span,) = chunk.rows(schema.SPANS)
    assert (span[2], span[3], span[9]) == (7, 9, "POST /checkout")
    assert json.loads(chunk.rows(schema.ATTRS)[0][1]) == {"password": "[redacted]", "n": 3}


def test_the_same_name_has_the_same_number_in_every_request(converter: Converter) -> None:
    """A lock that two requests name is one entity."""
    (first,) = convert(converter, event(1, entity="A"), event(2, entity="B"))
    (second,) = convert(converter, event(3, entity="B"))

    assert first.column(schema.EVENTS, "entity")[1] == second.column(schema.EVENTS, "entity")[0]


def test_events_out_of_order_and_twice_are_put_right(converter: Converter) -> None:
    """A chunk ascends by number, and holds each number once."""
    (chunk,) = convert(converter, event(5), event(1), event(2), event(5))

    assert chunk.rows(schema.RANGES) == [(1, 2), (5, 1)]
    assert list(chunk.column(schema.EVENTS, "t_ns")) == [10, 20, 50]


def test_a_time_of_day_is_put_on_the_clock_of_the_process(converter: Converter) -> None:
    """``at`` and ``t_ns`` of one instant are equal."""
    (chunk,) = convert(
        converter,
        {"seq": 1, "at": "2025-11-27T12:20:06.000000250+01:00", "kind": "custom.event"},
        wall_ns=1_764_242_406_000_000_000,
        monotonic_ns=1000,
    )

    assert list(chunk.column(schema.EVENTS, "t_ns")) == [1250]


def test_a_vector_clock_becomes_a_cause(converter: Converter) -> None:
    """What another component did last before an event enabled it; within one process by its number."""
    convert(converter, event(1, scope="a", clock=[["cart#a", 1]]), event(2, scope="a", clock=[["cart#a", 2]]))
    (chunk,) = convert(
        converter,
        event(3, scope="b", clock=[["cart#b", 1], ["cart#a", 2]]),
        event(4, scope="b", clock=[["cart#b", 2], ["cart#a", 2], ["bank", 9]]),
    )

    assert list(chunk.column(schema.EVENTS, "cause")) == [2, 0]
    assert chunk.rows(schema.REMOTE_CAUSES) == [(4, int(OTHER, 16), 9)]
    assert json.loads(chunk.rows(schema.ATTRS)[0][1])["clock"] == [["cart#b", 1], ["cart#a", 2]]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"kind": "life.birth"}, "life.birth"),
        ({"seq": 0}, "seq 0"),
        ({"seq": 2**63}, "seq"),
        ({"t_ns": -5}, "t_ns -5"),
        ({"t_ns": NOW_NS + 2 * MAX_AHEAD_NS}, "a day ahead"),
        ({"wait_ns": -1}, "wait_ns -1"),
        ({"wait_ns": 2**70}, "wait_ns"),
        ({"op": "levitate"}, "levitate"),
        ({"outcome": "meh"}, "meh"),
        ({"entity": {"kind": "unicorn", "name": "x"}}, "unicorn"),
        ({"trace": "xyz", "span": "0" * 16, "name": "n"}, "trace"),
        ({"span": "0" * 16}, "trace beside it"),
        ({"remote_cause": ["nope", 1]}, "remote_cause"),
        ({"remote_cause": [OTHER, -1]}, "remote_cause"),
        ({"site": {"file": "f", "line": -1}}, "line -1"),
        ({"seq": "one"}, "seq"),
        ({"surprise": 1}, "surprise"),
        ({"attrs": [1]}, "attrs"),
        ({"at": "yesterday", "t_ns": None}, "yesterday"),
        ({"at": "2025-11-27T12:20:06", "t_ns": None}, "offset from UTC"),
        ({"t_ns": None}, "t_ns"),
    ],
)
def test_a_wrong_value_is_named(converter: Converter, wrong: dict[str, Any], named: str) -> None:
    """The error says which value of which event, and nothing is taken."""
    with pytest.raises(EventsError) as error:
        convert(converter, event(1), {**event(7), **wrong})

    assert named in str(error.value)
    assert error.value.slug in ("event-value", "event-json")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b"null", b'{"process": {}}', b"\xff", b"[" * 100_000, b'{"process":{"id":"0000000000000000"}}'],
)
def test_a_body_that_is_no_request_is_refused(converter: Converter, body: bytes) -> None:
    """Whatever is sent, the answer is the documented error."""
    with pytest.raises(EventsError):
        converter.convert(decode(body), now_ns=NOW_NS)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["process", "events", "id", "seq", "t_ns", "kind", "scope", "clock", "attrs", "site"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_taken_or_refused_with_the_documented_error(value: Any) -> None:
    """No request makes the converter fail in another way."""
    try:
        Converter(Numbers(), {}.get).convert(decode(json.dumps(value).encode()), now_ns=NOW_NS)
    except EventsError:
        return


def test_the_head_and_the_end_of_a_process_are_chunks_of_their_own(converter: Converter) -> None:
    """A process that says how it ended has an END chunk; secrets in its command line are gone."""
    body = {"process": {"id": ID, "service": "cart", "argv": ["x", "--token", "abc"]}, "events": [], "end": {"exit": 0}}

    (found,) = converter.convert(decode(json.dumps(body).encode()), now_ns=NOW_NS)

    head, end = found.chunks
    assert (head.header.type, end.header.type) == (ChunkType.PROCESS, ChunkType.END)
    assert (head.json or {})["argv"] == ["x", "--token", "[redacted]"]
    assert end.json == {"exit": 0}
