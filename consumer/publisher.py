"""From the outbox to Kafka: in order per tenant, deleted only once acknowledged.

Deleting needs no lease: what Kafka has acknowledged is published, whoever did it.

One way for all messages, whether they were written a moment ago or left over by a crash: read a
page, send it, wait for the acknowledgements, delete. A crash before the delete publishes again,
with the same ids.
"""

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from consumer.delivery import Delivery
from consumer.events import set_within
from consumer.leases import Leases
from consumer.logs import get_logger
from consumer.ownership import Ownership, Place
from consumer.persistence import persistently
from consumer.retry import backoff
from consumer.tracing import Tracing
from db import outbox
from db.pool import Pool

_log = get_logger(__name__)

_PAGE = 500
#: Seconds between two reads from the very beginning, at the most: for messages that others have
#: left to us, and those of whose commit nobody knows, since the reply was lost.
_REREAD_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_ALL = 2**63 - 1  # no id is higher


class Publisher:
    """Publishes the messages of the partitions that are ours."""

    def __init__(
        self,
        *,
        pool: Pool,
        delivery: Delivery,
        ownership: Ownership,
        leases: Leases,
        tracing: Tracing,
    ) -> None:
        self._pool = pool
        self._delivery = delivery
        self._ownership = ownership
        self._leases = leases
        self._tracing = tracing
        #: The next page begins behind this id; what is written while a page is under way lowers it.
        self._after = 0
        self._reread_at = 0.0  # on the loop's clock
        self._some = asyncio.Event()
        self._empty = asyncio.Event()

    def written(self, first_id: int) -> None:
        """Messages from `first_id` on were committed to the outbox."""
        # Groups commit out of order: one with lower ids can become visible after a higher one.
        self._after = min(self._after, first_id - 1)
        self._empty.clear()
        self._some.set()

    def look(self) -> None:
        """We hold other partitions than before: publish what is left over in them."""
        self.written(1)

    async def drained(self) -> None:
        """Wait until nothing of ours is left to publish."""
        self.written(1)
        await self._empty.wait()

    async def run(self) -> None:
        """Publish, until cancelled."""
        failures = 0
        while True:
            await self._wait_for_some()
            try:
                more = await self._publish_page()
                failures = 0
            except KafkaError as error:
                failures += 1
                wait = backoff(failures, base=_FIRST_WAIT, cap=_LONGEST_WAIT, jitter=1.0)
                _log.warning(
                    "publishing_failed", error=f"{type(error).__name__}: {error}", retry_in=wait
                )
                await asyncio.sleep(wait)
                self.written(1)
                continue
            if not more and not self._some.is_set():
                self._empty.set()

    async def _wait_for_some(self) -> None:
        if self._empty.is_set():
            await set_within(self._some, _REREAD_SECONDS)
        self._empty.clear()
        self._some.clear()

    async def _publish_page(self) -> bool:
        """Publish the next messages; False if there were none."""
        now = asyncio.get_running_loop().time()
        if now >= self._reread_at:
            self._after = 0
        after, self._after = self._after, _ALL
        if after == 0:
            self._reread_at = now + _REREAD_SECONDS
        owned = await self._owned(anew=after == 0)
        rows = await persistently(
            lambda: outbox.page(self._pool, owned, after=after, limit=_PAGE),
            what="reading the outbox",
        )
        self._after = min(self._after, rows[-1].id if rows else after)
        if not rows:
            return False
        with self._tracing.publishing(rows):
            await self._delivery.send(rows)
        ids = [row.id for row in rows]
        await persistently(lambda: outbox.delete(self._pool, ids), what="emptying the outbox")
        return True

    async def _owned(self, *, anew: bool) -> Sequence[Place]:
        if anew:
            # From the beginning: also partitions that no longer exist and fall to us.
            waiting = await persistently(
                lambda: outbox.partitions(self._pool), what="reading the outbox"
            )
            for place in waiting:
                if self._ownership.owns(*place):
                    self._leases.want(place)
        return self._leases.places()
