"""Publishing: a message leaves the outbox once it is acknowledged, and not before."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import cast

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, OutOfOrderSequenceNumber

from consumer import publisher as module
from consumer.delivery import Delivery
from consumer.leases import Leases
from consumer.ownership import Ownership, Place
from consumer.publisher import Publisher
from consumer.tracing import Tracing
from db import outbox
from db.inbox import registration
from db.pool import Pool
from db.records import OutboxRow
from schemas.kinds import Kind
from tests.integration.db.builders import message

OWNED = [(Kind.RESERVATION, 0)]
COUNT = 5


class Held:
    """The leases on what is owned."""

    def places(self) -> list[Place]:
        return OWNED

    def want(self, place: Place) -> None:
        assert place in OWNED


class Kafka:
    """Acknowledges pages, after these errors; during the first page something else happens."""

    def __init__(
        self,
        errors: Sequence[KafkaError] = (),
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.errors = list(errors)
        self.meanwhile = meanwhile
        self.pages: list[list[int]] = []
        self.kept: list[int] = []  # in the outbox, at each page

    def of(self, pool: Pool) -> Delivery:
        self._pool = pool
        return cast("Delivery", self)

    async def send(self, rows: Sequence[OutboxRow]) -> None:
        self.pages.append([row.id for row in rows])
        self.kept.append(len(await outbox.page(self._pool, OWNED, after=0, limit=100)))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        if self.errors:
            raise self.errors.pop(0)


def publisher_of(pool: Pool, kafka: Kafka) -> Publisher:
    ownership = Ownership()
    ownership.assign({Kind.RESERVATION: frozenset({0})}, {Kind.RESERVATION: 1})
    return Publisher(
        pool=pool,
        delivery=kafka.of(pool),
        ownership=ownership,
        leases=cast("Leases", Held()),
        tracing=Tracing(),
    )


async def test_what_was_not_acknowledged_stays_and_goes_out_again_as_a_whole(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    async with registration(pool) as transaction:
        await transaction.add_messages([message(str(number)) for number in range(COUNT)])
    ids = [row.id for row in await outbox.page(pool, OWNED, after=0, limit=100)]
    kafka = Kafka([OutOfOrderSequenceNumber(), KafkaTimeoutError()])
    publisher = publisher_of(pool, kafka)

    publishing = asyncio.create_task(publisher.run())
    await publisher.drained()
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)

    assert kafka.pages == [ids] * 3
    assert kafka.kept == [COUNT] * 3
    assert await outbox.page(pool, OWNED, after=0, limit=100) == []


async def test_what_nobody_told_of_goes_out_in_time_though_others_come_all_along(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose commit's reply was lost is not told of, and steady traffic must not keep it back."""
    monkeypatch.setattr(module, "_REREAD_SECONDS", 0.5)
    kafka = Kafka()
    publisher = publisher_of(pool, kafka)
    async with AsyncExitStack() as late:
        transaction = await late.enter_async_context(registration(pool))
        late_id = await transaction.add_messages([message("late")])
        publishing = asyncio.create_task(publisher.run())
        try:
            async with asyncio.timeout(10):
                while not kafka.pages:
                    await told_of_one(pool, publisher)
                await late.aclose()
                while [late_id] not in [page[:1] for page in kafka.pages]:
                    await told_of_one(pool, publisher)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)


async def told_of_one(pool: Pool, publisher: Publisher) -> None:
    async with registration(pool) as transaction:
        new_id = await transaction.add_messages([message("new")])
    publisher.written(new_id)
    await asyncio.sleep(0.02)


async def test_what_is_committed_behind_what_is_being_sent_goes_out_without_a_pause(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ids are lower, its commit was later: the page that is under way cannot know of it."""
    monkeypatch.setattr(module, "_REREAD_SECONDS", 3_600.0)  # as if new ones came all the time
    async with AsyncExitStack() as late:
        transaction = await late.enter_async_context(registration(pool))
        late_id = await transaction.add_messages([message("late")])
        async with registration(pool) as early:
            early_id = await early.add_messages([message("early")])
        assert late_id < early_id

        async def commit_the_late_one() -> None:
            await late.aclose()
            publisher.written(late_id)

        kafka = Kafka(meanwhile=commit_the_late_one)
        publisher = publisher_of(pool, kafka)
        publisher.written(early_id)

        publishing = asyncio.create_task(publisher.run())
        try:
            async with asyncio.timeout(5):
                while len(kafka.pages) < 2:
                    await asyncio.sleep(0.01)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    assert kafka.pages == [[early_id], [late_id]]
