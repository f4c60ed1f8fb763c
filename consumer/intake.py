"""From Kafka into Postgres: read, validate, register, commit.

It never does the work and never waits for it: a tenant's outage must not hold up a partition. An
offset is committed only after its event, or its rejection, is stored.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from consumer.arrivals import Readable, Record, Unreadable, read
from consumer.backlog import Backlog
from consumer.logs import get_logger
from consumer.ownership import Ownership
from consumer.persistence import persistently
from consumer.publisher import Publisher
from consumer.registrar import Registrar
from db.records import Origin
from schemas.kinds import Kind

_log = get_logger(__name__)

#: Records of one batch: enough for Postgres to be cheap, few enough to keep the loop responsive.
_BATCH = 500
#: Milliseconds that a poll waits for records. A poll is never cancelled: that would leak inside of
#: aiokafka and switch its limit on the time between polls off.
_POLL_MS = 200


class Intake:
    """Reads both input topics."""

    def __init__(
        self,
        *,
        consumer: AIOKafkaConsumer,
        registrar: Registrar,
        ownership: Ownership,
        kinds: Mapping[str, Kind],
        backlog: Backlog,
        publisher: Publisher,
    ) -> None:
        self._consumer = consumer
        self._registrar = registrar
        self._ownership = ownership
        self._kinds = kinds  #: by topic
        self._backlog = backlog
        self._publisher = publisher
        self._stopping = False
        #: Held while a batch is between reading and commit; a revocation takes it to wait for that.
        self.between_batches = asyncio.Lock()

    def stop(self) -> None:
        """Let :meth:`run` end after the batch that it is at."""
        self._stopping = True

    async def run(self) -> None:
        """Read until stopped."""
        while not self._stopping:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            async with self.between_batches:
                # A partition that was taken from us meanwhile is read again by its new owner.
                owned = {
                    partition: records
                    for partition, records in fetched.items()
                    if records
                    and self._ownership.owns(self._kinds[partition.topic], partition.partition)
                }
                if owned:
                    await self._take_in(owned)

    async def _take_in(self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        readable: list[Readable] = []
        unreadable: list[Unreadable] = []
        for partition, records in fetched.items():
            kind = self._kinds[partition.topic]
            for record in records:
                match read(_plain(kind, record)):
                    case Readable() as event:
                        readable.append(event)
                    case Unreadable() as event:
                        unreadable.append(event)
        registration = await persistently(
            lambda: self._registrar.register(readable, unreadable), what="registering"
        )
        for event in unreadable:
            _log.warning(
                "event_rejected",
                tenant=event.rejection.tenant_id,
                kind=event.kind,
                event_id=event.rejection.event_id,
                topic=event.rejection.origin.topic,
                partition=event.rejection.origin.partition,
                offset=event.rejection.origin.offset,
                error=event.rejection.error_message,
            )
        self._backlog.registered(registration.syncs)
        if registration.first_outbox_id is not None:
            self._publisher.written(registration.first_outbox_id)
        # Committed after register: a crash here replays, and never loses.
        await self._commit({part: some[-1].offset + 1 for part, some in fetched.items()})

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            await self._consumer.commit(dict(offsets))
        except (KafkaError, IllegalStateError) as error:
            # The batch is stored, so a second delivery of it changes nothing.
            _log.warning("commit_failed", error=f"{type(error).__name__}: {error}")


def _plain(kind: Kind, record: ConsumerRecord) -> Record:
    stamp = record.timestamp
    return Record(
        kind=kind,
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        timestamp=_time(stamp),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


def _time(milliseconds: int | None) -> datetime | None:
    if milliseconds is None or milliseconds < 0:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # producers may set any number
        return None
