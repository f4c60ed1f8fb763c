"""Asking for a failed sync: once, joined by who asks again, and never for what was overtaken."""

import asyncio
import json
from typing import Any

import pytest

from consumer.retrying import (
    AlreadySynced,
    NotFound,
    Planned,
    Retrying,
    Running,
    Selection,
    Started,
    Superseded,
)
from db import work
from db.pool import Pool
from db.records import Arrival, Registered, Stream
from schemas.kinds import Kind
from tests.integration.db.builders import (
    NOW,
    TENANT,
    inserted,
    replay,
    reservation,
    row,
    settle,
    settlement_of,
    stop_sale,
)

RESERVATION = (TENANT, Kind.RESERVATION, 42)
#: Seconds that nothing here takes; what is waited for in vain is waited for shortly.
LONG, SHORT = 30.0, 0.3


def closing(number: int, name: str = "Mandarin", **changes: Any) -> Arrival:
    lane, offset = changes.pop("lane", None), changes.pop("offset", 0)
    data = {
        "stop_sale_id": number,
        "hotel_name": name,
        "date_from": "2026-12-10",
        "date_to": "2026-12-20",
        "is_close": True,
        **changes,
    }
    return stop_sale(number, payload=json.dumps(data), lane=lane, offset=offset)


async def fail(pool: Pool, *places: Registered, **changes: Any) -> None:
    changes = {"state": "failed", "error_code": "hotel_not_found", **changes}
    await settle(pool, [settlement_of(place, **changes) for place in places])


async def planned(pool: Pool) -> list[Planned]:
    plan = Retrying(pool).plan(Selection(tenant_id=TENANT))
    return [each async for page in plan for each in page]


async def overtaken(pool: Pool) -> dict[int | None, int]:
    """Which stop sales are superseded, and by which."""
    return {
        each.sync.item_id: each.superseded_by.stop_sale_id
        for each in await planned(pool)
        if each.superseded_by is not None
    }


# -- which are superseded -------------------------------------------------------------------------


async def test_a_failed_stop_sale_is_superseded_by_a_later_one_of_its_hotel(pool: Pool) -> None:
    failed, later = await inserted(pool, closing(1), closing(2, "Another name", lane="hotel:18"))
    await fail(pool, failed, hotel_id=18)
    await settle(pool, [settlement_of(later, hotel_id=18)])
    assert await overtaken(pool) == {1: 2}


async def test_one_whose_hotel_the_failure_names_is_compared_by_it(pool: Pool) -> None:
    failed, later = await inserted(pool, closing(1), closing(2, "Another name", lane="hotel:18"))
    await fail(pool, failed, error_code="room_type_unknown", error_details='{"hotel_id": 18}')
    await settle(pool, [settlement_of(later, hotel_id=18)])
    assert await overtaken(pool) == {1: 2}


async def test_one_whose_hotel_was_mapped_since_is_compared_by_the_mapping(pool: Pool) -> None:
    failed, later = await inserted(pool, closing(1, "Foo"), closing(2, "Mandarin", lane="hotel:18"))
    await fail(pool, failed)
    await settle(pool, [settlement_of(later, hotel_id=18)])
    assert await overtaken(pool) == {}
    await pool.execute(
        "INSERT INTO tenant_settings (tenant_id, sedna_api_url, sedna_username,"
        " sedna_password_encrypted) VALUES ($1, '', '', 'x')",
        TENANT,
    )
    await pool.execute("INSERT INTO hotel_mappings VALUES ($1, 'foo', 'Foo', 18)", TENANT)
    assert await overtaken(pool) == {1: 2}


async def test_one_whose_hotel_is_not_known_is_compared_by_its_name(pool: Pool) -> None:
    failed, other, same = await inserted(
        pool,
        closing(1, "Mandarin Resort"),
        closing(2, "Lara Park", lane="hotel:28"),
        closing(3, "Resort MANDARİN", lane="hotel:18"),
    )
    await fail(pool, failed)
    await settle(pool, [settlement_of(other, hotel_id=28), settlement_of(same, hotel_id=18)])
    assert await overtaken(pool) == {1: 3}


async def test_one_that_is_under_way_behind_it_supersedes_as_well(pool: Pool) -> None:
    failed, _ = await inserted(pool, closing(1), closing(2, is_close=False))
    await fail(pool, failed, hotel_id=18)
    assert await overtaken(pool) == {1: 2}


async def test_neither_an_earlier_one_nor_a_failed_one_supersedes(pool: Pool) -> None:
    before, failed, after = await inserted(pool, closing(1), closing(2), closing(3))
    await settle(pool, [settlement_of(before, hotel_id=18)])
    await fail(pool, failed, after, hotel_id=18)
    assert await overtaken(pool) == {}


async def test_one_that_a_replay_read_late_but_stands_before_it_does_not_supersede(
    pool: Pool,
) -> None:
    failed, again = await inserted(
        pool, closing(1, lane="hotel:18", offset=9), closing(2, lane="hotel:18", offset=5)
    )
    await fail(pool, failed)
    await settle(pool, [settlement_of(again, hotel_id=18)])
    (plan,) = await planned(pool)
    assert plan.superseded_by is not None
    await pool.execute("UPDATE syncs SET replay_id = 3 WHERE id = $1", again.id)
    (plan,) = await planned(pool)
    assert plan.superseded_by is None


async def test_of_two_failed_ones_the_first_that_is_tried_later_does_not_supersede_the_second(
    pool: Pool,
) -> None:
    first, second = await inserted(
        pool, closing(1, lane="hotel:18"), closing(2, is_close=False, lane="hotel:18")
    )
    await fail(pool, first, second, hotel_id=18)
    await Retrying(pool).carry_out(TENANT, [(first.id, 1)])
    assert await overtaken(pool) == {}
    await Retrying(pool).carry_out(TENANT, [(second.id, 1)])
    await settle(pool, [settlement_of(second, generation=2, hotel_id=18)])
    await fail(pool, first, generation=2, hotel_id=18)
    assert await overtaken(pool) == {1: 2}


async def test_two_that_failed_are_tried_together_in_the_order_in_which_they_came(
    pool: Pool,
) -> None:
    first, second = await inserted(pool, closing(1), closing(2, is_close=False))
    await fail(pool, first, second, hotel_id=18)
    shown = [(each.sync.id, each.sync.generation) for each in await planned(pool)]
    carried = await Retrying(pool).carry_out(TENANT, shown)
    assert (carried.started, carried.superseded) == ({first.id: 2, second.id: 2}, [])
    ordered = await pool.fetch("SELECT id FROM syncs ORDER BY seq")
    assert [each["id"] for each in ordered] == [first.id, second.id]


async def test_a_stop_sale_that_this_release_cannot_read_is_planned_all_the_same(
    pool: Pool,
) -> None:
    failed, _ = await inserted(pool, stop_sale(1, payload="{}"), closing(2))
    await fail(pool, failed, error_code="invalid_event")
    (only,) = await planned(pool)
    assert only.superseded_by is None


# -- carrying out ---------------------------------------------------------------------------------


async def test_what_was_overtaken_since_it_was_shown_is_not_tried_unless_forced(
    pool: Pool,
) -> None:
    (failed,) = await inserted(pool, closing(1))
    await fail(pool, failed, hotel_id=18)
    assert await overtaken(pool) == {}
    (later,) = await inserted(pool, closing(2, lane="hotel:18"))
    await settle(pool, [settlement_of(later, hotel_id=18)])
    before = await row(pool, failed.id)
    carried = await Retrying(pool).carry_out(TENANT, [(failed.id, 1)])
    assert carried.started == {}
    (left,) = carried.superseded
    assert left.superseded_by is not None
    assert left.superseded_by.stop_sale_id == 2
    assert await row(pool, failed.id) == before
    carried = await Retrying(pool).carry_out(TENANT, [(failed.id, 1)], force=True)
    assert (carried.started, carried.superseded) == ({failed.id: 2}, [])


async def test_a_replayed_one_that_its_owner_found_overtaken_is_only_tried_by_force(
    pool: Pool,
) -> None:
    # It came after the one that has overtaken it, and stands before it in the topic.
    later, failed = await inserted(pool, closing(2, lane="hotel:18"), closing(1, lane="hotel:18"))
    await replay(pool, failed)
    await settle(pool, [settlement_of(later, hotel_id=18)])
    details = json.dumps({"superseded_by": {"stop_sale_id": 2, "sync_id": later.id}})
    await fail(pool, failed, error_code="superseded", error_details=details)
    assert await overtaken(pool) == {1: 2}
    carried = await Retrying(pool).carry_out(TENANT, [(failed.id, 1)])
    assert (carried.started, len(carried.superseded)) == ({}, 1)
    assert isinstance(await Retrying(pool).ask(TENANT, Kind.STOP_SALE, 1), Superseded)
    carried = await Retrying(pool).carry_out(TENANT, [(failed.id, 1)], force=True)
    assert carried.started == {failed.id: 2}
    after = await row(pool, failed.id)
    assert (after["replayed"], after["replay_id"]) == (False, None)


async def test_another_replayed_stop_sale_is_still_asked_about_when_a_person_tries_it_again(
    pool: Pool,
) -> None:
    (failed,) = await inserted(pool, closing(1))
    await replay(pool, failed)
    await fail(pool, failed)
    await Retrying(pool).carry_out(TENANT, [(failed.id, 1)])
    (loaded,) = await work.page(pool, Stream(Kind.STOP_SALE, 0, TENANT), after=0, limit=9)
    assert (loaded.replayed, loaded.of_replay) == (False, True)


async def test_a_plan_over_all_tenants_has_pages_of_one_tenant_each_and_nothing_twice(
    pool: Pool,
) -> None:
    await pool.execute(
        """
        INSERT INTO syncs (tenant_id, kind, voucher_no, email_id, payload, content_hash, event_id,
                           origin_topic, origin_partition, origin_offset, state, error_code)
        SELECT 't' || n % 3, 'reservation', n, n, '{}', '', 'e', 'topic', 0, n, 'failed', 'gave_up'
        FROM generate_series(1, 4000) AS n
        """
    )
    pages = [page async for page in Retrying(pool).plan(Selection(code="gave_up"))]
    assert all(len({each.sync.tenant_id for each in page}) == 1 for page in pages)
    assert all(len(page) <= 500 for page in pages)
    shown = {each.sync.id: each for page in pages for each in page}
    assert len(shown) == sum(len(page) for page in pages) == 4000
    ids = [(each.sync.id, 1) for each in shown.values() if each.sync.tenant_id == "t1"]
    carried = await Retrying(pool).carry_out("t1", ids)
    assert carried.started == {sync_id: 2 for sync_id, _ in ids}
    ordered = await pool.fetch("SELECT id FROM syncs WHERE state = 'pending' ORDER BY seq")
    assert [each["id"] for each in ordered] == [sync_id for sync_id, _ in ids]


async def test_single_syncs_are_planned_in_whatever_state_they_are(pool: Pool) -> None:
    first, second, foreign = await inserted(
        pool, reservation("V1"), reservation("V2"), reservation("V3", tenant_id="agency-8")
    )
    await fail(pool, first)
    found = await Retrying(pool).plan_ids([second.id, foreign.id, first.id, 10**15])
    assert [(each.sync.id, each.sync.state) for each in found] == [
        (first.id, "failed"), (second.id, "pending"), (foreign.id, "pending"),
    ]  # fmt: skip


# -- one, by its name -----------------------------------------------------------------------------


async def test_asking_for_one_says_what_it_came_to(pool: Pool) -> None:
    retrying = Retrying(pool)
    assert await retrying.ask(*RESERVATION) == NotFound()
    (place,) = await inserted(pool, reservation())
    assert await retrying.ask(*RESERVATION) == Running(place.id, 1)
    await fail(pool, place)
    assert await retrying.ask(*RESERVATION) == Started(place.id, 2)
    assert await retrying.ask(*RESERVATION) == Running(place.id, 2)
    await settle(pool, [settlement_of(place, generation=2, rec_id=5)])
    synced = await retrying.ask(*RESERVATION)
    assert isinstance(synced, AlreadySynced)
    assert (synced.sync.rec_id, synced.sync.generation) == (5, 2)
    assert await retrying.ask("agency-8", Kind.RESERVATION, 42) == NotFound()


async def test_many_who_ask_at_once_start_one_try(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await fail(pool, place, in_doubt_since=NOW)
    retrying = Retrying(pool)
    answers = await asyncio.gather(*(retrying.ask(*RESERVATION) for _ in range(20)))
    assert sorted(answers, key=repr) == [Running(place.id, 2)] * 19 + [Started(place.id, 2)]
    assert (await row(pool, place.id))["in_doubt_since"] == NOW


async def test_one_that_was_overtaken_stays_failed_and_says_by_which(pool: Pool) -> None:
    failed, later = await inserted(pool, closing(7), closing(8, lane="hotel:18"))
    await fail(pool, failed, hotel_id=18)
    await settle(pool, [settlement_of(later, hotel_id=18)])
    answer = await Retrying(pool).ask(TENANT, Kind.STOP_SALE, 7)
    assert isinstance(answer, Superseded)
    assert (answer.sync.id, answer.by.stop_sale_id) == (failed.id, 8)
    assert (await row(pool, failed.id))["state"] == "failed"


# -- waiting --------------------------------------------------------------------------------------


async def test_who_waits_hears_how_the_try_has_ended(pool: Pool) -> None:
    first, second = await inserted(pool, reservation("V1"), reservation("V2"))
    retrying = Retrying(pool)
    waiting = [
        asyncio.create_task(retrying.outcome(TENANT, place.id, 1, within=LONG))
        for place in (first, second, second)
    ]
    await settle(pool, [settlement_of(first, rec_id=5)])
    synced = await waiting[0]
    assert synced is not None
    assert (synced.state, synced.rec_id) == ("synced", 5)
    assert not waiting[1].done()
    await fail(pool, second)
    for each in waiting[1:]:
        failed = await each
        assert failed is not None
        assert (failed.state, failed.error_code) == ("failed", "hotel_not_found")


async def test_a_later_try_says_that_this_one_is_over(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await fail(pool, place)
    retrying = Retrying(pool)
    await retrying.ask(*RESERVATION)
    over = await retrying.outcome(TENANT, place.id, 1, within=LONG)
    assert over is not None
    assert (over.generation, over.state) == (2, "pending")
    assert await retrying.outcome(TENANT, place.id, 2, within=SHORT) is None


@pytest.mark.parametrize("tenant_id", [TENANT, "agency-8"])
async def test_who_waits_for_what_is_not_there_is_told_none(pool: Pool, tenant_id: str) -> None:
    (place,) = await inserted(pool, reservation())
    sync_id = place.id if tenant_id != TENANT else 10**15
    assert await Retrying(pool).outcome(tenant_id, sync_id, 1, within=LONG) is None


async def test_many_who_wait_share_a_question_and_hold_no_connection(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from db import retries  # noqa: PLC0415 - to count what it is asked

    questions: list[int] = []
    ask = retries.states

    async def counted(asked: Pool, syncs: Any) -> Any:
        questions.append(len(syncs))
        return await ask(asked, syncs)

    monkeypatch.setattr(retries, "states", counted)
    places = await inserted(pool, *(reservation(f"V{n}") for n in range(50)))
    retrying = Retrying(pool)
    async with asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(retrying.outcome(TENANT, place.id, 1, within=LONG))
            for place in places * 4
        ]
        while len(questions) < 2:
            await asyncio.sleep(0.01)
        assert max(questions) == 50  # each sync once, however many wait for it
        async with asyncio.timeout(LONG):  # the pool has four connections
            await settle(pool, [settlement_of(place) for place in places])
    settled = [each.result() for each in waiting]
    assert {None if each is None else each.state for each in settled} == {"synced"}
    while retrying._waiting._asking is not None:  # nobody waits, nobody asks
        await asyncio.sleep(0.01)
