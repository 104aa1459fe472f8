"""Artifacts over HTTP: what was put in comes out, whole or in part, and does nothing in a browser."""

from __future__ import annotations

import hashlib

import pytest
from starlette.testclient import TestClient
from tests.integration.server.conftest import MakeClient
from tests.integration.server.test_server_ingest import code_of

DATA = bytes(range(200))
HASH = hashlib.sha256(DATA).hexdigest()
ROUTE = f"/api/v1/artifacts/{HASH}"


@pytest.fixture
def stored(client: TestClient) -> TestClient:
    """A client of a server that keeps the artifact."""
    answer = client.put(ROUTE, content=DATA, headers={"Content-Type": "image/png", "X-Clew-Process": "0" * 16})
    assert answer.json() == {"hash": HASH, "size": 200}
    return client


def test_an_artifact_comes_out_as_it_went_in(stored: TestClient) -> None:
    """With its hash as ETag, to be cached for ever."""
    answer = stored.get(ROUTE)

    assert (answer.content, answer.headers["etag"]) == (DATA, f'"{HASH}"')
    assert "immutable" in answer.headers["cache-control"]
    assert (answer.headers["content-type"], answer.headers["x-clew-media-type"]) == ("image/png", "image/png")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=0-0", (0, 1)), ("bytes=10-19", (10, 20)), ("bytes=190-", (190, 200)), ("bytes=-5", (195, 200)),
     ("bytes=100-999", (100, 200)), ("bytes=-999", (0, 200))],
)  # fmt: skip
def test_a_range_is_answered(stored: TestClient, asked: str, expected: tuple[int, int]) -> None:
    """206, the bytes, and which they are."""
    start, end = expected

    answer = stored.get(ROUTE, headers={"Range": asked})

    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/200"


@pytest.mark.parametrize("asked", ["bytes=200-", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_outside_is_refused(stored: TestClient, asked: str) -> None:
    """416, and the size."""
    answer = stored.get(ROUTE, headers={"Range": asked})

    assert (answer.status_code, code_of(answer)) == (416, "range")
    assert answer.headers["content-range"] == "bytes */200"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=x", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=" + "9" * 99]
)
def test_a_range_that_means_nothing_is_ignored(stored: TestClient, asked: str) -> None:
    """As RFC 9110 has it: the whole is answered."""
    answer = stored.get(ROUTE, headers={"Range": asked})

    assert (answer.status_code, len(answer.content)) == (200, 200)


def test_a_client_that_has_it_is_told_so(stored: TestClient) -> None:
    """304 for its ETag; a range only if the ETag still holds."""
    assert stored.get(ROUTE, headers={"If-None-Match": f'W/"x", "{HASH}"'}).status_code == 304
    assert stored.get(ROUTE, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200


def test_the_head_is_as_long_as_the_artifact(stored: TestClient) -> None:
    """HEAD says the size and sends nothing."""
    answer = stored.head(ROUTE)

    assert (answer.headers["content-length"], answer.content) == ("200", b"")


@pytest.mark.parametrize(
    ("media_type", "answered"),
    [("text/html", "text/plain"), ("image/svg+xml", "text/plain"), ("application/xhtml+xml", "text/plain"),
     ("text/javascript", "text/plain"), ("application/pdf", "application/octet-stream"),
     ("TEXT/HTML; charset=utf-8", "text/plain"), ("x/y", "application/octet-stream")],
)  # fmt: skip
def test_what_a_browser_would_run_is_given_as_a_file(client: TestClient, media_type: str, answered: str) -> None:
    """No recording brings a script into the server's origin."""
    data = f"<script>alert(1)</script>{media_type}".encode()
    route = f"/api/v1/artifacts/{hashlib.sha256(data).hexdigest()}"
    assert client.put(route, content=data, headers={"Content-Type": media_type}).status_code == 200

    answer = client.get(route)

    assert answer.headers["content-type"].partition(";")[0] == answered
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_wrong_hash_is_refused(client: TestClient) -> None:
    """What arrived is not what was meant; nothing is kept."""
    answer = client.put(ROUTE, content=DATA + b"!")

    assert (answer.status_code, code_of(answer)) == (400, "artifact-hash")
    assert client.get(ROUTE).status_code == 404


@pytest.mark.parametrize(
    "name", ["..%2f..%2f..%2fetc%2fpasswd", "%2e%2e", "0" * 63, "0" * 65, "A" * 64, "0" * 62 + "%00", "g" * 64]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_a_name_that_is_no_hash_reaches_no_file(client: TestClient, name: str, method: str) -> None:
    """Path traversal ends at the pattern of the path."""
    answer = client.request(method, f"/api/v1/artifacts/{name}", content=b"x" if method == "PUT" else None)

    assert answer.status_code in (404, 405, 422)


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "nonsense"}, {"X-Clew-Process": "../x"}, {"X-Clew-Process": "0" * 15}]
)
def test_an_artifact_of_nobody_or_nothing_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    """The type and the process are checked."""
    assert client.put(ROUTE, content=DATA, headers=headers).status_code in (400, 422)


def test_an_artifact_that_is_too_large_is_refused(make_client: MakeClient) -> None:
    """The limit of bodies holds for artifacts."""
    answer = make_client(body_bytes=100).put(ROUTE, content=DATA)

    assert (answer.status_code, code_of(answer)) == (413, "body-too-large")
