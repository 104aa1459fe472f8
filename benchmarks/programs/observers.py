"""Who observes a program: nobody, clew (from outside), or a peer started here.

OpenTelemetry's batch processor gets an exporter that really encodes what it is given, as
OTLP, and then sends it nowhere: a network would cost it more.
"""

from __future__ import annotations

import sys


class Spans:
    """OpenTelemetry, recording into a batch processor."""

    def __init__(self):
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

        class Exporter(SpanExporter):
            spans = size = 0

            def export(self, spans):
                self.spans += len(spans)
                self.size += len(encode_spans(spans).SerializeToString())
                return SpanExportResult.SUCCESS

        self.exporter = Exporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("benchmark")

    def begin(self, name: str):
        """Return a context manager that is a span."""
        return self.tracer.start_as_current_span(name)


def start(mode: str, *, entries: int = 1_000_000, ignore_c_function: bool = False):
    """Start the peer that *mode* names; return it, or None."""
    if mode == "viztracer":
        from viztracer import VizTracer

        tracer = VizTracer(tracer_entries=entries, ignore_c_function=ignore_c_function, verbose=0)
        tracer.start()
        return tracer
    if mode == "cprofile":
        import cProfile

        profile = cProfile.Profile(builtins=not ignore_c_function)
        profile.enable()
        return profile
    if mode == "otel":
        return Spans()
    return None


def events_so_far() -> int:
    """Return how many events clew numbered up to now, 0 if it does not record."""
    buffer = sys.modules.get("clew.probe.buffer")
    # An itertools.count shows its next number without giving it away.
    return int(repr(buffer.next_number.__self__)[len("count(") : -1]) - 1 if buffer else 0
