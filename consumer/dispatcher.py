"""Starts what may run: takes syncs from the lanes and gives each to the processor in a task.

It decides nothing about a sync: the lanes say which is next, the processor what becomes of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from consumer.clock import Clock
from consumer.lanes import Lanes
from consumer.sync import Sync
from db.records import Stream


class Dispatcher:
    """The one place where work is started."""

    def __init__(
        self,
        *,
        lanes: Lanes,
        clock: Clock,
        process: Callable[[Sync], Awaitable[None]],
        on_parked: Callable[[], None],
        give_up_after: float,
    ) -> None:
        self._lanes = lanes
        self._clock = clock
        self._process = process
        self._on_parked = on_parked  # what waits makes room for what could run
        self._patience = timedelta(seconds=give_up_after)  # of what waits for a paused tenant
        self._wake = asyncio.Event()
        self._returned = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False

    def kick(self) -> None:
        """Something may be ready that was not: a sync came in, a slot or a lane is free."""
        self._wake.set()

    def stop(self) -> None:
        """Start nothing more; :meth:`run` returns once what runs has ended."""
        self._stopping = True
        self._wake.set()

    async def returned(self, streams: Collection[Stream]) -> None:
        """Forget what is not out of these streams, and wait until nothing of them is.

        What comes back meanwhile, to be tried again or in another lane, is forgotten at once: it is
        the next owner's, and would otherwise be started anew before the last one has come back.
        """
        self._lanes.drop(streams)
        while self._lanes.out_of(streams):
            self._returned.clear()
            await self._returned.wait()
            self._lanes.drop(streams)

    async def run(self) -> None:
        """Start what is ready, as long as it goes on."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._stopping:
                    break
                elapsed, too_old = self._clock.elapsed(), self._clock.now() - self._patience
                self._lanes.wake(elapsed)
                while (sync := self._lanes.take()) is not None:
                    if not self._must_wait(sync):
                        tasks.create_task(self._run_one(sync))
                # What is too old is given up also where nothing may be sent.
                for sync in self._lanes.take_overdue(too_old):
                    if not self._must_wait(sync):
                        tasks.create_task(self._run_one(sync))
                self._set_timer(elapsed, too_old)

    async def _run_one(self, sync: Sync) -> None:
        await self._process(sync)
        self._returned.set()
        self._wake.set()

    def _must_wait(self, sync: Sync) -> bool:
        """Park what is not due yet."""
        if sync.next_attempt_at is not None:
            wait = (sync.next_attempt_at - self._clock.now()).total_seconds()
            if wait > 0:
                self._lanes.park(sync, self._clock.elapsed() + wait)
                self._on_parked()
                return True
        return False

    def _set_timer(self, elapsed: float, too_old: datetime) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits = []
        due = self._lanes.next_due()
        if due is not None:
            waits.append(max(0.0, due - elapsed))
        oldest = self._lanes.oldest_paused()
        # What is too old already waits for a slot, and not for a time.
        if oldest is not None and oldest > too_old:
            waits.append((oldest - too_old).total_seconds())
        if waits:
            self._timer = asyncio.get_running_loop().call_later(min(waits), self._wake.set)
