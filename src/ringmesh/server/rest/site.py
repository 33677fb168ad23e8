"""What is not the SDKs' API: discovery, health, metrics and the page at ``/``."""

from __future__ import annotations

from html import escape
from string import Template

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from ringmesh.errors import RequestError
from ringmesh.server.client_address import is_loopback
from ringmesh.server.discovery import discovery_document
from ringmesh.server.rest.answers import refusals
from ringmesh.server.rest.shapes import Discovery, Health
from ringmesh.server.rest.state import ServicesOf, StateOf

router = APIRouter(tags=["server"])

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Ringmesh</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
pre { background: #8882; padding: 1rem; overflow-x: auto }
</style>
<h1>Ringmesh is running</h1>
<p>Make a user in the folder of the server's data, then answer calls:</p>
<pre>ringmesh user add alice --password …
ringmesh answer --server $url --login alice</pre>
<p>Or in Python:</p>
<pre>async with ringmesh.connect("$url", login="alice", password="…") as me:
    …</pre>
<p><a href="/openapi.json">The REST API</a> ·
<a href="/.well-known/ringmesh.json">what clients discover</a></p>
</html>
""")


@router.get("/.well-known/ringmesh.json", responses=refusals())
async def discover(services: ServicesOf, state: StateOf) -> Discovery:
    """Where everything is, so that a client needs only this server's address."""
    application = None
    if services.settings.publish_application:
        application = await services.accounts.applications.default()
    document = discovery_document(services.settings, application, state.base_url)
    return Discovery(**document)


@router.get("/health", responses=refusals())
async def health(services: ServicesOf) -> Health:
    """Answers when the server and its database work."""
    await services.accounts.applications.default()
    return Health(status="ok")


@router.get("/metrics", responses=refusals(403), response_class=Response)
async def metrics(services: ServicesOf, state: StateOf) -> Response:
    """Prometheus metrics: for this machine only, unless ``metrics_public`` is set."""
    local = state.direct and is_loopback(state.address)
    if not local and not services.settings.metrics_public:
        raise RequestError(403, {"base": ["Metrics are for this machine only"]})
    return Response(
        services.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def home(services: ServicesOf, state: StateOf) -> HTMLResponse:
    """Says that the server runs and how to connect."""
    url = services.settings.public_url or state.base_url
    return HTMLResponse(_PAGE.substitute(url=escape(url)))
