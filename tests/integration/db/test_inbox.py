"""Registering a batch: in order, once each, all or nothing."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from db import inbox, settlement
from db.errors import DatabaseError
from db.headers import decode
from db.pool import Pool
from db.records import Origin, Rejection
from schemas.kinds import Kind
from tests.integration.db.builders import (
    NOW,
    TENANT,
    TRACEPARENT,
    TRACESTATE,
    insert,
    inserted,
    message,
    reservation,
    row,
    rows,
    settlement_of,
    stop_sale,
)


def rejection(offset: int = 0, digest: bytes = b"digest") -> Rejection:
    return Rejection(
        origin=Origin(topic="reservation.created", partition=3, offset=offset),
        timestamp=NOW,
        key=b"\xffkey\x00",
        value=b"\x00\xff{",
        headers=(("x\x00\ud800", b"\x00\xff"), ("", b""), ("x", b"1"), ("x", b"2")),
        digest=digest,
        tenant_id=None,
        event_id=None,
        error_code="invalid_event",
        error_message="key: must be a tenant id",
        error_details='{"problems": []}',
    )


async def test_the_order_of_the_work_is_the_order_of_the_batch(pool: Pool) -> None:
    arrivals = [reservation(f"V{number * 7919 % 1000}", offset=number) for number in range(300)]
    await insert(pool, *arrivals)
    stored = await pool.fetch("SELECT voucher_no FROM syncs ORDER BY seq")
    assert [each["voucher_no"] for each in stored] == [each.voucher_no for each in arrivals]


async def test_a_later_batch_comes_after_an_earlier_one(pool: Pool) -> None:
    (first,) = await inserted(pool, reservation("V1"))
    (second,) = await inserted(pool, reservation("V2"))
    assert first.seq < second.seq


async def test_everything_that_arrived_is_stored(pool: Pool) -> None:
    first, second = await inserted(pool, reservation("V1", offset=5), stop_sale(7))
    stored = await row(pool, first.id)
    assert {name: stored[name] for name in ("tenant_id", "kind", "email_id", "voucher_no")} == {
        "tenant_id": TENANT,
        "kind": "reservation",
        "email_id": 42,
        "voucher_no": "V1",
    }
    assert stored["payload"] == '{"adults": 2}'
    assert stored["content_hash"] == b"content"
    assert (stored["event_id"], stored["event_time"]) == ("event-V1-5", NOW)
    assert (stored["traceparent"], stored["tracestate"]) == (TRACEPARENT, TRACESTATE)
    assert (stored["origin_topic"], stored["origin_offset"]) == ("reservation.created", 5)
    assert (stored["lane"], stored["state"], stored["generation"]) == ("voucher:V1", "pending", 1)
    assert (stored["seq"], stored["registered_at"]) == (first.seq, first.registered_at)
    assert stored["sedna_synced"] is False
    stored = await row(pool, second.id)
    assert (stored["kind"], stored["stop_sale_id"], stored["business_key"]) == ("stop_sale", 7, "7")
    assert (stored["voucher_no"], stored["lane"], stored["event_time"]) == (None, None, None)


async def test_an_identity_that_exists_is_left_alone_and_missing_from_the_result(
    pool: Pool,
) -> None:
    (first,) = await inserted(pool, reservation("V1"))
    before = await row(pool, first.id)
    again = reservation("V1", offset=9, payload='{"adults": 3}', content_hash=b"other")
    places = await insert(pool, again, reservation("V2"))
    assert set(places) == {reservation("V2").identity}
    assert await row(pool, first.id) == before


async def test_the_same_voucher_of_another_tenant_or_kind_is_another_piece_of_work(
    pool: Pool,
) -> None:
    await insert(pool, reservation("7"))
    places = await insert(pool, reservation("7", tenant_id="agency-8"), stop_sale(7))
    assert len(places) == 2


async def test_two_processes_that_register_the_same_batch_make_each_sync_once(pool: Pool) -> None:
    batches = [reservation(f"V{number}") for number in range(50)]
    first, second = await asyncio.gather(insert(pool, *batches), insert(pool, *batches))
    assert len(first) + len(second) == 50
    assert not set(first) & set(second)


async def test_nothing_of_a_batch_is_stored_when_any_of_it_fails(pool: Pool) -> None:
    async def register() -> None:
        async with inbox.registration(pool) as transaction:
            await transaction.insert([reservation("V1")])
            await transaction.reject([rejection()])
            await transaction.add_messages([message()])
            await transaction.insert([reservation("V2", payload="no JSON")])

    with pytest.raises(DatabaseError):
        await register()
    for table in ("syncs", "rejections", "outbox"):
        assert await rows(pool, table) == []


async def test_what_is_known_of_an_identity_comes_back_for_the_comparison(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1", offset=5))
    await settlement.settle(
        pool, [settlement_of(place, state="pending", outcome="in_doubt", in_doubt_since=NOW)]
    )
    asked = [reservation("V1").identity, reservation("V2").identity, stop_sale(1).identity]
    async with inbox.registration(pool) as transaction:
        known = await transaction.existing(asked)
    assert set(known) == {reservation("V1").identity}
    found = known[reservation("V1").identity]
    assert (found.id, found.state, found.content_hash) == (place.id, "pending", b"content")
    assert (found.event_id, found.in_doubt_since) == ("event-V1-5", NOW)
    assert found.origin == Origin(topic="reservation.created", partition=0, offset=5)


async def test_what_is_compared_cannot_be_settled_meanwhile(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    async with inbox.registration(pool) as transaction:
        await transaction.existing([reservation("V1").identity])
        settling = asyncio.create_task(settlement.settle(pool, [settlement_of(place)]))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while await pool.fetchval(waiting) == 0:
            await asyncio.sleep(0.01)
        assert not settling.done()
    assert (await settling).ids == {place.id}


async def test_a_failed_sync_is_tried_anew_with_what_has_arrived(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    failed = settlement_of(
        place,
        state="failed",
        attempt=4,
        error_code="hotel_not_found",
        error_message="no hotel",
        error_details='{"candidates": []}',
    )
    await settlement.settle(pool, [failed])
    again = reservation(
        "V1",
        offset=9,
        email_id=43,
        payload='{"adults": 3}',
        content_hash=b"other",
        trace=None,
        event_time=None,
        origin=Origin(topic="reservation.created.v2", partition=1, offset=9),
    )
    async with inbox.registration(pool) as transaction:
        assert await transaction.insert([again]) == {}
        renewed = (await transaction.renew([(place.id, again)]))[again.identity]
    stored = await row(pool, place.id)
    assert (renewed.id, renewed.generation) == (place.id, 2)
    assert renewed.seq == stored["seq"] > place.seq
    assert renewed.registered_at == stored["registered_at"] > place.registered_at
    assert (stored["state"], stored["generation"], stored["attempts"]) == ("pending", 2, 0)
    assert (stored["payload"], stored["content_hash"]) == ('{"adults": 3}', b"other")
    assert (stored["email_id"], stored["event_id"]) == (43, "event-V1-9")
    assert (stored["event_time"], stored["traceparent"]) == (None, None)
    assert stored["tracestate"] is None
    assert (stored["origin_topic"], stored["origin_partition"], stored["origin_offset"]) == (
        "reservation.created.v2",
        1,
        9,
    )
    for empty in ("error_code", "error_message", "error_details", "settled_at", "next_attempt_at"):
        assert stored[empty] is None


async def test_a_new_try_keeps_the_doubt_and_the_record_that_a_first_step_made(pool: Pool) -> None:
    (place,) = await inserted(pool, stop_sale(7))
    doubt = settlement_of(place, state="failed", in_doubt_since=NOW, rec_id=823259, hotel_id=18)
    await settlement.settle(pool, [doubt])
    async with inbox.registration(pool) as transaction:
        await transaction.insert([stop_sale(7, offset=1)])
        renewed = await transaction.renew([(place.id, stop_sale(7, offset=1))])
    again = renewed[stop_sale(7).identity]
    assert (again.in_doubt_since, again.sedna_rec_id) == (NOW, 823259)


@pytest.mark.parametrize("state", ["pending", "synced"])
async def test_only_a_failed_sync_is_tried_anew(pool: Pool, state: str) -> None:
    (place,) = await inserted(pool, reservation("V1"))
    await settlement.settle(pool, [settlement_of(place, state=state)])
    before = await row(pool, place.id)
    again = reservation("V1", offset=9)
    async with inbox.registration(pool) as transaction:
        await transaction.insert([again])
        assert await transaction.renew([(place.id, again)]) == {}
    assert await row(pool, place.id) == before


async def test_new_work_and_new_tries_of_a_batch_are_in_the_order_of_the_batch(pool: Pool) -> None:
    # Enough, and in such an order, that a join in the order of the table would show.
    failed = await inserted(pool, *(stop_sale(number) for number in range(40)))
    await settlement.settle(pool, [settlement_of(place, state="failed") for place in failed])
    batch = [stop_sale(number, offset=100 - number) for number in reversed(range(80))]
    batch = batch[::2] + batch[1::2]
    async with inbox.registration(pool) as transaction:
        new = await transaction.insert(batch)
        old = [arrival for arrival in batch if arrival.identity not in new]
        assert len(old) == 40
        known = await transaction.existing([arrival.identity for arrival in old])
        await transaction.renew([(known[arrival.identity].id, arrival) for arrival in old])
    stored = await pool.fetch("SELECT stop_sale_id FROM syncs ORDER BY seq")
    assert [each["stop_sale_id"] for each in stored] == [each.stop_sale_id for each in batch]


async def test_a_rejection_is_stored_byte_for_byte(pool: Pool) -> None:
    rejected = rejection()
    async with inbox.registration(pool) as transaction:
        assert await transaction.reject([rejected]) == {(rejected.origin, b"digest")}
    (stored,) = await rows(pool, "rejections")
    assert (stored["key"], stored["value"]) == (b"\xffkey\x00", b"\x00\xff{")
    assert decode(stored["headers"]) == rejected.headers
    assert (stored["origin_topic"], stored["origin_partition"]) == ("reservation.created", 3)
    assert (stored["origin_timestamp"], stored["tenant_id"]) == (NOW, None)
    assert (stored["error_code"], stored["error_message"], stored["error_details"]) == (
        "invalid_event",
        "key: must be a tenant id",
        '{"problems": []}',
    )


async def test_what_has_no_key_value_or_time_is_stored_as_such(pool: Pool) -> None:
    empty = replace(rejection(), key=None, value=None, timestamp=None, headers=())
    async with inbox.registration(pool) as transaction:
        await transaction.reject([empty, replace(rejection(1), key=b"", value=b"")])
    first, second = await rows(pool, "rejections")
    assert (first["key"], first["value"], first["origin_timestamp"]) == (None, None, None)
    assert decode(first["headers"]) == ()
    assert (second["key"], second["value"]) == (b"", b"")


async def test_a_rejection_that_is_delivered_again_is_stored_once(pool: Pool) -> None:
    async with inbox.registration(pool) as transaction:
        await transaction.reject([rejection(1), rejection(2)])
    async with inbox.registration(pool) as transaction:
        new = await transaction.reject([rejection(1), rejection(2), rejection(3)])
    assert new == {(rejection(3).origin, b"digest")}
    assert len(await rows(pool, "rejections")) == 3


async def test_a_rejection_twice_in_one_batch_is_stored_once(pool: Pool) -> None:
    async with inbox.registration(pool) as transaction:
        assert len(await transaction.reject([rejection(1), rejection(1)])) == 1
    assert len(await rows(pool, "rejections")) == 1


async def test_the_same_place_of_a_topic_that_was_created_anew_is_another_rejection(
    pool: Pool,
) -> None:
    async with inbox.registration(pool) as transaction:
        await transaction.reject([rejection(1, b"old")])
    async with inbox.registration(pool) as transaction:
        assert len(await transaction.reject([rejection(1, b"new")])) == 1


async def test_messages_are_put_into_the_outbox_in_order_and_the_first_id_is_told(
    pool: Pool,
) -> None:
    odd = message("second", tenant_id=None, key=b"\x00\xff", headers=(("\x00", b"\xff"),))
    async with inbox.registration(pool) as transaction:
        first = await transaction.add_messages([message("first"), odd, message(value=None)])
    stored = await rows(pool, "outbox")
    assert [each["value"] for each in stored] == [b"first", b"second", None]
    assert first == stored[0]["id"]
    assert (stored[1]["tenant_id"], stored[1]["key"]) == (None, b"\x00\xff")
    assert decode(stored[1]["headers"]) == (("\x00", b"\xff"),)
    assert stored[0]["kind"] == Kind.RESERVATION


async def test_times_come_back_aware_and_in_utc(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    assert place.registered_at.tzinfo is not None
    assert place.registered_at.utcoffset() == datetime.now(UTC).utcoffset()
