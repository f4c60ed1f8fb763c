"""Runs of a replay from the outside: planned, begun, taken up again, rehearsed, and reported."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from consumer.clock import SystemClock
from consumer.kafka import partitions_of, reading
from consumer.registrar import Registrar
from consumer.replay.asked import Asked, from_json
from consumer.replay.batch import Hands, Item
from consumer.replay.estimate import Limits, seconds
from consumer.replay.outcomes import Tally
from consumer.replay.ranges import ranges
from consumer.replay.reader import Reader, TopicChanged
from consumer.replay.registering import Registering
from consumer.replay.rehearsing import Rehearsing
from consumer.replay.replayer import Progress, Replayer
from consumer.results import Topics
from consumer.retrying import Retrying
from consumer.settings import Settings
from db import replays, tenants
from db.pool import Pool
from db.replays import Position
from schemas.kinds import Kind

#: Seconds to wait for the lock of a process that was killed just now.
_LOCK_PATIENCE = 5.0
_LOCK_PAUSE = 0.2
#: Tenants whose pace is asked for together.
_TENANTS = 200


class CannotReplay(Exception):
    """It cannot be begun or taken up; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is about to be read."""

    asked: Asked
    positions: Sequence[Position]
    replay_id: int | None = None  #: None: a new one
    finished: bool = False  #: it was done before

    @property
    def offsets(self) -> int:
        """How many are to be passed, gaps included."""
        return sum(each.end - each.position for each in self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run."""

    plan: Plan
    replay_id: int | None  #: None: of a dry run
    complete: bool
    tally: Tally
    events: int  #: that this process has read
    expired: int  #: offsets that were gone before they were read
    estimate: float | None  #: seconds that Sedna will need for what is to be done; None: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who wants to know how it goes."""

    stop: asyncio.Event  #: set: end after the chunk that it is at
    on_progress: Callable[[Progress], None]
    on_items: Callable[[Sequence[Item]], None] | None = None


class Replays:
    """Everything that `sedna-sync replay` does."""

    def __init__(self, *, settings: Settings, pool: Pool, database_url: str) -> None:
        self._settings = settings
        self._pool = pool
        self._database_url = database_url
        self._client_id = f"sedna-sync-replay-{os.getpid()}"
        self._topics = Topics(synced=settings.topic_synced, failed=settings.topic_failed)

    # -- before -------------------------------------------------------------------------------

    async def plan(self, asked: Asked) -> Plan:
        """What a new run would read; its end is fixed from now on.

        Raises:
            CannotReplay: there is no such topic.
            KafkaError: the brokers do not answer.
        """
        partitions = await self._partitions(asked)
        async with reading(self._settings, client_id=self._client_id) as consumer:
            return Plan(asked=asked, positions=await ranges(consumer, asked, partitions))

    async def resume(self, asked: Asked | None, *, replay_id: int | None) -> Plan | None:
        """What is left of an earlier run; None: there is none.

        Args:
            asked: what it was told to do; None: whatever it was.
            replay_id: which one; None: the last one, one that is not finished before one that is.

        Raises:
            DatabaseError: from Postgres.
        """
        if replay_id is not None:
            run = await replays.by_id(self._pool, replay_id)
        else:
            run = await replays.latest(self._pool, None if asked is None else asked.to_json())
        if run is None:
            return None
        return Plan(
            asked=from_json(run.asked),
            positions=await replays.positions(self._pool, run.id),
            replay_id=run.id,
            finished=run.finished,
        )

    # -- the run itself -----------------------------------------------------------------------

    async def rehearse(self, plan: Plan, *, rate: float | None, watching: Watching) -> Report:
        """Say what a run would do, and change nothing.

        Raises:
            TopicChanged, KafkaError, DatabaseError: see :meth:`Replayer.run`.
        """
        async with replays.memory(self._database_url) as memory:
            hands = Rehearsing(
                pool=self._pool,
                retrying=Retrying(self._pool),
                memory=memory,
                asked=plan.asked,
                topics=self._topics,
            )
            complete, events = await self._read(plan, hands, rate=rate, watching=watching)
        return await self._report(
            plan,
            None,
            hands.tally,
            complete=complete,
            events=events,
            expired=_expired(plan.positions),
        )

    async def carry_out(self, plan: Plan, *, rate: float | None, watching: Watching) -> Report:
        """Begin a run, or take it up again.

        Raises:
            CannotReplay: another process runs it.
            Moved: likewise, found out later.
            TopicChanged, KafkaError, DatabaseError: see :meth:`Replayer.run`.
        """
        replay_id = plan.replay_id
        if replay_id is None:
            replay_id = await replays.begin(self._pool, plan.asked.to_json(), plan.positions)
        async with self._alone(replay_id):
            registrar = Registrar(
                pool=self._pool,
                clock=SystemClock(),
                topic_failed=self._settings.topic_failed,
                topic_deadletter=self._settings.topic_deadletter,
                on_seen=lambda _: None,
            )
            hands = Registering(
                pool=self._pool,
                registrar=registrar,
                replay_id=replay_id,
                asked=plan.asked,
                topics=self._topics,
                stop=watching.stop,
            )
            complete, events = await self._read(plan, hands, rate=rate, watching=watching)
        # Of the whole run, and not only of this process.
        tally = Tally(await replays.counts(self._pool, replay_id))
        positions = await replays.positions(self._pool, replay_id)
        return await self._report(
            plan,
            replay_id,
            tally,
            complete=complete,
            events=events,
            expired=_expired(positions),
        )

    async def report(self, plan: Plan) -> Report:
        """What came of a run that is finished."""
        if plan.replay_id is None:
            raise ValueError("only what was begun can be reported")
        tally = Tally(await replays.counts(self._pool, plan.replay_id))
        return await self._report(
            plan,
            plan.replay_id,
            tally,
            complete=plan.finished,
            events=0,
            expired=_expired(plan.positions),
        )

    async def _read(
        self, plan: Plan, hands: Hands, *, rate: float | None, watching: Watching
    ) -> tuple[bool, int]:
        last = Progress()

        def on_progress(progress: Progress) -> None:
            nonlocal last
            last = progress
            watching.on_progress(progress)

        async with reading(self._settings, client_id=self._client_id) as consumer:
            reader = Reader(
                consumer=consumer,
                kinds=plan.asked.kinds,
                positions=plan.positions,
                tenants=plan.asked.tenants,
                look_at_topics=lambda: self._look_at_topics(plan),
                **({} if rate is None else {"most": max(1, round(rate))}),
            )
            complete = await Replayer(
                pool=self._pool,
                reader=reader,
                hands=hands,
                asked=plan.asked,
                rate=rate,
                on_progress=on_progress,
                on_items=watching.on_items,
                stop=watching.stop,
            ).run()
        return complete, last.events

    # -- help ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def _alone(self, replay_id: int) -> AsyncIterator[None]:
        waited = 0.0
        while True:
            async with replays.locked(self._database_url, replay_id) as mine:
                if mine:
                    yield
                    return
            if waited >= _LOCK_PATIENCE:
                raise CannotReplay(
                    f"replay {replay_id} is being run by another process; wait for its end"
                )
            await asyncio.sleep(_LOCK_PAUSE)
            waited += _LOCK_PAUSE

    async def _partitions(self, asked: Asked) -> dict[str, list[int]]:
        found = await partitions_of(self._settings, list(asked.kinds), client_id=self._client_id)
        missing = sorted(asked.kinds.keys() - found.keys())
        if missing:
            raise CannotReplay(
                f"Kafka has no topic {', '.join(missing)}, or it may not be seen: check --topic, "
                "and the right to READ it"
            )
        return found

    async def _look_at_topics(self, plan: Plan) -> None:
        """Find out why nothing comes; a broker that is away is waited for."""
        try:
            found = await partitions_of(
                self._settings, list(plan.asked.kinds), client_id=self._client_id
            )
        except KafkaError:
            return
        for at in plan.positions:
            if at.partition not in found.get(at.topic, []):
                raise TopicChanged(
                    f"partition {at.partition} of {at.topic} is gone: the topic was deleted, or "
                    "created anew with fewer; start a new replay once it is there"
                )

    async def _report(
        self,
        plan: Plan,
        replay_id: int | None,
        tally: Tally,
        *,
        complete: bool,
        events: int,
        expired: int,
    ) -> Report:
        return Report(
            plan=plan,
            replay_id=replay_id,
            complete=complete,
            tally=tally,
            events=events,
            expired=expired,
            estimate=await self._estimate(tally, replay_id),
        )

    async def _estimate(self, tally: Tally, replay_id: int | None) -> float | None:
        to_do = tally.to_do()
        whose = sorted({tenant_id for tenant_id, _ in to_do})
        pace: dict[tuple[str, Kind], float] = {}
        for start in range(0, len(whose), _TENANTS):
            some = whose[start : start + _TENANTS]
            pace |= await replays.pace(self._pool, some, before=replay_id)
        default = Limits(self._settings.max_in_flight_per_tenant)
        limits = dict.fromkeys(whose, default)
        if to_do:
            for tenant in await tenants.every(self._pool):
                if tenant.tenant_id in limits:
                    limits[tenant.tenant_id] = Limits(
                        tenant.max_in_flight or default.in_flight, tenant.requests_per_second
                    )
        return seconds(to_do, pace, limits, in_flight=self._settings.max_in_flight)


def _expired(positions: Sequence[Position]) -> int:
    return sum(each.expired for each in positions)
