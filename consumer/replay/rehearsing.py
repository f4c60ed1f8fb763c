"""A dry run: it says what a real one would do, by the same rules, and changes nothing."""

from hashlib import blake2b
from itertools import groupby

from consumer.registration import Seen, compare_replayed, rounds
from consumer.replay.asked import Asked
from consumer.replay.batch import Batch, Item, item, unreadable_item
from consumer.replay.outcomes import SETTLED, Outcome, Tally, code_of, outcome_of
from consumer.replay.republishing import results_again
from consumer.results import Topics
from consumer.retrying import Retrying
from db.inbox import Identity
from db.pool import Pool
from db.records import Arrival, Known
from db.replays import Memory


class Rehearsing:
    """Counts what would be done."""

    def __init__(
        self, *, pool: Pool, retrying: Retrying, memory: Memory, asked: Asked, topics: Topics
    ) -> None:
        self._pool = pool
        self._retrying = retrying
        self._memory = memory
        self._asked = asked
        self._topics = topics
        self.tally = Tally()

    @property
    def replay_id(self) -> None:
        """It registers nothing."""

    @property
    def remembers(self) -> bool:
        """Whether it would have done anything."""
        return not self._memory.is_empty

    async def act(self, batch: Batch) -> list[Item]:
        """Count a batch."""
        self.tally.add_all(batch.tally.counts)
        known = {id(event.arrival): row for event, row in batch.to_do}
        came_to: dict[int, Item] = {}
        # As the registrar does: an identity that comes twice is compared with what it was made of.
        for arrivals in rounds([event.arrival for event, _ in batch.to_do]):
            came_to |= await self._round(arrivals, known)
        items = [*came_to.values(), *map(unreadable_item, batch.unreadable)]
        for each in items:
            self.tally.add(each.tenant_id, each.kind, each.outcome, each.code)
        if self._asked.republish:
            settled = {*batch.settled}
            for event, row in batch.to_do:
                if row is not None and came_to[id(event.arrival)].outcome in SETTLED:
                    settled.add((event.arrival.tenant_id, row.id))
            for message in await results_again(self._pool, settled, self._topics):
                self.tally.add(message.tenant_id, message.kind, Outcome.REPUBLISHED)
        return items

    async def finish(self) -> None:
        """There is nothing to be written."""

    async def _round(
        self, arrivals: list[Arrival], known: dict[int, Known | None]
    ) -> dict[int, Item]:
        keys = {id(each): _key(each.identity) for each in arrivals}
        memory = await self._memory.recall(list(keys.values()))
        items: dict[int, Item] = {}
        seen: dict[bytes, bytes] = {}
        failed: list[Arrival] = []
        for arrival in arrivals:
            before = memory.get(keys[id(arrival)])
            row = known[id(arrival)]
            if before is not None:
                same = before == arrival.content_hash
                items[id(arrival)] = item(arrival, Outcome.DUPLICATE if same else Outcome.CONFLICT)
                continue
            what = Seen.NEW if row is None else compare_replayed(arrival, row)
            outcome = outcome_of(what, row, replay_id=None)
            code = code_of(outcome, None if row is None else row.error_code)
            items[id(arrival)] = item(arrival, outcome, code)
            if outcome in {Outcome.CREATED, Outcome.CORRECTED}:
                seen[keys[id(arrival)]] = arrival.content_hash
            elif outcome is Outcome.FAILED and self._asked.retry_failed:
                failed.append(arrival)
        for arrival, row, outcome in await self._tried(failed, known):
            items[id(arrival)] = item(arrival, outcome, code_of(outcome, row.error_code))
            if outcome is Outcome.RETRIED:
                seen[keys[id(arrival)]] = row.content_hash
        await self._memory.remember(seen)
        return items

    async def _tried(
        self, failed: list[Arrival], known: dict[int, Known | None]
    ) -> list[tuple[Arrival, Known, Outcome]]:
        """What trying them again would come to."""
        tried = []
        for tenant_id, some in groupby(sorted(failed, key=_tenant), key=_tenant):
            rows = {row.id: (each, row) for each in some if (row := known[id(each)]) is not None}
            for planned in await self._retrying.plan_ids(rows, tenant_id=tenant_id):
                stays = planned.superseded_by is not None
                outcome = Outcome.SUPERSEDED if stays else Outcome.RETRIED
                tried.append((*rows[planned.sync.id], outcome))
        return tried


def _key(identity: Identity) -> bytes:
    return blake2b("\0".join(identity).encode(), digest_size=16).digest()


def _tenant(arrival: Arrival) -> str:
    return arrival.tenant_id
