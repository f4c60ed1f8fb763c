"""A tenant's list of work: filters, pages, and how far a page looks."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from db import history, work
from db.history import NEWEST, Filters
from db.pool import Pool
from db.records import Arrival, Registered
from schemas.kinds import Kind
from tests.integration.db.builders import (
    NOW,
    TENANT,
    inserted,
    mark_of,
    replay,
    reservation,
    settle,
    settlement_of,
    stop_sale,
)


def stay(voucher: str, **data: Any) -> Arrival:
    payload = {"hotel_name": "Mandarin", "check_in": "2026-07-01", "check_out": "2026-07-08"} | data
    return reservation(voucher, payload=json.dumps(payload))


def closed(number: int, **data: Any) -> Arrival:
    payload = {"hotel_name": "Mandarin", "date_from": "2026-08-01", "date_to": "2026-08-15"} | data
    return stop_sale(number, payload=json.dumps(payload))


async def listed(pool: Pool, limit: int = 50, **filters: Any) -> list[int]:
    """The ids of all pages, in order."""
    ids: list[int] = []
    older_than: int | None = NEWEST
    while older_than is not None:
        page = await history.page(
            pool, TENANT, Filters(**filters), older_than=older_than, limit=limit
        )
        assert len(page.syncs) <= limit
        ids += [each.id for each in page.syncs]
        assert page.older_than is None or page.older_than < older_than
        older_than = page.older_than
    return ids


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_the_pages_hold_all_of_a_tenants_work_once_newest_first(
    pool: Pool, limit: int
) -> None:
    places = await inserted(pool, *(stay(f"V{number}") for number in range(7)))
    await inserted(pool, replace(stay("V0"), tenant_id="agency-8"))
    assert await listed(pool, limit) == [place.id for place in reversed(places)]


async def test_an_empty_list_has_one_empty_page(pool: Pool) -> None:
    page = await history.page(pool, TENANT, Filters(), older_than=NEWEST, limit=5)
    assert page == history.Page(syncs=[], older_than=None)


async def some_work(pool: Pool) -> dict[str, Registered]:
    names = ("synced", "failed", "in doubt", "waiting", "closed")
    places = await inserted(
        pool,
        stay("V1", check_in="2026-05-01", check_out="2026-05-03"),
        stay("V2", hotel_name="ÇINAR Otel 100%"),
        stay("V3"),
        stay("V4", sedna_hotel_id=77),
        closed(5),
    )
    found = dict(zip(names, places, strict=True))
    await work.mark(pool, [mark_of(found["in doubt"])], [])
    await settle(
        pool,
        [
            settlement_of(found["synced"], rec_id=823259, hotel_id=18),
            settlement_of(
                found["failed"],
                state="failed",
                error_code="hotel_not_found",
                error_message="no such hotel",
                error_details='{"candidates": []}',
            ),
            settlement_of(
                found["in doubt"], state="pending", outcome="in_doubt", in_doubt_since=NOW
            ),
        ],
    )
    return found


@pytest.mark.parametrize(
    "filters, names",
    [
        ({"state": "synced"}, ["synced"]),
        ({"state": "failed"}, ["failed"]),
        ({"state": "pending"}, ["closed", "waiting", "in doubt"]),
        ({"kind": Kind.STOP_SALE}, ["closed"]),
        ({"code": "hotel_not_found"}, ["failed"]),
        ({"code": "HOTEL_NOT_FOUND"}, []),
        ({"in_doubt": True}, ["in doubt"]),
        ({"in_doubt": False, "state": "pending"}, ["closed", "waiting"]),
        ({"hotel_id": 18}, ["in doubt", "synced"]),
        ({"hotel_id": 77}, ["waiting"]),
        ({"hotel": "mandarin"}, ["closed", "waiting", "in doubt", "synced"]),
        ({"hotel": "otel 100%"}, ["failed"]),
        ({"hotel": "%"}, ["failed"]),
        ({"hotel": "_"}, []),
        (
            {"first_day": date(2026, 7, 8), "last_day": date(2026, 7, 31)},
            ["waiting", "in doubt", "failed"],
        ),
        ({"first_day": date(2026, 7, 9)}, ["closed"]),
        ({"last_day": date(2026, 5, 1)}, ["synced"]),
        ({"last_day": date(2026, 4, 30)}, []),
        ({"first_day": date(2026, 8, 15)}, ["closed"]),
        (
            {"registered_since": NOW - timedelta(days=36500)},
            ["closed", "waiting", "in doubt", "failed", "synced"],
        ),
        ({"registered_since": datetime(2200, 1, 1, tzinfo=UTC)}, []),
        ({"registered_before": datetime(2000, 1, 1, tzinfo=UTC)}, []),
        ({"kind": Kind.RESERVATION, "state": "pending", "hotel_id": 77}, ["waiting"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [1, 50])
async def test_a_filter_lets_through_what_it_says(
    pool: Pool, filters: dict[str, Any], names: list[str], limit: int
) -> None:
    places = await some_work(pool)
    assert await listed(pool, limit, **filters) == [places[name].id for name in names]


async def test_a_page_looks_so_far_and_says_where_to_go_on(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_LOOKED_AT", 4)
    places = await inserted(pool, *(stay(f"V{number}") for number in range(10)))
    await settle(pool, [settlement_of(places[0])])
    first = await history.page(pool, TENANT, Filters(state="synced"), older_than=NEWEST, limit=2)
    assert (first.syncs, first.older_than) == ([], places[6].id)
    assert await listed(pool, 2, state="synced") == [places[0].id]


async def test_a_sync_is_shown_as_it_stands(pool: Pool) -> None:
    places = await some_work(pool)
    found = await history.one(pool, TENANT, places["failed"].id)
    assert found is not None
    sync, attempts = found
    assert (sync.kind, sync.voucher_no, sync.hotel_name) == (
        Kind.RESERVATION,
        "V2",
        "ÇINAR Otel 100%",
    )
    assert (sync.first_day, sync.last_day) == (date(2026, 7, 1), date(2026, 7, 8))
    assert (sync.state, sync.error_code, sync.error_message, sync.error_details) == (
        "failed",
        "hotel_not_found",
        "no such hotel",
        {"candidates": []},
    )
    assert [(each.attempt, each.outcome, each.error_code) for each in attempts] == [
        (1, "failed", "hotel_not_found")
    ]
    page = await history.page(pool, TENANT, Filters(), older_than=sync.id + 1, limit=1)
    assert page.syncs == [sync]


async def test_of_many_attempts_the_latest_are_shown_in_order(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_ATTEMPTS", 3)
    (place,) = await inserted(pool, stay("V1"))
    for attempt in range(1, 6):
        await settle(pool, [settlement_of(place, state="pending", attempt=attempt)])
    found = await history.one(pool, TENANT, place.id)
    assert found is not None
    assert [each.attempt for each in found[1]] == [3, 4, 5]


async def test_a_sync_that_is_not_there_is_none(pool: Pool) -> None:
    assert await history.one(pool, TENANT, NEWEST) is None


async def test_nothing_of_another_tenant_is_listed_or_shown(pool: Pool) -> None:
    (place,) = await inserted(pool, stay("V1"))
    assert await history.one(pool, "agency-8", place.id) is None
    page = await history.page(pool, "agency-8", Filters(), older_than=NEWEST, limit=5)
    assert page == history.Page(syncs=[], older_than=None)


async def test_what_a_replay_has_left_to_do_is_among_what_is_not_synced(pool: Pool) -> None:
    places = await inserted(pool, *(stay(f"V{number}") for number in range(6)), closed(1))
    await replay(pool, *places[:2], places[6])
    found = await history.unsynced(pool, TENANT, limit=50)
    assert [each.id for each in found] == [place.id for place in places]
    assert [each.id for each in await history.unsynced(pool, TENANT, limit=3)] == [
        place.id for place in places[:3]
    ]
