"""What a process believes of its leases is never more than what Postgres grants."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from unittest.mock import AsyncMock, Mock

import pytest
from aiokafka import TopicPartition

from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.ownership import Ownership, Place
from consumer.rebalance import Drain, RebalanceListener
from db import leases
from db.pool import Pool, open_pool
from db.records import Holding, Stream
from schemas.kinds import Kind

TOPICS = {Kind.RESERVATION: "reservations", Kind.STOP_SALE: "stop-sales"}
LEASE, REQUEST = 60.0, 10.0
STREAM = Stream(Kind.RESERVATION, 0, "a")


@dataclass
class Hand:
    """A clock that stands still until it is set."""

    seconds: float = 1000.0
    looks: int = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC)

    def elapsed(self) -> float:
        self.looks += 1
        return self.seconds


@dataclass
class Member:
    """One process of the group, as far as leases go."""

    leases: Leases
    ownership: Ownership
    clock: Hand
    acquired: int = 0
    lost: list[Place] = field(default_factory=list)

    def assign(self, *partitions: int, count: int = 4) -> None:
        self.ownership.assign({Kind.RESERVATION: frozenset(partitions)}, dict.fromkeys(Kind, count))
        self.leases.assigned()

    async def until_held(self, *places: Place) -> None:
        async with asyncio.timeout(10):
            while self.leases.places() != sorted(places):
                await asyncio.sleep(0.01)

    def on_acquired(self) -> None:
        self.acquired += 1

    def on_lost(self, places: Collection[Place]) -> None:
        self.lost += places


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, max_size=4)
    yield opened
    await opened.close()


@contextlib.asynccontextmanager
async def member(pool: Pool, name: str) -> AsyncIterator[Member]:
    clock, ownership = Hand(), Ownership()
    held = Leases(
        pool=pool,
        owner=name,
        clock=clock,
        ownership=ownership,
        topics=TOPICS,
        duration=LEASE,
        request_timeout=REQUEST,
    )
    made = Member(held, ownership, clock)
    held.tell(on_acquired=made.on_acquired, on_lost=made.on_lost)
    running = asyncio.create_task(held.run())
    yield made
    running.cancel()
    await asyncio.wait([running])


def place(partition: int) -> Place:
    return (Kind.RESERVATION, partition)


async def test_what_is_assigned_is_leased_and_reported(pool: Pool) -> None:
    async with member(pool, "one") as one:
        one.assign(0, 2)
        await one.until_held(place(0), place(2))
        assert one.acquired
        lease = one.leases.of(STREAM)
        assert lease is not None
        assert lease.holding.topic == "reservations"
        assert one.leases.may_send(lease)
        assert one.leases.of(Stream(Kind.RESERVATION, 1, "a")) is None


async def test_a_lease_that_ends_before_a_request_would_sends_nothing(pool: Pool) -> None:
    async with member(pool, "one") as one:
        one.assign(0)
        await one.until_held(place(0))
        lease = one.leases.of(STREAM)
        assert lease is not None
        one.clock.seconds = lease.valid_until - REQUEST
        assert one.leases.may_send(lease)
        one.clock.seconds += 0.001
        assert not one.leases.may_send(lease)


async def test_who_wants_to_send_under_a_short_lease_waits_for_its_renewal(pool: Pool) -> None:
    async with member(pool, "one") as one:
        one.assign(0)
        await one.until_held(place(0))
        lease = one.leases.of(STREAM)
        assert lease is not None
        one.clock.seconds += 10 * LEASE
        assert await one.leases.sendable(lease)
        assert lease.valid_until == one.clock.seconds + LEASE


async def test_a_sleeper_whose_lease_was_taken_learns_it_and_may_send_nothing(pool: Pool) -> None:
    async with member(pool, "one") as one, member(pool, "two") as two:
        one.assign(0)
        await one.until_held(place(0))
        lease = one.leases.of(STREAM)
        assert lease is not None
        await pool.execute("UPDATE partition_leases SET expires_at = now()")
        two.assign(0)
        await two.until_held(place(0))

        one.clock.seconds += LEASE
        assert not one.leases.may_send(lease)
        assert not await one.leases.sendable(lease)
        assert one.lost == [place(0)]
        taken = two.leases.of(STREAM)
        assert taken is not None
        assert taken.holding.epoch == lease.holding.epoch + 1


async def test_what_is_held_elsewhere_is_taken_once_it_was_given_back(pool: Pool) -> None:
    async with member(pool, "one") as one, member(pool, "two") as two:
        one.assign(0, 1)
        await one.until_held(place(0), place(1))
        two.assign(1, 2)
        await two.until_held(place(2))
        await one.leases.release()
        await two.until_held(place(1), place(2))


async def test_what_is_abandoned_is_left_to_run_out(pool: Pool) -> None:
    async with member(pool, "one") as one:
        one.assign(0)
        await one.until_held(place(0))
        one.ownership.revoke()
        one.leases.abandon()
        assert one.leases.places() == []
        assert await pool.fetchval("SELECT expires_at > now() FROM partition_leases")


async def test_work_of_a_partition_that_is_gone_is_leased_by_the_owner_of_its_remainder(
    pool: Pool,
) -> None:
    async with member(pool, "one") as one:
        one.assign(1)
        await one.until_held(place(1))
        one.leases.want(place(5))  # 5 mod 4 is ours
        one.leases.want(place(6))  # 6 mod 4 is not
        await one.until_held(place(1), place(5))


async def test_a_lease_taken_anew_is_another_one(pool: Pool) -> None:
    async with member(pool, "one") as one:
        one.assign(0)
        await one.until_held(place(0))
        before = one.leases.of(STREAM)
        await one.leases.release()
        one.leases.assigned()
        await one.until_held(place(0))
        after = one.leases.of(STREAM)
        assert before is not None
        assert after is not None
        assert not one.leases.holds(before)
        assert not one.leases.may_send(before)
        assert after.holding.epoch == before.holding.epoch + 1


async def test_a_lease_that_arrives_while_the_partitions_are_taken_away_is_given_back(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted, go_on = asyncio.Event(), asyncio.Event()
    acquire = leases.acquire

    async def slowly(
        pool: Pool, wanted: Sequence[tuple[str, int]], *, owner: str, duration: float
    ) -> list[Holding]:
        found = await acquire(pool, wanted, owner=owner, duration=duration)
        granted.set()
        await go_on.wait()
        return found

    async with member(pool, "one") as one:
        one.assign(0)
        await one.until_held(place(0))
        monkeypatch.setattr(leases, "acquire", slowly)
        one.assign(0, 1)
        await granted.wait()
        revoking = asyncio.create_task(revoke(one))
        await asyncio.sleep(0)
        go_on.set()
        await revoking
        assert one.leases.places() == []
        assert await running_leases(pool) == 0


async def test_what_was_given_back_at_the_end_is_not_taken_again(pool: Pool) -> None:
    async with member(pool, "one") as one:
        one.assign(0)
        await one.until_held(place(0))
        assert await drain_of(one)()
        one.leases.assigned()  # wakes the task, as time does
        for _ in range(200):
            assert await running_leases(pool) == 0


@pytest.mark.parametrize("after", ["the start", "a rebalance"])
async def test_a_process_without_partitions_stands_still(pool: Pool, after: str) -> None:
    async with member(pool, "one") as one:
        if after == "a rebalance":
            one.assign(0)
            await one.until_held(place(0))
            await revoke(one)
            one.clock.seconds += LEASE
            one.leases.assigned()
        for _ in range(10):
            await asyncio.sleep(0)
        before = one.clock.looks
        for _ in range(1000):
            await asyncio.sleep(0)
        assert one.clock.looks - before < 10


async def running_leases(pool: Pool) -> int:
    return int(
        await pool.fetchval("SELECT count(*) FROM partition_leases WHERE expires_at > now()")
    )


async def revoke(one: Member) -> None:
    """What Kafka's client does when partitions are taken from a process."""
    listener = RebalanceListener(
        consumer=Mock(), kinds={}, ownership=one.ownership, leases=one.leases, drain=drain_of(one)
    )
    await listener.on_partitions_revoked({TopicPartition("reservations", 0)})


def drain_of(one: Member) -> Drain:
    """A drain of a process that has nothing but leases."""
    nothing = AsyncMock()
    return Drain(
        ownership=one.ownership,
        intake=nothing,
        lanes=Lanes(max_in_flight=1, max_in_flight_per_tenant=1),
        dispatcher=nothing,
        backlog=Mock(**{"streams.return_value": []}),
        publisher=nothing,
        leases=one.leases,
        timeout=10,
    )
