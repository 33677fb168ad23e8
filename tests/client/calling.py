"""Steps that many tests of calls share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import ringmesh
from ringmesh import (
    CallType,
    Connection,
    Event,
    LocalStream,
    P2PSession,
    ReceiveNewSession,
    SessionClosed,
)
from tests.interop.people import LIMIT, coded, hears, sees

E = TypeVar("E", bound=Event)


class Phone:
    """A person with a stream of his own, who can be told to answer.

    Attributes:
        number: 1 to 15: tells his picture and his tone from all others.
        rung: the calls that came in.
    """

    def __init__(self, me: Connection, number: int) -> None:
        self.me = me
        self.id = me.id
        self.number = number
        self.tone = 300.0 + 110.0 * number
        self.rung: asyncio.Queue[P2PSession] = asyncio.Queue()
        me.calls.on_receive_new_session = self.rung.put_nowait

    async def rings(self) -> P2PSession:
        """The next call that comes in."""
        return await asyncio.wait_for(self.rung.get(), LIMIT)

    def stream(self, *, video: bool = True) -> LocalStream:
        """His picture and tone."""
        return coded(self.number, self.tone, video=video)

    async def calls(
        self,
        *others: Phone,
        call_type: CallType = CallType.VIDEO_CALL,
        user_info: ringmesh.UserInfo | None = None,
    ) -> P2PSession:
        """Start a call to these."""
        session = self.me.calls.create_call_session(call_type, [other.id for other in others])
        await session.init_local_media_stream(self.stream(video=call_type is CallType.VIDEO_CALL))
        await session.start_call(user_info)
        return session

    async def answers(self, user_info: ringmesh.UserInfo | None = None) -> P2PSession:
        """Accept the next call."""
        session = await self.rings()
        video = session.call_type is CallType.VIDEO_CALL
        await session.init_local_media_stream(self.stream(video=video))
        await session.accept_call(user_info)
        return session

    async def meets(self, session: P2PSession, others: Iterable[Phone]) -> None:
        """Wait until he hears and, in a video call, sees each of these, by content."""
        async with asyncio.TaskGroup() as group:
            for other in others:
                group.create_task(hears(session, other.id, other.tone))
                if session.call_type is CallType.VIDEO_CALL:
                    group.create_task(sees(session, other.id, other.number))


async def all_meet(pairs: dict[Phone, P2PSession]) -> None:
    """Wait until everybody in a call hears and sees everybody else."""
    async with asyncio.TaskGroup() as group:
        for phone, session in pairs.items():
            group.create_task(phone.meets(session, [other for other in pairs if other != phone]))


async def told(session: P2PSession, kind: type[E], about: Phone | None = None) -> E:
    """The first event of this kind."""
    user_id = None if about is None else about.id
    return await session.wait_for(kind, user_id=user_id, timeout=LIMIT)


async def over(*sessions: P2PSession) -> list[ringmesh.EndReason | None]:
    """Wait until these calls are over; why they are."""
    for session in sessions:
        await session.wait_for(SessionClosed, timeout=LIMIT)
    return [session.close_reason for session in sessions]


async def next_call(me: Connection) -> P2PSession:
    """The next call, as an event."""
    return (await me.calls.wait_for(ReceiveNewSession, timeout=LIMIT)).session


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something of which no event tells."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
