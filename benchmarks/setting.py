"""What the measurements with a fake Sedna share: servers of their own, and a world in them."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from consumer.demo.fake import Account, FakeSedna
from db.migrate import migrate
from tests.support.kafka import kafka_server
from tests.support.kafka_clients import topics_factory
from tests.support.postgres import database, postgres_server
from tests.support.service import World, running_world


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
