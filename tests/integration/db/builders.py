"""Arrivals, settlements and messages with as little said as a test needs."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from db import inbox, settlement
from db.inbox import Identity
from db.pool import Pool
from db.records import (
    Answer,
    Arrival,
    Holding,
    Mark,
    Message,
    Origin,
    Registered,
    ResolvedLane,
    Settlement,
    StepOne,
)
from schemas.kinds import Kind
from schemas.trace import TraceContext

TENANT = "agency-7"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: The lease that every test of this folder begins with.
HOLDING = Holding("reservation.created", 0, 7)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACESTATE = "upstream=1,other=2"
TRACE = TraceContext(TRACEPARENT, TRACESTATE)


def reservation(voucher: str = "V1", *, offset: int = 0, **changes: Any) -> Arrival:
    arrival = Arrival(
        tenant_id=TENANT,
        kind=Kind.RESERVATION,
        business_key=voucher,
        email_id=42,
        voucher_no=voucher,
        stop_sale_id=None,
        payload='{"adults": 2}',
        content_hash=b"content",
        event_id=f"event-{voucher}-{offset}",
        event_time=NOW,
        trace=TRACE,
        origin=Origin(topic="reservation.created", partition=0, offset=offset),
        lane=f"voucher:{voucher}",
        fingerprint=b"bytes",
    )
    return replace(arrival, **changes)


def stop_sale(number: int = 7, *, offset: int = 0, **changes: Any) -> Arrival:
    arrival = Arrival(
        tenant_id=TENANT,
        kind=Kind.STOP_SALE,
        business_key=str(number),
        email_id=None,
        voucher_no=None,
        stop_sale_id=number,
        payload='{"is_close": true}',
        content_hash=b"content",
        event_id=f"event-{number}-{offset}",
        event_time=None,
        trace=None,
        origin=Origin(topic="stopsale.created", partition=0, offset=offset),
        lane=None,
        fingerprint=b"bytes",
    )
    return replace(arrival, **changes)


def mark_of(place: Registered, **changes: Any) -> Mark:
    mark = Mark(
        sync_id=place.id,
        tenant_id=TENANT,
        generation=place.generation,
        hotel_id=18,
        token=uuid.uuid4().hex,
        doubt_since=None,
        holding=HOLDING,
    )
    return replace(mark, **changes)


def lane_of(place: Registered, lane: str, **changes: Any) -> ResolvedLane:
    resolved = ResolvedLane(
        sync_id=place.id,
        tenant_id=TENANT,
        generation=place.generation,
        lane=lane,
        holding=HOLDING,
    )
    return replace(resolved, **changes)


def step_one_of(place: Registered, rec_id: int, **changes: Any) -> StepOne:
    step = StepOne(sync_id=place.id, tenant_id=TENANT, rec_id=rec_id, hotel_id=18, holding=HOLDING)
    return replace(step, **changes)


async def insert(pool: Pool, *arrivals: Arrival) -> dict[Identity, Registered]:
    async with inbox.registration(pool) as transaction:
        return await transaction.insert(arrivals)


async def inserted(pool: Pool, *arrivals: Arrival) -> list[Registered]:
    """What is new, all of them, in the order given."""
    places = await insert(pool, *arrivals)
    return [places[arrival.identity] for arrival in arrivals]


def settlement_of(
    place: Registered, *, state: str = "synced", tenant_id: str = TENANT, **changes: Any
) -> Settlement:
    """A settlement with its answer, or without one where the sync stays pending."""
    answer = Answer(
        topic=f"sedna.{state}",
        value=f"result of {place.id}".encode(),
        headers=(("content-type", b"application/cloudevents+json"),),
    )
    written = Settlement(
        sync_id=place.id,
        tenant_id=tenant_id,
        generation=place.generation,
        token=None,
        holding=HOLDING,
        attempt=1,
        state=state,
        outcome="retry" if state == "pending" else state,
        started_at=NOW,
        finished_at=NOW,
        answer=None if state == "pending" else answer,
    )
    return replace(written, **changes)


def message(text: str = "m", *, partition: int = 0, **changes: Any) -> Message:
    made = Message(
        kind=Kind.RESERVATION,
        partition=partition,
        tenant_id=TENANT,
        topic="sedna.failed",
        key=TENANT.encode(),
        value=text.encode(),
        headers=(("content-type", b"application/cloudevents+json"),),
    )
    return replace(made, **changes)


async def rows(pool: Pool, table: str) -> list[dict[str, Any]]:
    """A whole table, by id."""
    return [dict(row) for row in await pool.fetch(f"SELECT * FROM {table} ORDER BY id")]


async def row(pool: Pool, sync_id: int) -> dict[str, Any]:
    """One sync as it is stored."""
    found = await pool.fetchrow("SELECT * FROM syncs WHERE id = $1", sync_id)
    assert found is not None
    return dict(found)


async def replay(pool: Pool, *places: Registered) -> None:
    """As if a replay had registered these."""
    await pool.execute(
        "UPDATE syncs SET replayed = true, replay_id = 1 WHERE id = ANY($1)",
        [place.id for place in places],
    )


async def settle(pool: Pool, settlements: Sequence[Settlement]) -> settlement.Settled:
    """Settle as the process that has marked these syncs last."""
    tokens = {
        each.sync_id: await pool.fetchval(
            "SELECT dispatch_token FROM syncs WHERE id = $1", each.sync_id
        )
        for each in settlements
    }
    return await settlement.settle(
        pool, [replace(each, token=tokens[each.sync_id]) for each in settlements]
    )
