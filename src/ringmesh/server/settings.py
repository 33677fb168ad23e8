"""The server's settings: defaults, then a TOML file, then the environment, then arguments.

Durations are in seconds and sizes in bytes, as the names say. `docs/configuration.md` explains
every field; a test keeps the two in step.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ringmesh.errors import ConfigurationError

CONFIG_FILE_NAME = "ringmesh.toml"

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_ICE_URL = re.compile(r"(stuns?|turns?):[^\s]+")


class LogFormat(StrEnum):
    """How log lines are written to standard error."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _check_chat_domain(domain: str) -> str:
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise ValueError("must be a domain name in lower case")
    if "muc" in domain:
        raise ValueError("must not contain 'muc': client SDKs would take users for group chats")
    return domain


def _check_public_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must look like https://calls.example.org")
    return url.rstrip("/")


def _check_ice_url(url: str) -> str:
    if not _ICE_URL.fullmatch(url):
        raise ValueError("must begin with stun:, stuns:, turn: or turns:")
    return url


def _check_port_range(text: str) -> str:
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if match is None or not 1024 <= int(match[1]) < int(match[2]) <= 65_535:
        raise ValueError("must look like 49160-65535, within 1024-65535")
    return text


IceUrl = Annotated[str, AfterValidator(_check_ice_url)]
Seconds = Annotated[int, Field(ge=1, le=366 * 86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Port = Annotated[int, Field(ge=0, le=65535)]


class StaticIceServer(BaseModel):
    """One entry of `Settings.ice_servers`, in the terms of the W3C's ``RTCIceServer``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: Annotated[tuple[IceUrl, ...], Field(min_length=1)]
    username: str | None = None
    credential: SecretStr | None = None


class Settings(BaseSettings):
    """Everything that can be set. Frozen; made by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="RINGMESH_", frozen=True, extra="forbid", validate_default=True
    )

    # Listening
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: Annotated[str | None, AfterValidator(_check_public_url)] = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    max_body_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = 65_536
    shutdown_timeout_seconds: Seconds = 10

    # Chat
    chat_domain: Annotated[str, AfterValidator(_check_chat_domain)] = "chat.localhost"
    xmpp_port: Port | None = None
    xmpps_port: Port | None = None
    wss_port: Port | None = None
    chat_tls_certificate: Path | None = None
    chat_tls_key: Path | None = None
    chat_self_signed: bool = False
    scram: bool = False

    # Accounts
    publish_application: bool = True
    require_signature: bool = False
    allow_registration: bool = True
    create_users_at_login: bool = True
    allow_guests: bool = True
    session_lifetime_seconds: Seconds = 7_200
    guest_lifetime_seconds: Seconds = 86_400
    failed_logins_per_account: Count = 10
    failed_logins_per_address: Count = 50
    failed_login_window_seconds: Seconds = 300
    new_accounts_per_address: Count = 1_000

    # ICE
    ice_servers: tuple[StaticIceServer, ...] = ()
    turn_urls: tuple[IceUrl, ...] = ()
    turn_secret: SecretStr | None = None
    turn_credential_lifetime_seconds: Annotated[int, Field(ge=900, le=366 * 86_400)] = 43_200

    # The managed relay
    turn_managed: bool = False
    turn_listen: tuple[IPv4Address | IPv6Address, ...] = ()
    turn_external_address: IPv4Address | IPv6Address | None = None
    turn_port: Port = 3478
    turn_extra_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    turn_relay_ports: Annotated[str, AfterValidator(_check_port_range)] = "49160-65535"
    turn_allocations: Count = 2_000
    turn_allocations_per_user: Count = 60
    turn_max_kbps: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    turn_allowed_peers: tuple[IPv4Network | IPv6Network, ...] = ()

    # Push
    ring_by_push: bool = True
    ring_seconds: Annotated[int, Field(ge=5, le=600)] = 60
    push_events_per_minute: Count = 600

    # Operation
    log_format: LogFormat = LogFormat.CONSOLE
    log_level: LogLevel = LogLevel.INFO
    metrics_public: bool = False

    @model_validator(mode="after")
    def _check_pairs(self) -> Settings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key must be set together")
        if (self.chat_tls_certificate is None) != (self.chat_tls_key is None):
            raise ValueError("chat_tls_certificate and chat_tls_key must be set together")
        if self.chat_self_signed and self.chat_tls_certificate is not None:
            raise ValueError("chat_self_signed makes a certificate: leave chat_tls_certificate out")
        if bool(self.turn_urls) != (self.turn_secret is not None):
            raise ValueError("turn_urls and turn_secret must be set together")
        if self.turn_managed and self.turn_urls:
            raise ValueError("turn_managed runs a relay of its own: leave turn_urls out")
        return self


def load_settings(config_file: Path | None = None, **arguments: Any) -> Settings:
    """Read the settings.

    Args:
        config_file: TOML file; None reads only the environment.
        arguments: override the environment; those that are None are left out.

    Raises:
        ConfigurationError: the file cannot be read or a value is not valid; names the setting.
    """

    class Loader(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            if config_file is None:
                return init_settings, env_settings
            return init_settings, env_settings, TomlConfigSettingsSource(cls, config_file)

    if config_file is not None and not config_file.is_file():
        raise ConfigurationError(f"there is no configuration file {config_file}")
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return Loader(**given)
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from None
    except (SettingsError, ValueError, OSError) as error:
        raise ConfigurationError(f"the configuration cannot be read: {error}") from error


def _describe(error: ValidationError) -> str:
    """One line per wrong setting, without repeating values: they may be secrets."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or "settings"
        text = (
            "there is no such setting" if problem["type"] == "extra_forbidden" else problem["msg"]
        )
        lines.append(f"{name}: {text.removeprefix('Value error, ')}")
    return "\n".join(lines)
