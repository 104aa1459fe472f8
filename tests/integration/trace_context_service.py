"""A service for the tests of W3C Trace Context; knows nothing of clew or of tracing.

It is posted a JSON list of ``{"url": …, "arguments": […]}`` and posts each ``arguments`` to
its ``url``: the protocol of the conformance suite (github.com/w3c/trace-context), which can
be run against it:

    clew run tests/integration/trace_context_service.py asgi 5000 &
    python test.py http://127.0.0.1:5000/test

Arguments: which libraries it is made of (``asgi``: uvicorn and httpx; ``wsgi``: wsgiref
and urllib; ``aiohttp``: server and client), and the port, 0 for any. Prints the port.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys


def serve_asgi(port: int) -> None:
    import socket

    import httpx
    import uvicorn

    client = httpx.AsyncClient()

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        for action in json.loads(body or b"[]"):
            await client.post(action["url"], json=action["arguments"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    listening = socket.create_server(("127.0.0.1", port))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run([listening])


def serve_wsgi(port: int) -> None:
    import urllib.request
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        for action in json.loads(body or b"[]"):
            request = urllib.request.Request(
                action["url"],
                data=json.dumps(action["arguments"]).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as response:
                response.read()
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    with make_server("127.0.0.1", port, app, handler_class=Silent) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


def serve_aiohttp(port: int) -> None:
    from aiohttp import ClientSession, web

    async def handle(request):
        async with ClientSession() as session:
            for action in await request.json():
                async with session.post(action["url"], json=action["arguments"]) as response:
                    await response.read()
        return web.Response()

    async def main():
        app = web.Application()
        app.router.add_post("/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def _stop(number, frame):
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    {"asgi": serve_asgi, "wsgi": serve_wsgi, "aiohttp": serve_aiohttp}[sys.argv[1]](int(sys.argv[2]))
