"""Who may ask: keys, roles on every route, hosts and origins, headers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.integration.server.conftest import LiveServer, MakeClient, environment
from tests.integration.server.test_server_ingest import code_of

from clew.model.errors import ConfigError
from clew.server.app import create_app
from clew.server.settings import Settings, load
from clew.store import keys
from clew.store.store import Store

OPEN = {("get", "/health/live"), ("get", "/health/ready")}
VIEWER_POSTS = {("post", "/api/v1/sql")}
ADMIN_PREFIXES = ("/api/v1/keys", "/api/v1/audit")
LEVEL = {"viewer": 1, "operator": 2, "admin": 3}
VALUES = {"run": "0" * 32, "process": "0" * 16, "seq": "1", "site": "1", "sha256": "0" * 64, "key_id": "0" * 16}


def wanted_role(method: str, path: str) -> int:
    """The least role of a route, by what docs/reference/http.md says of its kind."""
    if (method, path) in OPEN:
        return 0
    if path.startswith(ADMIN_PREFIXES):
        return LEVEL["admin"]
    if method in ("get", "head") or (method, path) in VIEWER_POSTS:
        return LEVEL["viewer"]
    return LEVEL["operator"]


def routes(client: TestClient) -> list[tuple[str, str]]:
    """Every route of the OpenAPI document, as (method, path)."""
    document = client.get("/api/v1/openapi.json").json()
    return [(method, path) for path, methods in document["paths"].items() for method in methods]


def ask(client: TestClient, method: str, path: str, key: str | None, **headers: str) -> Any:
    """Ask a route, with values that name nothing."""
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    if path.endswith("/live") and path.startswith("/api"):  # it would go on for ever
        headers["Last-Event-ID"] = "no number"
    return client.request(method, path.format(**VALUES), headers=headers)


@pytest.fixture
def made(store: Store) -> dict[str, str]:
    """A key of each role."""
    return {role: keys.make(store, f"the {role}", role).secret for role in LEVEL}


def test_every_route_wants_the_role_it_says(client: TestClient, made: dict[str, str]) -> None:
    """Each route, with no key, a wrong one and one of each role."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    expected: dict[tuple[str, str], dict[str, int]] = {}
    for method, path in routes(client):
        least = wanted_role(method, path)
        cases = {"none": (None, 0), "wrong": ("clew_wrong", 0)} | {
            role: (made[role], level) for role, level in LEVEL.items()
        }
        found[method, path] = {}
        expected[method, path] = {}
        for name, (key, level) in cases.items():
            status = ask(client, method, path, key).status_code
            refused = 401 if level == 0 else 403
            expected[method, path][name] = refused if level < least else 0
            found[method, path][name] = status if status in (401, 403) else 0

    assert len(found) > 10
    assert expected == found


def test_without_keys_this_machine_may_do_everything(client: TestClient) -> None:
    """On loopback nobody is asked for a key until one is made."""
    answer = client.get("/api/v1/server").json()

    assert (answer["role"], answer["keys_required"]) == ("admin", False)


@pytest.mark.parametrize("settings", [{"require_key": True}, {"host": "0.0.0.0"}, {"hosts": ("clew.example",)}])
def test_a_key_is_asked_for_where_others_could_ask(make_client: MakeClient, settings: dict[str, Any]) -> None:
    """By setting, by address, or because a proxy stands before the server."""
    answer = make_client(**settings).get("/api/v1/server")

    assert (answer.status_code, code_of(answer)) == (401, "key-required")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_of_the_environment_is_an_admins(make_client: MakeClient) -> None:
    """CLEW_SERVER_KEY needs no store."""
    client = make_client(key="a long enough secret")

    answer = client.get("/api/v1/server", headers={"X-API-Key": "a long enough secret"})

    assert answer.json()["role"] == "admin"
    assert client.get("/api/v1/server", headers={"X-API-Key": "a long enough secreT"}).status_code == 401


def test_a_revoked_key_is_refused_at_once(client: TestClient, made: dict[str, str]) -> None:
    """By the server that revoked it; others forget it within two seconds."""
    admin, viewer = ({"X-API-Key": made[role]} for role in ("admin", "viewer"))
    assert client.get("/api/v1/server", headers=viewer).status_code == 200
    listed = client.get("/api/v1/keys", headers=admin).json()["keys"]
    (viewer_id,) = (key["id"] for key in listed if key["role"] == "viewer")

    client.delete(f"/api/v1/keys/{viewer_id}", headers=admin)

    assert client.get("/api/v1/server", headers=viewer).status_code == 401
    assert client.delete(f"/api/v1/keys/{viewer_id}", headers=admin).status_code == 404


def test_keys_are_shown_once_and_their_makers_noted(client: TestClient, made: dict[str, str], store: Store) -> None:
    """The list and the audit log know who made which, and no key."""
    admin = {"X-API-Key": made["admin"], "X-Request-Id": "make-1"}

    key = client.post("/api/v1/keys", json={"name": "ci", "role": "operator"}, headers=admin).json()

    assert client.get("/api/v1/server", headers={"X-API-Key": key["key"]}).json()["role"] == "operator"
    seen = client.get("/api/v1/keys", headers=admin).text + client.get("/api/v1/audit", headers=admin).text
    assert key["key"] not in seen
    (entry,) = client.get("/api/v1/audit", headers=admin).json()["entries"]
    assert (entry["action"], entry["subject"], entry["request_id"]) == ("key.make", key["id"], "make-1")
    assert entry["actor"].endswith("the admin")


def test_no_key_is_logged(client: TestClient, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a right one nor a wrong one, whatever is logged of its request."""
    key = keys.make(store, "ci", "viewer").secret
    logged = TestClient(create_app(store, settings=Settings(require_key=True)), base_url="http://127.0.0.1")
    caplog.set_level("DEBUG", "clew")

    for text in (key, "clew_wrong_key_of_mine"):
        logged.get(f"/api/v1/runs?key={text}", headers={"X-API-Key": text})
        logged.get("/api/v1/server", headers={"Authorization": f"Bearer {text}"})

    lines = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert len(caplog.records) >= 4
    assert key not in lines
    assert "clew_wrong_key_of_mine" not in lines


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:7777", "", "local host", "[::1"]
)
def test_a_foreign_host_is_refused_on_loopback(client: TestClient, host: str) -> None:
    """A page that gave its own name our address reads nothing."""
    answer = client.get("/health/live", headers={"Host": host})

    assert (answer.status_code, code_of(answer)) == (421, "foreign-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7777", "127.0.0.1:80", "127.8.9.1", "[::1]:7777"])
def test_every_name_of_loopback_is_taken(client: TestClient, host: str) -> None:
    """As a browser may write it."""
    assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_the_name_a_proxy_asks_by_is_taken(make_client: MakeClient) -> None:
    """--allow-host; a key is asked for then."""
    client = make_client(hosts=("clew.example",))

    assert client.get("/health/live", headers={"Host": "clew.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/chunks"), ("POST", "/api/v1/keys"), ("DELETE", "/api/v1/runs/" + "0" * 32)]
)
def test_a_foreign_page_changes_nothing(client: TestClient, headers: dict[str, str], method: str, path: str) -> None:
    """Browsers say whose page sends a request."""
    answer = client.request(method, path, headers=headers)

    assert (answer.status_code, code_of(answer)) == (403, "foreign-origin")


def test_the_servers_own_page_may_change_things(client: TestClient) -> None:
    """Its origin is the host it asked."""
    answer = client.post("/api/v1/keys", json={"name": "me", "role": "admin"}, headers={"Origin": "http://127.0.0.1"})

    assert answer.status_code == 201


def test_no_origin_may_read_unless_it_was_named(client: TestClient, make_client: MakeClient) -> None:
    """CORS is off; with --cors one origin is let in, and no other."""
    named = make_client(cors=("https://tools.example",))
    asked = {"Origin": "https://tools.example", "Access-Control-Request-Method": "GET"}

    assert "access-control-allow-origin" not in client.get("/api/v1/server", headers=asked).headers
    assert named.options("/api/v1/server", headers=asked).headers["access-control-allow-origin"] == asked["Origin"]
    other = named.get("/api/v1/server", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_every_answer_tells_browsers_to_be_careful(client: TestClient) -> None:
    """Errors and the page too: no scripts from elsewhere, no frames, no guessing of types."""
    for path in ("/", "/api/v1/server", "/api/v1/none", "/api/v1/keys/x"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize(("given", "is_kept"), [("abc-1", True), ("a" * 33, False), ("a b", False), ("<x>", False)])
def test_a_well_formed_request_id_is_kept(client: TestClient, given: str, is_kept: bool) -> None:
    """Others are replaced: they end up in logs."""
    answered = client.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"]

    assert is_kept == (answered == given)


def run_serve(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clew", "serve", *options],
        capture_output=True, text=True, timeout=30, env=environment(**variables), check=False,
    )  # fmt: skip


def test_another_address_without_a_key_is_refused(tmp_path: Path) -> None:
    """The server does not start, and says what to do."""
    done = run_serve("--host", "0.0.0.0", "--port", "0", "--store", str(tmp_path / "s"), "--no-worker")

    assert done.returncode == 2
    assert "[key-required]" in done.stderr
    assert "--make-key" in done.stderr
    assert "CLEW_SERVER_KEY" in done.stderr


def test_a_key_is_made_on_the_command_line(tmp_path: Path, serve: Callable[..., LiveServer]) -> None:
    """It is printed once, and opens the server on another address."""
    import httpx

    store = str(tmp_path / "s")
    key = run_serve("--store", store, "--make-key", "me:admin").stdout.strip()
    server = serve("--host", "0.0.0.0", store=store)

    answers = [httpx.get(f"{server.url}/api/v1/server", headers={"X-API-Key": text}) for text in (key, "clew_x")]

    assert [answer.status_code for answer in answers] == [200, 401]


@pytest.mark.parametrize("text", ["me", "me:boss", ":admin"])
def test_a_key_that_cannot_be_made_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the roles."""
    done = run_serve("--store", str(tmp_path / "s"), "--make-key", text)

    assert (done.returncode, "viewer, operator, admin" in done.stderr) == (2, True)


def test_a_short_key_of_the_environment_is_refused(tmp_path: Path) -> None:
    """And is not repeated in the message."""
    done = run_serve("--port", "0", "--store", str(tmp_path / "s"), CLEW_SERVER_KEY="hunter2")

    assert (done.returncode, "[setting-value]" in done.stderr, "hunter2" in done.stderr) == (2, True, False)


def test_settings_are_read_from_the_environment() -> None:
    """Numbers, switches and lists; flags beat them."""
    environ = {"CLEW_SERVER_PORT": "80", "CLEW_SERVER_REQUIRE_KEY": "on", "CLEW_SERVER_CORS": "https://a.b, http://c:1"}

    settings = load({"port": 81, "host": None}, environ=environ)

    assert (settings.port, settings.require_key, settings.cors) == (81, True, ("https://a.b", "http://c:1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "x"), ("PORT", "70000"), ("REQUIRE_KEY", "perhaps"), ("CORS", "*"), ("BODY_S", "-1"), ("LOG_LEVEL", "x")],
)
def test_a_setting_without_meaning_is_refused(name: str, value: str) -> None:
    """The message names where it stands."""
    with pytest.raises(ConfigError, match="setting-value"):
        load(environ={f"CLEW_SERVER_{name}": value})
