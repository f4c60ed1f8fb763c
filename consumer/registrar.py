"""Registers a batch: new work, rejections and what they are answered with, in one transaction."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.arrivals import Readable, Unreadable
from consumer.clock import Clock
from consumer.refusals import Refusals
from consumer.registration import Seen, compare, rounds
from consumer.sync import Sync, from_arrival
from db import inbox
from db.pool import Pool
from db.records import Arrival, Known, Message, Registered
from schemas.kinds import Kind

#: As what an event is counted.
_COUNTED = {
    Seen.NEW: "registered",
    Seen.NEW_TRY: "registered",
    Seen.REDELIVERY: "duplicate",
    Seen.DUPLICATE: "duplicate",
    Seen.CONFLICT: "conflict",
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What a readable event of a batch has come to."""

    event: Readable
    seen: Seen
    known: Known | None  #: the row as it was before; None: there was none
    place: Registered | None  #: of work that is to be done, new or tried anew


@dataclass(slots=True)
class Registration:
    """What a batch has led to; true once the transaction is committed."""

    syncs: list[Sync] = field(default_factory=list)  #: work to do, new or tried anew
    seen: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    #: how many of each kind were `registered`, `duplicate`, `conflict` or `rejected`
    fates: list[Fate] = field(default_factory=list)  #: of the readable ones
    first_outbox_id: int | None = None  #: None: nothing was answered


class Registrar:
    """Writes batches into Postgres."""

    def __init__(
        self,
        *,
        pool: Pool,
        clock: Clock,
        topic_failed: str,
        topic_deadletter: str,
        on_seen: Callable[[Mapping[tuple[Kind, str], int]], None],
    ) -> None:
        self._on_seen = on_seen  # told `Registration.seen` of what is committed
        self._pool = pool
        self._refusals = Refusals(
            clock=clock, topic_failed=topic_failed, topic_deadletter=topic_deadletter
        )

    async def register(
        self, readable: Sequence[Readable], unreadable: Sequence[Unreadable]
    ) -> Registration:
        """Store a batch that has come live; registering it again changes nothing.

        Args:
            readable: in the order of the topics.
            unreadable: likewise.

        Raises:
            DatabaseUnavailable: register the batch again.
        """
        done = Registration()
        async with inbox.registration(self._pool) as transaction:
            done.fates = fates = await self.place(transaction, readable, compare=compare)
            waiting = [
                (fate.event.arrival.tenant_id, fate.known.id)
                for fate in fates
                if fate.known is not None and fate.known.replayed and fate.known.state == "pending"
            ]
            if waiting:
                await transaction.promote(waiting)
            messages = await self.answers(transaction, fates, unreadable)
            if messages:
                done.first_outbox_id = await transaction.add_messages(messages)
        for fate in fates:
            arrival = fate.event.arrival
            done.seen[arrival.kind, _COUNTED[fate.seen]] += 1
            if fate.place is not None:
                done.syncs.append(from_arrival(arrival, fate.event.data, fate.place))
        for each in unreadable:
            done.seen[each.kind, "rejected"] += 1
        self._on_seen(done.seen)
        done.syncs.sort(key=lambda sync: sync.seq)
        return done

    # -- the steps, also of a replay ----------------------------------------------------------

    async def place(
        self,
        transaction: inbox.Registration,
        readable: Sequence[Readable],
        *,
        compare: Callable[[Arrival, Known], Seen],
        after_round: Callable[[list[Fate]], Awaitable[None]] | None = None,
    ) -> list[Fate]:
        """Store what is new, and what is a new try.

        Args:
            transaction: that it belongs to.
            readable: in the order of the topics.
            compare: what an event means for the row that exists.
            after_round: told of the events of each round, in which no identity comes twice, before
                the next one is compared.

        Returns:
            The fates of all of them, round by round.
        """
        events = {id(each.arrival): each for each in readable}
        fates: list[Fate] = []
        for arrivals in rounds([each.arrival for each in readable]):
            places = await transaction.insert(arrivals)
            rest = [arrival for arrival in arrivals if arrival.identity not in places]
            known: dict[inbox.Identity, Known] = {}
            seen: dict[inbox.Identity, Seen] = {}
            if rest:
                known = await transaction.existing([arrival.identity for arrival in rest])
                seen = {each.identity: compare(each, known[each.identity]) for each in rest}
                tries = [each for each in rest if seen[each.identity] is Seen.NEW_TRY]
                if tries:
                    places |= await transaction.renew(
                        [(known[each.identity].id, each) for each in tries]
                    )
            of_round = [
                Fate(
                    events[id(arrival)],
                    seen.get(arrival.identity, Seen.NEW),
                    known.get(arrival.identity),
                    places.get(arrival.identity),
                )
                for arrival in arrivals
            ]
            if after_round is not None:
                await after_round(of_round)
            fates += of_round
        return fates

    async def answers(
        self,
        transaction: inbox.Registration,
        fates: Sequence[Fate],
        unreadable: Sequence[Unreadable],
        *,
        again: bool = False,
    ) -> list[Message]:
        """What conflicts and unreadable events are answered with, each once.

        Args:
            transaction: that it belongs to.
            fates: of the readable ones.
            unreadable: the others.
            again: also what was answered before. Dead letters are no answers, and are not repeated.
        """
        messages: list[Message] = []
        conflicts = [fate for fate in fates if fate.seen is Seen.CONFLICT]
        if conflicts:
            arrivals = [fate.event.arrival for fate in conflicts]
            new = await transaction.add_conflicts(arrivals)
            messages += [
                self._refusals.conflict(fate.event.arrival, fate.known)
                for fate in conflicts
                if fate.known is not None
                and (again or (fate.event.arrival.origin, fate.event.arrival.content_hash) in new)
            ]
        if unreadable:
            new = await transaction.reject([each.rejection for each in unreadable])
            for each in unreadable:
                is_new = (each.rejection.origin, each.rejection.digest) in new
                if is_new:
                    messages.append(self._refusals.dead_letter(each))
                if each.rejection.tenant_id is not None and (is_new or again):
                    messages.append(self._refusals.rejected(each, each.rejection.tenant_id))
        return messages
