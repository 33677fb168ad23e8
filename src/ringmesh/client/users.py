"""Looking users up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ringmesh.client.models import CubeUser
from ringmesh.client.rest import RestClient, path_segment
from ringmesh.errors import ProtocolError

PAGE = 100
"""Users in one answer, the most that the API allows."""


class Users:
    """The users of the application. A user who does not exist is a `RequestError` of status 404."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    async def get(self, user_id: int) -> CubeUser:
        """The user with this id."""
        return await self._one(f"users/{path_segment(user_id)}")

    async def get_by_login(self, login: str) -> CubeUser:
        """The user with this login."""
        return await self._one("users/by_login", ("login", login))

    async def get_by_email(self, email: str) -> CubeUser:
        """The user with this e-mail address."""
        return await self._one("users/by_email", ("email", email))

    async def get_all_by_ids(self, user_ids: Iterable[int]) -> list[CubeUser]:
        """Those of these users who exist, by rising id."""
        wanted = sorted(set(user_ids))
        found: list[CubeUser] = []
        for start in range(0, len(wanted), PAGE):
            page = wanted[start : start + PAGE]
            query = [("id[in][]", str(user_id)) for user_id in page]
            found += await self._page([*query, ("sort_asc", "id"), ("limit", str(PAGE))])
        return found

    async def search(self, full_name: str) -> list[CubeUser]:
        """Users whose full name begins with this text of at least four characters."""
        return await self._page([("full_name[start_with]", full_name)])

    async def sign_up(self, login: str, password: str, *, full_name: str | None = None) -> CubeUser:
        """Create a user. A login that is taken is a `RequestError` of status 422."""
        fields = {"login": login, "password": password}
        if full_name is not None:
            fields["full_name"] = full_name
        return _user(await self._rest.request("POST", "users", body={"user": fields}))

    async def _one(self, path: str, *query: tuple[str, str]) -> CubeUser:
        return _user(await self._rest.request("GET", path, query=query))

    async def _page(self, query: Iterable[tuple[str, str]]) -> list[CubeUser]:
        answer = await self._rest.request("GET", "users/v2", query=query)
        items = answer.get("items") if isinstance(answer, Mapping) else None
        if not isinstance(items, list):
            raise ProtocolError("the server's answer holds no list of users")
        return [CubeUser.from_json(item) for item in items]


def _user(answer: Any) -> CubeUser:
    if not isinstance(answer, Mapping):
        raise ProtocolError("the server's answer holds no user")
    return CubeUser.from_json(answer.get("user"))
