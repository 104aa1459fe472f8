"""Which peers there are, and which of them are not installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PEERS = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-common", "viztracer")
_ALL = (*PEERS, "opentelemetry-instrumentation-starlette", "opentelemetry-instrumentation-httpx")


def missing_peers() -> list[str]:
    """Name the peers that are not installed."""
    missing: list[str] = []
    for name in _ALL:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing
