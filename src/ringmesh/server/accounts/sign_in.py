"""Who somebody is: passwords at REST, passwords and tokens at the chat."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ringmesh.errors import AuthenticationError, RequestError
from ringmesh.server.accounts.login_guard import LoginGuard
from ringmesh.server.accounts.models import User
from ringmesh.server.accounts.one_time import is_one_time, opens
from ringmesh.server.accounts.passwords import Passwords
from ringmesh.server.accounts.scram import Scram
from ringmesh.server.accounts.sessions import Sessions
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.accounts.users import Users
from ringmesh.server.settings import Settings
from ringmesh.server.store.contract import Store

_logger = structlog.get_logger(__name__)

_REFUSED = "Unauthorized"


class SignIn:
    """Checks passwords and tokens, with a limit on failures that REST and chat share."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        passwords: Passwords,
        sessions: Sessions,
        users: Users,
        clock: Callable[[], float],
        guard: LoginGuard,
        scram: Scram | None = None,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._sessions = sessions
        self._users = users
        self._clock = clock
        self._guard = guard
        self._scram = scram
        self._may_create = settings.create_users_at_login

    async def sign_in(
        self, application_id: int, given: UserInput, address: str, *, may_create: bool = False
    ) -> User:
        """The user with this login or e-mail address and password, which may be a one-time one.

        Args:
            may_create: make the user if there is none, where the settings allow it.

        Raises:
            AuthenticationError: unknown user or wrong password.
            RequestError: 422 for incomplete credentials, 429 after too many failures.
        """
        name = given.login or given.email
        if name is None:
            raise RequestError(422, {"login": ["is required, or email"]})
        if given.password is None:
            raise RequestError(422, {"password": ["is required"]})
        user = await self._find(application_id, given)
        if user is not None:
            hashed = await self._store.password_hash(application_id, user.id)
            if not await self._spend(user, given.password, hashed):
                await self._check(_account(user), address, given.password, hashed)
                await self._learn(application_id, user.id, given.password, hashed)
            return user
        account = f"{application_id}/{name.casefold()}"
        if may_create and self._may_create:
            self._guard.check(account, address)
            return await self.sign_up(application_id, given, address)
        await self._check(account, address, given.password, None)
        raise AuthenticationError(_REFUSED)

    async def sign_up(self, application_id: int, given: UserInput, address: str) -> User:
        """Make a user.

        Raises:
            RequestError: 422 naming what is missing or taken, 429 after too many.
        """
        self._guard.count_new_account(address)
        user = await self._users.create(application_id, given)
        if self._scram is not None and given.password is not None:
            hashed = await self._store.password_hash(application_id, user.id)
            await self._learn(application_id, user.id, given.password, hashed)
        return user

    async def admit_guest(self, application_id: int, given: UserInput, address: str) -> User:
        """Make a guest.

        Raises:
            RequestError: 422 naming what is taken, 429 after too many.
        """
        self._guard.count_new_account(address)
        return await self._users.create_guest(application_id, given)

    async def knows_password(self, user: User, password: str, address: str) -> bool:
        """Whether this is the password of somebody who is signed in.

        Raises:
            RequestError: 429 after too many failures, 503 when too many wait.
        """
        hashed = await self._store.password_hash(user.application_id, user.id)
        try:
            await self._check(_account(user), address, password, hashed)
        except AuthenticationError:
            return False
        return True

    async def has_password(self, user: User) -> bool:
        """Whether the user can log in again; one-time passwords do not count."""
        hashed = await self._store.password_hash(user.application_id, user.id)
        return hashed is not None and not is_one_time(hashed)

    async def authenticate_chat(
        self, application_id: int, user_id: int, secret: str, address: str
    ) -> None:
        """Check a user's password or one of the user's live session tokens.

        A token costs one look-up and is not subject to the limits: nobody guesses 160 bits.

        Args:
            secret: password or token.
            address: the client's address without port.

        Raises:
            AuthenticationError: neither is right, or there is no such user.
            RequestError: 429 after too many failures, 503 when too many wait.
        """
        live = await self._sessions.find(secret)
        if live is not None:
            session = live.session
            if (session.application_id, session.user_id) == (application_id, user_id):
                return
        hashed = await self._store.password_hash(application_id, user_id)
        await self._check(f"{application_id}#{user_id}", address, secret, hashed)
        await self._learn(application_id, user_id, secret, hashed)

    async def _learn(
        self, application_id: int, user_id: int, password: str, hashed: str | None
    ) -> None:
        """See a right password, for logins that do not tell it."""
        if self._scram is not None and hashed is not None:
            await self._scram.learn_password(application_id, user_id, password, hashed)

    async def _spend(self, user: User, password: str, hashed: str | None) -> bool:
        """Use a one-time password up. Not subject to the limits: nobody guesses 144 bits."""
        if hashed is None or not is_one_time(hashed):
            return False
        if not opens(password, hashed, int(self._clock())):
            return False
        return await self._store.spend_password_hash(user.application_id, user.id, hashed)

    async def _check(self, account: str, address: str, password: str, hashed: str | None) -> None:
        """Compare, unless too many attempts have failed.

        The second look at the limit makes attempts worthless that were sent all at once.
        """
        try:
            self._guard.check(account, address)
            right = await self._passwords.matches(password, hashed)
            self._guard.check(account, address)
        except RequestError as error:
            _logger.warning("log-in refused", address=address, status=error.status)
            raise
        if not right or hashed is None:
            self._guard.failed(account, address)
            _logger.warning("log-in failed", address=address)
            raise AuthenticationError(_REFUSED)
        self._guard.succeeded(account, address)

    async def _find(self, application_id: int, given: UserInput) -> User | None:
        for field in ("login", "email"):
            value = getattr(given, field)
            if value is not None:
                user = await self._store.user_by(application_id, field, value)
                if user is not None:
                    return user
        return None


def _account(user: User) -> str:
    return f"{user.application_id}#{user.id}"
