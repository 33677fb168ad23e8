"""What holds for every path: suffix, headers, CORS, bodies, errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmesh.server.rest.bracketed import parse_form
from tests.server.api_client import Api, errors_of, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON_TYPE = "application/json; charset=utf-8"


async def test_every_api_path_has_both_forms(api: Api) -> None:
    """With and without ``.json`` a path is the same."""
    me = await api.as_user("alice")
    assert me.user is not None
    for path in (
        "/session",
        "/users",
        f"/users/{me.user['id']}",
        "/users/online",
        "/ice_servers",
        "/health",
    ):
        plain, suffixed = await me.get(path), await me.get(f"{path}.json")
        assert plain.status_code == suffixed.status_code == 200
        assert plain.json() == suffixed.json()


async def test_headers_of_every_answer(api: Api) -> None:
    """Answers, refusals and unknown paths tell the token's expiry, and JSON its charset."""
    me = await api.as_user("alice")
    for path in ("/session", "/users/999999", "/unknown/path.json", "/users/v2", "/health"):
        response = await me.get(path)
        assert response.headers["content-type"] == JSON_TYPE
        expiry = datetime.strptime(
            response.headers["CB-Token-ExpirationDate"], "%Y-%m-%d %H:%M:%S UTC"
        ).replace(tzinfo=UTC)
        assert timedelta(minutes=119) < expiry - datetime.now(UTC) <= timedelta(minutes=120)


async def test_expiry_without_session_is_now(api: Api) -> None:
    """Without a live token the header says that nothing is valid from now on."""
    response = await api.get("/session")
    expiry = datetime.strptime(
        response.headers["CB-Token-ExpirationDate"], "%Y-%m-%d %H:%M:%S UTC"
    ).replace(tzinfo=UTC)
    assert expiry <= datetime.now(UTC)


async def test_no_success_without_status_200(api: Api) -> None:
    """Deletions answer 200 with an empty body: mobile SDKs take 204 for an error."""
    for path in ("/session/list", "/login", "/session"):
        me = await api.as_user("alice")
        response = await me.delete(path)
        assert (response.status_code, response.content) == (200, b"")


async def test_cors(api: Api) -> None:
    """A browser's preflight passes for the SDKs' headers, and the expiry is readable."""
    preflight = await api.request(
        "OPTIONS",
        "/calls/reject.json",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "cb-sdk,cb-token,cb-authkey,content-type,"
            "connectycube-rest-api-version",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert method in preflight.headers["Access-Control-Allow-Methods"]
    for path in ("/session", "/unknown"):
        response = await api.get(path, headers={"Origin": "https://app.example"})
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "CB-Token-ExpirationDate" in response.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/chat/Dialog.json", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%00", 404),
        ("GET", "/session/abc", 405),
        ("DELETE", "/session/abc", 404),
        ("PATCH", "/users", 405),
        ("PROPFIND", "/session", 405),
    ],
)
async def test_unknown_paths_and_methods(api: Api, method: str, path: str, status: int) -> None:
    """What does not exist is refused in the error form."""
    me = await api.as_user("alice")
    response = await me.request(method, path)
    assert response.status_code == status
    errors_of(response)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b'{"application_id": NaN, "auth_key": "x"}', 422),
        (b"[" * 20_000, 400),
        (b'{"application_id": ' + b"9" * 5_000 + b', "auth_key": "x"}', 400),
        (b'{"application_id": 1, "auth_key": "\\ud800"}', 422),
    ],
)
async def test_bad_bodies(api: Api, body: bytes, status: int) -> None:
    """Bodies that are not the JSON wanted are refused, none crashes anything."""
    headers = {"Content-Type": "application/json;charset=utf-8"}
    response = await api.request("POST", "/session", content=body, headers=headers)
    assert response.status_code == status, response.text
    errors_of(response)


async def test_body_without_type_is_json(api: Api) -> None:
    """A client that does not name the type of its body means JSON."""
    response = await api.request("POST", "/session", content=json.dumps(api.credentials).encode())
    assert response.status_code == 201


async def test_form_bodies(api: Api) -> None:
    """Form-encoded bodies with bracketed names mean the same as JSON."""
    form = {
        "application_id": str(api.application.id),
        "auth_key": api.application.auth_key,
        "user[login]": "zoë & co",
        "user[password]": "päss=wörd",
    }
    response = await api.request("POST", "/session.json", data=form)
    assert response.status_code == 201, response.text
    user = {"login": "zoë & co", "password": "päss=wörd"}
    assert (await api.session(user=user)).status_code == 201
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for bad in (b"user=1&user[login]=x", b"a[=1", b"x=%ff", b"\xff=1", b"&".join([b"a=1"] * 300)):
        response = await api.request("POST", "/session", content=bad, headers=headers)
        assert response.status_code == 400, bad
        errors_of(response)


async def test_body_size_is_bounded(api: Api) -> None:
    """A body beyond the limit is refused, whether its length is declared or not."""

    async def endless() -> object:
        for _ in range(1_000):
            yield b" " * 1_000

    for content in (b" " * 100_000, endless()):
        response = await api.request("POST", "/session", content=content)
        assert response.status_code == 413
        errors_of(response)


@given(st.text(alphabet="ab[]=&%12", max_size=40))
async def test_any_form_is_read_or_refused(text: str) -> None:
    """Reading a form either gives nested text values or raises ValueError."""
    try:
        form = parse_form(text)
    except ValueError:
        return
    json.dumps(form)


_MEMBERS = st.sampled_from(
    ["user", "login", "email", "password", "old_password", "guest", "full_name", "tag_list",
     "external_user_id", "timezone", "nonce", "signature", "provider", "sessionID", "recipientId",
     "platform", "userInfo"]
)  # fmt: skip
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=80)
@given(
    st.sampled_from(["POST /session", "POST /login", "POST /users", "PUT /users/me",
                     "POST /calls/reject"]),
    st.dictionaries(_MEMBERS, _JSON, max_size=6),
)  # fmt: skip
async def test_any_body_is_answered(shared_api: Api, call: str, body: dict[str, Any]) -> None:
    """Whatever a body holds, the answer is a success or a refusal in the error form."""
    me = await shared_api.as_user("fuzzer")
    assert me.user is not None
    method, path = call.replace("me", str(me.user["id"])).split()
    if path == "/session":
        body = {**shared_api.credentials, **body}
    if path.startswith("/users"):
        body = {"user": body}
    headers = {"Content-Type": "application/json"}
    content = json.dumps(body).encode()
    response = await me.request(method, path, content=content, headers=headers)
    assert response.status_code < 500
    if response.status_code >= 400:
        errors_of(response)


async def test_crashes_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is a 500 in the error form, without a word about its cause."""
    async with serving(tmp_path) as api:
        me = await api.as_user("alice")

        async def broken(*_: object) -> object:
            raise RuntimeError("database password is hunter2")

        monkeypatch.setattr(api.server.accounts.users, "get", broken)
        response = await me.get("/users/1", headers={"Origin": "https://app.example"})
        assert response.status_code == 500
        assert errors_of(response) == {"base": ["Internal server error"]}
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "CB-Token-ExpirationDate" in response.headers


async def test_openapi_declares_refusals(api: Api) -> None:
    """The API describes itself, its errors included."""
    document = (await api.get("/openapi.json")).json()
    assert {"/session", "/users/v2", "/calls/reject", "/ice_servers"} <= set(document["paths"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert "422" in operation["responses"], (method, path)
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema["$ref"].endswith("/Errors")
