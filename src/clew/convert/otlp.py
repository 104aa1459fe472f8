"""Spans of OpenTelemetry as events: what ``POST /v1/traces`` takes.

A resource is a process: its id is made of the resource's attributes, so that each export of
one program lands in one stream. A span becomes two events, its start and its end, and one
for each event in it. OTLP numbers nothing, so events get their numbers when they are
stored (``SpanBatch.chunk``); a repeated request is told by its body.

What is lost: the order of spans that overlap in one thread says nothing about who waited
for whom; there are no steps and no wakes, and ``dropped_*_count`` stand in attributes only.

Source: OTLP 1.x (opentelemetry-proto); semantic conventions for ``http``, ``db``, ``gen_ai``;
OpenInference's ``openinference.span.kind``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from clew.format import schema
from clew.format.chunk import ChunkType, encode_json_chunk, parse_header
from clew.format.events import Definitions, encode_event_chunk
from clew.format.tables import planes_of
from clew.model.errors import ClewError
from clew.model.kinds import EntityKind, EventKind, Operation, Outcome, SpanKind, SpanRole
from clew.store.ingest import CheckedChunk, check_chunks

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from clew.convert.attrs_json import AttrsEncoder

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_SPANS = 1 << 17
MAX_NAME = 512
PROCESS_NUMBER = 1
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_ERROR_STATUS = 2
_SPAN_KINDS = {2: SpanKind.SERVER, 3: SpanKind.CLIENT, 4: SpanKind.PRODUCER, 5: SpanKind.CONSUMER}
_OPEN_INFERENCE = {
    "LLM": Operation.MODEL, "EMBEDDING": Operation.MODEL, "RETRIEVER": Operation.RETRIEVER,
    "RERANKER": Operation.RETRIEVER, "TOOL": Operation.TOOL, "AGENT": Operation.PLANNER,
    "GUARDRAIL": Operation.SAFETY, "EVALUATOR": Operation.VALIDATOR, "PROMPT": Operation.PROMPT,
}  # fmt: skip
_GEN_AI = {
    "chat": Operation.MODEL, "text_completion": Operation.MODEL, "generate_content": Operation.MODEL,
    "embeddings": Operation.MODEL, "execute_tool": Operation.TOOL, "invoke_agent": Operation.PLANNER,
    "create_agent": Operation.PLANNER,
}  # fmt: skip
_BY_PREFIX = (("db.", Operation.DB), ("http.", Operation.HTTP), ("rpc.", Operation.HTTP))


class OtlpError(ClewError):
    """A request with OpenTelemetry spans cannot be read; nothing of it is taken."""


class _Row(NamedTuple):
    """One event that has no number yet."""

    t_ns: int
    order: int
    """Among events of one instant: starts before what happens in a span before ends."""
    span: int
    """Position of its span in the batch."""
    kind: int
    op: int
    outcome: int
    site: int
    attrs: str


class SpanBatch:
    """The spans of one process in a request.

    Attributes:
        process_id: 16 hexadecimal digits.
        head: What its PROCESS chunk says.
    """

    def __init__(self, process_id: str, head: dict[str, Any]) -> None:
        self.process_id = process_id
        self.head = head
        self._rows: list[_Row] = []
        self._spans: list[Span] = []
        self._ops: list[int] = []
        self._names: list[str] = []
        self._sites: dict[tuple[str, int, str], int] = {}

    @property
    def events(self) -> int:
        """How many events its spans are."""
        return len(self._rows)

    def add(self, span: Span, encoder: AttrsEncoder) -> None:
        """Add the events of a span."""
        at = len(self._spans)
        attrs = _plain(span.attributes)
        op = _operation_of(attrs, span.kind)
        start, end = _kinds_of(span, op)
        outcome = Outcome.FAILED if span.status.code == _ERROR_STATUS else Outcome.OK
        self._spans.append(span)
        self._ops.append(op)
        self._names.append(encoder.redactor.text(span.name, MAX_NAME))
        site = self._site_of(attrs)
        if span.links:
            attrs["links"] = [f"{link.trace_id.hex()}:{link.span_id.hex()}" for link in span.links]
        if span.dropped_attributes_count or span.dropped_events_count or span.dropped_links_count:
            attrs["dropped"] = span.dropped_attributes_count + span.dropped_events_count + span.dropped_links_count
        result = {"status": span.status.message} if span.status.message else {}
        rows = self._rows
        rows.append(_Row(span.start_time_unix_nano, 0, at, start, op, 0, site, encoder.encode(attrs) if attrs else ""))
        for event in span.events:
            kind, found = _event_of(event.name, _plain(event.attributes))
            rows.append(_Row(event.time_unix_nano, 1, at, kind, 0, 0, site, encoder.encode(found)))
        # A span may end before its clock says it began.
        end_ns = max(span.end_time_unix_nano, span.start_time_unix_nano)
        rows.append(_Row(end_ns, 2, at, end, op, outcome, 0, encoder.encode(result) if result else ""))

    def _site_of(self, attrs: Mapping[str, Any]) -> int:
        file = attrs.get("code.file.path", attrs.get("code.filepath"))
        if not isinstance(file, str):
            return 0
        line = attrs.get("code.line.number", attrs.get("code.lineno"))
        function = attrs.get("code.function.name", attrs.get("code.function", ""))
        site = (file[:MAX_NAME], line if type(line) is int and 0 <= line < 1 << 32 else 0, str(function)[:MAX_NAME])
        # A number of its own in each process, told from the place itself: batches know nothing of each other.
        number = int.from_bytes(hashlib.blake2s(repr(site).encode(), digest_size=4).digest(), "little") or 1
        return self._sites.setdefault(site, number)

    def chunks(self, first_seq: int) -> list[CheckedChunk]:
        """Return its chunks.

        Args:
            first_seq: The first number that is free in the process.
        """
        number = int(self.process_id, 16)
        head = check_chunks(encode_json_chunk(ChunkType.PROCESS, number, self.head))
        if not self._rows:
            return head
        order = sorted(range(len(self._rows)), key=lambda i: self._rows[i][:3])
        rows = [self._rows[i] for i in order]
        starts = {row.span: first_seq + i for i, row in enumerate(rows) if row.order == 0}
        numbers = {span.span_id: starts[i] for i, span in enumerate(self._spans)}
        columns: dict[str, Any] = {
            "t_ns": np.array([row.t_ns for row in rows], np.uint64),
            "cause": np.array([self._cause_of(row, starts, numbers) for row in rows], np.uint64),
            "wait_ns": np.zeros(len(rows), np.uint64),
            "arg": np.zeros(len(rows), np.uint64),
            "entity": np.zeros(len(rows), np.uint32),
            "scope": np.full(len(rows), PROCESS_NUMBER, np.uint32),
            "site": np.array([row.site for row in rows], np.uint32),
            "span": np.array([_span_number(starts[row.span]) for row in rows], np.uint32),
            "kind": np.array([row.kind for row in rows], np.uint8),
            "op": np.array([row.op for row in rows], np.uint8),
            "outcome": np.array([row.outcome for row in rows], np.uint8),
        }
        service = str(self.head.get("service", ""))
        definitions = Definitions(
            entities=[(PROCESS_NUMBER, int(EntityKind.PROCESS), service, "process", 0, 0, 0, "")],
            sites=[(at, *site) for site, at in self._sites.items()],
            spans=[self._definition(i, starts[i], numbers) for i in range(len(self._spans))],
            attrs=[(first_seq + i, row.attrs) for i, row in enumerate(rows) if row.attrs],
        )
        planes = [(spec.number, planes_of(cast("array[int]", columns[spec.name]))) for spec in schema.EVENTS.columns]
        body = encode_event_chunk(number, [(first_seq, len(rows))], planes, definitions)
        return [*head, CheckedChunk(parse_header(body, 0), body, [(first_seq, first_seq + len(rows))])]

    def _cause_of(self, row: _Row, starts: Mapping[int, int], numbers: Mapping[bytes, int]) -> int:
        """A span was begun by its parent; what happens in it, and its end, by nobody that is known."""
        return numbers.get(self._spans[row.span].parent_span_id, 0) if row.order == 0 else starts[row.span]

    def _definition(self, at: int, number: int, numbers: Mapping[bytes, int]) -> tuple[Any, ...]:
        span = self._spans[at]
        role = SpanRole.STEP if span.parent_span_id else SpanRole.RUN
        return (
            _span_number(number), int.from_bytes(span.trace_id[:8]), int.from_bytes(span.trace_id[8:]),
            int.from_bytes(span.span_id), int.from_bytes(span.parent_span_id),
            _span_number(numbers.get(span.parent_span_id, 0)), int(_SPAN_KINDS.get(span.kind, SpanKind.INTERNAL)),
            int(role), self._ops[at], self._names[at],
        )  # fmt: skip


def _span_number(first_seq: int) -> int:
    """Number a span by its first event, which is unique in its process; 1 is the process's own run."""
    return first_seq + 1 & 0xFFFFFFFF if first_seq else 0


class SpanRequest(NamedTuple):
    """What a request holds."""

    batches: list[SpanBatch]
    spans: int
    rejected: int
    """Spans without a trace id, span id or time."""


def decode(body: bytes, content_type: str, encoder: AttrsEncoder) -> SpanRequest:
    """Read the body of a request.

    Args:
        body: Uncompressed.
        content_type: ``PROTOBUF`` or ``JSON``.
        encoder: Redacts and writes attributes.

    Raises:
        OtlpError: It is none of OTLP.
    """
    request = _parse(body, content_type)
    batches: dict[str, SpanBatch] = {}
    spans = rejected = 0
    for resource_spans in request.resource_spans:
        process_id, head = _process_of(resource_spans.resource, encoder)
        batch = batches.setdefault(process_id, SpanBatch(process_id, head))
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                spans += 1
                if _is_valid(span):
                    batch.add(span, encoder)
                else:
                    rejected += 1
    if spans > MAX_SPANS:
        raise OtlpError(
            "otlp-size", f"the request has {spans:,} spans", f"expected at most {MAX_SPANS:,}", "send several requests"
        )
    return SpanRequest(list(batches.values()), spans, rejected)


def encode_response(content_type: str, rejected: int) -> bytes:
    """Return the body of an answer in the encoding of its request."""
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = "expected a trace id, a span id and a start time that are not 0"
    if content_type == JSON:
        return json_format.MessageToJson(response, indent=None).encode()
    return response.SerializeToString()


def _parse(body: bytes, content_type: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    try:
        if content_type == PROTOBUF:
            request.ParseFromString(body)
        else:
            # In JSON ids are hexadecimal, unlike other bytes of protobuf.
            value = json.loads(body)
            _ids_to_base64(value)
            json_format.ParseDict(value, request, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise OtlpError(
            "otlp",
            f"the body is no ExportTraceServiceRequest in {content_type} ({str(error)[:120]})",
            "expected what an OTLP/HTTP exporter sends",
            "check the exporter's protocol: http/protobuf or http/json",
        ) from None
    return request


def _ids_to_base64(request: Any) -> None:
    if not isinstance(request, dict):
        raise TypeError("it is not an object")
    for resource in _lists(request, "resourceSpans", "resource_spans"):
        for scope in _lists(resource, "scopeSpans", "scope_spans"):
            for span in _lists(scope, "spans"):
                _convert_ids(span, "traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
                for link in _lists(span, "links"):
                    _convert_ids(link, "traceId", "spanId", "trace_id", "span_id")


def _lists(value: Any, *names: str) -> Iterable[Any]:
    for name in names:
        yield from value.get(name) or ()


def _convert_ids(value: dict[str, Any], *names: str) -> None:
    for name in names:
        text = value.get(name)
        if isinstance(text, str):
            try:
                value[name] = base64.b64encode(bytes.fromhex(text)).decode()
            except (ValueError, binascii.Error):
                raise ValueError(f"{name} is {text[:40]!r}, not hexadecimal") from None


def _is_valid(span: Span) -> bool:
    return (
        len(span.trace_id) == _TRACE_BYTES
        and len(span.span_id) == _SPAN_BYTES
        and len(span.parent_span_id) in (0, _SPAN_BYTES)
        and any(span.trace_id)
        and any(span.span_id)
        and 0 < span.start_time_unix_nano < 1 << 63
        and span.end_time_unix_nano < 1 << 63
    )


def _process_of(resource: Resource, encoder: AttrsEncoder) -> tuple[str, dict[str, Any]]:
    attrs = _plain(resource.attributes)
    identity = json.dumps(attrs, sort_keys=True, default=str).encode()
    process_id = hashlib.sha256(identity).hexdigest()[:16]
    redactor = encoder.redactor
    argv = attrs.get("process.command_args")
    pid = attrs.get("process.pid")
    return process_id, {
        "service": redactor.text(str(attrs.get("service.name", "unknown_service")), MAX_NAME),
        "environment": str(attrs.get("deployment.environment.name", attrs.get("deployment.environment", "")))[
            :MAX_NAME
        ],
        "host": str(attrs.get("host.name", ""))[:MAX_NAME],
        "pid": pid if type(pid) is int and 0 <= pid < 1 << 53 else 0,
        "argv": redactor.arguments([str(a) for a in cast("list[Any]", argv)]) if isinstance(argv, list) else [],
        "python": str(attrs.get("process.runtime.version", ""))[:MAX_NAME],
        "implementation": str(attrs.get("telemetry.sdk.language", ""))[:MAX_NAME],
        "resource": redactor.mapping(attrs),
    }


def _kinds_of(span: Span, op: int) -> tuple[int, int]:
    """Return the kinds of a span's first and last event."""
    if op:
        return EventKind.EFFECT_CALL, EventKind.EFFECT_RESULT
    if not span.parent_span_id:
        return EventKind.LIFE_RUN_START, EventKind.LIFE_RUN_END
    return EventKind.LIFE_SPAN_START, EventKind.LIFE_SPAN_END


def _operation_of(attrs: Mapping[str, Any], kind: int) -> int:
    """Return what crosses the boundary of the process in a span, 0 if nothing does."""
    found = _OPEN_INFERENCE.get(str(attrs.get("openinference.span.kind"))) or _GEN_AI.get(
        str(attrs.get("gen_ai.operation.name"))
    )
    if found:
        return found
    if kind not in (3, 4):  # a client, a producer
        return 0
    return next((op for prefix, op in _BY_PREFIX if any(name.startswith(prefix) for name in attrs)), Operation.HTTP)


def _event_of(name: str, attrs: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the kind and attributes of an event in a span."""
    if name != "exception":
        return EventKind.CUSTOM_EVENT, {"name": name[:MAX_NAME], **attrs}
    found: dict[str, Any] = {
        "type": str(attrs.get("exception.type", "Exception")),
        "message": str(attrs.get("exception.message", "")),
    }
    if "exception.stacktrace" in attrs:
        found["traceback"] = str(attrs["exception.stacktrace"])
    return EventKind.ERROR_RAISED, found


def _plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: AnyValue, level: int = 0) -> Any:
    """Return a value as JSON has it; deep ones are cut."""
    kind = value.WhichOneof("value")
    if kind is None or level > 6:
        return None
    if kind == "array_value":
        return [_value(item, level + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, level + 1) for pair in value.kvlist_value.values}
    found = getattr(value, kind)
    return f"<bytes of {len(found)}>" if isinstance(found, bytes) else found
