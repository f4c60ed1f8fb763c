"""Carries out the schedule of a chaos run, and counts by kind what really struck.

It ends every fault that it began, also when it is cancelled in the middle.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from consumer.demo.fake import FakeSedna
from tests.chaos.crew import Crew
from tests.chaos.schedule import Disrupt, Disruption, Injection, Trouble
from tests.support.outage import PrivateKafka, PrivatePostgres
from tests.support.proxy import Proxy

_SWEEP_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Injector:
    """The one who breaks things."""

    fake: FakeSedna
    crew: Crew
    kafka: PrivateKafka
    kafka_proxy: Proxy
    postgres: PrivatePostgres
    postgres_proxy: Proxy
    struck: Counter[str] = field(default_factory=Counter)  #: by kind
    #: What befell processes, servers and network, and when it began and was over.
    diary: list[str] = field(default_factory=list)
    _rules: dict[int, str] = field(default_factory=dict)  # of the fake: id -> kind
    _kafka_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _postgres_turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, injections: Sequence[Injection]) -> None:
        """Carry all of them out, each at its time; returns once the last one is over."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(self._sweep())
            async with asyncio.TaskGroup() as going_on:
                for injection in injections:
                    await asyncio.sleep(max(0.0, started + injection.at - loop.time()))
                    match injection:
                        case Disrupt():
                            going_on.create_task(self._disrupt(injection))
                        case Trouble():
                            going_on.create_task(self._trouble(injection))
            sweeping.cancel()
        self.lift()

    def lift(self) -> None:
        """End what is still in force."""
        self._count()
        for rule in self._rules:
            self.fake.faults.remove(rule)
        self._rules.clear()
        self.kafka_proxy.resume()
        self.postgres_proxy.resume()

    # -- Sedna --------------------------------------------------------------------------------

    async def _trouble(self, trouble: Trouble) -> None:
        rules = trouble.rules
        if trouble.retry_date_in is not None:
            at = datetime.now(UTC) + timedelta(seconds=trouble.retry_date_in)
            rules = tuple(
                replace(rule, retry_after=format_datetime(at, usegmt=True)) for rule in rules
            )
        ids = [self.fake.faults.add(rule) for rule in rules]
        self._rules |= dict.fromkeys(ids, trouble.kind.value)
        if trouble.lasts is not None:
            await asyncio.sleep(trouble.lasts)
            self._withdraw(ids)

    async def _sweep(self) -> None:
        """Now and then take rules away that have struck: the fake asks each one at every call."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._count()

    def _count(self) -> None:
        spent = [
            rule["id"]
            for rule in self.fake.faults.as_json()
            if rule["id"] in self._rules and rule["times"] and rule["hits"] >= rule["times"]
        ]
        self._withdraw(spent)

    def _withdraw(self, ids: Sequence[int]) -> None:
        for rule in ids:
            kind = self._rules.pop(rule, None)
            if kind is not None:
                self.struck[kind] += self.fake.faults.hits(rule)
                self.fake.faults.remove(rule)

    # -- processes, servers, network ----------------------------------------------------------

    async def _disrupt(self, disrupt: Disrupt) -> None:
        began = datetime.now(UTC)
        if await self._carry_out(disrupt):
            self.struck[disrupt.kind.value] += 1
            over = datetime.now(UTC)
            self.diary.append(f"{began.isoformat()} until {over.time()}: {disrupt.kind.value}")

    async def _carry_out(self, disrupt: Disrupt) -> bool:
        """False if there was nothing to befall."""
        befallen = True
        match disrupt.kind:
            case Disruption.KILL:
                befallen = await self.crew.kill(disrupt.choice)
            case Disruption.PAUSE:
                befallen = await self.crew.pause(disrupt.choice, disrupt.seconds)
            case Disruption.LEAVE:
                befallen = await self.crew.leave(disrupt.choice)
            case Disruption.JOIN:
                await self.crew.join()
            case Disruption.CUT_POSTGRES:
                befallen = self.postgres_proxy.cut() > 0
            case Disruption.CUT_KAFKA:
                befallen = self.kafka_proxy.cut() > 0
            case _:
                await self._take_away(disrupt)
        return befallen

    async def _take_away(self, disrupt: Disrupt) -> None:
        """A server is gone, or out of reach, for a while."""
        match disrupt.kind:
            case Disruption.HOLE_POSTGRES:
                await self._hole(self.postgres_proxy, disrupt.seconds)
            case Disruption.HOLE_KAFKA:
                await self._hole(self.kafka_proxy, disrupt.seconds)
            case Disruption.KAFKA_STOP:
                async with self._kafka_turn:
                    await self.kafka.stop()
                    await asyncio.sleep(disrupt.seconds)
                    await self.kafka.start()
            case _:
                async with self._postgres_turn:
                    crash = disrupt.kind is Disruption.POSTGRES_IMMEDIATE
                    await self.postgres.stop("immediate" if crash else "fast")
                    await asyncio.sleep(disrupt.seconds)
                    await self.postgres.start()

    async def _hole(self, proxy: Proxy, seconds: float) -> None:
        proxy.black_hole()
        try:
            await asyncio.sleep(seconds)
        finally:
            proxy.resume()
