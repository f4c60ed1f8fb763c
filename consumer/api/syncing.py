"""The three endpoints by which people ask for a sync, and wait for what comes of it.

They ask, and send nothing: the owner of the work does it like any other, wherever it runs. Whoever
asks twice joins the same try; what is in doubt is not sent because somebody pressed a button.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, assert_never

from fastapi import FastAPI, Path, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.exceptions import HTTPException

from consumer.advice import what_a_tenant_can_do, why_for_a_tenant
from consumer.api.caller import Tenant
from consumer.api.replies import GUARDED, problems
from consumer.retrying import (
    AlreadySynced,
    NotFound,
    Retrying,
    Running,
    Started,
    Superseded,
)
from consumer.sedna.single_flight import SingleFlight
from db import history, retries
from db.history import Unsynced
from db.pool import Pool
from db.retries import SyncState
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

#: Seconds that an answer waits for an outcome.
WAIT_SECONDS = 25.0
#: Seconds after which one who waits looks whether the service is about to end.
_SLICE = 1.0
#: Items of one `pending`.
MOST_PENDING = 50
_Item = Annotated[int, Path(ge=0, le=2**63 - 1)]
_NAMES = {Kind.RESERVATION: "Reservation", Kind.STOP_SALE: "Stop sale"}
_RUNNING = "still running: ask again, or look at the list of syncs"

_EXAMPLE: dict[str, JsonValue] = {
    "success": True,
    "message": "synced",
    "sedna_rec_id": 823259,
    "details": {
        "sync_id": 17,
        "state": "synced",
        "attempts": 1,
        "adopted": False,
        "sedna_hotel_id": 18,
        "code": None,
        "error": None,
    },
}


class Details(BaseModel):
    """How the sync stands."""

    model_config = ConfigDict(frozen=True)

    sync_id: int = Field(description="to be looked at by `GET /api/sedna/syncs/{sync_id}`")
    state: Literal["synced", "failed", "running", "in_doubt"] = Field(
        description="`running`: not settled yet. `in_doubt`: nor this, and a create was perhaps "
        "carried out; Sedna is being asked, and nothing is sent before it has said"
    )
    attempts: int = Field(description="since it was registered last")
    adopted: bool = Field(description="found in Sedna instead of created")
    sedna_hotel_id: int | None
    code: ErrorCode | str | None = Field(description="why it failed")
    error: dict[str, Any] | None = Field(description="what a person needs to mend it")


class SyncAnswer(BaseModel):
    """What came of asking for a sync."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    success: bool = Field(description="it is in Sedna")
    message: str
    sedna_rec_id: int | None
    details: Details


class PendingAnswer(BaseModel):
    """What came of asking for all that is not synced."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "reservations_synced": 12,
                    "reservations_failed": 1,
                    "stop_sales_synced": 3,
                    "stop_sales_failed": 0,
                    "errors": ["Reservation 42: Hotel not found"],
                }
            ]
        },
    )

    reservations_synced: int
    reservations_failed: int
    stop_sales_synced: int
    stop_sales_failed: int
    errors: list[str] = Field(
        description="of each that is not in Sedna; one that is still running is counted as neither"
    )


def add_routes(
    app: FastAPI, *, pool: Pool, retrying: Retrying, is_stopping: Callable[[], bool]
) -> None:
    """Add the routes.

    Args:
        app: to add them to.
        pool: to ask by.
        retrying: asks for syncs.
        is_stopping: whether the service is about to end, so that nobody should wait for it.
    """
    syncing = Syncing(pool=pool, retrying=retrying, is_stopping=is_stopping)
    replies = GUARDED | problems(404) | {202: {"model": SyncAnswer, "description": _RUNNING}}

    @app.post(
        "/api/sedna/sync/reservation/{email_id}",
        tags=["sync"],
        summary="Sync a reservation, and wait for the outcome",
        responses=replies,
    )
    async def sync_reservation(tenant: Tenant, email_id: _Item, response: Response) -> SyncAnswer:
        """Of an e-mail with several vouchers the one that came last is meant.

        200 says what came of it, good or bad; 202 that it takes longer than 25 seconds.
        """
        answer = await syncing.one(tenant, Kind.RESERVATION, email_id)
        response.status_code = _status(answer)
        return answer

    @app.post(
        "/api/sedna/sync/stop-sale/{stop_sale_id}",
        tags=["sync"],
        summary="Sync a stop sale, and wait for the outcome",
        responses=replies,
    )
    async def sync_stop_sale(tenant: Tenant, stop_sale_id: _Item, response: Response) -> SyncAnswer:
        """One that a later stop sale of the hotel has overtaken is not sent: it is `superseded`."""
        answer = await syncing.one(tenant, Kind.STOP_SALE, stop_sale_id)
        response.status_code = _status(answer)
        return answer

    @app.post(
        "/api/sedna/sync/pending",
        tags=["sync"],
        summary="Sync what is not synced, and wait for the outcomes",
        responses=GUARDED,
    )
    async def sync_pending(tenant: Tenant) -> PendingAnswer:
        """The oldest 50 at the most: what failed is tried again, what is pending is waited for."""
        return await syncing.pending(tenant)


class Syncing:
    """Asks for syncs, and waits."""

    def __init__(self, *, pool: Pool, retrying: Retrying, is_stopping: Callable[[], bool]) -> None:
        self._pool = pool
        self._retrying = retrying
        self._is_stopping = is_stopping
        self._pending: dict[str, SingleFlight[PendingAnswer]] = {}

    async def one(self, tenant: str, kind: Kind, item_id: int) -> SyncAnswer:
        """What came of one item.

        Raises:
            HTTPException: the tenant has no such item.
        """
        match await self._retrying.ask(tenant, kind, item_id):
            case NotFound():
                raise HTTPException(404, f"there is no such {_NAMES[kind].lower()}")
            case AlreadySynced(sync):
                return settled(sync, "already synced")
            case Superseded(sync, by):
                return SyncAnswer(
                    success=False,
                    message=f"superseded: stop sale {by.stop_sale_id}, which came later, says "
                    "otherwise about these days",
                    sedna_rec_id=None,
                    details=_details(sync).model_copy(update={"code": ErrorCode.SUPERSEDED}),
                )
            case Running(sync_id, generation) | Started(sync_id, generation):
                state = await self._outcome(tenant, sync_id, generation)
            case never:
                assert_never(never)
        if state is None:
            state = (await self._states(tenant, [sync_id])).get(sync_id)
        if state is None:
            raise HTTPException(404, f"there is no such {_NAMES[kind].lower()}")
        return settled(state)

    async def pending(self, tenant: str) -> PendingAnswer:
        """What came of the oldest ones; whoever asks meanwhile is given the same answer."""
        flight = self._pending.setdefault(tenant, SingleFlight())
        try:
            return await flight.do(lambda: self._all(tenant))
        finally:
            if not flight.wanted:
                del self._pending[tenant]

    async def _all(self, tenant: str) -> PendingAnswer:
        items = await history.unsynced(self._pool, tenant, limit=MOST_PENDING)
        failed = [(each.id, each.generation) for each in items if each.state == "failed"]
        carried = await self._retrying.carry_out(tenant, failed)
        overtaken = {each.sync.id for each in carried.superseded}
        waited = [each for each in items if each.id not in overtaken]
        tries = {each.id: each.generation for each in waited} | carried.started
        # Somebody else has pressed meanwhile, perhaps at another process: that try is joined.
        begun = [each for each, _ in failed if each in tries and each not in carried.started]
        now = await self._states(tenant, begun)
        tries |= {sync_id: state.generation for sync_id, state in now.items()}
        states = await asyncio.gather(
            *(self._outcome(tenant, each.id, tries[each.id]) for each in waited)
        )
        found = {each.id: state for each, state in zip(waited, states, strict=True) if state}
        found |= await self._states(tenant, [each.id for each in waited if each.id not in found])
        return summed_up(items, found, overtaken=overtaken)

    async def _states(self, tenant: str, ids: Sequence[int]) -> dict[int, SyncState]:
        asked = [(tenant, sync_id) for sync_id in ids]
        found = await retries.states(self._pool, asked) if asked else {}
        return {sync_id: state for (_, sync_id), state in found.items()}

    async def _outcome(self, tenant: str, sync_id: int, generation: int) -> SyncState | None:
        left = WAIT_SECONDS
        while left > 0 and not self._is_stopping():
            within = min(left, _SLICE)
            state = await self._retrying.outcome(tenant, sync_id, generation, within=within)
            if state is not None:
                return state
            left -= within
        return None


def settled(state: SyncState, message: str | None = None) -> SyncAnswer:
    """The answer of a sync as it stands."""
    details = _details(state)
    match details.state:
        case "synced":
            said = message or ("adopted: it was in Sedna already" if state.adopted else "synced")
        case "failed":
            said = f"{_title(state.error_code)}: {_why(state, details)}"
        case "running":
            said = _RUNNING
        case _:
            said = "in doubt: a create was perhaps carried out, and Sedna is being asked"
    return SyncAnswer(
        success=state.state == "synced",
        message=said,
        sedna_rec_id=state.rec_id if state.state == "synced" else None,
        details=details,
    )


def summed_up(
    items: Sequence[Unsynced], states: Mapping[int, SyncState], *, overtaken: set[int]
) -> PendingAnswer:
    """The answer of many.

    Args:
        items: that were asked for, the oldest first.
        states: how each stands now, by sync id.
        overtaken: ids of those that were not tried, since a later stop sale has overtaken them.
    """
    counts = {(kind, state): 0 for kind in Kind for state in ("synced", "failed", "pending")}
    errors = []
    for item in items:
        outcome, why = _stands(states.get(item.id), is_overtaken=item.id in overtaken)
        counts[item.kind, outcome] += 1
        if outcome != "synced":
            errors.append(f"{_NAMES[item.kind]} {item.item_id}: {why}")
    return PendingAnswer(
        reservations_synced=counts[Kind.RESERVATION, "synced"],
        reservations_failed=counts[Kind.RESERVATION, "failed"],
        stop_sales_synced=counts[Kind.STOP_SALE, "synced"],
        stop_sales_failed=counts[Kind.STOP_SALE, "failed"],
        errors=errors,
    )


def _stands(state: SyncState | None, *, is_overtaken: bool) -> tuple[str, str]:
    if is_overtaken:
        return "failed", "Superseded"
    if state is None or state.state == "pending":
        return "pending", "In doubt" if state is not None and state.in_doubt else "Still running"
    return state.state, _title(state.error_code)


def _details(state: SyncState) -> Details:
    how: Literal["synced", "failed", "running", "in_doubt"]
    match state.state:
        case "synced" | "failed":
            how = state.state
        case _:
            how = "in_doubt" if state.in_doubt else "running"
    return Details(
        sync_id=state.id,
        state=how,
        attempts=state.attempts,
        adopted=state.adopted,
        sedna_hotel_id=state.hotel_id,
        code=state.error_code,
        error=None if state.error_details is None else json.loads(state.error_details),
    )


def _why(state: SyncState, details: Details) -> str:
    """The reason, and what who asks can do about it."""
    reason = why_for_a_tenant(state.error_code, state.error_message, details.error)
    advice = what_a_tenant_can_do(state.error_code, details.error)
    return ". ".join(each for each in (reason, advice) if each)


def _title(code: str | None) -> str:
    """A code as people read it: `hotel_not_found` is "Hotel not found"."""
    text = (code or "failed").replace("_", " ").replace("sedna", "Sedna")
    return text[:1].upper() + text[1:]


def _status(answer: SyncAnswer) -> int:
    return 200 if answer.details.state in {"synced", "failed"} else 202
