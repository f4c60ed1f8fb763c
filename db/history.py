"""What became of a tenant's work: a list of it, and each with its attempts.

The work of a question is bounded, whatever the history: a page looks at so many syncs and no more,
and says how far it came. It changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from db import sql
from db.errors import translated
from db.pool import Pool
from schemas.kinds import Kind

_QUERIES = sql.load("history")

#: Without statistics, Postgres would rather collect all of a tenant's syncs and sort them.
IN_ORDER = (
    "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; "
    "SET LOCAL enable_seqscan = off"
)
#: Above every id.
NEWEST = 2**63 - 1
#: Syncs that one page looks at where filters pass most of them over.
_LOOKED_AT = 5_000
#: Attempts that come with a sync.
MOST_ATTEMPTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which syncs are wanted; None: whatever it is."""

    state: str | None = None  #: `pending`, `synced` or `failed`
    kind: Kind | None = None
    code: str | None = None  #: of the failure, or of the last attempt
    in_doubt: bool | None = None
    hotel_id: int | None = None  #: Sedna's: that was found, or that the event names
    hotel: str | None = None  #: a part of the name in the event, in any case
    first_day: date | None = None  #: stays and stop sales that touch the days from here
    last_day: date | None = None  #: to here, both included
    registered_since: datetime | None = None
    registered_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecord:
    """One piece of work, without the guests."""

    id: int
    kind: Kind
    email_id: int | None
    voucher_no: str | None
    stop_sale_id: int | None
    hotel_name: str | None
    sedna_hotel_id: int | None
    first_day: date | None  #: check-in, or the first day of the stop sale
    last_day: date | None  #: check-out, or the last day of the stop sale
    state: str
    in_doubt_since: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    sedna_rec_id: int | None
    adopted: bool
    error_code: str | None
    error_message: str | None
    error_details: Mapping[str, Any] | None
    registered_at: datetime
    updated_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try."""

    generation: int  #: how often the work was registered before, and this time
    attempt: int  #: from 1 in each generation
    outcome: str  #: `synced`, `failed`, `retry` or `in_doubt`
    error_code: str | None
    error_message: str | None
    sedna_rec_id: int | None
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsynced:
    """One piece of work that is not in Sedna."""

    id: int
    kind: Kind
    item_id: int | None  #: the `email_id` or the `stop_sale_id`
    state: str  #: `pending` or `failed`
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A stretch of the list."""

    syncs: list[SyncRecord]
    older_than: int | None  #: where the next one begins; None: there is none


async def page(
    pool: Pool, tenant_id: str, filters: Filters, *, older_than: int, limit: int
) -> Page:
    """A tenant's syncs, in the order in which they first came, newest first.

    It may hold fewer than `limit`, even none, and yet have a next one: so many were passed over.

    Args:
        pool: the connections.
        tenant_id: whose.
        filters: which of them.
        older_than: `NEWEST`, or what the page before says.
        limit: syncs at the most.
    """
    most = limit if filters == Filters() else max(limit, _LOOKED_AT)
    with translated():
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(IN_ORDER)
            rows = await connection.fetch(
                _QUERIES["page"],
                *(tenant_id, older_than, most, limit),
                filters.state,
                filters.kind,
                filters.code,
                filters.in_doubt,
                filters.hotel_id,
                filters.hotel,
                None if filters.first_day is None else filters.first_day.isoformat(),
                None if filters.last_day is None else filters.last_day.isoformat(),
                filters.registered_since,
                filters.registered_before,
            )
    syncs = [_sync(row) for row in rows if row["sync_id"] is not None]
    if len(syncs) == limit:
        return Page(syncs=syncs, older_than=syncs[-1].id)
    how_far = rows[0]
    return Page(syncs=syncs, older_than=how_far["oldest"] if how_far["looked_at"] == most else None)


async def one(pool: Pool, tenant_id: str, sync_id: int) -> tuple[SyncRecord, list[Attempt]] | None:
    """A tenant's sync with its latest attempts, the first of them first; None if it has no such."""
    with translated():
        row = await pool.fetchrow(_QUERIES["one"], sync_id, tenant_id)
        if row is None:
            return None
        tried = await pool.fetch(_QUERIES["attempts"], sync_id, tenant_id, MOST_ATTEMPTS)
    return _sync(row), [Attempt(**dict(each)) for each in reversed(tried)]


async def unsynced(pool: Pool, tenant_id: str, *, limit: int) -> list[Unsynced]:
    """A tenant's oldest syncs that are not synced, the first that came first.

    Of those that wait, the ones whose turn comes next are looked at.
    """
    with translated():
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(IN_ORDER)
            rows = await connection.fetch(_QUERIES["unsynced"], tenant_id, limit)
    return [
        Unsynced(
            id=row["id"],
            kind=Kind(row["kind"]),
            item_id=row["item_id"],
            state=row["state"],
            generation=row["generation"],
        )
        for row in rows
    ]


def _sync(row: asyncpg.Record) -> SyncRecord:
    details = row["error_details"]
    return SyncRecord(
        id=row["sync_id"],
        kind=Kind(row["kind"]),
        email_id=row["email_id"],
        voucher_no=row["voucher_no"],
        stop_sale_id=row["stop_sale_id"],
        hotel_name=row["hotel_name"],
        sedna_hotel_id=row["sedna_hotel_id"],
        first_day=_day(row["first_day"]),
        last_day=_day(row["last_day"]),
        state=row["state"],
        in_doubt_since=row["in_doubt_since"],
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        sedna_rec_id=row["sedna_rec_id"],
        adopted=row["adopted"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        error_details=None if details is None else json.loads(details),
        registered_at=row["registered_at"],
        updated_at=row["updated_at"],
        settled_at=row["settled_at"],
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
