"""Asking for failed syncs to be tried again: for who runs the service, and for the HTTP API.

It asks, and sends nothing: the owner of the work hears of it and does it like any other work, in
its lane and under its lease. Who was in doubt begins with the question to Sedna. What is pending
already is joined, and not asked for a second time. A stop sale that was overtaken is `superseded`:
it stays failed, unless it is forced.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from consumer.sedna.matching import mapping_key
from consumer.superseding import Later, Notice, notice_of
from consumer.sync import hotel_of_lane, stop_sale_lane
from consumer.waiting import Waiting
from db import retries, tenants
from db.pool import Connection, Pool
from db.retries import FailedSync, Filter, StoredStopSale, SyncState
from schemas.inbound import StopSaleCreated
from schemas.kinds import Kind

#: Syncs that are read, or tried again, together.
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which failed syncs; what is None makes no difference."""

    tenant_id: str | None = None
    kind: Kind | None = None
    code: str | None = None
    older_than: timedelta | None = None  #: since they failed


@dataclass(frozen=True, slots=True)
class Planned:
    """A sync, and what trying it again would come to."""

    sync: FailedSync
    superseded_by: Notice | None


@dataclass(slots=True)
class Carried:
    """What was done of what was asked for. What is in neither had changed since it was shown."""

    started: dict[int, int] = field(default_factory=dict)  #: new generations by sync id
    superseded: list[Planned] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NotFound:
    """The tenant has no such reservation or stop sale."""


@dataclass(frozen=True, slots=True)
class AlreadySynced:
    """It is in Sedna."""

    sync: SyncState


@dataclass(frozen=True, slots=True)
class Superseded:
    """It is not tried again, since a later stop sale has overtaken it."""

    sync: SyncState
    by: Notice


@dataclass(frozen=True, slots=True)
class Running:
    """It is being tried; nothing was asked for."""

    sync_id: int
    generation: int


@dataclass(frozen=True, slots=True)
class Started:
    """It is being tried again, since this was asked for."""

    sync_id: int
    generation: int


Asked = NotFound | AlreadySynced | Superseded | Running | Started


class Retrying:
    """Trying again, for everybody who asks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting = Waiting(pool)

    # -- many at once -------------------------------------------------------------------------

    async def plan(self, selection: Selection) -> AsyncIterator[list[Planned]]:
        """What would be tried again: pages of one tenant's syncs each, in the order they came.

        Raises:
            DatabaseError: from the database.
        """
        wanted = Filter(kind=selection.kind, code=selection.code, older_than=selection.older_than)
        whose = [selection.tenant_id] if selection.tenant_id else await retries.tenants(self._pool)
        for tenant_id in whose:
            after = 0
            while page := await retries.page(
                self._pool, tenant_id, wanted, after=after, limit=_PAGE
            ):
                yield await self._planned(tenant_id, page)
                after = page[-1].arrival

    async def plan_ids(
        self, ids: Collection[int], *, tenant_id: str | None = None
    ) -> list[Planned]:
        """The same of single syncs, in whatever state they are; one that is missing is unknown."""
        found = await retries.by_ids(self._pool, ids, tenant_id=tenant_id)
        planned: list[Planned] = []
        for each in sorted({sync.tenant_id for sync in found}):
            planned += await self._planned(each, [sync for sync in found if sync.tenant_id == each])
        return planned

    async def carry_out(
        self, tenant_id: str, shown: Sequence[tuple[int, int]], *, force: bool = False
    ) -> Carried:
        """Try a tenant's failed syncs again, in the order in which they came.

        Args:
            tenant_id: whose.
            shown: (sync id, generation) in the order of the plan. What is no longer failed in this
                generation is left alone.
            force: also what was overtaken.

        Raises:
            DatabaseUnavailable: some of it may be done; doing it again is harmless.
        """
        carried = Carried()
        for start in range(0, len(shown), _PAGE):
            await self._carry_out(tenant_id, shown[start : start + _PAGE], carried, force=force)
        return carried

    async def _carry_out(
        self, tenant_id: str, shown: Sequence[tuple[int, int]], carried: Carried, *, force: bool
    ) -> None:
        async with retries.retry(self._pool, tenant_id) as transaction:
            await try_again(transaction, shown, carried, force=force)

    async def _planned(self, tenant_id: str, syncs: Sequence[FailedSync]) -> list[Planned]:
        return await _judged(self._pool, tenant_id, syncs)

    # -- one, by its name ---------------------------------------------------------------------

    async def ask(self, tenant_id: str, kind: Kind, item_id: int) -> Asked:
        """Ask for one item to be tried again; asking while it is pending joins that try.

        Args:
            tenant_id: whose.
            kind: of what.
            item_id: the `email_id` or the `stop_sale_id`. Of an e-mail with several vouchers the
                one that came last is meant.

        Raises:
            DatabaseError: from the database; asking again is harmless.
        """
        while True:
            sync = await retries.newest(self._pool, tenant_id, kind, item_id)
            if sync is None:
                return NotFound()
            if sync.state == "synced":
                return AlreadySynced(sync)
            if sync.state == "pending":
                return Running(sync.id, sync.generation)
            carried = await self.carry_out(tenant_id, [(sync.id, sync.generation)])
            if sync.id in carried.started:
                return Started(sync.id, carried.started[sync.id])
            for planned in carried.superseded:
                if planned.superseded_by is not None:
                    return Superseded(sync, planned.superseded_by)
            # Somebody else has pressed meanwhile, or has published it again: look anew.

    async def outcome(
        self, tenant_id: str, sync_id: int, generation: int, *, within: float
    ) -> SyncState | None:
        """Wait until a try is settled; see :meth:`Waiting.until_settled`."""
        return await self._waiting.until_settled(tenant_id, sync_id, generation, within=within)


async def try_again(
    transaction: retries.Retry,
    shown: Sequence[tuple[int, int]],
    carried: Carried,
    *,
    force: bool = False,
    replay_id: int | None = None,
) -> None:
    """Try a tenant's failed syncs again, in a transaction of somebody's.

    Args:
        transaction: of the tenant.
        shown: (sync id, generation); what is no longer failed in this generation is left alone.
        carried: what was done is added.
        force: also what was overtaken.
        replay_id: of the replay that asks for it; None: a person does.
    """
    locked = await transaction.lock(shown)
    places = await transaction.places(len(locked))
    if force:
        go, stay = locked, []
    else:
        planned = await _judged(transaction.connection, transaction.tenant_id, locked)
        go = [each.sync for each in planned if each.superseded_by is None]
        stay = [each for each in planned if each.superseded_by is not None]
    carried.started |= await transaction.again(go, places, force=force, replay_id=replay_id)
    carried.superseded += stay


async def _judged(
    connection: "Pool | Connection", tenant_id: str, syncs: Sequence[FailedSync]
) -> list[Planned]:
    """Find out which of a tenant's failed syncs were overtaken."""
    if not any(sync.stop_sale is not None for sync in syncs):
        return [Planned(sync, None) for sync in syncs]
    found = await tenants.mappings(connection, tenant_id)
    mappings = {mapping.name_key: mapping.hotel_id for mapping in found}
    notices = {
        sync.id: notice
        for sync in syncs
        if sync.state == "failed"
        and sync.stop_sale is not None
        and (notice := _notice(sync.stop_sale, mappings)) is not None
    }
    later = await _later(connection, tenant_id, list(notices.values()), mappings)
    named = await _named(connection, tenant_id, syncs, mappings)
    return [
        Planned(
            sync,
            named.get(sync.superseded_by or 0)
            or (later.overtaking(notices[sync.id]) if sync.id in notices else None),
        )
        for sync in syncs
    ]


async def _named(
    connection: "Pool | Connection",
    tenant_id: str,
    syncs: Sequence[FailedSync],
    mappings: Mapping[str, int],
) -> dict[int, Notice]:
    """Those that failures name as what has overtaken them, by sync id.

    A replayed one came after it, and stands before it in the topic.
    """
    ids = {sync.superseded_by for sync in syncs if sync.superseded_by is not None}
    found = await retries.by_ids(connection, ids, tenant_id=tenant_id) if ids else []
    notices = {
        sync.id: _notice(sync.stop_sale, mappings)
        for sync in found
        if sync.state == "synced" and sync.stop_sale is not None
    }
    return {sync_id: notice for sync_id, notice in notices.items() if notice is not None}


async def _later(
    connection: "Pool | Connection",
    tenant_id: str,
    failed: Sequence[Notice],
    mappings: Mapping[str, int],
) -> Later:
    """What may have overtaken any of these."""
    if not failed:
        return Later([])
    hotels = sorted(frozenset[int]().union(*(notice.hotel_ids for notice in failed)))
    found = await retries.later_stop_sales(
        connection,
        tenant_id,
        # Of whose hotel nothing is known but a name, any may be the hotel.
        lanes=[stop_sale_lane(hotel) for hotel in hotels]
        if all(notice.hotel_ids for notice in failed)
        else None,
        after=min(notice.arrival for notice in failed),
        first_day=min(notice.first_day for notice in failed),
        last_day=max(notice.last_day for notice in failed),
    )
    return Later(notice for each in found if (notice := _notice(each, mappings)) is not None)


def _notice(stored: StoredStopSale, mappings: Mapping[str, int]) -> Notice | None:
    """None: it cannot be read by this release, which will therefore not send it either."""
    try:
        data = StopSaleCreated.from_json(stored.payload)
    except ValidationError:
        return None
    hotels = {stored.hotel_id, stored.error_hotel_id, hotel_of_lane(stored.lane)}
    if stored.state != "synced":
        # Where it would go now; what is synced is where it is.
        hotels.add(data.sedna_hotel_id or mappings.get(mapping_key(data.hotel_name)))
    return notice_of(
        data,
        sync_id=stored.id,
        stop_sale_id=stored.stop_sale_id,
        arrival=stored.arrival,
        is_pending=stored.state == "pending",
        hotel_ids=frozenset(hotel for hotel in hotels if hotel is not None),
        origin=stored.origin,
        of_replay=stored.of_replay,
    )
