"""Waiting for tries to be settled, by whichever process does them.

All who wait in this process share one question to Postgres at a time, and hold no connection while
they wait. It asks only while somebody waits.
"""

import asyncio

from consumer.logs import get_logger
from db import retries
from db.errors import DatabaseError, DatabaseUnavailable
from db.pool import Pool
from db.retries import SyncState

_log = get_logger(__name__)

#: Seconds between two questions.
_PAUSE = 0.1
#: So many syncs are asked about in one question,
_AT_ONCE = 1000
#: and of so many those who wait are told before others have their turn in the loop.
_TOLD_AT_ONCE = 10

_Sync = tuple[str, int]


class Waiting:
    """Everybody in this process who waits for a try."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[_Sync, set[_Waiter]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def until_settled(
        self, tenant_id: str, sync_id: int, generation: int, *, within: float
    ) -> SyncState | None:
        """How a try has ended.

        Args:
            tenant_id: whose.
            sync_id: of what.
            generation: which try.
            within: seconds to wait at the most.

        Returns:
            The sync once it is settled; or once it is in a later generation, which says that this
            try had failed, whatever the later one has come to. None: not within this time, or there
            is no such sync.

        Raises:
            DatabaseError: Postgres refuses the question. While it is away, this waits.
        """
        sync = (tenant_id, sync_id)
        waiter = _Waiter(generation)
        self._waiting.setdefault(sync, set()).add(waiter)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="wait for tries")
        try:
            async with asyncio.timeout(within):
                return await waiter.settled
        except TimeoutError:
            return None
        finally:
            self._waiting[sync].discard(waiter)
            if not self._waiting[sync]:
                del self._waiting[sync]

    async def _ask(self) -> None:
        try:
            while self._waiting:
                await self._look()
                await asyncio.sleep(_PAUSE)
        finally:
            self._asking = None

    async def _look(self) -> None:
        syncs = list(self._waiting)
        for start in range(0, len(syncs), _AT_ONCE):
            some = syncs[start : start + _AT_ONCE]
            try:
                states = await retries.states(self._pool, some)
            except DatabaseUnavailable as error:
                _log.warning("postgres_unavailable", what="waiting for tries", error=str(error))
                return
            except DatabaseError as error:
                self._refuse(some, error)
                continue
            told = [(sync, each) for sync in some for each in self._waiting.get(sync, ())]
            for number, (sync, waiter) in enumerate(told, start=1):
                waiter.see(states.get(sync))
                if number % _TOLD_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _refuse(self, syncs: list[_Sync], error: DatabaseError) -> None:
        for sync in syncs:
            for waiter in self._waiting.get(sync, ()):
                if not waiter.settled.done():
                    waiter.settled.set_exception(error)


class _Waiter:
    def __init__(self, generation: int) -> None:
        self._generation = generation
        self.settled: asyncio.Future[SyncState | None] = asyncio.get_running_loop().create_future()

    def see(self, state: SyncState | None) -> None:
        over = (
            state is None
            or state.generation > self._generation
            or (state.generation == self._generation and state.state != "pending")
        )
        if over and not self.settled.done():
            self.settled.set_result(state)
