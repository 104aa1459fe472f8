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

WSGI_APP = '''
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
'''

ASGI_APP = '''
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
'''

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
