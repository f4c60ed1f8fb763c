"""The thirteen minutes that the picture of the dashboard shows: traffic, and what goes wrong in it.

Real servers, two real processes, fake Sednas over HTTP. What happens when is in `_trouble`, and is
said below the picture in docs/metrics.md: change both.
"""

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections.abc import AsyncIterator
from dataclasses import astuple, replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.setting import world
from consumer.demo.fake import FakeSedna, Fault, FaultKind
from tests.support.events import account, envelope, reservation_data, stop_sale_data
from tests.support.kafka_clients import Topics, create_topics
from tests.support.service import World

_MINUTES = 13
_TICK = 0.2  # seconds between two looks at whether a tenant has an event
#: Reservations per second, on average.
_RATES = {
    "aurora": 2.0,
    "bosphorus": 3.0,
    "cappadocia": 2.0,
    "delta": 1.5,
    "ege": 2.0,
    "island": 2.0,  # its Sedna is a server of its own, which will be down
}
_STOP_SALES = 1.2  # per second
_MISTAKES = 0.12  # per second, of each kind
#: Published before the service reads, and read by a replay: so many in a second.
_OLD, _REPLAYED = 1200, 30
_TOPICS = Topics(
    reservations="reservation.created",
    stop_sales="stopsale.created",
    synced="sedna.synced",
    failed="sedna.failed",
    deadletter="sedna.deadletter",
)


class Story:
    """A world in which two processes work, and what happens to it."""

    def __init__(self, here: World, island: FakeSedna, producer: AIOKafkaProducer) -> None:
        self.here = here
        self._island = island
        self._producer = producer
        self._numbers = itertools.count(1)
        self._draws = random.Random(7)  # noqa: S311 - the same traffic each time
        self._began = 0.0

    async def begin(self) -> None:
        """Publish what will be old, and start two processes behind it."""
        for _ in range(_OLD):
            await self._reservation("bosphorus")
        await self._producer.flush()
        await self.here.skip_to_end()
        for _ in range(2):
            await self.here.start()

    async def tell(self) -> None:
        """All of it; returns at its end, with work in flight."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._traffic())
            both.create_task(self._trouble(start=_now()))

    async def _trouble(self, *, start: str) -> None:
        faults = self.here.fake.faults
        lost = Fault(kind=FaultKind.CLOSE, account="ege", operation="InsertReservation", times=3)
        await self._until(2)
        await self._island.down()
        await self._until(4)
        slow = faults.add(
            Fault(kind=FaultKind.LATENCY, account="delta", operation="InsertReservation", seconds=6)
        )
        await self._until(5.5)
        faults.add(lost)
        await self._until(6)
        await self._island.up()
        await self._until(7)
        faults.remove(slow)
        for _ in range(30):
            await self._reservation("cappadocia", room_type="PENTHOUSE")
            await asyncio.sleep(2)
        await self._until(8.5)
        code, _, error = await self.here.command(
            *("replay", "--topic", _TOPICS.reservations, "--from", "beginning", "--to", start),
            *("--rate", str(_REPLAYED), "--yes"),
        )
        if code:
            raise RuntimeError(f"the replay ended with {code}: {error}")
        await self._until(10)
        self.here.fake.configure("aurora", password="another")  # noqa: S106 - the fake's
        await self._until(12)
        faults.add(replace(lost, times=1))

    async def _traffic(self) -> None:
        while (now := time.monotonic() - self._began) < _MINUTES * 60:
            for tenant, rate in _RATES.items():
                if self._drawn(rate * (1 + 0.35 * math.sin(now / 50 + len(tenant)))):
                    await self._reservation(tenant)
            if self._drawn(_STOP_SALES):
                data = stop_sale_data(next(self._numbers))
                event = envelope("bosphorus", "stopsale.created", data, time=_now())
                await self._send(_TOPICS.stop_sales, "bosphorus", event)
            await self._mistakes()
            await asyncio.sleep(_TICK)

    async def _mistakes(self) -> None:
        """What upstream gets wrong on an ordinary day."""
        if self._drawn(_MISTAKES):
            await self._reservation("ege", hotel_name="Hotel That Nobody Sells")
        if self._drawn(_MISTAKES):
            await self._reservation("newcomer")
        if self._drawn(_MISTAKES):
            await self._send(_TOPICS.reservations, "ege", b'{"not": "an event"}')
        if self._drawn(_MISTAKES):
            await self._reservation("bosphorus", times=2)

    def _drawn(self, rate: float) -> bool:
        """Whether something that happens so often in a second does in this tick."""
        return self._draws.random() < rate * _TICK

    async def _reservation(self, tenant: str, *, times: int = 1, **changes: Any) -> None:
        data = reservation_data(next(self._numbers), **changes)
        event = envelope(tenant, "reservation.created", data, time=_now())
        for _ in range(times):
            await self._send(_TOPICS.reservations, tenant, event)

    async def _send(self, topic: str, tenant: str, event: bytes) -> None:
        await self._producer.send(topic, value=event, key=tenant.encode())

    async def _until(self, minute: float) -> None:
        await asyncio.sleep(self._began + minute * 60 - time.monotonic())


def _now() -> str:
    return datetime.now(UTC).isoformat()


@contextlib.asynccontextmanager
async def story() -> AsyncIterator[Story]:
    """Servers of its own, topics with their real names, tenants, and two processes.

    Raises:
        Unavailable: a server cannot be had here.
    """
    accounts = [account(name) for name in _RATES if name != "island"]
    islanders = [account("island")]
    async with world(accounts) as here, FakeSedna(accounts=islanders) as island:
        for fake in (here.fake, island):
            # As of a server far away, with a tail.
            for share, seconds in ((1.0, 0.06), (0.5, 0.1), (0.15, 0.3), (0.03, 1.2)):
                fake.faults.add(Fault(kind=FaultKind.LATENCY, probability=share, seconds=seconds))
        here.topics = _TOPICS
        await create_topics(here.kafka, dict.fromkeys(astuple(_TOPICS), 6))
        await replace(here, fake=island).add_tenants(islanders)
        # A breaker is probed once a minute at the latest: the picture is no day long.
        here.settings["RETRY_CAP"] = "60"
        async with AIOKafkaProducer(bootstrap_servers=here.kafka) as producer:
            told = Story(here, island, producer)
            await told.begin()
            yield told
