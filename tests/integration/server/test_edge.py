"""Programs that are not clew send to a real server: JSON events, and OpenTelemetry's own SDKs."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from clew.store.store import Store

ID = "00000000000000aa"
JS = Path(__file__).parents[2] / "support" / "otel-js"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server of its own: its address and its store."""
    store = tmp_path_factory.mktemp("edge") / "store"
    command = [sys.executable, "-m", "clew", "serve", "--port", "0", "--no-worker", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        yield "http://" + line.partition("http://")[2].split()[0].rstrip("/."), store
        process.terminate()
        process.wait(20)


@pytest.fixture
def client(server: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server[0], timeout=20) as client:
        yield client


def services(store: Path) -> dict[str, int]:
    """How many events each service has, by the catalog."""
    with Store.open(str(store)) as opened:
        rows = opened.changes(0)
    return {row.service: row.events for row in rows}


def request(first: int, *events: dict[str, Any], process: str = ID) -> dict[str, Any]:
    found = [{"seq": first + i, "t_ns": i, "kind": "custom.event", **event} for i, event in enumerate(events)]
    return {"process": {"id": process, "service": f"json-{process}"}, "events": found}


def test_json_events_are_stored_once(client: httpx.Client, server: tuple[str, Path]) -> None:
    """What comes again, or partly again, counts as a duplicate."""
    first = client.post("/api/v1/events", json=request(1, {}, {}, {}))
    again = client.post("/api/v1/events", json=request(1, {}, {}, {}))
    partly = client.post("/api/v1/events", json=[request(3, {}, {}), request(1, {}, process="0" * 15 + "b")])

    assert [(answer.status_code, answer.json()) for answer in (first, again, partly)] == [
        (200, {"accepted": 3, "duplicates": 0}),
        (200, {"accepted": 0, "duplicates": 3}),
        (200, {"accepted": 2, "duplicates": 1}),
    ]
    found = services(server[1])
    assert (found[f"json-{ID}"], found["json-" + "0" * 15 + "b"]) == (4, 1)


def test_a_request_with_a_mistake_takes_nothing(client: httpx.Client, server: tuple[str, Path]) -> None:
    """The error has the one shape and names the event; the sound events of the request are not stored."""
    wrong = [request(1, {}, process="0" * 15 + "c"), request(1, {"kind": "nonsense"}, process="0" * 15 + "d")]

    answer = client.post("/api/v1/events", json=wrong)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["retryable"]) == (400, "event-value", "no")
    assert "nonsense" in error["message"]
    assert "json-" + "0" * 15 + "c" not in services(server[1])


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status"),
    [
        ("/api/v1/events", b"{", "application/json", 400),
        ("/api/v1/events", b"{}", "text/plain", 415),
        ("/v1/traces", b"\xff\xff\xff", "application/x-protobuf", 400),
        ("/v1/traces", b"[1]", "application/json", 400),
        ("/v1/traces", b"", "application/xml", 415),
    ],
)
def test_what_cannot_be_read_is_refused(
    client: httpx.Client, path: str, body: bytes, content_type: str, status: int
) -> None:
    """Each mistake has its documented error."""
    answer = client.post(path, content=body, headers={"Content-Type": content_type})

    assert answer.status_code == status
    assert set(answer.json()) == {"error", "request_id"}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_what_opentelemetrys_python_sdk_exports_is_taken(server: tuple[str, Path], compression: Compression) -> None:
    """The exporter is used as its documentation says, unmodified."""
    service = f"python-{compression.value}"
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{server[0]}/v1/traces", compression=compression)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("GET /", kind=trace.SpanKind.SERVER), tracer.start_as_current_span("inner"):
        pass

    assert provider.force_flush()

    provider.shutdown()
    assert services(server[1])[service] == 4


@pytest.mark.skipif(not shutil.which("npm"), reason="OpenTelemetry's JavaScript SDK needs Node, which is not installed")
@pytest.mark.parametrize("encoding", ["proto", "json"])
def test_what_opentelemetrys_javascript_sdk_exports_is_taken(server: tuple[str, Path], encoding: str) -> None:
    """The exporter is used as its documentation says, unmodified; it sends protobuf, or JSON."""
    if not (JS / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=JS, check=True, capture_output=True, timeout=100)

    done = subprocess.run(
        ["node", "export.mjs", f"{server[0]}/v1/traces", encoding],
        cwd=JS, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    with Store.open(str(server[1])) as opened:
        rows = [row for row in opened.changes(0) if f'"js-{encoding}"' in row.head]
    assert [(row.service, row.events, row.source) for row in rows] == [("checkout-js", 5, "otlp")]


def test_a_repeated_export_is_answered_and_not_stored_again(client: httpx.Client, server: tuple[str, Path]) -> None:
    """An exporter that got no answer sends the same body again."""
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "once", "startTimeUnixNano": "5", "endTimeUnixNano": "9"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "repeats"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span, {"name": "no id"}]}]}]}
    raw = gzip.compress(json.dumps(body).encode(), mtime=0)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    answers = [client.post("/v1/traces", content=raw, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["partialSuccess"]["rejectedSpans"] for answer in answers] == ["1", "1"]
    assert services(server[1])["repeats"] == 2


def test_an_empty_export_is_answered_in_its_encoding(client: httpx.Client) -> None:
    """OpenTelemetry's collectors probe with one."""
    answer = client.post("/v1/traces", content=b"", headers={"Content-Type": "application/x-protobuf"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
