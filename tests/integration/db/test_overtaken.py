"""A replayed stop sale is overtaken by what stands behind it in the topic and is in Sedna."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consumer.overtaken import overtaken_by
from consumer.sedna.matching import Hotel
from consumer.sync import Sync, from_row, stop_sale_lane
from db import work
from db.pool import Pool
from db.records import Arrival, Origin, Registered, Stream
from schemas.inbound import StopSaleCreated
from schemas.kinds import Kind
from tests.integration.db.builders import (
    NOW,
    TENANT,
    inserted,
    replay,
    settle,
    settlement_of,
    stop_sale,
)

HOTEL = Hotel(18, "Mandarin Resort & Spa")
TOPIC = "stopsale.created"
#: Where the replayed one stands.
OFFSET, PARTITION = 100, 2
LATER, EARLIER = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


def closing(number: int, **changes: Any) -> Arrival:
    place: dict[str, Any] = {"topic": TOPIC, "partition": PARTITION, "offset": OFFSET}
    place |= {name: changes.pop(name) for name in tuple(place) if name in changes}
    row: dict[str, Any] = {
        "lane": stop_sale_lane(HOTEL.id),
        "event_time": NOW,
        "origin": Origin(**place),
    }
    row |= {name: changes.pop(name) for name in (*row, "tenant_id") if name in changes}
    data = {
        "stop_sale_id": number,
        "hotel_name": HOTEL.name,
        "date_from": "2026-12-10",
        "date_to": "2026-12-20",
        "is_close": True,
        **changes,
    }
    return stop_sale(number, payload=json.dumps(data), **row)


async def synced(pool: Pool, *arrivals: Arrival, **changes: Any) -> None:
    places = await inserted(pool, *arrivals)
    await settle(
        pool,
        [
            replace(settlement_of(place, hotel_id=HOTEL.id, **changes), tenant_id=each.tenant_id)
            for place, each in zip(places, arrivals, strict=True)
        ],
    )


async def overtaking(pool: Pool, **changes: Any) -> int | None:
    """Which stop sale has overtaken one that is replayed after all that is there."""
    (place,) = await inserted(pool, closing(1, **changes))
    await replay(pool, place)
    sync = await loaded(pool, place)
    assert isinstance(sync.data, StopSaleCreated)
    by = await overtaken_by(pool, sync, sync.data, HOTEL)
    return None if by is None else by.stop_sale_id


async def loaded(pool: Pool, place: Registered) -> Sync:
    stream = Stream(Kind.STOP_SALE, PARTITION, TENANT, replayed=True)
    (row,) = await work.page(pool, stream, after=0, limit=9)
    assert row.id == place.id
    return from_row(row)


@pytest.mark.parametrize(
    "later, overtakes",
    [
        ({"offset": OFFSET + 1}, True),
        ({"offset": OFFSET - 1}, False),
        # In its own partition times count for nothing.
        ({"offset": OFFSET + 1, "event_time": EARLIER}, True),
        ({"offset": OFFSET - 1, "event_time": LATER}, False),
        ({"offset": OFFSET + 1, "event_time": None}, True),
        ({"partition": 1, "offset": OFFSET + 1}, False),
        ({"partition": 1, "offset": 5, "event_time": LATER}, True),
        ({"partition": 3, "offset": 5, "event_time": LATER}, True),
        ({"partition": 3, "offset": OFFSET + 1, "event_time": EARLIER}, False),
        ({"partition": 3, "offset": OFFSET + 1, "event_time": None}, False),
        ({"topic": "another", "offset": 5, "event_time": LATER}, True),
        ({"topic": "the.other", "offset": OFFSET + 1, "event_time": EARLIER}, False),
    ],
)
async def test_later_is_what_stands_behind_it_or_was_made_later_elsewhere(
    pool: Pool, later: dict[str, Any], *, overtakes: bool
) -> None:
    await synced(pool, closing(2, **later))
    assert await overtaking(pool) == (2 if overtakes else None)


async def test_without_a_time_of_its_own_only_its_partition_counts(pool: Pool) -> None:
    await synced(pool, closing(2, partition=3, event_time=LATER))
    assert await overtaking(pool, event_time=None) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"lane": stop_sale_lane(19)},
        {"tenant_id": "agency-8"},
        {"date_from": "2026-12-21", "date_to": "2026-12-31"},
        {"date_from": "2026-12-01", "date_to": "2026-12-09"},
        {"room_types": ["STD"]},
        {"board_types": ["AI"]},
    ],
)
async def test_what_concerns_nothing_of_it_has_not_overtaken_it(
    pool: Pool, changes: dict[str, Any]
) -> None:
    await synced(pool, closing(2, offset=OFFSET + 1, **changes))
    assert await overtaking(pool, room_types=["DLX"], board_types=["HB"]) is None


@pytest.mark.parametrize("state", ["pending", "failed"])
async def test_what_is_not_in_sedna_has_not_overtaken_it(pool: Pool, state: str) -> None:
    await synced(pool, closing(2, offset=OFFSET + 1), state=state)
    assert await overtaking(pool) is None


async def test_of_several_the_last_one_in_its_partition_is_named(pool: Pool) -> None:
    await synced(
        pool,
        closing(2, offset=OFFSET + 7),
        closing(3, offset=OFFSET + 9),
        closing(4, offset=OFFSET + 8),
        closing(5, offset=OFFSET + 10, room_types=["STD"]),
        closing(6, partition=7, event_time=LATER),
    )
    assert await overtaking(pool, room_types=["DLX"]) == 3


async def test_one_that_was_found_in_sedna_before_its_lane_was_stored_counts_by_its_hotel(
    pool: Pool,
) -> None:
    await synced(pool, closing(2, offset=OFFSET + 1, lane=None))
    assert await overtaking(pool) == 2


async def test_one_without_a_lane_of_another_hotel_does_not_count(pool: Pool) -> None:
    await synced(pool, closing(2, offset=OFFSET + 1, lane=None))
    await pool.execute("UPDATE syncs SET sedna_hotel_id = 19")
    assert await overtaking(pool) is None
