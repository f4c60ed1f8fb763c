"""A tenant is an island: with another tenant's id, no query touches a tenant's row."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date

import pytest

from db import history, retries, settlement, sql, status, tenants, work
from db.history import Filters
from db.inbox import registration
from db.pool import Pool
from db.records import Registered, Stream
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    NOW,
    TENANT,
    inserted,
    lane_of,
    mark_of,
    reservation,
    row,
    settlement_of,
    step_one_of,
    stop_sale,
)

OTHER = "agency-8"
DAYS = {"first_day": date(1, 1, 1), "last_day": date(9999, 12, 31)}
Call = Callable[[Pool, Registered], Awaitable[object]]

CALLS: dict[str, Call] = {
    "mark": lambda pool, place: work.mark(pool, [mark_of(place, tenant_id=OTHER)], []),
    "store lanes": lambda pool, place: work.mark(
        pool, [], [lane_of(place, "hotel:1", tenant_id=OTHER)]
    ),
    "record step one": lambda pool, place: work.record_step_one(
        pool, [step_one_of(place, 1, tenant_id=OTHER)]
    ),
    "hold": lambda pool, place: work.hold(pool, [(place.id, OTHER)], HOLDING),
    "ask for a mark": lambda pool, place: work.is_marked_by_other(
        pool, place.id, OTHER, token=None
    ),
    "settle as synced": lambda pool, place: settlement.settle(
        pool, [settlement_of(place, tenant_id=OTHER)]
    ),
    "settle as failed": lambda pool, place: settlement.settle(
        pool, [settlement_of(place, tenant_id=OTHER, state="failed")]
    ),
    "settle as pending": lambda pool, place: settlement.settle(
        pool, [settlement_of(place, tenant_id=OTHER, state="pending", in_doubt_since=NOW)]
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("marked", [False, True], ids=["waiting", "marked"])
async def test_a_call_in_the_name_of_another_tenant_changes_no_row_and_answers_nothing(
    pool: Pool,
    name: str,
    marked: bool,  # noqa: FBT001 - a table's column
) -> None:
    (place,) = await inserted(pool, stop_sale(7, lane="hotel:18"))
    if marked:
        await work.mark(pool, [mark_of(place)], [])
    before = await row(pool, place.id)
    answer = await CALLS[name](pool, place)
    assert answer in (None, set(), {}, settlement.Settled(frozenset(), None))
    assert await row(pool, place.id) == before
    for table in ("sync_attempts", "outbox"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_history_is_one_tenants(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settlement.settle(pool, [settlement_of(place)])
    queries = sql.load("history")
    assert await history.one(pool, OTHER, place.id) is None
    assert await pool.fetch(queries["attempts"], place.id, OTHER, 10) == []
    listed = await history.page(pool, OTHER, Filters(), older_than=history.NEWEST, limit=10)
    assert listed == history.Page(syncs=[], older_than=None)


async def test_a_page_never_holds_another_tenants_work(pool: Pool) -> None:
    await inserted(pool, reservation("V1"), stop_sale(7))
    for kind in Kind:
        assert await work.page(pool, Stream(kind, 0, OTHER), after=0, limit=10) == []


async def test_what_is_known_of_a_voucher_is_known_of_one_tenants_only(pool: Pool) -> None:
    await inserted(pool, reservation("V1"))
    async with registration(pool) as transaction:
        assert await transaction.existing([(OTHER, "reservation", "V1")]) == {}


async def test_a_new_try_of_another_tenants_sync_is_not_possible(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settlement.settle(pool, [settlement_of(place, state="failed")])
    before = await row(pool, place.id)
    foreign = replace(reservation("V1", offset=9), tenant_id=OTHER)
    async with registration(pool) as transaction:
        await transaction.insert([foreign])
        assert await transaction.renew([(place.id, foreign)]) == {}
    assert await row(pool, place.id) == before


async def test_what_has_failed_is_shown_and_tried_again_for_its_own_tenant_only(pool: Pool) -> None:
    failed, closed = await inserted(pool, reservation("V1"), stop_sale(7))
    await settlement.settle(pool, [settlement_of(failed, state="failed")])
    before = await row(pool, failed.id)
    assert await retries.page(pool, OTHER, retries.Filter(), after=0, limit=10) == []
    assert await retries.count(pool, OTHER) == 0
    assert await retries.by_ids(pool, [failed.id], tenant_id=OTHER) == []
    assert await retries.states(pool, [(OTHER, failed.id)]) == {}
    for kind, item in ((Kind.RESERVATION, 42), (Kind.STOP_SALE, 7)):
        assert await retries.newest(pool, OTHER, kind, item) is None
    for lanes in (None, ["hotel:18"]):
        assert await retries.later_stop_sales(pool, OTHER, lanes=lanes, after=0, **DAYS) == []
    async with retries.retry(pool, TENANT) as ours, retries.retry(pool, OTHER) as foreign:
        assert await foreign.lock([(failed.id, 1), (closed.id, 1)]) == []
        locked = await ours.lock([(failed.id, 1)])
        assert await foreign.again(locked, [10**6]) == {}
    assert await row(pool, failed.id) == before


async def test_settings_and_mappings_are_one_tenants(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO tenant_settings (tenant_id, sedna_api_url, sedna_username,"
        " sedna_password_encrypted) VALUES ($1, '', '', 'x')",
        TENANT,
    )
    await pool.execute("INSERT INTO hotel_mappings VALUES ($1, 'a', 'A', 1)", TENANT)
    assert await tenants.get(pool, OTHER) is None
    assert await tenants.mappings(pool, OTHER) == []
    assert await tenants.mappings_page(pool, OTHER, after="", limit=10) == []
    assert await tenants.remove_mapping(pool, OTHER, "a") is None
    assert await tenants.remove(pool, OTHER) is False
    assert await tenants.replace_passwords(pool, [(OTHER, b"x", b"y")]) == set()
    found = await tenants.get(pool, TENANT)
    assert found is not None
    assert found.sedna_password_encrypted == b"x"
    assert [each.name_key for each in await tenants.mappings(pool, TENANT)] == ["a"]


async def test_what_hotels_failed_syncs_name_is_one_tenants(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1", payload='{"hotel_name": "Mandarin"}'))
    failed = settlement_of(place, state="failed", error_code="hotel_not_found")
    await settlement.settle(pool, [failed])
    codes = ["hotel_not_found"]
    assert len(await status.failed_hotels(pool, TENANT, codes=codes, limit=10)) == 1
    assert await status.failed_hotels(pool, OTHER, codes=codes, limit=10) == []
