"""Settling: status, history and answer together, once, and only for what is still pending."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from db import outbox, settlement, work
from db.errors import DatabaseError
from db.inbox import registration
from db.pool import Pool
from db.records import Answer, Content, Registered
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    NOW,
    TENANT,
    inserted,
    mark_of,
    reservation,
    row,
    rows,
    settle,
    settlement_of,
    step_one_of,
    stop_sale,
)


async def snapshot(pool: Pool) -> dict[str, list[dict[str, Any]]]:
    return {table: await rows(pool, table) for table in ("syncs", "sync_attempts", "outbox")}


async def renewed(pool: Pool, place: Registered) -> Registered:
    again = reservation(offset=9)
    async with registration(pool) as transaction:
        await transaction.insert([again])
        return (await transaction.renew([(place.id, again)]))[again.identity]


async def test_synced_is_written_with_its_record_its_history_and_its_answer(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await work.mark(pool, [mark_of(place)], [])
    done = await settle(
        pool, [settlement_of(place, attempt=2, rec_id=823259, hotel_id=18, adopted=True)]
    )
    assert done.ids == {place.id}
    stored = await row(pool, place.id)
    assert (stored["state"], stored["sedna_synced"], stored["attempts"]) == ("synced", True, 2)
    assert (stored["sedna_rec_id"], stored["sedna_hotel_id"]) == (823259, 18)
    assert stored["adopted"] is True
    assert (stored["dispatched_at"], stored["in_doubt_since"]) == (None, None)
    assert stored["settled_at"] is not None
    (attempt,) = await rows(pool, "sync_attempts")
    assert {name: attempt[name] for name in attempt if name != "id"} == {
        "sync_id": place.id,
        "tenant_id": TENANT,
        "generation": 1,
        "attempt": 2,
        "outcome": "synced",
        "error_code": None,
        "error_message": None,
        "sedna_rec_id": 823259,
        "started_at": NOW,
        "finished_at": NOW,
    }
    (message,) = await outbox.page(pool, [(Kind.RESERVATION, 0)], after=0, limit=10)
    assert message.id == done.first_outbox_id
    assert (message.topic, message.key) == ("sedna.synced", TENANT.encode())
    assert message.value == f"result of {place.id}".encode()
    assert message.headers == (("content-type", b"application/cloudevents+json"),)


async def test_failed_is_written_with_what_a_person_needs_to_mend_it(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale())
    failed = settlement_of(
        place,
        state="failed",
        error_code="hotel_ambiguous",
        error_message="two hotels match",
        error_details='{"candidates": [18, 28]}',
    )
    await settlement.settle(pool, [failed])
    stored = await row(pool, place.id)
    assert (stored["state"], stored["sedna_synced"]) == ("failed", False)
    assert (stored["error_code"], stored["error_message"], stored["error_details"]) == (
        "hotel_ambiguous",
        "two hotels match",
        '{"candidates": [18, 28]}',
    )
    assert stored["settled_at"] is not None
    (attempt,) = await rows(pool, "sync_attempts")
    assert (attempt["outcome"], attempt["error_code"]) == ("failed", "hotel_ambiguous")
    (message,) = await outbox.page(pool, [(Kind.STOP_SALE, 0)], after=0, limit=10)
    assert message.topic == "sedna.failed"


async def test_a_retry_stays_pending_without_mark_and_without_an_answer(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await work.mark(pool, [mark_of(place)], [])
    later = NOW + timedelta(seconds=8)
    again = settlement_of(
        place, state="pending", attempt=3, next_attempt_at=later, error_message="refused"
    )
    done = await settle(pool, [again])
    assert (set(done.ids), done.first_outbox_id) == ({place.id}, None)
    stored = await row(pool, place.id)
    assert (stored["state"], stored["attempts"], stored["next_attempt_at"]) == ("pending", 3, later)
    assert (stored["dispatched_at"], stored["settled_at"]) == (None, None)
    (attempt,) = await rows(pool, "sync_attempts")
    assert (attempt["outcome"], attempt["error_message"]) == ("retry", "refused")
    assert await rows(pool, "outbox") == []


async def test_a_doubt_stays_pending_with_its_mark_and_is_over_once_it_is_settled(
    pool: Pool,
) -> None:
    (place,) = await inserted(pool, reservation())
    await work.mark(pool, [mark_of(place)], [])
    doubt = settlement_of(place, state="pending", outcome="in_doubt", in_doubt_since=NOW)
    await settle(pool, [doubt])
    stored = await row(pool, place.id)
    assert (stored["state"], stored["in_doubt_since"]) == ("pending", NOW)
    assert stored["dispatched_at"] is not None
    assert await rows(pool, "outbox") == []
    await settle(pool, [settlement_of(place, rec_id=1)])
    stored = await row(pool, place.id)
    assert (stored["in_doubt_since"], stored["dispatched_at"]) == (None, None)


async def test_the_history_grows_with_every_attempt_and_is_never_changed(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    for attempt in (1, 2):
        await settlement.settle(pool, [settlement_of(place, state="pending", attempt=attempt)])
    await settlement.settle(pool, [settlement_of(place, state="failed", attempt=3)])
    again = await renewed(pool, place)
    await settlement.settle(pool, [settlement_of(again, attempt=1)])
    history = [
        (each["generation"], each["attempt"], each["outcome"])
        for each in await rows(pool, "sync_attempts")
    ]
    assert history == [(1, 1, "retry"), (1, 2, "retry"), (1, 3, "failed"), (2, 1, "synced")]


async def test_a_record_that_is_known_is_not_forgotten_by_a_later_attempt(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale())
    await work.record_step_one(pool, [step_one_of(place, 823259)])
    await settlement.settle(pool, [settlement_of(place, state="failed")])
    stored = await row(pool, place.id)
    assert (stored["sedna_rec_id"], stored["sedna_hotel_id"]) == (823259, 18)


@pytest.mark.parametrize("state", ["synced", "failed"])
async def test_writing_the_same_settlements_again_changes_nothing(pool: Pool, state: str) -> None:
    places = await inserted(pool, reservation("V1"), reservation("V2"))
    group = [settlement_of(place, state=state) for place in places]
    await settlement.settle(pool, group)
    before = await snapshot(pool)
    done = await settlement.settle(pool, group)
    assert (done.ids, done.first_outbox_id) == (frozenset(), None)
    assert await snapshot(pool) == before


@pytest.mark.parametrize("state", ["synced", "failed"])
async def test_an_attempt_finds_that_it_has_settled_a_sync_itself_and_no_other_finds_it(
    pool: Pool, state: str
) -> None:
    place, pending = await inserted(pool, reservation("V1"), reservation("V2"))
    mine = settlement_of(place, state=state)
    retry = settlement_of(pending, state="pending")
    await settlement.settle(pool, [mine, retry])
    assert await settlement.settled_before(pool, [mine, retry]) == {place.id}
    for change in (
        {"generation": mine.generation + 1},
        {"attempt": mine.attempt + 1},
        {"started_at": mine.started_at + timedelta(microseconds=1)},
        {"tenant_id": "another"},
    ):
        assert await settlement.settled_before(pool, [replace(mine, **change)]) == set()


async def test_what_somebody_else_has_settled_is_not_touched(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await settlement.settle(pool, [settlement_of(place, rec_id=1)])
    before = await snapshot(pool)
    for state in ("synced", "failed", "pending"):
        late = settlement_of(place, state=state, rec_id=2, attempt=9)
        assert (await settlement.settle(pool, [late])).ids == frozenset()
    assert await snapshot(pool) == before


async def test_a_settlement_of_an_earlier_try_does_not_touch_the_new_one(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await settlement.settle(pool, [settlement_of(place, state="failed")])
    again = await renewed(pool, place)
    before = await snapshot(pool)
    assert (await settlement.settle(pool, [settlement_of(place)])).ids == frozenset()
    assert await snapshot(pool) == before
    assert (await settlement.settle(pool, [settlement_of(again)])).ids == {place.id}


async def test_of_a_group_those_are_written_that_are_still_pending(pool: Pool) -> None:
    places = await inserted(pool, *(reservation(f"V{number}") for number in range(4)))
    await settlement.settle(pool, [settlement_of(places[1])])
    done = await settlement.settle(pool, [settlement_of(place) for place in places])
    assert done.ids == {places[0].id, places[2].id, places[3].id}
    assert len(await rows(pool, "sync_attempts")) == 4
    assert len(await rows(pool, "outbox")) == 4


async def test_the_answers_of_a_group_are_in_its_order_and_the_first_id_is_told(
    pool: Pool,
) -> None:
    places = await inserted(pool, *(reservation(f"V{number}") for number in range(200)))
    group = [settlement_of(place) for place in reversed(places)]
    done = await settlement.settle(pool, group)
    stored = await rows(pool, "outbox")
    assert [each["value"] for each in stored] == [
        each.answer.value for each in group if each.answer is not None
    ]
    assert done.first_outbox_id == stored[0]["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "no such outcome"},
        {"state": "no such state"},
        {"error_details": "no JSON"},
        {"error_message": "\x00"},
    ],
)
async def test_a_group_of_which_one_is_refused_leaves_no_trace(
    pool: Pool, wrong: dict[str, Any]
) -> None:
    places = await inserted(pool, reservation("V1"), reservation("V2"))
    before = await snapshot(pool)
    group = [settlement_of(places[0]), settlement_of(places[1], **wrong)]
    with pytest.raises(DatabaseError):
        await settlement.settle(pool, group)
    assert await snapshot(pool) == before


async def test_an_answer_belongs_to_the_partition_that_its_event_came_from(pool: Pool) -> None:
    first, second = await inserted(pool, reservation(), stop_sale())
    odd = Answer(topic="t", value=b"\x00\xff", headers=(("\x00", b"\xff"),))
    await settlement.settle(pool, [settlement_of(first), settlement_of(second, answer=odd)])
    assert await outbox.partitions(pool) == [(Kind.RESERVATION, 0), (Kind.STOP_SALE, 0)]
    (message,) = await outbox.page(pool, [(Kind.STOP_SALE, 0)], after=0, limit=10)
    assert (message.value, message.headers) == (b"\x00\xff", (("\x00", b"\xff"),))


async def test_an_empty_group_is_nothing(pool: Pool) -> None:
    assert (await settlement.settle(pool, [])).ids == frozenset()


async def test_a_failure_with_unknown_outcome_keeps_its_doubt_and_what_was_sent(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    await work.mark(pool, [mark_of(place)], [])
    failed = settlement_of(place, state="failed", outcome="failed", in_doubt_since=NOW)
    await settle(pool, [failed])
    corrected = reservation(offset=9, payload='{"adults": 3}', content_hash=b"other")
    async with registration(pool) as transaction:
        await transaction.insert([corrected])
        renewals = await transaction.renew([(place.id, corrected)])
    again = renewals[corrected.identity]
    assert (again.in_doubt_since, again.doubted_payload) == (NOW, '{"adults": 2}')
    stored = await row(pool, place.id)
    assert (stored["payload"], stored["doubted_payload"]) == ('{"adults": 3}', '{"adults": 2}')
    assert stored["dispatched_at"] is not None


async def test_what_was_sent_is_put_back_where_sedna_turns_out_to_have_it(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    content = Content(email_id=7, payload='{"adults": 9}', content_hash=b"sent")
    await settlement.settle(pool, [settlement_of(place, restored=content)])
    stored = await row(pool, place.id)
    assert (stored["email_id"], stored["payload"]) == (7, '{"adults": 9}')
    assert (stored["content_hash"], stored["doubted_payload"]) == (b"sent", None)


async def test_what_was_found_of_an_earlier_event_stays_known_until_it_is_completed(
    pool: Pool,
) -> None:
    (place,) = await inserted(pool, stop_sale(7, lane="hotel:18"))
    await work.mark(pool, [mark_of(place)], [])
    await settle(pool, [settlement_of(place, state="failed", in_doubt_since=NOW)])
    async with registration(pool) as transaction:
        corrected = stop_sale(7, offset=1, payload='{"is_close": false}', content_hash=b"other")
        await transaction.insert([corrected])
        again = (await transaction.renew([(place.id, corrected)]))[corrected.identity]
    assert await work.record_step_one(pool, [step_one_of(place, 5)]) == {place.id}
    waits = settlement_of(again, state="pending", outcome="retry")
    assert (await settle(pool, [waits])).ids == {place.id}
    assert (await row(pool, place.id))["doubted_payload"] == '{"is_close": true}'
    assert (await settle(pool, [settlement_of(again, rec_id=5)])).ids == {place.id}
    assert (await row(pool, place.id))["doubted_payload"] is None


async def test_a_process_that_was_replaced_since_its_mark_settles_nothing(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    old, new = mark_of(place), mark_of(place)
    await work.mark(pool, [old], [])
    (since,) = (await work.hold(pool, [(place.id, TENANT)], HOLDING)).values()
    await work.mark(pool, [replace(new, doubt_since=since)], [])
    for outcome in (
        settlement_of(place, token=old.token),
        settlement_of(place, token=old.token, state="pending"),
        settlement_of(place),
    ):
        done = await settlement.settle(pool, [outcome])
        assert (done.ids, done.first_outbox_id) == (frozenset(), None)
    assert (await row(pool, place.id))["dispatch_token"] == new.token
    assert (await settlement.settle(pool, [settlement_of(place, token=new.token)])).ids
