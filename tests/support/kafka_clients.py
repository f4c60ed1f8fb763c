"""What tests do at a Kafka: make topics, publish, read back, look at commits."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of one test's topics."""

    reservations: str
    stop_sales: str
    synced: str
    failed: str
    deadletter: str

    @classmethod
    def unique(cls) -> "Topics":
        """Names that no other test uses."""
        mark = uuid.uuid4().hex
        return cls(
            reservations=f"reservation.created.{mark}",
            stop_sales=f"stopsale.created.{mark}",
            synced=f"sedna.synced.{mark}",
            failed=f"sedna.failed.{mark}",
            deadletter=f"sedna.deadletter.{mark}",
        )


#: Makes the topics of a test: `await topics(partitions)`.
TopicsFactory = Callable[[int], Awaitable[Topics]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One record to publish."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    partition: int | None = None  #: None is where the key says


@contextlib.asynccontextmanager
async def admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def topics_factory(bootstrap_servers: str) -> AsyncIterator[TopicsFactory]:
    """Gives a `TopicsFactory`; the topics that it made are deleted at the end."""
    made: list[str] = []

    async def make(partitions: int) -> Topics:
        topics = Topics.unique()
        names = astuple(topics)
        await create_topics(bootstrap_servers, dict.fromkeys(names, partitions))
        made.extend(names)
        return topics

    try:
        yield make
    finally:
        if made:
            async with admin(bootstrap_servers) as client:
                await client.delete_topics(made)


async def create_topics(
    bootstrap_servers: str,
    partitions: Mapping[str, int],
    configs: Mapping[str, str] | None = None,
) -> None:
    """Creates topics with so many partitions each, and waits until every one has its leader."""
    new = [
        NewTopic(
            name=name, num_partitions=count, replication_factor=1, topic_configs=dict(configs or {})
        )
        for name, count in partitions.items()
    ]
    async with admin(bootstrap_servers) as client:
        reply = await client.create_topics(new)
        for topic, code, message, *_ in reply.topic_errors:
            if code != 0:
                raise RuntimeError(f"the topic {topic} was not created: error {code}, {message}")
        while True:
            known = await client.describe_topics(list(partitions))
            if all(_is_led(topic, partitions[topic["topic"]]) for topic in known):
                return
            await asyncio.sleep(0.02)


def _is_led(topic: Mapping[str, object], count: int) -> bool:
    found = topic["partitions"]
    if not isinstance(found, list):
        raise TypeError("not a description of a topic")
    return len(found) == count and all(partition["leader"] >= 0 for partition in found)


async def produce(bootstrap_servers: str, messages: Iterable[Message]) -> list[TopicPartition]:
    """Publishes in this order; once all are acknowledged, gives where each one went."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, enable_idempotence=True, linger_ms=1
    ) as producer:
        pending = [
            await producer.send(
                message.topic,
                value=message.value,
                key=message.key,
                headers=list(message.headers.items()),
                partition=message.partition,
            )
            for message in messages
        ]
        acknowledged = await asyncio.gather(*pending)
    return [sent.topic_partition for sent in acknowledged]


async def read_all(
    bootstrap_servers: str, *topics: str, timeout_seconds: float = 30.0
) -> list[ConsumerRecord[bytes | None, bytes | None]]:
    """Everything that these topics hold now, ordered by topic, partition and offset.

    Raises:
        LookupError: there is no such topic.
        TimeoutError: it took longer.
    """
    async with (
        asyncio.timeout(timeout_seconds),
        AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
        ) as consumer,
    ):
        partitions = await _partitions(bootstrap_servers, topics)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records = []
        # The position, not the last record, tells that the end is reached: offsets have gaps.
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records.extend(batch)
    return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))


async def end_offsets(bootstrap_servers: str, *topics: str) -> dict[tuple[str, int], int]:
    """The offset behind the last record of each (topic, partition)."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=None, enable_auto_commit=False
    ) as consumer:
        ends = await consumer.end_offsets(await _partitions(bootstrap_servers, topics))
    return {(partition.topic, partition.partition): end for partition, end in ends.items()}


async def commit_ends(bootstrap_servers: str, group_id: str, *topics: str) -> None:
    """Lets a group that has no members begin behind what these topics hold now."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=group_id, enable_auto_commit=False
    ) as consumer:
        partitions = await _partitions(bootstrap_servers, topics)
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))


async def committed(bootstrap_servers: str, group_id: str) -> dict[tuple[str, int], int]:
    """The committed offset of each (topic, partition) for which the group has one."""
    async with admin(bootstrap_servers) as client:
        offsets = await client.list_consumer_group_offsets(group_id)
    return {
        (partition.topic, partition.partition): commit.offset
        for partition, commit in offsets.items()
        if commit.offset >= 0
    }


async def _partitions(bootstrap_servers: str, topics: Iterable[str]) -> list[TopicPartition]:
    async with admin(bootstrap_servers) as client:
        described = await client.describe_topics(list(topics))
    missing = [topic["topic"] for topic in described if topic["error_code"] != 0]
    if missing:
        raise LookupError(f"Kafka has no topic {', '.join(missing)}")
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
