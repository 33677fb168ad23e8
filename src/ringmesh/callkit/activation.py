"""D-Bus activation of an application (Desktop Entry Specification, section D-Bus activation).

The agent asks for an application by its name; the bus starts it if it does not run, and delivers
what was asked when it is there. The application answers here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ringmesh.callkit.session_bus import SessionBus, object_path
from ringmesh.errors import InvalidStateError

if TYPE_CHECKING:
    from dbus_fast import Message

_logger = logging.getLogger(__name__)

INTERFACE = "org.freedesktop.Application"

ANSWER_ACTION = "ringmesh-answer-call"
"""The action by which the agent hands a call over; its parameter is the session id."""

START_TIMEOUT = 30.0
"""Seconds that an application may take to start."""


class Application:
    """This process as the application of that id.

    Attributes:
        on_answer: called with (session id) when the user accepted a call in the agent.
        on_activate: called when the application is to show itself.
    """

    def __init__(self, application: str, bus: SessionBus) -> None:
        self.on_answer: Callable[[str], None] | None = None
        self.on_activate: Callable[[], None] | None = None
        self._id = application
        self._bus = bus

    async def register(self) -> None:
        """Be found by the name. Raises `InvalidStateError` when the application runs already."""
        self._bus.serve(self._answer)
        if not await self._bus.own_name(self._id):
            raise InvalidStateError(f"{self._id} runs already in this session")

    def _answer(self, message: Message) -> Message | None:
        from dbus_fast import ErrorType, Message, MessageType

        if message.message_type is not MessageType.METHOD_CALL or message.interface != INTERFACE:
            return None
        if message.path != object_path(self._id):
            text = f"nothing is at {message.path}"
            return Message.new_error(message, ErrorType.UNKNOWN_OBJECT, text)
        if message.member == "ActivateAction" and message.signature == "sava{sv}":
            self._act(message.body[0], message.body[1])
        elif message.member in ("Activate", "Open"):
            if self.on_activate is not None:
                self.on_activate()
        else:
            return Message.new_error(message, ErrorType.UNKNOWN_METHOD, "unknown method")
        return Message.new_method_return(message)

    def _act(self, action: str, parameters: list[object]) -> None:
        session_id = getattr(parameters[0], "value", None) if parameters else None
        if action == ANSWER_ACTION and isinstance(session_id, str):
            if self.on_answer is not None:
                self.on_answer(session_id)
        else:
            _logger.info("unknown action ignored")


async def answer_in(bus: SessionBus, application: str, session_id: str) -> None:
    """Start the application, or find it running, and hand a call over to it.

    Raises `NotSupportedError` when it cannot be started.
    """
    from dbus_fast import Variant

    body = [ANSWER_ACTION, [Variant("s", session_id)], {}]
    await bus.call(
        application,
        object_path(application),
        INTERFACE,
        "ActivateAction",
        "sava{sv}",
        body,
        timeout=START_TIMEOUT,
    )
