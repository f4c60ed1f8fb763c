"""Errors as `application/problem+json` (RFC 9457), everywhere and in one form.

No problem shows anything of the inside: what was not foreseen is logged under a correlation id, and
the caller is given that id alone.
"""

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from consumer.logs import get_logger
from db.errors import DatabaseUnavailable

_log = get_logger(__name__)

#: Seconds, as `Retry-After` says them, where something is short for a moment.
RETRY_AFTER = "2"
_MOST_PROBLEMS = 20
#: Where Pythons differ: RFC 9110 has renamed these.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


class WrongValue(BaseModel):
    """One value of the request that is not as documented."""

    where: str = Field(description="`query.limit`, `path.sync_id`, `body.hotel_id` …")
    detail: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field("about:blank", description="always `about:blank`: the status says it all")
    title: str
    status: int
    detail: str | None = None
    errors: list[WrongValue] | None = Field(None, description="of status 422: each wrong value")
    correlation_id: str | None = Field(None, description="of status 500: quote it to the operator")


class ProblemResponse(JSONResponse):
    """A reply that is a problem."""

    media_type = "application/problem+json"


def title(status: int) -> str:
    """What HTTP calls a status."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def problem(
    status: int,
    detail: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A reply that says what went wrong."""
    said = Problem(title=title(status), status=status, detail=detail, **more)
    return ProblemResponse(
        said.model_dump(exclude_none=True), status, headers=dict(headers) if headers else None
    )


def unexpected(error: Exception, scope: Scope) -> Response:
    """Log what was not foreseen; returns the reply that gives its id away, and nothing else."""
    correlation_id = uuid.uuid4().hex
    route = scope.get("route")
    _log.error(
        "api_error",
        correlation_id=correlation_id,
        method=scope["method"],
        route=getattr(route, "path", None),
        exc_info=error,
    )
    return problem(500, "this is our mistake, and it was logged", correlation_id=correlation_id)


def handle_problems(app: FastAPI) -> None:
    """Let an application answer all errors as problems."""

    def on_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods(app, request.scope))
        detail = None if error.detail == HTTPStatus(error.status_code).phrase else error.detail
        return problem(error.status_code, detail, headers=headers)

    def on_wrong_value(_: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        return problem(422, "a value is not as documented", errors=_wrong_values(error.errors()))

    def on_database_away(_: Request, error: Exception) -> Response:
        _log.warning("api_without_postgres", error=str(error))
        return problem(503, "the database is away", headers={"Retry-After": RETRY_AFTER})

    def on_unexpected(request: Request, error: Exception) -> Response:
        return unexpected(error, request.scope)

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_wrong_value)
    app.add_exception_handler(DatabaseUnavailable, on_database_away)
    app.add_exception_handler(Exception, on_unexpected)


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """All methods of a path; the framework alone would name those of one route of it."""
    return sorted(
        method
        for route in app.routes
        if route.matches(scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    )


def _wrong_values(errors: Sequence[Mapping[str, Any]]) -> list[WrongValue]:
    # The value itself is not repeated: a reply is no place for what may be a secret.
    return [
        WrongValue(where=".".join(str(part) for part in each["loc"]), detail=str(each["msg"]))
        for each in errors[:_MOST_PROBLEMS]
    ]
