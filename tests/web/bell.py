"""A browser's push subscription, joined to the fake push service, and the worker's notifications.

Everything is real except the way between push service and browser, for which Chromium would need
Google: what the fake push service has decrypted is handed to the service worker by DevTools.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from playwright.async_api import BrowserContext, CDPSession, Error, Page

from tests.push.fake_push_service import BrowserSubscription, FakePushService, Received
from tests.web.page_driver import Person, until

_ANSWER_SECONDS = 5.0

# The browser's push manager, as if it had reached a push service.
PUSH_MANAGER = """
const made = %s;
const kept = (change) => {
  if (change !== undefined) localStorage.setItem('test-subscription', JSON.stringify(change));
  const key = JSON.parse(localStorage.getItem('test-subscription') ?? 'null');
  return key && {
    endpoint: made.endpoint,
    toJSON: () => made,
    unsubscribe: async () => { kept(null); return true; },
    options: {applicationServerKey: new Uint8Array(key).buffer},
  };
};
PushManager.prototype.subscribe = async ({applicationServerKey}) => kept([...applicationServerKey]);
PushManager.prototype.getSubscription = async () => kept();
"""
NOTIFICATIONS = """async () => (await registration.getNotifications()).map(
  ({title, body, tag, actions, data}) =>
    ({title, body, tag, actions: actions.map(({title}) => title), data}))"""
CLICK = """async (action) => {
  const [notification] = await registration.getNotifications();
  const event = new NotificationEvent('notificationclick', {notification, action});
  event.waitUntil = (work) => work;  // only a browser's own events may be extended
  dispatchEvent(event);
}"""


class Bell:
    """One browser profile: its tabs, its worker, its subscription."""

    def __init__(self, context: BrowserContext, url: str, service: FakePushService) -> None:
        self.context = context
        self.url = url
        self.subscription: BrowserSubscription
        self._service = service
        self._devtools: CDPSession
        self._registrations: list[dict[str, Any]] = []
        self._delivered = len(service.received)

    async def prepare(self, page: Page, application_server_key: str) -> None:
        """Before the page is opened: allow notifications, and give it a push manager."""
        await self.context.grant_permissions(["notifications"], origin=self.url)
        self.subscription = self._service.subscribe(application_server_key)
        keys = {"auth": self.subscription.auth, "p256dh": self.subscription.p256dh}
        made = json.dumps({"endpoint": self.subscription.endpoint, "keys": keys})
        await self.context.add_init_script(PUSH_MANAGER % made)
        # A tab elsewhere, so that DevTools stay when the page is closed.
        other = await self.context.new_page()
        self._devtools = await self.context.new_cdp_session(other)
        self._devtools.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: self._registrations.extend(event["registrations"]),
        )
        await self._devtools.send("ServiceWorker.enable")
        await page.bring_to_front()

    async def turn_on(self, person: Person) -> None:
        """Press the button in the page."""
        await person.button("Ring when this page is closed").click()
        await person.notice("You will be notified").wait_for()

    async def deliver(self, signal: str, session_id: str) -> Received:
        """Hand messages of the push service to the worker, up to this one."""

        async def arrived() -> bool:
            return len(self._service.received) > self._delivered

        while True:
            await until(f"a push {signal}", arrived)
            received = self._service.received[self._delivered]
            self._delivered += 1
            await self.push(received.content)
            data = received.content["data"]
            if (data["signal_type"], data["session_id"]) == (signal, session_id):
                return received

    async def push(self, content: object) -> None:
        """Hand anything to the worker; text as it is."""
        data = content if isinstance(content, str) else json.dumps(content)
        number = next(
            one["registrationId"]
            for one in reversed(self._registrations)
            if one["scopeURL"].startswith(self.url) and not one["isDeleted"]
        )
        await self._devtools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self.url, "registrationId": number, "data": data},
        )

    async def _settle(self) -> None:
        """Chromium forgets notifications that it is asked for before the desktop has taken them:
        looking at once would change what is seen."""
        await self.evaluate("() => new Promise((done) => setTimeout(done, 700))")

    async def evaluate(self, script: str, argument: object = None) -> Any:
        """Run a function in the worker. One that has been stopped answers nothing: its successor
        is asked then."""

        async def answer() -> tuple[Any] | None:
            for worker in reversed(self.context.service_workers):
                with suppress(TimeoutError, Error):
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        return (await worker.evaluate(script, argument),)
            return None

        return (await until("an answer of the service worker", answer))[0]

    async def shown(self) -> list[dict[str, Any]]:
        """The notifications that are seen now."""
        found: list[dict[str, Any]] = await self.evaluate(NOTIFICATIONS)
        return found

    async def shows(self, *titles: str) -> list[dict[str, Any]]:
        """Wait until exactly these are seen."""

        async def so() -> list[dict[str, Any]] | bool:
            await self._settle()
            found = await self.shown()
            seen = sorted(one["title"] for one in found)
            return (found or [{}]) if seen == sorted(titles) else False

        found: list[dict[str, Any]] = await until(f"the notifications {titles}", so)
        return found

    async def stays(self, *titles: str) -> None:
        """What the worker has been told so far changes nothing: its next answer comes after it."""
        await self._settle()
        assert [one["title"] for one in await self.shown()] == [*titles]

    async def click(self, action: str) -> None:
        """Press a button of the notification; empty: its body."""
        await self.evaluate(CLICK, action)
