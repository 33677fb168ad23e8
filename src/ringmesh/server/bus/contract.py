"""What the chat needs of a bus."""

from __future__ import annotations

from typing import Protocol


class Deliver(Protocol):
    """Takes what another node published for a user who may be online here."""

    def __call__(self, user: str, stanza: bytes, resource: str, carbon: bool) -> None: ...


class Bus(Protocol):
    """Carries stanzas to the other nodes on which a user is online.

    A user is named ``{user id}-{application id}``, as in the local part of the address. The node
    that publishes delivers to its own connections itself; the bus never hands a stanza back to it.
    Delivery is at most once, in order per publishing node; nothing is stored and nothing waits.
    """

    def attach(self, deliver: Deliver) -> None:
        """From now on hand what other nodes publish to `deliver`."""

    def subscribe(self, user: str) -> None:
        """`user` came online on this node."""

    def unsubscribe(self, user: str) -> None:
        """The last connection of `user` on this node ended."""

    def publish(self, user: str, stanza: bytes, resource: str = "", carbon: bool = False) -> None:
        """Send `stanza` to the other nodes of `user`.

        Args:
            resource: for this device only; empty: for all.
            carbon: `user` sent the stanza; it goes to their other devices as a carbon (XEP-0280).
        """
