"""One holder at a time, each with an epoch of its own, and no write under an epoch that is over."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from db import leases, settlement, work
from db.pool import Pool
from db.records import Holding, Registered
from tests.integration.db.builders import (
    HOLDING,
    NOW,
    TENANT,
    inserted,
    lane_of,
    mark_of,
    row,
    rows,
    settlement_of,
    step_one_of,
    stop_sale,
)

PLACE = ("stopsale.created", 3)


async def take(pool: Pool, owner: str, *places: tuple[str, int]) -> list[Holding]:
    return await leases.acquire(pool, places or [PLACE], owner=owner, duration=60)


async def run_out(pool: Pool) -> None:
    await pool.execute("UPDATE partition_leases SET expires_at = now() - interval '1 second'")


async def seconds_left(pool: Pool) -> float:
    left = await pool.fetchval(
        "SELECT extract(epoch FROM expires_at - now())::float FROM partition_leases "
        "WHERE (topic, partition) = ($1, $2)",
        *PLACE,
    )
    return float(left)


async def test_the_first_holder_has_the_first_epoch(pool: Pool) -> None:
    assert await take(pool, "one") == [Holding(*PLACE, 1)]
    assert await leases.owner_of(pool, *PLACE) == "one"


async def test_nobody_else_gets_what_is_held(pool: Pool) -> None:
    await take(pool, "one")
    free = ("stopsale.created", 4)
    assert await take(pool, "two", PLACE, free) == [Holding(*free, 1)]
    assert await leases.owner_of(pool, *PLACE) == "one"


async def test_what_has_run_out_goes_to_the_next_with_the_next_epoch(pool: Pool) -> None:
    await take(pool, "one")
    await run_out(pool)
    assert await leases.owner_of(pool, *PLACE) is None
    assert await take(pool, "two") == [Holding(*PLACE, 2)]


async def test_what_was_given_back_goes_to_the_next_at_once(pool: Pool) -> None:
    held = await take(pool, "one")
    await leases.release(pool, held)
    assert await take(pool, "two") == [Holding(*PLACE, 2)]


async def test_who_asks_again_for_what_it_holds_keeps_its_epoch(pool: Pool) -> None:
    assert await take(pool, "one") == await take(pool, "one")


async def test_who_asks_again_for_what_it_gave_back_gets_a_new_epoch(pool: Pool) -> None:
    held = await take(pool, "one")
    await leases.release(pool, held)
    assert await take(pool, "one") == [Holding(*PLACE, 2)]


async def test_a_renewal_holds_on_for_the_duration_from_now(pool: Pool) -> None:
    held = await take(pool, "one")
    assert await leases.renew(pool, held, duration=500) == {PLACE}
    assert 400 < await seconds_left(pool) <= 500


async def test_what_has_run_out_is_held_again_if_nobody_took_it(pool: Pool) -> None:
    held = await take(pool, "one")
    await run_out(pool)
    assert await leases.renew(pool, held, duration=60) == {PLACE}
    assert await take(pool, "two") == []


async def test_what_somebody_else_took_is_not_renewed_and_not_given_back(pool: Pool) -> None:
    held = await take(pool, "one")
    await run_out(pool)
    await take(pool, "two")
    assert await leases.renew(pool, held, duration=60) == set()
    await leases.release(pool, held)
    assert await leases.owner_of(pool, *PLACE) == "two"


async def test_giving_back_does_not_prolong_what_has_run_out(pool: Pool) -> None:
    held = await take(pool, "one")
    await pool.execute("UPDATE partition_leases SET expires_at = now() - interval '1 hour'")
    await leases.release(pool, held)
    assert await seconds_left(pool) < -3000


async def test_of_many_who_ask_at_once_one_gets_it(pool: Pool) -> None:
    answers = await asyncio.gather(*(take(pool, f"process {n}") for n in range(8)))
    assert sorted(map(len, answers)) == [0] * 7 + [1]


WRITES: dict[str, Callable[[Pool, Registered, Holding], Awaitable[object]]] = {
    "mark": lambda pool, place, holding: work.mark(pool, [mark_of(place, holding=holding)], []),
    "store lanes": lambda pool, place, holding: work.mark(
        pool, [], [lane_of(place, "hotel:28", holding=holding)]
    ),
    "record step one": lambda pool, place, holding: work.record_step_one(
        pool, [step_one_of(place, 5, holding=holding)]
    ),
    "hold": lambda pool, place, holding: work.hold(pool, [(place.id, TENANT)], holding),
    "settle": lambda pool, place, holding: settlement.settle(
        pool, [settlement_of(place, holding=holding)]
    ),
    "settle as in doubt": lambda pool, place, holding: settlement.settle(
        pool, [settlement_of(place, state="pending", in_doubt_since=NOW, holding=holding)]
    ),
}


@pytest.mark.parametrize("marked", [False, True], ids=["waiting", "marked"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_holder_of_an_earlier_epoch_writes_nothing(
    pool: Pool,
    name: str,
    marked: bool,  # noqa: FBT001 - a table's column
) -> None:
    (place,) = await inserted(pool, stop_sale(7, lane="hotel:18"))
    if marked:
        await work.mark(pool, [mark_of(place)], [])
    before = await row(pool, place.id)
    for stale in (
        replace(HOLDING, epoch=HOLDING.epoch - 1),
        replace(HOLDING, epoch=HOLDING.epoch + 1),
        replace(HOLDING, partition=99),
    ):
        answer = await WRITES[name](pool, place, stale)
        assert answer in (set(), {}, settlement.Settled(frozenset(), None))
    assert await row(pool, place.id) == before
    assert await rows(pool, "sync_attempts") == []
    assert await rows(pool, "outbox") == []


async def test_of_a_group_those_are_written_whose_lease_is_held(pool: Pool) -> None:
    mine, lost = await inserted(pool, stop_sale(7), stop_sale(8))
    stale = replace(HOLDING, epoch=HOLDING.epoch - 1)
    settled = await settlement.settle(
        pool, [settlement_of(mine), settlement_of(lost, holding=stale)]
    )
    assert settled.ids == {mine.id}


async def test_who_takes_over_waits_for_the_writes_under_way_and_finds_them(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(7, lane="hotel:18"))
    async with pool.acquire() as connection, connection.transaction():
        # As a settlement does while it runs.
        await connection.execute("SELECT FROM partition_leases FOR SHARE")
        taking = asyncio.create_task(
            leases.acquire(
                pool, [(HOLDING.topic, HOLDING.partition)], owner="the test", duration=60
            )
        )
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not await connection.fetchval(waiting):
            await asyncio.sleep(0.01)
        await connection.execute("UPDATE syncs SET sedna_rec_id = 5 WHERE id = $1", place.id)
        assert not taking.done()
    await taking
    assert (await row(pool, place.id))["sedna_rec_id"] == 5
