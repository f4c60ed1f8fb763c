"""Reads what is asked for, knows again what is registered, and has the rest done.

Most of what is read again is known to the byte and needs no doing: that much is counted, and never
parsed. While Postgres looks for the rows of one chunk, the next is read.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from aiokafka import ConsumerRecord

from consumer.arrivals import Readable, Unreadable, fingerprint, read
from consumer.events import set_within
from consumer.kafka_records import plain
from consumer.persistence import persistently
from consumer.registration import Seen, compare_replayed
from consumer.replay.asked import Asked
from consumer.replay.batch import Batch, Hands, Item, item
from consumer.replay.candidates import business_key
from consumer.replay.outcomes import SETTLED, Outcome, code_of, outcome_of, standing
from consumer.replay.reader import Chunk, Reader
from db import inbox
from db.inbox import Standing
from db.pool import Pool
from db.records import Known, Origin
from schemas.kinds import is_tenant_id

#: What the rows of some records of a chunk say: the records' places in it, and the rows.
_Recognised: TypeAlias = list[tuple[Sequence[int], Standing]]


#: Keys that are remembered; there may be keys that are no tenants, and each may be another.
_MOST_KEYS = 100_000


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    offsets: int = 0  #: passed in this process, gaps included
    events: int = 0  #: taken in by this process


class Replayer:
    """One run, real or dry."""

    def __init__(
        self,
        *,
        pool: Pool,
        reader: Reader,
        hands: Hands,
        asked: Asked,
        rate: float | None,
        on_progress: Callable[[Progress], None],
        on_items: Callable[[Sequence[Item]], None] | None,
        stop: asyncio.Event,
    ) -> None:
        """Build it.

        Args:
            pool: to look by.
            reader: gives the records.
            hands: do what is to be done.
            asked: what the run is about.
            rate: events per second at the most; None: as fast as it goes.
            on_progress: told after each chunk.
            on_items: told what each event has come to; None: nobody wants to know.
            stop: once it is set, the run ends after the chunk that it is at.
        """
        self._pool = pool
        self._reader = reader
        self._hands = hands
        self._asked = asked
        self._kinds = asked.kinds
        self._rate = rate
        self._on_progress = on_progress
        self._on_items = on_items
        self._stop = stop
        self._tenants: dict[bytes | None, str | None] = {}
        self._progress = Progress()

    async def run(self) -> bool:
        """Read up to the end; False if it was told to stop before.

        Raises:
            TopicChanged: what is read is not what was begun with.
            KafkaError: from the brokers.
            DatabaseError: from Postgres; while it is away, this waits.
            Moved: another process runs this replay.
        """
        await self._reader.begin()
        started_at = asyncio.get_running_loop().time()
        ahead: tuple[Chunk, asyncio.Task[_Recognised]] | None = None
        complete = False
        try:
            while not self._stop.is_set():
                chunk = await self._reader.next()
                before, ahead = ahead, None
                if chunk is not None:
                    ahead = chunk, asyncio.create_task(self._recognise(chunk), name="recognise")
                if before is not None:
                    await self._take_in(*before)
                    await self._slow_down(started_at)
                if chunk is None:
                    complete = True
                    break
            if ahead is not None:
                await self._take_in(*ahead)
        finally:
            if ahead is not None:
                ahead[1].cancel()
                await asyncio.wait([ahead[1]])
        await self._hands.finish()
        return complete

    async def _slow_down(self, started_at: float) -> None:
        if self._rate is not None:
            due = started_at + self._progress.events / self._rate
            await set_within(self._stop, max(0.0, due - asyncio.get_running_loop().time()))

    # -- what is known to the byte ------------------------------------------------------------

    async def _recognise(self, chunk: Chunk) -> _Recognised:
        """Which of a chunk's records are the events of rows, as their fingerprints say."""
        places: dict[str, list[int]] = defaultdict(list)
        events: dict[str, list[tuple[str, str, int, int, bytes]]] = defaultdict(list)
        for place, record in enumerate(chunk.records):
            tenant_id = self._tenant(record.key)
            key = business_key(self._kinds[record.topic], record.value)
            if tenant_id is None or key is None:
                continue
            bytes_ = fingerprint(record.key, record.value, record.headers)
            places[record.topic].append(place)
            events[record.topic].append((tenant_id, key, record.partition, record.offset, bytes_))
        found: _Recognised = []
        for topic, of_topic in events.items():
            standings = await persistently(
                partial(inbox.recognise, self._pool, self._kinds[topic], topic, of_topic),
                what="looking for what is known",
                unless=self._stop,
            )
            at = places[topic]
            found += [([at[place] for place in each.places], each) for each in standings]
        return found

    def _tenant(self, key: bytes | None) -> str | None:
        """The tenant that a key names; remembered, since it is asked for each record."""
        try:
            return self._tenants[key]
        except KeyError:
            named = None if key is None else key.decode("ascii", errors="replace")
            if named is not None and not is_tenant_id(named):
                named = None
            if len(self._tenants) > _MOST_KEYS:
                self._tenants.clear()
            self._tenants[key] = named
            return named

    # -- and what is not ----------------------------------------------------------------------

    async def _take_in(self, chunk: Chunk, recognising: "asyncio.Task[_Recognised]") -> None:
        batch = Batch(moved=chunk.moved)
        rest = self._count_known(chunk, await recognising, batch)
        await self._sort(rest, batch)
        items = batch.items + await self._hands.act(batch)
        if self._on_items is not None and items:
            self._on_items(items)
        self._progress.events += len(chunk.records)
        self._progress.offsets += sum(at.position - was for was, at in chunk.moved)
        self._on_progress(self._progress)

    def _count_known(
        self, chunk: Chunk, recognised: _Recognised, batch: Batch
    ) -> list[ConsumerRecord]:
        """Count what is known to the byte; returns the records that have to be parsed."""
        done = bytearray(len(chunk.records))
        for places, each in recognised:
            if each.state == "failed" and self._asked.retry_failed:
                continue
            outcome = standing(each.state, in_doubt=each.in_doubt)
            code = code_of(outcome, each.error_code)
            kind = self._kinds[chunk.records[places[0]].topic]
            whose = [chunk.records[place].key for place in places]
            for key, number in Counter(whose).items():
                batch.tally.add(self._tenant(key), kind, outcome, code, events=number)
            for place in places:
                done[place] = True
            if self._asked.republish and each.state != "pending":
                batch.settled.update(
                    (self._tenant(key) or "", sync_id)
                    for key, sync_id in zip(whose, each.ids, strict=True)
                )
            if self._on_items is not None:
                batch.items += [self._item(chunk.records[place], outcome, code) for place in places]
        return [record for record, known in zip(chunk.records, done, strict=True) if not known]

    def _item(self, record: ConsumerRecord, outcome: Outcome, code: str) -> Item:
        kind = self._kinds[record.topic]
        return Item(
            Origin(topic=record.topic, partition=record.partition, offset=record.offset),
            self._tenant(record.key),
            kind,
            business_key(kind, record.value),
            outcome,
            code,
        )

    async def _sort(self, records: Sequence[ConsumerRecord], batch: Batch) -> None:
        """Parse records, and count those about which nothing is to be done."""
        readable: list[Readable] = []
        for record in records:
            match read(plain(self._kinds[record.topic], record)):
                case Readable() as event:
                    readable.append(event)
                case Unreadable() as event:
                    batch.unreadable.append(event)
        if not readable:
            return
        known = await persistently(
            lambda: inbox.look(self._pool, list({each.arrival.identity for each in readable})),
            what="looking for what is known",
            unless=self._stop,
        )
        for event in readable:
            row = known.get(event.arrival.identity)
            if row is None or self._hands.remembers or not self._stays(event, row, batch):
                batch.to_do.append((event, row))

    def _stays(self, event: Readable, row: Known, batch: Batch) -> bool:
        """Count an event that changes nothing; False if it might."""
        arrival = event.arrival
        seen = compare_replayed(arrival, row)
        if seen not in {Seen.REDELIVERY, Seen.DUPLICATE}:
            return False
        if row.state == "failed" and self._asked.retry_failed:
            return False
        outcome = outcome_of(seen, row, replay_id=self._hands.replay_id)
        code = code_of(outcome, row.error_code)
        batch.tally.add(arrival.tenant_id, arrival.kind, outcome, code)
        if self._asked.republish and outcome in SETTLED:
            batch.settled.add((arrival.tenant_id, row.id))
        if self._on_items is not None:
            batch.items.append(item(arrival, outcome, code))
        return True
