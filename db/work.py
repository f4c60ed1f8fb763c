"""Pending work: loading it in order, and marking it before it is sent."""

from collections.abc import Sequence
from datetime import date, datetime

import asyncpg

from db import leases, sql
from db.errors import translated
from db.pool import Pool
from db.records import (
    Holding,
    Mark,
    Origin,
    PendingSync,
    ResolvedLane,
    StepOne,
    Stream,
    SyncedStopSale,
)
from schemas.kinds import Kind
from schemas.trace import trace_in

_QUERIES = sql.load("work")


async def streams(pool: Pool) -> list[Stream]:
    """Every (kind, partition of origin, tenant, class) that has pending work."""
    with translated():
        rows = await pool.fetch(_QUERIES["streams"])
    return [
        Stream(Kind(row["kind"]), row["origin_partition"], row["tenant_id"], row["replayed"])
        for row in rows
    ]


async def page(pool: Pool, stream: Stream, *, after: int, limit: int) -> list[PendingSync]:
    """The next pending syncs of one stream, in order.

    Args:
        pool: the connections.
        stream: whose.
        after: the `seq` of the last one that is known; 0 begins at the beginning.
        limit: rows at the most.
    """
    with translated():
        rows = await pool.fetch(
            _QUERIES["page"],
            stream.kind.value,
            stream.partition,
            stream.tenant_id,
            stream.replayed,
            after,
            limit,
        )
    return [_pending(row) for row in rows]


async def unresolved(
    pool: Pool, tenant_id: str, *, after: int, before: int, limit: int
) -> list[PendingSync]:
    """The next pending stop sales of a tenant whose lane is unknown, in order.

    Args:
        pool: the connections.
        tenant_id: whose.
        after: the `seq` of the last one that was looked at; 0 begins at the beginning.
        before: the `seq` that they stand before.
        limit: rows at the most.
    """
    with translated():
        rows = await pool.fetch(_QUERIES["unresolved"], tenant_id, after, before, limit)
    return [_pending(row) for row in rows]


async def earlier_in_lane(
    pool: Pool, tenant_id: str, lane: str, *, before: int, limit: int
) -> list[PendingSync]:
    """The first pending syncs of a tenant's lane that stand before a `seq`, in order."""
    with translated():
        rows = await pool.fetch(_QUERIES["earlier_in_lane"], tenant_id, lane, before, limit)
    return [_pending(row) for row in rows]


async def synced_behind(
    pool: Pool,
    tenant_id: str,
    *,
    lane: str,
    hotel_id: int,
    origin: Origin,
    event_time: datetime | None,
    first_day: date,
    last_day: date,
    limit: int,
) -> list[SyncedStopSale]:
    """Synced stop sales of a hotel that stand behind an event in the topic, the last ones first.

    Args:
        pool: the connections.
        tenant_id: whose.
        lane: that of the hotel.
        hotel_id: the hotel itself.
        origin: of the event. In its partition what has a greater offset stands behind it,
        event_time: elsewhere what was made later; None: nothing does.
        first_day: they touch this day or a later one,
        last_day: and this day or an earlier one.
        limit: so many at the most, of its partition and of others each.
    """
    with translated():
        rows = await pool.fetch(
            _QUERIES["synced_behind"],
            *(tenant_id, lane, origin.topic, origin.partition, origin.offset, event_time),
            *(first_day.isoformat(), last_day.isoformat(), limit, hotel_id),
        )
    return [SyncedStopSale(**dict(row)) for row in rows]


async def store_lanes_ahead(pool: Pool, lanes: Sequence[ResolvedLane]) -> int:
    """Store the lanes of stop sales that nobody has loaded yet; returns how many had none."""
    with translated():
        rows = await pool.fetch(_QUERIES["store_lanes_ahead"], *_lane_columns(lanes))
    return len(rows)


async def mark(pool: Pool, marks: Sequence[Mark], lanes: Sequence[ResolvedLane]) -> set[int]:
    """Mark attempts as dispatched, before their first byte is sent.

    Args:
        pool: the connections.
        marks: no sync twice.
        lanes: of stop sales whose hotel was resolved since; no sync twice.

    Returns:
        The ids that were marked. One that is missing must not be sent: an earlier sync of its
        lane is pending somewhere, somebody else has settled or marked it, or the lease is lost.
    """
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            if lanes:
                await connection.execute(_QUERIES["store_lanes"], *_lane_columns(lanes))
            rows = await connection.fetch(
                _QUERIES["mark"],
                [mark.sync_id for mark in marks],
                [mark.tenant_id for mark in marks],
                [mark.generation for mark in marks],
                [mark.hotel_id for mark in marks],
                [mark.token for mark in marks],
                [mark.doubt_since for mark in marks],
                *leases.columns([mark.holding for mark in marks]),
            )
    return {row["id"] for row in rows}


async def record_step_one(pool: Pool, made: Sequence[StepOne]) -> set[int]:
    """Store the records that step 1 of stop sales made.

    Returns:
        The ids of the syncs that were still pending and ours.
    """
    with translated():
        rows = await pool.fetch(
            _QUERIES["record_step_one"],
            [step.sync_id for step in made],
            [step.tenant_id for step in made],
            [step.rec_id for step in made],
            [step.hotel_id for step in made],
            *leases.columns([step.holding for step in made]),
        )
    return {row["id"] for row in rows}


async def hold(
    pool: Pool, left_over: Sequence[tuple[int, str]], holding: Holding
) -> dict[int, datetime]:
    """Note as in doubt what a former owner marked and did not settle.

    Args:
        pool: the connections.
        left_over: (sync id, tenant id).
        holding: of who asks, for the partition of all of them.

    Returns:
        Since when each is in doubt. One that is missing was settled meanwhile, or is not ours.
    """
    with translated():
        rows = await pool.fetch(
            _QUERIES["hold"],
            *_columns(left_over),
            holding.topic,
            holding.partition,
            holding.epoch,
        )
    return {row["id"]: row["in_doubt_since"] for row in rows}


async def is_marked_by_other(
    pool: Pool, sync_id: int, tenant_id: str, *, token: str | None
) -> bool | None:
    """Whether a sync that nobody has settled yet was marked by somebody else.

    Args:
        pool: the connections.
        sync_id: of what.
        tenant_id: whose.
        token: of the mark that is known, as of who is in doubt; None: none is.

    Returns:
        None: somebody has settled it.
    """
    with translated():
        marked: bool | None = await pool.fetchval(
            _QUERIES["is_marked_by_other"], sync_id, tenant_id, token
        )
    return marked


def _lane_columns(lanes: Sequence[ResolvedLane]) -> tuple[Sequence[object], ...]:
    return (
        [resolved.sync_id for resolved in lanes],
        [resolved.tenant_id for resolved in lanes],
        [resolved.generation for resolved in lanes],
        [resolved.lane for resolved in lanes],
        *leases.columns([resolved.holding for resolved in lanes]),
    )


def _columns(pairs: Sequence[tuple[int, str]]) -> tuple[list[int], list[str]]:
    return [sync_id for sync_id, _ in pairs], [tenant_id for _, tenant_id in pairs]


def _pending(row: asyncpg.Record) -> PendingSync:
    return PendingSync(
        id=row["id"],
        tenant_id=row["tenant_id"],
        kind=Kind(row["kind"]),
        email_id=row["email_id"],
        voucher_no=row["voucher_no"],
        stop_sale_id=row["stop_sale_id"],
        payload=row["payload"],
        doubted_payload=row["doubted_payload"],
        event_id=row["event_id"],
        event_time=row["event_time"],
        trace=trace_in(row["traceparent"], row["tracestate"]),
        origin=Origin(
            topic=row["origin_topic"],
            partition=row["origin_partition"],
            offset=row["origin_offset"],
        ),
        seq=row["seq"],
        lane=row["lane"],
        generation=row["generation"],
        dispatched_at=row["dispatched_at"],
        in_doubt_since=row["in_doubt_since"],
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        dispatch_token=row["dispatch_token"],
        sedna_rec_id=row["sedna_rec_id"],
        sedna_hotel_id=row["sedna_hotel_id"],
        registered_at=row["registered_at"],
        replayed=row["replayed"],
        of_replay=row["of_replay"],
    )
