"""What is recorded of requests a program sends, by each client; and that it cannot tell."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from conftest import record_program
from http_programs import ANSWERS
from recorded_spans import RecordedSpan, spans_of

# Each defines `get(url, headers)`, which returns status and body.
CLIENTS = {
    "httpx": """
        import httpx
        def get(url, headers=None):
            with httpx.Client(trust_env=False, timeout=LIMIT, follow_redirects=True) as client:
                answer = client.get(url, headers=headers)
            return answer.status_code, answer.text
        """,
    "httpx-async": """
        import asyncio, httpx
        async def fetch(url, headers):
            async with httpx.AsyncClient(trust_env=False, timeout=LIMIT, follow_redirects=True) as client:
                answer = await client.get(url, headers=headers)
            return answer.status_code, answer.text
        def get(url, headers=None):
            return asyncio.run(fetch(url, headers))
        """,
    "aiohttp": """
        import asyncio, aiohttp
        async def fetch(url, headers):
            timeout = aiohttp.ClientTimeout(LIMIT)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as answer:
                return answer.status, await answer.text()
        def get(url, headers=None):
            return asyncio.run(fetch(url, headers))
        """,
    "requests": """
        import requests
        def get(url, headers=None):
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(url, headers=headers, timeout=LIMIT)
            return answer.status_code, answer.text
        """,
    "urllib3": """
        import urllib3
        pool = urllib3.PoolManager(retries=urllib3.Retry(connect=0, read=0))
        def get(url, headers=None):
            answer = pool.request("GET", url, headers=headers, timeout=LIMIT)
            return answer.status, answer.data.decode()
        """,
    "urllib": """
        import urllib.error, urllib.request
        def get(url, headers=None):
            request = urllib.request.Request(url, headers=headers or {})
            try:
                with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.status, error.read().decode()
        """,
}
for name in ("httpx", "httpx-async"):
    CLIENTS[name.replace("httpx", "httpx2")] = CLIENTS[name].replace("httpx", "httpx2")

# What every client does; http.client follows no redirects and has tests of its own.
TOUR = """
import json, re, traceback

def visit(step, path, headers=None):
    # Request *path*, and print what the program and the server saw.
    del heads[:]
    try:
        outcome = get(path if path.startswith("http") else f"http://127.0.0.1:{port}{path}", headers)
    except Exception as error:
        # Ports and addresses differ from run to run.
        outcome = re.sub(r"0x[0-9a-f]+|\\d{4,}", "N", "".join(traceback.format_exception(error)))
    sent = [header_of(head, "traceparent") for head in heads]
    print(json.dumps([client, step, outcome, headers, sent]))

def tour():
    global LIMIT
    LIMIT = 20
    visit("ok", "/ok?page=2&token=topsecret", {"X-Tag": "red", "Cookie": "a=b", "X-Other": "1"})
    visit("own", "/ok", {"TraceParent": "00-mine"})
    visit("redirect", "/redirect")
    visit("missing", "/missing")
    visit("cut", "/cut")
    visit("refused", f"http://127.0.0.1:{closed_port()}/")
    LIMIT = 0.05
    visit("slow", "/slow")
"""


class Toured:
    """What one client did, step by step: outcome, headers afterwards, parents sent; and its spans."""

    def __init__(self) -> None:
        self.steps: dict[str, list[Any]] = {}
        self.plain: dict[str, list[Any]] = {}
        self.spans: dict[str, list[RecordedSpan]] = {}


@pytest.fixture(scope="module")
def tours(tmp_path_factory):
    """The tours of all clients, recorded once for all tests of this module, and done once without clew."""
    visits = (f"client = {name!r}\n{textwrap.dedent(source)}\ntour()\n" for name, source in CLIENTS.items())
    source = ANSWERS + TOUR + "".join(visits)
    folder = tmp_path_factory.mktemp("tours")
    done = record_program(folder, source, env={"CLEW_HEADERS": "x-tag,cookie,x-answer"})
    assert done.returncode == 0, done.stderr
    assert done.problems == {}
    plain = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=True)
    toured = {client: Toured() for client in CLIENTS}
    spans = iter(spans_of(done.recording))
    for line in done.stdout.splitlines():
        client, step, *rest = json.loads(line)
        toured[client].steps[step] = rest
        toured[client].spans[step] = [next(spans) for _ in range(max(1, len(rest[2])))]
    assert next(spans, None) is None
    for line in plain.stdout.splitlines():
        client, step, *rest = json.loads(line)
        toured[client].plain[step] = rest
    return toured


@pytest.fixture(params=CLIENTS)
def tour(request, tours):
    """The tour of each client."""
    return tours[request.param]


def test_the_program_sees_what_it_sees_without_clew(tour):
    """Answers, exceptions with their tracebacks, and its own headers."""
    assert {step: rest[:2] for step, rest in tour.steps.items()} == {s: rest[:2] for s, rest in tour.plain.items()}
    assert tour.steps["ok"][0] == [200, "ok"]
    assert "Traceback" in tour.steps["cut"][0]
    assert "Traceback" in tour.steps["refused"][0]


def test_a_request_is_a_span_with_the_effect_http(tour):
    """One span, its attributes, and the time to the head of the response."""
    (span,) = tour.spans["ok"]

    assert (span.name, span.kind, span.role, span.op) == ("GET /ok", "client", "step", "http")
    assert (span.start.kind, span.end.kind, span.end.outcome) == ("effect.call", "effect.result", "ok")
    port = span.attrs["server_port"]
    assert span.attrs == {
        "method": "GET",
        "url": f"http://127.0.0.1:{port}/ok?page=2&token=[redacted]",
        "server_address": "127.0.0.1",
        "server_port": port,
        "request_headers": {"x-tag": "red", "cookie": "[redacted]"},
        "status": 200,
        "http_version": "1.1",
        "response_size": 2,
        "response_headers": {"x-answer": "blue"},
    }
    assert span.start.site.file.endswith("program.py")
    assert 0 < span.end.wait_ns <= span.end.t_ns - span.start.t_ns


def test_the_request_carries_the_context_of_its_span(tour):
    """The header's ids are the span's; the program's headers stay as they were."""
    (span,) = tour.spans["ok"]

    _, headers, sent = tour.steps["ok"]

    assert sent == [f"00-{span.trace}-{span.span_id:016x}-03"]
    assert headers == {"X-Tag": "red", "Cookie": "a=b", "X-Other": "1"}


def test_a_parent_the_program_sends_itself_stays(tour):
    """Some other tracing is at work: its header is the only one."""
    assert tour.steps["own"][2] == ["00-mine"]


def test_a_redirect_is_two_requests_on_the_wire(tour):
    """One span each, siblings, each with a parent id of its own."""
    first, second = tour.spans["redirect"]

    assert [(span.name, span.attrs["status"]) for span in (first, second)] == [("GET /redirect", 302), ("GET /ok", 200)]
    assert first.parent == second.parent == 1
    assert tour.steps["redirect"][2] == [f"00-{span.trace}-{span.span_id:016x}-03" for span in (first, second)]


def test_an_error_status_is_a_failed_effect_and_no_exception(tour):
    """There was an answer: nothing was raised on the wire."""
    (span,) = tour.spans["missing"]

    assert (span.end.outcome, span.attrs["status"], span.of("error.raised")) == ("failed", 404, [])


@pytest.mark.parametrize("step", ["cut", "refused"])
def test_a_request_without_an_answer_fails_with_its_error(tour, step):
    """The exception is the cause of the end."""
    # aiohttp sends a request again on a connection that was closed under it.
    for span in tour.spans[step]:
        (error,) = span.of("error.raised")

        assert (span.end.outcome, span.end.cause) == ("failed", error.seq)
        assert span.attrs["error"] == error.attrs["type"].rpartition(".")[2]
        assert "status" not in span.attrs


def test_a_request_that_takes_too_long_times_out(tour):
    """Outcome ``timeout``, with the exception."""
    (span,) = tour.spans["slow"]

    assert span.end.outcome == "timeout"
    assert len(span.of("error.raised")) == 1


def test_every_part_of_it_can_be_left_out(record):
    """The setting ``disable``, by the names of the libraries."""
    every = "".join(
        textwrap.dedent(CLIENTS[name]) + "print(*get(f'http://127.0.0.1:{port}/ok'))\n"
        for name in ("httpx", "httpx2", "aiohttp", "requests", "urllib")
    )

    done = record(ANSWERS + "LIMIT = 20\n" + every, env={"CLEW_DISABLE": "httpx,httpx2,aiohttp,urllib3,http.client"})

    assert done.stdout == "200 ok\n" * 5
    assert spans_of(done.recording) == []


# -- many at once


@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp"])
def test_concurrent_requests_of_one_client_are_all_recorded(record, library):
    """Sibling tasks: none takes another's span, none is lost."""
    sessions = {
        "aiohttp": "aiohttp.ClientSession()",
        "httpx": "httpx.AsyncClient(trust_env=False)",
        "httpx2": "httpx2.AsyncClient(trust_env=False)",
    }
    done = record(
        ANSWERS
        + f"""
import asyncio, {library}

async def main():
    async with {sessions[library]} as session:
        await asyncio.gather(*(session.get(f"http://127.0.0.1:{{port}}/ok?n={{n}}") for n in range(12)))

asyncio.run(main())
print(sorted(header_of(head, "traceparent") for head in heads))
"""
    )

    spans = spans_of(done.recording)
    assert sorted(span.attrs["url"].rpartition("=")[2] for span in spans) == sorted(map(str, range(12)))
    assert {(span.parent, span.end.outcome) for span in spans} == {(1, "ok")}
    assert done.stdout == f"{sorted(f'00-{span.trace}-{span.span_id:016x}-03' for span in spans)}\n"


def test_the_standard_library_is_seen_while_urllib3_is_at_work(record):
    """Silent below urllib3, in its own context only: another thread's request counts."""
    done = record(
        ANSWERS
        + """
import http.client, urllib3

def below(conn, *args, **options):
    other = threading.Thread(target=plain)
    other.start()
    other.join()
    return original(conn, *args, **options)

def plain():
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/ok?by=thread")
    connection.getresponse().read()
    connection.close()

original = urllib3.connection.HTTPConnection.getresponse
urllib3.connection.HTTPConnection.getresponse = below
urllib3.PoolManager().request("GET", f"http://127.0.0.1:{port}/ok?by=urllib3")
"""
    )

    assert sorted(span.attrs["url"].partition("=")[2] for span in spans_of(done.recording)) == ["thread", "urllib3"]


def test_each_retry_of_urllib3_is_a_span(record):
    """Attempts are siblings: a storm of them can be counted."""
    done = record(
        ANSWERS
        + """
import urllib3
retries = urllib3.Retry(3, status_forcelist=[404], raise_on_status=False)
print(urllib3.PoolManager(retries=retries).request("GET", f"http://127.0.0.1:{port}/missing").status)
"""
    )

    spans = spans_of(done.recording)
    assert done.stdout == "404\n"
    assert [(span.name, span.attrs["status"], span.parent) for span in spans] == [("GET /missing", 404, 1)] * 4
    assert len({span.span_id for span in spans}) == 4


# -- streaming and calling off


@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp", "requests", "http.client"])
def test_the_span_ends_when_the_head_is_there(record, library):
    """The body comes later, untouched, and what is done with it is not the span's."""
    programs = {
        "httpx": """
import httpx
with httpx.stream("GET", url, trust_env=False) as answer:
    more()
    print(answer.read().decode())
""",
        "aiohttp": """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        more()
        print(await answer.text())
asyncio.run(main())
""",
        "requests": """
import requests
with requests.get(url, stream=True) as answer:
    more()
    print(answer.raw.read().decode())
""",
        "http.client": """
import http.client
connection = http.client.HTTPConnection("127.0.0.1", port)
connection.request("GET", "/stream")
answer = connection.getresponse()
more()
print(answer.read().decode())
connection.close()
""",
    }
    programs["httpx2"] = programs["httpx"].replace("httpx", "httpx2")
    done = record(
        ANSWERS
        + """
import clew
url = f"http://127.0.0.1:{port}/stream"
def more():
    clew.event("custom", name="head")
    go_on.set()
"""
        + programs[library]
    )

    assert done.stdout == "onetwo\n"
    (span,) = spans_of(done.recording)
    (event,) = done.of("custom.event")
    assert event.span == 1
    assert span.end.seq < event.seq
    assert "response_size" not in span.attrs


@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp"])
def test_a_cancelled_request_is_cancelled_and_not_failed(record, library):
    """Called off by the program: no error was raised on the wire."""
    session = "aiohttp.ClientSession()" if library == "aiohttp" else f"{library}.AsyncClient(trust_env=False)"
    done = record(
        ANSWERS
        + f"""
import asyncio, {library}

async def main():
    async with {session} as session:
        task = asyncio.create_task(session.get(f"http://127.0.0.1:{{port}}/slow")._coro
                                   if "{library}" == "aiohttp" else session.get(f"http://127.0.0.1:{{port}}/slow"))
        await asyncio.to_thread(arrived.wait)
        task.cancel()
        print((await asyncio.gather(task, return_exceptions=True))[0].__class__.__name__)

asyncio.run(main())
"""
    )

    assert done.stdout == "CancelledError\n"
    (span,) = spans_of(done.recording)
    assert (span.end.outcome, span.of("error.raised")) == ("cancelled", [])


@pytest.mark.parametrize("ending", ["connection.close()", "del connection"])
def test_a_request_nobody_waits_for_is_abandoned(record, ending):
    """A connection of http.client that is closed, or forgotten, before the answer was read."""
    done = record(
        ANSWERS
        + f"""
import gc, http.client
connection = http.client.HTTPConnection("127.0.0.1", port)
connection.request("GET", "/slow")
{ending}
gc.collect()
"""
    )

    (span,) = spans_of(done.recording)
    assert span.end.outcome == "cancelled"


def test_urllib_below_xmlrpc_and_raw_requests_are_seen(record):
    """``putrequest`` and ``endheaders`` by hand, on a connection that is used again."""
    done = record(
        ANSWERS
        + """
import http.client
connection = http.client.HTTPConnection("127.0.0.1", port)
for number in range(2):
    connection.putrequest("GET", f"/keep?{number}")
    connection.putheader("X-Tag", "red")
    connection.endheaders()
    print(connection.getresponse().read().decode())
connection.close()
print([header_of(head, "traceparent") for head in heads])
"""
    )

    spans = spans_of(done.recording)
    assert [span.attrs["url"].rpartition("?")[2] for span in spans] == ["0", "1"]
    assert done.stdout == f"ok\nok\n{[f'00-{span.trace}-{span.span_id:016x}-03' for span in spans]}\n"


# -- the program cannot tell


def test_an_httpx_request_can_be_sent_again(record):
    """Its headers and pickle have no trace of the context; each sending has its own."""
    done = record(
        ANSWERS
        + """
import httpx, pickle
with httpx.Client(trust_env=False) as client:
    request = client.build_request("POST", f"http://127.0.0.1:{port}/ok", content=iter([b"a", b"b"]))
    before = request.headers.copy()
    first = client.send(request)
    request = client.build_request("GET", f"http://127.0.0.1:{port}/ok")
    answers = [client.send(request) for _ in range(2)]
print(before == first.request.headers, all(answer.request is request for answer in answers))
print("traceparent" in request.headers, "traceparent" in pickle.loads(pickle.dumps(request)).headers)
print(len({header_of(head, "traceparent") for head in heads}))
"""
    )

    assert done.stdout == "True True\nFalse False\n3\n"
    assert len(spans_of(done.recording)) == 3


def test_mocks_of_httpx_work_and_are_no_effects(record):
    """Nothing goes over the wire with a mock transport; respx answers below the hook."""
    done = record(
        """
import httpx, respx

def answer(request):
    return httpx.Response(200, text=str("traceparent" in request.headers))

print(httpx.Client(transport=httpx.MockTransport(answer)).get("http://mock/").text)

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 203, "headers": []})
    await send({"type": "http.response.body"})

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as client:
        print((await client.get("/")).status_code)

import asyncio
asyncio.run(main())

with respx.mock:
    route = respx.get("http://mock/respx").mock(return_value=httpx.Response(204))
    print(httpx.get("http://mock/respx").status_code, route.called, route.call_count)

with respx.mock(using="httpx") as mock:
    mock.get("http://mock/patched").mock(return_value=httpx.Response(204))
    print(httpx.get("http://mock/patched").status_code)
"""
    )

    assert done.stdout == "False\n203\n204 True 1\n204\n", done.stderr
    assert [(span.name, span.attrs["status"]) for span in spans_of(done.recording)] == [("GET /respx", 204)]


def test_hooked_methods_look_like_themselves(record):
    """Signatures, names, kinds of function, class identity."""
    done = record(
        """
import inspect, http.client
import aiohttp, httpx, httpx2, urllib3

for module in (httpx, httpx2):
    print(inspect.signature(module.HTTPTransport.handle_request), module.HTTPTransport.handle_request.__qualname__)
    print(inspect.iscoroutinefunction(module.AsyncHTTPTransport.handle_async_request))
print(inspect.signature(http.client.HTTPConnection.endheaders), http.client.HTTPConnection.close.__doc__)
print(inspect.iscoroutinefunction(aiohttp.BaseConnector.connect), aiohttp.ClientRequest.send.__module__)
print(inspect.signature(urllib3.HTTPConnectionPool._make_request).parameters["chunked"].default)
"""
    )

    assert done.stdout.splitlines() == [
        *["(self, request: 'Request') -> 'Response' HTTPTransport.handle_request", "True"] * 2,
        "(self, message_body=None, *, encode_chunked=False) Close the connection to the HTTP server.",
        "True aiohttp.client_reqrep",
        "False",
    ]


def test_warnings_of_aiohttp_point_to_the_program(record, plain):
    """Its deprecation warnings count frames: no hook may stand between."""
    source = (
        ANSWERS
        + """
import asyncio, aiohttp, warnings

async def main():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/ok", auth=aiohttp.BasicAuth("a", "b")) as answer:
                print(answer.status)
    print([(warning.filename.rpartition("/")[2], warning.lineno) for warning in caught])

asyncio.run(main())
"""
    )

    done = record(source)

    assert done.stdout == plain(source).stdout
    assert "program.py" in done.stdout


def test_a_broken_hook_leaves_the_request_alone(record):
    """What goes wrong in recording is noted; the request is sent and answered."""
    every = "".join(
        textwrap.dedent(CLIENTS[name])
        + "print(*get(f'http://127.0.0.1:{port}/ok'), *get(f'http://127.0.0.1:{port}/ok'))\n"
        for name in ("httpx", "httpx2", "aiohttp", "requests", "urllib")
    )

    done = record(
        ANSWERS
        + """
LIMIT = 20
import http.client
from clew.probe.seams import _http_call

def broken(*args, **options):
    raise RuntimeError("a bug of clew")

_http_call.context.start_span = broken
"""
        + every
    )

    assert done.stdout == "200 ok 200 ok\n" * 5, done.stderr
    assert {name for name, problem in done.problems.items() if "a bug of clew" in problem} == {
        "httpx",
        "httpx2",
        "aiohttp",
        "urllib3",
        "http.client",
    }
    assert spans_of(done.recording) == []
