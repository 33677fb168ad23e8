"""Searches as the SDKs write them -> `UserQuery`.

``/users/v2`` has ``field=value`` and ``field[operator][]=value``; the older ``/users`` has
``filter[]=TYPE FIELD OPERATOR VALUE`` and ``order=asc TYPE FIELD``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from ringmesh.errors import RequestError
from ringmesh.server.accounts.user_input import MAX_INTEGER
from ringmesh.server.rest.bracketed import split_name
from ringmesh.server.store.contract import Condition, Operator, UserQuery

MAX_LIMIT = 100
MAX_VALUES = 200
MAX_CONDITIONS = 20
PREFIX_LIMIT = 5
MIN_PREFIX = 4

Pairs: TypeAlias = Iterable[tuple[str, str]]

_NUMBERS = {"id", "external_user_id"}
_DATES = {"created_at", "updated_at", "last_request_at"}
_STAND_ALONE = {
    "id", "login", "email", "full_name", "phone",
    "external_id", "facebook_id", "twitter_id", "user_tags",
}  # fmt: skip
_V1_FIELDS = _STAND_ALONE | _DATES | {"external_user_id"}
_V2_OPERATORS = {operator.value for operator in Operator}
_V1_OPERATORS = {
    "eq": Operator.IN, "in": Operator.IN, "ne": Operator.NOT_IN,
    "gt": Operator.GREATER, "lt": Operator.LESS,
    "ge": Operator.GREATER_OR_EQUAL, "le": Operator.LESS_OR_EQUAL,
}  # fmt: skip
_V1_FILTER = re.compile(r"(number|string|date) +(\w+) +(\w+) +(.*)", re.S)
_V1_ORDER = re.compile(r"(asc|desc) +(?:\w+ +)?(\w+)")


def v2_query(pairs: Pairs) -> UserQuery:
    """Read the query of ``/users/v2``.

    Raises:
        RequestError: 422 naming the parameter that is wrong.
    """
    tests: dict[tuple[str, Operator], list[str]] = {}
    paging: dict[str, str] = {}
    for name, value in pairs:
        if name in ("offset", "limit", "sort_asc", "sort_desc"):
            paging[name] = value
            continue
        field, operator, values = _v2_test(name, value)
        tests.setdefault((field, operator), []).extend(values)
    conditions = tuple(_condition(field, op, values) for (field, op), values in tests.items())
    selecting = (Operator.IN, Operator.STARTS_WITH)
    if not any(c.field in _STAND_ALONE and c.operator in selecting for c in conditions):
        names = ", ".join(sorted(_STAND_ALONE))
        text = f"Search by one of {names}, with a value, 'in' or 'start_with'"
        raise RequestError(422, {"base": [text]})
    sort, descending = _v2_sort(paging)
    limit = _number(paging, "limit", MAX_LIMIT, 1, MAX_LIMIT)
    if any(condition.operator is Operator.STARTS_WITH for condition in conditions):
        limit = min(limit, PREFIX_LIMIT)
    return UserQuery(
        conditions=conditions,
        sort=sort,
        descending=descending,
        offset=_number(paging, "offset", 0, 0, MAX_INTEGER),
        limit=limit,
    )


def v1_query(pairs: Pairs, extra: Sequence[Condition] = ()) -> tuple[int, UserQuery]:
    """Read the query of ``/users`` and its relatives; returns the page's number too.

    Raises:
        RequestError: 422 naming the parameter that is wrong.
    """
    conditions = list(extra)
    paging: dict[str, str] = {}
    for name, value in pairs:
        if name in ("filter[]", "filter"):
            conditions += _v1_filter(value)
        elif name == "external_user_id":
            conditions.append(_condition(name, Operator.IN, [value]))
        else:
            paging[name] = value
    _bound(conditions, "filter")
    page = _number(paging, "page", 1, 1, 1_000_000_000)
    per_page = _number(paging, "per_page", 10, 1, MAX_LIMIT)
    sort, descending = _v1_order(paging.get("order"))
    return page, UserQuery(
        conditions=conditions,
        sort=sort,
        descending=descending,
        offset=(page - 1) * per_page,
        limit=per_page,
    )


def parse_time(text: str) -> int:
    """Seconds since 1970 from ISO 8601, from such seconds, or from what JavaScript's ``Date``
    makes of itself as text.

    Raises:
        ValueError: none of these.
    """
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    if match := re.fullmatch(r"(\w{3} \w{3} \d{2} \d{4} [\d:]{8} GMT[+-]\d{4})( \(.*\))?", text):
        return int(datetime.strptime(match[1], "%a %b %d %Y %H:%M:%S GMT%z").timestamp())
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _v2_test(name: str, value: str) -> tuple[str, Operator, list[str]]:
    parts = split_name(name) or [name]
    field, is_list = parts[0], parts[-1] == ""
    operators = parts[1:-1] if is_list else parts[1:]
    if field not in _STAND_ALONE | _DATES:
        raise RequestError(422, {field[:100]: ["cannot be searched for"]})
    if not operators:
        return field, Operator.IN, [value]
    if len(operators) > 1 or operators[0] not in _V2_OPERATORS:
        known = ", ".join(sorted(_V2_OPERATORS))
        raise RequestError(422, {field: [f"has an unknown operator; known are {known}"]})
    operator = Operator(operators[0])
    takes_several = operator in (Operator.IN, Operator.NOT_IN)
    return field, operator, value.split(",") if takes_several and not is_list else [value]


def _v2_sort(paging: dict[str, str]) -> tuple[str, bool]:
    for name in ("sort_asc", "sort_desc"):
        if name in paging:
            if paging[name] not in _STAND_ALONE | _DATES:
                raise RequestError(422, {name: ["names no field that can be sorted by"]})
            return paging[name], name == "sort_desc"
    return "id", False


def _v1_filter(text: str) -> list[Condition]:
    match = _V1_FILTER.fullmatch(text.replace("+", " ", 3) if " " not in text else text)
    if match is None or match[2] not in _V1_FIELDS:
        wanted = "must be TYPE FIELD OPERATOR VALUE, for instance 'number id in 1,2'"
        raise RequestError(422, {"filter": [wanted]})
    _, field, operator, value = match.groups()
    if operator == "between":
        low, _, high = value.partition(",")
        return [
            _condition(field, Operator.GREATER_OR_EQUAL, [low], any_field=True),
            _condition(field, Operator.LESS_OR_EQUAL, [high], any_field=True),
        ]
    if operator not in _V1_OPERATORS:
        raise RequestError(422, {"filter": ["has an unknown operator"]})
    values = value.split(",") if operator == "in" else [value]
    return [_condition(field, _V1_OPERATORS[operator], values, any_field=True)]


def _v1_order(text: str | None) -> tuple[str, bool]:
    if text is None:
        return "id", False
    match = _V1_ORDER.fullmatch(text.replace("+", " "))
    if match is None or match[2] not in _V1_FIELDS:
        wanted = "must be 'asc' or 'desc', a type and a field, for instance 'desc date created_at'"
        raise RequestError(422, {"order": [wanted]})
    return match[2], match[1] == "desc"


def _condition(
    field: str, operator: Operator, values: list[str], *, any_field: bool = False
) -> Condition:
    if len(values) > MAX_VALUES:
        raise RequestError(422, {field: [f"has more than {MAX_VALUES} values"]})
    several = operator in (Operator.IN, Operator.NOT_IN)
    if not several and len(values) != 1:
        raise RequestError(422, {field: [f"takes one value with '{operator}'"]})
    if operator is Operator.STARTS_WITH:
        if field in _NUMBERS | _DATES:
            raise RequestError(422, {field: ["is not text"]})
        if len(values[0]) < MIN_PREFIX:
            raise RequestError(
                422, {field: [f"needs at least {MIN_PREFIX} characters to begin with"]}
            )
    elif not several and not any_field and field not in _DATES:
        raise RequestError(422, {field: [f"is no date, as '{operator}' needs"]})
    return Condition(field, operator, tuple(_value(field, value) for value in values))


def _value(field: str, text: str) -> str | int:
    try:
        if field in _DATES:
            return parse_time(text)
        if field in _NUMBERS:
            return _integer(text)
    except (ValueError, OverflowError):
        kind = "a time" if field in _DATES else "a whole number"
        raise RequestError(422, {field: [f"is not {kind}"]}) from None
    return text


def _integer(text: str) -> int:
    if not re.fullmatch(r" *-?[0-9]{1,19} *", text) or abs(int(text)) > MAX_INTEGER:
        raise ValueError("not a whole number")
    return int(text)


def _number(paging: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    try:
        number = _integer(paging.get(name, str(default)))
    except ValueError:
        raise RequestError(422, {name: ["is not a whole number"]}) from None
    if number < least:
        raise RequestError(422, {name: [f"must be at least {least}"]})
    return min(number, most)


def _bound(conditions: Sequence[Condition], name: str) -> None:
    if len(conditions) > MAX_CONDITIONS:
        raise RequestError(422, {name: [f"is given more than {MAX_CONDITIONS} times"]})
