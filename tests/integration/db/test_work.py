"""Loading pending work in order, and the dispatch mark that keeps lanes in order everywhere."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from db import work
from db.pool import Pool
from db.records import Mark, Origin, Registered, ResolvedLane, Stream
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    NOW,
    TENANT,
    TRACE,
    insert,
    inserted,
    lane_of,
    mark_of,
    replay,
    reservation,
    row,
    settle,
    settlement_of,
    step_one_of,
    stop_sale,
)

RESERVATIONS = Stream(Kind.RESERVATION, 0, TENANT)
STOP_SALES = Stream(Kind.STOP_SALE, 0, TENANT)


def wanted(*places: Registered) -> list[Mark]:
    return [mark_of(place) for place in places]


def in_lane(lane: str, *places: Registered) -> list[ResolvedLane]:
    return [lane_of(place, lane) for place in places]


async def mark(pool: Pool, *places: Registered, lane: str | None = None) -> set[int]:
    lanes = [] if lane is None else in_lane(lane, *places)
    return await work.mark(pool, wanted(*places), lanes)


# -- loading ------------------------------------------------------------------------------------


async def test_every_stream_with_pending_work_is_found_once_in_order(pool: Pool) -> None:
    await pool.execute(
        """
        INSERT INTO syncs (tenant_id, kind, voucher_no, stop_sale_id, payload, content_hash,
                           event_id, origin_topic, origin_partition, origin_offset, state,
                           replayed)
        SELECT 't' || n % 50, kind, n, n, '{}', '', 'e', 'topic', n / 50 % 3, n,
               CASE WHEN n % 7 = 0 THEN 'synced' WHEN n % 50 = 49 THEN 'failed' ELSE 'pending' END,
               n % 50 < 40 AND n % 11 < 5
        FROM generate_series(1, 3000) AS n, unnest('{reservation,stop_sale}'::text[]) AS kind
        """
    )
    expected = [
        Stream(kind, partition, tenant, replayed)
        for kind in Kind
        for partition in range(3)
        for tenant in sorted(f"t{number}" for number in range(49))
        for replayed in ((False, True) if int(tenant[1:]) < 40 else (False,))
    ]
    assert await work.streams(pool) == expected


async def test_without_pending_work_there_is_no_stream(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await settle(pool, [settlement_of(place)])
    assert await work.streams(pool) == []


async def test_a_stream_is_loaded_page_by_page_in_order_and_nothing_of_others(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{number}") for number in range(10)))
    await insert(
        pool,
        reservation("V0", tenant_id="agency-8"),
        reservation("W", origin=Origin(topic="reservation.created", partition=1, offset=0)),
        stop_sale(7),
    )
    await settle(pool, [settlement_of(places[4]), settlement_of(places[5])])
    loaded = []
    after = 0
    while page := await work.page(pool, RESERVATIONS, after=after, limit=3):
        assert len(page) <= 3
        loaded += [each.id for each in page]
        after = page[-1].seq
    assert loaded == [place.id for place in places if place not in places[4:6]]


async def test_live_and_replayed_work_is_loaded_apart_each_in_order(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{number}") for number in range(9)))
    replayed = [place for number, place in enumerate(places) if number % 3]
    await replay(pool, *replayed)
    for stream, expected in (
        (RESERVATIONS, [place for place in places if place not in replayed]),
        (replace(RESERVATIONS, replayed=True), replayed),
    ):
        loaded = []
        after = 0
        while page := await work.page(pool, stream, after=after, limit=2):
            loaded += page
            after = page[-1].seq
        assert [each.id for each in loaded] == [place.id for place in expected]
        assert {each.stream for each in loaded} == {stream}


async def test_the_mark_of_a_live_one_is_refused_while_an_earlier_replayed_one_is_pending(
    pool: Pool,
) -> None:
    replayed, live = await inserted(pool, stop_sale(1, lane="hotel:18"), stop_sale(2))
    await replay(pool, replayed)
    assert await mark(pool, live, lane="hotel:18") == set()
    await settle(pool, [settlement_of(replayed, state="failed")])
    assert await mark(pool, live) == {live.id}


async def test_a_loaded_sync_is_as_it_was_registered_and_as_far_as_it_has_come(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1", offset=5))
    later = NOW + timedelta(minutes=5)
    again = settlement_of(place, state="pending", attempt=2, next_attempt_at=later)
    await settle(pool, [again])
    (loaded,) = await work.page(pool, RESERVATIONS, after=0, limit=10)
    assert (loaded.id, loaded.seq, loaded.generation) == (place.id, place.seq, 1)
    assert (loaded.tenant_id, loaded.kind) == (TENANT, Kind.RESERVATION)
    assert (loaded.email_id, loaded.voucher_no, loaded.stop_sale_id) == (42, "V1", None)
    assert (loaded.payload, loaded.lane) == ('{"adults": 2}', "voucher:V1")
    assert (loaded.event_id, loaded.event_time) == ("event-V1-5", NOW)
    assert loaded.trace == TRACE
    assert loaded.origin == Origin(topic="reservation.created", partition=0, offset=5)
    assert (loaded.attempts, loaded.next_attempt_at) == (2, later)
    assert (loaded.dispatched_at, loaded.in_doubt_since, loaded.sedna_rec_id) == (None, None, None)
    assert loaded.registered_at == place.registered_at
    assert "adults" not in repr(loaded)


async def test_whether_a_pending_sync_is_marked_can_be_asked(pool: Pool) -> None:
    first, second, third = await inserted(pool, *(reservation(f"V{n}") for n in range(3)))
    await mark(pool, second)
    await settle(pool, [settlement_of(third)])
    answers = [
        await work.is_marked_by_other(pool, place.id, TENANT, token=None)
        for place in (first, second, third)
    ]
    assert answers == [False, True, None]


async def test_a_lane_that_was_resolved_for_an_earlier_try_is_not_stored(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(1))
    await work.mark(pool, [], [lane_of(place, "hotel:18", generation=place.generation - 1)])
    assert (await row(pool, place.id))["lane"] is None


# -- the mark -----------------------------------------------------------------------------------


async def test_a_marked_sync_carries_the_time_of_the_mark(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    assert await mark(pool, place) == {place.id}
    (loaded,) = await work.page(pool, RESERVATIONS, after=0, limit=1)
    assert isinstance(loaded.dispatched_at, datetime)
    assert loaded.dispatched_at >= place.registered_at


async def test_what_is_marked_is_not_marked_a_second_time(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    first, second = await asyncio.gather(mark(pool, place), mark(pool, place))
    assert len(first) + len(second) == 1
    assert await mark(pool, place) == set()


async def test_a_mark_whose_reply_was_lost_can_be_repeated_by_the_same_attempt(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    marks = wanted(place)
    assert await work.mark(pool, marks, []) == {place.id}
    assert await work.mark(pool, marks, []) == {place.id}


async def test_who_knows_an_earlier_generation_only_marks_nothing(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    assert await work.mark(pool, [mark_of(place, generation=2)], []) == set()
    assert (await row(pool, place.id))["dispatched_at"] is None


async def test_a_doubt_that_was_settled_by_proof_of_absence_can_be_marked_again(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await mark(pool, place)
    held = await work.hold(pool, [(place.id, TENANT)], HOLDING)
    another = mark_of(place, doubt_since=NOW)
    assert await work.mark(pool, [another], []) == set()
    proven = mark_of(place, doubt_since=held[place.id])
    assert await work.mark(pool, [proven], []) == {place.id}
    assert (await row(pool, place.id))["in_doubt_since"] is None


async def test_the_hotel_of_what_was_sent_is_known_to_the_next_owner(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await work.mark(pool, [mark_of(place, hotel_id=28)], [])
    (loaded,) = await work.page(pool, RESERVATIONS, after=0, limit=1)
    assert loaded.sedna_hotel_id == 28


@pytest.mark.parametrize("state", ["synced", "failed"])
async def test_what_is_settled_is_not_marked(pool: Pool, state: str) -> None:
    (place,) = await inserted(pool, reservation())
    await settle(pool, [settlement_of(place, state=state)])
    assert await mark(pool, place) == set()


async def test_what_is_to_be_tried_again_can_be_marked_again(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await mark(pool, place)
    await settle(pool, [settlement_of(place, state="pending")])
    assert await mark(pool, place) == {place.id}


async def test_what_is_in_doubt_keeps_its_mark_and_is_not_marked_again(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await mark(pool, place)
    marked_at = (await row(pool, place.id))["dispatched_at"]
    doubt = settlement_of(place, state="pending", outcome="in_doubt", in_doubt_since=NOW)
    await settle(pool, [doubt])
    assert (await row(pool, place.id))["dispatched_at"] == marked_at
    assert await mark(pool, place) == set()


async def test_the_mark_is_refused_while_an_earlier_one_of_the_lane_is_pending(pool: Pool) -> None:
    lane = "voucher:shared"
    first, second, third = await inserted(
        pool, *(reservation(f"V{number}", lane=lane) for number in range(3))
    )
    assert await mark(pool, second, third) == set()
    assert await mark(pool, first, second, third) == {first.id}
    assert await mark(pool, second, third) == set()
    await settle(pool, [settlement_of(first, state="pending")])
    assert await mark(pool, second) == set()
    await settle(pool, [settlement_of(first)])
    assert await mark(pool, third) == set()
    assert await mark(pool, second) == {second.id}
    await settle(pool, [settlement_of(second, state="failed")])
    assert await mark(pool, third) == {third.id}


async def test_an_earlier_one_of_the_lane_in_another_partition_holds_the_mark_as_well(
    pool: Pool,
) -> None:
    elsewhere = Origin(topic="reservation.created", partition=5, offset=0)
    first, second = await inserted(
        pool, reservation("V1", lane="lane", origin=elsewhere), reservation("V2", lane="lane")
    )
    assert await mark(pool, second) == set()
    await settle(pool, [settlement_of(first)])
    assert await mark(pool, second) == {second.id}


async def test_lanes_and_tenants_do_not_hold_each_other(pool: Pool) -> None:
    await insert(pool, reservation("V1", tenant_id="agency-8"), reservation("V2"))
    (place,) = await inserted(pool, reservation("V1"))
    assert await mark(pool, place) == {place.id}


async def test_the_lanes_of_stop_sales_are_stored_with_the_mark(pool: Pool) -> None:
    first, second, other = await inserted(pool, stop_sale(1), stop_sale(2), stop_sale(3))
    lanes = [*in_lane("hotel:18", first, second), *in_lane("hotel:28", other)]
    assert await work.mark(pool, wanted(first, second, other), lanes) == {first.id, other.id}
    stored = await work.page(pool, STOP_SALES, after=0, limit=10)
    assert [each.lane for each in stored] == ["hotel:18", "hotel:18", "hotel:28"]


async def test_a_stop_sale_waits_for_every_earlier_one_of_its_tenant_whose_hotel_is_unknown(
    pool: Pool,
) -> None:
    unknown, known = await inserted(pool, stop_sale(1), stop_sale(2))
    assert await mark(pool, known, lane="hotel:18") == set()
    assert await work.mark(pool, wanted(known), in_lane("hotel:28", unknown)) == {known.id}


async def test_a_stop_sale_whose_own_hotel_is_unknown_is_not_marked(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(1))
    assert await mark(pool, place) == set()


async def test_reservations_and_other_tenants_do_not_wait_for_a_stop_sale_of_unknown_hotel(
    pool: Pool,
) -> None:
    await insert(pool, stop_sale(1))
    others = await insert(pool, stop_sale(1, tenant_id="agency-8", lane="hotel:18"), reservation())
    marks = [mark_of(place, tenant_id=identity[0]) for identity, place in others.items()]
    assert await work.mark(pool, marks, []) == {place.id for place in others.values()}


async def test_a_stop_sale_does_not_wait_for_later_ones(pool: Pool) -> None:
    first, _ = await inserted(pool, stop_sale(1), stop_sale(2))
    assert await mark(pool, first, lane="hotel:18") == {first.id}


async def test_the_lane_of_a_settled_stop_sale_is_not_changed_any_more(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(1, lane="hotel:18"))
    await settle(pool, [settlement_of(place)])
    await mark(pool, place, lane="hotel:28")
    assert (await row(pool, place.id))["lane"] == "hotel:18"


# -- what a former owner left -------------------------------------------------------------------


async def test_what_was_marked_and_not_settled_is_in_doubt_since_the_mark(pool: Pool) -> None:
    marked, untouched = await inserted(pool, reservation("V1"), reservation("V2"))
    await mark(pool, marked)
    marked_at = (await row(pool, marked.id))["dispatched_at"]
    held = await work.hold(pool, [(marked.id, TENANT), (untouched.id, TENANT)], HOLDING)
    assert held == {marked.id: marked_at}
    assert (await row(pool, marked.id))["in_doubt_since"] == marked_at
    assert (await row(pool, untouched.id))["in_doubt_since"] is None


async def test_holding_twice_keeps_the_first_doubt(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await mark(pool, place)
    doubt = settlement_of(place, state="pending", outcome="in_doubt", in_doubt_since=NOW)
    await settle(pool, [doubt])
    await work.hold(pool, [(place.id, TENANT)], HOLDING)
    assert (await row(pool, place.id))["in_doubt_since"] == NOW


async def test_what_was_never_marked_is_not_held(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    assert await work.hold(pool, [(place.id, TENANT)], HOLDING) == {}
    assert (await row(pool, place.id))["in_doubt_since"] is None


async def test_what_is_settled_is_never_held(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await mark(pool, place)
    await settle(pool, [settlement_of(place)])
    await work.hold(pool, [(place.id, TENANT)], HOLDING)
    assert (await row(pool, place.id))["in_doubt_since"] is None


async def test_a_stop_sale_whose_record_is_known_is_not_in_doubt(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(7))
    await mark(pool, place, lane="hotel:18")
    assert await work.record_step_one(pool, [step_one_of(place, 823259)]) == {place.id}
    assert await work.hold(pool, [(place.id, TENANT)], HOLDING) == {}
    (loaded,) = await work.page(pool, STOP_SALES, after=0, limit=1)
    assert (loaded.in_doubt_since, loaded.sedna_rec_id) == (None, 823259)


async def test_a_first_step_is_recorded_only_while_the_sync_is_pending(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(7))
    await settle(pool, [settlement_of(place, rec_id=1)])
    assert await work.record_step_one(pool, [step_one_of(place, 2)]) == set()
    assert (await row(pool, place.id))["sedna_rec_id"] == 1
