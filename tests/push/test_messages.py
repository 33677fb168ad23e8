"""The universal message on every channel, messages in a channel's form, and bad ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import RequestError
from ringmesh.server.push.contract import Channel, Message
from ringmesh.server.push.messages import (
    LIMITS,
    choose,
    expiration_of,
    formed_text,
    is_voip,
    read_message,
    translate,
)
from tests.push.values import CALL, SESSION, subscription

APNS, VOIP, GCM, WEB = Channel.APNS, Channel.APNS_VOIP, Channel.GCM, Channel.WEB


def b64(value: object) -> str:
    """Base64 of text, or of JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.b64encode(text.encode()).decode()


def on(channel: Channel, **values: Any) -> Any:
    """A universal message on a channel."""
    return translate(Message(values), channel).content


def test_a_call_on_every_channel() -> None:
    """Numbers stay numbers for APNs and become text for FCM; `ios_voip` is only for routing."""
    call = {name: value for name, value in CALL.items() if name not in ("message", "ios_voip")}
    alert = {"aps": {"alert": {"body": "Incoming Video call"}}}
    assert on(APNS, **CALL) == on(VOIP, **CALL) == alert | call
    data = {name: str(value) for name, value in call.items()} | {"message": "Incoming Video call"}
    assert on(GCM, **CALL) == {"data": data}
    assert on(WEB, **CALL) == {"data": call | {"message": "Incoming Video call"}}


def test_the_names_of_ios() -> None:
    """Each goes to its place in `aps`, and nowhere else."""
    values = {
        "message": "Hello",
        "ios_badge": "3",
        "ios_sound": "ring.caf",
        "ios_category": "CALL",
        "ios_thread_id": "t",
        "ios_content_available": 1,
        "ios_mutable_content": "1",
        "ios_loc_data": {
            "title_loc_key": "T",
            "title_loc_args": ["a"],
            "body_loc_key": "B",
            "body_loc_args": ["b"],
            "other": 1,
        },
        "ios_push_type": "alert",
    }
    assert on(APNS, **values)["aps"] == {
        "alert": {
            "body": "Hello",
            "title-loc-key": "T",
            "title-loc-args": ["a"],
            "loc-key": "B",
            "loc-args": ["b"],
        },
        "badge": 3,
        "sound": "ring.caf",
        "category": "CALL",
        "thread-id": "t",
        "content-available": 1,
        "mutable-content": 1,
    }
    assert on(GCM, **values) == on(WEB, **values) == {"data": {"message": "Hello"}}


def test_fcm_values_are_text() -> None:
    """Objects, lists, booleans and null become JSON text."""
    found = on(GCM, a={"b": 1}, c=[1, "x"], d=True, e=None, f=1.5, g="é")
    assert found["data"] == {
        "a": '{"b":1}',
        "c": '[1,"x"]',
        "d": "true",
        "e": "null",
        "f": "1.5",
        "g": "é",
    }
    assert on(APNS, a={"b": 1}, d=True)["a"] == {"b": 1}


def test_android_notifications() -> None:
    """What every platform shows, and what only Android knows, in FCM's two places."""
    given = {"title": "T", "body": "B", "android_channel_id": "calls", "title_loc_args": [1]}
    assert on(GCM, message="M", android_fcm_notification=given) == {
        "data": {"message": "M"},
        "notification": {"title": "T", "body": "B"},
        "android": {"notification": {"channel_id": "calls", "title_loc_args": ["1"]}},
    }
    assert "android_fcm_notification" not in on(APNS, android_fcm_notification=given)


def test_expiration() -> None:
    """It is every channel's time to live; the service worker gets it as well."""
    message = Message({"expiration": "1795328702"})
    assert expiration_of(message) == 1795328702
    assert expiration_of(Message({})) is None
    assert expiration_of(Message({"expiration": 0})) == 0
    assert on(WEB, expiration=5) == {"data": {"expiration": 5}}
    assert on(GCM, expiration=5) == {}
    assert on(APNS, expiration=5) == {"aps": {}}


@pytest.mark.parametrize(
    ("values", "push_type"),
    [
        ({"message": "x"}, "alert"),
        ({"ios_content_available": 1, "x": 1}, "background"),
        ({"ios_content_available": 1, "message": "x"}, "alert"),
        ({"message": "x", "ios_push_type": "background"}, "background"),
        ({"message": "x", "ios_push_type": "voip"}, "alert"),
        ({"x": 1}, "alert"),
    ],
)
def test_the_push_type_of_apns(values: dict[str, Any], push_type: str) -> None:
    """Asked for, or from what the payload holds; `voip` only on its own channel."""
    assert translate(Message(values), APNS).push_type == push_type
    assert translate(Message(values), VOIP).push_type == "voip"


def test_voip_goes_to_whoever_has_it() -> None:
    """A user with VoIP subscriptions gets only those of the two, another an alert."""
    subscriptions = [
        subscription(APNS, user_id=1),
        subscription(VOIP, user_id=1),
        subscription(GCM, user_id=1),
        subscription(APNS, user_id=2),
        subscription(WEB, user_id=2),
    ]

    def chosen(values: dict[str, Any]) -> list[tuple[int, Channel]]:
        return [(one.user_id, one.channel) for one in choose(Message(values), subscriptions)]

    assert chosen(CALL) == [(1, VOIP), (1, GCM), (2, APNS), (2, WEB)]
    ordinary = [(1, APNS), (1, GCM), (2, APNS), (2, WEB)]
    assert chosen({"message": "x"}) == ordinary
    assert chosen(CALL | {"signal_type": "endCall"}) == ordinary
    formed = Message({"aps": {}}, VOIP)
    assert [one.user_id for one in choose(formed, subscriptions)] == [1]
    assert is_voip(Message({"ios_voip": "1"}))
    assert not is_voip(Message({"ios_voip": 0}))


@pytest.mark.parametrize("signal", ["endCall", "rejectCall"])
def test_no_voip_push_ends_a_call(signal: str) -> None:
    """However it is asked for, it is refused."""
    for message in (
        Message(CALL | {"signal_type": signal}),
        Message({"aps": {}, "signal_type": signal}, VOIP),
    ):
        with pytest.raises(RequestError, match="must not end a call by a VoIP push"):
            translate(message, VOIP)


# Reading


def test_a_universal_message() -> None:
    """Base64 of JSON in either alphabet, with line breaks or without padding."""
    values = {"message": "ÿÿÿ???", "n": 1}
    text = b64(values)
    for variant in (
        text,
        text.rstrip("="),
        text.replace("+", "-").replace("/", "_"),
        "\n".join(text[i : i + 10] for i in range(0, len(text), 10)),
        quote(text, safe=""),
    ):
        assert read_message(variant) == Message(values)
    assert read_message(text, GCM) == Message(values)


def test_messages_in_a_channels_form() -> None:
    """`payload=` for APNs, `data.name=` for FCM, whose values are percent-encoded inside."""
    payload = {"aps": {"alert": "x"}, "n": 1}
    assert read_message(f"payload={b64(payload)}", APNS) == Message(payload, APNS)
    assert read_message(f"payload={b64(payload)}", VOIP) == Message(payload, VOIP)
    text = f"data.message={b64(quote('Hällo & mehr'))}&data.n={b64('1')}"
    assert read_message(text, GCM) == Message({"message": "Hällo & mehr", "n": "1"}, GCM)
    assert translate(read_message(text, GCM), GCM).content == {
        "data": {"message": "Hällo & mehr", "n": "1"}
    }


@pytest.mark.parametrize("channel", [APNS, VOIP, GCM])
def test_answers_show_what_can_be_read_again(channel: Channel) -> None:
    """The text for an event's answer leads back to the same content."""
    message = Message(CALL | {"message": "é & =", "user_info": {"a": "b"}})
    again = read_message(formed_text(message, channel), channel)
    assert again.formed_for is channel
    assert translate(again, channel).content == translate(message, channel).content
    assert read_message(formed_text(message, WEB)).values == on(WEB, **message.values)["data"]


@pytest.mark.parametrize(
    ("text", "push_type", "words"),
    [
        ("", None, "not base64 of a JSON object"),
        ("%%%", None, "not base64"),
        ("abcde", None, "not base64"),
        ("é", None, "not base64"),
        (base64.b64encode(b"\xff\xfe").decode(), None, "not of UTF-8 text"),
        (b64("hello"), None, "not base64 of a JSON object"),
        (b64("[1]"), None, "not base64 of a JSON object"),
        (b64("[" * 30_000), None, "not base64 of a JSON object"),
        (b64("9" * 10_000), None, "not base64 of a JSON object"),
        ("payload=!!", APNS, "payload is not base64"),
        (f"payload={b64('1')}", VOIP, "not base64 of a JSON object"),
        ("data.a=!!", GCM, "data.a is not base64"),
        (f"data.a={b64('1')}&b={b64('2')}", GCM, "must look like"),
        (f"data.={b64('1')}", GCM, "must look like"),
        ("data.a", GCM, "must look like"),
    ],
)
def test_messages_that_are_none(text: str, push_type: Channel | None, words: str) -> None:
    """A 422 that says what is wrong."""
    with pytest.raises(RequestError, match=words) as raised:
        read_message(text, push_type)
    assert raised.value.status == 422


@pytest.mark.parametrize(
    ("values", "channel", "words"),
    [
        ({"message": 1}, WEB, "message must be text"),
        ({"ios_badge": "many"}, WEB, "ios_badge must be an integer"),
        ({"ios_badge": True}, WEB, "ios_badge must be an integer"),
        ({"ios_voip": "yes"}, GCM, "ios_voip must be 1 or 0"),
        ({"ios_voip": []}, GCM, "ios_voip must be 1 or 0"),
        ({"ios_loc_data": "x"}, GCM, "ios_loc_data must be an object"),
        ({"expiration": 1.5}, APNS, "expiration must be an integer"),
        ({"android_fcm_notification": {"colour": "x"}}, APNS, "that FCM does not know: colour"),
        ({"aps": {}}, APNS, "APNs' own"),
        ({"from": "x"}, GCM, "FCM keeps for itself: from"),
        ({"google.x": "x"}, GCM, "FCM keeps for itself"),
        ({"x": float("nan")}, WEB, "not finite"),
        ({"x": "\ud800"}, WEB, "not Unicode"),
    ],
)
def test_values_that_cannot_be_sent(values: dict[str, Any], channel: Channel, words: str) -> None:
    """A 422 that names the value."""
    with pytest.raises(RequestError, match=words):
        translate(Message(values), channel)


@pytest.mark.parametrize("channel", list(Channel))
def test_the_largest_message(channel: Channel) -> None:
    """As large as the channel takes goes; one octet more is refused with both sizes."""
    frame = len(translate(Message({"x": ""}), channel).encode())
    room = LIMITS[channel] - frame
    assert len(translate(Message({"x": "a" * room}), channel).encode()) == LIMITS[channel]
    words = f"{LIMITS[channel] + 1} octets, at most {LIMITS[channel]}"
    with pytest.raises(RequestError, match=words):
        translate(Message({"x": "a" * (room + 1)}), channel)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "message ios_badge ios_voip ios_loc_data expiration aps data android_fcm_notification "
    "ios_push_type ios_content_available signal_type"
)
names = st.text() | st.sampled_from(NAMES.split())


def refusal(action: Callable[[], object]) -> int | None:
    """The status with which something is refused; None if it is not."""
    try:
        action()
    except RequestError as error:
        return error.status
    return None


@given(st.dictionaries(names, json_values, max_size=6), st.sampled_from(Channel))
def test_any_object(values: dict[str, Any], channel: Channel) -> None:
    """Any JSON object is translated into JSON within the limit, or refused with a 422."""
    status = refusal(lambda: translate(Message(values), channel))
    assert status in (None, 422)
    if status == 422:
        return
    translated = translate(Message(values), channel)
    assert len(translated.encode()) <= LIMITS[channel]
    again = json.loads(translated.encode())
    if channel is GCM:
        assert all(isinstance(value, str) for value in again.get("data", {}).values())


@given(st.text(), st.none() | st.sampled_from(Channel))
def test_any_text(text: str, push_type: Channel | None) -> None:
    """Any text is read or refused with a 422."""
    for candidate in (text, f"payload={text}", f"data.{text}", f"data.a={text}", b64_any(text)):
        assert refusal(partial(read_message, candidate, push_type)) in (None, 422)


def b64_any(text: str) -> str:
    """Base64 of text that may not be Unicode."""
    return base64.b64encode(text.encode(errors="surrogatepass")).decode()


def test_a_session_id_is_kept() -> None:
    """The id arrives as it was sent, on every channel."""
    for channel in Channel:
        assert SESSION in translate(Message(CALL), channel).encode().decode()
