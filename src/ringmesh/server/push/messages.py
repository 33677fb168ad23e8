"""What is to be said, in the form of each channel. Pure.

An event's ``message`` is base64 of a JSON object with universal names, which one table (`_TABLE`)
puts into every channel's form. With ``push_type`` it may be in that channel's form already:
``payload=BASE64`` for APNs, ``data.name=BASE64&…`` for FCM.

Nothing is shortened: a message that is too large for a channel on which it would go is refused.

================  ===========  ====================================================================
channel           most octets  of what
================  ===========  ====================================================================
``apns``          4096         the JSON payload
``apns_voip``     5120         the JSON payload
``gcm``           4096         the members of the FCM message, as JSON, without the token
``web``           3993         the JSON text: with 103 octets of encryption it fills the 4096 that
                               every push service takes (RFC 8030 section 7.2, RFC 8291 section 4)
================  ===========  ====================================================================
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from ringmesh.errors import RequestError
from ringmesh.server.push.contract import Channel, Message, Subscription

LIMITS = {Channel.APNS: 4096, Channel.APNS_VOIP: 5120, Channel.GCM: 4096, Channel.WEB: 3993}

_APNS = (Channel.APNS, Channel.APNS_VOIP)
_END_SIGNALS = ("endCall", "rejectCall")
_FCM_RESERVED = re.compile(r"(from|message_type|collapse_key)$|google|gcm\.", re.IGNORECASE)
_LOC_DATA = {
    "title_loc_key": "title-loc-key",
    "title_loc_args": "title-loc-args",
    "body_loc_key": "loc-key",
    "body_loc_args": "loc-args",
}
_NOTIFICATION = frozenset({"title", "body", "image"})
# https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages#AndroidNotification
_ANDROID_TEXTS = frozenset(
    {"icon", "color", "sound", "tag", "click_action", "channel_id", "ticker"}
    | {"title_loc_key", "body_loc_key"}
)
_ANDROID_LISTS = frozenset({"title_loc_args", "body_loc_args"})


# ---- reading an event's message ----------------------------------------------------------------


def read_message(text: str, push_type: Channel | None = None) -> Message:
    """An event's ``message``.

    Args:
        push_type: the only channel it is for. Then `text` may be in that channel's form; if it is
            not, it is read as a universal message.

    Raises:
        RequestError: 422, says what is wrong with it.
    """
    if push_type in _APNS and text.startswith("payload="):
        return Message(_object(_decode(text.removeprefix("payload="), "payload")), push_type)
    if push_type is Channel.GCM and text.startswith("data."):
        return Message(_fcm_data(text), push_type)
    return Message(_object(_decode(text, "the message")))


def expiration_of(message: Message) -> int | None:
    """When the message loses its sense, in seconds since 1970; 0: at once, so that it is tried only
    while the device can be reached; None: it does not say.

    Raises:
        RequestError: 422, the value is not such a number.
    """
    if message.formed_for is not None or message.values.get("expiration") is None:
        return None
    return _integer("expiration", message.values["expiration"])


def is_voip(message: Message) -> bool:
    """Whether iPhones should ring for it through CallKit (``ios_voip``)."""
    return message.formed_for is None and _flag("ios_voip", message.values.get("ios_voip", 0)) == 1


def choose(message: Message, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    """To which of some users' subscriptions a message goes.

    A VoIP push must make an iPhone ring, or the system stops the app: so only messages with
    ``ios_voip`` go to ``apns_voip``, never the end of a call, and a user who has such a
    subscription gets nothing on ``apns``. Everybody else gets an ordinary alert there.
    """
    found = list(subscriptions)
    if message.formed_for is not None:
        return [one for one in found if one.channel is message.formed_for]
    ringing = is_voip(message) and message.values.get("signal_type") not in _END_SIGNALS
    if not ringing:
        return [one for one in found if one.channel is not Channel.APNS_VOIP]
    voip = {one.user_id for one in found if one.channel is Channel.APNS_VOIP}
    return [one for one in found if one.channel is not Channel.APNS or one.user_id not in voip]


# ---- writing a channel's form ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Translated:
    """A message in a channel's form.

    Attributes:
        content: APNs: the payload. FCM: members of the message besides ``token``. Web: what the
            service worker reads, ``{"data": {…}}``.
        push_type: APNs' ``apns-push-type``; empty on other channels.
    """

    content: Mapping[str, Any]
    push_type: str = ""

    def encode(self) -> bytes:
        """The content as JSON."""
        return _encode(self.content)


def translate(message: Message, channel: Channel) -> Translated:
    """Put a message into a channel's form, once.

    Raises:
        RequestError: 422, it cannot be sent there: too large, a value of the wrong kind, a name
            that the channel keeps for itself, or the end of a call as a VoIP push.
    """
    known: Translated | None = message.translations.get(channel)
    if known is None:
        known = message.translations[channel] = _translate(message, channel)
    return known


def _translate(message: Message, channel: Channel) -> Translated:
    if message.formed_for is not None:
        if message.formed_for is not channel:
            _refuse(f"has the form of {message.formed_for}, not of {channel}")
        content = _formed(message.values, channel)
    else:
        content = _universal(message.values, channel)
    translated = Translated(content, _push_type(message, content, channel))
    if channel is Channel.APNS_VOIP and content.get("signal_type") in _END_SIGNALS:
        _refuse("must not end a call by a VoIP push: iOS stops apps that do not ring for one")
    size = len(translated.encode())
    if size > LIMITS[channel]:
        _refuse(f"is too large for {channel}: {size} octets, at most {LIMITS[channel]}")
    return translated


def formed_text(message: Message, channel: Channel) -> str:
    """The message as answers to events show it: the inverse of `read_message` for this channel."""
    content = translate(message, channel).content
    if channel in _APNS:
        return f"payload={_base64(_encode(content))}"
    if channel is Channel.GCM:
        data: Mapping[str, str] = content.get("data", {})
        return "&".join(f"data.{k}={_base64(quote(v, safe='').encode())}" for k, v in data.items())
    return _base64(_encode(content["data"]))


Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """Where a name goes on each channel, None: it is dropped; `take` checks and converts."""

    apns: Path | None = None
    fcm: Path | None = None
    web: Path | None = None
    take: Callable[[str, Any], Any] = lambda _name, value: value


def _integer(name: str, value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 10**15:
        _refuse(f"{name} must be an integer")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        _refuse(f"{name} must be text")
    return value


def _flag(name: str, value: Any) -> int:
    if value not in (True, 1, "1", "true", False, 0, "0", "false", "", None):
        _refuse(f"{name} must be 1 or 0")
    return int(value in (True, 1, "1", "true"))


def _loc_data(name: str, value: Any) -> dict[str, Any]:
    members = _members(name, value)
    return {theirs: members[ours] for ours, theirs in _LOC_DATA.items() if ours in members}


def _notification(name: str, value: Any) -> dict[str, Any]:
    shared: dict[str, str] = {}
    android: dict[str, Any] = {}
    for key, member in _members(name, value).items():
        field = key.removeprefix("android_")
        if field in _NOTIFICATION:
            shared[field] = _as_text(member)
        elif field in _ANDROID_TEXTS:
            android[field] = _as_text(member)
        elif field in _ANDROID_LISTS and isinstance(member, list):
            android[field] = [_as_text(one) for one in member]
        else:
            _refuse(f"{name} has a member that FCM does not know: {key[:40]}")
    return ({"notification": shared} if shared else {}) | (
        {"android": {"notification": android}} if android else {}
    )


def _members(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(f"{name} must be an object")
    return value


_TABLE = {
    "message": _Row(("aps", "alert", "body"), ("data", "message"), ("data", "message"), _text),
    "ios_badge": _Row(apns=("aps", "badge"), take=_integer),
    "ios_sound": _Row(apns=("aps", "sound")),
    "ios_category": _Row(apns=("aps", "category"), take=_text),
    "ios_thread_id": _Row(apns=("aps", "thread-id"), take=_text),
    "ios_content_available": _Row(apns=("aps", "content-available"), take=_flag),
    "ios_mutable_content": _Row(apns=("aps", "mutable-content"), take=_flag),
    "ios_loc_data": _Row(apns=("aps", "alert"), take=_loc_data),
    "ios_voip": _Row(take=_flag),  # `choose`
    "ios_push_type": _Row(take=_text),  # `_push_type`
    # Also APNs' header and every channel's time to live. The service worker needs it to tell a
    # ring from one that came too late.
    "expiration": _Row(web=("data", "expiration"), take=_integer),
    "android_fcm_notification": _Row(fcm=(), take=_notification),
}


def _row(name: str) -> _Row:
    return _TABLE.get(name) or _Row((name,), ("data", name), ("data", name))


def _universal(values: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    content: dict[str, Any] = {"data": {}} if channel is Channel.WEB else {}
    for name, value in values.items():
        row = _row(name)
        path = {Channel.GCM: row.fcm, Channel.WEB: row.web}.get(channel, row.apns)
        taken = row.take(name, value)  # also where it is dropped: one message, one verdict
        if path is not None:
            _put(content, path, _fit(path, taken, channel))
    if channel in _APNS:
        content.setdefault("aps", {})
    return content


def _fit(path: Path, value: Any, channel: Channel) -> Any:
    if channel in _APNS and path == ("aps",):
        _refuse("has a member aps, which is APNs' own: use the names that begin with ios_")
    if channel is Channel.GCM and path[:1] == ("data",):
        if _FCM_RESERVED.match(path[1]):
            _refuse(f"has a member that FCM keeps for itself: {path[1][:40]}")
        return _as_text(value)
    return value


def _put(content: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1] if not isinstance(value, dict) else path:
        content = content.setdefault(key, {})
    if isinstance(value, dict):
        content.update(value)
    else:
        content[path[-1]] = value


def _formed(values: Mapping[str, Any], channel: Channel) -> Mapping[str, Any]:
    if channel is not Channel.GCM:
        return values
    return {"data": {name: _fit(("data", name), value, channel) for name, value in values.items()}}


def _push_type(message: Message, content: Mapping[str, Any], channel: Channel) -> str:
    """A ``voip`` that is asked for on the ordinary channel is not meant for it."""
    if channel is Channel.APNS_VOIP:
        return "voip"
    if channel is not Channel.APNS:
        return ""
    wanted = message.values.get("ios_push_type") if message.formed_for is None else None
    if wanted in ("alert", "background"):
        return str(wanted)
    aps = content.get("aps")
    silent = isinstance(aps, Mapping) and set(aps) <= {"content-available"} and bool(aps)
    return "background" if silent else "alert"


# ---- text --------------------------------------------------------------------------------------


def _refuse(text: str) -> NoReturn:
    raise RequestError(422, {"message": [text]})


def _encode(content: Any) -> bytes:
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (ValueError, RecursionError):
        _refuse("holds text that is not Unicode, or numbers that are not finite")


def _as_text(value: Any) -> str:
    """Text as it is, anything else as JSON text."""
    return value if isinstance(value, str) else _encode(value).decode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str, what: str) -> str:
    """Base64 in either alphabet, with or without padding and line breaks."""
    compact = re.sub(r"\s", "", unquote(text)).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        padded = compact + "=" * (-len(compact) % 4)
        return base64.b64decode(padded, validate=True).decode()
    except UnicodeDecodeError:
        _refuse(f"{what} is base64, but not of UTF-8 text")
    except ValueError:
        _refuse(f"{what} is not base64")


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        _refuse("is not base64 of a JSON object")
    return value


def _fcm_data(text: str) -> dict[str, str]:
    data = {}
    for part in text.split("&"):
        name, mark, value = part.partition("=")
        if not name.startswith("data.") or len(name) == len("data.") or not mark:
            _refuse("must look like data.name=BASE64&data.name2=BASE64")
        key = unquote(name.removeprefix("data."))
        data[key] = unquote(_decode(value, f"data.{key[:40]}"))
    return data
