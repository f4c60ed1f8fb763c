"""`/api/sedna/breaker`: whether anything is sent for the tenant at present."""

from datetime import datetime
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from consumer.advice import why_for_a_tenant
from consumer.api.caller import Tenant
from consumer.api.replies import GUARDED
from db import breakers
from db.pool import Pool


class Breaker(BaseModel):
    """The tenant's breaker. Open: nothing is sent, syncs wait, and no attempt is counted."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "state": "open",
                    "reason": "login_refused",
                    "last_error": "Sedna refused the login",
                    "failures": 1,
                    "opened_at": "2026-05-01T09:30:00.120000Z",
                    "open_until": "2026-05-01T09:30:30.120000Z",
                }
            ]
        },
    )

    state: Literal["closed", "open"]
    reason: str | None = Field(
        None, description="`login_refused`, `session_refused`, `throttled` or `failures`"
    )
    last_error: str | None = None
    failures: int | None = Field(None, description="in a row")
    opened_at: datetime | None = None
    open_until: datetime | None = Field(None, description="one request is tried then")


def add_routes(app: FastAPI, *, pool: Pool) -> None:
    """Add the route, on this database."""

    @app.get(
        "/api/sedna/breaker",
        tags=["breaker"],
        summary="Whether anything is sent for the tenant at present",
        responses=GUARDED,
    )
    async def show_breaker(tenant: Tenant) -> Breaker:
        """A change of the tenant's settings closes it at once."""
        found = await breakers.get(pool, tenant)
        if found is None:
            return Breaker(state="closed")
        return Breaker(
            state="open",
            reason=found.reason,
            last_error=why_for_a_tenant(None, found.last_error, None),
            failures=found.failures,
            opened_at=found.opened_at,
            open_until=found.open_until,
        )
