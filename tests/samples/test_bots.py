"""The echo bot, run as a program and called."""

from __future__ import annotations

import asyncio

from ringmesh import CallType
from tests.interop.people import coded, hears, sees
from tests.samples.running import call_to


async def test_echo_bot(url: str) -> None:
    """Whoever calls sees and hears himself."""
    stream = coded(7, 910.0)
    async with call_to("bots/echo_bot.py", url, stream, CallType.VIDEO_CALL) as (session, bot, _):
        await asyncio.gather(sees(session, bot, 7), hears(session, bot, 910.0))
