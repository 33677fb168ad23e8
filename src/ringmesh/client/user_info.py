"""Application data that travels with a call signal."""

from __future__ import annotations

from collections.abc import Mapping

from ringmesh.errors import ConfigurationError, StanzaError
from ringmesh.protocol.element import Element, is_name, write
from ringmesh.signals import UserInfo


def check_user_info(user_info: UserInfo | None) -> dict[str, str | UserInfo | None]:
    """A copy that can be written.

    Raises `ConfigurationError` unless keys are XML names and values are text (or None, or again
    such mappings).
    """
    info = dict(user_info or {})
    for key, value in info.items():
        if not isinstance(key, str) or not is_name(key):
            raise ConfigurationError(f"user_info: {key!r} is not usable as an XML name")
        if isinstance(value, Mapping):
            check_user_info(value)
        elif value is not None and not (isinstance(value, str) and _writable(value)):
            raise ConfigurationError(f"user_info: {key} must be text that XML can hold")
    return info


def _writable(text: str) -> bool:
    try:
        write(Element("value", text=text))
    except StanzaError:
        return False
    return True


def announced_bandwidth(user_info: UserInfo) -> int:
    """The limit in kbit/s that the caller set for every participant, 0 for none."""
    text = user_info.get("maxBandwidth")
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 7:
        return min(int(text), 1_000_000)
    return 0
