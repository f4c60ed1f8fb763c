"""Failed work that people ask for again: found in order, tried once, with nothing of it lost."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from db import inbox, notices, retries, work
from db.errors import DatabaseError
from db.pool import Pool
from db.records import Origin, Registered, Stream
from db.retries import FailedSync, Filter
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    NOW,
    TENANT,
    inserted,
    lane_of,
    mark_of,
    replay,
    reservation,
    row,
    rows,
    settle,
    settlement_of,
    stop_sale,
)

EVERYTHING = Filter()


async def failed(pool: Pool, *places: Registered, **changes: Any) -> None:
    changes = {"state": "failed", "error_code": "hotel_not_found", **changes}
    await settle(pool, [settlement_of(place, **changes) for place in places])


async def page(pool: Pool, wanted: Filter = EVERYTHING, **changes: Any) -> list[FailedSync]:
    return await retries.page(pool, TENANT, wanted, **{"after": 0, "limit": 100, **changes})


async def try_again(pool: Pool, *shown: tuple[int, int], tenant_id: str = TENANT) -> dict[int, int]:
    async with retries.retry(pool, tenant_id) as transaction:
        locked = await transaction.lock(shown)
        return await transaction.again(locked, await transaction.places(len(locked)))


# -- finding --------------------------------------------------------------------------------------


async def test_who_has_failed_work_is_found_once_each(pool: Pool) -> None:
    places = await inserted(
        pool,
        *(reservation(f"V{n}", tenant_id=f"t{n % 5}") for n in range(20)),
    )
    for number, place in enumerate(places):
        if number % 5 != 3:
            await failed(pool, place, tenant_id=f"t{number % 5}")
    assert await retries.tenants(pool) == ["t0", "t1", "t2", "t4"]


async def test_what_failed_is_found_page_by_page_in_the_order_in_which_it_came(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{n}") for n in range(10)))
    await failed(pool, *reversed(places[:8]))
    found: list[FailedSync] = []
    while some := await page(pool, after=found[-1].arrival if found else 0, limit=3):
        assert len(some) <= 3
        found += some
    assert [each.id for each in found] == [place.id for place in places[:8]]
    assert {(each.code, each.generation, each.state) for each in found} == {
        ("hotel_not_found", 1, "failed")
    }


async def test_what_was_tried_again_keeps_its_place_among_those_that_came(pool: Pool) -> None:
    first, second = await inserted(pool, stop_sale(1), stop_sale(2))
    await failed(pool, first, second)
    assert await try_again(pool, (first.id, 1)) == {first.id: 2}
    await settle(pool, [settlement_of(first, generation=2, state="failed")])
    assert [each.id for each in await page(pool)] == [first.id, second.id]


async def test_each_filter_leaves_out_what_does_not_fit(pool: Pool) -> None:
    old, new, closed = await inserted(pool, reservation("V1"), reservation("V2"), stop_sale(7))
    await failed(pool, old, closed)
    await failed(pool, new, error_code="board_unknown")
    await pool.execute("UPDATE syncs SET settled_at = now() - interval '3 hours' WHERE id = $1",
                       old.id)  # fmt: skip
    cases = [
        (Filter(kind=Kind.STOP_SALE), [closed]),
        (Filter(code="board_unknown"), [new]),
        (Filter(older_than=timedelta(hours=2)), [old]),
        (Filter(older_than=timedelta(hours=4)), []),
        (Filter(kind=Kind.RESERVATION, code="hotel_not_found"), [old]),
        (Filter(), [old, new, closed]),
    ]
    for wanted, places in cases:
        assert [each.id for each in await page(pool, wanted)] == [place.id for place in places]
    assert await retries.count(pool, TENANT) == 3


async def test_what_is_pending_or_synced_is_not_found_among_the_failed(pool: Pool) -> None:
    _, synced = await inserted(pool, reservation("V1"), reservation("V2"))
    await settle(pool, [settlement_of(synced)])
    assert await page(pool) == []
    assert await retries.tenants(pool) == []
    assert await retries.count(pool, TENANT) == 0


async def test_what_is_asked_for_by_its_id_comes_in_whatever_state_it_is(pool: Pool) -> None:
    first, second, third = await inserted(pool, *(reservation(f"V{n}") for n in range(3)))
    await settle(pool, [settlement_of(second, rec_id=5)])
    await failed(pool, third)
    ids = [third.id, second.id, first.id, 10**15]
    found = await retries.by_ids(pool, ids)
    assert [(each.state, each.rec_id) for each in found] == [
        ("pending", None), ("synced", 5), ("failed", None),
    ]  # fmt: skip
    assert await retries.by_ids(pool, ids, tenant_id="agency-8") == []


async def test_the_newest_reservation_of_an_email_is_the_one_that_came_last(pool: Pool) -> None:
    first, second, _ = await inserted(
        pool, reservation("V1"), reservation("V2"), reservation("V3", email_id=43)
    )
    await failed(pool, first)
    await try_again(pool, (first.id, 1))
    found = await retries.newest(pool, TENANT, Kind.RESERVATION, 42)
    assert found is not None
    assert (found.id, found.item_id, found.voucher_no) == (second.id, 42, "V2")
    assert await retries.newest(pool, TENANT, Kind.RESERVATION, 44) is None
    assert await retries.newest(pool, "agency-8", Kind.RESERVATION, 42) is None
    assert await retries.newest(pool, TENANT, Kind.STOP_SALE, 42) is None


async def test_a_stop_sale_is_found_by_its_id_with_all_that_became_of_it(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(7))
    await failed(
        pool, place, attempt=3, rec_id=9, hotel_id=18, error_message="no", error_details='{"a": 1}'
    )
    found = await retries.newest(pool, TENANT, Kind.STOP_SALE, 7)
    assert found is not None
    assert (found.state, found.attempts, found.rec_id, found.hotel_id) == ("failed", 3, 9, 18)
    assert (found.error_code, found.error_message) == ("hotel_not_found", "no")
    assert found.error_details == '{"a": 1}'
    assert await retries.newest(pool, TENANT, Kind.STOP_SALE, 8) is None


async def test_how_far_syncs_have_come_is_asked_for_many_at_once(pool: Pool) -> None:
    first, second = await inserted(pool, reservation("V1"), reservation("V2"))
    await settle(pool, [settlement_of(second)])
    asked = [(TENANT, first.id), (TENANT, second.id), ("agency-8", first.id), (TENANT, 10**15)]
    found = await retries.states(pool, asked)
    assert {key: each.state for key, each in found.items()} == {
        (TENANT, first.id): "pending",
        (TENANT, second.id): "synced",
    }


# -- what may have overtaken ----------------------------------------------------------------------

CLOSED = '{"date_from": "2026-12-10", "date_to": "2026-12-20"}'


async def later(pool: Pool, place: Registered, lanes: list[str] | None) -> list[int]:
    found = await retries.later_stop_sales(
        pool,
        TENANT,
        lanes=lanes,
        after=place.seq,
        first_day=date(2026, 12, 20),
        last_day=date(2026, 12, 31),
    )
    return sorted(each.stop_sale_id for each in found)


async def test_later_stop_sales_of_the_hotel_that_touch_the_days_are_found(pool: Pool) -> None:
    def closed(number: int, lane: str | None = "hotel:18", **changes: Any) -> Any:
        return stop_sale(number, lane=lane, **{"payload": CLOSED, **changes})

    before, asked, *others = await inserted(
        pool,
        closed(1),
        closed(2),
        closed(3),  # synced
        closed(4, payload=CLOSED.replace("12-20", "12-19")),  # synced, ends too early
        closed(5, lane="hotel:28"),  # synced, of another hotel
        closed(6, lane=None),  # synced, found before its lane was stored
        closed(7, lane=None),  # under way
        closed(8, origin=Origin(topic="stopsale.created", partition=4, offset=0)),  # likewise
        closed(9),  # failed
    )
    await settle(pool, [settlement_of(place) for place in (before, *others[:4])])
    await failed(pool, asked, others[-1])
    await inserted(pool, closed(10, tenant_id="agency-8"), reservation())
    assert await later(pool, asked, ["hotel:18"]) == [3, 6, 7, 8]
    assert await later(pool, asked, None) == [3, 5, 6, 7, 8]
    assert await later(pool, asked, ["hotel:99"]) == [6, 7, 8]


async def test_a_stop_sale_that_was_tried_again_says_when_it_came(pool: Pool) -> None:
    first, second = await inserted(
        pool, stop_sale(1, lane="hotel:18", payload=CLOSED), stop_sale(2, lane="hotel:18")
    )
    await failed(pool, first)
    await try_again(pool, (first.id, 1))
    (found,) = await retries.later_stop_sales(
        pool,
        TENANT,
        lanes=["hotel:18"],
        after=second.seq,
        first_day=date(2026, 12, 1),
        last_day=date(2026, 12, 31),
    )
    assert (found.stop_sale_id, found.arrival) == (1, first.seq)


# -- trying again ---------------------------------------------------------------------------------


async def test_a_failed_sync_goes_to_the_end_of_the_work_as_it_is_stored(pool: Pool) -> None:
    place, other = await inserted(pool, reservation("V1"), reservation("V2"))
    await failed(pool, place, attempt=4, error_message="no hotel", error_details='{"x": 1}')
    before = await row(pool, place.id)
    assert await try_again(pool, (place.id, 1)) == {place.id: 2}
    after = await row(pool, place.id)
    assert (after["state"], after["generation"], after["attempts"]) == ("pending", 2, 0)
    assert after["seq"] > other.seq
    assert after["arrival_seq"] == place.seq
    assert after["registered_at"] > before["registered_at"]
    for empty in ("error_code", "error_message", "error_details", "settled_at", "next_attempt_at"):
        assert after[empty] is None
    stays = (
        *("payload", "content_hash", "event_id", "event_time", "traceparent", "lane", "created_at"),
        *("origin_topic", "origin_partition", "origin_offset", "earlier_events", "email_id"),
    )
    assert {name: after[name] for name in stays} == {name: before[name] for name in stays}
    assert await page(pool) == []


async def test_what_a_person_tries_again_is_no_replays_any_more(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await replay(pool, place)
    await failed(pool, place)
    await try_again(pool, (place.id, 1))
    after = await row(pool, place.id)
    assert (after["replayed"], after["replay_id"]) == (False, None)


async def test_what_was_in_doubt_stays_so_and_in_its_lane(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(7))
    mark = mark_of(place)
    await work.mark(pool, [mark], [lane_of(place, "hotel:18")])
    await settle(pool, [settlement_of(place, state="failed", in_doubt_since=NOW, token=mark.token)])
    kept = ("in_doubt_since", "dispatched_at", "dispatch_token", "sedna_hotel_id", "lane")
    before = await row(pool, place.id)
    assert all(before[name] is not None for name in kept)
    assert (await page(pool))[0].in_doubt
    await try_again(pool, (place.id, 1))
    after = await row(pool, place.id)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    # So its create is not sent before Sedna has said that it lacks the record.
    again = mark_of(place, generation=2)
    assert await work.mark(pool, [again], []) == set()


async def test_any_other_stop_sales_hotel_is_found_anew(pool: Pool) -> None:
    known, made = await inserted(pool, stop_sale(7, lane="hotel:18"), stop_sale(8, lane="hotel:18"))
    await failed(pool, known)
    await failed(pool, made, rec_id=9)
    await try_again(pool, (known.id, 1), (made.id, 1))
    assert [each["lane"] for each in await rows(pool, "syncs")] == [None, None]
    assert (await row(pool, made.id))["sedna_rec_id"] == 9


async def test_several_are_tried_in_the_order_in_which_they_came(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{n}") for n in range(5)))
    await failed(pool, *places)
    await try_again(pool, *((place.id, 1) for place in reversed(places)))
    stored = await pool.fetch("SELECT id FROM syncs ORDER BY seq")
    assert [each["id"] for each in stored] == [place.id for place in places]


@pytest.mark.parametrize("state", ["pending", "synced"])
async def test_only_what_has_failed_is_tried_again(pool: Pool, state: str) -> None:
    (place,) = await inserted(pool, reservation())
    await settle(pool, [settlement_of(place, state=state)])
    before = await row(pool, place.id)
    assert await try_again(pool, (place.id, 1)) == {}
    assert await row(pool, place.id) == before


async def test_what_was_tried_since_it_was_shown_is_left_alone(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await failed(pool, place)
    await try_again(pool, (place.id, 1))
    await settle(pool, [settlement_of(place, generation=2, state="failed")])
    before = await row(pool, place.id)
    assert await try_again(pool, (place.id, 1)) == {}
    assert await row(pool, place.id) == before


async def test_of_two_who_press_at_once_one_has_pressed(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{n}") for n in range(20)))
    await failed(pool, *places)
    shown = [(place.id, 1) for place in places]
    first, second, third = await asyncio.gather(
        try_again(pool, *shown), try_again(pool, *reversed(shown)), try_again(pool, *shown)
    )
    assert sorted([*first, *second, *third]) == [place.id for place in places]
    assert {each["generation"] for each in await rows(pool, "syncs")} == {2}


async def test_a_new_event_between_the_look_and_the_press_wins(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await failed(pool, place)
    again = reservation("V1", offset=9)
    async with inbox.registration(pool) as transaction:
        await transaction.insert([again])
        await transaction.renew([(place.id, again)])
    assert await try_again(pool, (place.id, 1)) == {}


async def test_an_event_that_is_published_again_comes_anew(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await failed(pool, place)
    await try_again(pool, (place.id, 1))
    await settle(pool, [settlement_of(place, generation=2, state="failed")])
    again = reservation("V1", offset=9)
    async with inbox.registration(pool) as transaction:
        await transaction.insert([again])
        await transaction.renew([(place.id, again)])
    after = await row(pool, place.id)
    assert after["arrival_seq"] is None
    assert after["generation"] == 3


async def test_nothing_is_tried_again_if_what_decides_fails(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await failed(pool, place)
    before = await row(pool, place.id)

    async def press() -> None:
        async with retries.retry(pool, TENANT) as transaction:
            locked = await transaction.lock([(place.id, 1)])
            await transaction.again(locked, await transaction.places(1))
            await transaction.connection.execute("SELECT 1 / 0")

    with pytest.raises(DatabaseError):
        await press()
    assert await row(pool, place.id) == before


async def test_the_owner_of_each_stream_is_told_once_and_only_of_what_is_committed(
    url: str, pool: Pool
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    connected = asyncio.Event()
    listening = asyncio.create_task(
        notices.listen(
            url,
            on_notice={notices.Channel.WORK: told.put_nowait},
            on_connected=connected.set,
        )
    )
    try:
        await connected.wait()
        places = await inserted(
            pool,
            reservation("V1"),
            reservation("V2"),
            stop_sale(7, origin=Origin(topic="stopsale.created", partition=3, offset=0)),
        )
        await failed(pool, *places)
        assert await try_again(pool, (places[0].id, 99)) == {}
        await try_again(pool, *((place.id, 1) for place in places))
        heard = [notices.stream_of(await told.get()) for _ in range(2)]
        assert heard == [Stream(Kind.RESERVATION, 0, TENANT), Stream(Kind.STOP_SALE, 3, TENANT)]
        assert told.empty()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_what_is_tried_again_is_loaded_like_any_other_work(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    mark = mark_of(place)
    await work.mark(pool, [mark], [])
    held = await work.hold(pool, [(place.id, TENANT)], HOLDING)
    doubt = settlement_of(place, state="failed", in_doubt_since=held[place.id])
    await settle(pool, [doubt])
    await try_again(pool, (place.id, 1))
    (loaded,) = await work.page(pool, Stream(Kind.RESERVATION, 0, TENANT), after=0, limit=9)
    assert (loaded.id, loaded.generation, loaded.attempts) == (place.id, 2, 0)
    assert loaded.in_doubt_since == held[place.id]
    assert loaded.dispatched_at is not None
