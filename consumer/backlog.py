"""A bounded window of each stream's pending syncs in memory; the rest waits in Postgres.

A stream is one tenant's work of one kind in one partition of origin, live or replayed: each has a
window of its own, so that live work need not wait until a replay's has been loaded. What was
registered just now goes straight into the lanes if its stream is wholly in memory and has room;
otherwise it is loaded later, in order, as the window drains. So memory does not grow with the
backlog, and each sync is loaded once.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from consumer.events import set_within
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.ownership import Lease, Ownership
from consumer.persistence import persistently
from consumer.sync import Sync, from_row
from db import work
from db.notices import stream_of
from db.pool import Pool
from db.records import PendingSync, Stream

#: A window holds this many times what the tenant may have in flight, and at least so many syncs.
_WINDOW_FACTOR, _WINDOW_LEAST = 4, 64
#: With those that wait in parked lanes, a stream holds at most this many times its window.
_PARKED_FACTOR = 8
#: Seconds between two looks for work that came to be pending without our doing.
_SWEEP_SECONDS = 30.0


@dataclass(slots=True)
class _Position:
    seq: int = 0  # all that is pending up to here is in memory
    more: bool = True  # there may be more behind it in Postgres
    signals: int = 0  # how often something was put behind it


class Backlog:
    """Feeds the lanes."""

    def __init__(self, *, pool: Pool, lanes: Lanes, ownership: Ownership, leases: Leases) -> None:
        self._pool = pool
        self._lanes = lanes
        self._ownership = ownership
        self._leases = leases
        self._admit: Callable[[Sync], None] = _nowhere
        self._positions: dict[Stream, _Position] = {}
        self._hungry = asyncio.Event()
        self._sweep_now = asyncio.Event()

    def admit_with(self, admit: Callable[[Sync], None]) -> None:
        """Put syncs into their lanes with `admit`; to be called before anything comes in."""
        self._admit = admit

    # -- what others tell ---------------------------------------------------------------------

    def registered(self, syncs: Iterable[Sync]) -> None:
        """Take in what was registered just now, in order of `seq`."""
        for sync in syncs:
            stream = sync.stream
            lease = self._leases.of(stream)
            if lease is None:
                continue  # found by the look that follows when we hold it
            position = self._positions.get(stream)
            if position is None:
                # A stream that nobody has asked Postgres about may have older work there.
                position = self._positions[stream] = _Position()
            position.signals += 1
            if not position.more and self._room(stream) > 0:
                position.seq = sync.seq
                sync.lease = lease
                self._admit(sync)
            else:
                position.more = True
                self._hungry.set()

    def drained(self) -> None:
        """Something has left the lanes, or waits in them for its time: there may be room."""
        self._hungry.set()

    def look(self) -> None:
        """Find out what is pending: we hold other partitions than before, or lost sight of some."""
        self._sweep_now.set()

    def told(self, notice: str) -> None:
        """Somebody has asked for work of a stream, which is named as :mod:`db.notices` does.

        It may be live or replayed, or have become the one from the other.
        """
        stream = stream_of(notice)
        if stream is not None and self._ownership.owns(stream.kind, stream.partition):
            self._begin_anew(stream)
            self._begin_anew(replace(stream, replayed=True))
            self._hungry.set()

    def revoked(self, streams: Collection[Stream]) -> None:
        """These streams are no longer ours."""
        for stream in streams:
            self._positions.pop(stream, None)

    def streams(self) -> list[Stream]:
        """All streams that are known."""
        return list(self._positions)

    def lease_of(self, stream: Stream) -> Lease | None:
        """Under which we may load work of a stream; None: we may not, or not yet."""
        if not self._ownership.owns(stream.kind, stream.partition):
            return None
        return self._leases.of(stream)

    async def take_in(self, rows: Sequence[PendingSync]) -> int:
        """Load syncs before their turn, since live work waits for them.

        Only what is ours, in order, and as far as there is room.

        Returns:
            How many came in.
        """
        by_stream: dict[Stream, list[PendingSync]] = {}
        for row in rows:
            if row.id not in self._lanes:
                by_stream.setdefault(row.stream, []).append(row)
        came_in = 0
        for stream, some in by_stream.items():
            lease = self.lease_of(stream)
            if lease is None:
                continue
            first = some[: max(self._most(stream) - self._lanes.loaded(stream), 0)]
            held = await self._hold(first, lease)
            if self.lease_of(stream) is not lease:
                continue  # revoked or lost meanwhile
            if stream not in self._positions:
                self._begin_anew(stream)
                self._hungry.set()
            came_in += self._come_in(first, held, lease)
        return came_in

    # -- the two tasks ------------------------------------------------------------------------

    async def feed(self) -> None:
        """Load what there is room for, until cancelled."""
        while True:
            await self._hungry.wait()
            self._hungry.clear()
            for stream, position in list(self._positions.items()):
                # Half a window at least, so that one query serves many syncs.
                if position.more and self._room(stream) >= self._window(stream) // 2:
                    await self._load(stream, position)

    async def sweep(self) -> None:
        """Find streams with pending work, when told to and now and then, until cancelled."""
        while True:
            await set_within(self._sweep_now, _SWEEP_SECONDS)
            self._sweep_now.clear()
            await self._discover()

    async def _discover(self) -> None:
        found = await persistently(lambda: work.streams(self._pool), what="looking for work")
        for stream in found:
            if self._ownership.owns(stream.kind, stream.partition):
                self._begin_anew(stream)
        self._hungry.set()

    def _begin_anew(self, stream: Stream) -> None:
        if self._leases.of(stream) is None:
            self._leases.want((stream.kind, stream.partition))
            return
        position = self._positions.setdefault(stream, _Position())
        # Read it again from the beginning: what is in memory is passed over, and what
        # was tried anew by other hands, behind our position, is found.
        position.seq = 0
        position.more = True
        position.signals += 1

    # -- loading ------------------------------------------------------------------------------

    def _window(self, stream: Stream) -> int:
        return max(_WINDOW_LEAST, _WINDOW_FACTOR * self._lanes.limit(stream.tenant_id))

    def _room(self, stream: Stream) -> int:
        window = self._window(stream)
        return min(
            window - self._lanes.runnable(stream),
            self._most(stream) - self._lanes.loaded(stream),
        )

    def _most(self, stream: Stream) -> int:
        return _PARKED_FACTOR * self._window(stream)

    async def _load(self, stream: Stream, position: _Position) -> None:
        lease = self._leases.of(stream)
        if lease is None:
            position.more = False
            return  # lost; the next look begins anew
        after, signals, limit = position.seq, position.signals, self._room(stream)
        rows: list[PendingSync] = await persistently(
            lambda: work.page(self._pool, stream, after=after, limit=limit), what="loading work"
        )
        held = await self._hold([row for row in rows if row.id not in self._lanes], lease)
        if self._positions.get(stream) is not position or not self._leases.holds(lease):
            return  # revoked or lost meanwhile
        if rows and position.seq == after:  # else a sweep wants it to begin anew
            position.seq = rows[-1].seq
        self._come_in(rows, held, lease)
        if len(rows) < limit and position.signals == signals:
            position.more = False
        else:
            self._hungry.set()

    def _come_in(
        self, rows: Iterable[PendingSync], held: Mapping[int, datetime], lease: Lease
    ) -> int:
        came_in = 0
        for row in rows:
            if row.id in self._lanes:
                continue
            sync = from_row(row)
            if _unsettled(row):
                since = held.get(row.id)
                if since is None:
                    continue  # settled between the two looks
                sync.in_doubt_since = since
            sync.lease = lease
            self._admit(sync)
            came_in += 1
        return came_in

    async def _hold(self, rows: Sequence[PendingSync], lease: Lease) -> dict[int, datetime]:
        """Put in doubt what a former owner marked and did not settle."""
        unsettled = [(row.id, row.tenant_id) for row in rows if _unsettled(row)]
        if not unsettled:
            return {}
        return await persistently(
            lambda: work.hold(self._pool, unsettled, lease.holding),
            what="holding what was sent and not settled",
        )


def _unsettled(row: PendingSync) -> bool:
    """Whether a create was perhaps sent that nobody has settled.

    Not so where the record of a stop sale is known: its second step can be repeated.
    """
    return row.dispatched_at is not None and row.sedna_rec_id is None


def _nowhere(sync: Sync) -> None:
    raise RuntimeError(f"sync {sync.id} came in before there was a way to admit it")
