"""Failed work that people ask for again: finding it, what may have overtaken it, trying it again.

What a person sees can be out of date when they press the button. So nothing is tried again but what
is still failed in the generation that was shown, and of two who press at once only one has pressed.
Whether a stop sale is overtaken is decided by the caller, between `lock` and `again`.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import asyncpg

from db import notices, sql
from db.errors import translated
from db.pool import Connection, Pool
from db.records import Origin, Stream
from schemas.kinds import Kind

_QUERIES = sql.load("retries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which failed syncs of a tenant; what is None makes no difference."""

    kind: Kind | None = None
    code: str | None = None
    older_than: timedelta | None = None  #: since they failed


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStopSale:
    """What `syncs` holds of a stop sale, and which hotel it is of as far as that is known."""

    id: int
    stop_sale_id: int
    state: str
    arrival: int  #: the order in which they came, whenever they were tried again
    payload: str = field(repr=False)  #: JSON of the event's data
    lane: str | None
    hotel_id: int | None  #: that a create was sent for
    origin: Origin
    of_replay: bool  #: a replay has registered it, or tried it again
    error_hotel_id: int | None = None  #: that a failure's details name


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedSync:
    """A sync that can be tried again, or, where it was asked for by its id, any sync."""

    id: int
    tenant_id: str
    kind: Kind
    item_id: int | None  #: the `email_id` or the `stop_sale_id`
    voucher_no: str | None
    state: str
    generation: int
    in_doubt: bool  #: a new try begins with the question to Sedna
    rec_id: int | None
    code: str | None
    message: str | None
    arrival: int
    stop_sale: StoredStopSale | None
    superseded_by: int | None  #: the sync that its failure names as what has overtaken it


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How far a sync has come."""

    id: int
    tenant_id: str
    kind: Kind
    item_id: int | None  #: the `email_id` or the `stop_sale_id`
    voucher_no: str | None
    generation: int
    state: str  #: `pending`, `synced` or `failed`
    in_doubt: bool
    attempts: int
    rec_id: int | None
    hotel_id: int | None
    adopted: bool
    error_code: str | None
    error_message: str | None
    error_details: str | None  #: JSON


# -- looking --------------------------------------------------------------------------------------


async def tenants(pool: Pool) -> list[str]:
    """Every tenant that has failed syncs, in order."""
    with translated():
        rows = await pool.fetch(_QUERIES["tenants"])
    return [row["tenant_id"] for row in rows]


async def page(
    pool: Pool, tenant_id: str, wanted: Filter, *, after: int, limit: int
) -> list[FailedSync]:
    """The next failed syncs of a tenant, in the order in which they came.

    Args:
        pool: the connections.
        tenant_id: whose.
        wanted: which.
        after: the `arrival` of the last one that is known; 0 begins at the beginning.
        limit: rows at the most.
    """
    kind = None if wanted.kind is None else wanted.kind.value
    with translated():
        rows = await pool.fetch(
            _QUERIES["page"], tenant_id, after, kind, wanted.code, wanted.older_than, limit
        )
    return [_failed(row) for row in rows]


async def count(pool: Pool, tenant_id: str) -> int:
    """How many syncs of a tenant have failed, and were not tried again since."""
    with translated():
        return int(await pool.fetchval(_QUERIES["count"], tenant_id))


async def by_ids(
    connection: "Pool | Connection", ids: Collection[int], *, tenant_id: str | None = None
) -> list[FailedSync]:
    """Syncs in whatever state, in the order in which they came; of one tenant, or of all."""
    with translated():
        rows = await connection.fetch(_QUERIES["by_ids"], list(ids), tenant_id)
    return [_failed(row) for row in rows]


async def newest(pool: Pool, tenant_id: str, kind: Kind, item_id: int) -> SyncState | None:
    """The newest sync of an e-mail's reservations, or the one of a stop sale.

    Args:
        pool: the connections.
        tenant_id: whose.
        kind: of what.
        item_id: the `email_id` or the `stop_sale_id`.
    """
    with translated():
        if kind is Kind.RESERVATION:
            row = await pool.fetchrow(_QUERIES["reservation"], tenant_id, item_id)
        else:
            row = await pool.fetchrow(_QUERIES["stop_sale"], tenant_id, str(item_id))
    return None if row is None else _state(row)


async def states(
    pool: Pool, syncs: Collection[tuple[str, int]]
) -> dict[tuple[str, int], SyncState]:
    """How far syncs have come, by (tenant id, sync id); one that does not exist is missing."""
    with translated():
        rows = await pool.fetch(
            _QUERIES["states"],
            [tenant_id for tenant_id, _ in syncs],
            [sync_id for _, sync_id in syncs],
        )
    return {(row["tenant_id"], row["id"]): _state(row) for row in rows}


async def later_stop_sales(
    connection: "Pool | Connection",
    tenant_id: str,
    *,
    lanes: Sequence[str] | None,
    after: int,
    first_day: date,
    last_day: date,
) -> list[StoredStopSale]:
    """Stop sales that are synced or under way, and perhaps came after another one.

    Args:
        connection: to ask by.
        tenant_id: whose.
        lanes: of which hotels the synced ones are to be; None: of any. Those that are under way are
            of any hotel, since theirs are mostly not known yet.
        after: the `arrival` of the other one. What was tried again and came before it may be among
            the result: compare `arrival`.
        first_day: they touch this day or a later one,
        last_day: and this day or an earlier one.
    """
    days = (first_day.isoformat(), last_day.isoformat())
    with translated():
        if lanes is None:
            rows = await connection.fetch(_QUERIES["synced"], tenant_id, after, *days)
        else:
            rows = await connection.fetch(
                _QUERIES["synced_in_lanes"], tenant_id, lanes, after, *days
            )
        rows += await connection.fetch(_QUERIES["pending"], tenant_id, after, *days)
    return [
        StoredStopSale(
            id=row["id"],
            stop_sale_id=row["stop_sale_id"],
            state=row["state"],
            arrival=row["arrival_seq"] or row["seq"],
            payload=row["payload"],
            lane=row["lane"],
            hotel_id=row["sedna_hotel_id"],
            **_whence(row),
        )
        for row in rows
    ]


# -- trying again ---------------------------------------------------------------------------------


class Retry:
    """One open transaction about one tenant's work; use it inside :func:`retry`."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        self.connection = connection
        self.tenant_id = tenant_id

    async def lock(self, shown: Collection[tuple[int, int]]) -> list[FailedSync]:
        """Those of (sync id, generation) that are as they were shown, in the order they came."""
        rows = await self.connection.fetch(
            _QUERIES["lock"],
            self.tenant_id,
            [sync_id for sync_id, _ in shown],
            [generation for _, generation in shown],
        )
        return sorted((_failed(row) for row in rows), key=lambda sync: sync.arrival)

    async def places(self, number: int) -> list[int]:
        """New places at the end of the work.

        Take them before asking what came later: then nothing that comes in between is overlooked.
        """
        rows = await self.connection.fetch(_QUERIES["places"], number)
        return [row["seq"] for row in rows]

    async def again(
        self,
        syncs: Iterable[FailedSync],
        places: Iterable[int],
        *,
        force: bool = False,
        replay_id: int | None = None,
    ) -> dict[int, int]:
        """Put locked syncs at these places, to be tried again; their owner is told.

        Args:
            syncs: as they were locked.
            places: theirs, in the same order.
            force: also what its owner would find to be overtaken is sent.
            replay_id: of the replay that asks for it; None: a person does.

        Returns:
            The new generations by sync id.
        """
        seqs = {sync.id: place for sync, place in zip(syncs, places, strict=False)}
        rows = await self.connection.fetch(
            _QUERIES["again"], self.tenant_id, list(seqs), list(seqs.values()), force, replay_id
        )
        await notices.tell(
            self.connection,
            (Stream(Kind(row["kind"]), row["origin_partition"], self.tenant_id) for row in rows),
        )
        return {row["id"]: row["generation"] for row in rows}


@asynccontextmanager
async def retry(pool: Pool, tenant_id: str) -> AsyncIterator[Retry]:
    """A transaction that is committed when the block ends, and rolled back if it raises.

    Raises:
        DatabaseUnavailable: nothing is tried again, or, if the connection broke during the commit,
            perhaps all of it: doing it once more is harmless.
    """
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            yield Retry(connection, tenant_id)


# -- rows -----------------------------------------------------------------------------------------


def _whence(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "origin": Origin(
            topic=row["origin_topic"],
            partition=row["origin_partition"],
            offset=row["origin_offset"],
        ),
        "of_replay": row["replay_id"] is not None,
    }


def _failed(row: asyncpg.Record) -> FailedSync:
    stop_sale = None
    if row["stop_sale"] is not None:
        stop_sale = StoredStopSale(
            id=row["id"],
            stop_sale_id=row["stop_sale_id"],
            state=row["state"],
            arrival=row["arrival"],
            payload=row["stop_sale"],
            lane=row["lane"],
            hotel_id=row["sedna_hotel_id"],
            error_hotel_id=_number(row["error_hotel_id"]),
            **_whence(row),
        )
    return FailedSync(
        state=row["state"],
        code=row["error_code"],
        message=row["error_message"],
        arrival=row["arrival"],
        stop_sale=stop_sale,
        superseded_by=_number(row["superseded_by"]),
        **_common(row),
    )


def _number(text: str | None) -> int | None:
    """As failures' details have it, if they do."""
    return int(text) if text is not None and text.isdecimal() else None


def _state(row: asyncpg.Record) -> SyncState:
    return SyncState(
        state=row["state"],
        attempts=row["attempts"],
        hotel_id=row["sedna_hotel_id"],
        adopted=row["adopted"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        error_details=row["error_details"],
        **_common(row),
    )


def _common(row: asyncpg.Record) -> dict[str, Any]:
    kind = Kind(row["kind"])
    return {
        "id": row["id"],
        "tenant_id": row["tenant_id"],
        "kind": kind,
        "item_id": row["email_id" if kind is Kind.RESERVATION else "stop_sale_id"],
        "voucher_no": row["voucher_no"],
        "generation": row["generation"],
        # Not so where the record of a stop sale is known: its second step can be repeated.
        "in_doubt": row["in_doubt_since"] is not None and row["sedna_rec_id"] is None,
        "rec_id": row["sedna_rec_id"],
    }
