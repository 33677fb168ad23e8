"""``/session`` and ``/login``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringmesh.server.accounts.signature import sign
from tests.server.api_client import SESSION_REQUIRED, Api, errors_of, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_application_session(api: Api) -> None:
    """A session without a user says so, and carries integers where mobile SDKs need them."""
    response = await api.post(
        "/session.json", {**api.credentials, "application_id": str(api.application.id)}
    )
    assert response.status_code == 201
    session = response.json()["session"]
    assert session["application_id"] == api.application.id
    assert session["user_id"] == 0
    assert session["user"] is None
    assert re.fullmatch("[0-9a-f]{40}", session["token"])
    assert isinstance(session["ts"], int)
    assert session["created_at"].endswith("Z")


@pytest.mark.parametrize("name", ["login", "email"])
async def test_unknown_user_is_made_at_login(api: Api, name: str) -> None:
    """The first log-in makes the user, the next one finds it."""
    who = {name: "alice@example.org", "password": "secret"}
    first = (await api.session(user=who)).json()["session"]
    again = (await api.session(user=who)).json()["session"]
    assert first["user"][name] == "alice@example.org"
    assert first["user_id"] == first["user"]["id"] == again["user_id"]
    assert first["token"] != again["token"]
    assert "password" not in first["user"]


async def test_login_and_email_together(api: Api) -> None:
    """A request with both finds the user by either."""
    user = {"login": "alice", "email": "alice@example.org", "password": "secret"}
    made = (await api.session(user=user)).json()["session"]["user_id"]
    for name in ("login", "email"):
        who = {name: user[name], "password": "secret"}
        assert (await api.session(user=who)).json()["session"]["user_id"] == made


async def test_wrong_password(api: Api) -> None:
    """A wrong password is refused with 401."""
    await api.as_user("alice", "right")
    response = await api.session(user={"login": "alice", "password": "wrong"})
    assert response.status_code == 401
    assert errors_of(response) != SESSION_REQUIRED["errors"]


async def test_guest(api: Api) -> None:
    """A guest gets a name and a session, and cannot log in again."""
    guest = await api.with_session(user={"guest": "1", "full_name": "Visitor"})
    assert guest.user is not None
    assert guest.user["is_guest"] is True
    assert guest.user["full_name"] == "Visitor"
    assert re.fullmatch("guest_login_[0-9A-F]+", guest.user["login"])
    response = await api.session(user={"login": guest.user["login"], "password": "x"})
    assert response.status_code == 401


async def test_signature_is_verified(api: Api) -> None:
    """A right signature is accepted, a wrong one refused, whatever the password."""
    body = {
        **api.credentials,
        "nonce": "12345",
        "timestamp": "1700000000",
        "user": {"login": "bob", "password": "s3cret"},
    }
    body["signature"] = sign(body, api.application.secret)
    response = await api.post("/session", body)
    assert response.status_code == 201
    assert response.json()["session"]["nonce"] == 12345
    body["user"] = {"login": "bob", "password": "other"}
    assert (await api.post("/session", body)).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"application_id": None}, 422, "application_id"),
        ({"application_id": "x"}, 422, "application_id"),
        ({"application_id": 2**70}, 422, "application_id"),
        ({"auth_key": None}, 422, "auth_key"),
        ({"auth_key": "other"}, 401, "base"),
        ({"application_id": 10**12}, 401, "base"),
        ({"user": {"login": "alice"}}, 422, "password"),
        ({"user": {"login": "alice", "password": None}}, 422, "password"),
        ({"user": {"login": "alice", "password": ""}}, 422, "password"),
        ({"user": {"login": "al", "password": "x"}}, 422, "login"),
        ({"user": {"login": "a\nb", "password": "x"}}, 422, "login"),
        ({"user": {"login": "a" * 71, "password": "x"}}, 422, "login"),
        ({"user": {"email": "nobody", "password": "x"}}, 422, "email"),
        ({"user": {"password": "x"}}, 422, "login"),
        ({"user": {"login": {"a": 1}, "password": "x"}}, 422, "login"),
        ({"user": "alice"}, 422, "user"),
        ({"provider": "facebook", "keys": {"token": "x"}}, 422, "provider"),
    ],
)
async def test_bad_session_requests(
    api: Api, change: dict[str, object], status: int, field: str
) -> None:
    """Each wrong member is named, nothing is made."""
    body = {name: value for name, value in {**api.credentials, **change}.items() if value}
    response = await api.post("/session", body)
    assert response.status_code == status, response.text
    assert field in errors_of(response)


async def test_settings_close_the_doors(tmp_path: Path) -> None:
    """Making users at log-in, guests and unsigned requests can be switched off."""
    async with serving(
        tmp_path, create_users_at_login=False, allow_guests=False, allow_registration=False
    ) as api:
        user = {"login": "alice", "password": "x"}
        assert (await api.session(user=user)).status_code == 401
        assert (await api.session(user={"guest": "1", "full_name": "V"})).status_code == 403
        application = await api.with_session()
        assert (await application.post("/users", {"user": user})).status_code == 403
    async with serving(tmp_path, require_signature=True) as api:
        response = await api.session()
        assert response.status_code == 422
        assert "signature" in errors_of(response)


async def test_read_session(api: Api) -> None:
    """``GET /session`` describes the session of the token."""
    alice = await api.as_user("alice")
    session = (await alice.get("/session.json")).json()["session"]
    assert session["token"] == alice.token
    assert session["user"] == alice.user


async def test_deleted_session_is_worth_nothing(api: Api) -> None:
    """After ``DELETE /session`` the token is refused; deleting twice does no harm."""
    alice = await api.as_user("alice")
    response = await alice.delete("/session.json")
    assert (response.status_code, response.text) == (200, "")
    refused = await alice.get("/session")
    assert (refused.status_code, refused.json()) == (401, SESSION_REQUIRED)
    assert (await alice.delete("/session")).status_code == 200


@pytest.mark.parametrize("token", ["", "unknown", "0" * 40, "ü" * 40])
async def test_foreign_tokens(api: Api, token: str) -> None:
    """Whatever is not a live token gets 401 with the text that SDKs compare."""
    response = await api.get("/session", headers={"CB-Token": token.encode()})
    assert (response.status_code, response.json()) == (401, SESSION_REQUIRED)


async def test_session_creation_ignores_the_token(api: Api) -> None:
    """SDKs send a stale token along when they make a new session."""
    response = await api.post("/session", api.credentials, headers={"CB-Token": "0" * 40})
    assert response.status_code == 201


async def test_sessions_of_one_user(api: Api) -> None:
    """A user ends sessions by id or all others at once, never somebody else's."""
    one, two, three = [await api.as_user("alice") for _ in range(3)]
    mallory = await api.as_user("mallory")
    ids = [(await each.get("/session")).json()["session"]["id"] for each in (one, two, three)]
    assert (await mallory.delete(f"/session/{ids[0]}")).status_code == 404
    assert (await one.delete(f"/session/{ids[1]}.json")).status_code == 200
    assert (await two.get("/session")).status_code == 401
    assert (await one.delete("/session/list")).status_code == 200
    assert (await three.get("/session")).status_code == 401
    assert (await one.get("/session")).status_code == 200
    assert (await mallory.get("/session")).status_code == 200


async def test_login_upgrades_and_logout_downgrades(api: Api) -> None:
    """``POST /login`` makes an application session the user's, ``DELETE /login`` the reverse."""
    await api.as_user("alice")
    application = await api.with_session()
    response = await application.post("/login.json", {"login": "alice", "password": "password"})
    assert response.status_code == 202
    assert response.json()["user"]["login"] == "alice"
    assert (await application.get("/session")).json()["session"]["user"]["login"] == "alice"
    assert (await application.delete("/login.json")).status_code == 200
    assert (await application.get("/session")).json()["session"]["user_id"] == 0


async def test_login_makes_nobody(api: Api) -> None:
    """``POST /login`` refuses unknown users, wrong passwords, providers and missing tokens."""
    application = await api.with_session()
    unknown = {"login": "nobody", "password": "x"}
    assert (await application.post("/login", unknown)).status_code == 401
    assert (await application.post("/login", {"provider": "facebook"})).status_code == 422
    assert (await api.post("/login", unknown)).json() == SESSION_REQUIRED


async def test_applications_are_strangers(api: Api, shared_api: Api) -> None:
    """Users of one application cannot log in to another, nor be found there."""
    alice = await api.as_user("alice")
    assert alice.user is not None
    other = await shared_api.server.accounts.applications.create("other")
    stranger = await Api(api.http, other, api.server).as_user("mallory")
    assert (await stranger.get(f"/users/{alice.user['id']}")).status_code == 404
    assert (await stranger.get("/users/by_login?login=alice")).status_code == 404
    same_name = await Api(api.http, other, api.server).as_user("alice", "another")
    assert same_name.user is not None
    assert same_name.user["id"] != alice.user["id"]


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_tokens_live_two_hours_after_the_last_use(tmp_path: Path) -> None:
    """Use prolongs a session by its whole lifetime; without use it ends, as the header says."""
    clock = Clock()
    async with serving(tmp_path, clock) as api:
        alice = await api.as_user("alice")
        for _ in range(4):
            clock.now += 7_190
            response = await alice.get("/session")
            assert response.status_code == 200
            expires = datetime.fromtimestamp(clock.now + 7_200, UTC)
            assert response.headers["CB-Token-ExpirationDate"] == f"{expires:%Y-%m-%d %H:%M:%S} UTC"
        clock.now += 7_300
        assert (await alice.get("/session")).json() == SESSION_REQUIRED


async def test_frequent_use_keeps_the_promise(tmp_path: Path) -> None:
    """Every use prolongs, also those that are too frequent to be written down each."""
    clock = Clock()
    async with serving(tmp_path, clock) as api:
        alice = await api.as_user("alice")
        for _ in range(5):
            clock.now += 11
            await alice.get("/session")
        clock.now += 7_199
        assert (await alice.get("/session")).status_code == 200


async def test_guests_leave_after_a_day(tmp_path: Path) -> None:
    """A guest's session ends after a day however much it is used, and then the guest is removed."""
    clock = Clock()
    async with serving(tmp_path, clock) as api:
        alice = await api.as_user("alice")
        guest = await api.with_session(user={"guest": "1", "full_name": "Visitor"})
        assert guest.user is not None
        for _ in range(12):
            clock.now += 7_199
            assert (await guest.get("/session")).status_code == 200
            assert (await alice.get("/session")).status_code == 200
        clock.now += 100
        await api.server.accounts.remove_expired()
        assert (await guest.get("/session")).json() == SESSION_REQUIRED
        assert (await alice.get(f"/users/{guest.user['id']}")).status_code == 404
        assert (await alice.get("/session")).status_code == 200
