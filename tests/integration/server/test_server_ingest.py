"""Hostile and unlucky requests to ``POST /api/v1/chunks``: what is right is stored once, the rest is refused whole."""

from __future__ import annotations

import gzip
import struct
import time
import zlib
from typing import Any

import httpx
import pytest
import zstandard
from starlette.testclient import TestClient
from tests.integration.server.conftest import MakeClient
from tests.support.chunks import PROCESS_ID, event_body, json_body

from clew.convert.stored import streams_of
from clew.format.chunk import HEADER_SIZE, ChunkType
from clew.store.store import Store

ROUTE = "/api/v1/chunks"


def send(client: TestClient, body: bytes, **headers: str) -> Any:
    return client.post(ROUTE, content=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def seqs_of(store: Store) -> list[int]:
    (stream,) = streams_of(store, [PROCESS_ID])
    return sorted(map(int, stream.data.columns["seq"]))


def code_of(response: httpx.Response) -> str:
    """The slug, of an answer that has the one shape."""
    document = response.json()
    assert set(document) == {"error", "request_id"}
    assert set(document["error"]) == {"code", "message", "details", "retryable"}
    assert response.headers["x-request-id"] == document["request_id"]
    return document["error"]["code"]


def test_chunks_are_stored_and_counted(client: TestClient, store: Store) -> None:
    """The answer says how many events of how many chunks were stored."""
    body = json_body(ChunkType.PROCESS, {"pid": 7, "service": "bank"}) + event_body(range(1, 11))

    answer = send(client, body)

    assert (answer.status_code, answer.json()) == (200, {"accepted": 10, "duplicates": 0, "chunks": 2})
    assert seqs_of(store) == list(range(1, 11))


def test_a_request_that_comes_again_is_counted_and_not_stored(client: TestClient, store: Store) -> None:
    """A duplicate changes nothing."""
    send(client, event_body(range(1, 11)))

    answer = send(client, event_body(range(1, 11)))

    assert answer.json() == {"accepted": 0, "duplicates": 10, "chunks": 1}
    assert seqs_of(store) == list(range(1, 11))


def test_events_may_come_in_any_order_and_overlap(client: TestClient, store: Store) -> None:
    """Later numbers first, then what overlaps them: each number is stored once."""
    answers = [send(client, event_body(seqs)).json() for seqs in (range(20, 30), range(1, 5), range(3, 25))]

    assert [(answer["accepted"], answer["duplicates"]) for answer in answers] == [(10, 0), (4, 0), (15, 7)]
    assert seqs_of(store) == list(range(1, 30))


def test_a_clock_that_is_wrong_is_stored_as_it_is(client: TestClient, store: Store) -> None:
    """A process from the year 2200 is taken: when its events happened is for it to say."""
    wall_ns = 7_258_118_400_000_000_000

    answer = send(client, json_body(ChunkType.PROCESS, {"pid": 7, "wall_ns": wall_ns}) + event_body([1]))

    assert answer.status_code == 200
    row = store.process(PROCESS_ID)
    assert row is not None
    assert row.wall_ns == wall_ns


@pytest.mark.parametrize("wall_ns", [1 << 80, -5, "soon", None, 1.5])
def test_a_head_of_wrong_types_is_no_server_error(client: TestClient, wall_ns: Any) -> None:
    """What a head says is data: it is taken or refused, and never breaks the server."""
    answer = send(client, json_body(ChunkType.PROCESS, {"pid": 7, "wall_ns": wall_ns, "service": ["x"]}))

    assert answer.status_code in (200, 400)


def damaged(body: bytes, at: int, value: int) -> bytes:
    changed = bytearray(body)
    changed[at] = value
    head = bytes(changed[: HEADER_SIZE - 4])
    return head + struct.pack("<I", zlib.crc32(head)) + bytes(changed[HEADER_SIZE:])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "truncated-stream"),
        (b"CLEW", "truncated-stream"),
        (b"x" * 100, "not-a-chunk"),
        (b'{"events": []}' * 10, "not-a-chunk"),
        (event_body([1, 2])[:-1], "truncated-stream"),
        (event_body([1]) + b"\0" * 48, "not-a-chunk"),
        (damaged(event_body([1]), 4, 9), "newer-recording"),
        (damaged(event_body([1]), 24, 200), "damaged-chunk"),
        (event_body([1])[:-1] + b"\xff", "damaged-chunk"),
    ],
    ids=["empty", "short", "not ours", "JSON", "cut", "zeros", "newer version", "false count", "wrong checksum"],
)
def test_a_malformed_body_is_refused_whole(client: TestClient, store: Store, body: bytes, code: str) -> None:
    """One bad chunk, and the good ones before it are not stored either."""
    answer = send(client, event_body(range(100, 110), process=0xB2) + body if len(body) > 4 else body)

    assert (answer.status_code, code_of(answer)) == (400, code)
    assert store.revision == 0


def test_a_chunk_of_a_type_from_the_future_is_no_error(client: TestClient) -> None:
    """A minor version may add types: they are taken, and do not break what is known."""
    answer = send(client, damaged(event_body([1]), 6, 77))

    assert answer.status_code == 200


def test_the_offset_of_what_is_wrong_is_told(client: TestClient) -> None:
    """Programs find where in the body the problem is."""
    first = event_body(range(1, 11))

    answer = send(client, first + b"x" * 60)

    assert answer.json()["error"]["details"] == {"offset": len(first)}


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_body_is_taken(client: TestClient, encoding: str) -> None:
    """Bodies may be compressed, in several members too."""
    pack = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor().compress
    body = pack(event_body(range(1, 11))) + pack(event_body(range(11, 5000)))

    answer = send(client, body, content_encoding=encoding)

    assert answer.json() == {"accepted": 4999, "duplicates": 0, "chunks": 2}


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_while_it_is_decompressed(make_client: MakeClient, encoding: str) -> None:
    """A gigabyte of zeros in a megabyte or less is not made in memory."""
    import tracemalloc

    client = make_client(body_bytes=1 << 20)
    if encoding == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        body = b"".join([*(packer.compress(b"\0" * (1 << 20)) for _ in range(900)), packer.flush()])
    else:
        chunker = zstandard.ZstdCompressor(level=3).chunker()
        pieces = [piece for _ in range(1000) for piece in chunker.compress(b"\0" * (1 << 20))]
        body = b"".join([*pieces, *chunker.finish()])
    assert len(body) < 1 << 20

    tracemalloc.start()
    answer = send(client, body, content_encoding=encoding)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer.status_code, code_of(answer)) == (413, "body-too-large")
    assert peak < 64 << 20


def test_a_frame_that_asks_for_a_huge_window_is_refused(client: TestClient) -> None:
    """Memory for a window of 128 MiB is not set aside because a frame asks for it."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = packer.compress(event_body(range(1, 20))) + packer.flush()

    answer = send(client, body, content_encoding="zstd")

    assert (answer.status_code, code_of(answer)) == (400, "content-encoding")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("how", ["cut", "garbage", "garbage behind"])
def test_what_is_not_compressed_as_it_says_is_refused(client: TestClient, encoding: str, how: str) -> None:
    """Half a member, or none at all."""
    pack = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor().compress
    whole = pack(event_body(range(1, 100)))
    body = {"cut": whole[:-6], "garbage": b"garbage", "garbage behind": whole + b"garbage"}[how]

    answer = send(client, body, content_encoding=encoding)

    assert (answer.status_code, code_of(answer)) == (400, "content-encoding")


def test_an_unknown_encoding_is_refused(client: TestClient) -> None:
    """The answer says which are known."""
    answer = send(client, b"x", content_encoding="br")

    assert (answer.status_code, code_of(answer)) == (415, "content-encoding")


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "x" * 500])
def test_another_content_type_is_refused(client: TestClient, media_type: str) -> None:
    """What a form of a foreign page can send is no chunk."""
    answer = send(client, event_body([1]), content_type=media_type)

    assert (answer.status_code, code_of(answer)) == (415, "content-type")


def test_a_body_over_the_limit_is_refused_before_it_is_read(make_client: MakeClient) -> None:
    """By its Content-Length, and without one by what came."""
    client = make_client(body_bytes=1000)

    declared = send(client, b"x" * 1001)
    streamed = client.post(ROUTE, content=iter([b"x" * 600, b"x" * 600]))

    assert [(r.status_code, code_of(r)) for r in (declared, streamed)] == [(413, "body-too-large")] * 2


def test_a_body_at_the_limit_is_taken(make_client: MakeClient) -> None:
    """The limit itself is allowed."""
    body = event_body(range(1, 100))

    assert send(make_client(body_bytes=len(body)), body).status_code == 200


def test_other_routes_take_small_bodies_only(make_client: MakeClient) -> None:
    """A route that reads JSON does not read megabytes of it."""
    answer = make_client(small_body_bytes=100).post("/api/v1/keys", json={"name": "x" * 200, "role": "viewer"})

    assert (answer.status_code, code_of(answer)) == (413, "body-too-large")


def test_too_many_requests_of_one_client_are_told_to_wait(make_client: MakeClient) -> None:
    """429, and when to come again."""
    client = make_client(rate_per_s=0.5, rate_burst=2)

    answers = [client.get("/health/live") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert code_of(answers[-1]) == "rate-limited"
    assert answers[-1].headers["retry-after"] == "2"
    assert answers[-1].json()["error"]["retryable"] == "yes"


def test_a_full_queue_is_told_as_429(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-pressure is an answer, not a loss."""
    from clew.store.errors import StoreBusyError

    def refuse(request: object) -> None:
        raise StoreBusyError(2048, 1 << 20)

    monkeypatch.setattr(store.writer, "submit", refuse)

    answer = send(client, event_body([1]))

    assert (answer.status_code, code_of(answer)) == (429, "store-busy")
    assert int(answer.headers["retry-after"]) >= 1


def test_future_dated_events_are_listed_without_error(client: TestClient) -> None:
    """Health and metrics go on after a head with times far away."""
    send(client, json_body(ChunkType.PROCESS, {"pid": 1, "wall_ns": time.time_ns() * 4}) + event_body([1]))

    assert [client.get(route).status_code for route in ("/health/ready", "/metrics")] == [200, 200]
