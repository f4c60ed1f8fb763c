"""A tenant is an island, and a change of its settings is taken up by the running service."""

from collections import Counter

from consumer.demo.embedded_postgres import free_port
from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation, stop_sale

#: Waits so long that only word of the change can end them within a test's time.
FOR_LONG = {"RETRY_BASE": "600", "RETRY_CAP": "600", "BREAKER_COOL_DOWN": "600"}
STATE = "SELECT state FROM syncs"


async def test_a_tenant_whose_sedna_hangs_delays_no_other_tenant(world: WorldFactory) -> None:
    others = [f"other-{number}" for number in range(5)]
    async with world([account(name) for name in ("hanging", *others)], partitions=1) as here:
        here.fake.faults.add(Fault(kind=FaultKind.HANG, account="hanging", operation="GetHotels"))
        await here.start()
        await here.publish_reservations(
            ("hanging", reservation("hanging", number)) for number in range(200)
        )
        await here.fake.until(lambda fake: fake.hung > 0)
        await here.publish_reservations(
            (name, reservation(name, number)) for number in range(20) for name in others
        )
        await here.publish_stop_sales((name, stop_sale(name, 1)) for name in others)

        await here.until_settled(len(others) * 21)
        assert here.fake.hung > 0

        here.fake.faults.clear()
        here.fake.release()
        await here.until_settled(len(others) * 21 + 200)
        assert set(here.fake.holdings("hanging").vouchers.values()) == {1}


async def test_a_tenant_without_an_account_fails_at_once_and_syncs_once_it_has_one(
    world: WorldFactory,
) -> None:
    async with world([account("known")]) as here:
        late = account("late")
        here.fake.state.configure([late])
        events = [("late", reservation("late", 1)), ("known", reservation("known", 1))]
        await here.start()
        await here.publish_reservations(events)
        await here.until_settled(2)

        states = {row["tenant_id"]: row for row in await here.query("SELECT * FROM syncs")}
        assert states["known"]["state"] == "synced"
        assert states["late"]["error_code"] == "tenant_not_configured"
        (failed,) = [each for each in await here.results() if each["type"] == "sedna.failed"]
        assert failed["data"]["error"]["code"] == "tenant_not_configured"
        assert "sedna-sync tenant set late" in failed["data"]["error"]["message"]

        await here.add_tenants([late])
        await here.publish_reservations([("late", reservation("late", 1))])
        await here.until_value("synced", f"{STATE} WHERE tenant_id = 'late'")
        assert here.fake.holdings("late").vouchers == {"V000001": 1}
        types = Counter(each["type"] for each in await here.results())
        assert types == {"sedna.synced": 2, "sedna.failed": 1}


async def test_a_mended_password_is_taken_up_without_a_restart(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= FOR_LONG
        code, out, _ = await here.command(
            "tenant", "set", "a", "--password-stdin", stdin="a wrong pässword\n"
        )
        assert (code, out) == (0, "tenant a changed\n")
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await service.until_logged("breaker_opened")
        await here.until_read()
        assert here.fake.account("a").logins == 0
        # Nothing was tried, so no attempt counts.
        assert await here.value("SELECT sum(attempts) FROM syncs") == 0

        password = here.fake.account("a").config.password
        await here.command("tenant", "set", "a", "--password-stdin", stdin=f"{password}\n")
        await here.until_settled(2, timeout_seconds=20)
        assert here.fake.account("a").logins == 1


async def test_a_mended_address_is_taken_up_without_a_restart(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= FOR_LONG
        nobody = f"http://127.0.0.1:{free_port()}/SednaAgencyb2bApi"
        assert (await here.command("tenant", "set", "a", "--url", nobody))[0] == 0
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await service.until_logged("will_retry")

        assert (await here.command("tenant", "set", "a", "--url", here.fake.base_url))[0] == 0
        await here.until_settled(1, timeout_seconds=20)


async def test_a_tenant_that_is_switched_off_fails_at_once_and_works_when_switched_on(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.command("tenant", "set", "a", "--inactive")
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_value("tenant_not_configured", "SELECT error_code FROM syncs")
        assert here.fake.journal.counts.total() == 0

        await here.command("tenant", "set", "a", "--active")
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_value("synced", STATE)
