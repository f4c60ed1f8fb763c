"""From what is asked for to ranges of offsets, as the brokers know them at this moment."""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.replay.asked import Asked, AtOffset, AtTime, Beginning, Bound, End
from db.replays import Position


async def ranges(
    consumer: AIOKafkaConsumer, asked: Asked, partitions: Mapping[str, Sequence[int]]
) -> list[Position]:
    """Where each partition is to be read from, and up to where; empty ranges among them.

    Args:
        consumer: see `consumer.kafka.reading`.
        asked: with bounds in whatever form.
        partitions: by topic.

    Raises:
        KafkaError: the brokers do not answer.
    """
    every = [
        TopicPartition(topic, partition)
        for topic in sorted(partitions)
        for partition in partitions[topic]
    ]
    first = await consumer.beginning_offsets(every)
    # The last stable offset: of a transaction that is open nobody knows yet what becomes of it.
    last = await consumer.end_offsets(every)
    since = await _offsets(consumer, asked.since, first, last)
    until = await _offsets(consumer, asked.until, first, last)
    return [
        Position(
            topic=each.topic,
            partition=each.partition,
            first=since[each],
            end=max(since[each], until[each]),
            position=since[each],
        )
        for each in every
    ]


async def _offsets(
    consumer: AIOKafkaConsumer,
    bound: Bound,
    first: Mapping[TopicPartition, int],
    last: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    match bound:
        case Beginning():
            return dict(first)
        case End():
            return dict(last)
        case AtOffset(offset):
            return {each: min(max(offset, first[each]), last[each]) for each in first}
        case AtTime(time):
            # Rounded up: what was written in the millisecond before is not asked for.
            stamp = -int(-time.timestamp() * 1000 // 1)
            found = await consumer.offsets_for_times(dict.fromkeys(first, stamp))
            return {
                each: last[each] if at is None else min(at.offset, last[each])
                for each, at in found.items()
            }
