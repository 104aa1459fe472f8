"""The sender against a server that takes everything, or does what servers on the internet do."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chunk_server import ChunkServer
from tests.support.streams import GrowingStream

from clew.format import collector, destination, post, sender, spool
from clew.format.collector import Collector
from clew.format.destination import Destination
from clew.format.reader import Stream
from clew.format.sender import Sender

KEY = "clew_key_0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "some.clew"
    path.mkdir()
    return path


@pytest.fixture
def server() -> Iterator[ChunkServer]:
    with ChunkServer() as found:
        yield found


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    """Failures are told in milliseconds: only their order matters here."""
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(sender, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(sender, "REFUSED_PAUSE_S", 0.05)
    monkeypatch.setattr(sender, "POLL_S", 0.02)
    monkeypatch.setattr(sender, "TRIM_PAUSE_S", 0.0)


@contextlib.contextmanager
def sending(folder: Path, url: str, *, key: str = "", request_s: float = 5, **more) -> Iterator[Sender]:
    trims = more.pop("trims", False)
    said: list[str] = []
    found = Sender(folder, Destination(url, key, **more), say=said.append, trims=trims)
    found.said = said
    found._connection = post.Connection(found.destination, request_s=request_s)
    found.start()
    try:
        yield found
    finally:
        found.stop()
        assert not found._thread.is_alive()


def settled(found: Sender, seconds: float = 20) -> bool:
    found.close()
    return found.wait(seconds)


def test_whole_chunks_arrive_once_and_in_few_requests(folder, server):
    """Many small chunks of two processes travel together, over one connection."""
    streams = [GrowingStream(folder, process) for process in (1, 2)]
    for _ in range(50):
        for stream in streams:
            stream.add()

    with sending(folder, server.url) as found:
        assert settled(found)

    assert {process: len(seqs) for process, seqs in server.seqs.items()} == {1: 5000, 2: 5000}
    assert server.duplicates == 0
    assert len(server.requests) <= 2
    assert len(server._connections) == 1
    assert found.has_all
    assert (found.sent_events, found.unsent()) == (10_000, (0, 0))


def test_what_is_appended_later_is_sent_too(folder, server):
    """The sender follows a stream that grows, and a half-written chunk waits for its other half."""
    stream = GrowingStream(folder)
    with sending(folder, server.url):
        stream.add(10)
        server.wait_for(lambda: server.events == 10)
        with stream.path.open("rb") as file:
            size = len(file.read())
        chunk = stream.add(20)
        os.truncate(stream.path, size + len(chunk) // 2)
        later = GrowingStream(folder, 7)
        later.add(5)
        server.wait_for(lambda: server.events == 15)
        with stream.path.open("ab") as file:
            file.write(chunk[len(chunk) // 2 :])
        server.wait_for(lambda: server.events == 35)

    assert server.duplicates == 0


@pytest.mark.parametrize(
    "misbehaviour",
    [
        "silent", "reset", "close", "garbage", "endless line", "endless headers", "endless chunks", "endless body",
        "endless continue", "drip", "early 401", "204", "301", "401", "404", "429", "503", "500", "portal", "wrong json",
        "deep json", "short",
    ],
)  # fmt: skip
def test_everything_arrives_after_a_server_misbehaved(folder, server, misbehaviour):
    """Whatever an answer is, unless it says that the events were taken, they are sent again."""
    server.script.extend([misbehaviour] * 2)
    stream = GrowingStream(folder)
    stream.add(1000)

    with sending(folder, server.url, request_s=0.3) as found:
        assert settled(found)

    assert server.events == 1000
    assert found.has_all
    assert found.reason == ""
    assert not server.script


def test_what_was_taken_without_a_word_is_a_duplicate(folder, server):
    """A server that loses its answer gets the same chunks again, and knows them."""
    server.script.append("taken, but not said")
    GrowingStream(folder).add(1000)

    with sending(folder, server.url) as found:
        assert settled(found)

    assert (server.events, server.duplicates, found.duplicates) == (1000, 1000, 1000)


def test_a_connection_that_was_closed_meanwhile_costs_no_pause(folder, server):
    """Servers close connections they have not heard from: the next request opens another at once."""
    server.usually = "ok, then close"
    stream = GrowingStream(folder)
    with sending(folder, server.url) as found:
        for n in range(1, 4):
            stream.add(10)
            server.wait_for(lambda n=n: server.events == n * 10)
            assert found.reason == ""


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(folder, server):
    """Retry-After: no request comes earlier, even if somebody is in a hurry."""
    server.script.append("429")
    GrowingStream(folder).add(1)

    with sending(folder, server.url) as found:
        server.wait_for(lambda: len(server.requests) == 1)
        started = time.monotonic()
        found.hurry()
        assert settled(found)
        assert time.monotonic() - started >= 0.95

    assert len(server.requests) == 2


def test_a_server_that_is_away_is_asked_ever_more_rarely(folder, monkeypatch):
    """The pauses double up to the longest, and are never all alike."""
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 1.0)
    monkeypatch.setattr(sender, "LONGEST_PAUSE_S", 8.0)
    found = Sender(folder, Destination("http://127.0.0.1:9"))
    pauses = []
    for _ in range(12):
        found._fail(post.Reply(post.Verdict.LATER, "refused"))
        pauses.append(found._next_attempt - time.monotonic())

    for pause, longest in zip(pauses, [1, 2, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8], strict=True):
        assert longest / 2 - 0.1 <= pause <= longest
    assert len(set(pauses[3:])) > 1


def test_a_server_that_is_restarted_gets_the_rest(folder):
    """What was recorded while it was away comes when it is back; nothing is stored twice."""
    stream = GrowingStream(folder)
    with ChunkServer() as first, sending(folder, first.url) as found:
        stream.add(100)
        first.wait_for(lambda: first.events == 100)
        first.stop()
        for _ in range(10):
            stream.add(100)
        with ChunkServer(port=first.port) as second:
            assert settled(found)

    assert first.seqs[stream.process] == set(range(1, 101))
    assert second.seqs[stream.process] == set(range(101, 1101))


def test_a_chunk_the_server_does_not_want_holds_nothing_up(folder, server):
    """It stays in the recording and is told once; everything else is sent."""
    stream = GrowingStream(folder)
    for _ in range(64):
        stream.add(10)
    server.poison = {205, 401}

    with sending(folder, server.url, trims=True) as found:
        assert settled(found)

    assert server.seqs[stream.process] == set(range(1, 641)) - set(range(201, 211)) - set(range(401, 411))
    assert not found.has_all
    assert len(found.problems) == 2
    assert [line for line in found.said if "[chunk-refused]" in line] == found.said[:1]
    assert "this is poison" in found.said[0]
    assert len(Stream(stream.path).data) == 640


def test_batches_shrink_to_what_a_server_takes(folder, server):
    """413 is answered by smaller requests."""
    stream = GrowingStream(folder)
    sizes = [len(stream.add(10, noise=os.urandom(20_000))) for _ in range(20)]
    server.limit = max(sizes) * 3

    with sending(folder, server.url) as found:
        assert settled(found)

    assert server.events == 200
    assert found.has_all
    assert len(server.requests) < 20


def test_one_chunk_larger_than_a_batch_is_read_in_pieces(folder, server, monkeypatch):
    """Memory does not depend on the size of a chunk."""
    monkeypatch.setattr(sender, "BATCH_BYTES", 1000)
    largest = 0
    stored = sender.Tail.stored

    def watched(self, header):
        nonlocal largest
        for part in stored(self, header):
            largest = max(largest, len(part))
            yield part

    monkeypatch.setattr(sender.Tail, "stored", watched)
    stream, other = GrowingStream(folder, 1), GrowingStream(folder, 2)
    for _ in range(3):
        stream.add(10, noise=os.urandom(1 << 20))
        other.add(10)

    with sending(folder, server.url) as found:
        assert settled(found)

    assert server.events == 60
    assert 0 < largest <= 1 << 18
    assert max(size for size, _ in server.requests) > 1 << 20


def test_damage_is_passed_over_and_told(folder, server):
    """A damaged chunk in the middle is not sent, those around it are; the stream is not trimmed."""
    stream = GrowingStream(folder)
    stream.add(10)
    at = stream.path.stat().st_size
    stream.add(20)
    stream.add(30)
    with stream.path.open("r+b") as file:
        file.seek(at + 60)
        file.write(b"\xff\xff\xff")

    with sending(folder, server.url, trims=True) as found:
        assert settled(found)

    assert server.seqs[stream.process] == {*range(1, 11), *range(31, 61)}
    assert not found.has_all
    assert "damaged-chunk" in found.problems[0]


def test_a_repaired_stream_is_sent_from_its_start(folder, server):
    """Another file under the same name, or a shorter one, is read anew; the server knows what it has."""
    stream = GrowingStream(folder)
    stream.add(10)
    with sending(folder, server.url):
        server.wait_for(lambda: server.events == 10)
        copy = stream.path.with_suffix(".copy")
        copy.write_bytes(stream.path.read_bytes())
        copy.rename(stream.path)
        stream.add(10)
        server.wait_for(lambda: server.events == 20)

    assert server.duplicates == 10


# -- trust


def test_the_key_goes_to_the_server_and_nowhere_else(folder, server):
    """It is in the header of each request; not in what is said, even when the server echoes it."""
    GrowingStream(folder).add(10)
    server.script.append("401")

    with sending(folder, server.url, key=KEY) as found:
        assert settled(found)

    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}
    assert "unknown key Bearer [redacted]" in found.said[0]
    assert "[server-refused]" in found.said[0]
    assert "\x1b" not in found.said[0]
    assert KEY not in "".join(found.said) + repr(found.destination)


def test_a_redirect_is_not_followed(folder, server):
    """Not even to the same server: the key would go wherever an answer says."""
    server.usually = "301"
    GrowingStream(folder).add(10)

    with ChunkServer() as other, sending(folder, server.url, key=KEY) as found:
        server.wait_for(lambda: len(server.requests) >= 2)
        assert not other.requests

    assert "redirects to" in found.reason
    assert found.is_refused


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def tls_of(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_certificate_nobody_vouches_for_gets_nothing(folder, certificate):
    """Neither events nor the key, until the system trusts it."""
    GrowingStream(folder).add(10)

    with ChunkServer(tls=tls_of(certificate)) as server, sending(folder, server.url, key=KEY) as found:
        assert not settled(found, 0.3)
        assert found.is_hopeless(time.monotonic() + 5)
        assert server.requests == []

    assert "certificate is not valid here (self-signed certificate)" in found.reason


def test_a_certificate_the_system_trusts_is_enough(folder, certificate, monkeypatch):
    """https needs no setting."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    GrowingStream(folder).add(10)

    with ChunkServer(tls=tls_of(certificate)) as server, sending(folder, server.url, key=KEY) as found:
        assert settled(found)

    assert server.events == 10


def test_a_server_that_never_shakes_hands_is_given_up(folder):
    """TLS to a port that accepts and says nothing ends with the time for a request."""
    GrowingStream(folder).add(10)
    with (
        ChunkServer(usually="silent") as server,
        sending(folder, server.url.replace("http", "https"), request_s=0.2) as found,
    ):
        deadline = time.monotonic() + 10
        while not found.reason and time.monotonic() < deadline:
            found.wait(0.01)

    assert found.reason


def test_stopping_does_not_wait_for_a_server(folder):
    """A request that hangs is ended at once."""
    GrowingStream(folder).add(10)
    with ChunkServer(usually="silent") as server:
        with sending(folder, server.url, request_s=60):
            deadline = time.monotonic() + 10
            while not server._connections and time.monotonic() < deadline:
                time.sleep(0.01)
            started = time.monotonic()
        assert time.monotonic() - started < 0.9


# -- the spool


def test_what_was_sent_is_trimmed(folder, server, monkeypatch):
    """A long-lived stream keeps its head and its last chunk: enough for a drain that takes over."""
    monkeypatch.setattr(sender, "KEPT_BYTES", 100_000)
    with sending(folder, server.url, trims=True) as found:
        stream = GrowingStream(folder, spool=found.spool)
        sizes = []
        for n in range(1, 201):
            stream.add(100, noise=os.urandom(2000))
            if n % 10 == 0:
                server.wait_for(lambda n=n: server.events == n * 100)
                sizes.append(stream.path.stat().st_size)
        assert settled(found)

    assert server.seqs[stream.process] == set(range(1, 20_001))
    assert max(sizes) < 250_000
    assert found.spool.size == stream.path.stat().st_size
    assert server.duplicates == 0
    left = Stream(stream.path)
    assert left.next_seq == 20_001
    assert left.process["trace"] == "ab" * 16
    assert left.process["trimmed"] + sum(header.events for header in left.headers) == 20_000


def test_a_trim_loses_nothing_that_is_appended_meanwhile(folder, server, monkeypatch):
    """The drain appends while most of a stream is copied; in the last instant it has to wait."""
    monkeypatch.setattr(sender, "KEPT_BYTES", 20_000)
    copy = spool.shutil.copyfileobj
    appended = []

    def copied(source, target):
        copy(source, target)
        if not found.spool.lock.locked() and len(appended) < 5:
            appended.append(stream.add(20))

    monkeypatch.setattr(spool.shutil, "copyfileobj", copied)
    with sending(folder, server.url, trims=True) as found:
        stream = GrowingStream(folder, spool=found.spool)
        while len(appended) < 5:
            stream.add(20, noise=os.urandom(5000))
            server.wait_for(lambda: server.events >= stream.next_seq - 21)
        assert settled(found)

    assert server.seqs[stream.process] == set(range(1, stream.next_seq))
    assert server.duplicates == 0
    assert Stream(stream.path).next_seq == stream.next_seq


def test_streams_of_ended_processes_go_as_a_whole(folder, server, monkeypatch):
    """A pool that starts a process for each task does not fill the disk."""
    monkeypatch.setattr(sender, "KEPT_BYTES", 50_000)
    with sending(folder, server.url, trims=True) as found:
        for process in range(1, 101):
            stream = GrowingStream(folder, process, spool=found.spool)
            stream.add(10)
            stream.end()
            found.ended(stream.path)
        assert settled(found)
        server.wait_for(lambda: server.events == 1000)
        deadline = time.monotonic() + 10
        while len(list(folder.glob("*.stream"))) > 12 and time.monotonic() < deadline:
            found.wait(0.01)

    assert len(list(folder.glob("*.stream"))) <= 12
    assert len(server.ends) == 100


def test_a_recording_that_was_asked_for_is_not_trimmed(folder, server, monkeypatch):
    """With ``-o`` both are kept."""
    monkeypatch.setattr(sender, "KEPT_BYTES", 100)
    with sending(folder, server.url, trims=True, keeps=True) as found:
        stream = GrowingStream(folder, spool=found.spool)
        for _ in range(50):
            stream.add(100)
        assert settled(found)

    assert len(Stream(stream.path).data) == 5000
    assert found.spool.admit(1 << 40) == ""


def test_a_spool_has_an_end(folder):
    """Beyond the cap nothing but the smallest finds room, until something was sent."""
    GrowingStream(folder).add(10)
    found = spool.Spool(folder, cap_bytes=10_000)

    assert found.admit(9_000) == ""
    assert "may hold 10,000" in found.admit(10_000)
    assert found.admit(100) == ""
    assert found.refusals == 1


# -- collectors


def test_a_collector_sends_a_left_over_spool_and_removes_it(folder, server):
    """Whoever collects next finds the server named in the folder."""
    stream = GrowingStream(folder)
    stream.add(100)
    Destination(server.url, KEY).write(str(folder))
    found = Collector(folder)

    assert found.acquire()
    found.run()

    assert server.events == 100
    assert not folder.exists()


def test_the_server_is_named_in_a_file_for_its_owner_only(folder, server):
    """Mode 0600, whole or not there, and gone when a recording that is kept was sent."""
    GrowingStream(folder).add(100)
    Destination(server.url, KEY, keeps=True).write(str(folder))
    path = folder / destination.FILE_NAME

    assert path.stat().st_mode & 0o777 == 0o600
    found = destination.read_destination(str(folder))
    assert (found.url, found.key, found.keeps) == (server.url, KEY, True)

    later = Collector(folder)
    assert later.acquire()
    later.run()

    assert sorted(file.name for file in folder.iterdir()) == [".collector", "00000000000000a1.stream"]


def test_a_program_that_waits_is_told_why_not(folder):
    """A server that is away makes nobody wait; one that takes everything is waited for."""
    stream = GrowingStream(folder)
    stream.add(10)
    Destination("http://127.0.0.1:9").write(str(folder))
    with sending(folder, "http://127.0.0.1:9"):
        assert destination.why_unsent(str(folder), f"{stream.process:016x}", 20) == "Connection refused"
    with ChunkServer() as server, sending(folder, server.url) as found:
        waiting = threading.Timer(0.05, found.ended, [stream.path])
        waiting.start()
        assert destination.why_unsent(str(folder), f"{stream.process:016x}", 20) == ""
        waiting.join()
        assert server.events == 10


def test_a_process_that_begins_as_the_spool_goes_finds_a_folder(folder, server, monkeypatch):
    """It made its ring first: the folder is made again, and says where to send."""
    GrowingStream(folder).add(10)
    Destination(server.url, KEY).write(str(folder))
    late = [[], [], [Path("/dev/shm/of-the-late-one")]]
    found = Collector(folder)
    assert found.acquire()
    assert found.settle(20)
    monkeypatch.setattr(collector, "rings_of", lambda _: late.pop(0) if len(late) > 1 else late[0])
    late.pop(0)

    assert not found.remove_sent()
    found.release()

    assert [path.name for path in folder.iterdir()] == [destination.FILE_NAME]
    assert destination.read_destination(str(folder)).key == KEY


def test_a_ring_without_a_folder_is_removed(tmp_path, monkeypatch):
    """A sidecar whose recording is gone leaves nothing in shared memory."""
    orphan = tmp_path / "orphan.ring"
    orphan.touch()
    monkeypatch.setattr(collector, "rings_of", lambda _: [orphan])

    collector.main(str(tmp_path / "gone.clew"))

    assert not orphan.exists()


def test_a_sidecar_gives_up_in_the_end(folder, monkeypatch):
    """What it could not send stays where it is, with the key, for whoever comes later."""
    monkeypatch.setattr(collector, "UNSENT_PATIENCE_S", 0.0)
    stream = GrowingStream(folder)
    stream.add(10)
    Destination("http://127.0.0.1:9", KEY).write(str(folder))
    found = Collector(folder)
    assert found.acquire()
    found.run()

    assert found.sender.unsent() == (10, 1)
    assert (folder / destination.AWAY_NAME).read_text() == "Connection refused"
    assert destination.read_destination(str(folder)).key == KEY


def test_a_bug_of_the_sender_ends_the_sender_alone(folder, server, monkeypatch):
    """The drain goes on, nobody waits, and the recording stays."""

    def broken(self, limit):
        raise RuntimeError("bug of clew")

    monkeypatch.setattr(sender.Tail, "read", broken)
    GrowingStream(folder).add(10)
    with sending(folder, server.url) as found:
        found._thread.join(20)
        assert not settled(found, 0)
        assert found.is_hopeless(time.monotonic() + 60)

    assert "RuntimeError: bug of clew" in found.reason
    assert len(found.said) == 1
