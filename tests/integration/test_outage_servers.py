"""The servers that tests stop and start: what was in them before is in them afterwards."""

from typing import Literal

import asyncpg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka_clients import Message, create_topics, produce, read_all
from tests.support.outage import PrivateKafka, PrivatePostgres
from tests.support.postgres import execute


async def test_a_kafka_that_was_stopped_comes_back_with_its_records(
    outage_kafka: PrivateKafka,
) -> None:
    await create_topics(outage_kafka.address, {"kept": 1})
    await produce(outage_kafka.address, [Message(topic="kept", value=b"1")])

    await outage_kafka.stop()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": outage_kafka.address}).list_topics(timeout=0.5)
    await outage_kafka.start()

    assert [record.value for record in await read_all(outage_kafka.address, "kept")] == [b"1"]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_postgres_that_was_stopped_comes_back_with_its_rows(
    outage_postgres: PrivatePostgres, mode: Literal["fast", "immediate"]
) -> None:
    await execute(outage_postgres.url, f"CREATE TABLE kept_{mode} AS SELECT 1 AS number")

    await outage_postgres.stop(mode)
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(outage_postgres.url)
    await outage_postgres.start()

    await execute(outage_postgres.url, f"DROP TABLE kept_{mode}")
