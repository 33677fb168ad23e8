"""When a leg restarts ICE by itself, whose offers count, and how many a peer may send.

Offers between Ringmesh clients are numbered, from 1 for the ``call``: ``offerNumber`` in the offer,
``answerNumber`` in its answer. Other SDKs leave both out, which is also how they are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from ringmesh.calls.transitions import OWN_OFFER, LegEvent, LegState, RestartState
from ringmesh.signals import Signal

_APPLYING = (RestartState.ACCEPTED, RestartState.ANSWERING, RestartState.REANSWERING)

OFFER_NUMBER, ANSWER_NUMBER = "offerNumber", "answerNumber"
REPEATS_EVERY = "repeatsEvery"
"""Fields that Ringmesh clients add to ``call``, ``accept`` and the signals of an ICE restart; the
last one, in whole seconds, to ``call`` only."""

RESTART_DELAY = 2.0
"""Seconds from a loss to the offerer's first restart: shorter ones heal by themselves."""

REQUEST_DELAY = 3.0
"""Seconds until the other side asks for one: the offerer comes first."""

FIRST_RETRY, LONGEST_RETRY = 2.0, 8.0
"""Seconds between two attempts; they grow by half each time."""

MAX_UNNEEDED = 5
"""Attempts to finish a restart while media flows anyway."""

GIVE_WAY_AFTER = 5.0
"""Seconds after which an offer of ours that nobody answered gives way to theirs."""

GRACE = 0.3
"""Seconds that a path gets to come back by itself when the network does."""

REPEAT_AFTER = 1.0
"""Seconds after which an offer or answer that seems to be lost is sent again, at the earliest."""

BURST, REFILL = 6, 2.0
"""Restarts that a peer may ask for at once, and seconds for each further one."""


def number_of(signal: Signal, name: str) -> int | None:
    """A number among the extra fields; None where there is none."""
    text = signal.extra.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


class Recovery:
    """What one leg knows of its ICE restarts.

    Attributes: `due_at` is when the next attempt is due (None: not running), `numbered` whether
    the other side is a Ringmesh client. `offer` and `answered` are the numbers of our newest offer
    and of theirs that was answered last. Times are in monotonic seconds.
    """

    __slots__ = (
        "_attempts",
        "_automatic",
        "_credit",
        "_credit_at",
        "_moved",
        "_offered_at",
        "_stored",
        "answered",
        "due_at",
        "numbered",
        "offer",
    )

    def __init__(self, *, automatic: bool) -> None:
        self.due_at: float | None = None
        self.numbered = False
        self.offer = 1
        self.answered = 0
        self._automatic = automatic
        self._moved = False
        self._attempts = 0
        self._offered_at = 0.0
        self._stored = 0
        self._credit = float(BURST)
        self._credit_at = 0.0

    # Whose turn it is

    def event(self, leg: LegState, restart: RestartState, *, offerer: bool) -> LegEvent | None:
        """What to do when `due_at` has come; None where that has to wait."""
        if restart in _APPLYING:
            return None
        if restart is RestartState.OFFERED and not self._moved:
            return LegEvent.REPEAT_DUE
        if leg is LegState.CONNECTED and not self._moved:
            return None
        if offerer:
            return LegEvent.RESTART_ICE
        # Other SDKs that made the offer cannot answer one: it would leave them stuck half-way.
        asks = self.numbered and restart is RestartState.IDLE
        return LegEvent.ASK_FOR_RESTART if asks else None

    def gives_way(self, restart: RestartState, now: float, *, offerer: bool) -> bool:
        """Whether their offer goes before ours that is under way.

        Only the side that made the first offer makes offers, so it goes first. Other SDKs' own
        are taken when ours seems to be lost.
        """
        if restart not in OWN_OFFER:
            return True
        return (self.numbered and not offerer) or now - self._offered_at > GIVE_WAY_AFTER

    # What happened

    def lost(self, now: float, *, offerer: bool, hopeless: bool) -> None:
        """The path is gone; `hopeless` when ICE has given up."""
        if not self._automatic:
            return
        if self.due_at is None or (hopeless and not self._attempts):
            delay = RESTART_DELAY if offerer else REQUEST_DELAY
            self.due_at = now if hopeless else now + delay

    def found(self, restart: RestartState) -> None:
        """The path is there."""
        if restart is RestartState.IDLE and not self._moved:
            self.due_at = None
        self._attempts = 0

    def moved(self, now: float) -> None:
        """Our own address changed: what was gathered is worth nothing."""
        if self._automatic:
            self._moved = True
            self.due_at = now
            self._attempts = 0

    def hurry(self, now: float, restart: RestartState) -> None:
        """The network, or the way of our signals, is back: try again now.

        An offer that waited for long is of no use: no STUN or TURN server was in reach.
        """
        if self.due_at is None:
            return
        if restart is not RestartState.OFFERED:
            self.due_at = now if self._attempts else now + GRACE
        elif now - self._offered_at < REPEAT_AFTER:  # it is on its way
            self.due_at = min(self.due_at, now + REPEAT_AFTER)
        else:
            self._moved = True
            self.due_at = now
        self._attempts = 0

    def attempted(self, now: float, leg: LegState) -> None:
        """An offer or a request leaves, or an offer of theirs came."""
        self._moved = False
        self._attempts += 1
        wait = min(FIRST_RETRY * 1.5 ** (self._attempts - 1), LONGEST_RETRY)
        unneeded = leg is LegState.CONNECTED and self._attempts > MAX_UNNEEDED
        self.due_at = None if unneeded else now + wait

    def finished(self, leg: LegState) -> None:
        """The descriptions of a restart are exchanged."""
        if not self._automatic or (leg is LegState.CONNECTED and not self._moved):
            self.due_at = None

    # Numbers

    def offering(self, now: float) -> None:
        """We make another offer."""
        self.offer += 1
        self._offered_at = now

    def stored(self, number: int | None) -> None:
        """An offer of theirs was taken; None when it bears no number."""
        self._stored = self._stored + 1 if number is None else number
        self.numbered |= number is not None

    def answering(self) -> None:
        """We answer the offer stored last."""
        self.answered = self._stored

    def is_old_offer(self, number: int | None) -> bool:
        """One that a newer offer of theirs has overtaken."""
        return number is not None and number < self._stored

    def is_new_offer(self, number: int | None) -> bool:
        """One that is newer than all that we took."""
        return number is not None and number > self._stored

    def is_same_offer(self, number: int | None) -> bool:
        """One that we took already."""
        return number is not None and number == self._stored

    def is_old_answer(self, number: int | None) -> bool:
        """One that does not belong to our newest offer."""
        return number != self.offer if number is not None else self.numbered

    # Bounds

    def allows(self, now: float) -> bool:
        """Whether the peer may make us restart once more, which takes from its credit."""
        earned = max(0.0, now - self._credit_at) / REFILL
        self._credit = min(float(BURST), self._credit + earned)
        self._credit_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


def offer_fields(number: int, repeats_every: float | None = None) -> Mapping[str, str]:
    """What we add to an offer."""
    fields = {OFFER_NUMBER: str(number)}
    if repeats_every is not None:
        fields[REPEATS_EVERY] = f"{repeats_every:.0f}"
    return fields
