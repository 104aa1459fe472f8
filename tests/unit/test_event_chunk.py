"""The payload of an event chunk, where its tables meet their limits."""

from __future__ import annotations

from clew.format.chunk import HEADER_SIZE, decode_payload, parse_header
from clew.format.events import Definitions, decode_event_chunk, encode_event_chunk
from clew.format.schema import SITES
from clew.format.slots import slot_planes


def test_a_chunk_may_bring_definitions_without_events():
    """Definitions whose events were dropped, or come later, make a chunk of their own."""
    sites = [(1, "bank.py", 31, "transfer")]

    data = encode_event_chunk(7, [], slot_planes(b""), Definitions(sites=sites))

    header = parse_header(data, 0)
    chunk = decode_event_chunk(header, decode_payload(header, data[HEADER_SIZE:]))
    assert chunk.rows(SITES) == sites
    assert header.events == 0
