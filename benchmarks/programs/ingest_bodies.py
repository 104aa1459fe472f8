"""Bodies of ingest requests, made before the clock starts: chunks of a recording, JSON events, spans of OTLP."""

from __future__ import annotations

import json
import struct
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

from benchmarks.synthetic import write_recording
from clew.format import schema
from clew.format.chunk import HEADER, HEADER_SIZE, ChunkType, encode_json_chunk
from clew.format.events import Definitions, encode_event_chunk
from clew.format.reader import open_recording
from clew.format.tables import planes_of


class Body(NamedTuple):
    """One request."""

    data: bytes
    events: int


def chunks(events: int, per_request: int) -> list[Body]:
    """Requests with one chunk each, as the synthetic recording has them, cut to *per_request* events.

    Each is of a process of its own, so that none is a duplicate of another.
    """
    with tempfile.TemporaryDirectory() as folder:
        stream = open_recording(write_recording(Path(folder, "r.clew"), max(40_000, per_request))).streams[0]
        data = stream.data
        planes = [(spec.number, planes_of(data.columns[spec.name][:per_request])) for spec in schema.EVENTS.columns]
    definitions = Definitions(
        entities=list(data.entities.values())[:200],
        sites=list(data.sites.values())[:200],
        spans=list(data.spans.values())[: per_request // 8],
        attrs=[],
        remote_causes=[],
        texts=[],
    )
    body = encode_event_chunk(1, [(1, per_request)], planes, definitions)
    return [Body(_of_process(body, number), per_request) for number in range(1, events // per_request + 1)]


def _of_process(chunk: bytes, process: int) -> bytes:
    """The same chunk of another process: its number stands in the header alone."""
    fields = list(HEADER.unpack_from(chunk))
    fields[5] = 0xBE0000000000 + process
    head = HEADER.pack(*fields)[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + chunk[HEADER_SIZE:]


def json_events(events: int, per_request: int) -> list[Body]:
    """Requests of `POST /api/v1/events`, from eight processes."""
    bodies = []
    for number in range(events // per_request):
        process, first = number % 8, number // 8 * per_request + 1
        made = [
            {
                "seq": seq, "t_ns": seq * 1200, "kind": "sync.acquired" if seq % 2 else "sync.release",
                "scope": f"worker-{seq % 16}", "entity": {"kind": "lock", "name": f"Cart{seq % 40}.lock"},
                "op": "acquire", "outcome": "ok",
                "site": {"file": "cart.js", "line": 31 + seq % 50, "function": "checkout"},
                "cause": max(0, seq - 1), "wait_ns": seq % 977, "attrs": {"order": seq},
            }
            for seq in range(first, first + per_request)
        ]  # fmt: skip
        head = {"id": f"{0xC0 + process:016x}", "service": "cart", "pid": 7, "wall_ns": 1764242406000000000}
        data = json.dumps({"process": head, "events": made}, separators=(",", ":")).encode()
        bodies.append(Body(data, per_request))
    return bodies


def spans(count: int, per_request: int) -> list[Body]:
    """Requests of `POST /v1/traces` in protobuf; an "event" is a span."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bodies = []
    for number in range(count // per_request):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        service = resource.resource.attributes.add()
        service.key, service.value.string_value = "service.name", f"shop-{number % 4}"
        scope = resource.scope_spans.add()
        for index in range(per_request):
            span = scope.spans.add()
            identity = number * per_request + index + 1
            span.trace_id = (identity // 8 + 1).to_bytes(16, "big")
            span.span_id = identity.to_bytes(8, "big")
            span.name = f"GET /items/{index % 20}"
            span.start_time_unix_nano = 1764242406000000000 + identity * 1000
            span.end_time_unix_nano = span.start_time_unix_nano + 900
            attribute = span.attributes.add()
            attribute.key, attribute.value.int_value = "http.response.status_code", 200
        bodies.append(Body(request.SerializeToString(), per_request))
    return bodies


def process_chunk(process: int) -> bytes:
    """The chunk that says what a process is."""
    return encode_json_chunk(ChunkType.PROCESS, process, {"pid": process, "service": "load", "wall_ns": 1})
