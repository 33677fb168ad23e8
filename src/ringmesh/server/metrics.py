"""Prometheus metrics of one server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.registry import Collector


class Metrics:
    """Counts of HTTP requests, and what other collectors tell."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        self._requests = Counter(
            "ringmesh_http_requests",
            "HTTP requests answered.",
            ("method", "path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "ringmesh_http_request_seconds",
            "Time to answer an HTTP request.",
            registry=self._registry,
        )

    def request_answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request. `method` and `path` come from small sets, not from the client."""
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.observe(seconds)

    def render(self) -> bytes:
        """Everything, in the Prometheus text format."""
        return generate_latest(self._registry)
