"""Reads ranges of topics outside of any group: nothing of the service's own reading is touched.

Offsets have gaps, retention moves on while it reads, and topics are deleted and created anew. So it
never counts on a next offset: where it is, the brokers say.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from consumer.arrivals import digest
from consumer.kafka_records import plain
from consumer.replay.merger import Merger
from db.replays import Position
from schemas.kinds import Kind

#: Milliseconds that a poll waits for records.
_POLL_MS = 500
#: Polls without any progress, some ten seconds, after which the brokers are asked what is wrong.
_SILENT_POLLS = 20
#: So many answers without a record say that there is none up to the end of the range.
_EMPTY_ANSWERS = 2
#: Polls that a record may take to come of which it is asked whether it is still the same.
_PATIENCE = 10
#: Records of one poll: at most, at least, and of as many polls as there are partitions together, so
#: that what is held back is bounded.
_MOST, _LEAST, _HELD = 2000, 100, 20_000


class TopicChanged(Exception):
    """What is read is no longer what was begun with; the message says why, and what to do."""


@dataclass(slots=True)
class Chunk:
    """What was read, in the order in which it is to be taken in."""

    records: list[ConsumerRecord]
    #: (where it was, where it is once the records are taken in), of what has moved.
    moved: list[tuple[int, Position]]


@dataclass(slots=True)
class _Silence:
    """How often a partition was answered without a record at where it is."""

    position: int
    answered_at: int | None
    answers: int = 0


class Reader:
    """Reads ranges, side by side, in order of time."""

    def __init__(
        self,
        *,
        consumer: AIOKafkaConsumer,
        kinds: Mapping[str, Kind],
        positions: Sequence[Position],
        tenants: Collection[str] = (),
        look_at_topics: Callable[[], Awaitable[None]],
        most: int = _MOST,
    ) -> None:
        """Build it.

        Args:
            consumer: see `consumer.kafka.reading`.
            kinds: of the topics.
            positions: where to begin, and where to end.
            tenants: whose events to give; none means all.
            look_at_topics: asked where nothing comes; raises if there is a reason for it.
            most: records of one poll.
        """
        self._consumer = consumer
        self._kinds = kinds
        self._at = {
            TopicPartition(each.topic, each.partition): each
            for each in positions
            if each.position < each.end
        }
        self._keys = frozenset(tenant.encode() for tenant in tenants)
        self._look_at_topics = look_at_topics
        self._merger: Merger[TopicPartition, ConsumerRecord] = Merger(self._at)
        self._silences: dict[TopicPartition, _Silence] = {}
        self._silent_polls = 0
        self._most = min(most, max(_LEAST, _HELD // max(1, len(self._at))))

    async def begin(self) -> None:
        """Go to where the ranges begin.

        Raises:
            TopicChanged: what was read last is not there any more, but something else is.
            KafkaError: from the brokers.
        """
        self._consumer.assign(list(self._at))
        for partition, at in self._at.items():
            if at.last_offset is not None:
                await self._compare(partition, at)
            self._consumer.seek(partition, at.position)

    async def next(self) -> Chunk | None:
        """The next records; None at the end.

        Raises:
            TopicChanged: a topic is gone, or was created anew.
            KafkaError: from the brokers; what was given so far is not given again.
        """
        laggards = self._merger.laggards()
        if not laggards:
            return None
        fetched = await self._poll(laggards)
        for partition, records in fetched.items():
            self._take(partition, records)
        finished = False
        for partition in laggards:
            if await self._is_finished(partition, got=bool(fetched.get(partition))):
                self._merger.finish(partition)
                finished = True
        if fetched or finished:
            self._silent_polls = 0
        else:
            self._silent_polls += 1
            if self._silent_polls % _SILENT_POLLS == 0:
                await self._look_at_topics()
        return await self._chunk()

    # -- reading ------------------------------------------------------------------------------

    async def _poll(
        self, wanted: Sequence[TopicPartition]
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        try:
            fetched: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                *wanted, timeout_ms=_POLL_MS, max_records=self._most
            )
        except OffsetOutOfRangeError as error:
            for partition in error.args[0]:
                await self._skip_expired(partition)
            return {}
        return fetched

    def _take(self, partition: TopicPartition, records: list[ConsumerRecord]) -> None:
        end = self._at[partition].end
        while records and records[-1].offset >= end:
            records.pop()
        keys = self._keys
        self._merger.add(
            partition,
            [(each.timestamp, each) for each in records if not keys or each.key in keys],
        )

    async def _is_finished(self, partition: TopicPartition, *, got: bool) -> bool:
        position, end = await self._consumer.position(partition), self._at[partition].end
        if position >= end:
            return True
        silence = self._silences.get(partition)
        answered_at = self._consumer.last_poll_timestamp(partition)
        if got or silence is None or silence.position != position:
            self._silences[partition] = _Silence(position, answered_at)
            return False
        if answered_at != silence.answered_at:
            silence.answered_at = answered_at
            silence.answers += 1
        if silence.answers < _EMPTY_ANSWERS:
            return False
        stable = self._consumer.last_stable_offset(partition)
        if stable is not None and stable < end:
            raise TopicChanged(
                f"{_name(partition)} ends at offset {stable} by now, before {end}, where it ended "
                f"when this began: it was created anew or cut off; start a new replay"
            )
        # Compaction, or transactions that were aborted, have left nothing up to the end.
        self._consumer.seek(partition, end)
        return True

    async def _skip_expired(self, partition: TopicPartition) -> None:
        """Go on behind what retention has taken away."""
        position = await self._consumer.position(partition)
        first = (await self._consumer.beginning_offsets([partition]))[partition]
        if first < position:
            last = (await self._consumer.end_offsets([partition]))[partition]
            raise TopicChanged(
                f"{_name(partition)} has offsets {first} to {last} by now, and {position} was to "
                f"be read: it was created anew; start a new replay"
            )
        at = self._at[partition]
        at.expired += min(first, at.end) - position
        self._consumer.seek(partition, min(first, at.end))

    # -- what comes out -----------------------------------------------------------------------

    async def _chunk(self) -> Chunk:
        records = self._merger.ready()
        last: dict[TopicPartition, ConsumerRecord] = {}
        for record in records:
            last[record.topic, record.partition] = record  # equal, and cheap
        moved = []
        for partition, at in self._at.items():
            held = self._merger.first_held(partition)
            position = (
                min(await self._consumer.position(partition), at.end)
                if held is None
                else held.offset
            )
            if position == at.position:
                continue
            was, at.position = at.position, position
            record = last.get(partition)
            if record is not None:
                at.last_offset = record.offset
                at.last_digest = digest(plain(self._kinds[partition.topic], record))
            moved.append((was, replace(at)))
        return Chunk(records, moved)

    # -- the same topic as before? ------------------------------------------------------------

    async def _compare(self, partition: TopicPartition, at: Position) -> None:
        """Look whether the record that was read last is still the one that it was."""
        self._consumer.seek(partition, at.last_offset)
        for _ in range(_PATIENCE):
            try:
                fetched = await self._consumer.getmany(
                    partition, timeout_ms=_POLL_MS, max_records=1
                )
            except OffsetOutOfRangeError:
                self._consumer.seek(partition, at.position)
                return  # expired; if the topic was created anew, that shows as soon as it is read
            for record in fetched.get(partition, ()):
                same = digest(plain(self._kinds[partition.topic], record)) == at.last_digest
                if record.offset == at.last_offset and not same:
                    raise TopicChanged(
                        f"{_name(partition)} has another record at offset {at.last_offset} than "
                        f"when it was read: the topic was created anew; start a new replay"
                    )
                return


def _name(partition: TopicPartition) -> str:
    return f"partition {partition.partition} of {partition.topic}"
