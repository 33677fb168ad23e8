"""All of the accounts in one place, as REST, chat and the command line use them."""

from __future__ import annotations

import time
from collections.abc import Callable

from ringmesh.server.accounts.applications import Applications
from ringmesh.server.accounts.login_guard import LoginGuard
from ringmesh.server.accounts.passwords import Passwords
from ringmesh.server.accounts.scram import Scram
from ringmesh.server.accounts.sessions import Sessions
from ringmesh.server.accounts.sign_in import SignIn
from ringmesh.server.accounts.user_import import ImportOptions, UserImport
from ringmesh.server.accounts.users import Users
from ringmesh.server.settings import Settings
from ringmesh.server.store.contract import Store


class Accounts:
    """Applications, users, sessions and log-ins over one store, which it closes.

    Args:
        clock: seconds since 1970-01-01 UTC.

    Attributes:
        scram: logins that do not tell the password, if they are switched on.
    """

    def __init__(
        self, store: Store, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._clock = clock
        self._guest_lifetime = settings.guest_lifetime_seconds
        self._passwords = Passwords()
        self.applications = Applications(store, clock)
        guard = LoginGuard(settings)
        self.scram = Scram(store, guard, clock) if settings.scram else None
        self.sessions = Sessions(store, settings, clock, self.scram)
        self.users = Users(store, self._passwords, clock)
        self.sign_in = SignIn(
            store,
            settings,
            self._passwords,
            self.sessions,
            self.users,
            clock,
            guard,
            self.scram,
        )

    def user_import(self, application_id: int, options: ImportOptions) -> UserImport:
        """Writes many users; close it."""
        return UserImport(self._store, self._passwords, self._clock, application_id, options)

    async def close(self) -> None:
        """Finish what is under way and close the store."""
        await self._passwords.close()
        if self.scram is not None:
            await self.scram.close()
        await self._store.close()

    async def remove_expired(self) -> None:
        """Remove some of the sessions that have ended and of the guests whose time is over."""
        await self.sessions.remove_expired()
        await self.users.remove_expired_guests(self._guest_lifetime)
