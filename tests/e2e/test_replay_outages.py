"""A replay waits for Postgres and for Kafka, and misses and doubles nothing over it."""

import asyncio
import json
from typing import Literal

import pytest

from tests.e2e.test_outages import TENANTS, publish, world
from tests.support.kafka_clients import TopicsFactory, topics_factory
from tests.support.outage import PrivateKafka, PrivatePostgres
from tests.support.service import World

COUNT = 300
ALL = COUNT * len(TENANTS)


async def begin(here: World) -> asyncio.subprocess.Process:
    """A replay that is in its middle."""
    process = await here.begin("replay", "--yes", "--json", "--rate", "200")
    await here.until_value("true", "SELECT (count(*) > 100)::text FROM syncs")
    return process


async def comes_to_its_end(here: World, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(120):
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    summary = json.loads(out.splitlines()[-1])
    assert (summary["complete"], summary["totals"]["created"]) == (True, ALL)
    assert await here.value("SELECT count(*) FROM syncs") == ALL
    assert await here.value("SELECT sum(events)::int FROM replay_counts") == ALL


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_while_postgres_is_away_a_replay_waits_for_it(
    kafka_server: str,
    topics: TopicsFactory,
    group_id: str,
    outage_postgres: PrivatePostgres,
    mode: Literal["fast", "immediate"],
) -> None:
    async with world(
        kafka=kafka_server,
        topics=await topics(3),
        database_url=outage_postgres.url,
        group_id=group_id,
    ) as here:
        await publish(here, range(COUNT))
        process = await begin(here)
        await outage_postgres.stop(mode)
        await asyncio.sleep(1)
        assert process.returncode is None
        await outage_postgres.start()
        await comes_to_its_end(here, process)


async def test_while_kafka_is_away_a_replay_waits_for_it(
    outage_kafka: PrivateKafka, group_id: str, database_url: str
) -> None:
    async with (
        topics_factory(outage_kafka.address) as make,
        world(
            kafka=outage_kafka.address,
            topics=await make(3),
            database_url=database_url,
            group_id=group_id,
        ) as here,
    ):
        await publish(here, range(COUNT))
        process = await begin(here)
        await outage_kafka.stop()
        await asyncio.sleep(1)
        await outage_kafka.start()
        await comes_to_its_end(here, process)
