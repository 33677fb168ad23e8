"""The calling page at ``/``: files that `web/` builds into the folder `page`, served from memory.

Everything comes from this server: the Content-Security-Policy lets the page load and reach nothing
else. Where the page has not been built, a plain one says so.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import NotModifiedResponse

from ringmesh.errors import RequestError
from ringmesh.server.rest.state import ServicesOf, StateOf

FOLDER = Path(__file__).with_name("page")

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self' {chat}",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types service-worker",
    )
)
# What the service worker may reach: this server, to decline a call.
_WORKER_POLICY = "default-src 'none'; connect-src 'self'"
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), "
        "autoplay=(self), geolocation=(), payment=(), usb=()"
    ),
}
# Names of files in assets/ change with their contents.
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_PLACEHOLDER = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Ringmesh</title>
<h1>Ringmesh is running</h1>
<p>This copy comes without its calling page. To build it, with Node.js 20.19 or newer:</p>
<pre>scripts/setup.sh page</pre>
<p>Calls work without it too. Make a user in the folder of the server's data, then answer calls:</p>
<pre>ringmesh user add alice --password …
ringmesh answer --server $url --login alice</pre>
<p><a href="/openapi.json">The REST API</a> ·
<a href="/.well-known/ringmesh.json">what clients discover</a></p>
</html>
""")


@dataclass(frozen=True)
class PageFile:
    """One file of the page, as it is and compressed."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str
    caching: str

    @classmethod
    def read(cls, path: Path, *, for_ever: bool) -> PageFile:
        """Read and compress a file."""
        content = path.read_bytes()
        return cls(
            content=content,
            compressed=gzip.compress(content, mtime=0),
            media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            caching=_FOR_EVER if for_ever else _ASK_AGAIN,
        )


def read_page(folder: Path = FOLDER) -> dict[str, PageFile]:
    """The built page by path, ``""`` being its document; empty if it has not been built."""
    if not (folder / "index.html").is_file():
        return {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {
        path.relative_to(folder).as_posix(): PageFile.read(
            path, for_ever=path.parent.name == "assets"
        )
        for path in paths
    }
    files[""] = files.pop("index.html")
    return files


def add_page(app: FastAPI) -> None:
    """Serve the page, or what stands in for it."""
    files = read_page()
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def document(request: Request, services: ServicesOf, state: StateOf) -> Response:
        """The page's document."""
        url = services.settings.public_url or state.base_url
        if "" not in files:
            return HTMLResponse(_PLACEHOLDER.substitute(url=escape(url)))
        response = _answer(files[""], request)
        response.headers.update(_HEADERS)
        response.headers["Content-Security-Policy"] = _policy(state.base_url)
        return response

    @router.api_route("/assets/{name}", methods=["GET", "HEAD"])
    async def asset(name: str, request: Request) -> Response:
        """A script, a style sheet, an icon."""
        return _found(files, f"assets/{name}", request)

    @router.api_route("/service-worker.js", methods=["GET", "HEAD"])
    async def service_worker(request: Request) -> Response:
        """What rings while no page is open."""
        response = _found(files, "service-worker.js", request)
        response.headers["Content-Security-Policy"] = _WORKER_POLICY
        return response

    @router.api_route("/licences.txt", methods=["GET", "HEAD"])
    async def licences(request: Request) -> Response:
        """The licences of what the page is made of."""
        return _found(files, "licences.txt", request)

    app.include_router(router)


def _found(files: dict[str, PageFile], path: str, request: Request) -> Response:
    if path not in files:
        raise RequestError(404, {"base": ["There is nothing at this address"]})
    return _answer(files[path], request)


def _answer(file: PageFile, request: Request) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": file.caching, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        response: Response = Response(status_code=304, headers=headers)
        return NotModifiedResponse(response.headers)
    content = file.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = file.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=file.media_type, headers=headers)


def _policy(base_url: str) -> str:
    """Some browsers do not take a WebSocket to the same host for `'self'`."""
    return _POLICY.format(chat=f"ws{base_url.removeprefix('http')}")
