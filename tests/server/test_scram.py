"""Logins that do not tell the password, from the accounts to the socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ringmesh.errors import AuthenticationError, RequestError
from ringmesh.protocol.sasl import SCRAM_HASHES, ScramCredentials
from ringmesh.server.accounts.models import User
from ringmesh.server.accounts.service import Accounts
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.chat.tcp import TcpClient
from tests.server.api_client import serving

HERE = "127.0.0.1"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server that offers SCRAM."""
    async with serving(tmp_path, scram=True, xmpp_port=0, failed_logins_per_account=3) as api:
        yield api.server


@pytest_asyncio.fixture
async def ann(server: Server) -> User:
    """A user whose password the server has seen in a login."""
    given = UserInput(login="ann", password="old secret")
    await server.accounts.users.create(server.application.id, given)
    return await server.accounts.sign_in.sign_in(server.application.id, given, HERE)


def fits(credentials: ScramCredentials, secret: str, hash_name: str = "sha1") -> bool:
    """Whether a secret is among those of the credentials."""
    salted = hashlib.pbkdf2_hmac(
        hash_name, secret.encode(), credentials.salt, credentials.iterations
    )
    stored = hashlib.new(hash_name, hmac.digest(salted, b"Client Key", hash_name)).digest()
    return any(keys.stored_key == stored for keys in credentials.keys)


async def credentials(accounts: Accounts, user: User, hash_name: str = "sha1") -> ScramCredentials:
    """What a proof of this user would be checked against."""
    assert accounts.scram is not None
    return await accounts.scram.credentials(user.application_id, user.id, hash_name, HERE)


@pytest.mark.parametrize("hash_name", SCRAM_HASHES.values())
async def test_password_and_tokens_are_known(server: Server, ann: User, hash_name: str) -> None:
    """Either is enough to log in, for both mechanisms."""
    live = await server.accounts.sessions.open(ann.application_id, ann)
    found = await credentials(server.accounts, ann, hash_name)
    assert fits(found, "old secret", hash_name)
    assert fits(found, live.token, hash_name)
    assert found.iterations <= 10_000


async def test_what_has_ended_is_forgotten(server: Server, ann: User) -> None:
    """A changed password, a session that ended or was signed out, another user's."""
    accounts = server.accounts
    ended = await accounts.sessions.open(ann.application_id, ann)
    left = await accounts.sessions.open(ann.application_id, ann)
    kept = await accounts.sessions.open(ann.application_id, None)
    kept = await accounts.sessions.sign_in(kept, ann) or kept
    await accounts.sessions.end(ended)
    await accounts.sessions.sign_out(left)
    await accounts.users.set_password(ann, "new secret")
    found = await credentials(accounts, ann)
    assert fits(found, kept.token)
    assert not any(fits(found, each) for each in (ended.token, left.token, "old secret"))
    await accounts.sign_in.authenticate_chat(ann.application_id, ann.id, "new secret", HERE)
    assert fits(await credentials(accounts, ann), "new secret")


async def test_nobody_learns_who_exists(server: Server, ann: User) -> None:
    """A user who does not exist has a salt as well, the same each time."""
    assert server.accounts.scram is not None
    nobody = [
        await server.accounts.scram.credentials(ann.application_id, 4711, "sha1", HERE)
        for _ in range(2)
    ]
    assert nobody[0] == nobody[1]
    assert len(nobody[0].salt) == len((await credentials(server.accounts, ann)).salt)
    assert not nobody[0].keys


async def test_failures_count_like_those_of_passwords(server: Server, ann: User) -> None:
    """After too many wrong proofs not even a right one is taken."""
    scram = server.accounts.scram
    assert scram is not None
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            scram.answered(ann.application_id, ann.id, HERE, False)
    with pytest.raises(RequestError):
        scram.answered(ann.application_id, ann.id, HERE, True)
    with pytest.raises(RequestError):
        await credentials(server.accounts, ann)


async def log_in(client: TcpClient, user: User, secret: str) -> str:
    """SCRAM-SHA-256 as a client does it; the server's signature is checked."""
    features = await client.open()
    mechanisms = features.child("mechanisms")
    assert mechanisms is not None
    names = [each.text for each in mechanisms.children]
    assert names == ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
    bare = f"n={user.id}-{user.application_id},r=0123456789abcdef"
    first = base64.b64encode(f"n,,{bare}".encode()).decode()
    sasl = 'xmlns="urn:ietf:params:xml:ns:xmpp-sasl"'
    await client.send(f'<auth {sasl} mechanism="SCRAM-SHA-256">{first}</auth>')
    challenge = base64.b64decode((await client.receive()).text).decode()
    nonce, salt, iterations = (part.partition("=")[2] for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), base64.b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signed = f"{bare},{challenge},c=biws,r={nonce}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    final = f"c=biws,r={nonce},p={base64.b64encode(proof).decode()}"
    await client.send(f"<response {sasl}>{base64.b64encode(final.encode()).decode()}</response>")
    answer = await client.receive()
    if answer.name == "success":
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        expected = base64.b64encode(hmac.digest(server_key, signed, "sha256"))
        assert base64.b64decode(answer.text) == b"v=" + expected
        await client.bind()
    return answer.name


async def test_a_login_over_a_socket(server: Server, ann: User) -> None:
    """With the password and with a token; a wrong proof leaves the stream open for another."""
    live = await server.accounts.sessions.open(ann.application_id, ann)
    for secret, outcome in (
        ("old secret", "success"),
        (live.token, "success"),
        ("guess", "failure"),
    ):
        reader, writer = await asyncio.open_connection(HERE, server.ports["xmpp_port"])
        client = TcpClient(reader, writer)
        assert await log_in(client, ann, secret) == outcome
        if outcome == "failure":
            user = f"{ann.id}-{ann.application_id}"
            assert (await client.authenticate(user, "old secret")).name == "success"
        writer.close()


async def test_scram_is_off_by_itself(tmp_path: Path) -> None:
    """Without the setting there are no keys that could be stolen."""
    async with Server(tmp_path, load_settings(port=0)) as server:
        assert server.accounts.scram is None
