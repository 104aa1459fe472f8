"""What the server counts, for Prometheus: ``GET /metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one server: its own registry, so that several servers in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "clew_events_accepted", "Events stored, after they were durable.", ["route"], registry=self.registry
        )
        self.duplicates = Counter(
            "clew_events_duplicates", "Events that were stored already.", ["route"], registry=self.registry
        )
        self.requests = Counter(
            "clew_http_requests",
            "Requests answered, by the template of their route.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "clew_http_request_seconds",
            "From the head of a request to the end of its answer.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.received = Counter("clew_http_received_bytes", "Bytes of bodies, as sent.", registry=self.registry)
        self.in_progress = Gauge("clew_http_requests_in_progress", "Requests being answered.", registry=self.registry)

    def watch(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is asked for when somebody looks."""
        Gauge(name, documentation, registry=self.registry).set_function(value)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)

    def stored(self, route: str, accepted: int, duplicates: int) -> None:
        """Count events of one request that were stored, and that were stored already."""
        self.accepted.labels(route).inc(accepted)
        self.duplicates.labels(route).inc(duplicates)
