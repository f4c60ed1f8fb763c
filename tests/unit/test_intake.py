"""The intake keeps polling while Postgres is away, and passes nothing over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from consumer import intake as module
from consumer import persistence
from consumer.arrivals import Readable, Unreadable
from consumer.backlog import Backlog
from consumer.intake import Intake
from consumer.ownership import Ownership
from consumer.publisher import Publisher
from consumer.registrar import Registrar, Registration
from consumer.tracing import Tracing
from db.errors import DatabaseError, DatabaseUnavailable
from schemas.kinds import Kind
from tests.support.events import reservation

TOPIC = "reservation.created"
PARTITION = TopicPartition(TOPIC, 0)
OFFSETS = range(7, 10)


def record(offset: int) -> ConsumerRecord[bytes, bytes]:
    value = reservation("a", offset)
    return ConsumerRecord(
        TOPIC, 0, offset, 1_000, 0, b"a", value, None, 1, len(value), cast("Any", ())
    )


class Kafka:
    """One partition with three records, and errors where a test wants them."""

    def __init__(self) -> None:
        self.at = OFFSETS.start
        self.assigned = {PARTITION}
        self.committed: dict[TopicPartition, int] = {}
        self.errors: list[KafkaError] = []  # raised by the next polls
        self.coordinator = asyncio.Event()  # clear: a commit waits for it without end
        self.coordinator.set()
        self.polls = asyncio.Semaphore(0)  # released at each poll
        self.before_fetch: Callable[[], None] = lambda: None

    async def getmany(
        self, *partitions: TopicPartition, **_: object
    ) -> dict[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]:
        self.polls.release()
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        if PARTITION not in partitions:
            return {}
        records = [record(offset) for offset in OFFSETS if offset >= self.at]
        self.at = OFFSETS.stop
        self.before_fetch()
        return {PARTITION: records} if records else {}

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition == PARTITION
        self.at = offset

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        await self.coordinator.wait()
        self.committed |= offsets


class Postgres:
    """Takes batches, unless it is away."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False
        self.tries = asyncio.Semaphore(0)
        self.batches: list[list[int]] = []

    async def register(
        self, readable: Sequence[Readable], unreadable: Sequence[Unreadable]
    ) -> Registration:
        self.tries.release()
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        assert not unreadable
        self.batches.append([each.arrival.origin.offset for each in readable])
        return Registration()


class Nobody:
    """Hears what was registered."""

    def registered(self, syncs: object) -> None: ...


class World:
    def __init__(self) -> None:
        self.kafka, self.postgres = Kafka(), Postgres()
        self.ownership = Ownership()
        self.own()
        self.intake = Intake(
            consumer=cast("AIOKafkaConsumer", self.kafka),
            registrar=cast("Registrar", self.postgres),
            ownership=self.ownership,
            kinds={TOPIC: Kind.RESERVATION},
            backlog=cast("Backlog", Nobody()),
            publisher=cast("Publisher", Nobody()),
            tracing=Tracing(),
        )

    def own(self) -> None:
        self.ownership.assign({Kind.RESERVATION: frozenset({0})}, {Kind.RESERVATION: 1})

    async def run(self) -> None:
        await self.intake.run()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.run())
        try:
            yield task
        finally:
            self.intake.stop()
            await task

    async def polls(self, count: int) -> None:
        """Wait for so many more polls."""
        while not self.kafka.polls.locked():
            await self.kafka.polls.acquire()
        for _ in range(count):
            await self.kafka.polls.acquire()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.polls(1)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(persistence, "_LONGEST_WAIT", 0.002)
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(module, "_LONGEST_WAIT", 0.002)
    monkeypatch.setattr(module, "_SIGN_OF_LIFE", 0.001)
    monkeypatch.setattr(module, "_COMMIT_SECONDS", 0.05)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_is_registered_is_committed(world: World) -> None:
    async with world.running():
        await world.until(lambda: bool(world.kafka.committed))
    assert world.postgres.batches == [list(OFFSETS)]
    assert world.kafka.committed == {PARTITION: OFFSETS.stop}


async def test_while_postgres_is_away_it_polls_and_reads_nothing_further(world: World) -> None:
    world.postgres.error = DatabaseUnavailable("gone")
    async with world.running():
        for _ in range(3):
            await world.postgres.tries.acquire()
        await world.polls(10)
        assert not world.intake.was_idle()
        assert not world.kafka.committed
        world.postgres.error = None
        await world.until(lambda: bool(world.kafka.committed))
    assert world.postgres.batches == [list(OFFSETS)]


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_batch_that_postgres_does_not_take_is_given_up_at_a_revocation(
    world: World, *, hangs: bool
) -> None:
    world.postgres.error = DatabaseUnavailable("gone")
    world.postgres.hangs = hangs
    async with world.running():
        await world.postgres.tries.acquire()
        await world.intake.release(within=0.05)
        world.ownership.revoke()
        world.postgres.error, world.postgres.hangs = None, False
        await world.polls(10)
        assert not world.kafka.committed
        assert not world.postgres.batches

        # The group gives it back, and reading begins where it was committed.
        world.kafka.at = OFFSETS.start
        world.own()
        await world.until(lambda: bool(world.kafka.committed))
    assert world.postgres.batches == [list(OFFSETS)]


async def test_a_batch_that_postgres_takes_is_committed_before_a_revocation_goes_on(
    world: World,
) -> None:
    async with world.running():
        await world.postgres.tries.acquire()
        await world.intake.release()
        assert world.kafka.committed == {PARTITION: OFFSETS.stop}


async def test_what_comes_before_its_partition_is_ours_is_read_again_later(world: World) -> None:
    # A poll that has outlasted a rebalance.
    world.kafka.before_fetch = world.ownership.revoke
    async with world.running():
        await world.polls(10)
        assert not world.postgres.batches
        world.kafka.before_fetch = lambda: None
        world.own()
        await world.until(lambda: bool(world.kafka.committed))
    assert world.postgres.batches == [list(OFFSETS)]


async def test_what_comes_of_a_partition_that_was_taken_from_us_is_left_to_its_owner(
    world: World,
) -> None:
    def taken() -> None:
        world.ownership.revoke()
        world.kafka.assigned = set()

    world.kafka.before_fetch = taken
    async with world.running():
        await world.polls(10)
    assert not world.postgres.batches
    assert not world.kafka.committed


async def test_a_commit_does_not_wait_for_the_coordinator_without_end(world: World) -> None:
    world.kafka.coordinator.clear()
    async with world.running():
        await world.until(lambda: bool(world.postgres.batches) and world.intake.was_idle())
    assert world.postgres.batches == [list(OFFSETS)]
    assert not world.kafka.committed


async def test_an_error_that_passes_does_not_end_reading(world: World) -> None:
    world.kafka.errors = [KafkaConnectionError("gone")] * 2
    async with world.running():
        await world.until(lambda: bool(world.kafka.committed))


async def test_errors_that_go_on_are_raised_in_the_end(world: World) -> None:
    world.kafka.errors = [KafkaConnectionError("gone")] * 100
    with pytest.raises(KafkaConnectionError):
        await world.run()


@pytest.mark.parametrize(
    "error",
    [
        GroupAuthorizationFailedError("group"),
        TopicAuthorizationFailedError("topic"),
        KafkaError("Unexpected error during coordination"),
    ],
)
async def test_an_error_that_no_repetition_mends_ends_reading_at_once(
    world: World, error: KafkaError
) -> None:
    world.kafka.errors = [error, error]
    with pytest.raises(type(error)):
        await world.run()
    assert world.kafka.errors == [error]


async def test_a_batch_that_postgres_refuses_ends_reading(world: World) -> None:
    world.postgres.error = DatabaseError("no such column")
    with pytest.raises(DatabaseError, match="no such column"):
        await world.run()
    assert not world.kafka.committed


async def test_a_poll_that_does_not_come_back_counts_as_idle(world: World) -> None:
    stuck = asyncio.Event()

    async def getmany(*_: object, **__: object) -> dict[str, str]:
        world.kafka.polls.release()
        await stuck.wait()
        return {}

    world.kafka.getmany = getmany  # type: ignore[assignment]  # the same, and it hangs
    async with world.running():
        await world.kafka.polls.acquire()
        assert world.intake.was_idle()
        world.intake.stop()
        stuck.set()
