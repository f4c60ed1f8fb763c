"""What happens when the group gives us partitions or takes them away.

On revocation: from then on nothing of them is looked for, read or leased; the batch in hand is
stored and committed or given up, nothing new is started, requests in flight end, what came of them
is settled and published, the leases are given back, and only then the rebalance goes on. All of
that together has a bound, whoever is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from consumer.backlog import Backlog
from consumer.dispatcher import Dispatcher
from consumer.intake import RELEASE_SECONDS, Intake
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.logs import get_logger
from consumer.ownership import Ownership
from consumer.publisher import Publisher
from db.records import Stream
from schemas.kinds import Kind

_log = get_logger(__name__)


class Drain:
    """Lets the work of our partitions come to its end."""

    def __init__(
        self,
        *,
        ownership: Ownership,
        intake: Intake,
        lanes: Lanes,
        dispatcher: Dispatcher,
        backlog: Backlog,
        publisher: Publisher,
        leases: Leases,
        timeout: float,
    ) -> None:
        self._ownership = ownership
        self._intake = intake
        self._lanes = lanes
        self._dispatcher = dispatcher
        self._backlog = backlog
        self._publisher = publisher
        self._leases = leases
        self._timeout = timeout  #: seconds

    async def __call__(self) -> bool:
        """Forget what has not begun, wait for what has, publish what came of it, give leases back.

        Returns:
            False if the time was up before. Then the leases are left to run out: what is still
            under way may yet be settled here, and what is not is in doubt for the next owner.
        """
        streams: list[Stream] = []
        # Before anything else: what is not ours is neither looked for, nor read, nor leased anew.
        self._ownership.revoke()
        try:
            async with asyncio.timeout(self._timeout):
                # First, since what it registers belongs to the streams.
                await self._intake.release(within=min(RELEASE_SECONDS, self._timeout / 4))
                streams = self._backlog.streams()
                self._backlog.revoked(streams)
                await self._dispatcher.returned(streams)
                await self._publisher.drained()
                await self._leases.release()
        except TimeoutError:
            self._leases.abandon()
            _log.warning(
                "drain_timed_out",
                seconds=self._timeout,
                unfinished=len(self._lanes.out_of(streams)),
            )
            return False
        return True


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """aiokafka awaits these between two generations of the group."""

    def __init__(
        self,
        *,
        consumer: AIOKafkaConsumer,
        kinds: Mapping[str, Kind],
        ownership: Ownership,
        leases: Leases,
        drain: Callable[[], Awaitable[bool]],
    ) -> None:
        self._consumer = consumer
        self._kinds = kinds
        self._ownership = ownership
        self._leases = leases
        self._drain = drain

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Give the work back."""
        if not revoked:
            return
        drained = await self._drain()
        _log.info("partitions_revoked", partitions=_names(revoked), drained=drained)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Take the work over; short, since the heartbeat waits for it."""
        by_kind = {
            kind: frozenset(part.partition for part in assigned if part.topic == topic)
            for topic, kind in self._kinds.items()
        }
        counts = {
            # Our metadata may be some seconds behind those by which the leader has assigned.
            kind: max(
                len(self._consumer.partitions_for_topic(topic) or ()),
                max(by_kind[kind], default=-1) + 1,
            )
            for topic, kind in self._kinds.items()
        }
        self._ownership.assign(by_kind, counts)
        self._leases.assigned()
        _log.info("partitions_assigned", partitions=_names(assigned))


def _names(partitions: set[TopicPartition]) -> list[str]:
    return sorted(f"{part.topic}-{part.partition}" for part in partitions)
