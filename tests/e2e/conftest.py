"""A world for each end-to-end test: real Kafka, real Postgres, the fake Sedna over real HTTP."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from consumer.demo.fake import Account, FakeSedna
from tests.e2e.checks import check
from tests.support.kafka_clients import TopicsFactory
from tests.support.service import World, running_world

WorldFactory = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def world(
    kafka_server: str, database_url: str, topics: TopicsFactory, group_id: str
) -> WorldFactory:
    """Makes the world of a test: `async with world(accounts) as here: …`.

    What must hold in each of them, whatever its test is about, is checked at its end.
    """

    @contextlib.asynccontextmanager
    async def make(accounts: list[Account], *, partitions: int = 3) -> AsyncIterator[World]:
        async with FakeSedna(accounts=accounts) as fake:
            names = await topics(partitions)
            async with running_world(
                fake=fake,
                kafka=kafka_server,
                topics=names,
                database_url=database_url,
                group_id=group_id,
            ) as made:
                await made.add_tenants(accounts)
                yield made
                await check(made)

    return make
