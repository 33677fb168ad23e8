"""Numbers about pushes for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ringmesh.server.push.records import State

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PushMetrics(Collector):
    """Counts what becomes of pushes.

    Attributes:
        queued: how many wait, as of a few seconds ago.
        accepted: how many were put into the outbox.
        seconds: from the event to the provider's word that it has the push.
    """

    def __init__(self) -> None:
        self.queued = self.accepted = 0
        self.seconds = Histogram(
            "ringmesh_push_seconds",
            "From an event to a push that the provider has accepted.",
            buckets=_BUCKETS,
            registry=None,
        )
        self._ended: Counter[State] = Counter()

    def ended(self, state: State, count: int) -> None:
        """So many pushes ended like this."""
        self._ended[state] += count

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield GaugeMetricFamily("ringmesh_push_queued", "Pushes that wait.", self.queued)
        yield CounterMetricFamily("ringmesh_push_accepted", "Pushes taken.", self.accepted)
        ended = CounterMetricFamily(
            "ringmesh_push_ended", "Pushes by what became of them.", labels=["state"]
        )
        for state, count in self._ended.items():
            ended.add_metric([state], count)
        yield ended
        yield from self.seconds.collect()
