"""The bus of a deployment that is one process: there is nobody else, so it costs nothing."""

from __future__ import annotations

from collections.abc import Iterable

from ringmesh.server.bus.contract import Deliver


class InProcessBus:
    """Joins the nodes that live in this process, usually exactly one.

    Args:
        others: the buses of the nodes to join.
    """

    def __init__(self, others: Iterable[InProcessBus] = ()) -> None:
        self._deliver: Deliver | None = None
        self._others = list(others)
        for other in self._others:
            other._others.append(self)

    def attach(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def subscribe(self, user: str) -> None:
        """Nothing to do: a node drops what is for a user that it does not know."""

    def unsubscribe(self, user: str) -> None:
        """Nothing to do, as in `subscribe`."""

    def publish(self, user: str, stanza: bytes, resource: str = "", carbon: bool = False) -> None:
        for other in self._others:
            if other._deliver is not None:
                other._deliver(user, stanza, resource, carbon)
