"""The bus of a deployment that is one process: there is nobody else, so it costs nothing."""

from __future__ import annotations

from collections.abc import Iterable

from ringmesh.server.bus.contract import Deliver


class InProcessBus:
    """Joins the nodes that live in this process, usually exactly one.

    Args:
        others: buses of the nodes to join.
    """

    def __init__(self, others: Iterable[InProcessBus] = ()) -> None:
        self._deliver: Deliver | None = None
        self._others = list(others)
        for other in self._others:
            other._others.append(self)

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def subscribe(self, user: str) -> None:
        """Nothing to do: a node that does not know a user drops what is not for it."""

    def unsubscribe(self, user: str) -> None:
        """Nothing to do, as in `subscribe`."""

    def publish(
        self, user: str, stanza: bytes, resource: str | None = None, carbon: bool = False
    ) -> None:
        for other in self._others:
            if other._deliver is not None:
                other._deliver(user, stanza, resource, carbon)

    async def close(self) -> None:
        self._deliver = None
        for other in self._others:
            other._others.remove(self)
        self._others.clear()
