"""A tenant's long outage: what waits for it waits in Postgres, in order, and delays nobody else."""

from collections import Counter, defaultdict

from consumer.demo.fake import Fault, FaultKind, Hotel, Room
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale

CORRECTED, OTHERS, STOP_SALES = 50, 2800, 200
BACKLOG = CORRECTED + OTHERS + STOP_SALES
SETTLED = "SELECT count(*) FROM syncs WHERE tenant_id = $1 AND state <> 'pending'"


async def test_after_an_outage_everything_is_synced_in_order_and_others_were_synced_meanwhile(
    world: WorldFactory,
) -> None:
    async with world([account("down"), account("well")]) as here:
        here.settings |= {"RETRY_BASE": "1", "RETRY_CAP": "2", "BREAKER_COOL_DOWN": "1"}
        await here.start()
        await here.publish_reservations(
            ("down", reservation("down", number, hotel_name="Nowhere Palace"))
            for number in range(CORRECTED)
        )
        await here.until_value(CORRECTED, SETTLED, "down")

        here.fake.expire_sessions("down")
        outage = Fault(kind=FaultKind.STATUS, account="down", status=503)
        here.fake.faults.replace([Fault(kind=FaultKind.RESET, account="down"), outage])
        # What failed is corrected and published again, in front of a great deal of other work.
        await here.publish_reservations(
            ("down", reservation("down", number)) for number in range(CORRECTED + OTHERS)
        )
        await here.publish_stop_sales(
            ("down", stop_sale("down", number, is_close=number % 2 == 0))
            for number in range(STOP_SALES)
        )
        await here.publish_reservations(("well", reservation("well", n)) for n in range(50))
        await here.publish_stop_sales(("well", stop_sale("well", n)) for n in range(10))
        await here.until_value(60, SETTLED, "well")
        await here.until_read()
        assert await here.value(SETTLED, "down") == 0

        here.fake.faults.clear()
        await here.until_value(BACKLOG, SETTLED, "down")
        await here.until_settled(BACKLOG + 60)

        held = here.fake.holdings("down")
        assert held.vouchers == {f"V{number:06}": 1 for number in range(CORRECTED + OTHERS)}
        assert held.stop_sales == record_users(range(STOP_SALES))
        assert not held.incomplete_stop_sales
        order = defaultdict(list)
        for record in here.fake.account("down").stop_sales.records.values():
            order[record.body["HotelId"]].append(int(record.record_user.rpartition(":")[2]))
        assert len(order) == 5
        assert all(numbers == sorted(numbers) for numbers in order.values())
        types = Counter(result["type"] for result in await here.results())
        assert types == {"sedna.synced": BACKLOG + 60, "sedna.failed": CORRECTED}


async def test_a_group_that_reads_everything_again_makes_nothing_new(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(50))
        await here.publish_reservations([("a", reservation("a", 100, hotel_name="Nowhere"))])
        await here.publish_reservations([("a", b"no event")])
        await here.publish_stop_sales(("a", stop_sale("a", number)) for number in range(10))
        await here.until_read()
        await here.until_settled(61)
        assert await service.stop() == 0
        before = await here.query("SELECT * FROM syncs ORDER BY id")
        results = await here.results()
        calls = here.fake.journal.counts.total()

        here.group_id += "-anew"
        await here.start()
        await here.until_read()
        await here.until_settled(61)

        assert await here.query("SELECT * FROM syncs ORDER BY id") == before
        assert await here.value("SELECT count(*) FROM rejections") == 1
        assert await here.results() == results
        assert here.fake.journal.counts.total() == calls


async def test_a_correction_that_is_read_again_with_what_it_corrects_changes_nothing(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1, hotel_name="Nowhere"))])
        await here.until_value("failed", "SELECT state FROM syncs")
        await here.publish_reservations([("a", reservation("a", 1, adults=3))])
        await here.until_value("synced", "SELECT state FROM syncs")
        await here.until_settled(1)
        assert await service.stop() == 0
        before = await here.query("SELECT * FROM syncs")
        results = await here.results()

        here.group_id += "-anew"
        await here.start()
        await here.until_read()
        await here.until_settled(1)

        assert await here.query("SELECT * FROM syncs") == before
        assert here.fake.calls("InsertReservation") == 1
        assert here.fake.account("a").reservations.records[0].body["Adult"] == 3
        assert await here.results() == results


async def test_what_was_corrected_is_not_sent_when_it_is_read_again(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        for adults in (2, 3):
            await here.publish_reservations(
                [("a", reservation("a", 1, adults=adults, hotel_name="Yeni Konak Asmali"))]
            )
            await here.until_read()
            await here.until_settled(1)
        assert await service.stop() == 0
        results = await here.results()
        # It could be done now; but nobody has asked for it again.
        hotel = Hotel(id=1, name="Yeni Konak Asmali", rooms=(Room(1, "STD"),))
        here.fake.configure("a", hotels=(hotel,))

        here.group_id += "-anew"
        await here.start()
        await here.until_read()
        await here.until_settled(1)
        assert not here.fake.account("a").reservations.records
        assert await here.results() == results
