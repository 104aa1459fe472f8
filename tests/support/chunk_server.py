"""A server that takes chunks as docs/reference/http.md says, or misbehaves as it is told: the sender's double."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from clew.format import schema
from clew.format.chunk import HEADER_SIZE, ChunkType, decode_json, decode_payload, parse_header
from clew.format.events import decode_event_chunk
from clew.model.kinds import EventKind


class ChunkServer:
    """Listens on a free port of the loopback; stops with its ``with`` block.

    Attributes:
        script: How the next requests are answered, by name; when it is empty, as ``usually`` says.
        seqs: By process, the numbers of the events that were stored; of a gap, all that it stands for.
        requests: Bytes and headers of each request that was read whole.
    """

    def __init__(self, *, port: int = 0, usually: str = "ok", tls: ssl.SSLContext | None = None) -> None:
        self.script: deque[str] = deque()
        self.usually = usually
        self.seqs: dict[int, set[int]] = {}
        self.gaps: dict[int, int] = {}
        self.heads: dict[int, dict[str, Any]] = {}
        self.ends: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[int, dict[str, str]]] = []
        self.duplicates = 0
        self.limit = 1 << 30
        self.poison: set[int] = set()
        """Sequence numbers whose chunk is answered with 400."""
        self.changed = threading.Condition()
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self._is_stopping = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def events(self) -> int:
        return sum(map(len, self.seqs.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_stopping.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until *condition* holds; it is looked at after each request."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), (self.events, self.requests[-3:], self.heads)

    def _accept(self) -> None:
        while not self._is_stopping.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            with connection, connection.makefile("rb") as file:
                while self._serve_one(connection, file):
                    pass
        connection.close()

    def _serve_one(self, connection: socket.socket, file: Any) -> bool:
        if not file.peek(1):
            return False
        name = self.script.popleft() if self.script else self.usually
        if name in EARLY:
            EARLY[name](self, connection)
            return False
        line = file.readline()
        if not line:
            return False
        headers: dict[str, str] = {}
        while (field := file.readline().strip()) != b"":
            key, _, value = field.decode("latin-1").partition(":")
            headers[key.lower()] = value.strip()
        body = file.read(int(headers["content-length"]))
        if len(body) < int(headers["content-length"]):
            return False
        assert line == b"POST /api/v1/chunks HTTP/1.1\r\n", line
        with self.changed:
            self.requests.append((len(body), headers))
            done = LATE[name](self, connection, body)
            self.changed.notify_all()
        return done

    def store(self, connection: socket.socket | None, body: bytes) -> bool:
        """Take a body, or refuse it if it is too large or holds what is poison."""
        if len(body) > self.limit:
            return answer(connection, "413 Content Too Large", {"error": {"message": "the body is too large"}})
        offset, seqs, gaps = 0, [], 0
        chunks = []
        while offset < len(body):
            header = parse_header(body[offset:], offset)
            payload = decode_payload(header, body[offset + HEADER_SIZE : header.end])
            chunks.append((header, payload))
            offset = header.end
        accepted = duplicates = 0
        for header, payload in chunks:
            if header.type == ChunkType.EVENTS:
                chunk = decode_event_chunk(header, payload)
                found = [n for first, count, *_ in chunk.rows(schema.RANGES) for n in range(first, first + count)]
                if self.poison & set(found):
                    return answer(connection, "400 Bad Request", {"error": {"message": "this is poison"}})
                seqs.append((header.process_id, found))
                for kind, size in zip(
                    chunk.column(schema.EVENTS, "kind"), chunk.column(schema.EVENTS, "arg"), strict=True
                ):
                    gaps += size if kind == EventKind.GAP_DROPPED else 0
                self.gaps[header.process_id] = self.gaps.get(header.process_id, 0) + gaps
            else:
                heads = self.heads if header.type == ChunkType.PROCESS else self.ends
                heads[header.process_id] = heads.get(header.process_id, {}) | decode_json(header, payload)
        for process, found in seqs:
            known = self.seqs.setdefault(process, set())
            accepted += len(set(found) - known)
            duplicates += len(set(found) & known)
            known |= set(found)
        self.duplicates += duplicates
        return answer(connection, "200 OK", {"accepted": accepted, "duplicates": duplicates, "chunks": len(chunks)})


def answer(connection: socket.socket | None, status: str, value: Any, *more: str) -> bool:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more])
    if connection is not None:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
    return True


def _silent(server: ChunkServer, connection: socket.socket) -> None:
    server._is_stopping.wait(30)


def _reset(server: ChunkServer, connection: socket.socket) -> None:
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _endless(server: ChunkServer, connection: socket.socket, start: bytes, part: bytes) -> None:
    connection.sendall(start)
    while not server._is_stopping.is_set():
        connection.sendall(part)


def _drip(server: ChunkServer, connection: socket.socket) -> None:
    """One byte at a time, none too late: only the request as a whole takes for ever."""
    while not server._is_stopping.is_set():
        connection.sendall(b"H")
        time.sleep(0.05)


EARLY: dict[str, Callable[[ChunkServer, socket.socket], None]] = {
    "silent": _silent,
    "reset": _reset,
    "close": lambda s, c: None,
    "garbage": lambda s, c: c.sendall(b"\x00\xff" * 5000 + b"\r\n\r\n"),
    "endless line": lambda s, c: _endless(s, c, b"HTTP/1.1 200 OK\r\n", b"X" * 9999),
    "endless headers": lambda s, c: _endless(s, c, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 99),
    "endless body": lambda s, c: _endless(s, c, b"HTTP/1.1 200 OK\r\n\r\n", b" " * 9999),
    "endless chunks": lambda s, c: _endless(s, c, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\n     \r\n"),
    "endless continue": lambda s, c: _endless(s, c, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drip": _drip,
    "early 401": lambda s, c: answer(c, "401 Unauthorized", {"error": {"message": "no key"}}, "Connection: close") and None,
}  # fmt: skip
LATE: dict[str, Callable[[ChunkServer, socket.socket, bytes], bool]] = {
    "ok": lambda s, c, body: s.store(c, body),
    "ok, then close": lambda s, c, body: s.store(c, body) and False,
    "taken, but not said": lambda s, c, body: s.store(None, body) and False,
    "204": lambda s, c, body: answer(c, "204 No Content", b""),
    "301": lambda s, c, body: answer(c, "301 Moved Permanently", b"", f"Location: {s.url}/elsewhere"),
    "401": lambda s, c, body: answer(c, "401 Unauthorized", {"error": {"message": f"unknown key {s.requests[-1][1].get('authorization')}\x1b[31m"}}),
    "404": lambda s, c, body: answer(c, "404 Not Found", b"<html>nothing"),
    "429": lambda s, c, body: answer(c, "429 Too Many Requests", b"", "Retry-After: 1"),
    "503": lambda s, c, body: answer(c, "503 Service Unavailable", b"", "Retry-After: 0"),
    "500": lambda s, c, body: answer(c, "500 Internal Server Error", b"not json"),
    "portal": lambda s, c, body: answer(c, "200 OK", b"<html>please log in"),
    "wrong json": lambda s, c, body: answer(c, "200 OK", {"accepted": True, "duplicates": "0"}),
    "deep json": lambda s, c, body: answer(c, "200 OK", b"[" * 60_000),
    "short": lambda s, c, body: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{") or False,
}  # fmt: skip
