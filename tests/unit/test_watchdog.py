"""The watchdog ends a process whose consumer has stalled, and takes nothing else for a stall."""

import asyncio
from collections.abc import Collection, Mapping
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from consumer.intake import Intake
from consumer.ownership import Ownership
from consumer.watchdog import ConsumerStalled, Watchdog
from schemas.kinds import Kind

TOPIC = "reservation.created"
PARTITION = TopicPartition(TOPIC, 0)
#: So short that a stall is found at once.
STALL_SECONDS = 0.004


class World:
    """A consumer that stands still at 5 of 9, and an intake with nothing to do."""

    def __init__(self) -> None:
        self.ownership = Ownership()
        self.own()
        self.assigned = frozenset({PARTITION})
        self.idle = True
        self.at: int | None = 5
        self.moves = False
        self.away = False
        self.looks = asyncio.Semaphore(0)  # released at each look

    def own(self) -> None:
        self.ownership.assign({Kind.RESERVATION: frozenset({0})}, {Kind.RESERVATION: 1})

    def assignment(self) -> Collection[TopicPartition]:
        return self.assigned

    def was_idle(self) -> bool:
        self.looks.release()
        return self.idle

    async def position(self, _: TopicPartition) -> int:
        if self.at is None:
            raise TimeoutError
        self.at += self.moves
        return self.at

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        if self.away:
            raise KafkaConnectionError("nobody there")
        return dict.fromkeys(partitions, 1_000_000 if self.moves else 9)

    def watchdog(self) -> Watchdog:
        return Watchdog(
            consumer=cast("AIOKafkaConsumer", self),
            intake=cast("Intake", self),
            ownership=self.ownership,
            kinds={TOPIC: Kind.RESERVATION},
            end_offsets=self.end_offsets,
            stall_seconds=STALL_SECONDS,
        )

    async def stays_quiet(self) -> None:
        """Run it for many more looks than a stall takes."""
        watching = asyncio.create_task(self.watchdog().run())
        for _ in range(40):
            await self.looks.acquire()
        assert not watching.done()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_consumer_that_stands_still_before_records_ends_the_process(world: World) -> None:
    with pytest.raises(ConsumerStalled):
        await world.watchdog().run()


async def test_a_consumer_that_moves_is_left_alone(world: World) -> None:
    world.moves = True
    await world.stays_quiet()


async def test_an_intake_that_waits_for_postgres_is_no_stall(world: World) -> None:
    world.idle = False
    await world.stays_quiet()


async def test_brokers_that_cannot_be_asked_are_no_stall(world: World) -> None:
    world.away = True
    await world.stays_quiet()


async def test_a_position_that_is_not_known_is_no_stall(world: World) -> None:
    world.at = None
    await world.stays_quiet()


async def test_a_stall_is_counted_anew_after_each_assignment(world: World) -> None:
    watching = asyncio.create_task(world.watchdog().run())
    for _ in range(40):
        await world.looks.acquire()
        world.assigned = frozenset([PARTITION])
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_what_is_assigned_and_not_owned_is_no_stall(world: World) -> None:
    world.ownership.revoke()
    await world.stays_quiet()
    world.own()
    with pytest.raises(ConsumerStalled):
        await world.watchdog().run()
