"""A Starlette application on uvicorn, under load from another process.

Each request waits 2 ms, as for a database, and then does the rest of its work: ``none``,
``file`` (reads a small file) or ``call`` (one request with httpx to a third process).

Prints requests per second, and microseconds of the service's CPU time per request: the
second figure is what a busy core feels, and the one that a loaded machine changes least.

Usage: web_service.py WORK [REQUESTS [CONCURRENCY]]
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

WAIT_S = 0.002
WARM_UP = 200
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Stub(asyncio.Protocol):
    """Answers every request at once."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def stub():
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def load(port: int, requests: int, concurrency: int):
    """Send *requests*, and print how many a second were answered."""
    left = iter(range(WARM_UP + requests))
    started = 0.0

    async def worker():
        nonlocal started
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            if number == WARM_UP:
                started = time.perf_counter()
            writer.write(b"GET /items/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % (number % 100))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        writer.close()

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    print(requests / (time.perf_counter() - started))


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start this file in another role, unrecorded."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
    return subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, env=environ)


def serve(work: str, requests: int, concurrency: int):
    import httpx
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    backend = start("stub")
    url = f"http://127.0.0.1:{backend.stdout.readline().strip()}/rates"
    client = httpx.AsyncClient(trust_env=False)

    async def item(request):
        await asyncio.sleep(WAIT_S)
        if work == "file":
            Path(__file__).read_bytes()
        elif work == "call":
            await client.get(url)
        return PlainTextResponse("item " + request.path_params["id"])

    # Named as TCP, or asyncio would not turn off Nagle's algorithm on what it accepts.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(256)
    config = uvicorn.Config(
        Starlette(routes=[Route("/items/{id}", item)]), log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)

    async def main():
        serving = asyncio.create_task(server.serve([listening]))
        generator = start("load", str(listening.getsockname()[1]), str(requests), str(concurrency))
        begin = time.process_time()
        rate = float(await asyncio.to_thread(generator.stdout.read))
        cpu = time.process_time() - begin
        server.should_exit = True
        await serving
        print(json.dumps({"rate": rate, "cpu_us": cpu / (requests + WARM_UP) * 1e6}))

    asyncio.run(main())
    backend.kill()
    backend.wait()


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    if role == "stub":
        asyncio.run(stub())
    elif role == "load":
        asyncio.run(load(*map(int, rest)))
    else:
        serve(role, *map(int, [*rest, "3000", "16"][:2] if len(rest) < 2 else rest))
