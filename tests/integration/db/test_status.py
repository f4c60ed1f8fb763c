"""How things stand: counted exactly, each tenant's apart, and without cost for what goes well."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from db import breakers, leases, outbox, replays, settlement, sql, status, tenants, work
from db.inbox import registration
from db.pool import Connection, Pool
from db.records import Origin, Registered, TenantSettings
from db.status import Lease, TenantStatus
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    NOW,
    TENANT,
    insert,
    inserted,
    mark_of,
    message,
    replay,
    reservation,
    row,
    settlement_of,
    stop_sale,
)

OTHER = "agency-8"
LEASE = Lease(topic="reservation.created", partition=3, owner="host-1", epoch=7, expires_at=NOW)


async def add_tenant(pool: Pool, tenant_id: str, *, is_active: bool = True) -> None:
    await tenants.put(
        pool,
        TenantSettings(
            tenant_id=tenant_id,
            sedna_api_url="http://sedna.example/",
            sedna_username="u",
            sedna_password_encrypted=b"sealed",
            is_active=is_active,
        ),
    )


async def block(pool: Pool, tenant_id: str) -> None:
    await breakers.put_open(
        pool, tenant_id, reason="throttled", last_error="429", failures=5, open_until=NOW
    )


async def doubt(pool: Pool, *places: Registered, tenant_id: str = TENANT) -> None:
    """As a process leaves them that was killed, and the next one finds them."""
    await work.mark(pool, [mark_of(place, tenant_id=tenant_id) for place in places], [])
    await work.hold(pool, [(place.id, tenant_id) for place in places], HOLDING)


async def fail(pool: Pool, *places: Registered, code: str, tenant_id: str = TENANT) -> None:
    await settlement.settle(
        pool,
        [
            settlement_of(place, state="failed", error_code=code, tenant_id=tenant_id)
            for place in places
        ],
    )


def nothing(tenant_id: str, **changes: Any) -> TenantStatus:
    """A tenant for whom nothing is left to do."""
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "is_active": True,
        "pending": {},
        "oldest_pending": None,
        "in_doubt": 0,
        "oldest_doubt": None,
        "failed": {},
        "breaker": None,
        **changes,
    }
    return TenantStatus(**values)


def in_partition(number: int) -> Origin:
    return Origin(topic="reservation.created", partition=number, offset=number)


async def test_each_tenants_work_that_is_not_done_is_counted(pool: Pool) -> None:
    await add_tenant(pool, TENANT)
    waiting = await inserted(
        pool, *(reservation(f"V{n}", origin=in_partition(n % 3)) for n in range(7))
    )
    more = await inserted(pool, stop_sale(1, lane="hotel:1"), stop_sale(2, lane="hotel:2"))
    gone = await inserted(pool, *(reservation(f"W{n}") for n in range(6)))
    await doubt(pool, waiting[2], more[1])
    await settlement.settle(pool, [settlement_of(gone[0])])
    await fail(pool, gone[1], gone[2], code="hotel_not_found")
    await fail(pool, gone[3], code="gave_up")
    await insert(pool, reservation("V1", tenant_id=OTHER))

    found = await status.read(pool)
    assert [tenant.tenant_id for tenant in found.tenants] == [TENANT, OTHER]
    own, other = found.tenants
    assert own == nothing(
        TENANT,
        pending={Kind.RESERVATION: 9, Kind.STOP_SALE: 2},
        oldest_pending=waiting[0].registered_at,
        in_doubt=2,
        oldest_doubt=(await row(pool, waiting[2].id))["in_doubt_since"],
        failed={"hotel_not_found": 2, "gave_up": 1},
    )
    assert other.pending == {Kind.RESERVATION: 1}
    assert other.is_active is None
    assert found.at >= waiting[0].registered_at


async def test_the_oldest_is_the_first_of_whatever_kind_and_partition(pool: Pool) -> None:
    for number, arrival in enumerate(
        (stop_sale(1), reservation("V1", origin=in_partition(5)), reservation("V0"))
    ):
        (place,) = await inserted(pool, arrival)
        await pool.execute(
            "UPDATE syncs SET registered_at = $2 WHERE id = $1",
            place.id,
            NOW + timedelta(minutes=(number + 1) % 3),
        )
    for found in (await status.read(pool), await status.read_tenant(pool, TENANT)):
        assert found.tenants[0].oldest_pending == NOW


async def test_replayed_work_is_counted_with_the_live_one_and_may_be_the_oldest(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{n}") for n in range(3)), stop_sale(1))
    await replay(pool, places[1], places[3])
    for oldest in places[:2]:
        await pool.execute(
            "UPDATE syncs SET registered_at = CASE WHEN id = $1 THEN $2 ELSE now() END",
            oldest.id,
            NOW,
        )
        for found in (await status.read(pool), await status.read_tenant(pool, TENANT)):
            assert found.tenants[0].pending == {Kind.RESERVATION: 3, Kind.STOP_SALE: 1}
            assert found.tenants[0].oldest_pending == NOW


async def test_what_is_done_is_not_shown(pool: Pool) -> None:
    (first, second) = await inserted(pool, reservation("V1"), reservation("V2"))
    await doubt(pool, second)
    token = (await row(pool, second.id))["dispatch_token"]
    await settlement.settle(pool, [settlement_of(first), settlement_of(second, token=token)])
    assert (await status.read(pool)).tenants == ()


async def test_a_failed_one_that_is_tried_anew_is_pending_and_no_longer_failed(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await fail(pool, place, code="hotel_not_found")
    async with registration(pool) as transaction:
        again = reservation("V1", offset=9)
        await transaction.insert([again])
        await transaction.renew([(place.id, again)])
    (found,) = (await status.read(pool)).tenants
    assert (found.pending, found.failed) == ({Kind.RESERVATION: 1}, {})


async def test_what_failed_in_doubt_is_counted_as_failed_alone(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settlement.settle(
        pool,
        [
            settlement_of(
                place, state="failed", error_code="in_doubt_unresolved", in_doubt_since=NOW
            )
        ],
    )
    (found,) = (await status.read(pool)).tenants
    assert (found.in_doubt, found.failed) == (0, {"in_doubt_unresolved": 1})


async def test_a_failure_whose_code_nobody_wrote_is_counted_too(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await pool.execute("UPDATE syncs SET state = 'failed' WHERE id = $1", place.id)
    (found,) = (await status.read(pool)).tenants
    assert found.failed == {"unknown": 1}


async def test_tenants_without_work_are_there_with_their_breakers(pool: Pool) -> None:
    await add_tenant(pool, "a")
    await add_tenant(pool, "b", is_active=False)
    await block(pool, "b")
    a, b = (await status.read(pool)).tenants
    assert a == nothing("a")
    assert b == nothing("b", is_active=False, breaker=await breakers.get(pool, "b"))
    assert b.breaker is not None


async def test_one_tenant_is_shown_as_among_all_and_nothing_of_others(pool: Pool) -> None:
    for tenant_id in (TENANT, OTHER):
        await add_tenant(pool, tenant_id)
        await block(pool, tenant_id)
        places = await insert(
            pool,
            *(reservation(f"V{n}", tenant_id=tenant_id, origin=in_partition(n)) for n in range(5)),
            stop_sale(7, tenant_id=tenant_id, lane="hotel:1"),
        )
        first, second, *_ = places.values()
        await doubt(pool, first, tenant_id=tenant_id)
        await fail(pool, second, code=f"code-of-{tenant_id}", tenant_id=tenant_id)
    everybody = {tenant.tenant_id: tenant for tenant in (await status.read(pool)).tenants}
    for tenant_id in (TENANT, OTHER):
        found = await status.read_tenant(pool, tenant_id)
        assert found.tenants == (everybody[tenant_id],)
        assert (found.unpublished, found.leases, found.replays) == (None, None, None)


async def test_a_replay_is_running_as_long_as_a_process_holds_its_lock(
    pool: Pool, url: str
) -> None:
    def at(topic: str, partition: int) -> replays.Position:
        return replays.Position(topic=topic, partition=partition, first=10, end=60, position=10)

    replay_id = await replays.begin(pool, "{}", [at("t", 0), at("t", 1)])
    async with registration(pool) as transaction:
        moved = replace(at("t", 1), position=35)
        await replays.advance(transaction.connection, replay_id, [(10, moved)], {})
    (found,) = (await status.read(pool)).replays or ()
    assert (found.id, found.passed, found.offsets, found.running) == (replay_id, 25, 100, False)
    async with replays.locked(url, replay_id) as mine:
        assert mine
        (found,) = (await status.read(pool)).replays or ()
        assert found.running
        async with replays.locked(url, replay_id) as second:
            assert not second
    await replays.finish(pool, replay_id)
    assert (await status.read(pool)).replays == ()


async def test_who_has_neither_settings_nor_work_is_not_found(pool: Pool) -> None:
    await add_tenant(pool, OTHER)
    await insert(pool, reservation("V1", tenant_id=OTHER))
    assert (await status.read_tenant(pool, TENANT)).tenants == ()


async def test_the_hotels_that_failed_syncs_name_are_read_by_code_and_bounded(pool: Pool) -> None:
    named = ['"hotel_name": "Mandarin"', '"hotel_name": "Mandarin", "sedna_hotel_id": 18']
    places = await inserted(
        pool,
        *(reservation(f"V{n}", payload=f"{{{named[n % 2]}}}") for n in range(4)),
        stop_sale(7, lane="hotel:1", payload='{"hotel_name": "Lara", "sedna_hotel_id": null}'),
        reservation("W", payload='{"hotel_name": "Pending"}'),
    )
    await fail(pool, *places[:2], code="hotel_not_found")
    await fail(pool, *places[2:4], code="room_type_unknown")
    await fail(pool, places[4], code="hotel_ambiguous")
    codes = ["hotel_not_found", "hotel_ambiguous"]
    found = await status.failed_hotels(pool, TENANT, codes=codes, limit=10)
    assert {(each.error_code, each.hotel_name, each.by_id) for each in found} == {
        ("hotel_not_found", "Mandarin", False),
        ("hotel_not_found", "Mandarin", True),
        ("hotel_ambiguous", "Lara", False),
    }
    assert len(await status.failed_hotels(pool, TENANT, codes=codes, limit=2)) == 2


async def test_messages_that_wait_for_kafka_are_counted(pool: Pool) -> None:
    empty = (await status.read(pool)).unpublished
    assert empty is not None
    assert (empty.count, empty.oldest) == (0, None)
    async with registration(pool) as transaction:
        await transaction.add_messages([message("a"), message("b", partition=4)])
    first = (await outbox.page(pool, [(Kind.RESERVATION, 0)], after=0, limit=1))[0]
    waiting = (await status.read(pool)).unpublished
    assert waiting is not None
    oldest = await pool.fetchval("SELECT created_at FROM outbox WHERE id = $1", first.id)
    assert (waiting.count, waiting.oldest) == (2, oldest)


async def test_the_owners_of_partitions_are_shown(pool: Pool) -> None:
    await pool.execute("DELETE FROM partition_leases")
    await pool.execute(
        "INSERT INTO partition_leases (topic, partition, owner, epoch, expires_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        *astuple(LEASE),
    )
    assert (await status.read(pool)).leases == (LEASE,)


async def test_all_is_of_one_moment_of_the_databases_clock(pool: Pool) -> None:
    before = await pool.fetchval("SELECT clock_timestamp()")
    at = (await status.read(pool)).at
    assert before <= at <= await pool.fetchval("SELECT clock_timestamp()")
    assert at.tzinfo == UTC
    assert isinstance(at, datetime)


# -- what it costs the work -----------------------------------------------------------------------


MARK_COLUMNS = ("sync_id", "tenant_id", "generation", "hotel_id", "token", "doubt_since")
HOT = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'syncs'"


@asynccontextmanager
async def updates(pool: Pool) -> AsyncIterator[tuple[Connection, list[int]]]:
    """A transaction, and at its end how many rows it has changed, and how many in no index."""
    counts: list[int] = []
    async with pool.acquire() as connection, connection.transaction():
        # What the session did before is among the counts until it is reported.
        before = await connection.fetch(HOT)
        yield connection, counts
        after = await connection.fetch(HOT)
        counts += [new - sum(old) for new, *old in zip(*after, *before, strict=True)]


def mark_arguments(*places: Registered, doubt_since: datetime | None = None) -> list[list[Any]]:
    """The columns of a batch of marks."""
    marks = [mark_of(place, doubt_since=doubt_since) for place in places]
    own = [[getattr(mark, name) for mark in marks] for name in MARK_COLUMNS]
    return [*own, *leases.columns([mark.holding for mark in marks])]


@pytest.fixture
async def places(pool: Pool) -> list[Registered]:
    """Few in a page, which therefore has room for what becomes of them."""
    await pool.execute("VACUUM syncs")
    return await inserted(pool, *(reservation(f"V{n}") for n in range(4)))


async def test_the_mark_touches_no_index(pool: Pool, places: list[Registered]) -> None:
    async with updates(pool) as (connection, counts):
        await connection.execute(sql.load("work")["mark"], *mark_arguments(*places))
    assert counts == [4, 4]


async def test_a_retry_touches_no_index(pool: Pool, places: list[Registered]) -> None:
    async with updates(pool) as (connection, counts):
        await settlement.settle(
            cast("Pool", connection),
            [settlement_of(place, state="pending", error_message="again") for place in places],
        )
    assert counts == [4, 4]


async def test_a_mark_that_ends_a_doubt_does(pool: Pool, places: list[Registered]) -> None:
    await doubt(pool, places[0])
    since = (await row(pool, places[0].id))["in_doubt_since"]
    async with updates(pool) as (connection, counts):
        given = mark_arguments(places[0], doubt_since=since)
        await connection.execute(sql.load("work")["mark"], *given)
    assert counts == [1, 0]
