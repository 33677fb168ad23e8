"""How refusals look, whatever caused them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from ringmesh.errors import AuthenticationError, RequestError
from ringmesh.server.accounts.user_input import error_texts
from ringmesh.server.rest.shapes import Errors

_TEXTS = {
    404: "There is nothing at this address",
    405: "This address does not know this method",
    500: "Internal server error",
}


def errors(
    status: int,
    texts: Mapping[str, Sequence[str]] | str,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An answer in the error form; a text alone goes under ``base``."""
    by_field = {"base": [texts]} if isinstance(texts, str) else {k: [*v] for k, v in texts.items()}
    return JSONResponse({"errors": by_field}, status, headers)


def empty() -> PlainTextResponse:
    """Success without content. Not 204, which the SDKs take for an error."""
    return PlainTextResponse("")


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's ``responses``: the statuses with which it may refuse, besides the usual."""
    return {status: {"model": Errors} for status in sorted({400, 413, 422, 500, 503, *statuses})}


def empty_or_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for a route that answers `empty`."""
    done = {"description": "Done, without content", "content": {"text/plain": {}}}
    return {200: done, **refusals(*statuses)}


def add_error_handlers(app: FastAPI) -> None:
    """Give every error of the handlers and the framework the same form."""

    @app.exception_handler(RequestError)
    async def refused(_request: Request, error: RequestError) -> JSONResponse:
        return errors(error.status, error.errors)

    @app.exception_handler(AuthenticationError)
    async def unauthorized(_request: Request, error: AuthenticationError) -> JSONResponse:
        return errors(401, str(error))

    @app.exception_handler(Exception)  # goes on to the outer layers, where it is logged
    async def crashed(_request: Request, _error: Exception) -> JSONResponse:
        return errors(500, _TEXTS[500])

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> JSONResponse:
        text = _TEXTS.get(error.status_code, "The request cannot be answered")
        headers = error.headers
        if error.status_code == 405:
            headers = {"Allow": ", ".join(sorted(_methods(app, request.scope)))}
        return errors(error.status_code, text, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()
        if any(problem["loc"][:1] == ("path",) for problem in problems):
            return errors(404, _TEXTS[404])
        if any(problem["type"] == "json_invalid" for problem in problems):
            return errors(400, "The body is not valid JSON")
        return errors(422, error_texts(problems))


def _methods(app: FastAPI, scope: Scope) -> set[str]:
    """All methods that an address knows; the framework tells those of one of its routes alone."""
    return {
        method
        for route in app.routes
        if isinstance(route, APIRoute) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
