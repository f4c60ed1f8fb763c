"""Runs of `sedna-sync replay`: told once, moved with what they register, taken up again.

A position moves in the transaction that stores what was read up to it, together with what was
counted: so whoever takes a run up again begins exactly where it was, and counts nothing twice.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from db import sql
from db.errors import translated
from db.pool import Connection, Pool, connect
from db.records import Count, Origin, StoredResult
from schemas.kinds import Kind
from schemas.trace import trace_in

_QUERIES = sql.load("replays")
#: The advisory locks of replays are these and the replay's id.
LOCK_CLASS = 0x7265706C


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A replay that was begun."""

    id: int
    asked: str  #: JSON: what it was told to do
    finished: bool


@dataclass(slots=True, kw_only=True)
class Position:
    """How far a run has come in one partition."""

    topic: str
    partition: int
    first: int  #: offset
    end: int  #: offset, not included
    position: int  #: the next offset to read
    expired: int = 0  #: offsets that were gone before they were read
    last_offset: int | None = None  #: of the record that was read last
    last_digest: bytes | None = None


class Moved(Exception):
    """A position is not where this process has left it: the run is somebody else's by now."""


async def begin(pool: Pool, asked: str, positions: Sequence[Position]) -> int:
    """Note a new run and its ranges; returns its id."""
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            replay_id: int = await connection.fetchval(_QUERIES["begin"], asked)
            await connection.execute(
                _QUERIES["add_positions"],
                replay_id,
                [each.topic for each in positions],
                [each.partition for each in positions],
                [each.first for each in positions],
                [each.end for each in positions],
            )
    return replay_id


async def latest(pool: Pool, asked: str | None) -> Run | None:
    """The last run that was told to do this, one that is not finished before one that is.

    Args:
        pool: the connections.
        asked: JSON; None: whatever it was told.
    """
    with translated():
        return _run(await pool.fetchrow(_QUERIES["latest"], asked))


async def by_id(pool: Pool, replay_id: int) -> Run | None:
    """A run by its id."""
    with translated():
        return _run(await pool.fetchrow(_QUERIES["by_id"], replay_id))


async def positions(pool: Pool, replay_id: int) -> list[Position]:
    """How far a run has come, in order of topic and partition."""
    with translated():
        rows = await pool.fetch(_QUERIES["positions"], replay_id)
    return [
        Position(
            topic=row["topic"],
            partition=row["partition"],
            first=row["first_offset"],
            end=row["end_offset"],
            position=row["position"],
            expired=row["expired"],
            last_offset=row["last_offset"],
            last_digest=row["last_digest"],
        )
        for row in rows
    ]


async def advance(
    connection: Connection,
    replay_id: int,
    moved: Sequence[tuple[int, Position]],
    counts: Mapping[Count, int],
) -> None:
    """Move positions, and add to what was counted; to be used in an open transaction.

    Args:
        connection: of the transaction.
        replay_id: of which run.
        moved: (where it was, where it is now), of those that have moved.
        counts: events that were read since.

    Raises:
        Moved: somebody else runs it.
    """
    rows = await connection.fetch(
        _QUERIES["advance"],
        replay_id,
        [each.topic for _, each in moved],
        [each.partition for _, each in moved],
        [was for was, _ in moved],
        [each.position for _, each in moved],
        [each.expired for _, each in moved],
        [each.last_offset for _, each in moved],
        [each.last_digest for _, each in moved],
    )
    if len(rows) != len(moved):
        raise Moved(f"replay {replay_id} is at other positions than this process has left it at")
    if counts:
        await connection.execute(
            _QUERIES["count"],
            replay_id,
            *(list(column) for column in zip(*counts, strict=True)),
            list(counts.values()),
        )


async def counts(pool: Pool, replay_id: int) -> dict[Count, int]:
    """What was counted of a run."""
    with translated():
        rows = await pool.fetch(_QUERIES["counts"], replay_id)
    return {
        (row["tenant_id"], row["kind"], row["outcome"], row["code"]): row["events"] for row in rows
    }


async def finish(pool: Pool, replay_id: int) -> None:
    """Note that a run has come to its end."""
    with translated():
        await pool.execute(_QUERIES["finish"], replay_id)


@asynccontextmanager
async def locked(database_url: str, replay_id: int) -> AsyncIterator[bool]:
    """Keep other processes from running it, for as long as the block; False: another one does."""
    connection = await connect(database_url)
    try:
        with translated():
            mine: bool = await connection.fetchval(_QUERIES["lock"], LOCK_CLASS, replay_id % 2**31)
        yield mine
    finally:
        connection.terminate()


async def results(
    connection: "Pool | Connection", syncs: Iterable[tuple[str, int]]
) -> list[StoredResult]:
    """What is remembered of the results of (tenant id, sync id)s; those pending are left out."""
    asked = sorted(set(syncs))
    with translated():
        rows = await connection.fetch(
            _QUERIES["results"],
            [tenant_id for tenant_id, _ in asked],
            [sync_id for _, sync_id in asked],
        )
    return [
        StoredResult(
            sync_id=row["id"],
            tenant_id=row["tenant_id"],
            kind=Kind(row["kind"]),
            email_id=row["email_id"],
            stop_sale_id=row["stop_sale_id"],
            voucher_no=row["voucher_no"],
            generation=row["generation"],
            attempts=row["attempts"],
            event_id=row["event_id"],
            origin=Origin(
                topic=row["origin_topic"],
                partition=row["origin_partition"],
                offset=row["origin_offset"],
            ),
            trace=trace_in(row["traceparent"], row["tracestate"]),
            state=row["state"],
            rec_id=row["sedna_rec_id"],
            hotel_id=row["sedna_hotel_id"],
            adopted=row["adopted"],
            error_code=row["error_code"],
            error_message=row["error_message"],
            error_details=row["error_details"],
            message=row["result_message"],
            event=row["result_event"],
            hotel_name=row["hotel_name"] or "",
            settled_at=row["settled_at"],
        )
        for row in rows
    ]


async def are_unpublished(pool: Pool, number: int) -> bool:
    """Whether so many messages wait for Kafka."""
    with translated():
        return bool(await pool.fetchval(_QUERIES["unpublished"], number))


async def pace(
    pool: Pool, tenants: Sequence[str], *, before: int | None
) -> dict[tuple[str, Kind], float]:
    """Seconds that Sedna took of late for a success, by tenant and kind, where there was one.

    Args:
        pool: the connections.
        tenants: whose.
        before: the replay whose own work does not count; None: all counts.
    """
    with translated():
        rows = await pool.fetch(_QUERIES["pace"], tenants, before)
    return {(row["tenant_id"], Kind(row["kind"])): row["seconds"] for row in rows}


class Memory:
    """What a dry run would have made of the events before, on a connection of its own.

    In Postgres, so that what is remembered does not take this process' memory.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.is_empty = True

    async def recall(self, identities: Sequence[bytes]) -> dict[bytes, bytes]:
        """The content hashes of those that are remembered."""
        if self.is_empty:
            return {}
        with translated():
            rows = await self._connection.fetch(_QUERIES["recall"], identities)
        return {row["identity"]: row["content_hash"] for row in rows}

    async def remember(self, seen: Mapping[bytes, bytes]) -> None:
        """Remember identities with their content hashes; the first one stays."""
        if seen:
            self.is_empty = False
            with translated():
                await self._connection.execute(
                    _QUERIES["remember"], list(seen), list(seen.values())
                )


@asynccontextmanager
async def memory(database_url: str) -> AsyncIterator[Memory]:
    """A memory that is gone with the block.

    Raises:
        DatabaseError: the user may not make temporary tables.
    """
    connection = await connect(database_url)
    try:
        with translated():
            await connection.execute(_QUERIES["make_memory"])
        yield Memory(connection)
    finally:
        connection.terminate()


def _run(row: asyncpg.Record | None) -> Run | None:
    if row is None:
        return None
    return Run(id=row["id"], asked=row["asked"], finished=row["finished"])
