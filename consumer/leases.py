"""The leases on our partitions: taken when the group assigns them, renewed, given back.

The group says who *should* work on a partition, but it cannot say so to a process that sleeps. So
whoever works on one also holds its lease in Postgres, and sends a request only if the lease
outlives the request's timeout. It must never count a lease as longer than Postgres does: its time
is counted from before the question, on a clock that goes on while the machine sleeps.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping

from consumer.clock import Clock
from consumer.events import set_within
from consumer.logs import get_logger
from consumer.ownership import Lease, Ownership, Place
from consumer.persistence import persistently
from db import leases
from db.errors import DatabaseUnavailable
from db.pool import Pool
from db.records import Holding, Stream
from schemas.kinds import Kind

_log = get_logger(__name__)

#: Seconds between two tries for a lease that somebody else holds, or while Postgres is away.
_TRY_AGAIN = 0.5
#: Seconds between two log lines about one lease that somebody else holds.
_SAY_AGAIN = 30.0
#: A lease is renewed this many times while it runs.
_RENEWALS = 3


class Leases:
    """What we hold, and may work on."""

    def __init__(
        self,
        *,
        pool: Pool,
        owner: str,
        clock: Clock,
        ownership: Ownership,
        topics: Mapping[Kind, str],
        duration: float,
        request_timeout: float,
    ) -> None:
        self._pool = pool
        self._owner = owner  # of this process alone
        self._clock = clock
        self._ownership = ownership
        self._topics = topics
        self._duration = duration  #: seconds
        self._request_timeout = request_timeout  #: seconds
        # However little the lease is longer than a request: it is renewed before that is used up.
        self._every = min(duration, duration - request_timeout) / _RENEWALS
        self._on_acquired: Callable[[], None] = _nothing
        self._on_lost: Callable[[Collection[Place]], None] = _nothing
        self._held: dict[Place, Lease] = {}
        self._asked_for: set[Place] = set()
        self._said: dict[Place, float] = {}
        self._renew_at = 0.0
        self._tend_now = asyncio.Event()
        self._tended = asyncio.Event()
        # One statement at a time: a renewal must not overtake the release.
        self._asking = asyncio.Lock()

    def tell(
        self,
        *,
        on_acquired: Callable[[], None],
        on_lost: Callable[[Collection[Place]], None],
    ) -> None:
        """Say who wants to hear that there is more to work on, or that something was taken."""
        self._on_acquired = on_acquired
        self._on_lost = on_lost

    # -- what others ask ----------------------------------------------------------------------

    def of(self, stream: Stream) -> Lease | None:
        """The lease on a stream's partition, if we hold it."""
        return self._held.get((stream.kind, stream.partition))

    def places(self) -> list[Place]:
        """All that we hold."""
        return sorted(self._held)

    def held(self) -> list[Lease]:
        """The leases themselves; may be asked in another thread."""
        return list(self._held.values())

    def holds(self, lease: Lease) -> bool:
        """Whether this is still the lease on its partition, as far as we know."""
        return self._held.get(lease.place) is lease

    def may_send(self, lease: Lease) -> bool:
        """Whether a request that is sent now ends while its partition is surely still ours."""
        return self.holds(lease) and lease.outlives(self._request_timeout, self._clock.elapsed())

    async def sendable(self, lease: Lease) -> bool:
        """Wait until a request may be sent; False if the lease was lost."""
        while self.holds(lease):
            if lease.outlives(self._request_timeout, self._clock.elapsed()):
                return True
            self._tended.clear()
            self._tend_now.set()
            await self._tended.wait()
        return False

    # -- what others tell ---------------------------------------------------------------------

    def assigned(self) -> None:
        """The group has given us partitions: take their leases."""
        self._tend_now.set()

    def want(self, place: Place) -> None:
        """There is work of a partition that no longer exists and falls to us."""
        if place not in self._held and place not in self._asked_for:
            self._asked_for.add(place)
            self._tend_now.set()

    def abandon(self) -> None:
        """Hold nothing any more and let the leases run out: something is still under way."""
        self._held.clear()
        self._asked_for.clear()
        self._said.clear()
        self._tended.set()

    async def release(self) -> None:
        """Give all of them back, for the next owner to take at once."""
        held = [lease.holding for lease in self._held.values()]
        self.abandon()
        if held:
            async with self._asking:
                await persistently(
                    lambda: leases.release(self._pool, held), what="giving leases back"
                )

    # -- the task -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Take and renew, until cancelled."""
        while True:
            self._tend_now.clear()
            try:
                # There must be time left for another try.
                async with self._asking, asyncio.timeout(self._duration / _RENEWALS):
                    await self._tend()
            except (DatabaseUnavailable, TimeoutError) as error:
                reason = str(error) or "Postgres did not answer in time"
                _log.warning("leases_not_renewed", error=reason, retry_in=_TRY_AGAIN)
                await asyncio.sleep(_TRY_AGAIN)
                continue
            self._tended.set()
            await set_within(self._tend_now, self._until_next())

    def _wanted(self) -> set[Place]:
        return {
            place
            for place in {*self._ownership.places(), *self._asked_for}
            if self._ownership.owns(*place)
        }

    def _until_next(self) -> float:
        if not self._wanted() <= self._held.keys():
            return min(_TRY_AGAIN, self._every)
        if not self._held:
            return self._every  # nothing is to be renewed, and so no time is set for that
        return max(0.0, self._renew_at - self._clock.elapsed())

    async def _tend(self) -> None:
        missing = sorted(self._wanted() - self._held.keys())
        if missing:
            await self._acquire(missing)
        if self._held:
            await self._renew()

    async def _acquire(self, missing: Collection[Place]) -> None:
        by_name = {
            (self._topics[kind], partition): (kind, partition) for kind, partition in missing
        }
        asked_at = self._clock.elapsed()
        found = await leases.acquire(
            self._pool,
            list(by_name),
            owner=self._owner,
            duration=self._duration,
        )
        ours, not_ours = [], []
        for holding in found:
            place = by_name.pop((holding.topic, holding.partition))
            if self._ownership.owns(*place):
                self._held[place] = Lease(place, holding, asked_at + self._duration)
                self._said.pop(place, None)
                ours.append(holding)
            else:  # taken from us while we asked
                not_ours.append(holding)
        if not_ours:
            await leases.release(self._pool, not_ours)
        if ours:
            _log.info("leases_acquired", leases=[_text(holding) for holding in ours])
            self._on_acquired()
        for (topic, partition), place in by_name.items():
            await self._say_who_holds(topic, partition, place)

    async def _say_who_holds(self, topic: str, partition: int, place: Place) -> None:
        now = self._clock.elapsed()
        if now < self._said.get(place, now):
            return
        self._said[place] = now + _SAY_AGAIN
        owner = await leases.owner_of(self._pool, topic, partition)
        _log.info("lease_held_elsewhere", topic=topic, partition=partition, owner=owner)

    async def _renew(self) -> None:
        held = dict(self._held)
        asked_at = self._clock.elapsed()
        renewed = await leases.renew(
            self._pool,
            [lease.holding for lease in held.values()],
            duration=self._duration,
        )
        self._renew_at = asked_at + self._every
        lost = []
        for place, lease in held.items():
            if (lease.holding.topic, lease.holding.partition) in renewed:
                lease.valid_until = asked_at + self._duration
            elif self.holds(lease):
                del self._held[place]
                lost.append(lease)
        if lost:
            _log.error("leases_lost", leases=[_text(lease.holding) for lease in lost])
            self._on_lost([lease.place for lease in lost])


def _text(holding: Holding) -> str:
    return f"{holding.topic}-{holding.partition}@{holding.epoch}"


def _nothing(*_: object) -> None:
    """Before anybody has said that they want to know."""
