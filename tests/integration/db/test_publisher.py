"""Publishing: a message leaves the outbox once it is acknowledged, and not before."""

import asyncio
from collections.abc import Sequence
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
    """Acknowledges pages, after these errors."""

    def __init__(self, errors: Sequence[KafkaError]) -> None:
        self.errors = list(errors)
        self.pages: list[list[int]] = []
        self.kept: list[int] = []  # in the outbox, at each page

    def of(self, pool: Pool) -> Delivery:
        self._pool = pool
        return cast("Delivery", self)

    async def send(self, rows: Sequence[OutboxRow]) -> None:
        self.pages.append([row.id for row in rows])
        self.kept.append(len(await outbox.page(self._pool, OWNED, after=0, limit=100)))
        if self.errors:
            raise self.errors.pop(0)


async def test_what_was_not_acknowledged_stays_and_goes_out_again_as_a_whole(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    async with registration(pool) as transaction:
        await transaction.add_messages([message(str(number)) for number in range(COUNT)])
    ids = [row.id for row in await outbox.page(pool, OWNED, after=0, limit=100)]
    ownership = Ownership()
    ownership.assign({Kind.RESERVATION: frozenset({0})}, {Kind.RESERVATION: 1})
    kafka = Kafka([OutOfOrderSequenceNumber(), KafkaTimeoutError()])
    publisher = Publisher(
        pool=pool,
        delivery=kafka.of(pool),
        ownership=ownership,
        leases=cast("Leases", Held()),
        tracing=Tracing(),
    )

    publishing = asyncio.create_task(publisher.run())
    await publisher.drained()
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)

    assert kafka.pages == [ids] * 3
    assert kafka.kept == [COUNT] * 3
    assert await outbox.page(pool, OWNED, after=0, limit=100) == []
