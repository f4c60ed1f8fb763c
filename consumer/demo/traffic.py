"""The demo's Kafka side: publishes the events at the pace of a busy inbox, and reads the answers.

It joins no consumer group: the demo's broker fails when a second member joins.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from consumer.demo.embedded_broker import PARTITIONS
from consumer.demo.judge import due_answers, due_dead_letters
from consumer.demo.observed import (
    Answer,
    DeadLetter,
    Place,
    Published,
    read_answer,
    read_dead_letter,
)
from consumer.demo.world import DemoEvent
from consumer.settings import Settings

_POLL_MS = 100


class Traffic:
    """What was published, and what came back. Runs within its context."""

    def __init__(self, *, bootstrap_servers: str, settings: Settings) -> None:
        self.published: list[Published] = []
        self.answers: list[Answer] = []
        self.dead_letters: list[DeadLetter] = []
        self._settings = settings  # names of topics and group
        self._topics = {
            "reservation": settings.topic_reservations,
            "stop_sale": settings.topic_stop_sales,
        }
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, enable_idempotence=True
        )
        self._results = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers, group_id=None, enable_auto_commit=False
        )
        # Asks what the service's group has committed; with `assign` it never joins.
        self._onlooker = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=settings.kafka_group_id,
            enable_auto_commit=False,
        )
        self._stack = AsyncExitStack()
        self._stopped = False

    async def __aenter__(self) -> Self:
        """Connect."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            for client in (self._producer, self._results, self._onlooker):
                stack.push_async_callback(client.stop)
                await client.start()
            outputs = (settings.topic_synced, settings.topic_failed, settings.topic_deadletter)
            self._results.assign(_partitions(*outputs))
            await self._results.seek_to_beginning()
            self._onlooker.assign(_partitions(*self._topics.values()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Disconnect."""
        await self._stack.aclose()

    async def publish(self, events: Sequence[DemoEvent], *, seconds: float) -> None:
        """Publish these, in this order, spread over so many seconds."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, event in enumerate(events):
            await asyncio.sleep(begin + seconds * number / len(events) - loop.time())
            sent = await self._producer.send_and_wait(
                self._topics[event.topic_kind],
                value=event.value,
                key=event.key,
                headers=list(event.headers),
            )
            place = Place(sent.topic, sent.partition, sent.offset)
            self.published.append(Published(event, place))

    async def listen(self) -> None:
        """Collect answers and dead letters until told to stop."""
        while not self._stopped:
            await self._take()

    def stop_listening(self) -> None:
        """Let `listen` end. It is never cancelled, since aiokafka would leak inside."""
        self._stopped = True

    async def read_the_rest(self) -> None:
        """Collect all that is in the topics by now; after `listen` has ended."""
        ends = await self._results.end_offsets(list(self._results.assignment()))
        while any([await self._results.position(part) < end for part, end in ends.items()]):
            await self._take()

    def unanswered(self) -> int:
        """How many of the events published so far wait for an answer or a dead letter."""
        answered = {answer.place for answer in self.answers}
        dead = {letter.place for letter in self.dead_letters}
        return sum(
            (due_answers(each) > 0 and each.place not in answered)
            or (due_dead_letters(each) > 0 and each.place not in dead)
            for each in self.published
        )

    async def unread(self) -> int:
        """How many events the service has not committed yet."""
        ends = await self._onlooker.end_offsets(list(self._onlooker.assignment()))
        committed = [await self._onlooker.committed(part) or 0 for part in ends]
        return int(sum(ends.values()) - sum(committed))

    async def _take(self) -> None:
        for batch in (await self._results.getmany(timeout_ms=_POLL_MS)).values():
            for record in batch:
                self._note(record)

    def _note(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        if record.topic == self._settings.topic_deadletter:
            letter = read_dead_letter(record.key, record.value, record.headers)
            self.dead_letters.append(letter)
        else:
            self.answers.append(read_answer(record.value or b""))


def _partitions(*topics: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
