"""Asking for a sync over HTTP: field by field, with the test in the place of the owner."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from consumer.advice import what_a_tenant_can_do
from consumer.api import syncing
from consumer.retrying import Retrying
from db import history, retries, work
from db.pool import Pool
from db.records import Registered
from tests.integration.api.conftest import Api
from tests.integration.db.builders import (
    NOW,
    TENANT,
    inserted,
    mark_of,
    reservation,
    row,
    settle,
    settlement_of,
    stop_sale,
)
from tests.support.api import bearer

RESERVATION = "/api/sedna/sync/reservation/42"
STOP_SALE = "/api/sedna/sync/stop-sale/7"
PENDING = "/api/sedna/sync/pending"
FAILURE: dict[str, Any] = {
    "state": "failed",
    "error_code": "hotel_not_found",
    "error_message": "no hotel is called 'Nowhere': say which it is with `sedna-sync hotel map a`",
    "error_details": '{"candidates": []}',
}
OVERTAKEN = (
    '{"stop_sale_id": %d, "hotel_name": "Mandarin", "date_from": "2026-08-01",'
    ' "date_to": "2026-08-02", "is_close": true, "room_types": [], "board_types": []}'
)


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=api.url, headers=bearer(TENANT), timeout=30) as client:
        yield client


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "WAIT_SECONDS", 0.3)


async def until_tried_again(pool: Pool, place: Registered) -> Registered:
    """The place of the next try, once somebody has asked for it."""
    async with asyncio.timeout(20):
        while (now := await row(pool, place.id))["generation"] == place.generation:
            await asyncio.sleep(0.01)
    assert now["state"] == "pending"
    return Registered(
        id=place.id,
        seq=now["seq"],
        generation=now["generation"],
        registered_at=now["registered_at"],
    )


async def test_a_failed_one_is_tried_again_and_the_answer_waits_for_the_outcome(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settle(pool, [settlement_of(place, **FAILURE)])
    asked = asyncio.create_task(http.post(RESERVATION))
    again = await until_tried_again(pool, place)
    await settle(pool, [settlement_of(again, rec_id=823259, hotel_id=18)])
    response = await asked
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "message": "synced",
        "sedna_rec_id": 823259,
        "details": {
            "sync_id": place.id,
            "state": "synced",
            "attempts": 1,
            "adopted": False,
            "sedna_hotel_id": 18,
            "code": None,
            "error": None,
        },
    }


async def test_what_is_synced_already_says_so_and_is_not_tried(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    (place,) = await inserted(pool, stop_sale(7, lane="hotel:18"))
    await settle(pool, [settlement_of(place, rec_id=4711, hotel_id=18)])
    response = await http.post(STOP_SALE)
    answer = response.json()
    assert response.status_code == 200
    assert (answer["success"], answer["message"], answer["sedna_rec_id"]) == (
        True,
        "already synced",
        4711,
    )
    assert (await row(pool, place.id))["generation"] == place.generation


async def test_one_that_fails_again_says_why(http: httpx2.AsyncClient, pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settle(pool, [settlement_of(place, **FAILURE)])
    asked = asyncio.create_task(http.post(RESERVATION))
    await settle(pool, [settlement_of(await until_tried_again(pool, place), **FAILURE)])
    response = await asked
    answer = response.json()
    assert response.status_code == 200
    assert (answer["success"], answer["sedna_rec_id"]) == (False, None)
    assert answer["message"] == (
        "Hotel not found: the account has no hotel of this name or id. "
        + (what_a_tenant_can_do("hotel_not_found", None) or "")
    )
    assert answer["details"]["state"] == "failed"
    assert answer["details"]["code"] == "hotel_not_found"
    assert answer["details"]["error"] == {"candidates": []}


@pytest.mark.parametrize(
    "path", [RESERVATION, STOP_SALE, "/api/sedna/sync/reservation/9223372036854775807"]
)
async def test_what_is_unknown_or_another_tenants_is_not_found(
    http: httpx2.AsyncClient, pool: Pool, path: str
) -> None:
    await inserted(
        pool, reservation("V1", tenant_id="agency-8"), stop_sale(7, tenant_id="agency-8")
    )
    response = await http.post(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_all_who_ask_join_the_one_try(http: httpx2.AsyncClient, pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settle(pool, [settlement_of(place, **FAILURE)])
    asked = [asyncio.create_task(http.post(RESERVATION)) for _ in range(10)]
    again = await until_tried_again(pool, place)
    late = asyncio.create_task(http.post(RESERVATION))
    await settle(pool, [settlement_of(again, rec_id=1)])
    answers = [await each for each in [*asked, late]]
    assert {each.json()["sedna_rec_id"] for each in answers} == {1}
    assert (await row(pool, place.id))["generation"] == place.generation + 1


@pytest.mark.usefixtures("impatient")
async def test_what_takes_longer_is_still_running(http: httpx2.AsyncClient, pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    response = await http.post(RESERVATION)
    answer = response.json()
    assert response.status_code == 202
    assert (answer["success"], answer["sedna_rec_id"]) == (False, None)
    assert answer["message"].startswith("still running")
    assert (answer["details"]["state"], answer["details"]["sync_id"]) == ("running", place.id)


@pytest.mark.usefixtures("impatient")
async def test_what_is_in_doubt_says_so_and_is_not_sent(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await work.mark(pool, [mark_of(place)], [])
    await settle(
        pool,
        [settlement_of(place, state="pending", outcome="in_doubt", in_doubt_since=NOW)],
    )
    before = await row(pool, place.id)
    for _ in range(2):
        response = await http.post(RESERVATION)
        assert response.status_code == 202
        assert response.json()["details"]["state"] == "in_doubt"
    assert await row(pool, place.id) == before


async def test_a_stop_sale_that_was_overtaken_is_superseded(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    first, second = await inserted(
        pool,
        stop_sale(7, payload=OVERTAKEN % 7, lane="hotel:18"),
        stop_sale(8, payload=OVERTAKEN % 8, lane="hotel:18"),
    )
    await settle(
        pool,
        [
            settlement_of(first, hotel_id=18, **FAILURE),
            settlement_of(second, rec_id=1, hotel_id=18),
        ],
    )
    answer = (await http.post(STOP_SALE)).json()
    assert answer["success"] is False
    assert answer["message"].startswith("superseded: stop sale 8")
    assert answer["details"]["code"] == "superseded"
    answer = (await http.post(PENDING)).json()
    assert answer["stop_sales_failed"] == 1
    assert answer["errors"] == ["Stop sale 7: Superseded"]


async def test_whoever_waits_is_answered_when_the_service_ends(
    api: Api, http: httpx2.AsyncClient, pool: Pool
) -> None:
    await inserted(pool, reservation("V1"))
    asked = asyncio.create_task(http.post(RESERVATION))
    api.readiness.stopping = True
    response = await asked
    assert response.status_code == 202


async def test_pending_counts_what_came_of_each_and_lists_errors(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    good, bad, waiting, other, _ = await inserted(
        pool,
        reservation("V1", email_id=41),
        reservation("V2", email_id=42),
        stop_sale(7, lane="hotel:18"),
        stop_sale(8, lane="hotel:19"),
        reservation("V1", tenant_id="agency-8"),
    )
    await settle(pool, [settlement_of(each, **FAILURE) for each in (good, bad)])
    asked = asyncio.create_task(http.post(PENDING))
    mended = await until_tried_again(pool, good)
    await settle(
        pool,
        [
            settlement_of(mended, rec_id=1),
            settlement_of(await until_tried_again(pool, bad), **FAILURE),
            settlement_of(waiting, rec_id=2),
            settlement_of(other, rec_id=3),
        ],
    )
    response = await asked
    assert response.status_code == 200
    assert response.json() == {
        "reservations_synced": 1,
        "reservations_failed": 1,
        "stop_sales_synced": 2,
        "stop_sales_failed": 0,
        "errors": ["Reservation 42: Hotel not found"],
    }


async def test_pending_joins_a_try_that_another_process_has_begun_meanwhile(
    http: httpx2.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settle(pool, [settlement_of(place, **FAILURE)])
    look, ask = history.unsynced, retries.states
    questions = 0

    async def asked_about(*arguments: Any) -> Any:
        nonlocal questions
        questions += 1
        return await ask(*arguments)

    async def overtaken(*arguments: Any, **named: Any) -> list[history.Unsynced]:
        found = await look(*arguments, **named)
        await Retrying(pool).carry_out(TENANT, [(each.id, each.generation) for each in found])
        return found

    monkeypatch.setattr(history, "unsynced", overtaken)
    monkeypatch.setattr(retries, "states", asked_about)
    asked = asyncio.create_task(http.post(PENDING))
    again = await until_tried_again(pool, place)
    while questions < 3 and not asked.done():
        await asyncio.sleep(0.01)
    await settle(pool, [settlement_of(again, rec_id=1)])
    answer = (await asked).json()
    assert (answer["reservations_synced"], answer["errors"]) == (1, [])


@pytest.mark.usefixtures("impatient")
async def test_pending_takes_the_oldest_fifty(http: httpx2.AsyncClient, pool: Pool) -> None:
    places = await inserted(
        pool, *(reservation(f"V{number}", email_id=number) for number in range(60))
    )
    await settle(pool, [settlement_of(each, **FAILURE) for each in places[::2]])
    answer = (await http.post(PENDING)).json()
    assert answer["errors"] == [f"Reservation {number}: Still running" for number in range(50)]
    assert (answer["reservations_synced"], answer["reservations_failed"]) == (0, 0)
    tried = await pool.fetch("SELECT id FROM syncs WHERE generation = 2 ORDER BY id")
    assert [each["id"] for each in tried] == [each.id for each in places[:50:2]]


async def test_pending_of_a_tenant_who_has_none_is_answered_at_once(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    await inserted(pool, reservation("V1", tenant_id="agency-8"))
    answer = (await http.post(PENDING)).json()
    assert answer == {
        "reservations_synced": 0,
        "reservations_failed": 0,
        "stop_sales_synced": 0,
        "stop_sales_failed": 0,
        "errors": [],
    }
