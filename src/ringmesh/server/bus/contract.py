"""What the chat needs of a bus."""

from __future__ import annotations

from typing import Protocol


class Deliver(Protocol):
    """Takes what another node published for a user who may be online here."""

    def __call__(self, user: str, stanza: bytes, resource: str | None, carbon: bool) -> None: ...


class Bus(Protocol):
    """Carries stanzas to the other nodes on which a user is online.

    A user is named ``{user id}-{application id}``, as in the local part of the address. The node
    that publishes delivers to its own connections itself; the bus never hands a stanza back to it.
    Delivery is at most once, in order per publishing node; nothing is stored.
    """

    async def start(self, deliver: Deliver) -> None:
        """Connect, and from now on hand what other nodes publish to `deliver`."""

    def subscribe(self, user: str) -> None:
        """`user` came online on this node."""

    def unsubscribe(self, user: str) -> None:
        """The last connection of `user` on this node ended."""

    def publish(
        self, user: str, stanza: bytes, resource: str | None = None, carbon: bool = False
    ) -> None:
        """Send `stanza` to the other nodes of `user`; never waits.

        Args:
            resource: for this resource only, else for all.
            carbon: the stanza was sent by `user`; wrap it for their other devices (XEP-0280).
        """

    async def close(self) -> None:
        """Leave; publishing afterwards does nothing."""
