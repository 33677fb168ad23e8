"""How a condition on a user becomes SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, not_, or_

from ringmesh.server.store.contract import Condition, Operator
from ringmesh.server.store.schema import users

KEY_COLUMNS: Mapping[str, str] = {"login": "login_key", "email": "email_key"}
"""Columns that hold a field's casefolded form."""

_T = TypeVar("_T")


def fold(field: str, value: _T) -> _T | str:
    """A value as the column that is searched for `field` has it."""
    return value.casefold() if field in KEY_COLUMNS and isinstance(value, str) else value


def join_tags(tags: Collection[str]) -> str | None:
    """Tags in the form of the column ``user_tags``."""
    return f",{','.join(tags)}," if tags else None


def where(condition: Condition) -> ColumnElement[bool]:
    """The condition as an expression on the table ``users``."""
    field = condition.field
    column = users.c[KEY_COLUMNS.get(field, field)]
    values = [fold(field, value) for value in condition.values]
    if field == "user_tags":
        return _tags_where(condition.operator, column, values)
    match condition.operator:
        case Operator.IN:
            return column.in_(values)
        case Operator.NOT_IN:
            return or_(column.is_(None), column.not_in(values))
        case Operator.STARTS_WITH:
            return _starts_with(column, str(values[0]))
        case Operator.GREATER:
            return column > values[0]
        case Operator.LESS:
            return column < values[0]
        case Operator.GREATER_OR_EQUAL:
            return column >= values[0]
        case Operator.LESS_OR_EQUAL:
            return column <= values[0]


def _tags_where(operator: Operator, column: Any, values: list[Any]) -> ColumnElement[bool]:
    prefix_only = operator is Operator.STARTS_WITH
    any_of = or_(
        *(
            column.contains(f",{tag}" if prefix_only else f",{tag},", autoescape=True)
            for tag in values
        )
    )
    if operator is Operator.NOT_IN:
        return or_(column.is_(None), not_(any_of))
    return any_of


def _starts_with(column: Any, prefix: str) -> ColumnElement[bool]:
    # A range can use the index, which LIKE cannot.
    return and_(column >= prefix, column < prefix + "\U0010ffff")
