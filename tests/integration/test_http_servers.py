"""What is recorded of requests a program serves: runs, routes, errors, what is left out."""

from __future__ import annotations

import sys

import pytest
from http_programs import ASGI_APP, CLIENT, RUN_UVICORN, WSGI_APP
from recorded_spans import spans_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"

WSGI_SERVERS = {
    "wsgiref": """
        from wsgiref.simple_server import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log_message(self, *args): pass
            def get_stderr(self): return open(os.devnull, "w")

        server = make_server("127.0.0.1", 0, app, handler_class=Silent)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port, stop = server.server_port, server.shutdown
        """,
    "werkzeug": """
        import logging
        from werkzeug.serving import make_server
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port, stop = server.server_port, server.shutdown
        assert server.app is app
        """,
    "waitress": """
        import logging
        from waitress.server import create_server
        logging.getLogger("waitress").setLevel(logging.CRITICAL)
        server = create_server(app, host="127.0.0.1", port=0, threads=1)
        threading.Thread(target=server.run, daemon=True).start()
        port, stop = server.effective_port, lambda: None
        """,
}
ASK_THREE = """
print([ask(port, target, "X-Tag: red") for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream")])
stop()
"""


def check_three(done):
    """Assert what each server is to record of the three requests of ``ASK_THREE``."""
    assert done.returncode == 0, done.stderr
    assert done.problems == {}
    ok, boom, stream = spans_of(done.recording)[-3:]
    assert (ok.name, ok.kind, ok.role, ok.op) == ("GET /ok/1", "server", "run", "")
    assert (ok.start.kind, ok.end.kind, ok.end.outcome) == ("life.run_start", "life.run_end", "ok")
    assert (ok.parent, ok.parent_id) == (1, 0)
    assert {name: value for name, value in ok.attrs.items() if not name.endswith("headers")} == {
        "method": "GET",
        "path": "/ok/1",
        "query": "a=1&token=[redacted]",
        "client_address": "127.0.0.1",
        "http_version": "1.1",
        "status": 201,
        "response_size": 2,
    }
    assert [e.attrs["name"] for e in ok.of("custom.event")] == ["handling"]
    (error,) = boom.of("error.raised")
    assert (boom.name, boom.end.outcome, boom.end.cause) == ("GET /boom", "failed", error.seq)
    assert (error.attrs["type"], error.attrs["message"]) == ("ValueError", "boom")
    assert boom.attrs["error"] == "ValueError"
    assert (stream.name, stream.end.outcome, stream.attrs["status"]) == ("GET /stream", "ok", 200)
    assert [e.attrs["name"] for e in stream.of("custom.event")] == ["streaming"]
    assert len({ok.trace, boom.trace, stream.trace}) == 3


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_a_wsgi_request_is_a_run_that_lasts_until_its_body_is_sent(record, server):
    """Whatever server: name, attributes, error, and the events of handler and body."""
    import textwrap

    done = record(CLIENT + WSGI_APP + textwrap.dedent(WSGI_SERVERS[server]) + ASK_THREE)

    check_three(done)
    assert done.stdout == "[201, 500, 200]\n"


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_a_request_to_a_gunicorn_worker_is_a_run(record, worker):
    """The workers are forked children: what they serve stands in their own streams."""
    done = record(
        CLIENT
        + WSGI_APP
        + f"""
from gunicorn.app.base import BaseApplication

port = free_port()
class Application(BaseApplication):
    def load_config(self):
        for name, value in dict(bind=f"127.0.0.1:{{port}}", workers=1, threads=2, worker_class="{worker}",
                                loglevel="critical", graceful_timeout=1, control_socket_disable=True).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
    def load(self):
        return app

def work():
    wait_for(port)
    ask(port, "/warm")
    print([ask(port, target, "X-Tag: red") for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream")], flush=True)
    os.kill(os.getpid(), 15)

threading.Thread(target=work, daemon=True).start()
Application().run()
"""
    )

    check_three(done)
    assert done.stdout == "[201, 500, 200]\n"


@pytest.mark.parametrize("implementation", ["h11", "httptools"])
def test_a_request_to_uvicorn_is_a_run(record, implementation):
    """Both implementations of HTTP that uvicorn has."""
    done = record(
        CLIENT
        + ASGI_APP
        + RUN_UVICORN
        + f"""
def work(port):
    print([ask(port, target, "X-Tag: red") for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream")])

serve(app, work, http="{implementation}")
"""
    )

    check_three(done)
    assert done.stdout == "[201, 500, 200]\n"


def test_a_request_to_hypercorn_is_a_run(record):
    """ASGI and WSGI applications under hypercorn."""
    done = record(
        CLIENT
        + ASGI_APP
        + WSGI_APP.replace("def app", "def wsgi_app")
        + """
import logging
import hypercorn.asyncio
from hypercorn.config import Config
logging.getLogger("hypercorn.error").setLevel(logging.CRITICAL)

async def serve(application):
    config = Config()
    port = free_port()
    config.bind, config.errorlog, config.loglevel = f"127.0.0.1:{port}", None, "CRITICAL"
    stop = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait))
    await asyncio.to_thread(wait_for, port)
    targets = ("/ok/1?a=1&token=topsecret", "/boom", "/stream")
    print([await asyncio.to_thread(ask, port, target) for target in targets])
    stop.set()
    await serving

asyncio.run(serve(app))
asyncio.run(serve(wsgi_app))
"""
    )

    assert done.stdout == "[201, 500, 200]\n[201, 500, 200]\n"
    check_three(done)
    asgi = spans_of(done.recording)[:3]
    assert [(s.name, s.role, s.end.outcome) for s in asgi] == [
        ("GET /ok/1", "run", "ok"),
        ("GET /boom", "run", "failed"),
        ("GET /stream", "run", "ok"),
    ]


AIOHTTP = """
import asyncio
from aiohttp import web
import clew

async def ok(request):
    clew.event("custom", name="handling")
    return web.Response(text="ok", status=201, headers={"X-Tag": "blue"})

async def boom(request):
    raise ValueError("boom")

async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"one")
    clew.event("custom", name="streaming")
    await response.write(b"two")
    return response

async def missing(request):
    raise web.HTTPNotFound()

app = web.Application()
app.router.add_get("/ok/{id}", ok)
app.router.add_get("/boom", boom)
app.router.add_get("/stream", stream)
app.router.add_get("/missing", missing)

async def serve(work):
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await asyncio.to_thread(work, runner.addresses[0][1])
    await runner.cleanup()

import logging
logging.disable(logging.CRITICAL)
"""


def test_a_request_to_aiohttp_is_a_run_named_by_its_route(record):
    """Its resource is the name; an HTTP exception is an answer, not an error."""
    done = record(
        CLIENT
        + AIOHTTP
        + """
def work(port):
    print([ask(port, target) for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream", "/missing", "/nowhere")])

asyncio.run(serve(work))
"""
    )

    assert done.stdout == "[201, 500, 200, 404, 404]\n"
    assert done.problems == {}
    ok, boom, stream, missing, nowhere = spans_of(done.recording)
    assert (ok.name, ok.kind, ok.role, ok.end.outcome) == ("GET /ok/{id}", "server", "run", "ok")
    assert (ok.attrs["path"], ok.attrs["query"], ok.attrs["route"]) == ("/ok/1", "a=1&token=[redacted]", "/ok/{id}")
    assert (ok.attrs["status"], ok.attrs["response_size"]) == (201, 2)
    assert [e.attrs["name"] for e in ok.of("custom.event")] == ["handling"]
    assert [e.attrs["type"] for e in boom.of("error.raised")] == ["ValueError"]
    assert (boom.end.outcome, boom.attrs["status"]) == ("failed", 500)
    assert [e.attrs["name"] for e in stream.of("custom.event")] == ["streaming"]
    assert (missing.end.outcome, missing.attrs["status"]) == ("ok", 404)
    raised = [e.attrs["type"] for e in missing.of("error.raised")]
    assert raised == (["aiohttp.web_exceptions.HTTPNotFound"] if sys.version_info >= (3, 12) else [])
    assert (nowhere.name, nowhere.attrs["status"]) == ("GET /nowhere", 404)


# -- frameworks

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

async def item(request):
    return PlainTextResponse(str(request.path_params["id"]))

async def boom(request):
    raise ValueError("boom")

async def talk(websocket):
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(4001)

web = Starlette(routes=[
    Route("/items/{id:int}", item),
    Mount("/api", routes=[Mount("/v1", routes=[Route("/users/{id}", item)])]),
    Mount("/static", StaticFiles(directory=".")),
    Route("/boom", boom),
    WebSocketRoute("/talk/{id}", talk),
])
"""


def test_a_starlette_run_is_named_by_its_route(record):
    """Mounts are part of the template, a root path from the proxy is not."""
    done = record(
        CLIENT
        + RUN_UVICORN
        + STARLETTE
        + """
def work(port):
    for target in ("/items/5", "/api/v1/users/7", "/static/program.py", "/boom", "/nowhere"):
        print(ask(port, target))

serve(web, work, root_path="/behind")
"""
    )

    assert done.stdout.split() == ["200", "200", "200", "500", "404"]
    spans = spans_of(done.recording)
    assert [span.name for span in spans] == [
        "GET /items/{id}",
        "GET /api/v1/users/{id}",
        "GET /static/{path}",
        "GET /boom",
        "GET /behind/nowhere",
    ]
    assert [span.attrs["path"] for span in spans][:2] == ["/behind/items/5", "/behind/api/v1/users/7"]
    assert spans[3].attrs["error"] == "ValueError"
    assert len(spans[3].of("error.raised")) == 1


def test_a_framework_under_an_unknown_server_is_recorded_once(record):
    """Starlette's own entry point, and no second span where a server began one."""
    done = record(
        STARLETTE
        + """
import asyncio
import httpx

async def in_process(path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://test") as client:
        return (await client.get(path)).status_code

outer = Starlette(routes=[Mount("/outer", web)])

async def through(scope, receive, send):
    await outer(dict(scope), receive, send)

async def main():
    print(await in_process("/items/5"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(through), base_url="http://test") as client:
        print((await client.get("/outer/items/6")).status_code)

asyncio.run(main())
"""
    )

    assert done.stdout.split() == ["200", "200"]
    first, second = spans_of(done.recording)
    assert (first.name, first.kind, first.role, first.attrs["status"]) == ("GET /items/{id}", "server", "run", 200)
    assert second.attrs["path"] == "/outer/items/6"


def test_an_application_called_within_another_ones_request_is_a_request_too(record):
    """A handler that calls an ASGI application in the same task: two spans, nested."""
    done = record(
        CLIENT
        + RUN_UVICORN
        + STARLETTE
        + """
import httpx

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://test") as client:
        answer = await client.get("/items/5")
    await send({"type": "http.response.start", "status": answer.status_code, "headers": []})
    await send({"type": "http.response.body"})

serve(app, lambda port: print(ask(port, "/outer")))
"""
    )

    outer, inner = spans_of(done.recording)
    assert (outer.name, inner.name) == ("GET /outer", "GET /items/{id}")
    assert inner.parent == outer.number


FLASK = """
from flask import Flask
flask = Flask(__name__)

@flask.get("/items/<int:id>")
def item(id):
    return str(id), 201

@flask.get("/boom")
def boom():
    raise ValueError("boom")

import logging
logging.disable(logging.CRITICAL)
"""


def test_flask_adds_route_and_error_to_the_servers_span(record):
    """Flask turns the exception into a response: the server alone would not see it."""
    done = record(
        CLIENT
        + FLASK
        + """
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, flask)
threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
print([ask(server.server_port, target) for target in ("/items/5", "/boom", "/nowhere")])
server.shutdown()
"""
    )

    assert done.stdout == "[201, 500, 404]\n"
    item, boom, nowhere = spans_of(done.recording)
    assert (item.name, item.attrs["route"], item.attrs["status"]) == ("GET /items/<int:id>", "/items/<int:id>", 201)
    assert [e.attrs["message"] for e in boom.of("error.raised")] == ["boom"]
    assert (boom.end.outcome, nowhere.name) == ("failed", "GET /nowhere")


def test_a_flask_test_client_makes_runs(record):
    """The framework's own entry point, for servers that are not known."""
    done = record(
        FLASK
        + """
answers = [flask.test_client().get(path).status_code for path in ("/items/5", "/boom")]
print(answers)
"""
    )

    assert done.stdout == "[201, 500]\n"
    item, boom = spans_of(done.recording)
    assert (item.name, item.role, item.attrs["status"]) == ("GET /items/<int:id>", "run", 201)
    assert [e.attrs["type"] for e in boom.of("error.raised")] == ["ValueError"]


DJANGO = """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="x")
django.setup()

def item(request, id):
    return HttpResponse(str(id), status=201)

def boom(request):
    raise ValueError("boom")

urlpatterns = [path("items/<int:id>/", item), path("boom/", boom)]
import logging
logging.disable(logging.CRITICAL)
"""


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_django_requests_have_route_and_error(record, interface):
    """Both of Django's handlers; views run in a thread under ASGI."""
    serving = {
        "wsgi": """
from wsgiref.simple_server import WSGIRequestHandler, make_server
from django.core.wsgi import get_wsgi_application

class Silent(WSGIRequestHandler):
    def log_message(self, *args): pass

server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Silent)
threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
work(server.server_port)
server.shutdown()
""",
        "asgi": """
from django.core.asgi import get_asgi_application
serve(get_asgi_application(), work, lifespan="off")
""",
    }
    done = record(
        CLIENT
        + RUN_UVICORN
        + DJANGO
        + """
def work(port):
    print([ask(port, target) for target in ("/items/5/", "/boom/", "/nowhere/")])
"""
        + serving[interface]
    )

    assert done.stdout == "[201, 500, 404]\n", done.stderr
    assert done.problems == {}
    item, boom, nowhere = spans_of(done.recording)
    assert (item.name, item.attrs["route"], item.attrs["status"]) == ("GET /items/<int:id>/", "/items/<int:id>/", 201)
    assert [e.attrs["message"] for e in boom.of("error.raised")] == ["boom"]
    assert (boom.end.outcome, nowhere.attrs["status"]) == ("failed", 404)
