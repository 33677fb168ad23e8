"""What is not the SDKs' API: discovery, health and metrics."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from ringmesh.errors import RequestError
from ringmesh.server.client_address import is_loopback
from ringmesh.server.discovery import discovery_document
from ringmesh.server.rest.answers import refusals
from ringmesh.server.rest.shapes import Discovery, Health
from ringmesh.server.rest.state import ServicesOf, StateOf

router = APIRouter(tags=["server"])


@router.get("/.well-known/ringmesh.json", responses=refusals())
async def discover(services: ServicesOf, state: StateOf) -> Discovery:
    """Where everything is, so that a client needs only this server's address."""
    application = None
    if services.settings.publish_application:
        application = await services.accounts.applications.default()
    web_push_key = None if application is None else services.push.web_key(application.id)
    document = discovery_document(services.settings, application, state.base_url, web_push_key)
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
