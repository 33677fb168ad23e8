"""What ``ringmesh call`` does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus

from ringmesh.cli.call_monitor import STATS_INTERVAL, CallMonitor
from ringmesh.cli.call_options import CallOptions
from ringmesh.cli.display import Display
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.running import on_interrupt
from ringmesh.cli.sending import open_local_stream, prepare
from ringmesh.client.config import RTCConfig
from ringmesh.client.connection import Connection, connect
from ringmesh.client.events import ConnectedToUser
from ringmesh.client.models import CubeUser
from ringmesh.client.report import check_report_path
from ringmesh.client.session import P2PSession
from ringmesh.errors import ConfigurationError, InvalidStateError, RequestError
from ringmesh.media.streams import LocalStream


async def make_call(
    options: CallOptions, server: str, login: str, password: str, display: Display
) -> ExitCode:
    """Sign in, call, talk, sum up."""
    if options.report is not None:  # better now than after the call
        check_report_path(options.report)
    rtc = RTCConfig(stats_reports_interval=STATS_INTERVAL)
    looping = options.duration is not None
    stream = open_local_stream(options.send, options.call_type, loop=looping)
    try:
        async with AsyncExitStack() as stack:
            with display.busy(f"Signing in at {server} as {login}"):
                me = await stack.enter_async_context(
                    connect(server, login=login, password=password, rtc=rtc)
                )
            people = [await find_user(me, name) for name in options.users]
            return await _talk(me, people, options, stream, display)
    finally:
        stream.close()


async def _talk(
    me: Connection,
    people: list[CubeUser],
    options: CallOptions,
    stream: LocalStream,
    display: Display,
) -> ExitCode:
    names = {person.id: person.login or person.name for person in people}
    session = me.calls.create_call_session(options.call_type, names)
    await prepare(session, stream, options.devices)
    if options.screen is not None:
        await session.start_screen_sharing(options.screen)
    recording = None if options.record_all is None else session.record(options.record_all)
    monitor = CallMonitor(session, names, record=options.record, changed=display.update)
    interrupted = asyncio.Event()
    with on_interrupt(interrupted.set), display.call(monitor.summary):
        display.say(f"Calling {', '.join(names.values())}; press Ctrl-C to hang up")
        await session.start_call()
        await monitor.follow(interrupted.wait(), _all_is_said(session, options, stream))
    if recording is not None:
        await recording.stop()
    display.summary(monitor.summary)
    if options.report is not None:
        session.report(names).write(options.report)
        display.say(f"The report is in {options.report}")
    return monitor.summary.exit_code(interrupted=interrupted.is_set())


async def _all_is_said(session: P2PSession, options: CallOptions, stream: LocalStream) -> None:
    """Wait until the call has lasted as long as was asked for; for ever if it did not begin."""
    try:
        await session.wait_for(ConnectedToUser)
    except InvalidStateError:
        await asyncio.Event().wait()
    if options.duration is not None:
        await asyncio.sleep(options.duration)
    else:
        await stream.wait_ended()


async def find_user(me: Connection, name: str) -> CubeUser:
    """The user with this login or, failing that, this id."""
    try:
        return await me.users.get_by_login(name)
    except RequestError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    if name.isascii() and name.isdecimal():
        with suppress(RequestError):
            return await me.users.get(int(name))
    raise ConfigurationError(f"there is no user {name!r}")
