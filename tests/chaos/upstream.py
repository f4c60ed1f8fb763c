"""Publishes the workload of a chaos run, as the service upstream would: patiently, and in order."""

import asyncio
import itertools
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.kinds import Kind
from tests.chaos.workload import Event
from tests.support.service import World

#: Events of so many seconds are published together.
_TOGETHER = 0.25
_AGAIN_SECONDS = 0.5


async def publish(here: World, events: Sequence[Event]) -> None:
    """Publish every event at its time, or as soon after it as Kafka takes it.

    What was not acknowledged is published again, so an event can stand in its topic twice.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    upstream = _Upstream(here)
    try:
        for _, due in itertools.groupby(events, key=lambda event: event.at // _TOGETHER):
            group = list(due)
            await asyncio.sleep(max(0.0, started + group[-1].at - loop.time()))
            await upstream.publish(group)
    finally:
        await upstream.close()


class _Upstream:
    """A producer that is made anew when it can no longer go on."""

    def __init__(self, here: World) -> None:
        self._address = here.kafka
        self._topics = {
            Kind.RESERVATION: here.topics.reservations,
            Kind.STOP_SALE: here.topics.stop_sales,
        }
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish these, in this order; returns once all are acknowledged."""
        left = list(events)
        while left:
            try:
                left = await self._try(left)
            except KafkaError:
                await self.close()
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _try(self, events: Sequence[Event]) -> list[Event]:
        """Those that were not acknowledged."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._address, enable_idempotence=True, linger_ms=1
            )
            self._producer = producer
            await producer.start()
        pending = [
            await self._producer.send(
                self._topics[event.meaning.kind], value=event.value, key=event.key
            )
            for event in events
        ]
        results = await asyncio.gather(*pending, return_exceptions=True)
        failed = [
            event
            for event, result in zip(events, results, strict=True)
            if isinstance(result, BaseException)
        ]
        if failed:
            await self.close()
        return failed

    async def close(self) -> None:
        """End the producer, if there is one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
