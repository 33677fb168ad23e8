"""Two nodes that share their users over the bus."""

from __future__ import annotations

from ringmesh.server.bus import InProcessBus
from tests.chat.host import running, signal, user


async def test_devices_on_another_node_are_reached() -> None:
    """Bare and full addresses, one copy each, and applications stay apart."""
    bus = InProcessBus()
    async with running(bus=bus) as east, running(bus=InProcessBus([bus])) as west:
        sender = await east.online(1)
        near, far, other_far = await east.online(2), await west.online(2), await west.online(2)
        namesake = await west.online(2, 7)
        await sender.send(signal(user(2)))
        for device in (near, far, other_far):
            assert (await device.receive()).get("from") == sender.jid
        await sender.send(signal(far.jid))
        await sender.send(signal(user(2, 7)))
        await sender.ping()
        assert (await far.receive()).get("to") == far.jid
        for device in (near, far, other_far, namesake):
            await device.ping()


async def test_carbons_cross_nodes() -> None:
    """A device rings on one node until the call was accepted on another."""
    bus = InProcessBus()
    async with running(bus=bus) as east, running(bus=InProcessBus([bus])) as west:
        caller = await west.online(1)
        answering, ringing = await east.online(2), await west.online(2, carbons=True)
        await answering.send(signal(user(1), "accept"))
        assert (await caller.receive()).get("from") == answering.jid
        assert (await ringing.receive()).child("sent", "urn:xmpp:carbons:2") is not None
        await ringing.ping()
