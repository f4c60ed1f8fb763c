"""What measurements share: servers of their own, a world in them, and events at a steady pace."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from consumer.demo.fake import Account, FakeSedna
from db.migrate import migrate
from tests.support.events import reservation
from tests.support.kafka import kafka_server
from tests.support.kafka_clients import topics_factory
from tests.support.postgres import database, postgres_server
from tests.support.service import World, running_world

_TICK = 0.05


class Pace:
    """Publishes reservations, each with the time of its publication; the tenants take turns."""

    def __init__(
        self,
        here: World,
        producer: AIOKafkaProducer,
        *,
        tenants: Sequence[str],
        rate: float,
        **changes: Any,
    ) -> None:
        self._here = here
        self._producer = producer
        self._tenants = tenants
        self._rate = rate  # events per second, of all
        self._changes = changes  # of their data
        self.published = 0  #: and the `email_id` of the next one

    async def keep(self, seconds: float) -> None:
        """Publish at a steady pace."""
        start, first = time.monotonic(), self.published
        while (elapsed := time.monotonic() - start) < seconds:
            await self._publish(first + int(elapsed * self._rate) + 1 - self.published)
            await asyncio.sleep(_TICK)
        await self._producer.flush()

    async def burst(self, count: int) -> None:
        """Publish as fast as Kafka takes it."""
        await self._publish(count)
        await self._producer.flush()

    async def _publish(self, count: int) -> None:
        for _ in range(count):
            tenant = self._tenants[self.published % len(self._tenants)]
            now = datetime.now(UTC).isoformat()
            event = reservation(tenant, self.published, **self._changes)
            event = event.replace(b"2026-11-22T10:00:00Z", now.encode())
            await self._producer.send(
                self._here.topics.reservations, value=event, key=tenant.encode()
            )
            self.published += 1


@contextlib.asynccontextmanager
async def world(accounts: Sequence[Account], *, partitions: int = 6) -> AsyncIterator[World]:
    """A world as in the end-to-end tests; its servers end with it."""
    kafka, postgres = kafka_server(), postgres_server()
    kafka.start()
    try:
        async with (
            FakeSedna(accounts=accounts) as fake,
            database(postgres.address()) as database_url,
            topics_factory(kafka.address()) as make_topics,
        ):
            await migrate(database_url)
            topics = await make_topics(partitions)
            async with running_world(
                fake=fake,
                kafka=kafka.address(),
                topics=topics,
                database_url=database_url,
                group_id=topics.reservations,
            ) as here:
                here.settings["LOG_LEVEL"] = "INFO"
                await here.add_tenants(accounts)
                yield here
    finally:
        kafka.close()
        postgres.close()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that so great a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


def middle_and_tail(seconds: Sequence[float]) -> str:
    """p50 and p99, as they are shown."""
    return f"{percentile(seconds, 0.5) * 1000:.0f} / {percentile(seconds, 0.99) * 1000:.0f} ms"
