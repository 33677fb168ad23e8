"""Limits on failed logins, and the chat's logins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringmesh.errors import AuthenticationError, RequestError
from ringmesh.server.accounts.login_guard import LoginGuard
from ringmesh.server.accounts.passwords import Passwords
from ringmesh.server.settings import Settings
from tests.server.api_client import Api, errors_of, serving

HERE = "192.0.2.1"
ELSEWHERE = "198.51.100.1"


async def test_rest_logins_are_limited(tmp_path: Path) -> None:
    """After the allowed failures even the right password gets 429; others are not concerned."""
    async with serving(tmp_path, failed_logins_per_account=3) as api:
        await api.as_user("alice", "right")
        await api.as_user("bobby", "right")
        for _ in range(3):
            wrong = await api.session(user={"login": "alice", "password": "wrong"})
            assert wrong.status_code == 401
        response = await api.session(user={"login": "alice", "password": "right"})
        assert response.status_code == 429
        errors_of(response)
        application = await api.with_session()
        login = {"login": "alice", "password": "right"}
        assert (await application.post("/login", login)).status_code == 429
        assert (await api.session(user={"login": "bobby", "password": "right"})).status_code == 201


async def test_unknown_logins_are_limited_like_known_ones(tmp_path: Path) -> None:
    """The limit does not tell whether a user exists."""
    async with serving(tmp_path, failed_logins_per_account=2, create_users_at_login=False) as api:
        nobody = {"login": "nobody", "password": "x"}
        statuses = [(await api.session(user=nobody)).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]


async def test_an_address_is_limited(tmp_path: Path) -> None:
    """Failures with many accounts add up for the address they come from."""
    async with serving(tmp_path, failed_logins_per_address=3, create_users_at_login=False) as api:
        logins = ["user1", "user2", "user3", "user4"]
        statuses = [
            (await api.session(user={"login": login, "password": "x"})).status_code
            for login in logins
        ]
        assert statuses == [401, 401, 401, 429]


async def test_attempts_at_once_gain_nothing(tmp_path: Path) -> None:
    """Attempts sent all together are answered no more often than one after the other."""
    async with serving(tmp_path, failed_logins_per_account=3) as api:
        await api.as_user("alice", "right")
        wrong = {"login": "alice", "password": "wrong"}
        responses = await asyncio.gather(*(api.session(user=wrong) for _ in range(20)))
        statuses = sorted(response.status_code for response in responses)
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= 4  # two are verified at a time


async def test_password_change_is_limited(tmp_path: Path) -> None:
    """A stolen token does not help to guess the password."""
    async with serving(tmp_path, failed_logins_per_account=2) as api:
        me = await api.as_user("alice", "right")
        assert me.user is not None
        path = f"/users/{me.user['id']}"
        body = {"user": {"password": "new", "old_password": "guess"}}
        statuses = [(await me.put(path, body)).status_code for _ in range(3)]
        assert statuses == [422, 422, 429]


def test_success_forgets_failures() -> None:
    """Who logs in properly starts from zero, for this account and address."""
    guard = LoginGuard(Settings(failed_logins_per_account=2))
    for _ in range(5):
        guard.failed("1#1", HERE)
        guard.succeeded("1#1", HERE)
    guard.check("1#1", HERE)


def test_one_address_does_not_lock_out_another() -> None:
    """An attacker elsewhere does not keep a user from logging in, unless they are very many."""
    guard = LoginGuard(Settings(failed_logins_per_account=2, failed_logins_per_address=1_000))
    for _ in range(5):
        guard.failed("1#1", ELSEWHERE)
    guard.check("1#1", HERE)
    for _ in range(20):
        guard.failed("1#1", ELSEWHERE)
    with pytest.raises(RequestError) as refusal:
        guard.check("1#1", HERE)
    assert refusal.value.status == 429


def test_an_ipv6_network_is_one_address() -> None:
    """Whoever has one IPv6 address has a /64 of them."""
    guard = LoginGuard(Settings(failed_logins_per_address=2))
    guard.failed("1#1", "2001:db8::1")
    guard.failed("1#2", "2001:db8::2")
    guard.check("1#3", "2001:db8:0:1::1")
    with pytest.raises(RequestError):
        guard.check("1#3", "2001:db8::3")


@pytest.mark.asyncio(loop_scope="session")
async def test_chat_accepts_password_and_tokens(api: Api) -> None:
    """The password or any live token of that user opens the chat; nothing else does."""
    alice, bob = await api.as_user("alice", "secret"), await api.as_user("bobby", "other")
    assert alice.user is not None
    authenticate = api.server.accounts.sign_in.authenticate_chat
    application, user = api.application.id, alice.user["id"]
    assert alice.token is not None
    for secret in ("secret", alice.token):
        await authenticate(application, user, secret, HERE)
    assert bob.token is not None
    anonymous = (await api.with_session()).token
    assert anonymous is not None
    for secret in ("other", bob.token, anonymous, "", "0" * 40):
        with pytest.raises(AuthenticationError):
            await authenticate(application, user, secret, HERE)
    for stranger in ((application + 1, user), (application, 10**9)):
        with pytest.raises(AuthenticationError):
            await authenticate(*stranger, alice.token, HERE)
    await alice.delete("/session")
    with pytest.raises(AuthenticationError):
        await authenticate(application, user, alice.token, HERE)


@pytest.mark.asyncio(loop_scope="session")
async def test_guests_chat_with_their_token(api: Api) -> None:
    """A guest has no password: only the token opens the chat."""
    guest = await api.with_session(user={"guest": "1", "full_name": "Visitor"})
    assert guest.user is not None
    assert guest.token is not None
    authenticate = api.server.accounts.sign_in.authenticate_chat
    await authenticate(api.application.id, guest.user["id"], guest.token, HERE)
    with pytest.raises(AuthenticationError):
        await authenticate(api.application.id, guest.user["id"], "", HERE)


async def test_chat_and_rest_share_the_limit(tmp_path: Path) -> None:
    """Failures at the chat count at REST; a live token still opens the chat."""
    async with serving(tmp_path, failed_logins_per_account=2) as api:
        alice = await api.as_user("alice", "secret")
        assert alice.user is not None
        assert alice.token is not None
        authenticate = api.server.accounts.sign_in.authenticate_chat
        account = api.application.id, alice.user["id"]
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await authenticate(*account, "wrong", "127.0.0.1")
        with pytest.raises(RequestError) as refusal:
            await authenticate(*account, "secret", "127.0.0.1")
        assert refusal.value.status == 429
        response = await api.session(user={"login": "alice", "password": "secret"})
        assert response.status_code == 429
        await authenticate(*account, alice.token, "127.0.0.1")


@pytest.mark.asyncio(loop_scope="session")
async def test_changed_password_is_not_remembered(api: Api) -> None:
    """A password that was right is refused at once after a change or the user's removal."""
    alice = await api.as_user("alice", "old")
    assert alice.user is not None
    authenticate = api.server.accounts.sign_in.authenticate_chat
    account = api.application.id, alice.user["id"]
    await authenticate(*account, "old", HERE)
    path = f"/users/{alice.user['id']}"
    await alice.put(path, {"user": {"password": "new", "old_password": "old"}})
    with pytest.raises(AuthenticationError):
        await authenticate(*account, "old", HERE)
    await authenticate(*account, "new", HERE)
    await alice.delete(path)
    with pytest.raises(AuthenticationError):
        await authenticate(*account, "new", HERE)


async def test_known_password_needs_no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, a right password is recognised without the slow hash, a wrong one is not."""
    passwords = Passwords()
    try:
        hashed = await passwords.hash("secret")
        assert hashed.startswith("$argon2id$")
        assert await passwords.matches("secret", hashed)
        slow: list[str] = []
        verify = passwords._verify

        async def counted(password: str, hashed: str) -> bool:
            slow.append(password)
            return await verify(password, hashed)

        monkeypatch.setattr(passwords, "_verify", counted)
        assert await passwords.matches("secret", hashed)
        assert slow == []
        assert not await passwords.matches("wrong", hashed)
        assert not await passwords.matches("secret", None)
        assert slow == ["wrong", "secret"]
    finally:
        await passwords.close()


async def test_hashing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many passwords wait to be hashed, the rest is refused with 503."""
    monkeypatch.setattr("ringmesh.server.accounts.passwords._MAX_WAITING", 5)
    passwords = Passwords()
    try:
        results = await asyncio.gather(
            *(passwords.matches("x", None) for _ in range(20)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, RequestError)]
        assert len(refused) == 15
        assert {error.status for error in refused} == {503}
        assert not await passwords.matches("x", None)
    finally:
        await passwords.close()


async def test_new_accounts_per_address(tmp_path: Path) -> None:
    """Sign-ups, guests and users made at log-in count together for one address; others go on."""
    trusted = {"trusted_proxies": ["127.0.0.1"]}
    async with serving(tmp_path, new_accounts_per_address=3, **trusted) as api:
        await api.as_user("alice")
        me = await api.with_session(user={"guest": "1", "full_name": "Passer-by"})
        bob = {"login": "bob", "password": "x"}
        assert (await me.post("/users", {"user": bob})).status_code == 201
        carol = {"login": "carol", "password": "x"}
        refused = [
            await me.post("/users", {"user": carol}),
            await api.session(user=carol),
            await api.session(user={"guest": "1", "full_name": "Another"}),
        ]
        assert [response.status_code for response in refused] == [429] * 3
        assert (await api.session(user=bob)).status_code == 201
        elsewhere = {"X-Forwarded-For": "203.0.113.7"}
        response = await me.post("/users", {"user": carol}, headers=elsewhere)
        assert response.status_code == 201
