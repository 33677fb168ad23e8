"""REST sessions: how long a token lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ringmesh.server.accounts.models import Session, User
from ringmesh.server.accounts.scram import Scram
from ringmesh.server.accounts.tokens import new_token, token_hash
from ringmesh.server.settings import Settings
from ringmesh.server.store.contract import Store

_LONGEST_SLACK = 60
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session in use.

    Attributes:
        expires_at: until when the token is good if it is not used again.
        user: whose it is, as of when the session was looked up.
    """

    session: Session
    token: str
    expires_at: int
    user: User | None = None


class Sessions:
    """Opens, finds, prolongs and ends sessions.

    A session lives for ``session_lifetime_seconds`` after its last use. Its end in the store lies
    up to a minute later, so that not every request has to write: what a client is promised holds.
    A guest's session ends ``guest_lifetime_seconds`` after it began.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Callable[[], float],
        scram: Scram | None = None,
    ) -> None:
        self._store = store
        self._scram = scram
        self._clock = clock
        self._lifetime = settings.session_lifetime_seconds
        self._guest_lifetime = settings.guest_lifetime_seconds
        self._slack = min(_LONGEST_SLACK, self._lifetime // 4)

    async def open(self, application_id: int, user: User | None) -> LiveSession:
        """Make a session for a user, or for the application alone."""
        now = self._now()
        token = new_token()
        hashed = token_hash(token)
        assert hashed is not None
        is_guest = user is not None and user.is_guest
        session = await self._store.add_session(
            application_id,
            None if user is None else user.id,
            hashed,
            now=now,
            expires_at=self._end(now, is_guest),
            fixed_expiry=is_guest,
        )
        if user is not None:
            await self._store.touch_user(user.id, now)
        await self._learn(session, token)
        return self._live(session, token, now)

    async def find(self, token: str) -> LiveSession | None:
        """The session of a token, prolonged; None when it is unknown or has ended."""
        hashed = token_hash(token)
        found = None if hashed is None else await self._store.session(hashed)
        now = self._now()
        if found is None or found[0].expires_at <= now:
            return None
        session, user = found
        if not session.fixed_expiry and session.expires_at < now + self._lifetime:
            await self._store.prolong_session(session.id, now, self._end(now, is_guest=False))
            if session.user_id is not None:
                await self._store.touch_user(session.user_id, now)
        return replace(self._live(session, token, now), user=user)

    async def sign_in(self, live: LiveSession, user: User) -> LiveSession | None:
        """Make this session the user's. None when it has ended meanwhile."""
        return await self._set_user(live, user)

    async def sign_out(self, live: LiveSession) -> LiveSession | None:
        """Make this session one of the application alone. None when it has ended meanwhile."""
        return await self._set_user(live, None)

    async def end(self, live: LiveSession) -> None:
        """Forget a session; its token is worth nothing any more."""
        await self._store.remove_session(live.session.id)

    async def end_other(self, live: LiveSession, session_id: int) -> bool:
        """End a session of the same user by its id; False when there is none."""
        if live.session.id == session_id:
            await self.end(live)
            return True
        if live.session.user_id is None:
            return False
        return await self._store.remove_user_sessions(live.session.user_id, only=session_id) > 0

    async def end_others(self, live: LiveSession) -> None:
        """End all of the user's sessions except this one."""
        if live.session.user_id is not None:
            await self._store.remove_user_sessions(live.session.user_id, keep=live.session.id)

    async def end_all(self, user: User) -> None:
        """End all of a user's sessions."""
        await self._store.remove_user_sessions(user.id)

    async def remove_expired(self) -> None:
        """Remove some of the sessions that have ended."""
        await self._store.remove_expired_sessions(self._now(), _BATCH)

    async def _set_user(self, live: LiveSession, user: User | None) -> LiveSession | None:
        now = self._now()
        is_guest = user is not None and user.is_guest
        session = await self._store.set_session_user(
            live.session.id,
            None if user is None else user.id,
            now=now,
            expires_at=self._end(now, is_guest),
            fixed_expiry=is_guest,
        )
        if session is None:
            return None
        await self._learn(session, live.token)
        return self._live(session, live.token, now)

    async def _learn(self, session: Session, token: str) -> None:
        if self._scram is not None:
            await self._scram.learn_token(session, token)

    def _now(self) -> int:
        return int(self._clock())

    def _end(self, now: int, is_guest: bool) -> int:
        return now + (self._guest_lifetime if is_guest else self._lifetime + self._slack)

    def _live(self, session: Session, token: str, now: int) -> LiveSession:
        promised = session.expires_at if session.fixed_expiry else now + self._lifetime
        return LiveSession(session=session, token=token, expires_at=promised)
