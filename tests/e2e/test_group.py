"""Several processes in one consumer group, and how a process ends."""

import asyncio

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale
from tests.support.service import ServiceProcess, World

TENANTS = [f"tenant-{number:02}" for number in range(8)]
RESERVATIONS, STOP_SALES = 60, 6  # of each tenant
TOTAL = len(TENANTS) * (RESERVATIONS + STOP_SALES)
SLOWLY = {"MAX_IN_FLIGHT_PER_TENANT": "2"}
HANG = Fault(kind=FaultKind.HANG, operation="InsertReservation")


async def publish(here: World) -> None:
    await here.publish_reservations(
        (tenant, reservation(tenant, number))
        for number in range(RESERVATIONS)
        for tenant in TENANTS
    )
    await here.publish_stop_sales(
        (tenant, stop_sale(tenant, number)) for number in range(STOP_SALES) for tenant in TENANTS
    )


async def everything_is_there_once(here: World) -> None:
    for tenant in TENANTS:
        held = here.fake.holdings(tenant)
        assert held.vouchers == {f"V{number:06}": 1 for number in range(RESERVATIONS)}
        assert held.stop_sales == record_users(range(STOP_SALES))
        assert not held.incomplete_stop_sales
    results = await here.results()
    assert [result["type"] for result in results] == ["sedna.synced"] * TOTAL
    assert len({result["id"] for result in results}) == TOTAL
    assert await here.value("SELECT count(*) FROM sync_attempts") == TOTAL


async def test_a_member_that_is_stopped_in_the_middle_leaves_its_work_to_the_other_whole(
    world: WorldFactory,
) -> None:
    async with world(
        [account(name, latency_seconds=0.05) for name in TENANTS], partitions=6
    ) as here:
        here.settings |= SLOWLY
        first, second = await here.start(), await here.start()
        await first.until_logged("partitions_assigned", times=2)
        await publish(here)
        await first.until_logged("synced", times=20)

        assert await first.stop() == 0
        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'pending'")
        await here.until_settled(TOTAL)
        assert await second.stop() == 0

        await everything_is_there_once(here)
        assert first.lines("synced")
        assert second.lines("synced")


async def test_a_member_that_joins_in_the_middle_takes_its_share_and_nothing_is_doubled(
    world: WorldFactory,
) -> None:
    async with world(
        [account(name, latency_seconds=0.1) for name in TENANTS], partitions=6
    ) as here:
        # It takes longer than the group to notice the new member, at its next heartbeat.
        here.settings |= {"MAX_IN_FLIGHT_PER_TENANT": "1"}
        first = await here.start()
        await publish(here)
        await first.until_logged("synced", times=20)

        second = await here.start()
        await here.until_settled(TOTAL)

        await everything_is_there_once(here)
        assert first.lines("synced")
        assert second.lines("synced")


async def test_after_a_rebalance_only_the_new_owner_goes_on_trying(world: WorldFactory) -> None:
    async with world(
        [account(name, latency_seconds=0.3) for name in TENANTS], partitions=6
    ) as here:
        here.settings |= {"RETRY_BASE": "0.1", "RETRY_CAP": "0.1", "BREAKER_FAILURES": "1000000"}
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetHotels"))
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetHotelList"))
        first = await here.start()
        await here.publish_reservations((tenant, reservation(tenant, 1)) for tenant in TENANTS)
        await first.until_logged("will_retry", times=len(TENANTS))
        second = await here.start()
        await first.until_logged("partitions_assigned", times=2)

        def tried(service: ServiceProcess) -> list[str]:
            lines = service.lines()
            events = [line["event"] for line in lines]
            latest = len(events) - events[::-1].index("partitions_assigned")
            return [line["tenant"] for line in lines[latest:] if line["event"] == "will_retry"]

        while len(tried(first) + tried(second)) < 4 * len(TENANTS):
            await asyncio.sleep(0.1)
        assert {*tried(first), *tried(second)} == set(TENANTS)
        assert not {*tried(first)} & {*tried(second)}

        here.fake.faults.clear()
        await here.until_settled(len(TENANTS))


async def test_sigterm_lets_requests_in_flight_end_and_settles_them(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.fake.faults.add(HANG)
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in (1, 2, 3))
        await here.fake.until(lambda fake: fake.hung == 3)

        service.terminate()
        await service.until_logged("stopping")
        here.fake.faults.clear()
        here.fake.release()

        assert await service.ended() == 0
        rows = await here.query("SELECT state, in_doubt_since FROM syncs")
        assert [tuple(row) for row in rows] == [("synced", None)] * 3
        assert len(await here.results()) == 3
        assert await here.lag() == 0


async def test_a_second_sigterm_ends_the_process_at_once(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.fake.faults.add(HANG)
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.fake.until(lambda fake: fake.hung == 1)

        service.terminate()
        await service.until_logged("stopping")
        service.terminate()

        assert await service.ended() == 1
        assert service.lines("ended_at_once")


async def test_the_work_of_a_killed_process_is_touched_only_after_its_lease_has_run_out(
    world: WorldFactory,
) -> None:
    async with world([account("tenant-00")], partitions=1) as here:
        here.fake.faults.add(HANG)
        first = await here.start(REQUEST_TIMEOUT=3, LEASE=3.5, CONNECT_TIMEOUT=1)
        await here.publish_reservations([("tenant-00", reservation("tenant-00", 1))])
        await here.until_value(1, "SELECT count(*) FROM syncs WHERE dispatched_at IS NOT NULL")
        await first.kill()
        ends = await here.value("SELECT expires_at FROM partition_leases WHERE topic LIKE '%res%'")
        epoch = await here.value("SELECT epoch FROM partition_leases WHERE topic LIKE '%res%'")

        here.fake.faults.clear()
        here.group_id += "-again"  # the old one waits for the killed member
        await here.start(REQUEST_TIMEOUT=3, LEASE=3.5, CONNECT_TIMEOUT=1, DOUBT_WINDOW=1)
        await here.until_settled(1)

        assert await here.value("SELECT min(started_at) FROM sync_attempts") > ends
        assert (
            await here.value("SELECT epoch FROM partition_leases WHERE topic LIKE '%res%'")
            == epoch + 1
        )
        assert here.fake.holdings("tenant-00").vouchers == {"V000001": 1}


async def test_a_process_that_is_stopped_gives_its_leases_back(world: WorldFactory) -> None:
    async with world([account("tenant-00")], partitions=2) as here:
        service = await here.start()
        await service.until_logged("leases_acquired")
        held = "SELECT count(*) FROM partition_leases WHERE expires_at > now()"
        await here.until_value(4, held)
        assert await service.stop() == 0
        assert await here.value(held) == 0
