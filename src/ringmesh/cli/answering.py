"""What ``ringmesh answer`` does."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack, ExitStack, suppress

from ringmesh.cli.call_monitor import STATS_INTERVAL, CallMonitor
from ringmesh.cli.call_options import TEST, AnswerOptions
from ringmesh.cli.call_summary import CallSummary
from ringmesh.cli.display import Display
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.running import first_of, on_interrupt
from ringmesh.cli.sending import open_local_stream, prepare
from ringmesh.client.config import RTCConfig
from ringmesh.client.connection import Connection, connect
from ringmesh.client.events import EventStream, ReceiveNewSession, RemoteStreamReceived
from ringmesh.client.session import P2PSession
from ringmesh.errors import InvalidStateError
from ringmesh.media.streams import LocalStream
from ringmesh.signals import CallType


async def answer_calls(
    options: AnswerOptions, server: str, login: str, password: str, display: Display
) -> ExitCode:
    """Sign in and take calls until interrupted."""
    if options.send is not None:  # better now than when somebody calls
        open_local_stream(options.send, CallType.VIDEO_CALL, loop=True).close()
    rtc = RTCConfig(max_calls=1, stats_reports_interval=STATS_INTERVAL)
    connecting = connect(server, login=login, password=password, rtc=rtc)
    async with AsyncExitStack() as stack:
        with display.busy(f"Signing in at {server} as {login}"):
            me = await stack.enter_async_context(connecting)
        calls = await stack.enter_async_context(me.calls.events())
        interrupted = asyncio.Event()
        stack.enter_context(on_interrupt(interrupted.set))
        for number in itertools.count(1):
            display.say(f"{login} is waiting for calls; press Ctrl-C to stop")
            event = await first_of(interrupted.wait(), _next_call(calls))
            if not isinstance(event, ReceiveNewSession):
                break
            summary = await _take(me, event.session, options, number, interrupted, display)
            if options.once:
                return summary.exit_code(interrupted=interrupted.is_set())
            if interrupted.is_set():
                break
    return ExitCode.OK


async def _next_call(calls: EventStream) -> ReceiveNewSession | None:
    async for event in calls:
        if isinstance(event, ReceiveNewSession):
            return event
    return None


async def _take(
    me: Connection,
    session: P2PSession,
    options: AnswerOptions,
    number: int,
    interrupted: asyncio.Event,
    display: Display,
) -> CallSummary:
    """Answer or decline a call and follow it to its end."""
    members = await me.users.get_all_by_ids(session.members_ids)
    names = {person.id: person.login or person.name for person in members}
    caller = names.get(session.caller_id, str(session.caller_id))
    display.say(f"{caller} calls")
    record = options.record
    if record is not None and number > 1:
        record = record.with_stem(f"{record.stem}-{number}")
    monitor = CallMonitor(session, names, record=record, changed=display.update)
    send = options.send or TEST
    with ExitStack() as streams, display.call(monitor.summary):
        with suppress(InvalidStateError):  # the caller has given up already
            if options.reject:
                await session.reject()
                monitor.declined()
            else:
                if not options.echo:
                    local = open_local_stream(send, session.call_type, loop=True)
                    streams.callback(local.close)
                    await prepare(session, local, options.devices)
                await session.accept_call()
                monitor.answered()
        await monitor.follow(interrupted.wait(), _echo(session, options, streams))
    display.summary(monitor.summary)
    return monitor.summary


async def _echo(session: P2PSession, options: AnswerOptions, streams: ExitStack) -> None:
    """With ``--echo``, send the first stream that comes in back to everybody. Never ends."""
    if options.echo:
        with suppress(InvalidStateError):  # the call ended before
            event = await session.wait_for(RemoteStreamReceived)
            echo = LocalStream.echo(event.stream)
            streams.callback(echo.close)
            await session.replace_media_stream(echo)
    await asyncio.Event().wait()
