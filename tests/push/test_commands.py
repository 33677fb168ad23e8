"""``ringmesh push`` and ``ringmesh calls`` as a shell sees them."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import ringmesh as ringmesh_sdk
from ringmesh.server.push.contract import ProviderKeys
from ringmesh.server.push.keys import load_keys
from ringmesh.server.push.records import MissedCall
from tests.push.host import World, configure
from tests.server.test_commands import answer, ringmesh

HELLO = {"message": "hello"}


def written(folder: Path, name: str, content: str) -> Path:
    """A file."""
    path = folder / name
    path.write_text(content)
    return path


async def run(*arguments: str | Path) -> Any:
    """A command in a thread: it has an event loop of its own."""
    return await asyncio.to_thread(ringmesh, *arguments)


async def test_keys_are_kept_and_tried(tmp_path: Path, key: str) -> None:
    """The command copies the key to where nobody else reads it; a provider that cannot be asked is
    told of, and what was there stays when the new key is no good."""
    data = tmp_path / "data"
    good = written(tmp_path, "AuthKey.p8", key)
    arguments = ("--key-id", "ABC123DEFG", "--team-id", "DEF123GHIJ", "--data", data)
    await run("push", "configure", "apns", "--key-file", good, *arguments)
    keys = load_keys(data)[1].apns
    assert keys is not None
    assert keys.private_key == key
    copy = data / "push" / "apns-1.p8"
    assert stat.S_IMODE(copy.stat().st_mode) == stat.S_IMODE((data / "push.toml").stat().st_mode)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    bad = written(tmp_path, "bad.p8", "not a key")
    refused = await run("push", "configure", "apns", "--key-file", bad, *arguments)
    assert refused.returncode == 2
    assert "not a private key" in refused.stderr
    assert load_keys(data)[1].apns == keys


async def test_web_keys(tmp_path: Path) -> None:
    """Browsers need none; a subject or a key of one's own may be given."""
    data = tmp_path / "data"
    result = await run(
        "push", "configure", "web", "--subject", "mailto:a@example.org", "--data", data
    )
    assert result.returncode == 0
    assert "web of application 1: right" in result.stdout
    keys = load_keys(data)[1].web
    assert keys is not None
    assert keys.subject == "mailto:a@example.org"
    curve = ec.generate_private_key(ec.SECP384R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    other = written(tmp_path, "p384.pem", pem)
    assert (
        await run("push", "configure", "web", "--key-file", other, "--data", data)
    ).returncode == 2
    assert load_keys(data)[1] == ProviderKeys(web=keys)


async def test_service_account(tmp_path: Path, fcm: Any) -> None:
    """A file that is none is refused before anything is kept."""
    data = tmp_path / "data"
    for content in ("{}", "no JSON", json.dumps({**fcm.service_account, "private_key": "x"})):
        file = written(tmp_path, "account.json", content)
        refused = await run("push", "configure", "fcm", "--service-account", file, "--data", data)
        assert refused.returncode == 2
        assert load_keys(data) == {}


async def test_mistakes_in_the_file(tmp_path: Path) -> None:
    """They are told by table and member, never by value."""
    for content, text in (
        ("[apns]", "must be an application's number"),
        ("[1.apns]\nkey_id = 'ABC123DEFG'", "1.apns.key_file"),
        ("[1.fcm]\nservice_account_file = 'nowhere.json'", "cannot be read"),
        ("[1.web]\nsubject = 'somebody'", "1.web.subject"),
        ("[1.web]\npassword = 'secret'", "1.web.password"),
        ("not TOML", "cannot be read"),
    ):
        await run("app", "list", "--data", tmp_path)
        await run("user", "add", "x", "--password", "secret", "--data", tmp_path)
        written(tmp_path, "push.toml", content)
        refused = await run("push", "check", "--data", tmp_path)
        assert refused.returncode == 2
        assert text in refused.stderr
        assert "secret" not in refused.stderr


async def test_check_and_log(running: World) -> None:
    """Each provider is asked; the log has what became of each push, and no tokens."""
    ada = await running.person("ada")
    running.fcm.tokens.add("a-secret-token")
    await ada.subscribe("gcm", "a-secret-token")
    await ada.post(ada.id, HELLO)
    await ada.post(ada.id, HELLO)
    await running.settled(2)
    data = running.folder
    rows = await asyncio.to_thread(answer, "push", "check", "--data", data)
    assert [(row["provider"], row["state"]) for row in rows] == [
        ("apns", "right"), ("fcm", "right"), ("web", "right"),
    ]  # fmt: skip
    entries = await asyncio.to_thread(answer, "push", "log", "--data", data)
    assert [entry["push"] for entry in entries] == [2, 1]
    assert {entry["state"] for entry in entries} == {"delivered"}
    result = await run("push", "log", "--limit", "1", "--data", data)
    assert "delivered" in result.stdout
    assert len(result.stdout.splitlines()) == 2
    assert "a-secret-token" not in result.stdout


async def test_wrong_keys(running: World, key: str) -> None:
    """A provider that refuses them makes the check fail."""
    account = running.fcm.service_account | {"client_email": "else@example.org"}
    configure(running.folder, 1, running.apns, running.fcm, running.web, key)
    (running.folder / "push" / "account.json").write_text(json.dumps(account))
    result = await run("push", "check", "--data", running.folder)
    assert result.returncode == 1
    assert "wrong" in result.stdout
    assert "PRIVATE KEY" not in result.stdout + result.stderr


async def test_new_keys_in_a_running_server(running: World) -> None:
    """They are taken without a restart; a mistake leaves the old ones in use."""
    push = running.api.server.push
    (running.folder / "push.toml").write_text("[1.apns]\n")
    await push.keep_house()
    ada = await running.person("ada")
    running.fcm.tokens.add("adas")
    await ada.subscribe("gcm", "adas")
    await ada.post(ada.id, HELLO)
    assert (await running.settled(1))[0].state.value == "delivered"
    (running.folder / "push.toml").write_text("")
    await push.keep_house()
    await ada.post(ada.id, HELLO)
    assert (await running.settled(2))[1].state.value == "not_configured"


async def test_missed_calls(running: World) -> None:
    """One's own, with the caller's name."""
    ada, bob = await running.person("ada"), await running.person("bob")
    call = MissedCall(
        application_id=1, user_id=bob.id, session_id="s", caller_id=ada.id, call_type=2,
        opponents_ids=(bob.id,), called_at=1_795_000_000, rang_seconds=12,
    )  # fmt: skip
    await running.api.server.push._store.add_missed_call(call)
    who = ("--server", running.api.server.url, "--login", "bob", "--password", "password")
    (row,) = await asyncio.to_thread(answer, "calls", *who)
    assert (row["caller"], row["type"], row["rang"], row["call"]) == ("ada", "audio", 12, "s")
    connecting = ringmesh_sdk.connect(running.api.server.url, login="bob", password="password")
    async with connecting as me:
        (missed,) = await me.calls.missed_calls()
        assert (missed.caller_id, missed.call_type.name) == (ada.id, "AUDIO_CALL")
        assert missed.called_at.timestamp() == call.called_at
        assert await me.calls.missed_calls(before=missed.id) == []
    nobody = ("--server", running.api.server.url, "--login", "ada", "--password", "password")
    assert (await run("calls", *nobody)).stdout == "none\n"
