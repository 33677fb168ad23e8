"""Application data that travels with a call signal."""

from __future__ import annotations

from collections.abc import Mapping

from ringmesh.errors import ConfigurationError, StanzaError
from ringmesh.protocol.element import Element, write
from ringmesh.signals import UserInfo

MAX_LENGTH = 8000
"""Characters that all of it may have, written as XML."""


def check_user_info(user_info: UserInfo | None) -> dict[str, str | UserInfo | None]:
    """A copy that can be written.

    Raises `ConfigurationError` unless keys are XML names and values are text (or None, or again
    such mappings), 8,000 characters in all.
    """
    info = dict(user_info or {})
    try:
        text = write(_element("userInfo", info))
    except StanzaError as error:
        raise ConfigurationError(f"user_info: {error}") from error
    if len(text) > MAX_LENGTH:
        raise ConfigurationError(f"user_info has more than {MAX_LENGTH} characters")
    return info


def _element(name: str, value: object) -> Element:
    if not isinstance(name, str):
        raise ConfigurationError(f"user_info: {name!r} is no text")
    if isinstance(value, Mapping):
        return Element(name, children=[_element(key, inner) for key, inner in value.items()])
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"user_info: {name} must be text, not {value!r}")
    return Element(name, text=value or "")


def announced_bandwidth(user_info: UserInfo) -> int:
    """The limit in kbit/s that the caller set for every participant, 0 for none."""
    text = user_info.get("maxBandwidth")
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 7:
        return min(int(text), 1_000_000)
    return 0
