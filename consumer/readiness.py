"""Whether this process is fit for work, for who sends it requests.

Asked as often as a probe likes: Postgres and Kafka are asked once for all who ask within a second.
It changes nothing, and no work may depend on it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from consumer.ownership import Ownership
from consumer.sedna.single_flight import SingleFlight
from db.errors import DatabaseError
from db.pool import Pool, answers

#: Seconds that Postgres, or Kafka, may take to answer, and for which an answer holds.
_PATIENCE, _FRESH = 2.0, 1.0


class Readiness:
    """Looks at what the service cannot work without."""

    def __init__(
        self,
        *,
        pool: Pool,
        consumer: AIOKafkaConsumer,
        ownership: Ownership,
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._ownership = ownership
        self._clock = clock  # seconds
        self._looked_at: float | None = None
        self._found: frozenset[str] = frozenset()
        self._flight: SingleFlight[None] = SingleFlight()
        #: Set once the service begins to end.
        self.stopping = False

    async def missing(self) -> list[str]:
        """What is missing, of `postgres`, `kafka` and `assignment`; `stopping` counts as such."""
        if self._looked_at is None or self._clock() - self._looked_at >= _FRESH:
            await self._flight.do(self._look)
        found = set(self._found)
        # Of these two no old answer will do.
        if not self._ownership.assigned:
            found.add("assignment")
        if self.stopping:
            found.add("stopping")
        return sorted(found)

    async def _look(self) -> None:
        postgres, kafka = await asyncio.gather(
            _in_time(self._postgres_answers), _in_time(self._kafka_answers)
        )
        self._found = frozenset(
            name for name, well in (("postgres", postgres), ("kafka", kafka)) if not well
        )
        self._looked_at = self._clock()

    async def _postgres_answers(self) -> bool:
        try:
            await answers(self._pool)
        except DatabaseError:
            return False
        return True

    async def _kafka_answers(self) -> bool:
        # Before the first assignment its client may not be there yet.
        if not self._ownership.assigned:
            return False
        try:
            await self._consumer.topics()
        except KafkaError:
            return False
        return True


async def _in_time(look: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await look()
    except TimeoutError:
        return False
