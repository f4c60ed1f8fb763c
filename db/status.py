"""How things stand, for people who ask: what waits, what is in doubt, what failed, who works.

It reads what it counts and never the history: the cost is that of the backlog, the doubts and the
failures. It changes nothing, and no work may depend on it.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from db import breakers, sql
from db.errors import translated
from db.pool import Connection, Pool
from db.records import OpenBreaker
from db.replays import LOCK_CLASS
from schemas.kinds import Kind

_QUERIES = sql.load("status")
_STREAMS = sql.load("work")["streams"]
#: Without statistics of it yet, Postgres would read a whole table for what lies in a small index.
BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
#: Seconds that counting may take: of a backlog that came just now every row is looked at.
_PATIENCE = 300.0
#: Of a failed sync whose code nobody wrote.
_NO_CODE = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """One tenant's work that is not done."""

    tenant_id: str
    is_active: bool | None  #: None: it has no settings
    pending: Mapping[Kind, int]  #: by kind, where there are any; what is in doubt is among them
    oldest_pending: datetime | None  #: when the first of the pending ones was registered
    in_doubt: int
    oldest_doubt: datetime | None
    failed: Mapping[str, int]  #: by code; they stay until they are tried anew
    breaker: OpenBreaker | None  #: None: it is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """The messages that Kafka has not acknowledged yet."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may work on a partition, and until when."""

    topic: str
    partition: int
    owner: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReplay:
    """A replay that has not come to its end."""

    id: int
    started_at: datetime
    passed: int  #: offsets
    offsets: int  #: of so many
    running: bool  #: False: it was interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How things stood at one moment of the database's clock."""

    at: datetime
    tenants: tuple[TenantStatus, ...]  #: by id; who has neither settings nor work is not there
    unpublished: Unpublished | None  #: None: one tenant alone was asked for
    leases: tuple[Lease, ...] | None  #: likewise
    replays: tuple[OpenReplay, ...] | None  #: likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedHotel:
    """The hotel that a failed sync names."""

    error_code: str
    hotel_name: str
    by_id: bool  #: its event names the hotel by id, which counts before the name


async def read(pool: Pool) -> Status:
    """How things stand for all tenants."""
    open_breakers = await breakers.every(pool)
    with translated():
        async with snapshot(pool) as connection:
            return Status(
                at=await connection.fetchval(_QUERIES["now"]),
                tenants=_tenants(
                    settings=await connection.fetch(_QUERIES["tenants"]),
                    pending=await _pending(
                        connection,
                        [tuple(row) for row in await connection.fetch(_STREAMS)],
                    ),
                    doubts=await connection.fetch(_QUERIES["doubts"]),
                    failures=await connection.fetch(_QUERIES["failures"]),
                    open_breakers=open_breakers,
                ),
                unpublished=await _unpublished(connection),
                leases=tuple(
                    Lease(**dict(row)) for row in await connection.fetch(_QUERIES["leases"])
                ),
                replays=tuple(
                    OpenReplay(**dict(row))
                    for row in await connection.fetch(_QUERIES["replays"], LOCK_CLASS)
                ),
            )


async def read_tenant(pool: Pool, tenant_id: str) -> Status:
    """How things stand for one tenant, and nothing of others."""
    breaker = await breakers.get(pool, tenant_id)
    with translated():
        async with snapshot(pool) as connection:
            busy = await connection.fetch(_QUERIES["partitions"])
            return Status(
                at=await connection.fetchval(_QUERIES["now"]),
                tenants=_tenants(
                    settings=await connection.fetch(_QUERIES["tenant"], tenant_id),
                    pending=await _pending(
                        connection,
                        [(*row, tenant_id, each) for row in busy for each in (False, True)],
                    ),
                    doubts=await connection.fetch(_QUERIES["doubts_of"], tenant_id),
                    failures=await connection.fetch(_QUERIES["failures_of"], tenant_id),
                    open_breakers=[] if breaker is None else [breaker],
                ),
                unpublished=None,
                leases=None,
                replays=None,
            )


async def failed_hotels(
    pool: Pool, tenant_id: str, *, codes: Sequence[str], limit: int
) -> list[FailedHotel]:
    """What hotels the failed syncs of one tenant name, of those that failed with these codes.

    At most `limit` of them, in no order.
    """
    with translated():
        async with snapshot(pool) as connection:
            rows = await connection.fetch(
                _QUERIES["failed_hotels_of"], tenant_id, list(codes), limit
            )
    return [FailedHotel(**dict(row)) for row in rows]


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """A connection to which everything is of one moment, and that finds it by index."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(BY_INDEX)
        yield connection


async def _pending(
    connection: Connection, streams: Sequence[tuple[str, int, str, bool]]
) -> list[asyncpg.Record]:
    return await connection.fetch(
        _QUERIES["pending"],
        [kind for kind, _, _, _ in streams],
        [partition for _, partition, _, _ in streams],
        [tenant_id for _, _, tenant_id, _ in streams],
        [replayed for _, _, _, replayed in streams],
        timeout=_PATIENCE,
    )


async def _unpublished(connection: Connection) -> Unpublished | None:
    row = await connection.fetchrow(_QUERIES["outbox"])
    return None if row is None else Unpublished(**dict(row))


def _tenants(
    *,
    settings: Iterable[asyncpg.Record],
    pending: Iterable[asyncpg.Record],
    doubts: Iterable[asyncpg.Record],
    failures: Iterable[asyncpg.Record],
    open_breakers: Iterable[OpenBreaker],
) -> tuple[TenantStatus, ...]:
    """Put together what the queries say of each tenant that any of them knows."""
    is_active: dict[str, bool] = {row["tenant_id"]: row["is_active"] for row in settings}
    waiting: defaultdict[str, dict[Kind, int]] = defaultdict(dict)
    since: dict[str, datetime] = {}
    for row in pending:
        tenant_id = row["tenant_id"]
        waiting[tenant_id][Kind(row["kind"])] = row["count"]
        since[tenant_id] = min(row["oldest"], since.get(tenant_id, row["oldest"]))
    doubted = {row["tenant_id"]: (row["count"], row["oldest"]) for row in doubts}
    failed: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in failures:
        failed[row["tenant_id"]][row["error_code"] or _NO_CODE] = row["count"]
    by_tenant = {breaker.tenant_id: breaker for breaker in open_breakers}
    known = is_active.keys() | waiting.keys() | doubted.keys() | failed.keys() | by_tenant.keys()
    return tuple(
        TenantStatus(
            tenant_id=tenant_id,
            is_active=is_active.get(tenant_id),
            pending=waiting.get(tenant_id, {}),
            oldest_pending=since.get(tenant_id),
            in_doubt=doubted.get(tenant_id, (0, None))[0],
            oldest_doubt=doubted.get(tenant_id, (0, None))[1],
            failed=failed.get(tenant_id, {}),
            breaker=by_tenant.get(tenant_id),
        )
        for tenant_id in sorted(known)
    )
