"""Values handed to everybody who iterates over them, each at their own pace, within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Self, TypeVar
from weakref import WeakSet

_logger = logging.getLogger(__name__)

QUEUE_LIMIT = 1000
"""Values that a slow reader may leave unread; beyond that the oldest are dropped and logged."""

T = TypeVar("T")


class Subscription(Generic[T]):
    """Values published since its creation, to ``async for`` over; ends when the publisher closes.

    Who breaks off early and keeps it closes it, or leaves its ``async with``; else values go on to
    be kept for him.
    """

    def __init__(self, broadcast: Broadcast[T]) -> None:
        self._broadcast = broadcast
        self._queue: deque[T] = deque()
        self._wakeup = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._wakeup.clear()
            with self._broadcast.waiting(self):
                await self._wakeup.wait()
        return self._queue.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop. Unread values are dropped. Idempotent."""
        self._queue.clear()
        self._broadcast.unsubscribe(self)

    def push(self, value: T) -> None:
        """Add a value; for the publisher."""
        if len(self._queue) >= QUEUE_LIMIT:
            lost = self._queue.popleft()
            _logger.warning("events are read too slowly: dropped a %s", type(lost).__name__)
        self._queue.append(value)
        self._wakeup.set()

    def end(self) -> None:
        """No more will come; for the publisher."""
        self._ended = True
        self._wakeup.set()


class Broadcast(Generic[T]):
    """The publisher's side. A subscription that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._subscriptions: WeakSet[Subscription[T]] = WeakSet()
        self._waiting: set[Subscription[T]] = set()
        self._closed = False

    def publish(self, value: T) -> None:
        """Add a value to every subscription."""
        for subscription in self._subscriptions:
            subscription.push(value)

    @property
    def has_subscriptions(self) -> bool:
        """Whether anybody reads."""
        return bool(self._subscriptions)

    def subscribe(self) -> Subscription[T]:
        """A new subscription; it has ended already if the broadcast is closed."""
        subscription = Subscription(self)
        if self._closed:
            subscription.end()
        else:
            self._subscriptions.add(subscription)
        return subscription

    @contextmanager
    def waiting(self, subscription: Subscription[T]) -> Iterator[None]:
        """Hold a subscription while somebody waits for it: his task may be held by nothing else."""
        self._waiting.add(subscription)
        try:
            yield
        finally:
            self._waiting.discard(subscription)

    def unsubscribe(self, subscription: Subscription[T]) -> None:
        """Publish to this one no longer, and end it."""
        self._subscriptions.discard(subscription)
        subscription.end()

    def close(self) -> None:
        """End every subscription once it is read to its end."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()
