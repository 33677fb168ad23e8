"""The chat's metrics, read from plain counters when somebody asks: counting costs one addition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from ringmesh.server.chat.service import ChatService


def chat_metrics(chat: ChatService) -> Iterator[Metric]:
    """Everything to be known about a chat service in numbers."""
    router = chat.router
    yield GaugeMetricFamily(
        "ringmesh_chat_connections", "Open chat connections.", chat.connection_count()
    )
    yield GaugeMetricFamily("ringmesh_chat_devices", "Devices online.", router.devices)
    resumable = chat.resumable
    yield GaugeMetricFamily(
        "ringmesh_chat_detached", "Devices that may come back.", resumable.detached
    )
    yield GaugeMetricFamily(
        "ringmesh_chat_kept_bytes",
        "Bytes kept for devices that may come back.",
        resumable.queued_bytes,
    )
    yield CounterMetricFamily("ringmesh_chat_resumed", "Devices that came back.", resumable.resumed)
    yield CounterMetricFamily(
        "ringmesh_chat_relayed", "Messages taken from devices.", router.relayed
    )
    yield CounterMetricFamily(
        "ringmesh_chat_delivered", "Copies of messages given to devices.", router.delivered
    )
    yield CounterMetricFamily(
        "ringmesh_chat_dropped", "Messages to users without a device here.", router.dropped
    )
    logins = CounterMetricFamily("ringmesh_chat_logins", "Logins by outcome.", labels=["outcome"])
    for outcome, count in chat.logins.items():
        logins.add_metric([outcome], count)
    yield logins
    closed = CounterMetricFamily(
        "ringmesh_chat_closed", "Closed chat connections by reason.", labels=["reason"]
    )
    for reason, count in chat.closed_by.items():
        closed.add_metric([reason.label], count)
    yield closed
