"""Lag against a real Kafka."""

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.gauges import LagGauges
from consumer.ownership import Ownership
from schemas.kinds import Kind
from tests.support.kafka_clients import Message, TopicsFactory, produce


@pytest.mark.parametrize("read", [0, 2, 5])
async def test_lag_is_what_is_not_read_yet_also_of_what_came_while_nobody_read(
    kafka_server: str, topics: TopicsFactory, read: int
) -> None:
    made = await topics(1)
    names = {Kind.RESERVATION: made.reservations, Kind.STOP_SALE: made.stop_sales}
    await produce(kafka_server, [Message(topic=made.reservations, value=b"x")] * 5)
    ownership = Ownership()
    ownership.assign({kind: frozenset({0}) for kind in Kind}, dict.fromkeys(Kind, 1))
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka_server,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    consumer.assign([TopicPartition(name, 0) for name in names.values()])
    await consumer.start()
    try:
        for _ in range(read):
            await consumer.getone()
        gauges = LagGauges(consumer=consumer, ownership=ownership, topics=names)
        await gauges.refresh()
        assert gauges.lag() == {(made.reservations, 0): 5 - read, (made.stop_sales, 0): 0}
        await produce(kafka_server, [Message(topic=made.reservations, value=b"x")] * 3)
        await gauges.refresh()
        assert gauges.lag()[made.reservations, 0] == 8 - read
    finally:
        await consumer.stop()
