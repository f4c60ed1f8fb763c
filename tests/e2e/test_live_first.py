"""Live work goes before a replay of its tenant, and order holds where it matters."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.e2e.conftest import WorldFactory
from tests.support.events import (
    HOTELS,
    account,
    record_users,
    reservation,
    reservation_data,
    stop_sale,
    stop_sale_data,
)
from tests.support.service import World

RESERVATIONS, STOP_SALES = 200, 200
#: Every so many replayed stop sales one names a hotel that nobody knows.
NOWHERE = 50
MANDARIN = 101
STATE = "SELECT state FROM syncs WHERE stop_sale_id = $1"
REPLAY = """
INSERT INTO syncs (tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, content_hash,
                   event_id, event_time, origin_topic, origin_partition, origin_offset, lane,
                   replayed, replay_id)
SELECT $1, $2, (data ->> 'email_id')::bigint, data ->> 'voucher_no',
       (data ->> 'stop_sale_id')::bigint, data, '', 'replayed-' || place, '2026-10-01', $3, $4,
       $5 + place, 'voucher:' || (data ->> 'voucher_no'), true, 1
FROM unnest($6::text[]) WITH ORDINALITY AS given (text, place),
LATERAL (SELECT text::jsonb) AS parsed (data)
ORDER BY place
"""
#: How many of a tenant's replayed syncs were settled before a live one.
BEFORE = """
SELECT count(*) FROM syncs
WHERE replayed AND tenant_id = 'a' AND settled_at < (
    SELECT max(settled_at) FROM syncs WHERE NOT replayed AND tenant_id = $1 AND kind = $2
)
"""


async def replay(
    here: World,
    kind: str,
    data: Iterable[dict[str, Any]],
    *,
    partition: int = 0,
    after: int = 10_000,
) -> None:
    """Register what a replay of tenant a would, behind an offset, and tell the owner."""
    topics = {"reservation": here.topics.reservations, "stop_sale": here.topics.stop_sales}
    texts = [json.dumps(each) for each in data]
    await here.query(REPLAY, "a", kind, topics[kind], partition, after, texts)
    await here.query("SELECT pg_notify('sedna_sync_work', $1)", f"{kind}:{partition}:a")


async def test_live_work_settles_before_the_bulk_of_a_replay_and_each_hotel_keeps_its_order(
    world: WorldFactory,
) -> None:
    async with world([account("a", latency_seconds=0.1), account("b")]) as here:
        here.settings |= {"MAX_IN_FLIGHT_PER_TENANT": "4"}
        await here.start()
        await replay(here, "reservation", (reservation_data(n) for n in range(RESERVATIONS)))
        # The first ten are of the live one's hotel; the others must not hold it up.
        others = [name for number, name in HOTELS if number != MANDARIN]
        names = [
            "Nowhere Palace" if n % NOWHERE == 7 else HOTELS[0][1] if n < 10 else others[n % 4]
            for n in range(STOP_SALES)
        ]
        await replay(
            here,
            "stop_sale",
            (stop_sale_data(n, hotel_name=name) for n, name in enumerate(names)),
        )
        begun = "SELECT 'some' FROM syncs WHERE replayed AND state <> 'pending' LIMIT 1"
        await here.until_value("some", begun)

        await here.publish_reservations([("a", reservation("a", 1000))])
        await here.publish_stop_sales(
            [("a", stop_sale("a", 1000, sedna_hotel_id=MANDARIN, is_close=False))]
        )
        await here.publish_reservations(("b", reservation("b", n)) for n in range(20))
        total = RESERVATIONS + STOP_SALES
        await here.until_settled(total + 22, timeout_seconds=120)

        # 400 take many times what the live ones take; a half is far from either.
        for tenant, kind in (("a", "reservation"), ("a", "stop_sale"), ("b", "reservation")):
            assert await here.value(BEFORE, tenant, kind) < total / 2
        nowhere = names.count("Nowhere Palace")
        failed = "SELECT count(*) FROM syncs WHERE state = 'failed' AND error_code = $1"
        assert await here.value(failed, "hotel_not_found") == nowhere
        held = here.fake.holdings("a")
        made = [n for n, name in enumerate(names) if name != "Nowhere Palace"]
        assert held.stop_sales == record_users([*made, 1000])
        assert not held.incomplete_stop_sales
        assert sum(held.vouchers.values()) == RESERVATIONS + 1
        order = defaultdict(list)
        for record in here.fake.account("a").stop_sales.records.values():
            order[record.body["HotelId"]].append(int(record.record_user.rpartition(":")[2]))
        assert len(order) == 5
        assert all(numbers == sorted(numbers) for numbers in order.values())


async def test_a_replayed_stop_sale_does_not_undo_what_followed_it_in_the_topic(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        opening = {"sedna_hotel_id": MANDARIN, "is_close": False, "room_types": []}
        await here.publish_stop_sales(
            [("a", stop_sale("a", 5, sedna_hotel_id=102)), ("a", stop_sale("a", 2, **opening))]
        )
        await here.until_settled(2)
        later = "SELECT id, origin_partition, origin_offset FROM syncs WHERE stop_sale_id = 2"
        [(later_id, partition, offset)] = await here.query(later)
        # Both are read again; one stands before what has opened the hotel, one behind it.
        for number, after in ((1, offset - 2), (3, offset)):
            closing = stop_sale_data(number, sedna_hotel_id=MANDARIN)
            await replay(here, "stop_sale", [closing], partition=partition, after=after)
        await here.until_value("failed", STATE, 1)
        await here.until_value("synced", STATE, 3)
        await here.until_settled(4)

        assert here.fake.holdings("a").stop_sales == record_users([2, 3, 5])
        [result] = [each for each in await here.results() if each["type"] == "sedna.failed"]
        error = result["data"]["error"]
        assert error["code"] == "superseded"
        assert error["details"]["superseded_by"] == {"stop_sale_id": 2, "sync_id": later_id}

        sync_id = await here.value("SELECT id FROM syncs WHERE stop_sale_id = 1")
        retry = ("retry", "--id", str(sync_id), "--yes", "--json")
        code, out, _ = await here.command(*retry)
        assert (code, json.loads(out)["retried"]) == (0, 0)
        code, out, _ = await here.command(*retry, "--force")
        assert (code, json.loads(out)["retried"]) == (0, 1)
        await here.until_value("synced", STATE, 1)
        assert here.fake.holdings("a").stop_sales == record_users([1, 2, 3, 5])
