"""What a client or an administrator may say about a user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ringmesh.errors import RequestError

MAX_INTEGER = 2**63 - 1
MAX_TAGS = 50

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def _no_controls(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address")
    return text


def _tags(value: object) -> object:
    """Tags come as a list or as text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return value
    tags = [tag.strip() if isinstance(tag, str) else tag for tag in value]
    if any(isinstance(tag, str) and "," in tag for tag in tags):
        raise ValueError("must not contain commas inside a tag")
    return [tag for tag in tags if tag != ""]


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


Line = Annotated[str, Field(max_length=255), AfterValidator(_no_controls)]
Login = Annotated[str, Field(min_length=3, max_length=70), AfterValidator(_no_controls)]
Email = Annotated[Line, AfterValidator(_email)]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Integer = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Tag = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_no_controls)]
Tags = Annotated[
    tuple[Tag, ...],
    Field(max_length=MAX_TAGS),
    BeforeValidator(_tags),
    AfterValidator(_distinct),
]


class UserInput(BaseModel):
    """Members of a user object that may be written; others are ignored. Empty text means null."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    login: Login | None = None
    email: Email | None = None
    password: Password | None = None
    old_password: Annotated[
        Password | None, Field(validation_alias=AliasChoices("old_password", "oldPassword"))
    ] = None
    full_name: Line | None = None
    phone: Line | None = None
    website: Line | None = None
    external_id: Line | None = None
    external_user_id: Integer | None = None
    facebook_id: Line | None = None
    twitter_id: Line | None = None
    blob_id: Integer | None = None
    custom_data: Annotated[str, Field(max_length=5000)] | None = None
    avatar: Line | None = None
    user_tags: Annotated[
        Tags | None, Field(validation_alias=AliasChoices("tag_list", "user_tags"))
    ] = None
    timezone: Annotated[int, Field(ge=-1440, le=1440)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_null(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        kept = ("password", "old_password", "oldPassword")
        return {
            name: None if value == "" and name not in kept else value
            for name, value in data.items()
        }

    def values(self) -> dict[str, Any]:
        """The fields of `User` that were given, null ones too."""
        values = self.model_dump(include=self.model_fields_set & _USER_FIELDS)
        if "user_tags" in values:
            values["user_tags"] = values["user_tags"] or ()
        return values


_USER_FIELDS = set(UserInput.model_fields) - {"password", "old_password"}

_Model = TypeVar("_Model", bound=BaseModel)


def validated(model: type[_Model], data: Mapping[str, Any]) -> _Model:
    """Read a model.

    Raises:
        RequestError: 422, with the texts of `error_texts`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RequestError(422, error_texts(error.errors(include_url=False))) from None


def error_texts(problems: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What is wrong with each field, from pydantic's list of problems.

    Members of nested objects go by their own name, as clients of this API expect. Values are
    never repeated.
    """
    texts: dict[str, list[str]] = {}
    for problem in problems:
        names = [part for part in problem["loc"] if isinstance(part, str)]
        field = names[-1] if names and names[-1] not in ("body", "query") else "base"
        text = "is required" if problem["type"] == "missing" else problem["msg"]
        for prefix in ("Value error, ", "String ", "Input ", "Value "):
            text = text.removeprefix(prefix)
        if text not in texts.setdefault(field, []):
            texts[field].append(text)
    return texts
