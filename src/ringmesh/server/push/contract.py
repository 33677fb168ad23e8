"""What the outbox and the senders of the providers agree on. Pure values.

The outbox (`ringmesh.server.push.outbox`) keeps pushes, decides when to try and how often, and
notes what came of each. A `Sender` makes one attempt. `ringmesh.server.push.messages.translate`
says what a message looks like on a channel; the size limits of the channels are applied there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol


class Channel(StrEnum):
    """Ways to reach a device, by the names of the SDKs."""

    GCM = "gcm"
    APNS = "apns"
    APNS_VOIP = "apns_voip"
    WEB = "web"


class Platform(StrEnum):
    """What a device is."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class Environment(StrEnum):
    """Which of a provider's two worlds a token belongs to; only APNs has two."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Kind(StrEnum):
    """What a push does about a call: what the outbox has to know of its meaning."""

    START = "start"
    CANCEL = "cancel"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One device's way of being reached on one channel.

    Attributes:
        token: FCM registration token, APNs device token (hexadecimal digits, any case); empty for
            `Channel.WEB`.
        bundle_identifier: the app, without ``.voip``; None if the client did not say.
        web_endpoint: https URL (RFC 8030); was checked by `endpoints.check_endpoint`.
        web_auth: authentication secret, base64url without padding, 16 octets (RFC 8291).
        web_p256dh: public key, base64url without padding, 65 octets, uncompressed (RFC 8291).
    """

    id: int
    application_id: int
    user_id: int
    channel: Channel
    platform: Platform
    udid: str
    environment: Environment
    token: str = field(default="", repr=False)
    bundle_identifier: str | None = None
    web_endpoint: str | None = field(default=None, repr=False)
    web_auth: str | None = field(default=None, repr=False)
    web_p256dh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said, before it is put into a channel's form.

    Attributes:
        values: JSON values by name. With `formed_for` None these are the universal names, such as
            ``message``, ``ios_badge``, ``session_id``. Otherwise the channel's own: for APNs the
            whole payload with ``aps``, for FCM the members of ``data`` (text).
        formed_for: the channel whose form the values have already (``push_type`` of an event).
        translations: by channel, what `messages.translate` made: one for all pushes of an event.
    """

    values: Mapping[str, Any]
    formed_for: Channel | None = None
    translations: dict[Channel, Any] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One notification for one subscription.

    Attributes:
        id: number in the outbox.
        expires_at: seconds since 1970; nothing is sent from this time on. Becomes the provider's
            expiration or TTL.
        tag: the call's session id, or None. Pushes of one tag replace each other where the
            provider can do that (``apns-collapse-id``, ``collapse_key``, ``Topic``).
    """

    id: int
    subscription: Subscription
    message: Message = field(repr=False)
    expires_at: int
    kind: Kind = Kind.OTHER
    tag: str | None = None


class Status(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD_TOKEN = "dead_token"
    REJECTED = "rejected"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        reason: the provider's word for it, for the log: short, without tokens.
        retry_after: with `Status.RETRY`, seconds that the provider asked for; None leaves it to the
            outbox.
    """

    status: Status
    reason: str = ""
    retry_after: float | None = None


DELIVERED = Outcome(Status.DELIVERED)


class Sender(Protocol):
    """Sends to one provider with the keys of one application. Keeps its connections."""

    async def send(self, push: Push) -> Outcome:
        """Make one attempt, in bounded time (10 s); whatever goes wrong becomes an outcome.

        Called many times at once. May be cancelled: then nobody knows whether it was sent.
        """

    async def check(self) -> str | None:
        """Ask the provider whether the keys are right; what is wrong, or None."""

    async def close(self) -> None:
        """Close the connections."""


# --- keys: `push.toml` in the data folder, per application


@dataclass(frozen=True, slots=True, kw_only=True)
class ApnsKeys:
    """Token authentication for APNs.

    Attributes:
        private_key: PEM of the ``.p8`` file.
        bundle_identifier: topic for subscriptions that name none.
        url, sandbox_url: None: Apple's. For tests.
        ca_file: certificates to trust instead of the system's. For tests.
    """

    private_key: str = field(repr=False)
    key_id: str
    team_id: str
    bundle_identifier: str | None = None
    url: str | None = None
    sandbox_url: str | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FcmKeys:
    """A Google service account.

    Attributes:
        service_account: its JSON file, read: ``project_id``, ``client_email``, ``private_key``,
            ``token_uri`` and more.
        url: None: ``https://fcm.googleapis.com``. For tests.
    """

    service_account: Mapping[str, Any] = field(repr=False)
    url: str | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebKeys:
    """The server's identity towards push services of browsers (VAPID, RFC 8292).

    Attributes:
        private_key: PEM, P-256.
        subject: ``mailto:`` or ``https:`` address of who is responsible; None leaves it out.
        allowed_hosts: hosts and ``host:port`` that may be reached although they are private.
    """

    private_key: str = field(repr=False)
    subject: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKeys:
    """All keys of one application; None where a provider is not configured.

    A module of each provider has a class whose constructor takes its keys alone:
    ``apns.ApnsSender(ApnsKeys)``, ``fcm.FcmSender(FcmKeys)``, ``web.WebSender(WebKeys)``.
    """

    apns: ApnsKeys | None = None
    fcm: FcmKeys | None = None
    web: WebKeys | None = None
