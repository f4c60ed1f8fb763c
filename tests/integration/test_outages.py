"""Publishing through an outage of Kafka, and what the brokers say of where a partition ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.delivery import Delivery
from consumer.kafka import build_bulk_producer, build_producer, end_offsets
from consumer.settings import Settings
from db.records import OutboxRow
from tests.support.kafka_clients import create_topics, read_all
from tests.support.outage import PrivateKafka

LARGE = b"x" * 300_000


def settings(bootstrap_servers: str) -> Settings:
    return Settings(kafka_bootstrap_servers=bootstrap_servers)


def rows(numbers: range, *, value: bytes | None = None) -> list[OutboxRow]:
    return [
        OutboxRow(
            id=number,
            topic="results",
            key=b"tenant",
            value=b"%d" % number if value is None else value,
            headers=(),
        )
        for number in numbers
    ]


@asynccontextmanager
async def sending(kafka: PrivateKafka) -> AsyncIterator[Delivery]:
    built = settings(kafka.address)
    delivery = Delivery(
        build=lambda: build_producer(built, client_id="test"),
        build_bulk=lambda: build_bulk_producer(built, client_id="test"),
        timeout=2.0,
    )
    await delivery.start()
    try:
        yield delivery
    finally:
        await delivery.close()


async def test_a_producer_that_got_no_answer_is_replaced_and_order_is_kept(
    outage_kafka: PrivateKafka,
) -> None:
    await create_topics(outage_kafka.address, {"results": 3})
    async with sending(outage_kafka) as delivery:
        await delivery.send(rows(range(5)))
        await outage_kafka.stop()
        for page in (rows(range(5, 10)), rows(range(5, 10)), rows(range(1), value=LARGE)):
            with pytest.raises(KafkaError):
                await delivery.send(page)
        await outage_kafka.start()
        await delivery.send(rows(range(5, 10)))
        await delivery.send(rows(range(10, 15)))
        await delivery.send(rows(range(1), value=LARGE))

    records = await read_all(outage_kafka.address, "results")
    # Nothing of an old producer comes behind what its successor has sent.
    assert [record.value for record in records] == [*(b"%d" % n for n in range(15)), LARGE]


async def test_a_consumer_that_has_read_all_stands_where_the_brokers_say_that_it_ends(
    outage_kafka: PrivateKafka,
) -> None:
    await create_topics(outage_kafka.address, {"input": 1})
    partition = TopicPartition("input", 0)
    built = settings(outage_kafka.address)

    async def end() -> int:
        return (await end_offsets(built, [partition], client_id="test"))[partition]

    async with (
        AIOKafkaProducer(
            bootstrap_servers=outage_kafka.address, transactional_id="test"
        ) as producer,
        AIOKafkaConsumer(
            bootstrap_servers=outage_kafka.address,
            group_id=None,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        ) as consumer,
    ):
        consumer.assign([partition])

        async def stands_at(offset: int) -> bool:
            await consumer.getmany(timeout_ms=50)
            return bool(await consumer.position(partition) == offset)

        for commits in (True, False, True, False):
            await producer.begin_transaction()
            await producer.send_and_wait("input", b"1", partition=0)
            before = await end()
            # An open transaction is not behind it: nothing of that is read yet.
            while not await stands_at(before):
                await asyncio.sleep(0)
            if commits:
                await producer.commit_transaction()
            else:
                await producer.abort_transaction()
            # Its marker takes an offset, and so does what was aborted.
            while await end() != before + 2:
                await asyncio.sleep(0)
            while not await stands_at(before + 2):
                await asyncio.sleep(0)
