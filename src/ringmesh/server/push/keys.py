"""The providers' keys: `push.toml` in the data folder, one table for each application and provider.

::

    [1.apns]
    key_file = "push/AuthKey_ABC123DEFG.p8"
    key_id = "ABC123DEFG"
    team_id = "DEF123GHIJ"

Files are named relative to the folder. ``ringmesh push configure`` writes both.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from cryptography.hazmat.primitives import serialization
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringmesh.errors import ConfigurationError
from ringmesh.server.push.contract import ApnsKeys, FcmKeys, ProviderKeys, WebKeys
from ringmesh.server.push.webpush import load_p256_key, new_vapid_key

KEYS_FILE_NAME = "push.toml"
KEYS_FOLDER_NAME = "push"

_OWN_KEY = "vapid.pem"
_Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
_Url = Annotated[str, Field(pattern=r"^https://[!-~]+$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApnsTable(_Table):
    """Token authentication of Apple's developer site."""

    key_file: Path
    key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")]
    team_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")]
    bundle_identifier: _Name | None = None
    url: _Url | None = None
    sandbox_url: _Url | None = None
    ca_file: Path | None = None


class FcmTable(_Table):
    """A service account of Google's."""

    service_account_file: Path
    url: _Url | None = None
    ca_file: Path | None = None


class WebTable(_Table):
    """The server's identity towards browsers' push services."""

    key_file: Path | None = None
    subject: Annotated[str, Field(pattern=r"^(mailto:|https://)[!-~]+$")] | None = None
    allowed_hosts: tuple[str, ...] = ()
    ca_file: Path | None = None


class _Tables(_Table):
    apns: ApnsTable | None = None
    fcm: FcmTable | None = None
    web: WebTable | None = None


def load_keys(data_dir: Path) -> dict[int, ProviderKeys]:
    """The keys of each application that has some. Blocks.

    Raises:
        ConfigurationError: the file or a key in it cannot be used; names the table and member.
    """
    return {
        application_id: ProviderKeys(
            apns=None if tables.apns is None else _apns(tables.apns, data_dir),
            fcm=None if tables.fcm is None else _fcm(tables.fcm, data_dir),
            web=None if tables.web is None else _web(tables.web, data_dir),
        )
        for application_id, tables in _read(data_dir).items()
    }


def own_web_keys(data_dir: Path, subject: str | None = None) -> WebKeys:
    """Keys for applications that have none for browsers: browsers need no registration. The key
    is made when it is first needed. Blocks."""
    path = data_dir / KEYS_FOLDER_NAME / _OWN_KEY
    if not path.exists():
        write_private(path, new_vapid_key().encode())
    return WebKeys(private_key=_private_key(path, "web"), subject=subject)


def save_table(data_dir: Path, application_id: int, provider: str, table: dict[str, Any]) -> None:
    """Put a table into `push.toml` in place of the one that is there, once it proved good. Blocks.

    Raises:
        ConfigurationError: it, or another one in the file, cannot be used; nothing changes.
    """
    path = data_dir / KEYS_FILE_NAME
    document = _document(path)
    tables = document.setdefault(str(application_id), {})
    tables[provider] = {name: value for name, value in table.items() if value is not None}
    text = "".join(
        f"[{number}.{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in one.items())
        for number, entries in document.items()
        for name, one in entries.items()
    )
    draft = path.with_suffix(".draft")
    write_private(draft, text.encode())
    try:
        tables_now = _parse(_document(draft))
        _check(tables_now[application_id], data_dir)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _read(data_dir: Path) -> dict[int, _Tables]:
    return _parse(_document(data_dir / KEYS_FILE_NAME))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _parse(document: dict[str, Any]) -> dict[int, _Tables]:
    found = {}
    for name, entries in document.items():
        if not (name.isascii() and name.isdecimal()):
            text = (
                f"{KEYS_FILE_NAME}: [{name[:40]}] must be an application's number, as in [1.apns]"
            )
            raise ConfigurationError(text)
        try:
            found[int(name)] = _Tables.model_validate(entries)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in (name, *problem["loc"]))
            raise ConfigurationError(f"{KEYS_FILE_NAME}: {where}: {problem['msg']}") from None
    return found


def _check(tables: _Tables, data_dir: Path) -> None:
    if tables.apns:
        _apns(tables.apns, data_dir)
    if tables.fcm:
        _fcm(tables.fcm, data_dir)
    if tables.web:
        _web(tables.web, data_dir)


def _apns(table: ApnsTable, data_dir: Path) -> ApnsKeys:
    return ApnsKeys(
        private_key=_private_key(data_dir / table.key_file, "apns"),
        key_id=table.key_id,
        team_id=table.team_id,
        bundle_identifier=table.bundle_identifier,
        url=table.url,
        sandbox_url=table.sandbox_url,
        ca_file=_within(data_dir, table.ca_file),
    )


def _fcm(table: FcmTable, data_dir: Path) -> FcmKeys:
    text = _file(data_dir / table.service_account_file, "fcm")
    try:
        account = json.loads(text)
        missing = [name for name in _ACCOUNT if not isinstance(account[name], str)]
        key = serialization.load_pem_private_key(account["private_key"].encode(), None)
    except KeyError as error:
        raise _unusable("fcm", f"the service account has no {error}") from None
    except (ValueError, TypeError):
        raise _unusable("fcm", "is not the JSON file of a service account") from None
    if missing or not hasattr(key, "private_numbers"):
        raise _unusable("fcm", "is not the JSON file of a service account")
    return FcmKeys(service_account=account, url=table.url, ca_file=_within(data_dir, table.ca_file))


_ACCOUNT = ("project_id", "client_email", "private_key", "token_uri")


def _web(table: WebTable, data_dir: Path) -> WebKeys:
    if table.key_file is None:
        private_key = own_web_keys(data_dir).private_key
    else:
        private_key = _private_key(data_dir / table.key_file, "web")
    return WebKeys(
        private_key=private_key,
        subject=table.subject,
        allowed_hosts=frozenset(table.allowed_hosts),
        ca_file=_within(data_dir, table.ca_file),
    )


def _private_key(path: Path, provider: str) -> str:
    pem = _file(path, provider)
    load_p256_key(pem, f"push keys, {provider}: {path.name}")
    return pem


def _file(path: Path, provider: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(provider, f"{path} cannot be read: {error}") from None


def _unusable(provider: str, text: str) -> ConfigurationError:
    return ConfigurationError(f"push keys, {provider}: {text}")


def _within(data_dir: Path, path: Path | None) -> Path | None:
    return None if path is None else data_dir / path


def _toml(value: Any) -> str:
    """TOML's basic strings and arrays of them are spelled as in JSON."""
    return json.dumps([*value] if isinstance(value, list | tuple) else str(value))
