"""A create whose outcome is unknown is held and shown, and never sent again unasked."""

from typing import Any

from consumer.demo.fake import Fault, FaultKind, When
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale
from tests.support.service import World

SHORT = {
    "CONNECT_TIMEOUT": "3",
    "REQUEST_TIMEOUT": "3",
    "LEASE": "4",
    "RETRY_BASE": "0.1",
    "RETRY_CAP": "0.2",
}
UNKNOWN: tuple[dict[str, Any], ...] = (
    {"kind": FaultKind.RESET, "when": When.AFTER_COMMIT},
    {"kind": FaultKind.RESET},
    {"kind": FaultKind.CLOSE, "when": When.AFTER_COMMIT},
    {"kind": FaultKind.HANG},
    {"kind": FaultKind.STATUS, "status": 500, "when": When.AFTER_COMMIT},
    {"kind": FaultKind.STATUS, "status": 503},
    {"kind": FaultKind.HALF_HEADER},
    {"kind": FaultKind.HALF_BODY},
    {"kind": FaultKind.RUBBISH_2XX},
    {"kind": FaultKind.REDIRECT},
)
IN_DOUBT = "SELECT count(*) FROM syncs WHERE state = 'pending' AND in_doubt_since IS NOT NULL"
SYNCED = "SELECT count(*) FROM syncs WHERE state = 'synced'"


def inserts(here: World) -> list[str | None]:
    """The vouchers that were sent, in order."""
    return [call.voucher for call in here.fake.requests("InsertReservation")]


async def test_a_reservation_whose_outcome_is_unknown_is_held_and_never_sent_again_also_by_the_next_process(  # noqa: E501
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT
        for number, fault in enumerate(UNKNOWN):
            here.fake.faults.add(
                Fault(operation="InsertReservation", voucher=f"V{number:06}", **fault)
            )
        service = await here.start()
        everything = range(len(UNKNOWN) + 5)
        await here.publish_reservations(("a", reservation("a", number)) for number in everything)
        await here.until_value(len(UNKNOWN), IN_DOUBT)
        await here.until_value(5, SYNCED)
        assert len(service.lines("in_doubt")) == len(UNKNOWN)
        since = await here.query("SELECT id, in_doubt_since FROM syncs ORDER BY id")

        here.fake.faults.clear()
        assert await service.stop() == 0
        await here.start()
        # What comes later is done meanwhile, and what is in doubt is not touched.
        await here.publish_reservations(("a", reservation("a", 100 + n)) for n in range(5))
        await here.until_value(10, SYNCED)

        sent = inserts(here)
        assert len(sent) == len(set(sent)) == len(everything) + 5
        assert await here.value(IN_DOUBT) == len(UNKNOWN)
        again = await here.query("SELECT id, in_doubt_since FROM syncs ORDER BY id LIMIT 15")
        assert again == since
        assert {each["type"] for each in await here.results()} == {"sedna.synced"}


async def test_a_process_killed_with_a_create_in_flight_leaves_it_in_doubt_and_not_to_be_sent(
    world: WorldFactory,
) -> None:
    tenants = [f"tenant-{number}" for number in range(100)]
    async with world([account(name) for name in tenants]) as here:
        here.fake.faults.add(Fault(kind=FaultKind.HANG, operation="InsertReservation"))
        here.settings |= SHORT
        service = await here.start()
        await here.publish_reservations((name, reservation(name, 1)) for name in tenants)
        await here.fake.until(lambda fake: fake.hung == len(tenants))
        await service.kill()
        here.fake.faults.clear()
        # What has arrived meanwhile must not keep the next process from seeing what was left.
        await here.publish_reservations((name, reservation(name, 2)) for name in tenants)

        await here.start_after_kill()
        await here.until_value(len(tenants), SYNCED)
        await here.until_value(len(tenants), IN_DOUBT, timeout_seconds=20)
        assert inserts(here).count("V000001") == len(tenants)
        marks = await here.query(
            "SELECT dispatched_at, in_doubt_since FROM syncs WHERE state = 'pending'"
        )
        assert all(each["dispatched_at"] == each["in_doubt_since"] for each in marks)


async def test_a_stop_sale_in_doubt_holds_its_hotel_and_no_other_also_in_the_next_process(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.fake.faults.add(
            Fault(
                kind=FaultKind.RESET,
                when=When.AFTER_COMMIT,
                operation="UpdateStopSale",
                step=1,
                times=1,
            )
        )
        service = await here.start_after_kill()
        await here.publish_stop_sales([("a", stop_sale("a", 1, sedna_hotel_id=101))])
        await here.until_value(1, IN_DOUBT)
        same_hotel = [("a", stop_sale("a", number, sedna_hotel_id=101)) for number in (2, 3)]
        await here.publish_stop_sales([same_hotel[0], ("a", stop_sale("a", 4, sedna_hotel_id=102))])
        await here.until_value(1, SYNCED)
        assert await service.stop() == 0

        await here.start()
        await here.publish_stop_sales([same_hotel[1], ("a", stop_sale("a", 5, sedna_hotel_id=103))])
        await here.until_value(2, SYNCED, timeout_seconds=20)
        assert here.fake.holdings("a").stop_sales == record_users([4, 5])
        assert here.fake.holdings("a").incomplete_stop_sales == record_users([1])
        assert await here.value(IN_DOUBT) == 1
        waiting = "SELECT count(*) FROM syncs WHERE state = 'pending' AND dispatched_at IS NULL"
        assert await here.value(waiting) == 2


async def test_a_process_killed_with_step_one_in_flight_leaves_the_stop_sale_in_doubt(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT
        here.fake.faults.add(Fault(kind=FaultKind.HANG, operation="UpdateStopSale", step=1))
        service = await here.start_after_kill()
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await here.fake.until(lambda fake: fake.hung == 1)
        await service.kill()
        here.fake.faults.clear()

        await here.start_after_kill()
        await here.until_value(1, IN_DOUBT)
        await here.publish_stop_sales([("a", stop_sale("a", 2))])
        await here.until_value(1, SYNCED, timeout_seconds=20)
        users = [call.record_user for call in here.fake.requests("UpdateStopSale")]
        assert users == ["sedna-sync:1", "sedna-sync:2", "sedna-sync:2"]
