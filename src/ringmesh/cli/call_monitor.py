"""Follows one call: keeps its summary up to date and records what comes in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from ringmesh.cli.call_summary import CallSummary, Person, PersonState
from ringmesh.cli.running import first_of
from ringmesh.client import events
from ringmesh.client.events import Event
from ringmesh.client.session import P2PSession
from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.media.media_stream import Subscription
from ringmesh.media.recorder import Recorder
from ringmesh.media.streams import RemoteStream
from ringmesh.signals import CallType

_logger = logging.getLogger(__name__)

STATS_INTERVAL = 1000
"""Milliseconds between two looks at the statistics."""


class CallMonitor:
    """Keeps the summary of a call.

    Args:
        names: who the people are, by user id.
        record: file for what comes in; with several people each gets one, named after them.
        changed: called after each change of the summary.
    """

    def __init__(
        self,
        session: P2PSession,
        names: dict[int, str],
        *,
        record: Path | None,
        changed: Callable[[Person], None],
    ) -> None:
        self._session = session
        self._record = record
        self._changed = changed
        self._recorders: dict[int, Recorder] = {}
        self._first_media: dict[int, Subscription] = {}
        self._events = session.events()
        self.summary = CallSummary(
            session_id=session.session_id,
            call_type=session.call_type,
            incoming=session.caller_id != session.current_user_id,
            begun_at=self._now(),
            people={
                user_id: Person(user_id, names.get(user_id, str(user_id)))
                for user_id in session.members_ids
            },
        )

    async def follow(self, *ends: Awaitable[object]) -> None:
        """Until the call is over and the recordings are complete.

        Hangs up when one of `ends` is done.
        """
        await first_of(self._follow(), self._hang_up_after(*ends))

    async def _hang_up_after(self, *ends: Awaitable[object]) -> None:
        await first_of(*ends)
        await self._take_stats()
        await self._session.hang_up()
        await asyncio.Event().wait()

    async def _follow(self) -> None:
        watching = asyncio.create_task(self._watch_stats(), name="call statistics")
        try:
            async for event in self._events:
                await self._note(event)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._end()

    def answered(self) -> None:
        """We have answered: set-up is measured from here."""
        for person in self.summary.people.values():
            person.accepted_at = self._now()

    def declined(self) -> None:
        """We have declined."""
        for person in self.summary.people.values():
            person.end(PersonState.REJECTED, self._now())

    async def _take_stats(self) -> None:
        """Look at the statistics of everybody connected, once more."""
        for person in self.summary.people.values():
            if person.connected_at is None or person.ended_at is not None:
                continue
            try:
                person.take_stats(await self._session.get_stats(person.user_id))
            except (InvalidStateError, MediaError) as error:
                _logger.debug("no statistics: %s", error)
            else:
                self._changed(person)

    async def _watch_stats(self) -> None:
        async for report in self._session.stats_reports:
            person = self.summary.people[report.user_id]
            person.take_stats(report.stats)
            person.quality = self._session.quality(report.user_id)
            self._changed(person)

    async def _note(self, event: Event) -> None:
        if isinstance(event, events.RemoteStreamReceived):
            self._receive(self.summary.people[event.user_id], event.stream)
        elif isinstance(event, events.RemoteStreamRemoved):
            await self._stop_recording(self.summary.people[event.user_id])
        elif isinstance(event, events.UserEvent):
            person = self.summary.people[event.user_id]
            self._note_state(person, event)
            self._changed(person)

    def _note_state(self, person: Person, event: events.UserEvent) -> None:
        now = self._now()
        match event:
            case events.UserRinging():
                person.state = PersonState.RINGING
            case events.CallAcceptedByUser():
                person.accepted_at = now
                person.state = PersonState.ACCEPTED
            case events.ConnectingToUser():
                person.state = PersonState.CONNECTING
            case events.ConnectedToUser():
                person.connected_at = person.connected_at or now
                person.state = PersonState.CONNECTED
            case events.DisconnectedFromUser():
                person.state = PersonState.DISCONNECTED
            case events.RecordingChanged(recording=recording):
                person.records = recording
            case events.CallRejectedByUser(user_info=info):
                busy = info.get("busy") == "true"
                person.end(PersonState.BUSY if busy else PersonState.REJECTED, now)
            case events.UserNoAnswer():
                person.end(PersonState.NO_ANSWER, now)
            case events.ReceiveHungUpFromUser():
                person.end(PersonState.HUNG_UP, now)
            case events.ConnectionFailedWithUser():
                person.state = PersonState.FAILED
            case events.ConnectionClosedForUser():
                failed = person.state is PersonState.FAILED
                person.end(PersonState.FAILED if failed else PersonState.ENDED, now)

    def _receive(self, person: Person, stream: RemoteStream) -> None:
        def first(_: object) -> None:
            person.media_at = person.media_at or self._now()
            if person.user_id in self._first_media:
                self._first_media.pop(person.user_id).close()

        video = self.summary.call_type is CallType.VIDEO_CALL
        attach = stream.on_video_frame if video else stream.on_audio
        self._first_media[person.user_id] = attach(first)
        if self._record is None:
            return
        path = self._record
        if len(self.summary.people) > 1:
            path = path.with_stem(f"{path.stem}-{person.name}")
        person.recording_path = path
        try:
            self._recorders[person.user_id] = Recorder(stream, path)
            self._session.announce_recording(True)
        except MediaError as error:
            person.recording_error = str(error)

    async def _stop_recording(self, person: Person) -> None:
        recorder = self._recorders.pop(person.user_id, None)
        if recorder is None:
            return
        try:
            person.recording = await recorder.stop()
        except MediaError as error:
            person.recording_error = str(error)

    async def _end(self) -> None:
        for subscription in self._first_media.values():
            subscription.close()
        for person in self.summary.people.values():
            await self._stop_recording(person)
            if person.connected_at is not None:
                person.end(PersonState.ENDED, self._now())

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
