"""A live stop sale does not wait for a whole replay, and the order of its hotel holds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from consumer.ahead import Ahead
from consumer.attempt import NotOurTurn
from consumer.backlog import Backlog
from consumer.clock import SystemClock
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.ownership import Lease, Ownership
from consumer.processor import Processor
from consumer.sedna.matching import Hotel, HotelIndex
from consumer.sync import UNRESOLVED_LANE, Sync, from_row, stop_sale_lane
from consumer.tracing import Tracing
from consumer.verdict import Policy
from db import work
from db.pool import Pool
from db.records import Arrival, Holding, Origin, Registered, ResolvedLane, Stream
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    TENANT,
    inserted,
    mark_of,
    replay,
    row,
    settle,
    settlement_of,
    stop_sale,
)

MANDARIN, LARA = Hotel(18, "Mandarin Resort & Spa"), Hotel(28, "Lara Park Belek")
AMBIGUOUS = "Konak"
HOTELS = HotelIndex([MANDARIN, LARA, Hotel(38, "Konak Beach"), Hotel(39, "Konak City")])
LIVE = Stream(Kind.STOP_SALE, 0, TENANT)
REPLAYED = replace(LIVE, replayed=True)


class Owner:
    """A process that owns partition 0, over the real database."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.clock = SystemClock()
        self.lanes = Lanes(max_in_flight=16, max_in_flight_per_tenant=16)
        ownership = Ownership()
        ownership.assign({Kind.STOP_SALE: frozenset({0})}, {Kind.STOP_SALE: 2})
        self.lease = Lease((Kind.STOP_SALE, 0), HOLDING, self.clock.elapsed() + 60)
        leases = Mock(
            **{
                "of.side_effect": lambda stream: self.lease if stream.partition == 0 else None,
                "holds.side_effect": lambda lease: lease is self.lease,
            }
        )
        self.account: Any = Mock(mappings={})
        self.account.catalogue.hotels_if_cached.return_value = HOTELS
        self.accounts: Any = Mock(**{"cached.side_effect": lambda _: self.account})
        self.backlog = Backlog(
            pool=pool, lanes=self.lanes, ownership=ownership, leases=cast("Leases", leases)
        )
        self.ahead = Ahead(
            pool=pool, lanes=self.lanes, accounts=self.accounts, backlog=self.backlog
        )
        self.processor = Processor(
            pool=pool,
            lanes=self.lanes,
            accounts=self.accounts,
            settler=Mock(),
            leases=leases,
            owner="this",
            clock=self.clock,
            policy=Policy(retry_base=1, retry_cap=300, doubt_window=120, give_up_after=86400),
            tracing=Tracing(),
            clear_way=self.ahead.clear,
            on_room=Mock(),
            on_let_go=Mock(),
        )
        self.backlog.admit_with(self.processor.admit)

    async def load(self, place: Registered, stream: Stream = LIVE) -> Sync:
        """Load one sync and nothing else."""
        rows = await work.page(self.pool, stream, after=place.seq - 1, limit=1)
        sync = from_row(rows[0])
        assert sync.id == place.id
        sync.lease = self.lease
        self.processor.admit(sync)
        return sync

    async def refused(self, sync: Sync) -> None:
        """What follows when the next one to be taken is this one, and it is refused its mark."""
        taken = self.lanes.take()
        assert taken is sync
        await self.processor.process(sync)

    def take_all(self) -> list[int]:
        """What may run, in order, each finished at once."""
        order = []
        while (sync := self.lanes.take()) is not None:
            order.append(sync.id)
            self.lanes.finish(sync)
        return order

    async def may_be_sent(self, sync: Sync) -> bool:
        """Whether Postgres would let it go now."""
        place = Mock(id=sync.id, generation=sync.generation)
        transaction_marks = [mark_of(place)]
        lanes = list(self.processor._lanes_to_store.values())
        return bool(await work.mark(self.pool, transaction_marks, lanes))


@pytest.fixture
def owner(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setattr(Processor, "_attempt", AsyncMock(side_effect=NotOurTurn))
    return Owner(pool)


def notice(number: int, hotel: str, **changes: Any) -> Arrival:
    payload = {
        "stop_sale_id": number,
        "hotel_name": hotel,
        "date_from": "2026-12-01",
        "date_to": "2026-12-05",
        "is_close": True,
    }
    return stop_sale(number, payload=json.dumps(payload), **changes)


async def replayed(pool: Pool, *hotels: str, **changes: Any) -> list[Registered]:
    places = await inserted(
        pool, *(notice(number, hotel, **changes) for number, hotel in enumerate(hotels))
    )
    await replay(pool, *places)
    return places


async def live(owner: Owner, hotel: str = MANDARIN.name) -> Sync:
    (place,) = await inserted(owner.pool, notice(99_999, hotel))
    return await owner.load(place)


async def lanes_of(pool: Pool, places: Sequence[Registered]) -> list[str | None]:
    return [(await row(pool, place.id))["lane"] for place in places]


async def test_it_does_not_wait_for_replayed_ones_of_other_hotels(owner: Owner) -> None:
    places = await replayed(owner.pool, *[LARA.name] * 450)
    sync = await live(owner)
    assert not await owner.may_be_sent(sync)
    await owner.refused(sync)
    assert set(await lanes_of(owner.pool, places)) == {stop_sale_lane(LARA.id)}
    # None of them had to be loaded for it.
    assert len(owner.lanes) == 1
    assert owner.lanes.take() is sync
    assert await owner.may_be_sent(sync)


async def test_replayed_ones_of_its_own_hotel_are_loaded_and_run_before_it_in_order(
    owner: Owner,
) -> None:
    hotels = [LARA.name, MANDARIN.name] * 5
    places = await replayed(owner.pool, *hotels)
    sync = await live(owner)
    await owner.refused(sync)
    assert owner.take_all() == [place.id for place in places[1::2]] + [sync.id]


async def test_of_many_of_its_own_hotel_some_are_in_memory_at_a_time(owner: Owner) -> None:
    places = await replayed(owner.pool, *[MANDARIN.name] * 60)
    sync = await live(owner)
    order: list[int] = []
    while len(order) < len(places):
        await owner.refused(sync)
        assert len(owner.lanes) <= 17
        while (taken := owner.lanes.take()) is not None and taken is not sync:
            order.append(taken.id)
            await settle(owner.pool, [settlement_of(cast("Any", taken))])
            owner.lanes.finish(taken)
        assert taken is sync
        owner.lanes.put_back(sync)
    assert order == [place.id for place in places]
    assert await owner.may_be_sent(sync)


async def test_what_has_no_clear_hotel_is_loaded_and_it_waits_behind_it(owner: Owner) -> None:
    places = await replayed(owner.pool, LARA.name, AMBIGUOUS, LARA.name, "Nowhere Palace")
    sync = await live(owner)
    await owner.refused(sync)
    assert owner.lanes.lane_of(sync) == UNRESOLVED_LANE
    assert owner.take_all() == [places[1].id, places[3].id, sync.id]
    assert (await lanes_of(owner.pool, places))[::2] == [stop_sale_lane(LARA.id)] * 2


@pytest.mark.parametrize("hotel", [AMBIGUOUS, MANDARIN.name])
async def test_replayed_ones_that_it_waits_for_go_before_all_other_replayed_work(
    owner: Owner, hotel: str
) -> None:
    *others, waited_for = await replayed(owner.pool, LARA.name, LARA.name, hotel)
    for place in others:
        await owner.load(place, REPLAYED)
    sync = await live(owner)
    await owner.refused(sync)
    assert owner.take_all() == [waited_for.id, sync.id, *(place.id for place in others)]


async def test_however_many_have_no_clear_hotel_memory_is_bounded(owner: Owner) -> None:
    await replayed(owner.pool, *[AMBIGUOUS] * 900)
    sync = await live(owner)
    await owner.refused(sync)
    assert len(owner.lanes) == 8 * 64 + 1


async def test_what_belongs_to_another_process_is_left_to_it(owner: Owner) -> None:
    elsewhere = Origin(topic="stopsale.created", partition=1, offset=0)
    places = await replayed(owner.pool, LARA.name, MANDARIN.name, AMBIGUOUS, origin=elsewhere)
    sync = await live(owner)
    await owner.refused(sync)
    assert await lanes_of(owner.pool, places) == [None] * 3
    assert len(owner.lanes) == 1
    # It asks again, but not at once.
    assert owner.lanes.take() is None
    due = owner.lanes.next_due()
    assert due is not None
    assert 0 < due - owner.clock.elapsed() <= 1


async def test_who_has_lost_the_lease_stores_nothing_and_lets_go(owner: Owner) -> None:
    places = await replayed(owner.pool, LARA.name)
    sync = await live(owner)
    await owner.pool.execute("UPDATE partition_leases SET epoch = epoch + 1")
    owner.lease = Lease((Kind.STOP_SALE, 0), Holding("gone", 0, 1), 0.0)
    await owner.refused(sync)
    assert await lanes_of(owner.pool, places) == [None]
    assert sync.id not in owner.lanes


async def test_a_lane_that_is_known_better_by_now_is_not_overwritten(owner: Owner) -> None:
    (place,) = await inserted(owner.pool, notice(1, LARA.name, lane="hotel:77"))
    stored = ResolvedLane(
        sync_id=place.id,
        tenant_id=TENANT,
        generation=place.generation,
        lane=stop_sale_lane(LARA.id),
        holding=HOLDING,
    )
    assert await work.store_lanes_ahead(owner.pool, [stored]) == 0
    assert await lanes_of(owner.pool, [place]) == ["hotel:77"]


async def test_what_a_former_owner_has_sent_is_held_before_it_is_loaded_ahead(owner: Owner) -> None:
    (place,) = await replayed(owner.pool, MANDARIN.name, lane=stop_sale_lane(MANDARIN.id))
    await work.mark(owner.pool, [mark_of(place)], [])
    sync = await live(owner)
    await owner.refused(sync)
    first = owner.lanes.take()
    assert first is not None
    assert first.id == place.id
    assert first.doubted


async def test_while_its_settings_are_read_anew_nothing_is_loaded_for_it(owner: Owner) -> None:
    await replayed(owner.pool, LARA.name, AMBIGUOUS)
    sync = await live(owner)
    owner.account = None
    await owner.refused(sync)
    assert len(owner.lanes) == 1
    assert owner.lanes.next_due() is not None


@pytest.mark.parametrize("which", ["replayed", "in doubt"])
async def test_a_replayed_one_and_one_in_doubt_wait_as_they_are(owner: Owner, which: str) -> None:
    places = await replayed(owner.pool, LARA.name, MANDARIN.name)
    if which == "replayed":
        sync = await owner.load(places[1], REPLAYED)
    else:
        sync = await live(owner)
        sync.in_doubt_since = owner.clock.now() - timedelta(hours=1)
    await owner.refused(sync)
    assert owner.lanes.take() is None
    assert len(owner.lanes) == 1
    assert await lanes_of(owner.pool, places[:1]) == [None]
