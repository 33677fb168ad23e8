"""The REST API as one ASGI application."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from ringmesh.server.page import add_page
from ringmesh.server.rest import calls, push, sessions, site, tickets, user_searches, users
from ringmesh.server.rest.answers import add_error_handlers
from ringmesh.server.rest.middleware import Bodies, Conventions, SessionLookup
from ringmesh.server.rest.state import Services

_REQUEST_HEADERS = (
    "CB-SDK", "CB-Token", "CB-AuthKey", "Content-Type", "ConnectyCube-REST-API-Version",
)  # fmt: skip

# Events first, since each route before costs time. Searches before users: /users/{id} would take
# their paths.
_API_ROUTERS = (
    push.router, sessions.router, user_searches.router, users.router, calls.router, tickets.router,
)  # fmt: skip


def make_api(services: Services) -> ASGIApp:
    """Everything that is answered over HTTP."""
    app = make_application()
    app.state.services = services
    roots = {
        route.path.split("/")[1]
        for router in _API_ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
    }
    wrapped: ASGIApp = SessionLookup(app, services)
    wrapped = Bodies(wrapped, services.settings.max_body_bytes)
    wrapped = Conventions(wrapped, services, roots | {"health"})
    return CORSMiddleware(
        wrapped,
        allow_origins=("*",),
        allow_methods=("GET", "POST", "PUT", "DELETE", "OPTIONS"),
        allow_headers=_REQUEST_HEADERS,
        expose_headers=("CB-Token-ExpirationDate",),
        max_age=86_400,
    )


def make_application() -> FastAPI:
    """The handlers alone, with their OpenAPI description."""
    app = FastAPI(
        title="Ringmesh",
        version=version("ringmesh"),
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        description="Accounts and sessions for peer-to-peer calls. "
        "Every path is also served with `.json` at its end.",
    )
    add_error_handlers(app)
    for router in (*_API_ROUTERS, site.router):
        app.include_router(router)
    add_page(app)
    return app
