"""Which requests are runs, which go on with a caller's, which are left out, and how they end."""

from __future__ import annotations

import sys

import pytest
from http_programs import ASGI_APP, CLIENT, RUN_UVICORN
from recorded_spans import spans_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"


def test_a_request_with_a_parent_goes_on_with_its_trace(record):
    """The trace is the caller's, the parent its span, and the span is no run of its own."""
    done = record(
        CLIENT + ASGI_APP + RUN_UVICORN + f"serve(app, lambda port: ask(port, '/ok', 'traceparent: {PARENT}'))"
    )

    (span,) = spans_of(done.recording)
    assert (span.trace, f"{span.parent_id:016x}") == (TRACE, CALLER)
    assert (span.kind, span.role, span.start.kind) == ("server", "step", "life.span_start")


def test_a_task_that_outlives_its_request_stays_in_its_trace(record):
    """What a request left running belongs to it, also after its span has ended."""
    done = record(
        CLIENT
        + RUN_UVICORN
        + """
import clew
over = threading.Event()
tasks = set()

async def later():
    while not over.is_set():
        await asyncio.sleep(0.005)
    with clew.span("later"):
        pass

async def app(scope, receive, send):
    if scope["type"] == "http":
        tasks.add(asyncio.create_task(later()))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

def work(port):
    ask(port, "/")
    over.set()
    while not all(task.done() for task in tasks):
        time.sleep(0.005)

serve(app, work)
"""
    )

    request, later = spans_of(done.recording)
    assert later.name == "later"
    assert (later.trace, later.parent_id, later.parent) == (request.trace, request.span_id, request.number)


SPAWNING_APP = """
import asyncio
import clew

async def child():
    await asyncio.sleep(0)
    clew.event("custom", name="child")

async def app(scope, receive, send):
    clew.event("custom", name=scope["path"])
    await asyncio.sleep(0)
    await asyncio.create_task(child(), name="child of " + scope["path"])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

def work(port):
    for path in ("/ok", "/health", "/health/deep", "/internal"):
        assert ask(port, path) == 204
"""


def recorded_paths(done):
    assert done.returncode == 0, done.stderr
    assert done.problems == {}
    paths = [span.attrs["path"] for span in spans_of(done.recording)]
    custom = [e.attrs["name"] for e in done.of("custom.event") if e.attrs["name"] != "child"]
    tasks = [e.entity.name for e in done.of("life.task_start") if e.entity.name.startswith("child of ")]
    requests = [e for e in done.of("life.task_start") if e.entity.type == "RequestResponseCycle.run_asgi"]
    assert custom == paths
    assert tasks == [f"child of {path}" for path in paths]
    assert len(requests) == len(paths)
    assert len(done.of("life.task_end")) == len(done.of("life.task_start"))
    return paths


@pytest.mark.parametrize("factory", ["", "asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)"])
@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({"CLEW_EXCLUDE": "/health*"}, ["/ok", "/internal"]),
        ({"CLEW_INCLUDE": "/ok, /internal"}, ["/ok", "/internal"]),
        ({"CLEW_INCLUDE": "/health*", "CLEW_EXCLUDE": "*/deep"}, ["/health"]),
        ({"CLEW_SAMPLE": "0"}, []),
    ],
)
def test_a_request_that_is_left_out_leaves_nothing(record, settings, paths, factory):
    """No span, no event, no task and no step; neither of the tasks it starts."""
    if factory and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")

    done = record(
        CLIENT + SPAWNING_APP + RUN_UVICORN.replace("async def main():", f"async def main():\n        {factory}")
        + "serve(app, work, lifespan='off')",
        env=settings,
    )  # fmt: skip

    assert recorded_paths(done) == paths


def test_a_request_to_aiohttp_that_is_left_out_leaves_nothing(record):
    """Its tasks are made eagerly from Python 3.12 on."""
    done = record(
        CLIENT
        + """
import asyncio
import clew
from aiohttp import web

async def handle(request):
    await asyncio.sleep(0)
    clew.event("custom", name=request.path)
    await asyncio.create_task(asyncio.sleep(0), name="child of " + request.path)
    return web.Response()

async def main():
    app = web.Application()
    app.router.add_get("/{path}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for path in ("/health", "/ok", "/health"):
        await asyncio.to_thread(ask, runner.addresses[0][1], path)
    await runner.cleanup()

asyncio.run(main())
""",
        env={"CLEW_EXCLUDE": "/health"},
    )

    assert [span.attrs["path"] for span in spans_of(done.recording)] == ["/ok"]
    assert [e.attrs["name"] for e in done.of("custom.event")] == ["/ok"]
    tasks = [e.entity for e in done.of("life.task_start")]
    assert [task.name for task in tasks if task.name.startswith("child")] == ["child of /ok"]
    assert len([task for task in tasks if task.type == "RequestHandler._handle_request"]) == 1
    assert len(done.of("life.task_end")) == len(tasks)


@pytest.mark.parametrize("sample", [0.0, 0.5, 1.0])
def test_the_trace_id_decides_whether_a_run_is_sampled(record, sample):
    """So that every process decides alike; the caller's sampled flag does not matter."""
    done = record(
        CLIENT
        + ASGI_APP
        + RUN_UVICORN
        + """
def work(port):
    for name, low in (("least", "e0000000000000"), ("half", "f0000000000000"), ("most", "ffffffffffffff")):
        for flags in ("00", "01"):
            # The lowest 53 bits of the id are compared with the fraction.
            ask(port, f"/{name}-{flags}", f"traceparent: 00-{'1' * 18}{low}-{'2' * 16}-{flags}")

serve(app, work)
""",
        env={"CLEW_SAMPLE": str(sample)},
    )

    expected = {0.0: [], 0.5: ["least"], 1.0: ["least", "half", "most"]}[sample]
    paths = [span.attrs["path"] for span in spans_of(done.recording)]
    assert paths == [f"/{name}-{flags}" for name in expected for flags in ("00", "01")]


FORWARDING_APP = """
import asyncio
import httpx

sent = []

async def callee(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().lower().split("\\r\\n")
    sent.append([line for line in head if line.startswith("trace")])
    writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    writer.close()

async def app(scope, receive, send):
    callees = await asyncio.start_server(callee, "127.0.0.1", 0)
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(2):
            await client.get(f"http://127.0.0.1:{callees.sockets[0].getsockname()[1]}/")
    callees.close()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
"""


def test_a_request_that_is_left_out_forwards_what_came(record):
    """The parent is the caller's own, since there is no span of ours; the state goes too."""
    done = record(
        CLIENT
        + FORWARDING_APP
        + RUN_UVICORN
        + f"""
serve(app, lambda port: ask(port, "/", "traceparent: {PARENT}", "tracestate: foo=1"), lifespan="off")
print(sent)
""",
        env={"CLEW_EXCLUDE": "/"},
    )

    assert done.stdout == f"{[[f'traceparent: {PARENT}', 'tracestate: foo=1']] * 2}\n"
    assert spans_of(done.recording) == []


def test_a_run_that_is_not_sampled_tells_the_next_process_its_trace(record):
    """Its trace id, with the sampled flag off: the next process decides alike."""
    done = record(
        CLIENT + FORWARDING_APP + RUN_UVICORN + 'serve(app, lambda port: ask(port, "/"), lifespan="off")\nprint(*sum(sent, []), sep="\\n")',
        env={"CLEW_SAMPLE": "0"},
    )  # fmt: skip

    first, second = (line.removeprefix("traceparent: ").split("-") for line in done.stdout.splitlines())
    assert first[1] == second[1]
    assert first[2] != second[2]
    assert (first[3], second[3]) == ("02", "02")
    assert spans_of(done.recording) == []


def test_an_excluded_path_takes_no_part_in_any_trace(record):
    """Nothing came, so nothing is sent on."""
    done = record(
        CLIENT + FORWARDING_APP + RUN_UVICORN + 'serve(app, lambda port: ask(port, "/"), lifespan="off")\nprint(sent)',
        env={"CLEW_EXCLUDE": "/"},
    )

    assert done.stdout == "[[], []]\n"


def test_no_context_is_sent_when_propagation_is_off(record):
    """The setting ``propagate``; spans are recorded as before."""
    done = record(
        CLIENT + FORWARDING_APP + RUN_UVICORN + 'serve(app, lambda port: ask(port, "/"), lifespan="off")\nprint(sent)',
        env={"CLEW_PROPAGATE": "off"},
    )

    assert done.stdout == "[[], []]\n"
    assert [span.kind for span in spans_of(done.recording)] == ["server", "client", "client"]


# -- how it ends


@pytest.mark.parametrize("implementation", ["h11", "httptools"])
def test_a_client_that_goes_away_cancels_the_run(record, implementation):
    """The response was not complete: outcome ``cancelled``, ended by the client."""
    done = record(
        CLIENT
        + RUN_UVICORN
        + f"""
async def app(scope, receive, send):
    await receive()
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"one", "more_body": True}})
    assert (await receive())["type"] == "http.disconnect"
    served.set()

served = threading.Event()

def work(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n")
        connection.recv(1)
    served.wait(20)

serve(app, work, http="{implementation}", lifespan="off")
"""
    )

    (span,) = spans_of(done.recording)
    assert (span.end.outcome, span.attrs["ended_by"], span.attrs["status"]) == ("cancelled", "client", 200)
    assert span.of("error.raised") == []


def test_a_cancelled_handler_is_cancelled_and_not_failed(record):
    """A task that was called off has not raised an error."""
    done = record(
        CLIENT
        + RUN_UVICORN
        + """
async def app(scope, receive, send):
    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
    await asyncio.sleep(60)

serve(app, lambda port: print(ask(port, "/")), lifespan="off")
"""
    )

    (span,) = spans_of(done.recording)
    assert (span.end.outcome, span.of("error.raised")) == ("cancelled", [])


def test_a_websocket_is_one_span_and_lifespan_is_none(record):
    """From handshake to close; the route is its name."""
    done = record(
        """
import asyncio
from aiohttp import ClientSession, WSServerHandshakeError
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
"""
        + RUN_UVICORN
        + """
async def talk(websocket):
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(4001)

async def refuse(websocket):
    await websocket.close()

app = Starlette(routes=[WebSocketRoute("/talk/{id}", talk), WebSocketRoute("/refuse", refuse)])

async def converse(port):
    async with ClientSession() as session:
        async with session.ws_connect(f"ws://127.0.0.1:{port}/talk/5") as socket:
            await socket.send_str("hello")
            print((await socket.receive()).data, (await socket.receive()).data)
        try:
            await session.ws_connect(f"ws://127.0.0.1:{port}/refuse")
        except WSServerHandshakeError as error:
            print(error.status)

serve(app, lambda port: asyncio.run(converse(port)), lifespan="on")
"""
    )

    assert done.stdout == "hello 4001\n403\n", done.stderr
    assert done.problems == {}
    spans = spans_of(done.recording)
    assert [(span.kind, span.name) for span in spans] == [
        ("client", "GET /talk/5"),
        ("server", "WEBSOCKET /talk/{id}"),
        ("client", "GET /refuse"),
        ("server", "WEBSOCKET /refuse"),
    ]
    assert (spans[1].attrs["status"], spans[1].attrs["close_code"], spans[1].end.outcome) == (101, 4001, "ok")
    assert spans[3].attrs["status"] == 403
    assert (spans[1].trace, spans[1].parent_id) == (spans[0].trace, spans[0].span_id)


def test_named_headers_are_recorded_and_secret_ones_redacted(record):
    """The setting ``headers``; by default none is."""
    done = record(
        CLIENT + ASGI_APP + RUN_UVICORN + "serve(app, lambda port: ask(port, '/ok', 'X-Tag: red', 'Authorization: Bearer abcdef'))",
        env={"CLEW_HEADERS": "X-Tag, authorization"},
    )  # fmt: skip

    (span,) = spans_of(done.recording)
    assert span.attrs["request_headers"] == {"x-tag": "red", "authorization": "[redacted]"}
    assert span.attrs["response_headers"] == {"x-tag": "blue"}


# -- the program cannot tell


def test_the_log_of_an_exception_reads_as_without_clew(record, plain):
    """uvicorn logs the traceback of what the application raised."""
    source = (
        CLIENT
        + ASGI_APP
        + RUN_UVICORN
        + """
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s", level="ERROR")
serve(app, lambda port: print(ask(port, "/boom")), lifespan="off", log_config=None, log_level="error")
"""
    )

    done = record(source)

    assert done.stdout == plain(source).stdout
    assert 'raise ValueError("boom")' in done.stdout


def test_a_broken_hook_leaves_the_request_alone(record):
    """What goes wrong in recording is noted, and the response is the application's."""
    done = record(
        CLIENT
        + ASGI_APP
        + RUN_UVICORN
        + """
from clew.probe.seams import _http_serving
def broken(*args, **options):
    raise RuntimeError("a bug of clew")
_http_serving.context.start_span = broken
serve(app, lambda port: print(ask(port, "/ok"), ask(port, "/ok")))
"""
    )

    assert done.stdout == "201 201\n"
    assert "a bug of clew" in done.problems["uvicorn"]
