"""Every error has the one shape, and tells nothing that is not the client's business."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from fastapi import APIRouter
from starlette.testclient import TestClient
from tests.integration.server.conftest import BASE_URL
from tests.integration.server.test_server_ingest import code_of
from tests.support.chunks import event_body

from clew.server import page
from clew.server.app import create_app
from clew.server.logs import ACCESS, JsonLines
from clew.server.settings import Settings
from clew.store.store import Store


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/none", 404, "not-found"),
        ("POST", "/api/v1/none", 404, "not-found"),
        ("GET", "/api/v2/runs", 404, "not-found"),
        ("GET", "/assets/none-12345678.js", 404, "not-found"),
        ("DELETE", "/api/v1/chunks", 405, "method"),
        ("POST", "/health/live", 405, "method"),
        ("PROPFIND", "/api/v1/server", 405, "method"),
        ("POST", "/", 405, "method"),
        ("PUT", "/api/v1/runs/xyz/retention", 422, "parameter"),
        ("GET", "/api/v1/audit?limit=0", 422, "parameter"),
        ("GET", "/api/v1/audit?cursor=x", 422, "parameter"),
        ("DELETE", f"/api/v1/runs/{'0' * 32}", 404, "run-missing"),
        ("DELETE", "/api/v1/keys/none", 404, "key-missing"),
        ("GET", f"/api/v1/artifacts/{'0' * 64}", 404, "artifact-missing"),
    ],
)
def test_errors_have_one_shape(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    """Of routing, of parameters, of what is not there."""
    answer = client.request(method, path)

    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"name": 1}', b'{"name":"x","role":"boss"}', b"\xff", b"[" * 5000]
)
def test_a_json_body_that_is_wrong_is_explained(client: TestClient, body: bytes) -> None:
    """Syntax, types and values; not the server's mistake."""
    answer = client.post("/api/v1/keys", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, code_of(answer)) in ((422, "parameter"), (400, "request"))


def broken_client(store: Store, error: Exception) -> TestClient:
    """A client of an application with a route that raises *error*."""
    app = create_app(store, settings=Settings())
    router = APIRouter()

    @router.get("/api/v1/broken")
    def broken() -> None:
        raise error

    app.router.routes.insert(0, router.routes[0])
    return TestClient(app, base_url=BASE_URL, raise_server_exceptions=False)


def test_a_mistake_of_ours_is_logged_and_not_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """The answer has the id of the request, under which the log has the traceback."""
    answer = broken_client(store, ZeroDivisionError("my secret")).get("/api/v1/broken")

    assert (answer.status_code, code_of(answer)) == (500, "internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    line: dict[str, Any] = json.loads(JsonLines().format(record))
    assert line["request_id"] == answer.json()["request_id"]
    assert "ZeroDivisionError" in line["traceback"]


def test_a_database_that_is_away_is_told_as_503(store: Store) -> None:
    """With when to come again, and without the statement."""
    error = sqlalchemy.exc.OperationalError("SELECT secret", {}, Exception("connection refused"))

    answer = broken_client(store, error).get("/api/v1/broken")

    assert (answer.status_code, code_of(answer)) == (503, "store-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["retryable"] == "yes"
    assert "secret" not in answer.text


def test_a_full_disk_is_told_as_503(store: Store) -> None:
    """Whoever writes a file meets it."""
    answer = broken_client(store, OSError(28, "No space left on device", "/secret/path")).get("/api/v1/broken")

    assert (answer.status_code, code_of(answer)) == (503, "store-unavailable")
    assert "secret" not in answer.text


def test_requests_are_logged_as_json(client: TestClient, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """One object a line: what was asked by its template, how it went, who asked."""
    caplog.set_level(logging.INFO, ACCESS.name)
    logging_client = TestClient(create_app(store, settings=Settings()), base_url=BASE_URL)

    logging_client.get(f"/api/v1/artifacts/{'0' * 64}")

    (record,) = [record for record in caplog.records if record.name == ACCESS.name]
    line = json.loads(JsonLines().format(record))
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/artifacts/{sha256}", 404)
    assert (line["actor"], line["level"]) == ("local", "info")
    assert line["duration_ms"] >= 0
    assert line["sent"] > 100


def test_metrics_count_events_and_requests(client: TestClient) -> None:
    """By the template of a route: ids would be as many series as there are ids."""
    client.post("/api/v1/chunks", content=event_body(range(1, 11)))
    client.post("/api/v1/chunks", content=event_body(range(6, 16)))
    client.get(f"/api/v1/artifacts/{'0' * 64}")
    client.get("/api/v1/none/xyz")

    lines = client.get("/metrics").text.splitlines()

    assert 'clew_events_accepted_total{route="/api/v1/chunks"} 15.0' in lines
    assert 'clew_events_duplicates_total{route="/api/v1/chunks"} 5.0' in lines
    assert 'clew_http_requests_total{method="POST",route="/api/v1/chunks",status="200"} 2.0' in lines
    assert 'clew_http_requests_total{method="GET",route="/api/v1/artifacts/{sha256}",status="404"} 1.0' in lines
    assert not any("xyz" in line for line in lines)
    assert any(line.startswith("clew_store_catalog_bytes ") and float(line.split()[1]) > 0 for line in lines)


def test_little_disk_space_is_visible(make_client: Any) -> None:
    """Degraded, and still ready: what comes is stored as long as it fits."""
    answer = make_client(disk_bytes=1 << 60).get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["disk"]["status"] == "degraded"


def test_a_catalog_that_cannot_be_written_is_not_ready(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, so that a balancer sends elsewhere."""
    from clew.store import leases

    def fail(*_: object) -> bool:
        raise sqlalchemy.exc.OperationalError("UPDATE", {}, Exception("attempt to write a readonly database"))

    monkeypatch.setattr(leases, "take", fail)

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()["checks"]["catalog"]["status"]) == (503, "failed")
    assert client.get("/health/live").status_code == 200


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "index-BxK3a9_f.js").write_text("let a = 1")
    (folder / "assets" / "index-BxK3a9_f.js.br").write_bytes(b"packed")
    (folder / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(page, "STATIC", folder)
    return folder


@pytest.mark.parametrize("path", ["/", "/runs", f"/runs/{'0' * 32}/timeline", "/index.html"])
def test_places_of_the_page_are_answered_by_the_page(client: TestClient, static: Path, path: str) -> None:
    """A deep link is loaded as a page, looked up anew each time."""
    answer = client.get(path)

    assert (answer.status_code, answer.text) == (200, "<!doctype html>the page")
    assert answer.headers["cache-control"] == "no-cache"


def test_hashed_files_are_kept_for_ever(client: TestClient, static: Path) -> None:
    """And are sent packed to who takes that."""
    path = "/assets/index-BxK3a9_f.js"

    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})

    assert "immutable" in plain.headers["cache-control"]
    assert (plain.text, packed.text) == ("let a = 1", "let a = 1")
    assert plain.headers["content-type"].startswith("text/javascript")
    assert client.head(path, headers={"Accept-Encoding": "br"}).headers["content-encoding"] == "br"
    assert client.get("/icon.svg").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/../../secret.txt", "/%00", "//etc/passwd"],
)
def test_no_path_leads_out_of_the_page(client: TestClient, static: Path, path: str) -> None:
    """Whatever is asked for, the file beside the folder is not given."""
    answer = client.get(path)

    assert "secret" not in answer.text.replace("/secret.txt", "").replace("/..%2fsecret.txt", "")
    assert "root:" not in answer.text


def test_a_page_that_is_not_built_says_how(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout without Node the server still answers."""
    monkeypatch.setattr(page, "STATIC", tmp_path / "none")

    answer = client.get("/")

    assert answer.status_code == 200
    assert "make web" in answer.text
