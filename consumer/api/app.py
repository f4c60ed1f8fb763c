"""Puts the API together: its routes, its errors, its document, and the guard around it all."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.types import ASGIApp

from consumer.api import breaker, hotels, probes, syncing, syncs
from consumer.api.breaker import Breaker
from consumer.api.guard import Guard
from consumer.api.hotels import HotelSearch, MappingStored, NewMapping
from consumer.api.models import Sync, SyncDetail, SyncPage
from consumer.api.problems import Problem, handle_problems
from consumer.api.share import PROBES, Share
from consumer.api.syncing import PendingAnswer, SyncAnswer
from consumer.api.tokens import Authenticate
from consumer.hotels import Hotels
from consumer.metrics import Metrics
from consumer.readiness import Readiness
from consumer.retrying import Retrying
from db.pool import Pool

#: The models that have examples.
_SHOWN: tuple[type[BaseModel], ...] = (
    Sync,
    SyncPage,
    SyncDetail,
    SyncAnswer,
    PendingAnswer,
    HotelSearch,
    NewMapping,
    MappingStored,
    Breaker,
)
_ABOUT = """\
What became of a tenant's reservations and stop sales, and ways to mend what failed.

All of `/api` needs a bearer token, a JWT whose claim `tenant_id` says the tenant: another tenant's
things do not exist. Errors are `application/problem+json` (RFC 9457).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes work with."""

    pool: Pool
    hotels: Hotels
    retrying: Retrying
    readiness: Readiness
    metrics: Metrics


def build_api(parts: Parts) -> FastAPI:
    """The application, still without its guard."""
    app = FastAPI(
        title="sedna-sync",
        version=version("sedna-sync"),
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,  # they load scripts from other people's servers
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    handle_problems(app)
    # One flat table of routes, so that whoever looks through it misses none.
    syncs.add_routes(app, pool=parts.pool)
    syncing.add_routes(
        app, pool=parts.pool, retrying=parts.retrying, is_stopping=lambda: parts.readiness.stopping
    )
    hotels.add_routes(app, hotels=parts.hotels)
    breaker.add_routes(app, pool=parts.pool)
    probes.add_routes(app, readiness=parts.readiness, metrics=parts.metrics)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # the documented way
    return app


def guarded(
    app: FastAPI,
    *,
    authenticate: Authenticate | None,
    is_idle: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """The application as it is served.

    Args:
        app: the routes.
        authenticate: gives a token's tenant; None refuses all of /api, since no key is set.
        is_idle: whether there is no work that callers could hold up.
    """
    return Guard(app, authenticate=authenticate, share=Share(is_idle=is_idle), probes=Share(PROBES))


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _mend(made)
        app.openapi_schema = made
    return app.openapi_schema


def _mend(document: dict[str, Any]) -> None:
    """Errors are problems here, not what the framework would answer; and examples are whole."""
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas[Problem.__name__] = problem
    for model in _SHOWN:
        # The framework leaves out what is null in them.
        schemas[model.__name__]["examples"] = model.model_json_schema()["examples"]
