"""How things stand, as this process answers for it: its share of the backlog, lag, who is blocked.

The backlog is counted in Postgres, in the background, and only in the partitions whose leases are
held here: so nothing is counted by two processes, and a change of hands shows at once. Counting
must never end the service, and never be in the way of an event or a scrape. What is not known for
sure is not shown: an old number would be a lie.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from consumer.clock import Clock
from consumer.events import set_within
from consumer.leases import Leases
from consumer.logs import get_logger
from consumer.metrics import BacklogShare
from consumer.ownership import Lease, Ownership, Place
from db import gauges
from db.errors import DatabaseError
from db.gauges import Count
from db.pool import Pool
from schemas.kinds import Kind

_log = get_logger(__name__)

#: Seconds between two counts; longer after one that took long.
_EVERY, _EVERY_AT_MOST = 15.0, 300.0
#: No more than this share of the time is spent on counting.
_SHARE = 1 / 20
#: Seconds that a count of the backlog may take, and all questions to Kafka together.
_PATIENCE, _KAFKA_PATIENCE = 60.0, 10.0


def until_next(took: float) -> float:
    """Seconds until the backlog is counted again, after a count that took so many."""
    return min(max(_EVERY, took / _SHARE), _EVERY_AT_MOST)


@dataclass(frozen=True, slots=True)
class _Counted:
    lease: Lease  #: under which it was counted
    count: Count


class BacklogGauges:
    """This process's share of the backlog, counted now and then."""

    def __init__(self, *, pool: Pool, leases: Leases, clock: Clock) -> None:
        self._pool = pool
        self._leases = leases
        self._clock = clock
        self._counted: dict[Place, _Counted] | None = None  # None: not known
        self._now = asyncio.Event()

    def look(self) -> None:
        """Count soon: other leases are held than before."""
        self._now.set()

    async def run(self) -> None:
        """Count, until cancelled."""
        while True:
            self._now.clear()
            began = self._clock.elapsed()
            await self.refresh()
            wait = until_next(self._clock.elapsed() - began)
            await set_within(self._now, wait)

    async def refresh(self) -> None:
        """Count; if that cannot be done, forget what was counted before."""
        held = {lease.place: lease for lease in self._leases.held()}
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await gauges.read(
                    self._pool,
                    [(kind, lease.holding) for (kind, _), lease in held.items()],
                    patience=_PATIENCE,
                )
        except (DatabaseError, TimeoutError) as error:
            if self._counted is not None:
                reason = str(error) or "Postgres did not answer in time"
                _log.warning("backlog_not_counted", error=reason)
            self._counted = None
        else:
            self._counted = {place: _Counted(held[place], count) for place, count in found.items()}

    def share(self) -> BacklogShare | None:
        """What was counted, if it is the whole of what is held, and surely still ours."""
        counted = self._counted
        if counted is None:
            return None
        now = self._clock.elapsed()
        ours: list[tuple[Kind, Count]] = []
        for lease in self._leases.held():
            found = counted.get(lease.place)
            if found is None or found.lease is not lease or not lease.outlives(0.0, now):
                return None
            ours.append((lease.place[0], found.count))
        return BacklogShare(
            pending={kind: sum(each.pending for of, each in ours if of is kind) for kind in Kind},
            oldest_pending_seconds={
                kind: max(
                    (each.oldest_pending_seconds for of, each in ours if of is kind), default=0.0
                )
                for kind in Kind
            },
            in_doubt=sum(each.in_doubt for _, each in ours),
            unpublished=sum(each.unpublished for _, each in ours),
        )


class LagGauges:
    """How far reading is behind, by partition, asked of Kafka now and then."""

    def __init__(
        self, *, consumer: AIOKafkaConsumer, ownership: Ownership, topics: Mapping[Kind, str]
    ) -> None:
        self._consumer = consumer
        self._ownership = ownership
        self._topics = topics
        self._lag: Mapping[TopicPartition, int] | None = None  # None: not known
        self._now = asyncio.Event()

    def look(self) -> None:
        """Ask soon: other partitions are ours than before."""
        self._now.set()

    async def run(self) -> None:
        """Ask, until cancelled."""
        while True:
            self._now.clear()
            await self.refresh()
            await set_within(self._now, _EVERY)

    async def refresh(self) -> None:
        """Ask; if there is no answer, forget the last one."""
        try:
            async with asyncio.timeout(_KAFKA_PATIENCE):
                self._lag = await self._ask(self._assigned())
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            if self._lag is not None:
                _log.warning("lag_not_known", error=f"{type(error).__name__}: {error}")
            self._lag = None

    async def _ask(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        # Asked for, since what the consumer remembers stands still while it does not fetch.
        ends = await self._consumer.end_offsets(list(partitions))
        return {
            partition: max(ends[partition] - await self._consumer.position(partition), 0)
            for partition in partitions
        }

    def lag(self) -> dict[tuple[str, int], int]:
        """By topic and partition, of those that are still ours."""
        known = self._lag or {}
        return {
            (partition.topic, partition.partition): known[partition]
            for partition in self._assigned()
            if partition in known
        }

    def _assigned(self) -> list[TopicPartition]:
        return [
            TopicPartition(self._topics[kind], partition)
            for kind, partition in self._ownership.places()
        ]


class ServiceStanding:
    """Puts together what `consumer.metrics.Standing` asks for."""

    def __init__(
        self,
        *,
        backlog: BacklogGauges,
        lag: LagGauges,
        blocked: Callable[[], Mapping[str, str]],
        worked_for: Callable[[], Collection[str]],
    ) -> None:
        self._backlog = backlog
        self._lag = lag
        self._blocked = blocked  # the tenants for which nothing can be sent here, and why
        self._worked_for = worked_for  # the tenants that have work in our partitions

    def look(self) -> None:
        """Other partitions are ours than before."""
        self._backlog.look()
        self._lag.look()

    async def run(self) -> None:
        """Keep up, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._backlog.run(), name="count the backlog")
            tasks.create_task(self._lag.run(), name="ask for the lag")

    def backlog(self) -> BacklogShare | None:
        """See `Standing`."""
        return self._backlog.share()

    def lag(self) -> Mapping[tuple[str, int], int]:
        """See `Standing`."""
        return self._lag.lag()

    def blocked(self) -> Mapping[str, str]:
        """See `Standing`; who is worked for elsewhere by now is left to that process."""
        shut = self._blocked()
        if not shut:
            return {}
        worked_for = frozenset(self._worked_for())
        return {tenant_id: why for tenant_id, why in shut.items() if tenant_id in worked_for}
