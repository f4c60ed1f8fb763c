"""A batch of Kafka records, from their bytes to rows: what each becomes and is answered."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from consumer.arrivals import Readable, Record, Unreadable, read
from consumer.registrar import Registrar, Registration
from consumer.sync import Sync
from db import outbox, settlement
from db.pool import Pool
from db.records import Origin, OutboxRow, Registered
from schemas import examples
from schemas.kinds import Kind
from tests.integration.db.builders import NOW, row, rows, settlement_of

TENANT = examples.TENANT_ID
Make = Callable[[], dict[str, Any]]
EXAMPLE: dict[Kind, Make] = {
    Kind.RESERVATION: examples.reservation_created,
    Kind.STOP_SALE: examples.stop_sale_created,
}
TOPIC = {Kind.RESERVATION: "reservation.created", Kind.STOP_SALE: "stopsale.created"}


class StoppedClock:
    def now(self) -> datetime:
        return NOW

    def elapsed(self) -> float:
        return 0.0


def record(
    value: bytes | None,
    *,
    kind: Kind = Kind.RESERVATION,
    offset: int = 0,
    key: bytes | None = TENANT.encode(),
    headers: tuple[tuple[str, bytes], ...] = (),
    timestamp: datetime | None = datetime(2026, 5, 1, 9, 30, 0, 123000, UTC),
) -> Record:
    return Record(
        kind=kind,
        origin=Origin(topic=TOPIC[kind], partition=3, offset=offset),
        timestamp=timestamp,
        key=key,
        value=value,
        headers=headers,
    )


def event(
    kind: Kind = Kind.RESERVATION,
    *,
    offset: int = 0,
    tenant: str = TENANT,
    **data: Any,
) -> Record:
    """The example, at an offset, with an id of its own, and other data where given."""
    made = EXAMPLE[kind]()
    made |= {"id": f"event-{offset}", "tenantid": tenant, "data": made["data"] | data}
    return record(json.dumps(made).encode(), kind=kind, offset=offset, key=tenant.encode())


async def register(pool: Pool, *records: Record) -> Registration:
    registrar = Registrar(
        pool=pool,
        clock=StoppedClock(),
        topic_failed="sedna.failed",
        topic_deadletter="sedna.deadletter",
        on_seen=lambda _: None,
    )
    events = [read(each) for each in records]
    return await registrar.register(
        [each for each in events if isinstance(each, Readable)],
        [each for each in events if isinstance(each, Unreadable)],
    )


async def settle(pool: Pool, sync: Sync, state: str, **changes: Any) -> None:
    place = Registered(
        id=sync.id, seq=sync.seq, generation=sync.generation, registered_at=sync.registered_at
    )
    await settlement.settle(pool, [settlement_of(place, state=state, answer=None, **changes)])


async def messages(pool: Pool) -> list[OutboxRow]:
    return await outbox.page(pool, [(kind, 3) for kind in Kind], after=0, limit=100)


async def results(pool: Pool) -> list[dict[str, Any]]:
    """The result events that wait in the outbox."""
    return [
        json.loads(each.value or b"")
        for each in await messages(pool)
        if each.topic == "sedna.failed"
    ]


def counted(done: Registration) -> dict[tuple[str, str], int]:
    return {(kind.value, outcome): number for (kind, outcome), number in done.seen.items()}


def offsets(syncs: Sequence[Sync]) -> list[int]:
    return [sync.origin.offset for sync in syncs]


async def test_a_new_event_is_work_to_do_and_is_not_answered_yet(pool: Pool) -> None:
    done = await register(pool, event(Kind.RESERVATION), event(Kind.STOP_SALE))
    assert counted(done) == {("reservation", "registered"): 1, ("stop_sale", "registered"): 1}
    reservation, stop_sale = done.syncs
    assert (reservation.tenant_id, reservation.item) == (TENANT, "reservation/42")
    assert (reservation.stored_lane, reservation.generation) == ("voucher:JNP123456", 1)
    assert (stop_sale.item, stop_sale.stored_lane) == ("stop-sale/7", None)
    assert (await row(pool, reservation.id))["seq"] == reservation.seq
    assert done.first_outbox_id is None
    assert await messages(pool) == []


async def test_the_work_is_in_the_order_of_the_topic(pool: Pool) -> None:
    batch = [event(offset=number, voucher_no=f"V{97 * number % 100}") for number in range(100)]
    done = await register(pool, *batch)
    assert offsets(done.syncs) == list(range(100))
    assert [sync.seq for sync in done.syncs] == sorted(sync.seq for sync in done.syncs)


async def test_a_batch_that_is_delivered_again_changes_nothing_and_is_not_answered_again(
    pool: Pool,
) -> None:
    batch = [
        event(offset=1),
        event(Kind.STOP_SALE, offset=2),
        record(b"rubbish", offset=3),
        record(b"rubbish", offset=4, key=None),
    ]
    first = await register(pool, *batch)
    assert first.first_outbox_id is not None
    before = {table: await rows(pool, table) for table in ("syncs", "rejections", "outbox")}
    again = await register(pool, *batch)
    assert again.syncs == []
    assert again.first_outbox_id is None
    assert counted(again) == {
        ("reservation", "duplicate"): 1,
        ("stop_sale", "duplicate"): 1,
        ("reservation", "rejected"): 2,
    }
    assert {table: await rows(pool, table) for table in before} == before


@pytest.mark.parametrize("state", ["pending", "synced", "failed"])
async def test_a_redelivery_changes_nothing_whatever_became_of_the_sync(
    pool: Pool, state: str
) -> None:
    (sync,) = (await register(pool, event())).syncs
    await settle(pool, sync, state)
    before = await row(pool, sync.id)
    again = await register(pool, event())
    assert (again.syncs, again.first_outbox_id) == ([], None)
    assert await row(pool, sync.id) == before


@pytest.mark.parametrize("state", ["pending", "synced"])
async def test_the_same_content_published_again_is_a_duplicate_without_an_answer(
    pool: Pool, state: str
) -> None:
    (sync,) = (await register(pool, event(offset=1))).syncs
    await settle(pool, sync, state)
    before = await row(pool, sync.id)
    again = await register(pool, event(offset=2))
    assert counted(again) == {("reservation", "duplicate"): 1}
    assert (again.syncs, again.first_outbox_id) == ([], None)
    assert await row(pool, sync.id) == before
    assert await messages(pool) == []


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("state", ["pending", "synced"])
async def test_other_content_is_a_conflict_that_is_answered_and_leaves_the_row_alone(
    pool: Pool, state: str, kind: Kind
) -> None:
    (sync,) = (await register(pool, event(kind, offset=1))).syncs
    await settle(pool, sync, state)
    before = await row(pool, sync.id)
    again = await register(pool, event(kind, offset=2, hotel_name="Elsewhere"))
    assert counted(again) == {(kind.value, "conflict"): 1}
    assert again.syncs == []
    assert await row(pool, sync.id) == before
    (message,) = await messages(pool)
    assert message.id == again.first_outbox_id
    assert (message.topic, message.key) == ("sedna.failed", TENANT.encode())
    (result,) = await results(pool)
    assert (result["type"], result["tenantid"]) == ("sedna.failed", TENANT)
    assert result["data"]["error"]["code"] == "conflict"
    assert result["data"]["error"]["details"] == {"state": state, "first_event_id": "event-1"}
    assert result["data"]["origin"] == {
        "event_id": "event-2",
        "topic": TOPIC[kind],
        "partition": 3,
        "offset": 2,
    }


async def test_a_conflict_that_is_delivered_again_is_counted_and_not_answered_again(
    pool: Pool,
) -> None:
    await register(pool, event(offset=1))
    for _ in range(2):
        done = await register(pool, event(offset=2, adults=1))
        assert counted(done) == {("reservation", "conflict"): 1}
    assert len(await results(pool)) == 1
    await register(pool, event(offset=3, adults=1))
    assert len(await results(pool)) == 2


async def test_a_conflict_at_the_same_place_of_a_topic_created_anew_is_answered(
    pool: Pool,
) -> None:
    await register(pool, event(offset=1))
    await register(pool, event(offset=2, adults=1))
    await register(pool, event(offset=2, adults=3))
    assert len({result["id"] for result in await results(pool)}) == 2


@pytest.mark.parametrize("again", [1, 2], ids=["redelivered", "published again"])
async def test_what_a_replay_registered_gives_way_no_more_once_its_event_comes_live(
    pool: Pool, again: int
) -> None:
    (sync,) = (await register(pool, event(offset=1))).syncs
    await pool.execute("UPDATE syncs SET replay_id = 5, replayed = true")
    done = await register(pool, event(offset=again))
    assert counted(done) == {("reservation", "duplicate"): 1}
    after = await row(pool, sync.id)
    assert (after["replayed"], after["replay_id"], after["state"]) == (False, 5, "pending")


async def test_a_new_try_that_comes_live_is_no_replay_s_any_more(pool: Pool) -> None:
    (sync,) = (await register(pool, event(offset=1))).syncs
    await pool.execute("UPDATE syncs SET replay_id = 5, replayed = true, state = 'failed'")
    await register(pool, event(offset=2))
    after = await row(pool, sync.id)
    assert (after["replayed"], after["replay_id"]) == (False, None)


async def test_a_conflict_is_answered_in_the_trace_of_its_own_event(pool: Pool) -> None:
    await register(pool, event(offset=1))
    came = event(offset=2, adults=1)
    traced = record(came.value, offset=2, headers=(("traceparent", examples.TRACEPARENT.encode()),))
    await register(pool, traced)
    (message,) = await messages(pool)
    assert ("traceparent", examples.TRACEPARENT.encode()) in message.headers


@pytest.mark.parametrize("changed", [{}, {"adults": 1}], ids=["same", "corrected"])
async def test_what_had_failed_is_tried_anew_with_what_the_new_event_says(
    pool: Pool, changed: dict[str, Any]
) -> None:
    (sync,) = (await register(pool, event(offset=1))).syncs
    await settle(pool, sync, "failed", error_code="hotel_not_found")
    again = await register(pool, event(offset=2, **changed))
    assert counted(again) == {("reservation", "registered"): 1}
    (renewed,) = again.syncs
    assert (renewed.id, renewed.generation) == (sync.id, 2)
    assert renewed.seq > sync.seq
    assert (renewed.event_id, renewed.origin.offset) == ("event-2", 2)
    assert (renewed.in_doubt_since, renewed.attempts) == (None, 0)
    assert again.first_outbox_id is None
    stored = await row(pool, sync.id)
    assert (stored["state"], stored["error_code"]) == ("pending", None)
    assert json.loads(stored["payload"])["adults"] == changed.get("adults", 2)


async def test_what_had_failed_in_doubt_is_tried_anew_in_doubt(pool: Pool) -> None:
    (sync,) = (await register(pool, event(offset=1))).syncs
    await settle(pool, sync, "failed", error_code="in_doubt_unresolved", in_doubt_since=NOW)
    (renewed,) = (await register(pool, event(offset=2))).syncs
    assert renewed.in_doubt_since == NOW
    assert (await row(pool, sync.id))["in_doubt_since"] == NOW


async def test_a_stop_sale_that_had_failed_after_its_first_step_keeps_its_record(
    pool: Pool,
) -> None:
    (sync,) = (await register(pool, event(Kind.STOP_SALE, offset=1))).syncs
    await settle(pool, sync, "failed", rec_id=823259)
    (renewed,) = (await register(pool, event(Kind.STOP_SALE, offset=2))).syncs
    assert renewed.rec_id == 823259


async def test_an_event_that_comes_twice_in_a_batch_is_registered_once(pool: Pool) -> None:
    done = await register(pool, event(offset=1), event(offset=2), event(offset=1))
    assert counted(done) == {("reservation", "registered"): 1, ("reservation", "duplicate"): 2}
    assert offsets(done.syncs) == [1]
    assert len(await rows(pool, "syncs")) == 1


async def test_other_content_later_in_the_same_batch_is_a_conflict(pool: Pool) -> None:
    done = await register(pool, event(offset=1), event(offset=2, adults=1))
    assert counted(done) == {("reservation", "registered"): 1, ("reservation", "conflict"): 1}
    assert offsets(done.syncs) == [1]
    (result,) = await results(pool)
    assert result["data"]["origin"]["offset"] == 2
    assert result["data"]["error"]["details"] == {"state": "pending", "first_event_id": "event-1"}


async def test_of_two_corrections_in_a_batch_the_first_is_tried_and_the_second_conflicts(
    pool: Pool,
) -> None:
    (sync,) = (await register(pool, event(offset=1))).syncs
    await settle(pool, sync, "failed")
    done = await register(pool, event(offset=2, adults=1), event(offset=3, adults=4))
    assert offsets(done.syncs) == [2]
    assert counted(done) == {("reservation", "registered"): 1, ("reservation", "conflict"): 1}


async def test_new_stop_sales_and_new_tries_of_old_ones_keep_the_order_of_the_topic(
    pool: Pool,
) -> None:
    first = await register(
        pool,
        event(Kind.STOP_SALE, offset=1, stop_sale_id=1),
        event(Kind.STOP_SALE, offset=2, stop_sale_id=2),
    )
    for sync in first.syncs:
        await settle(pool, sync, "failed")
    done = await register(
        pool,
        # Closes, opens, closes: in any other order the hotel ends in another state.
        event(Kind.STOP_SALE, offset=10, stop_sale_id=2),
        event(Kind.STOP_SALE, offset=11, stop_sale_id=3, is_close=False),
        event(Kind.STOP_SALE, offset=12, stop_sale_id=1),
        event(Kind.STOP_SALE, offset=13, stop_sale_id=4, is_close=False),
    )
    assert offsets(done.syncs) == [10, 11, 12, 13]
    stored = await pool.fetch("SELECT origin_offset FROM syncs ORDER BY seq")
    assert [each["origin_offset"] for each in stored] == [10, 11, 12, 13]


async def test_the_same_voucher_of_another_agency_is_work_of_its_own(pool: Pool) -> None:
    done = await register(pool, event(offset=1), event(offset=2, tenant="agency-8", adults=1))
    assert counted(done) == {("reservation", "registered"): 2}
    assert [sync.tenant_id for sync in done.syncs] == [TENANT, "agency-8"]


async def test_what_cannot_be_read_goes_to_the_dead_letters_as_it_came(pool: Pool) -> None:
    came = record(b"\x00rubbish\xff", offset=8, key=b"\xff", headers=(("x", b"\x00"), ("x", b"")))
    done = await register(pool, came)
    assert counted(done) == {("reservation", "rejected"): 1}
    (letter,) = await messages(pool)
    assert done.first_outbox_id == letter.id
    assert (letter.topic, letter.key, letter.value) == ("sedna.deadletter", came.key, came.value)
    assert letter.headers[:2] == came.headers
    told = dict(letter.headers[2:])
    assert told.pop("x-error-message")
    assert told == {
        "x-origin-topic": b"reservation.created",
        "x-origin-partition": b"3",
        "x-origin-offset": b"8",
        "x-origin-timestamp": b"1777627800123",
        "x-error-code": b"invalid_event",
    }


async def test_what_cannot_be_read_is_answered_to_the_tenant_that_its_key_names(
    pool: Pool,
) -> None:
    await register(pool, event(offset=8, check_out="2026-07-01"))
    letter, answer = await messages(pool)
    assert (letter.topic, answer.topic) == ("sedna.deadletter", "sedna.failed")
    assert answer.key == TENANT.encode()
    (result,) = await results(pool)
    assert result["subject"] == "reservation/42"
    assert result["data"]["error"]["code"] == "invalid_event"
    assert result["data"]["error"]["details"]["problems"][0]["field"] == "data.check_out"
    assert (result["data"]["origin"]["offset"], result["data"]["attempts"]) == (8, 0)


async def test_what_is_no_tenants_is_told_to_no_tenant(pool: Pool) -> None:
    await register(pool, record(event().value, key=b"not a tenant"))
    assert [each.topic for each in await messages(pool)] == ["sedna.deadletter"]


async def test_a_dead_letter_without_a_time_says_none(pool: Pool) -> None:
    await register(pool, record(None, timestamp=None))
    letter = (await messages(pool))[0]
    assert dict(letter.headers)["x-origin-timestamp"] == b""
    assert letter.value is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b'{"id": "\\u0000", "data": {"email_id": 1}}',
        b'{"id": "\\ud800", "type": "\\ud800", "data": {"\\ud800": 1}}',
        b'{"id": 1e999, "data": {"email_id": 99999999999999999999999}}',
        b"[" * 5000,
        b'{"data": ' * 500 + b"1" + b"}" * 500,
        b'{"' + b"k" * 100_000 + b'": 1}',
    ],
    ids=range(9),
)
@pytest.mark.parametrize("kind", Kind)
async def test_whatever_comes_can_be_stored_and_answered(
    pool: Pool, kind: Kind, value: bytes
) -> None:
    odd = record(value, kind=kind, headers=(("a\x00\ud800", b"\x00\xff"),))
    done = await register(pool, odd, event(kind, offset=1))
    assert counted(done) == {(kind.value, "rejected"): 1, (kind.value, "registered"): 1}
    (stored,) = await rows(pool, "rejections")
    assert stored["value"] == value
    assert len(await results(pool)) == 1


@pytest.mark.parametrize("kind", Kind)
async def test_texts_of_every_alphabet_come_back_from_the_database_as_they_came(
    pool: Pool, kind: Kind
) -> None:
    name = "İstanbul ıĞüş 東京 \U0001f3e8 \u202e \\u0000 \"quotes\" 'and' \x01"
    (sync,) = (await register(pool, event(kind, hotel_name=name))).syncs
    assert json.loads((await row(pool, sync.id))["payload"])["hotel_name"] == name


async def test_an_empty_batch_is_nothing(pool: Pool) -> None:
    done = await register(pool)
    assert (done.syncs, done.first_outbox_id, counted(done)) == ([], None, {})
