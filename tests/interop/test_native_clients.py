"""Clients over TCP that others wrote, in calls with everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from ringmesh.client.events import (
    ReceiveNewSession,
)
from ringmesh.protocol.jid import user_jid
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.signals import Call, CallType, HangUp
from tests.interop.browser import Browsers, Endpoints
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.native_peer import NativePeer, native_peer
from tests.interop.node_peer import NodePeer, node_peer
from tests.interop.people import LIMIT

Login: TypeAlias = Callable[[], str]
InNode: TypeAlias = Callable[[str], Awaitable[NodePeer]]
Native: TypeAlias = Callable[[str], Awaitable[NativePeer]]

SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-options:trickle\r\n"
WIRES = {
    "ws": "websocket",
    "wss": "websocket",
    "xmpp": "tcp",
    "starttls": "tls",
    "xmpps": "tls",
}


@pytest_asyncio.fixture(loop_scope="session")
async def in_node(server: Server, endpoints: Endpoints, login: Login) -> AsyncIterator[InNode]:
    """Signs people in with the npm SDK in Node, over a transport of `WIRES`."""
    ports = server.ports
    urls = {
        "ws": endpoints.chat_url,
        "wss": f"wss://localhost:{ports['wss_port']}/",
        "xmpp": f"xmpp://localhost:{ports['xmpp_port']}",
        "starttls": f"xmpp://localhost:{ports['xmpp_port']}",
        "xmpps": f"xmpps://localhost:{ports['xmpps_port']}",
    }
    certificate = server.data_dir / "self-signed.pem"
    async with AsyncExitStack() as stack:

        async def enter(transport: str) -> NodePeer:
            tls = transport in ("starttls", "xmpps")
            with capture_logs() as logs:
                peer = await stack.enter_async_context(
                    node_peer(endpoints, urls[transport], login(), PASSWORD, certificate, tls)
                )
            wires = [log["wire"] for log in logs if log["event"] == "chat online"]
            assert wires == [WIRES[transport]]
            return peer

        yield enter


@pytest_asyncio.fixture(loop_scope="session")
async def native(server: Server, endpoints: Endpoints, login: Login) -> AsyncIterator[Native]:
    """Signs people in with slixmpp, over ``starttls`` or ``xmpps``."""
    async with AsyncExitStack() as stack:

        async def enter(transport: str) -> NativePeer:
            user = await server.accounts.users.create(
                endpoints.application_id, UserInput(login=login(), password=PASSWORD)
            )
            jid = user_jid(user.id, endpoints.application_id, endpoints.chat_domain)
            direct = transport == "xmpps"
            port = server.ports["xmpps_port" if direct else "xmpp_port"]
            return await stack.enter_async_context(
                native_peer(
                    f"{jid}/native-0123456789",
                    PASSWORD,
                    port,
                    server.data_dir / "self-signed.pem",
                    direct_tls=direct,
                )
            )

        yield enter


@pytest.mark.parametrize("transport", WIRES)
async def test_node_calls_node(in_node: InNode, transport: str) -> None:
    """Over every transport a call rings, is answered and ended; what the JavaScript SDK writes in
    its own dialect comes back to it unchanged."""
    one, other = await in_node(transport), await in_node("ws")
    for caller, callee in ((one, other), (other, one)):
        info = {"name": "Al & <co>", "list": [7, 8], "nested": {"x": 1, "1st": "y"}, "none": None}
        await caller.do("call", users=[callee.user_id], userInfo=info)
        ringing = await callee.event("call")
        assert ringing["from"] == caller.user_id
        assert ringing["userInfo"] == {
            "name": "Al & <co>",
            "list": {"0": "7", "1": "8"},
            "nested": {"x": "1", "1st": "y"},
            "none": None,
        }
        await callee.do("accept", userInfo={"well": "yes"})
        accepted = await caller.event("accept")
        assert (accepted["userId"], accepted["userInfo"]) == (callee.user_id, {"well": "yes"})
        candidate = (await caller.event("candidate"))["candidate"]
        assert (candidate["sdpMLineIndex"], candidate["sdpMid"]) == ("0", "0")
        await caller.do("stop", userInfo={"why": "done"})
        assert (await callee.event("stop"))["userInfo"] == {"why": "done"}


@pytest.mark.parametrize("transport", ["ws", "xmpps"])
async def test_messages_pass_between_online_users(in_node: InNode, transport: str) -> None:
    """System messages, chat messages, and who has got, read or is writing one."""
    one, other = await in_node(transport), await in_node("ws")
    await one.do("system", user=other.user_id, extension={"action": "wave", "list": [1]})
    system = (await other.event("system"))["message"]
    assert (system["userId"], system["extension"]["action"]) == (one.user_id, "wave")
    assert system["extension"]["list"] == {"0": "1"}
    message = {"type": "chat", "body": "hi & <you>", "extension": {"save_to_history": 1}}
    await one.do("message", user=other.user_id, message=message)
    sent = (await one.event("sent"))["id"]
    got = await other.event("message")
    assert (got["userId"], got["message"]["body"]) == (one.user_id, "hi & <you>")
    assert got["message"]["id"] == sent
    status = {"messageId": sent, "userId": one.user_id, "dialogId": "d"}
    await other.do("delivered", **status)
    assert (await one.event("delivered"))["messageId"] == sent
    await other.do("read", **status)
    assert (await one.event("read"))["messageId"] == sent
    await other.do("typing", user=one.user_id)
    assert (await one.event("typing"))["userId"] == other.user_id


async def test_privacy_lists_are_refused_and_nobody_waits(in_node: InNode) -> None:
    """The SDK waits for answers for ever. There are no lists, and none is said to be made."""
    client = await in_node("ws")

    async def ask(method: str, value: object = None) -> dict[str, Any]:
        await client.do("privacy", method=method, value=value)
        return await client.event("privacy")

    blocking = {"name": "l", "items": [{"user_id": 1, "action": "deny", "mutualBlock": True}]}
    for method, value in (
        ("create", blocking), ("update", blocking), ("delete", "l"), ("setAsDefault", "l"),
    ):  # fmt: skip
        assert "error" in await ask(method, value)
    assert (await ask("getList", "l"))["result"]["items"] == []
    assert (await ask("getNames"))["result"] == {"default": None, "active": None, "names": []}


@pytest.mark.parametrize("transport", ["starttls", "xmpps"])
async def test_slixmpp_calls_the_python_sdk(
    native: Native, sign_in: SignIn, endpoints: Endpoints, transport: str
) -> None:
    """Signals of a TCP client are a call to our SDK, and its answer reaches that client."""
    caller, me = await native(transport), await sign_in()
    call = Call(
        session_id="0b4d7c1e-6a0e-4a6a-9a51-2f1b6f3f9c10",
        call_type=CallType.AUDIO_CALL,
        caller_id=caller.user_id,
        opponents_ids=(me.id,),
        sdp=SDP,
    )
    waiting = asyncio.ensure_future(me.calls.wait_for(ReceiveNewSession, timeout=LIMIT))
    await asyncio.sleep(0)
    caller.send(call, str(user_jid(me.id, endpoints.application_id, endpoints.chat_domain)))
    session = (await waiting).session
    assert (session.session_id, session.caller_id) == (call.session_id, caller.user_id)
    await session.reject({"busy": "true"})
    _, answer = await caller.signal()
    assert type(answer).__name__ == "Reject"
    assert answer.user_info == {"busy": "true"}


async def test_slixmpp_and_a_browser(
    native: Native, browsers: Browsers, login: Login, endpoints: Endpoints
) -> None:
    """A browser's call reaches a TCP client as XML that any parser reads, and is answered."""
    phone = await native("starttls")
    page = await browsers.sign_in(login(), PASSWORD)
    address = str(user_jid(page.user_id, endpoints.application_id, endpoints.chat_domain))
    session = await page.run("call", [phone.user_id], 2, {"list": [7], "1st": "x"})
    sender, call = await phone.signal()
    assert sender.startswith(f"{address}/")
    assert isinstance(call, Call)
    assert call.session_id == session
    assert call.user_info == {"list": {"_0": "7"}, "_1st": "x"}
    base = {
        "session_id": session,
        "call_type": call.call_type,
        "caller_id": page.user_id,
        "opponents_ids": (phone.user_id,),
    }
    phone.send(HangUp(user_info={"why": "no"}, **base), address)
    assert (await page.event("stop", session=session))["userInfo"] == {"why": "no"}


@pytest.mark.parametrize("transport", ["starttls", "xmpps"])
async def test_slixmpp_resumes_its_stream(native: Native, in_node: InNode, transport: str) -> None:
    """A signal that came while the socket was cut arrives after the stream was resumed."""
    phone, caller = await native(transport), await in_node("ws")
    await phone.happens("sm_enabled")
    phone.client.transport.abort()
    await phone.happens("disconnected")
    await caller.do("call", users=[phone.user_id])
    phone.connect()
    await phone.happens("session_resumed")
    _, call = await phone.signal()
    assert isinstance(call, Call)
    assert call.caller_id == caller.user_id
