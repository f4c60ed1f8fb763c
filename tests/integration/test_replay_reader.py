"""Ranges of topics are read to their end, whatever has become of what was in them."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumer.kafka import partitions_of, reading
from consumer.replay import reader as replay_reader
from consumer.replay.asked import Asked, Beginning, End
from consumer.replay.ranges import ranges
from consumer.replay.reader import Reader, TopicChanged
from consumer.settings import Settings
from db.replays import Position
from schemas.kinds import Kind
from tests.support.kafka_clients import Message, admin, create_topics, produce

PATIENCE = 60.0


@dataclass
class Topic:
    """A topic of the test's own."""

    kafka: str
    name: str = field(default_factory=lambda: f"replayed-{uuid.uuid4().hex}")

    @property
    def settings(self) -> Settings:
        return Settings(kafka_bootstrap_servers=self.kafka)

    async def make(self, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        await create_topics(self.kafka, {self.name: partitions}, configs)

    async def publish(self, *values: str, partition: int = 0, key: bytes | None = None) -> None:
        await produce(
            self.kafka,
            [
                Message(topic=self.name, value=each.encode(), key=key, partition=partition)
                for each in values
            ],
        )

    async def delete(self) -> None:
        async with admin(self.kafka) as client:
            await client.delete_topics([self.name])
            while self.name in await client.list_topics():
                await asyncio.sleep(0.05)


@pytest.fixture
async def topic(kafka_server: str) -> AsyncIterator[Topic]:
    made = Topic(kafka_server)
    yield made
    with contextlib.suppress(KafkaError):
        async with admin(kafka_server) as client:
            await client.delete_topics([made.name])


async def whole(topic: Topic) -> list[Position]:
    """The ranges of all that is in the topic now."""
    partitions = await partitions_of(topic.settings, [topic.name], client_id="the test")
    asked = Asked(
        topics=((topic.name, Kind.RESERVATION),), since=Beginning(), until=End(), tenants=()
    )
    async with reading(topic.settings, client_id="the test") as at:
        return await ranges(at, asked, partitions)


async def read(topic: Topic, positions: Sequence[Position], *, most: int = 2000) -> list[str]:
    """The values that come out, in their order."""
    out: list[ConsumerRecord] = []

    async def look_at_topics() -> None:
        found = await partitions_of(topic.settings, [topic.name], client_id="the test")
        if topic.name not in found:
            raise TopicChanged("it is gone")

    async with asyncio.timeout(PATIENCE), reading(topic.settings, client_id="the test") as at:
        reader = Reader(
            consumer=at,
            kinds={topic.name: Kind.RESERVATION},
            positions=positions,
            look_at_topics=look_at_topics,
            most=most,
        )
        await reader.begin()
        while (chunk := await reader.next()) is not None:
            out += chunk.records
            for _, moved in chunk.moved:
                assert moved.position <= moved.end
    return [(record.value or b"").decode() for record in out]


async def test_a_range_is_read_to_the_end_that_it_had_and_no_further(topic: Topic) -> None:
    await topic.make(2)
    await topic.publish("a", "b")
    await topic.publish("c", partition=1)
    positions = await whole(topic)
    await topic.publish("later", partition=0)
    assert sorted(await read(topic, positions)) == ["a", "b", "c"]
    assert [(each.position, each.end) for each in positions] == [(2, 2), (1, 1)]


async def test_what_compaction_has_taken_out_is_passed_over_also_at_the_end_of_the_range(
    topic: Topic,
) -> None:
    await topic.make(
        configs={
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.001",
            "segment.ms": "100",
            "max.compaction.lag.ms": "100",
        }
    )
    await topic.publish("other", key=b"k2")
    await topic.publish(*(str(n) for n in range(20)), key=b"k1")
    positions = await whole(topic)
    # Rolls the segment; from now on all of the range but the first is out of date.
    async with asyncio.timeout(PATIENCE):
        newer = 0
        while True:
            await topic.publish(f"newer {newer}", key=b"k1")
            newer += 1
            again = [Position(topic=topic.name, partition=0, first=0, end=21, position=0)]
            if await read(topic, again) == ["other"]:
                break
            await asyncio.sleep(0.2)
    assert await read(topic, positions) == ["other"]
    assert positions[0].position == 21


async def test_a_range_of_nothing_but_aborted_transactions_ends(topic: Topic) -> None:
    await topic.make()
    async with AIOKafkaProducer(
        bootstrap_servers=topic.kafka, transactional_id=topic.name
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic.name, b"never")
        await producer.abort_transaction()
    positions = await whole(topic)
    assert positions[0].end == 2
    assert await read(topic, positions) == []
    assert positions[0].position == 2


async def test_retention_that_moves_on_while_it_is_read_is_counted(topic: Topic) -> None:
    await topic.make()
    await topic.publish(*(str(n) for n in range(10)))
    positions = await whole(topic)
    async with admin(topic.kafka) as client:
        await client.delete_records(await records_before(topic, 6))
    assert await read(topic, positions) == ["6", "7", "8", "9"]
    assert (positions[0].expired, positions[0].position) == (6, 10)


async def test_where_all_of_the_range_is_gone_it_ends(topic: Topic) -> None:
    await topic.make()
    await topic.publish(*(str(n) for n in range(10)))
    positions = await whole(topic)
    await topic.publish("later")
    async with admin(topic.kafka) as client:
        await client.delete_records(await records_before(topic, 11))
    assert await read(topic, positions) == []
    assert (positions[0].expired, positions[0].position) == (10, 10)


async def records_before(topic: Topic, offset: int) -> dict[object, object]:

    return {TopicPartition(topic.name, 0): RecordsToDelete(before_offset=offset)}


async def test_a_topic_that_is_deleted_while_it_is_read_ends_it_with_the_reason(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_reader, "_SILENT_POLLS", 2)
    await topic.make()
    await topic.publish(*(str(n) for n in range(10)))
    positions = await whole(topic)
    positions[0].end = 20  # there is more to come than there is
    await topic.delete()
    with pytest.raises(TopicChanged):
        await read(topic, positions)


async def test_a_partition_that_ends_before_where_it_ended_was_created_anew(topic: Topic) -> None:
    await topic.make()
    await topic.publish("a", "b")
    (position,) = await whole(topic)
    position.end = 50
    with pytest.raises(TopicChanged, match="created anew"):
        await read(topic, [position])


async def test_partitions_are_read_in_order_of_time(topic: Topic) -> None:
    await topic.make(3)
    async with AIOKafkaProducer(bootstrap_servers=topic.kafka) as producer:
        for n in range(60):
            partition = (n // 7) % 3
            await producer.send_and_wait(
                topic.name, str(n).encode(), partition=partition, timestamp_ms=1_000_000 + n
            )
    for most in (1, 7, 2000):
        assert await read(topic, await whole(topic), most=most) == [str(n) for n in range(60)]


async def test_of_ranges_that_are_empty_or_were_read_nothing_is_asked(topic: Topic) -> None:
    await topic.make(2)
    await topic.publish("a")
    positions = await whole(topic)
    assert await read(topic, positions) == ["a"]
    assert await read(topic, positions) == []
    assert await read(topic, []) == []
