"""``/users``: making, reading, changing and removing accounts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.api_client import SESSION_REQUIRED, Api, errors_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


def user(**members: Any) -> dict[str, Any]:
    """A body for ``/users``."""
    return {"user": members}


async def test_sign_up_with_the_key(api: Api) -> None:
    """The JavaScript SDK signs up with the application's key and no token."""
    headers = {"CB-AuthKey": api.application.auth_key}
    body = user(login="alice", password="secret", full_name="Alice A", tag_list=["red", "green"])
    response = await api.post("/users.json", body, headers=headers)
    assert response.status_code == 201
    made = response.json()["user"]
    assert made["login"] == "alice"
    assert made["user_tags"] == "red,green"
    assert "password" not in made
    assert (await api.session(user={"login": "alice", "password": "secret"})).status_code == 201


async def test_sign_up_with_a_token(api: Api) -> None:
    """Mobile SDKs sign up in an application session; tags come as text."""
    application = await api.with_session()
    body = user(email="bob@example.org", password="secret", tag_list="red, green")
    response = await application.post("/users", body)
    assert response.status_code == 201
    assert response.json()["user"]["user_tags"] == "red,green"


async def test_sign_up_needs_authority(api: Api) -> None:
    """Without key and token, or with a wrong key, nobody is made."""
    body = user(login="alice", password="secret")
    assert (await api.post("/users", body)).json() == SESSION_REQUIRED
    assert (await api.post("/users", body, headers={"CB-AuthKey": "x"})).status_code == 401


@pytest.mark.parametrize("field", ["login", "email", "external_id", "facebook_id", "twitter_id"])
async def test_taken_values(api: Api, field: str) -> None:
    """A value that identifies is taken once; for logins and addresses case makes no difference."""
    application = await api.with_session()
    value = "Same@Example.org"
    body = user(**{"login": "first", "password": "x", field: value})
    assert (await application.post("/users", body)).status_code == 201
    again = value.lower() if field in ("login", "email") else value
    body = user(**{"login": "second", "password": "x", field: again})
    response = await application.post("/users", body)
    assert response.status_code == 422
    assert errors_of(response) == {field: ["has already been taken"]}


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"password": "x"}, "login"),
        ({"login": "alice"}, "password"),
        ({"login": "alice", "password": ""}, "password"),
        ({"login": "al", "password": "x"}, "login"),
        ({"login": "guest_login_1", "password": "x"}, "login"),
        ({"login": "alice", "password": "x" * 1025}, "password"),
        ({"login": "alice", "password": "x", "email": "a b@c"}, "email"),
        ({"login": "alice", "password": "x", "full_name": "x" * 256}, "full_name"),
        ({"login": "alice", "password": "x", "full_name": "a\x00b"}, "full_name"),
        ({"login": "alice", "password": "x", "phone": ["1"]}, "phone"),
        ({"login": "alice", "password": "x", "external_user_id": 2**64}, "external_user_id"),
        ({"login": "alice", "password": "x", "timezone": "far"}, "timezone"),
        ({"login": "alice", "password": "x", "tag_list": ["a,b"]}, "tag_list"),
        ({"login": "alice", "password": "x", "tag_list": ["t"] * 2 + [1, {}]}, "tag_list"),
        (
            {"login": "alice", "password": "x", "user_tags": [f"t{i}" for i in range(51)]},
            "user_tags",
        ),
    ],
)
async def test_bad_users(api: Api, members: dict[str, Any], field: str) -> None:
    """422 names the member that is wrong."""
    application = await api.with_session()
    response = await application.post("/users", user(**members))
    assert response.status_code == 422, response.text
    assert field in errors_of(response)


async def test_half_characters_are_refused(api: Api) -> None:
    """Text that is no Unicode text is refused before it reaches the database."""
    application = await api.with_session()
    body = b'{"user": {"login": "al\\ud800ice", "password": "x"}}'
    headers = {"Content-Type": "application/json"}
    response = await application.request("POST", "/users", content=body, headers=headers)
    assert response.status_code == 422
    assert "login" in errors_of(response)


async def test_read_by_every_key(api: Api) -> None:
    """Every way in which the SDKs look for one user."""
    me = await api.as_user("alice")
    assert me.user is not None
    values = {
        "email": "alice@example.org", "phone": "+49 30 1", "facebook_id": "f1",
        "twitter_id": "t1", "external_id": "e-1", "external_user_id": 77,
    }  # fmt: skip
    changed = (await me.put(f"/users/{me.user['id']}.json", user(**values))).json()["user"]
    assert {name: changed[name] for name in values} == values
    reader = await api.with_session()
    for path in (
        f"/users/{changed['id']}.json",
        "/users/by_login.json?login=ALICE",
        "/users/by_email?email=alice@example.org",
        "/users/by_facebook_id?facebook_id=f1",
        "/users/by_twitter_id?twitter_id=t1",
        "/users/by_phone?phone=%2B49%2030%201",
        "/users/phone.json?phone=%2B49%2030%201",
        "/users/external/e-1.json",
        "/users/external/77",
    ):
        response = await reader.get(path)
        assert response.status_code == 200, path
        assert response.json()["user"]["id"] == changed["id"]
    assert (await reader.get("/users?external_user_id=77")).json()["total_entries"] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/users/999999999", 404),
        ("/users/0", 404),
        ("/users/99999999999999999999999", 404),
        (f"/users/{'9' * 5000}", 404),
        ("/users/alice", 404),
        ("/users/by_login?login=nobody", 404),
        ("/users/by_login", 422),
        ("/users/external/nobody", 404),
        ("/users/external/99999999999999999999999", 404),
    ],
)
async def test_nobody_there(api: Api, path: str, status: int) -> None:
    """A user who does not exist is a 404 in the error form, an incomplete question a 422."""
    reader = await api.with_session()
    response = await reader.get(path)
    assert response.status_code == status
    errors_of(response)


async def test_reading_needs_a_session(api: Api) -> None:
    """Nothing about users is told without a token."""
    for path in (
        "/users/1",
        "/users",
        "/users/v2?login=a",
        "/users/online",
        "/users/by_login?login=a",
    ):
        assert (await api.get(path)).json() == SESSION_REQUIRED


async def test_only_oneself_is_changed(api: Api) -> None:
    """Neither another user nor an application session may change or remove somebody."""
    alice, mallory = await api.as_user("alice"), await api.as_user("mallory")
    assert alice.user is not None
    path = f"/users/{alice.user['id']}"
    application = await api.with_session()
    for other in (mallory, application):
        assert (await other.put(path, user(full_name="M"))).status_code == 403
        assert (await other.delete(path)).status_code == 403
    assert (await mallory.delete("/users/external/e-1")).status_code == 403
    assert (await alice.get(path)).json()["user"]["full_name"] is None


async def test_update(api: Api) -> None:
    """Given members change, others stay, null and empty text clear, unknown ones are ignored."""
    me = await api.as_user("alice")
    assert me.user is not None
    path = f"/users/{me.user['id']}"
    await me.put(path, user(full_name="Alice", phone="1", user_tags="a,b", timezone=60))
    body = user(phone=None, full_name="", custom_data="{}", id=5, created_at="x", is_guest=True)
    changed = (await me.put(path, body)).json()["user"]
    assert changed["id"] == me.user["id"]
    assert changed["phone"] is None
    assert changed["full_name"] is None
    assert changed["user_tags"] == "a,b"
    assert changed["timezone"] == 60
    assert changed["custom_data"] == "{}"
    assert changed["is_guest"] is False
    response = await me.put(path, user(login=None))
    assert response.status_code == 422


async def test_password_change(api: Api) -> None:
    """It needs the old password and ends the user's other sessions."""
    me, elsewhere = await api.as_user("alice", "old"), await api.as_user("alice", "old")
    assert me.user is not None
    path = f"/users/{me.user['id']}.json"
    for members in ({"password": "new"}, {"password": "new", "old_password": "guess"}):
        response = await me.put(path, user(**members))
        assert response.status_code == 422
        assert "old_password" in errors_of(response)
    body = user(password="new", oldPassword="old")
    assert (await me.put(path, body)).status_code == 200
    assert (await me.get("/session")).status_code == 200
    assert (await elsewhere.get("/session")).status_code == 401
    assert (await api.session(user={"login": "alice", "password": "old"})).status_code == 401
    assert (await api.session(user={"login": "alice", "password": "new"})).status_code == 201


async def test_update_without_id(api: Api) -> None:
    """What some SDKs send when nobody is logged in is refused without harm."""
    assert (await api.put("/users.json", user(full_name="x"))).status_code == 404


@pytest.mark.parametrize("path", ["/users/{id}.json", "/users/external/e-1"])
async def test_delete_oneself(api: Api, path: str) -> None:
    """The account goes with its sessions, and its name is free again."""
    me = await api.as_user("alice", external_id="e-1")
    elsewhere = await api.as_user("alice")
    assert me.user is not None
    response = await me.delete(path.format(id=me.user["id"]))
    assert (response.status_code, response.text) == (200, "")
    for session in (me, elsewhere):
        assert (await session.get("/session")).json() == SESSION_REQUIRED
    again = await api.as_user("alice", "another")
    assert again.user is not None
    assert again.user["id"] != me.user["id"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_password_reset(api: Api, method: str) -> None:
    """Without mail there is no reset: the answer says whom to ask."""
    options = {"json": {"email": "a@b"}} if method == "POST" else {"params": {"email": "a@b"}}
    response = await api.request(method, "/users/password/reset.json", **options)
    assert response.status_code == 422
    assert "administrator" in errors_of(response)["base"][0]
