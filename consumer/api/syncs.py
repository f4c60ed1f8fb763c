"""`/api/sedna/syncs`: what became of the tenant's reservations and stop sales."""

from datetime import date
from typing import Annotated

from fastapi import FastAPI, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime
from starlette.exceptions import HTTPException

from consumer.api import cursor as cursors
from consumer.api.caller import Tenant
from consumer.api.models import Id, State, SyncDetail, SyncPage, detail_of, sync_of
from consumer.api.replies import GUARDED, problems
from db import history
from db.history import Filters
from db.pool import Pool
from schemas.kinds import Kind

_PAGE, _LARGEST_PAGE = 50, 200

#: Postgres' texts hold everything but NUL.
_Text = Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


def add_routes(app: FastAPI, *, pool: Pool) -> None:
    """Add the routes, on this database."""

    @app.get(
        "/api/sedna/syncs", tags=["syncs"], summary="List syncs, newest first", responses=GUARDED
    )
    async def list_syncs(
        tenant: Tenant,
        *,
        state: State | None = None,
        kind: Kind | None = None,
        code: Annotated[
            _Text | None, Query(description="of the failure, or of the last attempt")
        ] = None,
        in_doubt: bool | None = None,
        hotel_id: Annotated[Id | None, Query(description="Sedna's id of the hotel")] = None,
        hotel: Annotated[_Text | None, Query(description="part of the name in the event")] = None,
        first_day: Annotated[
            date | None, Query(description="stays and stop sales that touch the days from here")
        ] = None,
        last_day: Annotated[date | None, Query(description="to here, both included")] = None,
        registered_since: AwareDatetime | None = None,
        registered_before: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE)] = _PAGE,
        cursor: Annotated[
            str | None, Query(max_length=64, description="`next` of the page before")
        ] = None,
    ) -> SyncPage:
        """The order is that in which the work first came; what is tried anew keeps its place."""
        found = await history.page(
            pool,
            tenant,
            Filters(
                state=state,
                kind=kind,
                code=code,
                in_doubt=in_doubt,
                hotel_id=hotel_id,
                hotel=hotel,
                first_day=first_day,
                last_day=last_day,
                registered_since=registered_since,
                registered_before=registered_before,
            ),
            older_than=history.NEWEST if cursor is None else _place(cursor),
            limit=limit,
        )
        behind = found.older_than
        return SyncPage(
            items=[sync_of(each) for each in found.syncs],
            next=None if behind is None else cursors.write(behind),
        )

    @app.get(
        "/api/sedna/syncs/{sync_id}",
        tags=["syncs"],
        summary="Show a sync with its attempts",
        responses=GUARDED | problems(404),
    )
    async def show_sync(tenant: Tenant, sync_id: Annotated[Id, Path()]) -> SyncDetail:
        """Another tenant's sync does not exist here."""
        found = await history.one(pool, tenant, sync_id)
        if found is None:
            raise HTTPException(404, "there is no such sync")
        return detail_of(*found)


def _place(cursor: str) -> int:
    try:
        return cursors.read(cursor)
    except cursors.InvalidCursor as error:
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("query", "cursor"), "msg": str(error), "input": None}]
        ) from None
