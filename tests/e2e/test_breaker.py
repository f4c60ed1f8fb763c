"""A tenant whose account is in trouble is left alone, and no other tenant notices."""

import asyncio
from itertools import pairwise

from consumer.demo.fake import FakeSedna, Fault, FaultKind, When
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation
from tests.support.service import World

SOON = {
    "RETRY_BASE": "0.1",
    "RETRY_CAP": "0.5",
    "BREAKER_FAILURES": "5",
    "BREAKER_COOL_DOWN": "0.5",
}
#: Only word of a change, or an answer, can end these within a test's time.
FOR_LONG = {"BREAKER_COOL_DOWN": "600", "RETRY_CAP": "600"}
BREAKER = "SELECT reason FROM tenant_breakers WHERE tenant_id = 'a'"
BREAKERS = "SELECT count(*) FROM tenant_breakers"
UNTIL = "SELECT open_until FROM tenant_breakers WHERE tenant_id = 'a'"
SYNCED = "SELECT count(*) FROM syncs WHERE state = 'synced' AND tenant_id = $1"


async def set_password(here: World, password: str) -> None:
    code, _, error = await here.command(
        "tenant", "set", "a", "--password-stdin", stdin=f"{password}\n"
    )
    assert code == 0, error


def gaps(fake: FakeSedna, operation: str) -> list[float]:
    """Seconds between the calls of an operation."""
    times = [entry.monotonic_ns / 1e9 for entry in fake.requests(operation, account="a")]
    return [later - earlier for earlier, later in pairwise(times)]


async def test_a_refused_login_is_tried_once_per_cool_down_whatever_waits(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        here.settings |= SOON
        refused = here.fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="a"))
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(200))
        await here.publish_reservations(("b", reservation("b", number)) for number in range(50))
        await here.until_value(50, SYNCED, "b")
        await here.until_value("login_refused", BREAKER)
        await service.until_logged("breaker_stays_open", times=2)

        assert min(gaps(here.fake, "AgencyLogin")) >= 0.5
        assert here.fake.calls("GetHotels", account="a") == 0
        assert await here.value("SELECT max(attempts) FROM syncs WHERE tenant_id = 'a'") == 0
        assert not service.lines("postponed")
        (opened,) = service.lines("breaker_opened")
        assert (opened["tenant"], opened["reason"]) == ("a", "login_refused")
        assert opened["level"] == "warning"

        here.fake.faults.remove(refused)
        await here.until_settled(250)
        await here.until_value(0, BREAKERS)
        assert len(service.lines("breaker_closed")) == 1
        assert set(here.fake.holdings("a").vouchers.values()) == {1}
        assert len(here.fake.holdings("a").vouchers) == 200


async def test_the_right_password_closes_it_at_once(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= FOR_LONG
        password = here.fake.account("a").config.password
        await set_password(here, "a wrong pässword")
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(100))
        await here.until_value("login_refused", BREAKER)
        await here.until_read()
        # A change that mends nothing costs one login, and no more.
        await set_password(here, "another wrong one")
        await service.until_logged("breaker_opened", times=2)
        await set_password(here, password)

        await here.until_settled(100, timeout_seconds=20)
        assert here.fake.calls("AgencyLogin") == 3
        assert await here.value("SELECT max(attempts) FROM syncs") == 1
        await here.until_value(0, BREAKERS)


async def test_429_pauses_the_whole_account_for_as_long_as_sedna_says(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= SOON | {"MAX_IN_FLIGHT_PER_TENANT": "4"}
        here.fake.faults.add(
            Fault(
                kind=FaultKind.STATUS,
                status=429,
                retry_after="2",
                operation="InsertReservation",
                skip=8,
                times=1,
            )
        )
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(60))
        await here.until_settled(60)

        calls = here.fake.requests("InsertReservation")
        (limit,) = [number for number, call in enumerate(calls) if call.status == 429]
        times = [call.monotonic_ns / 1e9 for call in calls]
        # Only what was marked already goes out within the two seconds.
        soon = [each for each in times[limit + 1 :] if each < times[limit] + 2]
        assert len(soon) <= 3
        (opened,) = service.lines("breaker_opened")
        assert opened["reason"] == "throttled"
        assert set(here.fake.holdings("a").vouchers.values()) == {1}


async def test_failures_in_a_row_open_it_and_one_probe_at_a_time_finds_sedna_back(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        here.settings |= SOON | {"DOUBT_WINDOW": "2"}
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(20))
        await here.until_settled(20)
        failing = here.fake.faults.add(Fault(kind=FaultKind.STATUS, account="a", status=503))
        await here.publish_reservations(("a", reservation("a", number)) for number in range(20, 80))
        await here.publish_reservations(("b", reservation("b", number)) for number in range(60))
        await here.until_value(60, SYNCED, "b")
        await service.until_logged("breaker_opened")
        assert await here.value(BREAKER) == "failures"
        await service.until_logged("breaker_stays_open", times=1)
        before = here.fake.journal.counts.total()
        await service.until_logged("breaker_stays_open", times=4)
        # Three further openings: three requests, and perhaps the next one.
        assert here.fake.journal.counts.total() - before <= 4

        here.fake.faults.remove(failing)
        await here.until_settled(140)
        assert here.fake.holdings("a").vouchers == {f"V{n:06}": 1 for n in range(80)}
        assert await here.value(BREAKERS) == 0


async def test_a_sedna_that_cannot_be_reached_is_not_knocked_at_by_all_that_waits(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= SOON
        await here.fake.down()
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(100))
        await service.until_logged("breaker_stays_open", times=3)
        # Five requests opened it, each a login that all in flight waited for; then the probes.
        assert await here.value("SELECT sum(attempts) FROM syncs") <= 5 * 16 + 4
        await here.fake.up()
        await here.until_settled(100)
        assert set(here.fake.holdings("a").vouchers.values()) == {1}


async def test_a_restart_does_not_try_a_refused_login_again(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= FOR_LONG
        refused = here.fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="a"))
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(50))
        await here.until_value("login_refused", BREAKER)
        until = await here.value(UNTIL)
        await here.until_read()
        await service.kill()

        service = await here.start_after_kill()
        # Sedna would take it, so a single try would show.
        here.fake.faults.remove(refused)
        await here.publish_reservations([("a", reservation("a", 50))])
        await here.until_value(51, "SELECT count(*) FROM syncs")
        await here.until_read()
        assert here.fake.calls("AgencyLogin") == 1
        assert await here.value(UNTIL) == until

        await set_password(here, here.fake.account("a").config.password)
        await here.until_settled(51, timeout_seconds=20)
        assert here.fake.calls("AgencyLogin") == 2
        assert await here.value(BREAKERS) == 0


async def test_a_password_that_is_mended_while_nobody_runs_is_tried_at_the_start(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= FOR_LONG
        password = here.fake.account("a").config.password
        await set_password(here, "a wrong pässword")
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_value("login_refused", BREAKER)
        assert await service.stop() == 0

        await set_password(here, password)
        await here.start()
        await here.until_settled(1, timeout_seconds=20)
        await here.until_value(0, BREAKERS)


async def test_what_is_too_old_is_given_up_behind_an_open_breaker_and_without_a_request(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= FOR_LONG | {"GIVE_UP_AFTER": "3", "DOUBT_WINDOW": "2"}
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 0))])
        await here.until_settled(1)
        # One that is in doubt, and then no login any more.
        here.fake.faults.add(
            Fault(
                kind=FaultKind.RESET,
                when=When.AFTER_COMMIT,
                operation="InsertReservation",
                times=1,
            )
        )
        for operation in ("GetReservations", "InsertReservation"):
            here.fake.faults.add(Fault(kind=FaultKind.EXPIRE_SESSION, operation=operation, skip=1))
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetReservations", times=1))
        here.fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="a"))
        await here.publish_reservations([("a", reservation("a", 1))])
        await service.until_logged("breaker_opened")
        await here.publish_reservations(("a", reservation("a", n)) for n in range(2, 600))
        await here.until_read()
        asked = here.fake.journal.counts.total()

        await here.until_settled(600)
        codes = await here.query("SELECT error_code, count(*) FROM syncs GROUP BY 1 ORDER BY 2")
        assert {row["error_code"]: row["count"] for row in codes} == {
            None: 1,
            "in_doubt_unresolved": 1,
            "gave_up": 598,
        }
        assert here.fake.journal.counts.total() == asked
        failed = [each for each in await here.results() if each["type"] == "sedna.failed"]
        assert len(failed) == 599
        assert await here.value(BREAKER) == "login_refused"


async def test_a_request_rate_is_kept_and_holds_up_no_other_tenant(world: WorldFactory) -> None:
    accounts = [account("a"), account("b")]
    async with world(accounts) as here:
        # Both together have no more slots than the slow one could fill alone.
        here.settings |= {"MAX_IN_FLIGHT": "4", "MAX_IN_FLIGHT_PER_TENANT": "4"}
        assert (await here.command("tenant", "set", "a", "--requests-per-second", "10"))[0] == 0
        await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(40))
        await here.publish_reservations(("b", reservation("b", number)) for number in range(100))
        await here.until_value(100, SYNCED, "b")
        assert await here.value(SYNCED, "a") < 40
        await here.until_settled(140)

        # Five requests before the first create, 40 creates, and ten of them at once at most.
        entries = [entry for entry in here.fake.journal.entries if entry.account == "a"]
        times = sorted(entry.monotonic_ns / 1e9 for entry in entries)
        assert times[-1] - times[0] >= (len(times) - 10) / 10 - 0.5
        for start in times:
            assert len([each for each in times if start <= each < start + 1]) <= 10 + 10 + 4
        assert set(here.fake.holdings("a").vouchers.values()) == {1}


async def test_a_rate_that_is_raised_counts_at_once(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        assert (await here.command("tenant", "set", "a", "--requests-per-second", "2"))[0] == 0
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(100))
        await service.until_logged("synced")
        await here.command("tenant", "set", "a", "--requests-per-second", "1000")
        async with asyncio.timeout(20):
            await here.until_settled(100)
