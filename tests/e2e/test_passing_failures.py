"""Failures that pass are tried again, from Postgres, with patience, and at last succeed."""

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale

#: And no breaker in between: here each sync is tried again for itself.
SOON = {
    "RETRY_BASE": "0.2",
    "RETRY_CAP": "1",
    "BREAKER_FAILURES": "1000000",
    "BREAKER_COOL_DOWN": "0.2",
}
HISTORY = "SELECT outcome, error_message, attempt FROM sync_attempts WHERE sync_id = $1 ORDER BY id"


async def test_what_sedna_refuses_to_connect_is_retried_and_synced_once_it_is_up_also_by_a_new_process(  # noqa: E501
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SOON
        await here.fake.down()
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(5))
        await here.publish_stop_sales(("a", stop_sale("a", number)) for number in range(5))
        await service.until_logged("will_retry", times=20)
        assert await service.stop() == 0

        service = await here.start()
        await service.until_logged("will_retry", times=5)
        await here.fake.up()
        await here.until_settled(10)

        held = here.fake.holdings("a")
        assert held.vouchers == {f"V{number:06}": 1 for number in range(5)}
        assert held.stop_sales == record_users(range(5))
        for sync in await here.query("SELECT * FROM syncs WHERE kind = 'reservation'"):
            history = await here.query(HISTORY, sync["id"])
            assert [each["attempt"] for each in history] == list(range(1, sync["attempts"] + 1))
            *tries, last = [each["outcome"] for each in history]
            assert last == "synced"
            assert set(tries) == {"retry"}
            assert all(each["error_message"] for each in history[:-1])
        assert {each["type"] for each in await here.results()} == {"sedna.synced"}


async def test_429_is_retried_not_before_sedna_says(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= SOON
        here.fake.faults.add(
            Fault(
                kind=FaultKind.STATUS,
                status=429,
                retry_after="2",
                operation="InsertReservation",
                times=1,
            )
        )
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)

        first, second = here.fake.requests("InsertReservation")
        assert second.monotonic_ns - first.monotonic_ns >= 2e9
        assert here.fake.holdings("a").vouchers == {"V000001": 1}
        assert await here.value("SELECT attempts FROM syncs") == 2


async def test_a_session_that_has_expired_is_renewed_and_nobody_notices(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await here.until_settled(1)
        here.fake.expire_sessions()
        await here.publish_stop_sales([("a", stop_sale("a", 2))])
        await here.publish_reservations([("a", reservation("a", 3))])
        await here.until_settled(3)

        assert here.fake.account("a").logins == 2
        assert not service.lines("will_retry")
        assert await here.value("SELECT max(attempts) FROM syncs") == 1


async def test_the_second_step_of_a_stop_sale_is_repeated_on_the_record_of_the_first(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SOON
        for kind in (FaultKind.STATUS, FaultKind.RESET, FaultKind.HALF_BODY):
            here.fake.faults.add(Fault(kind=kind, operation="UpdateStopSale", step=2, times=1))
        service = await here.start()
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await here.until_settled(1)

        steps = [call.step for call in here.fake.requests("UpdateStopSale")]
        assert steps == [1, 2, 2, 2, 2]
        assert here.fake.holdings("a").stop_sales == record_users([1])
        assert not service.lines("in_doubt")


async def test_a_process_killed_between_the_steps_leaves_one_record_that_the_next_completes(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= {"CONNECT_TIMEOUT": "5", "REQUEST_TIMEOUT": "5", "LEASE": "6"}
        here.fake.faults.add(Fault(kind=FaultKind.HANG, operation="UpdateStopSale", step=2))
        service = await here.start()
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await here.fake.until(lambda fake: fake.hung == 1)
        await service.kill()
        here.fake.faults.clear()
        (record,) = here.fake.account("a").stop_sales.records.values()
        assert not record.complete

        await here.start_after_kill()
        await here.until_settled(1)

        assert list(here.fake.account("a").stop_sales.records) == [record.rec_id]
        assert here.fake.holdings("a").stop_sales == record_users([1])
        assert await here.value("SELECT sedna_rec_id FROM syncs") == record.rec_id
