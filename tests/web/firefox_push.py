"""A push service for Firefox: the WebSocket that browsers hold to it, and the side of RFC 8030.

What Firefox says on the WebSocket is JSON: ``hello``, then ``register`` for each subscription;
messages come as ``notification`` with the encrypted body in base64url.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve

from ringmesh.server.push.webpush import to_base64url
from tests.push.provider import Answer, Certificate, Provider, Request


class FirefoxPushService(Provider):
    """Hands on what it cannot read.

    Attributes:
        acknowledged: codes that Firefox answered messages with; 100 is delivered.
    """

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate)
        self.acknowledged: asyncio.Queue[int] = asyncio.Queue()
        self._channels: dict[str, tuple[str, str, ServerConnection]] = {}
        self._versions = itertools.count(1)
        self._sending: set[asyncio.Task[None]] = set()
        self._websocket: Server

    async def __aenter__(self) -> Self:
        self._websocket = await serve(self._browser, "127.0.0.1", 0)
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        self._websocket.close()
        await self._websocket.wait_closed()
        await super().__aexit__(*error)

    @property
    def preferences(self) -> dict[str, Any]:
        """What leads Firefox here."""
        port = self._websocket.sockets[0].getsockname()[1]
        return {
            "dom.push.serverURL": f"ws://127.0.0.1:{port}/",
            "dom.push.testing.allowInsecureServerURL": True,
            "dom.push.connection.enabled": True,
            "permissions.default.desktop-notification": 1,
        }

    def handle(self, request: Request) -> Answer:
        """Take a message for a channel, from whoever has the key of its page."""
        channel, key, connection = self._channels.get(request.path, ("", "", None))
        if connection is None:
            return Answer(410)
        match = re.search(r", k=(\S+)$", request.headers.get("authorization", ""))
        if match is None or match[1] != key:
            return Answer(403)
        message = {
            "messageType": "notification",
            "channelID": channel,
            "version": str(next(self._versions)),
            "data": to_base64url(request.body),
            "headers": {"encoding": request.headers["content-encoding"]},
        }
        task = asyncio.ensure_future(connection.send(json.dumps(message)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return Answer(201)

    async def _browser(self, connection: ServerConnection) -> None:
        async for text in connection:
            message = json.loads(text)
            match message.get("messageType"):
                case "hello":
                    answer = {"uaid": secrets.token_hex(16), "status": 200, "use_webpush": True}
                case "register":
                    path = f"/push/{secrets.token_urlsafe(12)}"
                    channel = message["channelID"]
                    self._channels[path] = (channel, message["key"].rstrip("="), connection)
                    endpoint = self.url + path
                    answer = {"channelID": channel, "status": 200, "pushEndpoint": endpoint}
                case "unregister":
                    answer = {"channelID": message["channelID"], "status": 200}
                case "ack":
                    for update in message["updates"]:
                        self.acknowledged.put_nowait(update["code"])
                    continue
                case _:
                    await connection.send("{}")  # a ping
                    continue
            await connection.send(json.dumps({"messageType": message["messageType"]} | answer))
