"""The backlog in numbers: each partition counted once, and nothing said that is not known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from consumer.gauges import BacklogGauges
from consumer.leases import Leases
from consumer.metrics import BacklogShare
from consumer.ownership import Lease
from db import gauges
from db.errors import DatabaseUnavailable
from db.gauges import Count
from db.inbox import registration
from db.pool import Pool, open_pool
from db.records import Arrival, Holding, Origin
from schemas.kinds import Kind
from tests.integration.db.builders import (
    inserted,
    message,
    replay,
    reservation,
    settle,
    settlement_of,
    stop_sale,
)

TOPIC = {Kind.RESERVATION: "reservation.created", Kind.STOP_SALE: "stopsale.created"}
LONG_AGO = timedelta(hours=1)


@dataclass
class Hand:
    """A clock that stands still until it is set."""

    seconds: float = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC)

    def elapsed(self) -> float:
        return self.seconds


@dataclass
class Holder:
    """One process, as far as its gauges go."""

    pool: Pool
    clock: Hand = field(default_factory=Hand)
    leases: list[Lease] = field(default_factory=list)
    gauges: BacklogGauges = field(init=False)

    def __post_init__(self) -> None:
        self.gauges = BacklogGauges(pool=self.pool, leases=cast("Leases", self), clock=self.clock)

    def held(self) -> list[Lease]:
        return list(self.leases)

    async def take(self, kind: Kind, partition: int, *, epoch: int = 1) -> None:
        """Hold a partition's lease for 60 seconds, in Postgres as well."""
        await self.pool.execute(
            "INSERT INTO partition_leases VALUES ($1, $2, $3, $4, now() + '60 s')"
            " ON CONFLICT (topic, partition) DO UPDATE SET owner = $3, epoch = $4",
            TOPIC[kind],
            partition,
            f"process {id(self)}",
            epoch,
        )
        holding = Holding(TOPIC[kind], partition, epoch)
        self.leases.append(Lease((kind, partition), holding, self.clock.seconds + 60))

    async def share(self) -> BacklogShare | None:
        await self.gauges.refresh()
        return self.gauges.share()


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    """The shared database, with no lease at all."""
    await pool.execute("DELETE FROM partition_leases")
    return pool


def in_partition(arrival: Arrival, partition: int) -> Arrival:
    origin = Origin(topic=TOPIC[arrival.kind], partition=partition, offset=arrival.origin.offset)
    return replace(arrival, origin=origin)


async def fill(pool: Pool) -> None:
    """Three reservations in partition 0, two in 1; a stop sale in 0; one of each is old or done."""
    places = await inserted(
        pool,
        in_partition(reservation("V1"), 0),
        in_partition(reservation("V2", tenant_id="another"), 0),
        in_partition(reservation("V3"), 0),
        in_partition(reservation("V4"), 1),
        in_partition(reservation("V5"), 1),
        in_partition(stop_sale(7), 0),
    )
    await pool.execute(
        "UPDATE syncs SET registered_at = now() - $2::interval WHERE id = $1",
        places[1].id,
        LONG_AGO,
    )
    await pool.execute(
        "UPDATE syncs SET in_doubt_since = now() WHERE id = ANY($1)", [places[0].id, places[3].id]
    )
    async with registration(pool) as transaction:
        await transaction.add_messages([message("a"), message("b", partition=1)])


async def done(pool: Pool, holder: Holder) -> None:
    """Settle one reservation of partition 0."""
    [place] = await inserted(pool, in_partition(reservation("V9"), 0))
    await settle(pool, [settlement_of(place, holding=holder.leases[0].holding, state="failed")])


async def test_what_is_pending_in_doubt_and_unpublished_is_counted_by_partition(pool: Pool) -> None:
    await fill(pool)
    holder = Holder(pool)
    await holder.take(Kind.RESERVATION, 0)
    await holder.take(Kind.STOP_SALE, 0)
    await holder.take(Kind.STOP_SALE, 1)
    await done(pool, holder)
    found = await gauges.read(
        pool, [(lease.place[0], lease.holding) for lease in holder.leases], patience=10
    )
    ages = {place: count.oldest_pending_seconds for place, count in found.items()}
    assert ages[Kind.RESERVATION, 0] == pytest.approx(LONG_AGO.total_seconds(), abs=60)
    assert 0 <= ages[Kind.STOP_SALE, 0] < 60
    assert found == {
        place: Count(
            pending=pending, oldest_pending_seconds=ages[place], in_doubt=doubts, unpublished=outbox
        )
        for place, pending, doubts, outbox in (
            ((Kind.RESERVATION, 0), 3, 1, 2),  # a message of its own, and the answer to V9
            ((Kind.STOP_SALE, 0), 1, 0, 0),
            ((Kind.STOP_SALE, 1), 0, 0, 0),
        )
    }
    assert ages[Kind.STOP_SALE, 1] == 0


async def test_the_oldest_may_be_a_replayed_one_or_a_live_one(pool: Pool) -> None:
    replayed, live = await inserted(
        pool, in_partition(reservation("V1"), 0), in_partition(reservation("V2"), 0)
    )
    await replay(pool, replayed)
    holder = Holder(pool)
    await holder.take(Kind.RESERVATION, 0)
    for oldest in (replayed, live):
        await pool.execute(
            "UPDATE syncs SET registered_at = now()"
            " - CASE WHEN id = $1 THEN $2::interval ELSE '1 s' END",
            oldest.id,
            LONG_AGO,
        )
        share = await holder.share()
        assert share is not None
        assert share.pending[Kind.RESERVATION] == 2
        age = share.oldest_pending_seconds[Kind.RESERVATION]
        assert age == pytest.approx(LONG_AGO.total_seconds(), abs=60)


async def test_the_shares_of_all_holders_add_up_to_the_whole(pool: Pool) -> None:
    await fill(pool)
    one, two, stands_by = Holder(pool), Holder(pool), Holder(pool)
    await one.take(Kind.RESERVATION, 0)
    await two.take(Kind.RESERVATION, 1)
    await two.take(Kind.STOP_SALE, 0)
    shares = [await each.share() for each in (one, two, stands_by)]
    pending = [None if share is None else share.pending for share in shares]
    assert pending == [
        {Kind.RESERVATION: 3, Kind.STOP_SALE: 0},
        {Kind.RESERVATION: 2, Kind.STOP_SALE: 1},
        {Kind.RESERVATION: 0, Kind.STOP_SALE: 0},
    ]
    assert sum(share.in_doubt for share in shares if share) == 2
    assert sum(share.unpublished for share in shares if share) == 2
    oldest = [share.oldest_pending_seconds[Kind.RESERVATION] for share in shares if share]
    assert max(oldest) == oldest[0] == pytest.approx(LONG_AGO.total_seconds(), abs=60)


async def test_who_sleeps_through_a_takeover_counts_nothing_of_it(pool: Pool) -> None:
    await fill(pool)
    sleeper, successor = Holder(pool), Holder(pool)
    await sleeper.take(Kind.RESERVATION, 0, epoch=1)
    assert await sleeper.share() is not None
    await successor.take(Kind.RESERVATION, 0, epoch=2)
    # What it had counted it no longer shows once its lease has run out by its own clock,
    sleeper.clock.seconds += 61
    assert sleeper.gauges.share() is None
    # and it does not count anew what Postgres says is another's, whatever its clock says.
    sleeper.clock.seconds -= 61
    assert await sleeper.share() is None
    assert (
        await gauges.read(pool, [(Kind.RESERVATION, sleeper.leases[0].holding)], patience=10) == {}
    )
    share = await successor.share()
    assert share is not None
    assert share.pending[Kind.RESERVATION] == 3


async def test_a_partition_that_is_given_back_is_left_out_at_once(pool: Pool) -> None:
    await fill(pool)
    holder = Holder(pool)
    await holder.take(Kind.RESERVATION, 0)
    await holder.take(Kind.RESERVATION, 1)
    share = await holder.share()
    assert share is not None
    assert share.pending[Kind.RESERVATION] == 5
    del holder.leases[0]
    share = holder.gauges.share()
    assert share is not None
    assert share.pending[Kind.RESERVATION] == 2


async def test_what_was_counted_under_an_earlier_lease_is_not_shown_under_the_next(
    pool: Pool,
) -> None:
    holder = Holder(pool)
    await holder.take(Kind.RESERVATION, 0, epoch=1)
    assert await holder.share() is not None
    holder.leases.clear()
    await holder.take(Kind.RESERVATION, 0, epoch=3)  # another had it in between
    assert holder.gauges.share() is None
    assert await holder.share() is not None


async def test_half_a_count_is_not_shown(pool: Pool) -> None:
    holder = Holder(pool)
    assert holder.gauges.share() is None  # nothing was counted yet
    await holder.take(Kind.RESERVATION, 0)
    assert await holder.share() is not None
    await holder.take(Kind.RESERVATION, 1)
    assert holder.gauges.share() is None
    assert await holder.share() is not None


async def test_numbers_vanish_while_postgres_cannot_be_read_and_counting_goes_on(
    database_url: str,
) -> None:
    pool = await open_pool(database_url, max_size=2)
    away = await open_pool(database_url, max_size=1)
    await away.close()
    holder = Holder(pool)
    await holder.take(Kind.RESERVATION, 0)
    assert await holder.share() is not None
    holder.gauges._pool = away
    async with running(holder):
        await until(lambda: holder.gauges.share() is None)
        holder.gauges._pool = pool
        holder.gauges.look()
        await until(lambda: holder.gauges.share() is not None)
    await pool.close()


async def test_a_count_that_takes_too_long_is_given_up(pool: Pool) -> None:
    await fill(pool)
    holder = Holder(pool)
    await holder.take(Kind.RESERVATION, 0)
    [lease] = holder.leases
    with pytest.raises(DatabaseUnavailable):
        await gauges.read(pool, [(Kind.RESERVATION, lease.holding)], patience=0.000_001)


@contextlib.asynccontextmanager
async def running(holder: Holder) -> AsyncIterator[None]:
    task = asyncio.create_task(holder.gauges.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
