"""Writing many users at once, again and again without harm: moving in from another service."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from ringmesh.errors import RequestError
from ringmesh.server.accounts.models import GUEST_LOGIN_PREFIX, User
from ringmesh.server.accounts.one_time import is_one_time, new_one_time_password
from ringmesh.server.accounts.passwords import Passwords
from ringmesh.server.accounts.user_input import UserInput, validated
from ringmesh.server.store.contract import Store, UserEntry

BATCH = 100
"""Users that are best given to `UserImport.save` at a time."""

MAX_ID = 2_000_000_000
"""Greatest id that a user may bring along: what mobile SDKs read as 32 bits must go on from it."""

_KEYS = ("external_id", "login", "email")


class Outcome(StrEnum):
    """What became of one user."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to import.

    Attributes:
        keep_ids: new users get the id that they had.
        one_time_passwords: make one for everybody who has no password.
        dry_run: change nothing, but say what would happen.
    """

    keep_ids: bool = False
    one_time_passwords: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one user.

    Attributes:
        errors: texts by member, why the user was refused.
        one_time_password: the new one, if one was made.
    """

    outcome: Outcome
    user: User | None = None
    errors: Mapping[str, Sequence[str]] | None = None
    one_time_password: str | None = None


class ImportedUser(UserInput):
    """A user object as an export has it. ``id`` is the one in the other service."""

    id: Annotated[str | None, Field(max_length=255)] = None


Candidate: TypeAlias = tuple[int, Mapping[str, Any]]
"""Where in the file a user stands (a line number), and the members."""


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What is to be done about one candidate."""

    index: int
    existing: User | None
    values: dict[str, Any]
    new_id: int | None
    password: str | None
    one_time_password: str | None = None
    hashed: str | None = None


class UserImport:
    """Creates and changes users of one application.

    A user is recognised by ``external_id``, else by ``login``, else by ``email``. Members that are
    null or empty leave what is there. A password only counts for users who have none. ``id``
    becomes ``external_id`` unless that is given too.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        clock: Callable[[], float],
        application_id: int,
        options: ImportOptions,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._application_id = application_id
        self._options = options
        # A private database in a temporary file: a file of any length fits.
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._seen.execute("BEGIN")

    def close(self) -> None:
        """Forget which users the file has had."""
        self._seen.close()

    async def save(self, candidates: Sequence[Candidate]) -> list[Imported]:
        """Write users; tells for each what became of it, in the same order."""
        results: dict[int, Imported] = {}
        users: dict[int, ImportedUser] = {}
        for index, (line, members) in enumerate(candidates):
            try:
                users[index] = self._read(line, members)
            except RequestError as error:
                results[index] = Imported(outcome=Outcome.REFUSED, errors=error.errors)
        known = await self._known(list(users.values()))
        plans = []
        for index, user in users.items():
            try:
                plan = self._plan(index, user, known)
            except RequestError as error:
                results[index] = Imported(outcome=Outcome.REFUSED, errors=error.errors)
                continue
            if plan.existing is None or plan.values or plan.password or plan.one_time_password:
                plans.append(plan)
            else:
                results[index] = Imported(outcome=Outcome.UNCHANGED, user=plan.existing)
        results |= await self._write(plans)
        return [results[index] for index in range(len(candidates))]

    def _read(self, line: int, members: Mapping[str, Any]) -> ImportedUser:
        given = {name: value for name, value in members.items() if value not in (None, "")}
        user = validated(ImportedUser, given)
        if user.external_id is None and user.id is not None:
            user = user.model_copy(update={"external_id": user.id})
        problems = {}
        if user.login is None and user.email is None:
            problems["login"] = ["is required, or email"]
        if user.login is not None and user.login.casefold().startswith(GUEST_LOGIN_PREFIX):
            problems["login"] = ["is that of a guest"]
        if self._options.keep_ids and not _is_id(user.id):
            problems["id"] = [f"must be a whole number from 1 to {MAX_ID}"]
        problems = problems or self._repeated(line, user)
        if problems:
            raise RequestError(422, problems)
        return user

    def _repeated(self, line: int, user: ImportedUser) -> dict[str, list[str]]:
        problems = {}
        names = (*_KEYS, "id") if self._options.keep_ids else _KEYS
        for name in names:
            value = getattr(user, name)
            if value is None:
                continue
            key = f"{name}={_key(name, value)}"
            found = self._seen.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
            if found is not None:
                problems[name] = [f"is the same as in line {found[0]}"]
            else:
                self._seen.execute("INSERT INTO seen VALUES (?, ?)", (key, line))
        return problems

    async def _known(
        self, users: Sequence[ImportedUser]
    ) -> dict[tuple[str, str], tuple[User, str | None]]:
        known = {}
        for name in _KEYS:
            values = {value for user in users if (value := getattr(user, name)) is not None}
            for user, hashed in await self._store.users_with(self._application_id, name, values):
                known[name, _key(name, getattr(user, name))] = user, hashed
        return known

    def _plan(
        self,
        index: int,
        user: ImportedUser,
        known: Mapping[tuple[str, str], tuple[User, str | None]],
    ) -> _Plan:
        existing, hashed = _find(user, known)
        if existing is not None:
            self._check_same(user, existing)
        has_password = hashed is not None and not is_one_time(hashed)
        plan = _Plan(
            index=index,
            existing=existing,
            values={
                name: value
                for name, value in user.values().items()
                if existing is None or getattr(existing, name) != value
            },
            new_id=int(user.id) if self._options.keep_ids and user.id is not None else None,
            password=None if has_password else user.password,
        )
        if not has_password and plan.password is None and self._options.one_time_passwords:
            plan.one_time_password, plan.hashed = new_one_time_password(int(self._clock()))
        return plan

    def _check_same(self, user: ImportedUser, existing: User) -> None:
        problems = {}
        if self._options.keep_ids and str(existing.id) != user.id:
            problems["id"] = [f"of this user is {existing.id} here"]
        if existing.external_id not in (None, user.external_id) and user.external_id is not None:
            problems["external_id"] = [f"of this user is {existing.external_id} here"]
        if problems:
            raise RequestError(422, problems)

    async def _write(self, plans: Sequence[_Plan]) -> dict[int, Imported]:
        if not self._options.dry_run:
            await asyncio.gather(*(self._hash(plan) for plan in plans))
        entries = [
            UserEntry(
                existing=None if plan.existing is None else plan.existing.id,
                new_id=plan.new_id,
                values=plan.values,
                password_hash=plan.hashed,
            )
            for plan in plans
        ]
        now, dry_run = int(self._clock()), self._options.dry_run
        saved = await self._store.save_users(self._application_id, entries, now, dry_run=dry_run)
        return {plan.index: _result(plan, one) for plan, one in zip(plans, saved, strict=True)}

    async def _hash(self, plan: _Plan) -> None:
        if plan.password is not None:
            plan.hashed = await self._passwords.hash(plan.password)


def _find(
    user: ImportedUser, known: Mapping[tuple[str, str], tuple[User, str | None]]
) -> tuple[User | None, str | None]:
    for name in _KEYS:
        value = getattr(user, name)
        if value is not None and (found := known.get((name, _key(name, value)))) is not None:
            return found
    return None, None


def _result(plan: _Plan, saved: User | str) -> Imported:
    if isinstance(saved, str):
        errors = {saved: ["has already been taken"]}
        return Imported(outcome=Outcome.REFUSED, errors=errors)
    return Imported(
        outcome=Outcome.CREATED if plan.existing is None else Outcome.UPDATED,
        user=saved,
        one_time_password=plan.one_time_password,
    )


def _key(name: str, value: str) -> str:
    return value if name in ("external_id", "id") else value.casefold()


def _is_id(text: str | None) -> bool:
    return (
        text is not None
        and re.fullmatch(r"[1-9][0-9]{0,9}", text) is not None
        and (int(text) <= MAX_ID)
    )
