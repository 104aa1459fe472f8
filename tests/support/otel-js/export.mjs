// Exports a few spans with the official SDK: node export.mjs URL proto|json [traceparent]
import { SpanKind, SpanStatusCode, context, propagation, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [url, encoding, traceparent] = process.argv.slice(2);
const Exporter = encoding === "proto" ? ProtoExporter : JsonExporter;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "checkout-js", "service.instance.id": `js-${encoding}` }),
  spanProcessors: [new BatchSpanProcessor(new Exporter({ url }))],
});
provider.register();
const parent = propagation.extract(context.active(), traceparent ? { traceparent } : {});
const tracer = trace.getTracer("test");
tracer.startActiveSpan("GET /cart", { kind: SpanKind.SERVER, attributes: { "http.request.method": "GET" } }, parent, (root) => {
  tracer.startActiveSpan("redis GET", { kind: SpanKind.CLIENT, attributes: { "db.system": "redis", answer: 42 } }, (span) => {
    span.recordException(new TypeError("cart is gone"));
    span.setStatus({ code: SpanStatusCode.ERROR, message: "cart is gone" });
    span.end();
  });
  root.end();
});
await provider.forceFlush();
await provider.shutdown();
