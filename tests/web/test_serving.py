"""How the server serves the page: headers, caching, compression, licences, and without a page."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx2
import pytest

from ringmesh.server.app import Server
from ringmesh.server.page import FOLDER, read_page

MOST_COMPRESSED_BYTES = 90_000


async def get(server: Server, path: str, **headers: str) -> httpx2.Response:
    """Ask without a browser."""
    async with httpx2.AsyncClient(base_url=server.url) as client:
        return await client.get(path, headers=headers)


async def test_the_document_allows_nothing_foreign(server: Server) -> None:
    """The policy lets the page reach its own server alone, and nobody frame it."""
    response = await get(server, "/")
    policy = dict(
        part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws{server.url.removeprefix('http')}"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-cache"
    assert "://" not in response.text


async def test_assets_are_cached_for_ever_and_compressed(server: Server) -> None:
    """Assets never change under their name; unchanged documents are answered with 304."""
    document = await get(server, "/")
    script = re.search(r'src="\./(assets/[^"]+\.js)"', document.text)
    assert script is not None
    response = await get(server, f"/{script[1]}", **{"accept-encoding": "gzip"})
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-type"].startswith("text/javascript")
    plain = await get(server, f"/{script[1]}", **{"accept-encoding": "identity"})
    assert plain.content == response.content
    again = await get(server, "/", **{"if-none-match": document.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for missing in ("/assets/none.js", "/assets/..%2findex.html", "/assets/%2e%2e/licences.txt"):
        assert (await get(server, missing)).status_code == 404


def test_the_page_is_small() -> None:
    """Document, scripts, style and icon together stay within their budget, compressed."""
    sizes = {
        name: len(gzip.compress(file.content))
        for name, file in read_page().items()
        if name != "licences.txt" and not name.startswith(".")
    }
    assert sum(sizes.values()) <= MOST_COMPRESSED_BYTES, sizes


async def test_licences_are_shipped(server: Server) -> None:
    """Everything in the bundle is listed with its licence, what the SDK inlines included."""
    text = (await get(server, "/licences.txt")).text
    for name in (
        "connectycube 6.1.2: Apache-2.0",
        "@sama-communications/sdk",
        "janus.js",
        "sasl-plain 0.1.0: MIT",
        "@xmpp/websocket",
        "lucide",
    ):
        assert name in text
    assert "Copyright" in text


def test_without_a_build_there_is_no_page(tmp_path: Path) -> None:
    """A folder without a built page is no error: the server then shows a plain one."""
    assert read_page(tmp_path) == {}
    assert read_page(tmp_path / "missing") == {}
    assert FOLDER.name == "page"


@pytest.mark.parametrize("host", ["evil.example", "a;script-src *"])
async def test_the_host_header_cannot_widen_the_policy(server: Server, host: str) -> None:
    """Whatever a client calls the server, the policy keeps its form."""
    response = await get(server, "/", host=host)
    policy = response.headers["content-security-policy"]
    assert policy.count(";") == (await get(server, "/")).headers["content-security-policy"].count(
        ";"
    )
