"""Settings: where they come from, what is refused, and that they are documented."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ringmesh.errors import ConfigurationError
from ringmesh.server.settings import Settings, load_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def documented() -> dict[str, str]:
    """Defaults by setting, from the tables of docs/configuration.md."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", DOCUMENT.read_text(), re.M)
    return dict(rows)


def in_words(value: Any) -> str:
    """A default as the document has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{[] if value == () else value}`"


def test_every_setting_is_documented() -> None:
    """The document has each setting with its default, and no other."""
    defaults = {name: in_words(field.default) for name, field in Settings.model_fields.items()}
    assert documented() == defaults


def test_documented_example_is_valid(tmp_path: Path) -> None:
    """The document's TOML file can be used as it stands."""
    match = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.S)
    assert match is not None
    file = tmp_path / "ringmesh.toml"
    file.write_text(match[1])
    settings = load_settings(file)
    assert settings.host == tomllib.loads(match[1])["host"]
    assert settings.ice_servers[0].urls == ("stun:turn.example.org:3478",)


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments go before the environment, that before the file, that before the defaults."""
    file = tmp_path / "ringmesh.toml"
    file.write_text('port = 1\nhost = "::1"\nmetrics_public = true\n')
    monkeypatch.setenv("RINGMESH_PORT", "2")
    monkeypatch.setenv("RINGMESH_HOST", "0.0.0.0")
    monkeypatch.setenv("RINGMESH_TURN_URLS", '["turn:a"]')
    monkeypatch.setenv("RINGMESH_TURN_SECRET", "s")
    settings = load_settings(file, port=3, host=None)
    assert (settings.port, settings.host) == (3, "0.0.0.0")
    assert settings.metrics_public is True
    assert settings.turn_urls == ("turn:a",)
    assert settings.session_lifetime_seconds == 7_200


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("prot = 1", "prot"),
        ("port = 70000", "port"),
        ('port = "many"', "port"),
        ('chat_domain = "muc.example.org"', "chat_domain"),
        ('chat_domain = "Example.org"', "chat_domain"),
        ('chat_domain = "a b"', "chat_domain"),
        ('public_url = "calls.example.org"', "public_url"),
        ('turn_urls = ["turn:a"]', "turn_urls"),
        ('turn_secret = "s"', "turn_secret"),
        ('tls_key = "k.pem"', "tls_key"),
        ('trusted_proxies = ["proxy"]', "trusted_proxies"),
        ("session_lifetime_seconds = 0", "session_lifetime_seconds"),
        ('log_level = "loud"', "log_level"),
        ('[[ice_servers]]\nurls = ["http://a"]', "ice_servers.0.urls"),
        ("[[ice_servers]]\nurls = []", "ice_servers.0.urls"),
        ('[[ice_servers]]\nurls = ["stun:a"]\nsecret = "x"', "ice_servers.0.secret"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, name: str) -> None:
    """A wrong setting is refused by its name."""
    file = tmp_path / "ringmesh.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(name)):
        load_settings(file)


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    """Neither an error nor the settings' own text shows a secret."""
    file = tmp_path / "ringmesh.toml"
    file.write_text('turn_secret = ["hunter2"]\nturn_urls = ["turn:a"]\n')
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(file)
    assert "hunter2" not in str(refusal.value)
    file.write_text('turn_secret = "hunter2"\nturn_urls = ["turn:a"]\n')
    assert "hunter2" not in repr(load_settings(file))


@pytest.mark.parametrize("content", [None, b"port = ", b"\xff\xfe"])
def test_unreadable_file(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing or not TOML is a configuration error."""
    file = tmp_path / "ringmesh.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError):
        load_settings(file)
