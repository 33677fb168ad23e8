"""Ringing as a duty of the server: from the chat's call signals to pushes and missed calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from ringmesh.errors import RingmeshError
from ringmesh.protocol.element import read
from ringmesh.protocol.signal_xml import decode_signal
from ringmesh.server.accounts.models import User
from ringmesh.server.accounts.users import Users
from ringmesh.server.chat import ChatService
from ringmesh.server.chat.resumption import STALE_CALL
from ringmesh.server.push.contract import Channel, Message, Subscription
from ringmesh.server.push.ringing import (
    MAX_RINGS,
    Decision,
    End,
    EndRing,
    Ring,
    RingingCall,
    Rings,
    StartRing,
)
from ringmesh.server.push.service import PushService

TICK_SECONDS = 1.0

_WAITING = 2_000
_ENDS = {b"accept": End.ANSWERED, b"reject": End.DECLINED, b"hangUp": End.DECLINED}
_WORDS = {1: "video", 2: "audio"}

_logger = structlog.get_logger(__name__)


class Ringer:
    """A `ringmesh.server.chat.router.CallWatcher`.

    Args:
        pushes: whether devices are to ring; missed calls are kept in any case.
    """

    def __init__(
        self,
        chat: ChatService,
        push: PushService,
        users: Users,
        *,
        pushes: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chat = chat
        self._push = push
        self._users = users
        self._pushes = pushes
        self._clock = clock
        self._rings: Rings = push.rings
        self._known: dict[tuple[bytes, str], Ring] = {}
        self._decisions: asyncio.Queue[Decision] = asyncio.Queue(_WAITING)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to watch."""
        self._chat.router.watcher = self
        self._tasks = [
            asyncio.create_task(self._perform(), name="ringer"),
            asyncio.create_task(self._tick(), name="ringer clock"),
        ]

    async def close(self) -> None:
        """Watch no more. What was decided is done."""
        self._chat.router.watcher = None
        if not self._tasks:
            return
        performing, ticking = self._tasks
        self._tasks = []
        ticking.cancel()
        if not performing.done():
            await self._decisions.join()
        performing.cancel()
        await asyncio.gather(performing, ticking, return_exceptions=True)

    # --- for the chat

    def called(
        self, app_id: int, caller_id: int, callee: str, session_id: bytes, signal: bytes
    ) -> None:
        """See `CallWatcher`."""
        now = self._clock()
        reachable = False
        for device in self._chat.router.online(app_id).get(callee, ()):
            reachable = reachable or device.reachable
        ring = self._known.get((session_id, callee))
        if ring is not None and reachable and not ring.over and ring.call.caller_id == caller_id:
            ring.renew(signal, now)  # nearly all: a repeat to somebody who is online
            return
        call = self._chat.calls.find(app_id, session_id.decode())
        callee_id = _user_id(callee)
        if call is None or call.caller_id != caller_id or callee_id not in call.opponents_ids:
            return
        if callee_id == caller_id:
            return
        ringing = RingingCall(
            application_id=app_id,
            session_id=session_id.decode(),
            caller_id=caller_id,
            callee_id=callee_id,
            call_type=call.call_type,
            opponents_ids=call.opponents_ids,
        )
        self._put(self._rings.called(ringing, signal, reachable, now))
        found = self._rings.ring((app_id, ringing.session_id, caller_id, callee_id))
        if found is not None:
            if len(self._known) >= MAX_RINGS:
                self._known.clear()
            self._known[session_id, callee] = found

    def ended(
        self, app_id: int, sender_id: int, to: str, session_id: bytes, kind: bytes, resource: str
    ) -> None:
        """See `CallWatcher`."""
        session, other_id, now = session_id.decode(), _user_id(to), self._clock()
        end = _ENDS[kind]
        self._put(self._rings.ended((app_id, session, other_id, sender_id), end, now, resource))
        if kind == b"hangUp":
            key = (app_id, session, sender_id, other_id)
            self._put(self._rings.ended(key, End.CANCELLED, now))

    def ringing(self, app_id: int, user_id: int) -> Sequence[bytes]:
        """See `CallWatcher`."""
        return self._rings.signals(app_id, user_id, self._clock() - STALE_CALL)

    # --- decisions

    def _put(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            try:
                self._decisions.put_nowait(decision)
            except asyncio.QueueFull:
                _logger.warning("too many rings at once: one is lost")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._put(self._rings.tick(self._clock()))

    async def _perform(self) -> None:
        while True:
            decision = await self._decisions.get()
            try:
                if isinstance(decision, StartRing):
                    await self._start_ring(decision)
                else:
                    await self._end_ring(decision)
            except Exception:
                _logger.exception("a ring could not be pushed", call=decision.call.session_id)
            finally:
                self._decisions.task_done()

    async def _start_ring(self, start: StartRing) -> None:
        if self._pushes:
            caller = await self._users.get(start.call.application_id, start.call.caller_id)
            await self._push.start_ring(start.call, start_message(start, caller))

    async def _end_ring(self, end: EndRing) -> None:
        if end.end.is_missed:
            await self._push.missed(end.call, end.rang_seconds)
        if self._pushes and end.pushed:
            caller = await self._users.get(end.call.application_id, end.call.caller_id)
            message = end_message(end, caller)
            await self._push.end_ring(end.call, message, lambda rang: to_cancel(end, rang))


def start_message(start: StartRing, caller: User | None) -> Message:
    """What rings, with the names that the call kits of the mobile SDKs read."""
    call = start.call
    values: dict[str, Any] = {
        "message": f"Incoming {_WORDS[call.call_type].capitalize()} call",
        "signal_type": "startCall",
        "session_id": call.session_id,
        "call_type": call.call_type,
        "caller_id": call.caller_id,
        "caller_name": _name(caller),
        "call_opponents": ",".join(map(str, call.opponents_ids)),
        "ios_voip": 1,
    }
    if caller is not None and caller.avatar and caller.avatar.startswith("https://"):
        values["photo_url"] = caller.avatar
    user_info = _user_info(start.signal)
    if user_info:
        values["user_info"] = user_info
    return Message(values)


def end_message(end: EndRing, caller: User | None) -> Message:
    """What stops the ringing. One who missed the call is told; for others it is silent on iOS."""
    call = end.call
    values: dict[str, Any] = {
        "signal_type": "endCall",
        "session_id": call.session_id,
        "call_type": call.call_type,
        "caller_id": call.caller_id,
        "caller_name": _name(caller),
        "call_opponents": ",".join(map(str, call.opponents_ids)),
        "reason": end.end,
    }
    if end.end.is_missed:
        values["message"] = f"Missed {_WORDS[call.call_type]} call from {_name(caller)}"
    else:
        values["ios_content_available"] = 1
    return Message(values)


def to_cancel(end: EndRing, rang: list[Subscription]) -> list[Subscription]:
    """Which of the devices that rang must be told that it is over.

    The one that has answered must not: the call kit of an Android phone takes the end of a ring
    for the end of the call. SDKs put the device's id into the resource. Where that does not tell
    which one it was, Android phones are left to their own clock.
    """
    if end.end is not End.ANSWERED:
        return rang
    others = [one for one in rang if not (len(one.udid) >= 4 and one.udid in end.resource)]
    if len(others) < len(rang):
        return others
    return [one for one in rang if one.channel is not Channel.GCM]


def _name(caller: User | None) -> str:
    if caller is None:
        return "Unknown"
    return caller.full_name or caller.login or str(caller.id)


def _user_info(signal: bytes) -> str:
    """The caller's own data as JSON text, if it is small enough to ring."""
    try:
        decoded = decode_signal(read(signal))
    except RingmeshError:
        return ""
    info = None if decoded is None else decoded.user_info
    text = json.dumps(info, ensure_ascii=False) if info else ""
    return text if len(text.encode()) <= 1024 else ""


def _user_id(local: str) -> int:
    """The user's number in ``7-1``; 0 if there is none."""
    number = local.partition("-")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 20 else 0
