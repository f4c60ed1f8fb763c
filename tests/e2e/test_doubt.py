"""A create whose outcome is unknown is settled with Sedna: adopted, or sent again if absent."""

from typing import Any

from consumer.demo.fake import Fault, FaultKind, When
from consumer.demo.fake.state import Moment
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale
from tests.support.service import World

SHORT = {
    "CONNECT_TIMEOUT": "2",
    "REQUEST_TIMEOUT": "2",
    "LEASE": "4",
    "RETRY_BASE": "0.1",
    "RETRY_CAP": "0.5",
    "DOUBT_WINDOW": "2",
    "BREAKER_COOL_DOWN": "0.3",
}
DONE: tuple[dict[str, Any], ...] = (
    {"kind": FaultKind.RESET, "when": When.AFTER_COMMIT},
    {"kind": FaultKind.CLOSE, "when": When.AFTER_COMMIT},
    {"kind": FaultKind.STATUS, "status": 500, "when": When.AFTER_COMMIT},
    {"kind": FaultKind.HALF_HEADER},
    {"kind": FaultKind.HALF_BODY},
    {"kind": FaultKind.RUBBISH_2XX},
    {"kind": FaultKind.LATE_COMMIT, "seconds": 0.7},
)
NOT_DONE: tuple[dict[str, Any], ...] = (
    {"kind": FaultKind.RESET},
    {"kind": FaultKind.CLOSE},
    {"kind": FaultKind.STATUS, "status": 503},
    {"kind": FaultKind.REDIRECT},
)
SYNCED = "SELECT count(*) FROM syncs WHERE state = 'synced'"
IN_DOUBT = "SELECT count(*) FROM syncs WHERE state = 'pending' AND in_doubt_since IS NOT NULL"


def doubts(here: World, operation: str, faults: tuple[dict[str, Any], ...], first: int) -> None:
    """Each of these events meets its fault once."""
    for number, fault in enumerate(faults, start=first):
        here.fake.faults.add(Fault(operation=operation, voucher=f"V{number:06}", times=1, **fault))


async def test_what_sedna_has_is_adopted_and_what_it_lacks_is_sent_again(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT
        doubts(here, "InsertReservation", DONE, 0)
        doubts(here, "InsertReservation", NOT_DONE, 100)
        numbers = [*range(len(DONE)), *range(100, 100 + len(NOT_DONE)), 200]
        await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in numbers)
        await here.until_settled(len(numbers))

        vouchers = {f"V{number:06}": 1 for number in numbers}
        assert here.fake.holdings("a").vouchers == vouchers
        results = {each["data"]["voucher_no"]: each for each in await here.results()}
        assert {each["type"] for each in results.values()} == {"sedna.synced"}
        adopted = {voucher for voucher, each in results.items() if each["data"]["adopted"]}
        assert adopted == {f"V{number:06}" for number in range(len(DONE))}
        records = here.fake.account("a").reservations.records
        held = {each.voucher: each.rec_id for each in records}
        for voucher, each in results.items():
            assert each["data"]["sedna_rec_id"] == held[voucher]
        assert await here.value("SELECT count(*) FROM syncs WHERE in_doubt_since IS NOT NULL") == 0


async def test_nothing_is_sent_again_before_the_doubt_window_is_over(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT | {"DOUBT_WINDOW": "3600"}
        doubts(here, "InsertReservation", NOT_DONE, 0)
        await here.start()
        numbers = range(len(NOT_DONE))
        await here.publish_reservations(("a", reservation("a", number)) for number in numbers)
        await here.until_value(len(NOT_DONE), IN_DOUBT)
        # It was asked for many times meanwhile.
        await here.fake.until(lambda fake: fake.calls("GetReservations") > 10 * len(NOT_DONE))
        assert here.fake.calls("InsertReservation") == len(NOT_DONE)


async def test_what_a_killed_process_had_sent_is_settled_by_the_next_one(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        here.settings |= SHORT
        for operation in ("InsertReservation", "UpdateStopSale"):
            here.fake.faults.add(Fault(kind=FaultKind.HANG, operation=operation, account="a"))
        for operation in ("InsertReservation", "UpdateStopSale"):
            here.fake.faults.add(
                Fault(kind=FaultKind.HANG, operation=operation, account="b", when=When.AFTER_COMMIT)
            )
        service = await here.start(REQUEST_TIMEOUT="30", LEASE="40")
        for name in ("a", "b"):
            await here.publish_reservations((name, reservation(name, n)) for n in range(3))
            await here.publish_stop_sales((name, stop_sale(name, n)) for n in range(3))
        await here.fake.until(lambda fake: fake.hung == 12)
        await service.kill()
        here.fake.faults.clear()
        here.fake.drop_connections()

        await here.start_after_kill()
        await here.until_settled(12)
        for name in ("a", "b"):
            held = here.fake.holdings(name)
            assert held.vouchers == {f"V{n:06}": 1 for n in range(3)}
            assert held.stop_sales == record_users(range(3))
            assert not held.incomplete_stop_sales


async def test_a_stop_sale_whose_record_was_made_unseen_is_found_and_completed(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT
        for kind in (FaultKind.RESET, FaultKind.HALF_BODY):
            here.fake.faults.add(
                Fault(
                    kind=kind, when=When.AFTER_COMMIT, operation="UpdateStopSale", step=1, times=1
                )
            )
        here.fake.faults.add(
            Fault(kind=FaultKind.CLOSE, operation="UpdateStopSale", step=1, times=1, skip=2)
        )
        await here.start()
        # Two of the same hotel and days, which only their recorder tells apart.
        await here.publish_stop_sales(
            ("a", stop_sale("a", number, sedna_hotel_id=101 + number // 2)) for number in range(4)
        )
        await here.until_settled(4)
        held = here.fake.holdings("a")
        assert held.stop_sales == record_users(range(4))
        assert not held.incomplete_stop_sales


async def test_a_stop_sale_in_doubt_holds_up_its_hotel_and_no_other(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT
        here.fake.faults.add(
            Fault(
                kind=FaultKind.RESET,
                when=When.AFTER_COMMIT,
                operation="UpdateStopSale",
                step=1,
                times=1,
            )
        )
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetStopSaleList"))
        service = await here.start()
        await here.publish_stop_sales([("a", stop_sale("a", 1, sedna_hotel_id=101))])
        await here.until_value(1, IN_DOUBT)
        same_hotel = [("a", stop_sale("a", number, sedna_hotel_id=101)) for number in (2, 3)]
        await here.publish_stop_sales([same_hotel[0], ("a", stop_sale("a", 4, sedna_hotel_id=102))])
        await here.until_value(1, SYNCED)
        assert await service.stop() == 0

        # Nor does it under the next owner.
        await here.start()
        await here.publish_stop_sales([same_hotel[1], ("a", stop_sale("a", 5, sedna_hotel_id=103))])
        await here.until_value(2, SYNCED, timeout_seconds=20)
        assert here.fake.holdings("a").stop_sales == record_users([4, 5])
        assert await here.value(IN_DOUBT) == 1
        here.fake.faults.clear()
        await here.until_settled(5)
        order = [call.record_user for call in here.fake.requests("UpdateStopSale")]
        assert order[-5:] == [
            "sedna-sync:1",  # step 2 of the record that was found
            *["sedna-sync:2"] * 2,
            *["sedna-sync:3"] * 2,
        ]


async def test_after_giving_up_a_doubt_a_new_try_begins_with_the_question(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT | {"GIVE_UP_AFTER": "4"}
        here.fake.faults.add(
            Fault(
                kind=FaultKind.RESET, when=When.AFTER_COMMIT, operation="InsertReservation", times=1
            )
        )
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetReservations"))
        await here.start()
        event = reservation("a", 1)
        await here.publish_reservations([("a", event)])
        await here.until_settled(1)
        (failed,) = await here.results()
        assert failed["data"]["error"]["code"] == "in_doubt_unresolved"
        row = (await here.query("SELECT error_code, in_doubt_since FROM syncs"))[0]
        assert (row["error_code"], row["in_doubt_since"] is None) == ("in_doubt_unresolved", False)

        # Published again once Sedna can be asked.
        here.fake.faults.clear()
        await here.publish_reservations([("a", event)])
        await here.until_value("synced", "SELECT state FROM syncs")
        assert here.fake.calls("InsertReservation") == 1
        assert await here.value("SELECT adopted FROM syncs")


async def test_of_two_records_none_is_adopted_and_none_is_added(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT | {"GIVE_UP_AFTER": "5"}
        here.fake.faults.add(
            Fault(kind=FaultKind.RESET, when=When.AFTER_COMMIT, operation="InsertReservation")
        )
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetReservations"))
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_value(1, IN_DOUBT)
        # Somebody enters the same voucher by hand.
        agency = here.fake.account("a")
        (made,) = agency.reservations.records
        stamp = made.stamp
        agency.insert(
            [made.body],
            voucher_no="V000001",
            at=Moment(request=stamp.request, monotonic_ns=stamp.monotonic_ns, wall=stamp.wall),
        )
        here.fake.faults.clear()
        await here.until_settled(1)
        (failed,) = await here.results()
        assert failed["data"]["error"]["code"] == "in_doubt_unresolved"
        assert "2 records" in failed["data"]["error"]["message"]
        assert here.fake.calls("InsertReservation") == 1
        assert await service.stop() == 0


async def test_a_corrected_event_does_not_double_what_the_first_one_had_made_unseen(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT | {"GIVE_UP_AFTER": "4"}
        here.fake.faults.add(
            Fault(
                kind=FaultKind.RESET, when=When.AFTER_COMMIT, operation="InsertReservation", times=1
            )
        )
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetReservations"))
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)
        here.fake.faults.clear()

        corrected = reservation("a", 1, adults=1, email_id=77, check_out="2026-12-09")
        await here.publish_reservations([("a", corrected)])
        await here.until_value("synced", "SELECT state FROM syncs")
        await here.until_settled(1)
        assert here.fake.holdings("a").vouchers == {"V000001": 1}
        codes = [each["data"]["error"]["code"] for each in await here.results()]
        assert codes == ["in_doubt_unresolved", "conflict"]
        row = (
            await here.query("SELECT payload->>'adults' AS adults, adopted, email_id FROM syncs")
        )[0]
        assert (row["adults"], row["adopted"], row["email_id"]) == ("2", True, 1)
