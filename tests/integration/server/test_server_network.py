"""``clew serve`` on real sockets: slow and silent clients, its end, its port, its streams."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.server.conftest import LiveServer, environment, start_server
from tests.support.chunks import PROCESS_ID, event_body

Serve = Callable[..., LiveServer]
IMPATIENT = {"CLEW_SERVER_HEAD_S": "0.5", "CLEW_SERVER_BODY_IDLE_S": "0.5", "CLEW_SERVER_BODY_S": "1.5"}
HEAD = b"POST /api/v1/chunks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"


def answer_of(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes the connection."""
    connection.settimeout(10)
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        yield connection


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server whose patience ends soon."""
    server = start_server(str(tmp_path_factory.mktemp("impatient")), **IMPATIENT)
    yield server
    server.end()


def test_a_client_that_says_nothing_is_closed(impatient: LiveServer) -> None:
    """It gets no answer: it asked nothing."""
    with connected(impatient) as connection:
        assert answer_of(connection) == b""


@pytest.mark.parametrize("sent", [b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"G", b"POST /v1/traces HT"])
def test_a_head_that_does_not_end_is_answered_408(impatient: LiveServer, sent: bytes) -> None:
    """Trickling does not help: the time is for the whole head."""
    with connected(impatient) as connection:
        connection.sendall(sent)
        answer = answer_of(connection)

    assert answer.startswith(b"HTTP/1.1 408")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "head-too-slow"


def test_the_second_head_of_a_connection_is_bounded_too(impatient: LiveServer) -> None:
    """A connection that was used once may not be held with half a head."""
    with connected(impatient) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        answer = answer_of(connection)

    assert b"HTTP/1.1 408" in answer


def test_a_body_that_stops_is_answered_408(impatient: LiveServer) -> None:
    """A pause within the body ends the request; nothing of it is stored."""
    with connected(impatient) as connection:
        connection.sendall(HEAD + b"\r\n" + b"x" * 10)
        answer = answer_of(connection)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body-too-slow" in answer


def test_a_body_that_trickles_is_answered_408(impatient: LiveServer) -> None:
    """A byte now and then is progress, but not for ever."""
    begin = time.monotonic()

    with connected(impatient) as connection:
        connection.sendall(HEAD + b"\r\n")
        with contextlib.suppress(OSError):
            while time.monotonic() - begin < 8:
                connection.sendall(b"x")
                connection.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    answer = connection.recv(65536)
                    break

    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begin < 5


def test_a_head_without_end_is_refused(serve: Serve) -> None:
    """Megabytes of headers are not gathered."""
    server = serve()

    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with contextlib.suppress(OSError):
            for number in range(2000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # what it did not read makes its end a reset
            answer = answer_of(connection)

    assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert httpx.get(f"{server.url}/health/live").status_code == 200


def test_slow_clients_do_not_keep_others_out(serve: Serve) -> None:
    """A hundred of them, and an answer comes at once."""
    server = serve()

    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(server)).sendall(HEAD)
        begin = time.monotonic()
        answer = httpx.post(f"{server.url}/api/v1/chunks", content=event_body(range(1, 100)))
        seconds = time.monotonic() - begin

    assert answer.json()["accepted"] == 99
    assert seconds < 3


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_not_http_is_closed(impatient: LiveServer, garbage: bytes) -> None:
    """TLS, zeros and nonsense."""
    with connected(impatient) as connection:
        connection.sendall(garbage)
        answer = answer_of(connection)

    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_seconds_with_streams_open(serve: Serve, number: int) -> None:
    """Followers are let go, and the exit code says that all went well."""
    server = serve()
    with httpx.stream("GET", f"{server.url}/api/v1/live", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "id: 0"
        begin = time.monotonic()

        status, logged = server.end(number)

        assert (status, "Traceback" in logged) == (0, False)
        assert time.monotonic() - begin < 4
        assert [line for line in lines if line.startswith("event")] == ["event: hello"]


def test_a_request_that_runs_is_answered_before_the_end(serve: Serve) -> None:
    """A body that is on its way when the signal comes is stored, and the answer sent."""
    server = serve()
    body = event_body(range(1, 1000))
    with connected(server) as connection:
        connection.sendall(HEAD.replace(b"1000", str(len(body)).encode()) + b"\r\n" + body[:100])
        httpx.get(f"{server.url}/health/live")  # answered after what came before it was read
        server.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):  # until it stopped listening: the signal was heard
            while True:
                socket.create_connection(("127.0.0.1", server.port), 1).close()
        connection.sendall(body[100:])
        answer = answer_of(connection)

    assert b'"accepted":999' in answer
    assert server.end()[0] == 0


def test_a_port_that_is_taken_is_named(serve: Serve, tmp_path: Path) -> None:
    """With how to choose another."""
    server = serve()

    done = subprocess.run(
        [sys.executable, "-m", "clew", "serve", "--port", str(server.port), "--store", str(tmp_path / "x")],
        capture_output=True, text=True, timeout=30, env=environment(), check=False,
    )  # fmt: skip

    assert (done.returncode, f"127.0.0.1:{server.port}" in done.stderr) == (2, True)
    assert "[port-in-use]" in done.stderr


class Events:
    """Reads server-sent events in a thread of its own."""

    def __init__(self, url: str, **headers: str) -> None:
        self.stream = httpx.stream("GET", f"{url}/api/v1/live", headers=headers, timeout=20)
        self.lines = self.stream.__enter__().iter_lines()

    def next(self) -> tuple[str, str, dict]:
        """The next event: its id, name and data."""
        fields = {}
        for line in self.lines:
            if not line and fields:
                return fields["id"], fields["event"], json.loads(fields["data"])
            name, separator, value = line.partition(": ")
            if separator and name:
                fields[name] = value
        raise EOFError

    def close(self) -> None:
        self.stream.__exit__(None, None, None)


def test_changes_are_told_as_they_happen(serve: Serve) -> None:
    """Who follows hears of what others send, soon."""
    server = serve()
    events = Events(server.url)
    assert events.next() == ("0", "hello", {"revision": 0})

    httpx.post(f"{server.url}/api/v1/chunks", content=event_body(range(1, 10)))
    begin = time.monotonic()
    _, name, data = events.next()

    assert (name, data["processes"], data["runs"], data["total"]) == ("change", [PROCESS_ID], [], 0)
    assert data["revision"] > 0
    assert time.monotonic() - begin < 3
    events.close()


def test_who_was_away_is_told_what_was_missed(serve: Serve) -> None:
    """Last-Event-ID names the last revision that was seen."""
    server = serve()
    first = Events(server.url)
    first.next()
    httpx.post(f"{server.url}/api/v1/chunks", content=event_body(range(1, 10)))
    seen, _, _ = first.next()
    first.close()
    httpx.post(f"{server.url}/api/v1/chunks", content=event_body(range(1, 10), process=0xB2))

    again = Events(server.url, **{"Last-Event-ID": seen})

    assert again.next()[1:] == ("hello", {"revision": int(seen)})
    assert again.next()[2]["processes"] == [f"{0xB2:016x}"]
    again.close()


def test_what_another_server_stored_is_told_too(serve: Serve, tmp_path: Path) -> None:
    """Two servers, one store."""
    one, two = serve(store=str(tmp_path / "s")), serve(store=str(tmp_path / "s"))
    events = Events(one.url)
    events.next()

    httpx.post(f"{two.url}/api/v1/chunks", content=event_body(range(1, 10)))

    assert events.next()[2]["processes"] == [PROCESS_ID]
    events.close()


def test_followers_are_bounded(serve: Serve) -> None:
    """One too many is told to come again, and may when another has gone."""
    server = serve(CLEW_SERVER_MAX_LIVE="2")
    first, second = Events(server.url), Events(server.url)
    first.next(), second.next()

    refused = httpx.get(f"{server.url}/api/v1/live")

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too-many-followers")
    first.close()
    deadline = time.monotonic() + 10
    while True:
        third = Events(server.url)
        try:
            assert third.next()[1] == "hello"
            break
        except EOFError:
            assert time.monotonic() < deadline
    second.close(), third.close()


def test_many_clients_at_once_lose_nothing(serve: Serve) -> None:
    """Each event of each process is acknowledged once and stored once."""
    server = serve()
    accepted: list[int] = []

    def send(process: int) -> None:
        with httpx.Client() as client:
            for first in range(1, 2001, 100):
                body = event_body(range(first, first + 100), process=process)
                accepted.append(client.post(f"{server.url}/api/v1/chunks", content=body).json()["accepted"])

    threads = [threading.Thread(target=send, args=(0xD0 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert accepted == [100] * 160
