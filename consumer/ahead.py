"""Clears the way for a live stop sale that would have to wait for a whole replay.

Its mark is refused while an earlier stop sale of its tenant has no lane yet, or one of its own lane
is pending; and of thousands that a replay has registered a window is in memory. So the hotels of
the earlier ones are found ahead of their turn, in the lists that are in memory, and their lanes are
stored. What stands before it in its own lane is loaded now, to run next and in order. What is of no
known hotel is loaded as well, to be settled: until then it may be of the same hotel.

It must never ask Sedna for anything, and never decide who may run: the mark does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from consumer.accounts import Account, Accounts
from consumer.backlog import Backlog
from consumer.lanes import Lanes
from consumer.logs import get_logger
from consumer.persistence import persistently
from consumer.resolving import hotel_if_cached
from consumer.sync import UNRESOLVED_LANE, Sync, from_row, stop_sale_lane
from db import work
from db.pool import Pool
from db.records import PendingSync, ResolvedLane
from schemas.inbound import StopSaleCreated

_log = get_logger(__name__)

#: Syncs that are read together, and how many times in one go.
_PAGE, _PAGES = 200, 50
#: Syncs of its own lane that are loaded together: they run one after the other.
_OF_LANE = 16


class Way(Enum):
    """What a stop sale that was refused its turn is to do."""

    SHORTER = auto()  #: ask again, when it is the head of its lane
    BEHIND_UNKNOWN = auto()  #: wait behind those in memory whose hotel is not known
    BLOCKED = auto()  #: wait: what stands before it is another process's, or has no room here


@dataclass(slots=True)
class _Found:
    """What stands before it without a lane."""

    resolved: int = 0  #: has one now
    unknown: int = 0  #: is in memory, of no known hotel

    def __bool__(self) -> bool:
        return self.resolved > 0 or self.unknown > 0

    def __iadd__(self, other: Self) -> Self:
        self.resolved += other.resolved
        self.unknown += other.unknown
        return self


class Ahead:
    """Looks at what stands before live stop sales, one at a time of each tenant."""

    def __init__(self, *, pool: Pool, lanes: Lanes, accounts: Accounts, backlog: Backlog) -> None:
        self._pool = pool
        self._lanes = lanes
        self._accounts = accounts
        self._backlog = backlog
        self._looking: dict[str, asyncio.Lock] = {}  # by tenant

    async def clear(self, sync: Sync) -> Way:
        """Do what can be done for a live stop sale that is out and was refused its mark."""
        lane = self._lanes.lane_of(sync)
        async with self._looking.setdefault(sync.tenant_id, asyncio.Lock()):
            found = await self._resolve(sync)
            loaded = 0 if found.unknown else await self._load(sync, lane)
        if found or loaded:
            _log.info(
                "way_cleared",
                tenant=sync.tenant_id,
                sync=sync.id,
                resolved=found.resolved,
                unknown=found.unknown,
                loaded=loaded,
            )
        if found.unknown:
            return Way.BEHIND_UNKNOWN
        return Way.SHORTER if found or loaded else Way.BLOCKED

    async def _resolve(self, sync: Sync) -> _Found:
        """Give lanes to what stands before it; each piece of work is given one ahead once."""
        found = _Found()
        after = 0
        for _ in range(_PAGES):
            account = self._accounts.cached(sync.tenant_id)
            if account is None or account.catalogue.hotels_if_cached() is None:
                break  # its settings have changed just now
            rows = await self._unresolved(sync, after)
            done = await self._resolve_page(account, rows)
            found += done
            # A page of others' holds it up in any case: no need to look at all of it each time.
            if len(rows) < _PAGE or not done:
                break
            after = rows[-1].seq
        return found

    async def _unresolved(self, sync: Sync, after: int) -> list[PendingSync]:
        return await persistently(
            lambda: work.unresolved(
                self._pool, sync.tenant_id, after=after, before=sync.seq, limit=_PAGE
            ),
            what="looking for stop sales without a lane",
        )

    async def _resolve_page(self, account: Account, rows: Sequence[PendingSync]) -> _Found:
        found = _Found()
        lanes: list[ResolvedLane] = []
        strangers: list[PendingSync] = []
        for row in rows:
            if row.id in self._lanes:
                # Any other's lane is stored together with the next mark.
                found.unknown += self._lanes.key_of(row.id) == UNRESOLVED_LANE
                continue
            lease = self._backlog.lease_of(row.stream)
            if lease is None:
                continue
            lane = _lane_if_cached(account, row)
            if lane is None:
                strangers.append(row)
            else:
                lanes.append(
                    ResolvedLane(
                        sync_id=row.id,
                        tenant_id=row.tenant_id,
                        generation=row.generation,
                        lane=lane,
                        holding=lease.holding,
                    )
                )
        if lanes:
            found.resolved += await persistently(
                lambda: work.store_lanes_ahead(self._pool, lanes),
                what="storing lanes ahead",
            )
        if strangers:
            found.unknown += await self._backlog.take_in(strangers)
        return found

    async def _load(self, sync: Sync, lane: str) -> int:
        """Load the first of what stands before it in its own lane."""
        rows = await persistently(
            lambda: work.earlier_in_lane(
                self._pool, sync.tenant_id, lane, before=sync.seq, limit=_OF_LANE
            ),
            what="loading what stands before a stop sale",
        )
        return await self._backlog.take_in(rows)


def _lane_if_cached(account: Account, row: PendingSync) -> str | None:
    data = from_row(row).data
    hotel = hotel_if_cached(account, data) if isinstance(data, StopSaleCreated) else None
    return None if hotel is None else stop_sale_lane(hotel.id)
