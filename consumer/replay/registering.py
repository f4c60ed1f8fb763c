"""A real run: what was read is registered, tried again and answered, and where it is moves with it.

It sends nothing to Sedna and nothing to Kafka: the owners of the work hear of it and do it, as they
do any other, and publish what it puts into the outbox.
"""

import asyncio
from collections.abc import Sequence
from itertools import groupby

from consumer.events import set_within
from consumer.persistence import persistently
from consumer.registrar import Fate, Registrar
from consumer.registration import Seen, compare_replayed
from consumer.replay.asked import Asked
from consumer.replay.batch import Batch, Item, item, unreadable_item
from consumer.replay.outcomes import SETTLED, Outcome, Tally, code_of, outcome_of
from consumer.replay.republishing import results_again
from consumer.results import Topics
from consumer.retrying import Carried, try_again
from db import inbox, notices, replays
from db.pool import Connection, Pool
from db.records import Stream
from db.replays import Moved, Position
from db.retries import Retry

#: Positions move at least so often, in seconds, also where nothing was to be done.
_CHECKPOINT = 1.0
#: Results are published again only while fewer messages wait for Kafka: today's go before them.
_MOST_UNPUBLISHED = 5_000
#: Seconds between two looks at how many wait.
_PAUSE = 0.2


class Registering:
    """Registers what a replay has read."""

    def __init__(
        self,
        *,
        pool: Pool,
        registrar: Registrar,
        replay_id: int,
        asked: Asked,
        topics: Topics,
        stop: asyncio.Event,
    ) -> None:
        self._pool = pool
        self._registrar = registrar
        self._replay_id = replay_id
        self._asked = asked
        self._topics = topics
        self._stop = stop  # set: wait for nothing any more
        self._tally = Tally()  # counted, and not written yet
        self._moved: dict[tuple[str, int], tuple[int, Position]] = {}  # likewise
        self._written_at = asyncio.get_running_loop().time()

    @property
    def replay_id(self) -> int:
        """Of the run."""
        return self._replay_id

    @property
    def remembers(self) -> bool:
        """All that it does stands in rows."""
        return False

    async def act(self, batch: Batch) -> list[Item]:
        """Write a batch, whole or not at all.

        Raises:
            DatabaseUnavailable: Postgres is away, and it is to stop.
            Moved: another process runs this replay.
        """
        self._note(batch)
        if batch.settled:
            await self._until_published()
        if batch.needs_doing:
            items = await self._persistently(batch)
        else:
            items = []
            if asyncio.get_running_loop().time() - self._written_at >= _CHECKPOINT:
                await self._persistently(Batch())
        return items

    async def finish(self) -> None:
        """Write where it is; if that is the end everywhere, it is finished."""
        await self._persistently(Batch())
        positions = await persistently(
            lambda: replays.positions(self._pool, self._replay_id), what="looking where it is"
        )
        if all(each.position >= each.end for each in positions):
            await persistently(
                lambda: replays.finish(self._pool, self._replay_id), what="finishing a replay"
            )

    def _note(self, batch: Batch) -> None:
        self._tally.add_all(batch.tally.counts)
        for was, at in batch.moved:
            key = (at.topic, at.partition)
            before = self._moved.get(key)
            self._moved[key] = (was if before is None else before[0], at)

    async def _until_published(self) -> None:
        while not self._stop.is_set() and await persistently(
            lambda: replays.are_unpublished(self._pool, _MOST_UNPUBLISHED),
            what="counting what waits for Kafka",
            unless=self._stop,
        ):
            await set_within(self._stop, _PAUSE)

    async def _persistently(self, batch: Batch) -> list[Item]:
        tally, moved = self._tally, list(self._moved.values())
        try:
            items = await persistently(
                lambda: self._write(batch, tally, moved), what="registering", unless=self._stop
            )
        except Moved:
            # By us, if only the reply to a commit was lost.
            if not await self._is_at([at for _, at in moved]):
                raise
            items = []
        self._tally, self._moved = Tally(), {}
        self._written_at = asyncio.get_running_loop().time()
        return items

    async def _is_at(self, wanted: Sequence[Position]) -> bool:
        found = await persistently(
            lambda: replays.positions(self._pool, self._replay_id), what="looking where it is"
        )
        at = {(each.topic, each.partition): each.position for each in found}
        return all(at[each.topic, each.partition] == each.position for each in wanted)

    # -- the transaction ----------------------------------------------------------------------

    async def _write(
        self, batch: Batch, tally: Tally, moved: Sequence[tuple[int, Position]]
    ) -> list[Item]:
        counted = Tally(dict(tally.counts))
        async with inbox.registration(self._pool, replay_id=self._replay_id) as transaction:
            items: list[Item] = []
            settled = set(batch.settled)
            fates: list[Fate] = []
            if batch.to_do:
                again = _Again(transaction.connection, self._replay_id)
                fates = await self._registrar.place(
                    transaction,
                    [event for event, _ in batch.to_do],
                    compare=compare_replayed,
                    after_round=again.round if self._asked.retry_failed else None,
                )
                for fate in fates:
                    outcome = again.outcomes.get(id(fate)) or outcome_of(
                        fate.seen, fate.known, replay_id=self._replay_id
                    )
                    known_code = None if fate.known is None else fate.known.error_code
                    code = code_of(outcome, known_code)
                    items.append(item(fate.event.arrival, outcome, code))
                    if outcome in SETTLED and fate.known is not None:
                        settled.add((fate.event.arrival.tenant_id, fate.known.id))
            messages = await self._registrar.answers(
                transaction, fates, batch.unreadable, again=self._asked.republish
            )
            if self._asked.republish and settled:
                repeated = await results_again(transaction.connection, settled, self._topics)
                for message in repeated:
                    counted.add(message.tenant_id, message.kind, Outcome.REPUBLISHED)
                messages += repeated
            if messages:
                await transaction.add_messages(messages)
            await notices.tell(
                transaction.connection,
                {
                    Stream(arrival.kind, arrival.origin.partition, arrival.tenant_id)
                    for fate in fates
                    if fate.place is not None
                    for arrival in [fate.event.arrival]
                },
            )
            items += [unreadable_item(each) for each in batch.unreadable]
            for each in items:
                counted.add(each.tenant_id, each.kind, each.outcome, each.code)
            await replays.advance(transaction.connection, self._replay_id, moved, counted.counts)
        return items


class _Again:
    """Tries failed ones again, in the transaction that they were compared in."""

    def __init__(self, connection: Connection, replay_id: int) -> None:
        self._connection = connection
        self._replay_id = replay_id
        self.outcomes: dict[int, Outcome] = {}  #: by the id of the fate

    async def round(self, fates: list[Fate]) -> None:
        """Try the failed ones of a round."""
        failed = sorted((each for each in fates if self._is_failed(each)), key=_tenant)
        for tenant_id, some in groupby(failed, key=_tenant):
            mine = list(some)
            carried = Carried()
            await try_again(
                Retry(self._connection, tenant_id),
                [(each.known.id, each.known.generation) for each in mine if each.known],
                carried,
                replay_id=self._replay_id,
            )
            superseded = {planned.sync.id for planned in carried.superseded}
            for each in mine:
                if each.known is None:
                    continue
                if each.known.id in carried.started:
                    self.outcomes[id(each)] = Outcome.RETRIED
                elif each.known.id in superseded:
                    self.outcomes[id(each)] = Outcome.SUPERSEDED

    def _is_failed(self, fate: Fate) -> bool:
        return (
            fate.seen in {Seen.REDELIVERY, Seen.DUPLICATE}
            and fate.known is not None
            and fate.known.state == "failed"
            and fate.known.replay_id != self._replay_id
        )


def _tenant(fate: Fate) -> str:
    return fate.event.arrival.tenant_id
