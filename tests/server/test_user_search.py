"""Searching users: ``/users/v2``, the older ``/users`` and its relatives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import RequestError
from ringmesh.server.rest.user_queries import parse_time, v1_query, v2_query
from tests.server.api_client import Api, errors_of

PEOPLE = {
    "alice": {"full_name": "Alice Adams", "user_tags": "red,green", "phone": "1"},
    "bobby": {"full_name": "Bobby Brown", "user_tags": "green", "phone": "2"},
    "carol": {"full_name": "Carol Cook", "user_tags": "blue", "phone": "3"},
    "alina": {"full_name": "Alina_Abel", "phone": "4"},
}


async def people(api: Api) -> tuple[Api, dict[str, int]]:
    """A signed-in reader, and the ids of `PEOPLE` by login."""
    ids = {}
    reader = await api.with_session()
    for login, members in PEOPLE.items():
        body = {"user": {"login": login, "password": "x", **members}}
        ids[login] = (await reader.post("/users", body)).json()["user"]["id"]
    return reader, ids


@pytest.mark.asyncio(loop_scope="session")
async def test_v2(api: Api) -> None:
    """Operators, sorting and paging of the current search."""
    reader, ids = await people(api)

    async def logins(query: str) -> list[str]:
        response = await reader.get(f"/users/v2.json?{query}")
        assert response.status_code == 200, response.text
        return [user["login"] for user in response.json()["items"]]

    alice, bobby = ids["alice"], ids["bobby"]
    assert await logins("login=ALICE") == ["alice"]
    assert await logins(f"id[in][]={alice}&id[in][]={bobby}&sort_desc=id") == ["bobby", "alice"]
    assert await logins(f"id[in]={alice},{bobby}") == ["alice", "bobby"]
    assert await logins("login[start_with]=alic") == ["alice"]
    assert await logins("full_name[start_with]=Alina_") == ["alina"]
    assert await logins("user_tags=green") == ["alice", "bobby"]
    assert await logins("user_tags[in][]=blue&user_tags[in][]=red") == ["alice", "carol"]
    assert await logins("user_tags=green&user_tags[nin][]=red") == ["bobby"]
    assert await logins("user_tags=gree") == []
    assert await logins("phone[in]=1,2,3,4&user_tags[nin]=green") == ["carol", "alina"]
    assert await logins("phone[in]=1,2,3&sort_asc=full_name&limit=2&offset=1") == ["bobby", "carol"]
    assert await logins("phone[in]=1,2&created_at[gt]=2020-01-01T00:00:00Z") == ["alice", "bobby"]
    assert await logins("phone[in]=1,2&created_at[lte]=1600000000") == []


@pytest.mark.asyncio(loop_scope="session")
async def test_v2_page_shape(api: Api) -> None:
    """The page counts all matches and holds users that are not wrapped."""
    reader, _ = await people(api)
    page = (await reader.get("/users/v2?phone[in]=1,2,3,4&limit=2&offset=1")).json()
    assert {name: page[name] for name in ("limit", "skip", "total_entries")} == {
        "limit": 2,
        "skip": 1,
        "total_entries": 4,
    }
    assert [user["login"] for user in page["items"]] == ["bobby", "carol"]
    assert (await reader.get("/users/v2?phone=1")).json()["limit"] == 100
    assert (await reader.get("/users/v2?login[start_with]=alic&limit=50")).json()["limit"] == 5


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "base"),
        ("created_at[gt]=1", "base"),
        ("login[nin]=alice", "base"),
        ("custom_data=1", "custom_data"),
        ("password_hash=1", "password_hash"),
        ("login[like]=al", "login"),
        ("login[in][x]=al", "login"),
        ("login[start_with]=ali", "login"),
        ("login[gt]=alice", "login"),
        ("id=alice", "id"),
        ("id=99999999999999999999", "id"),
        ("id[start_with]=1234", "id"),
        ("phone=1&updated_at[gt]=soon", "updated_at"),
        ("phone=1&limit=x", "limit"),
        ("phone=1&limit=0", "limit"),
        ("phone=1&offset=-1", "offset"),
        ("phone=1&sort_asc=password_hash", "sort_asc"),
        ("phone[in]=" + ",".join("1" * 300), "phone"),
    ],
)
async def test_v2_refusals(api: Api, query: str, field: str) -> None:
    """422 names the parameter that cannot be used."""
    reader = await api.with_session()
    response = await reader.get(f"/users/v2?{query}")
    assert response.status_code == 422, response.text
    assert field in errors_of(response)


@pytest.mark.asyncio(loop_scope="session")
async def test_v1(api: Api) -> None:
    """The older search: filters, order and numbered pages of wrapped users."""
    reader, ids = await people(api)

    async def logins(query: str) -> list[str]:
        response = await reader.get(f"/users.json?{query}")
        assert response.status_code == 200, response.text
        return [item["user"]["login"] for item in response.json()["items"]]

    alice, bobby = ids["alice"], ids["bobby"]
    assert await logins("") == list(PEOPLE)
    assert await logins(f"filter[]=number id in {alice},{bobby}") == ["alice", "bobby"]
    assert await logins("filter[]=string+login+eq+bobby") == ["bobby"]
    assert await logins("filter[]=string%2Blogin%2Beq%2Bbobby") == ["bobby"]
    assert await logins(f"filter[]=number id between {alice},{bobby}") == ["alice", "bobby"]
    assert await logins(f"filter[]=number id gt {alice}&filter[]=number id lt {ids['carol']}") == [
        "bobby"
    ]
    assert await logins("filter[]=string full_name eq Carol Cook") == ["carol"]
    assert await logins("filter[]=string login ne alice&order=desc string login") == [
        "carol",
        "bobby",
        "alina",
    ]
    page = (await reader.get("/users?per_page=3&page=2")).json()
    assert {name: page[name] for name in ("current_page", "per_page", "total_entries")} == {
        "current_page": 2,
        "per_page": 3,
        "total_entries": 4,
    }
    assert [item["user"]["login"] for item in page["items"]] == ["alina"]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "query",
    [
        "filter[]=id",
        "filter[]=number id in x",
        "filter[]=number password_hash eq 1",
        "filter[]=number id about 1",
        "order=sideways",
        "order=asc string password_hash",
        "page=0",
        "per_page=many",
        "&".join(["filter[]=number id gt 0"] * 21),
    ],
)
async def test_v1_refusals(api: Api, query: str) -> None:
    """Filters, orders and pages that make no sense get 422."""
    reader = await api.with_session()
    response = await reader.get(f"/users?{query}")
    assert response.status_code == 422, response.text
    errors_of(response)


@pytest.mark.asyncio(loop_scope="session")
async def test_by_name_and_tags(api: Api) -> None:
    """The searches by full name and by tags, in both spellings of a list."""
    reader, _ = await people(api)
    for path in (
        "/users/by_full_name?full_name=Alice",
        "/users/by_tags?tags=red,purple",
        "/users/by_tags?tags[]=red&tags[]=purple",
    ):
        page = (await reader.get(path)).json()
        assert [item["user"]["login"] for item in page["items"]] == ["alice"], path
    assert (await reader.get("/users/by_tags")).status_code == 422
    assert (await reader.get("/users/by_full_name")).status_code == 422


@pytest.mark.parametrize(
    "text",
    [
        "1600000000",
        "2020-09-13T12:26:40Z",
        "2020-09-13T12:26:40",
        "2020-09-13T14:26:40+02:00",
        "Sun Sep 13 2020 12:26:40 GMT+0000 (Coordinated Universal Time)",
        "Sun Sep 13 2020 14:26:40 GMT+0200 (Central European Summer Time)",
    ],
)
def test_times(text: str) -> None:
    """Times are understood as numbers, in ISO 8601, and as JavaScript prints a Date."""
    assert parse_time(text) == 1_600_000_000


_NAMES = st.one_of(
    st.sampled_from(
        ["id", "id[in][]", "login[start_with]", "created_at[gt]", "limit", "offset", "sort_asc",
         "filter[]", "order", "page", "per_page", "user_tags[nin]", "phone[", "a]b"]
    ),
    st.text(max_size=20),
)  # fmt: skip
_VALUES = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"(number|date|string) (id|login|created_at) (in|between|eq) .{0,10}"),
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=6))
def test_any_query_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    """Whatever is asked, the answer is a bounded query or 422."""
    for read in (v2_query, lambda pairs: v1_query(pairs)[1]):
        try:
            query = read(pairs)
        except RequestError:
            continue
        assert 1 <= query.limit <= 100
        assert query.offset >= 0
