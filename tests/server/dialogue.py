"""Readable conversations (``dialogues/*.http``) spoken to a server over a bare socket.

A conversation is a list of exchanges: ``### title``, a request as HTTP has it, ``--> status`` and
what is expected of the answer: headers, an empty line, JSON. ``{{name}}`` is replaced by a value,
``"{{name:int}}"`` by a number. Expected texts may be ``<int>``, ``<text>``, ``<time>`` or
``<expiry>``; ``<int as name>`` keeps what came for later. ``{{signature}}`` is worked out for the
body that it stands in.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

FOLDER = Path(__file__).parent / "dialogues"
_WILDCARDS = {
    "int": (int, r".*"),
    "text": (str, r"(?s).+"),
    "time": (str, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "expiry": (str, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"),
}


@dataclass(frozen=True)
class Exchange:
    """One request and what is expected of its answer."""

    title: str
    request: str
    status: int
    expected: str


def read(name: str) -> list[Exchange]:
    """The exchanges of a conversation."""
    _, *parts = re.split(r"^### ", (FOLDER / f"{name}.http").read_text(), flags=re.M)
    exchanges = []
    for part in parts:
        title, _, rest = part.partition("\n")
        request, _, answer = rest.partition("--> ")
        status, _, expected = answer.partition("\n")
        exchanges.append(Exchange(title, request.strip(), int(status), expected.strip()))
    return exchanges


async def speak(exchange: Exchange, url: str, values: dict[str, str], secret: str) -> None:
    """Send the request exactly as it is written and check the answer; keeps values."""
    head, _, body = _filled(exchange.request, values).partition("\n\n")
    content = body.replace("{{signature}}", _signature(body, secret)).encode()
    first, *headers = head.split("\n")
    if content:
        headers.append(f"Content-Length: {len(content)}")
    lines = [f"{first} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    status, answered, text = await _exchange(url, "\r\n".join(lines).encode() + content)
    assert status == exchange.status, f"{exchange.title}: {status} {text}"
    wanted, _, pattern = _filled(exchange.expected, values).rpartition("\n\n")
    if not pattern.startswith(("{", "[")):
        wanted, pattern = pattern, ""
    for line in filter(None, wanted.split("\n")):
        name, _, value = line.partition(": ")
        _match(value, answered[name.lower()], f"{exchange.title}: {name}", values)
    if pattern:
        _match(json.loads(pattern), json.loads(text), exchange.title, values)


async def _exchange(url: str, request: bytes) -> tuple[int, dict[str, str], str]:
    host, port = url.removeprefix("http://").split(":")
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            answer = (await reader.read()).decode()
        finally:
            writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    pairs = (line.split(": ", 1) for line in headers)
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}, body


def _filled(text: str, values: dict[str, str]) -> str:
    text = re.sub(r'"\{\{(\w+):int\}\}"', lambda match: values[match[1]], text)
    return re.sub(r"\{\{(?!signature)(\w+)\}\}", lambda match: values[match[1]], text)


def _match(expected: Any, actual: Any, where: str, values: dict[str, str]) -> None:
    if isinstance(expected, dict):
        assert isinstance(actual, dict), where
        for name, value in expected.items():
            assert name in actual, f"{where}: {name} is missing"
            _match(value, actual[name], f"{where}: {name}", values)
    elif isinstance(expected, list):
        assert len(expected) == len(actual), f"{where}: {actual}"
        for one, other in zip(expected, actual, strict=True):
            _match(one, other, where, values)
    elif isinstance(expected, str) and (match := re.fullmatch(r"<(\w+)(?: as (\w+))?>", expected)):
        kind, pattern = _WILDCARDS[match[1]]
        assert type(actual) is kind, f"{where}: {actual!r}"
        assert re.fullmatch(pattern, str(actual)), f"{where}: {actual!r}"
        if match[2]:
            values[match[2]] = str(actual)
    else:
        assert (type(expected), expected) == (type(actual), actual), f"{where}: {actual!r}"


def _signature(body: str, secret: str) -> str:
    """As the SDKs' documents define it, worked out apart from the server's code."""
    if body.startswith("{"):
        members = json.loads(body)
        user = members.pop("user", {})
        pairs = [*members.items(), *((f"user[{name}]", value) for name, value in user.items())]
    else:
        pairs = parse_qsl(body)
    text = "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "signature")
    return hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
