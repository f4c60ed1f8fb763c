"""Notices a consumer that has silently stalled, so that a supervisor can start the process anew.

It asks the brokers by a connection of its own, made anew for each question, since a client that has
stalled is the last to know. It must never take an outage for a stall: not of Kafka (nobody answers
it then), not of Postgres (the intake is not idle then), and not a rebalance (nothing is owned).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.intake import Intake
from consumer.logs import get_logger
from consumer.ownership import Ownership
from consumer.stall import Partition, Place, StallDetector
from schemas.kinds import Kind

_log = get_logger(__name__)

#: Seconds that a position has to stand still, and looks in that time.
_STALL_SECONDS, _LOOKS = 60.0, 4
#: Seconds that the brokers have for an answer, and the consumer to name a position.
_ASK_SECONDS, _POSITION_SECONDS = 10.0, 0.5

#: Asks the brokers for the last stable offset of each partition.
EndOffsets = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]


class ConsumerStalled(Exception):
    """Records wait, the brokers answer, and reading does not move: only a new process helps."""


class Watchdog:
    """Looks at the positions now and then."""

    def __init__(
        self,
        *,
        consumer: AIOKafkaConsumer,
        intake: Intake,
        ownership: Ownership,
        kinds: Mapping[str, Kind],
        end_offsets: EndOffsets,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        self._consumer = consumer
        self._intake = intake
        self._ownership = ownership
        self._kinds = kinds  #: by topic
        self._end_offsets = end_offsets
        self._interval = stall_seconds / _LOOKS  #: seconds
        self._detector = StallDetector(looks=_LOOKS)
        self._assignment: Collection[TopicPartition] = ()

    async def run(self) -> None:
        """Watch, until cancelled.

        Raises:
            ConsumerStalled: the process should end.
        """
        while True:
            await asyncio.sleep(self._interval)
            stalled = await self._look()
            if stalled:
                _log.error(
                    "consumer_stalled",
                    partitions={
                        f"{topic}-{number}": [place.position, place.end]
                        for (topic, number), place in stalled.items()
                    },
                    seconds=self._interval * _LOOKS,
                )
                raise ConsumerStalled(
                    f"reading of {len(stalled)} partitions stands still although records wait"
                )

    async def _look(self) -> dict[Partition, Place]:
        assignment = self._consumer.assignment()
        # The same object for as long as one assignment lasts.
        if assignment is not self._assignment:
            self._assignment = assignment
            self._detector.forget()
        owned = [
            partition
            for partition in assignment
            if self._ownership.owns(self._kinds[partition.topic], partition.partition)
        ]
        idle = self._intake.was_idle()
        if not owned or not idle:
            self._detector.forget()
            return {}
        positions = await asyncio.gather(*map(self._position, owned))
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                ends = await self._end_offsets(owned)
        except (KafkaError, TimeoutError, OSError) as error:
            _log.debug("watchdog_has_no_answer", error=f"{type(error).__name__}: {error}")
            self._detector.forget()
            return {}
        return self._detector.look(
            {
                partition: Place(position, ends[partition])
                for partition, position in zip(owned, positions, strict=True)
                if position is not None and partition in ends
            }
        )

    async def _position(self, partition: TopicPartition) -> int | None:
        """Where the consumer stands; None where it does not know yet, after an assignment."""
        try:
            async with asyncio.timeout(_POSITION_SECONDS):
                position: int = await self._consumer.position(partition)
        except (KafkaError, TimeoutError):
            return None
        return position
