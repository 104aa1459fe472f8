"""Two recorded services, one calling the other: what they record joins into one run."""

from __future__ import annotations

from http_programs import CLIENT
from recorded_spans import spans_of

SERVICES = (
    CLIENT
    + """
import subprocess

def serve(name, callee):
    import httpx, uvicorn

    async def app(scope, receive, send):
        status = 204
        if callee:
            async with httpx.AsyncClient(trust_env=False) as client:
                status = (await client.get(f"http://127.0.0.1:{callee}/inner")).status_code
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off")).run([listening])

def start(name, callee=0):
    command = [sys.executable, __file__, name, str(callee)]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "CLEW_SERVICE": name})
    return service, int(service.stdout.readline())

if len(sys.argv) > 1:
    serve(sys.argv[1], int(sys.argv[2]))
else:
    b, port = start("b")
    a, port = start("a", port)
    print([ask(port, f"/outer/{number}") for number in range(3)])
    for service in (a, b):
        service.terminate()
        service.wait()
"""
)


def test_what_two_services_record_joins_into_one_run(record):
    """For each request: A's run, A's call and B's work share a trace, each the child of the one before."""
    done = record(SERVICES)

    assert done.stdout == "[204, 204, 204]\n", done.stderr
    assert done.problems == {}
    services = {stream.id: stream.process["service"] for stream in done.recording.streams}
    spans = spans_of(done.recording)
    runs = [span for span in spans if span.role == "run"]
    assert [(services[run.process], run.name) for run in runs] == [("a", f"GET /outer/{n}") for n in range(3)]
    assert len({run.trace for run in runs}) == 3
    for run in runs:
        outer, call, inner = sorted((s for s in spans if s.trace == run.trace), key=lambda s: s.start.t_ns)
        assert [services[span.process] for span in (outer, call, inner)] == ["a", "a", "b"]
        assert [span.kind for span in (outer, call, inner)] == ["server", "client", "server"]
        assert call.parent_id == outer.span_id
        assert inner.parent_id == call.span_id
        assert (inner.role, inner.name, inner.end.outcome) == ("step", "GET /inner", "ok")


def test_a_run_that_is_not_sampled_is_recorded_by_neither(record):
    """Both services decide by the trace id, so a run is whole or not there at all."""
    done = record(SERVICES, env={"CLEW_SAMPLE": "0"})

    assert done.stdout == "[204, 204, 204]\n", done.stderr
    assert len(done.recording.streams) == 3
    assert [span.name for span in spans_of(done.recording) if "GET" in span.name] == []
