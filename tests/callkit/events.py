"""One call, as a push tells it and as it is read."""

from __future__ import annotations

from ringmesh.callkit.call_event import CallEvent
from ringmesh.signals import CallType

PUSH = {
    "session_id": "1c7b2a5e-0d0f-4a43-8f2e-6d5a0c9b4e11",
    "call_type": 1,
    "caller_id": 4001,
    "caller_name": "Alice",
    "call_opponents": "4002,4003",
    "photo_url": "https://example.org/alice.png",
    "user_info": '{"topic": "lunch"}',
}
EVENT = CallEvent(
    session_id="1c7b2a5e-0d0f-4a43-8f2e-6d5a0c9b4e11",
    call_type=CallType.VIDEO_CALL,
    caller_id=4001,
    caller_name="Alice",
    opponents_ids=(4002, 4003),
    call_photo="https://example.org/alice.png",
    user_info={"topic": "lunch"},
)
