"""Spans of OpenTelemetry become events of clew."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew.analysis.runs import runs_of
from clew.analysis.timeline import ProcessTimeline, timelines_of
from clew.convert import otlp
from clew.convert.attrs_json import AttrsEncoder
from clew.format.reader import open_recording


def exported(service: str = "shop") -> bytes:
    """What OpenTelemetry's SDK exports of a small program."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": service, "process.pid": 7, "host.name": "web-1"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("POST /buy", kind=trace.SpanKind.SERVER, attributes={"password": "hunter22"}):
        with tracer.start_as_current_span("SELECT", kind=trace.SpanKind.CLIENT, attributes={"db.system": "pg"}):
            pass
        with (
            pytest.raises(KeyError),
            tracer.start_as_current_span(
                "price", attributes={"code.lineno": 3, "code.filepath": "a.py", "code.function": "f"}
            ),
        ):
            raise KeyError("gone")
    return encode_spans(exporter.get_finished_spans()).SerializeToString()


HEAD = exported()[:90]


def timelines(tmp_path: Path, *bodies: bytes, content_type: str = otlp.PROTOBUF) -> list[ProcessTimeline]:
    """Store requests one after the other as a recording; open it."""
    folder = tmp_path / "otlp.clew"
    folder.mkdir()
    next_seq: dict[str, int] = {}
    for body in bodies:
        for batch in otlp.decode(body, content_type, AttrsEncoder()).batches:
            first = next_seq.get(batch.process_id, 1)
            next_seq[batch.process_id] = first + batch.events
            with (folder / f"{batch.process_id}.stream").open("ab") as file:
                file.write(b"".join(chunk.body for chunk in batch.chunks(first)))
    return timelines_of(open_recording(folder))


def test_a_trace_is_a_run_with_its_spans(tmp_path: Path) -> None:
    """Names, kinds, parents, outcomes and times come through."""
    found = timelines(tmp_path, exported())

    (run,) = runs_of(found)
    spans = {span.name: span for span in run.spans}
    root = spans["POST /buy"]
    assert (run.name, run.service, run.status, run.entry) == ("POST /buy", "shop", "succeeded", "request")
    assert (root.kind, root.role) == ("server", "run")
    assert (spans["SELECT"].kind, spans["SELECT"].effect, spans["SELECT"].parent_span_id) == (
        "client",
        "db",
        root.span_id,
    )
    assert (spans["price"].outcome, spans["SELECT"].outcome) == ("failed", "ok")
    assert root.start_ns <= spans["SELECT"].start_ns <= spans["SELECT"].end_ns <= root.end_ns
    assert (found[0].pid, found[0].stream.process["host"]) == (7, "web-1")


def test_an_exception_is_an_error_of_its_span(tmp_path: Path) -> None:
    """Type and message stand where clew's own errors have them; secrets do not."""
    (timeline,) = timelines(tmp_path, exported())

    attrs = [json.loads(text) for text in timeline.data.attrs.values()]
    (error,) = [found for found in attrs if "type" in found]
    assert (error["type"], "gone" in error["message"]) == ("KeyError", True)
    assert {"password": "[redacted]"} in attrs
    assert [row[1:] for row in timeline.data.sites.values()] == [("a.py", 3, "f")]


def test_requests_of_one_program_go_into_one_stream(tmp_path: Path) -> None:
    """A process that exports again goes on where it stopped."""
    found = timelines(tmp_path, exported(), exported(), exported("other"))

    assert sorted((timeline.service, len(timeline.data)) for timeline in found) == [("other", 7), ("shop", 14)]
    assert [timeline.dropped for timeline in found] == [0, 0]
    assert len(runs_of(found)) == 3


def test_json_says_the_same_as_protobuf(tmp_path: Path) -> None:
    """Ids are hexadecimal in OTLP's JSON; the events are the same."""
    body = exported()
    request = ExportTraceServiceRequest.FromString(body)
    value = json_format.MessageToDict(request)
    for span in value["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64decode(span[name]).hex()

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (one,) = timelines(tmp_path / "a", body)
    (other,) = timelines(tmp_path / "b", json.dumps(value).encode(), content_type=otlp.JSON)

    assert one.data.columns == other.data.columns
    assert one.data.spans == other.data.spans
    assert one.data.attrs == other.data.attrs


def test_spans_without_ids_are_rejected_and_counted() -> None:
    """What is sound of a request is taken; the answer says how many were not."""
    request = ExportTraceServiceRequest.FromString(exported())
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
    request.resource_spans[0].scope_spans[0].spans[1].start_time_unix_nano = 0

    found = otlp.decode(request.SerializeToString(), otlp.PROTOBUF, AttrsEncoder())

    answer = ExportTraceServiceResponse.FromString(otlp.encode_response(otlp.PROTOBUF, found.rejected))
    assert (found.spans, found.rejected, answer.partial_success.rejected_spans) == (3, 2, 2)
    assert json.loads(otlp.encode_response(otlp.JSON, 2))["partialSuccess"]["rejectedSpans"] == "2"
    assert otlp.encode_response(otlp.JSON, 0) == b"{}"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
        b'{"resourceSpans": [5]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_json_body_that_is_no_request_is_refused(body: bytes) -> None:
    """The answer is the documented error."""
    with pytest.raises(otlp.OtlpError):
        otlp.decode(body, otlp.JSON, AttrsEncoder())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda tail: HEAD + tail))
def test_any_bytes_are_taken_or_refused_with_the_documented_error(body: bytes) -> None:
    """No body makes the decoder fail in another way, nor what it made of it the encoder."""
    try:
        for batch in otlp.decode(body, otlp.PROTOBUF, AttrsEncoder()).batches:
            batch.chunks(1)
    except otlp.OtlpError:
        return


@pytest.mark.parametrize(
    ("attributes", "effect"),
    [
        ({"gen_ai.operation.name": "chat"}, "model"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"openinference.span.kind": "RETRIEVER"}, "retriever"),
        ({"openinference.span.kind": "GUARDRAIL"}, "safety"),
        ({"anything": 1}, ""),
    ],
)
def test_agents_steps_are_known_by_their_conventions(tmp_path: Path, attributes: dict[str, Any], effect: str) -> None:
    """``gen_ai.*`` and OpenInference kinds become effects."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("step", attributes=attributes):
        pass

    (timeline,) = timelines(tmp_path, encode_spans(exporter.get_finished_spans()).SerializeToString())

    assert [span.effect for span in runs_of([timeline])[0].spans] == [effect]
