"""From Kafka into Postgres: read, validate, register, commit.

It never does the work and never waits for it: a tenant's outage must not hold up a partition. An
offset is committed only after its event, or its rejection, is stored. While Postgres does not take
a batch no further one is read, but polling goes on, so that the group keeps its member.
"""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.errors import IllegalStateError, KafkaError

from consumer.arrivals import Readable, Unreadable, read
from consumer.backlog import Backlog
from consumer.kafka_records import plain
from consumer.logs import get_logger
from consumer.ownership import Ownership
from consumer.persistence import persistently
from consumer.publisher import Publisher
from consumer.registrar import Registrar
from consumer.retry import backoff
from consumer.tracing import Tracing
from db.errors import DatabaseUnavailable
from schemas.kinds import Kind

_log = get_logger(__name__)

#: Records of one batch: enough for Postgres to be cheap, few enough to keep the loop responsive.
_BATCH = 500
#: Milliseconds that a poll waits for records. A poll is never cancelled: that would leak inside of
#: aiokafka and switch its limit on the time between polls off.
_POLL_MS = 200
#: Seconds between two polls while a batch is in hand.
_SIGN_OF_LIFE = 1.0
#: Whoever asks for this partition alone polls, and gets nothing.
_NOTHING = TopicPartition("", 0)
#: Seconds that a commit may take: with the coordinator away it would wait for it without end.
_COMMIT_SECONDS = 10.0
#: Seconds that a batch has to come to its end when its partitions are taken from us.
RELEASE_SECONDS = 5.0
#: Seconds: the first wait after a poll that failed, and the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
#: After so many failed polls in a row it is over.
_END_AFTER = 10
#: What no repetition mends.
_LASTING = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.AuthenticationMethodNotSupported,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.InconsistentGroupProtocolError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.InvalidGroupIdError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.RecordTooLargeError,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.UnrecognizedBrokerVersion,
    kafka_errors.UnsupportedCodecError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.UnsupportedVersionError,
)


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
        tracing: Tracing,
    ) -> None:
        self._consumer = consumer
        self._registrar = registrar
        self._ownership = ownership
        self._kinds = kinds  #: by topic
        self._topics = {kind: topic for topic, kind in kinds.items()}
        self._backlog = backlog
        self._publisher = publisher
        self._tracing = tracing
        self._stopping = False
        self._batch: asyncio.Task[None] | None = None  # between reading and commit
        self._giving_up = asyncio.Event()  # set: a batch that Postgres does not take is let go
        self._polls = self._empty_polls = 0  # since the last look at them

    def stop(self) -> None:
        """Let :meth:`run` end after the batch that it is at."""
        self._stopping = True

    @property
    def is_taking_in(self) -> bool:
        """Whether a batch is between reading and commit."""
        return self._batch is not None

    def was_idle(self) -> bool:
        """Whether it had nothing to do at some time since this was last asked.

        Also so if a poll has not come back since; not while Postgres does not take a batch.
        """
        polls, empty = self._polls, self._empty_polls
        self._polls = self._empty_polls = 0
        in_hand = self._batch is not None and not self._batch.done()
        return empty > 0 or (polls == 0 and not in_hand)

    async def release(self, *, within: float = RELEASE_SECONDS) -> None:
        """Wait for the batch in hand, or give it up if Postgres does not take it soon.

        Its offsets are not committed then: who owns its partitions next reads it again.

        Args:
            within: seconds.
        """
        batch = self._batch
        if batch is None:
            return
        self._giving_up.set()
        try:
            await asyncio.wait([batch], timeout=within)
        finally:
            self._giving_up.clear()
            if batch.cancel():
                _log.warning("batch_given_up", why="neither stored nor refused in time")

    async def run(self) -> None:
        """Read until stopped.

        Raises:
            KafkaError: reading fails in a way that does not pass.
            DatabaseError: Postgres refuses a batch.
        """
        failures = 0
        try:
            while not self._stopping:
                try:
                    await self._read()
                    failures = 0
                except KafkaError as error:
                    failures += 1
                    if _lasts(error) or failures > _END_AFTER:
                        raise
                    wait = backoff(failures, base=_FIRST_WAIT, cap=_LONGEST_WAIT, jitter=1.0)
                    _log.warning(
                        "reading_failed", error=f"{type(error).__name__}: {error}", retry_in=wait
                    )
                    await asyncio.sleep(wait)
        finally:
            await self.release()
            self._collect()

    async def _read(self) -> None:
        if self._batch is not None:
            # Without waiting, and for nothing: it only says that we are there.
            await self._consumer.getmany(_NOTHING)
        else:
            # By name: what the group has given us, but we do not own yet, stays where it is.
            wanted = self._owned()
            fetched = await self._consumer.getmany(
                *(wanted or [_NOTHING]), timeout_ms=_POLL_MS, max_records=_BATCH
            )
            taken = self._taken(fetched)
            if taken:
                self._batch = asyncio.create_task(self._take_in(taken), name="take in")
            self._polls += 1
            self._empty_polls += bool(wanted) and not taken
        if self._batch is not None:
            await asyncio.wait([self._batch], timeout=_SIGN_OF_LIFE)
            self._collect()

    def _collect(self) -> None:
        """Be done with a batch that has come to its end."""
        batch = self._batch
        if batch is not None and batch.done():
            self._batch = None
            if not batch.cancelled():
                batch.result()

    def _owned(self) -> list[TopicPartition]:
        return [
            TopicPartition(self._topics[kind], partition)
            for kind, partition in self._ownership.places()
        ]

    def _taken(
        self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> dict[TopicPartition, Sequence[ConsumerRecord]]:
        taken: dict[TopicPartition, Sequence[ConsumerRecord]] = {}
        for partition, records in fetched.items():
            if self._ownership.owns(self._kinds[partition.topic], partition.partition):
                taken[partition] = records
            elif partition in self._consumer.assignment():
                # A poll can outlast a rebalance: given to us again, but not ours yet. What was
                # passed over now would never be read.
                self._consumer.seek(partition, records[0].offset)
        return taken

    async def _take_in(self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        batch = self._tracing.batch()
        readable, unreadable = batch.read(*self._read_all(fetched))
        try:
            registration = await persistently(
                lambda: self._registrar.register(readable, unreadable),
                what="registering",
                unless=self._giving_up,
            )
        except DatabaseUnavailable:
            batch.given_up("Postgres is away")
            _log.warning("batch_given_up", why="Postgres is away")
            return
        batch.registered(registration.fates)
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

    def _read_all(
        self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> tuple[list[Readable], list[Unreadable]]:
        readable: list[Readable] = []
        unreadable: list[Unreadable] = []
        for partition, records in fetched.items():
            kind = self._kinds[partition.topic]
            for record in records:
                match read(plain(kind, record)):
                    case Readable() as event:
                        readable.append(event)
                    case Unreadable() as event:
                        unreadable.append(event)
        return readable, unreadable

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await self._consumer.commit(dict(offsets))
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            # The batch is stored, so a second delivery of it changes nothing.
            _log.warning("commit_failed", error=f"{type(error).__name__}: {error}")


def _lasts(error: KafkaError) -> bool:
    # One of no class of its own is what aiokafka says of what it does not foresee: its coordinator
    # has ended, and gives the same answer from now on.
    return isinstance(error, _LASTING) or type(error) is KafkaError
