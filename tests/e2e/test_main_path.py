"""The main path: events in, Sedna synced, status in Postgres, results out."""

from collections import Counter

from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale

TENANTS = [f"tenant-{number:02}" for number in range(20)]
RESERVATIONS, STOP_SALES = 50, 10  # of each tenant


async def test_each_event_makes_one_record_and_one_answer_however_often_it_is_published(
    world: WorldFactory,
) -> None:
    async with world([account(name) for name in TENANTS], partitions=6) as here:
        reservations = [
            (tenant, reservation(tenant, number))
            for number in range(RESERVATIONS)
            for tenant in TENANTS
        ]
        stop_sales = [
            (tenant, stop_sale(tenant, number))
            for number in range(STOP_SALES)
            for tenant in TENANTS
        ]
        await here.publish_reservations(reservations)
        await here.publish_stop_sales(stop_sales)
        total = len(reservations) + len(stop_sales)

        service = await here.start()
        await here.until_settled(total)

        for tenant in TENANTS:
            held = here.fake.holdings(tenant)
            assert held.vouchers == {f"V{number:06}": 1 for number in range(RESERVATIONS)}
            assert held.stop_sales == record_users(range(STOP_SALES))
            assert not held.incomplete_stop_sales
        rows = await here.query("SELECT state, sedna_synced, attempts, sedna_rec_id FROM syncs")
        assert Counter(row["state"] for row in rows) == {"synced": total}
        assert all(row["sedna_synced"] and row["attempts"] == 1 for row in rows)
        results = await here.results()
        assert Counter(result["type"] for result in results) == {"sedna.synced": total}
        assert len({result["id"] for result in results}) == total
        origins = {tuple(result["data"]["origin"].items()) for result in results}
        assert len(origins) == total
        recorded = {row["sedna_rec_id"] for row in rows}
        assert {result["data"]["sedna_rec_id"] for result in results} == recorded

        # The same events again.
        await here.publish_reservations(reservations)
        await here.publish_stop_sales(stop_sales)
        assert await service.stop() == 0
        again = await here.start()
        inserted = here.fake.calls("InsertReservation")
        await here.until_committed()
        assert await again.stop() == 0
        assert here.fake.calls("InsertReservation") == inserted
        for tenant in TENANTS:
            assert sum(here.fake.holdings(tenant).vouchers.values()) == RESERVATIONS
        assert len(await here.results()) == total
