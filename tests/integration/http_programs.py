"""Sources the tests of HTTP servers put together: a client without hooks, and applications."""

from __future__ import annotations

CLIENT = '''
import os, socket, sys, threading, time

def ask(port, target, *headers, method="GET", body=b""):
    """Send one request over a plain socket, which no HTTP hook sees; return the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = [f"{method} {target} HTTP/1.1", "Host: test", "Connection: close", f"Content-Length: {len(body)}", *headers]
        connection.sendall("\\r\\n".join([*head, "", ""]).encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(None, 2)[1]) if answer else 0

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

def wait_for(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20).close()
        except OSError:
            time.sleep(0.01)
'''

WSGI_APP = """
import clew

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise ValueError("boom")
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return pieces()
    clew.event("custom", name="handling")
    start_response("201 Created", [("Content-Length", "2"), ("X-Tag", "blue")])
    return [b"ok"]

def pieces():
    yield b"one"
    clew.event("custom", name="streaming")
    yield b"two"
"""

ASGI_APP = """
import asyncio
import clew

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path == "/boom":
        raise ValueError("boom")
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.sleep(0)
        clew.event("custom", name="streaming")
        await send({"type": "http.response.body", "body": b"two"})
        return
    clew.event("custom", name="handling")
    headers = [(b"content-length", b"2"), (b"x-tag", b"blue")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
"""

RUN_UVICORN = '''
import asyncio, socket
import uvicorn

def serve(app, work, **options):
    """Run *work(port)* in a thread while uvicorn serves *app*."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, **{"log_level": "critical", **options}))

    async def main():
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            await asyncio.to_thread(work, port)
        finally:
            server.should_exit = True
            await serving

    asyncio.run(main())
'''

ANSWERS = '''
import socket, threading

heads = []
"""Head of every request that came, as lines."""
arrived = threading.Event()
go_on = threading.Event()

def header_of(head, name):
    found = [line.partition(": ")[2] for line in head[1:] if line.partition(":")[0].lower() == name]
    assert len(found) < 2, head
    return found[0] if found else None

def answer(connection):
    """Answer requests by their path, over a plain socket, which no hook sees."""
    with connection:
        piece, buffered = True, b""
        while True:
            while b"\\r\\n\\r\\n" not in buffered:
                piece = connection.recv(65536)
                if not piece:
                    return
                buffered += piece
            head, _, buffered = buffered.partition(b"\\r\\n\\r\\n")
            lines = head.decode("latin-1").split("\\r\\n")
            if (header_of(lines, "transfer-encoding") or "") == "chunked":
                while not buffered.endswith(b"0\\r\\n\\r\\n"):
                    buffered += connection.recv(65536)
                buffered = b""
            heads.append(lines)
            path = lines[0].split()[1].partition("?")[0]
            if path == "/cut":
                return
            arrived.set()
            if path == "/slow":
                connection.recv(1)
                return
            if path == "/stream":
                connection.sendall(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\none\\r\\n")
                go_on.wait(20)
                connection.sendall(b"3\\r\\ntwo\\r\\n0\\r\\n\\r\\n")
                continue
            status, body, more = {
                "/missing": ("404 Not Found", "no", ""),
                "/redirect": ("302 Found", "", "Location: /ok\\r\\n"),
            }.get(path, ("200 OK", "ok", "X-Answer: blue\\r\\n"))
            if path != "/keep":
                more += "Connection: close\\r\\n"
            connection.sendall(f"HTTP/1.1 {status}\\r\\nContent-Length: {len(body)}\\r\\n{more}\\r\\n{body}".encode())
            if path != "/keep":
                return

def accept(listening):
    while True:
        threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

listening = socket.create_server(("127.0.0.1", 0), backlog=64)
port = listening.getsockname()[1]
threading.Thread(target=accept, args=(listening,), daemon=True).start()

def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
'''
