"""`retry`: what was mended is tried again by the running service, once, and nothing is undone."""

import asyncio
import json
import os
import pty
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from consumer.demo.fake import Fault, FaultKind, Hotel, Room, When
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, record_users, reservation, stop_sale
from tests.support.service import World

#: Seconds that a try may take: well below those after which a missed notice is made up for.
SOON = 10.0
STATES = "SELECT string_agg(state, ',' ORDER BY id) FROM syncs"
NEW_HOTEL = Hotel(id=777, name="Neverland Palace", rooms=(Room(7771, "STD"),))
SHORT = {
    "CONNECT_TIMEOUT": "2",
    "REQUEST_TIMEOUT": "2",
    "LEASE": "4",
    "RETRY_BASE": "0.1",
    "RETRY_CAP": "0.5",
    "DOUBT_WINDOW": "2",
    "BREAKER_COOL_DOWN": "0.3",
}


def build_the_hotel(here: World, *names: str) -> None:
    """From now on the accounts have one hotel more."""
    here.fake.state.configure(
        replace(config, hotels=(*config.hotels, NEW_HOTEL))
        for config in (here.fake.account(name).config for name in names)
    )


def in_neverland(tenant: str, number: int) -> tuple[str, bytes]:
    data = {"hotel_name": "Neverland Palace", "room_type": "STD"}
    return tenant, reservation(tenant, number, **data)


async def retry(here: World, *arguments: str) -> dict[str, Any]:
    """What a retry without questions has done."""
    code, out, error = await here.command("retry", "--yes", "--json", *arguments)
    assert (code, error) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


async def test_what_was_mended_is_synced_within_seconds_and_answered_once_more(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        await here.publish_reservations([in_neverland("a", 1), in_neverland("a", 2)])
        await here.until_settled(2)
        build_the_hotel(here, "a")
        # A change of the tenant drops what is remembered of its hotels, and says what can be tried.
        code, out, _ = await here.command("tenant", "set", "a", "--max-in-flight", "5")
        assert (code, out.splitlines()) == (0, [
            "tenant a changed",
            "2 failed syncs of tenant a can be tried again: sedna-sync retry --tenant a",
        ])  # fmt: skip

        looked = await here.command("retry", "--tenant", "a", "--dry-run")
        assert looked == (0, "       2  a  reservation  hotel_not_found\n", "")
        assert await here.value(STATES) == "failed,failed"

        code, out, error = await here.command("retry", "--code", "hotel_not_found", "--yes")
        assert (code, error) == (0, "")
        assert out.splitlines()[-1] == "2 syncs tried again"
        await here.until_value("synced,synced", STATES, timeout_seconds=SOON)
        await here.until_settled(2)
        assert here.fake.holdings("a").vouchers == {"V000001": 1, "V000002": 1}
        results = await here.results()
        assert len({each["id"] for each in results}) == 4
        kinds = sorted((each["type"], each["data"]["voucher_no"]) for each in results)
        assert kinds == [
            (event, voucher)
            for event in ("sedna.failed", "sedna.synced")
            for voucher in ("V000001", "V000002")
        ]
        origins = {
            (each["data"]["voucher_no"], *each["data"]["origin"].values()) for each in results
        }
        assert len(origins) == 2  # of the events that asked for them, both times

        assert (await retry(here, "--tenant", "a"))["to_retry"] == 0
        code, out, _ = await here.command("tenant", "set", "a", "--max-in-flight", "6")
        assert (code, out) == (0, "tenant a changed\n")


async def test_what_failed_in_doubt_is_asked_for_first_and_adopted(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= SHORT | {"GIVE_UP_AFTER": "4"}
        here.fake.faults.add(
            Fault(kind=FaultKind.RESET, when=When.AFTER_COMMIT, operation="InsertReservation")
        )
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation="GetReservations"))
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)
        here.fake.faults.clear()

        sync_id = await here.value("SELECT id FROM syncs")
        ends = await asyncio.gather(
            *(here.command("retry", "--id", str(sync_id), "--yes", "--json") for _ in range(3))
        )
        done = [json.loads(out) for _, out, _ in ends]
        assert sum(each["retried"] for each in done) == 1
        assert max(each["in_doubt"] for each in done) == 1
        await here.until_value("synced", STATES, timeout_seconds=SOON)
        assert here.fake.calls("InsertReservation") == 1
        assert await here.value("SELECT adopted FROM syncs")
        assert here.fake.holdings("a").vouchers == {"V000001": 1}


async def test_a_stop_sale_that_a_later_one_has_overtaken_is_only_sent_by_force(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        closing = stop_sale("a", 1, sedna_hotel_id=101, room_types=["SUI"])
        opening = stop_sale("a", 2, sedna_hotel_id=101, room_types=[], is_close=False,
                            date_from="2026-12-15", date_to="2026-12-31")  # fmt: skip
        await here.publish_stop_sales([("a", closing), ("a", opening)])
        await here.until_settled(2)
        assert await here.value(STATES) == "failed,synced"
        config = here.fake.account("a").config
        hotel = replace(config.hotels[0], rooms=(*config.hotels[0].rooms, Room(1013, "SUI")))
        here.fake.state.configure([replace(config, hotels=(hotel, *config.hotels[1:]))])

        code, out, error = await here.command("retry", "--tenant", "a", "--yes")
        sync_id = await here.value("SELECT id FROM syncs WHERE stop_sale_id = 1")
        assert (code, error) == (0, "")
        assert out.splitlines()[0] == (
            f"superseded: sync {sync_id} (stop-sale/1 of tenant a) by stop sale 2 of "
            "2026-12-15..2026-12-31, which is synced"
        )
        assert "--force" in out
        found = await retry(here, "--id", str(sync_id))
        assert (found["to_retry"], found["retried"]) == (0, 0)
        assert found["superseded"] == [
            {
                "sync_id": sync_id,
                "tenant_id": "a",
                "stop_sale_id": 1,
                "by": {
                    "stop_sale_id": 2,
                    "date_from": "2026-12-15",
                    "date_to": "2026-12-31",
                    "state": "synced",
                },
            }
        ]
        assert await here.value(STATES) == "failed,synced"
        assert here.fake.holdings("a").stop_sales == record_users([2])

        await here.command("tenant", "set", "a", "--max-in-flight", "5")
        assert (await retry(here, "--id", str(sync_id), "--force"))["retried"] == 1
        await here.until_value("synced,synced", STATES, timeout_seconds=SOON)
        assert here.fake.holdings("a").stop_sales == record_users([1, 2])


async def test_whichever_process_owns_the_work_does_it(world: WorldFactory) -> None:
    names = [f"tenant-{number}" for number in range(8)]
    async with world([account(name) for name in names], partitions=6) as here:
        first, second = await here.start(), await here.start()
        await first.until_logged("partitions_assigned", times=2)
        await here.publish_reservations(
            in_neverland(name, number) for number in range(5) for name in names
        )
        await here.until_settled(40)
        build_the_hotel(here, *names)
        await here.query("UPDATE tenant_settings SET updated_at = now()")

        found = await retry(here, "--kind", "reservation")
        assert (found["to_retry"], found["retried"], found["changed_meanwhile"]) == (40, 40, 0)
        assert [(each["tenant_id"], each["count"]) for each in found["by"]] == [
            (name, 5) for name in names
        ]
        synced = "SELECT count(*) FROM syncs WHERE state = 'synced'"
        await here.until_value(40, synced, timeout_seconds=SOON)
        await here.until_settled(40)
        for name in names:
            assert here.fake.holdings(name).vouchers == {f"V{n:06}": 1 for n in range(5)}
        assert first.lines("synced")
        assert second.lines("synced")
        assert len({each["id"] for each in await here.results()}) == 80


async def test_what_has_not_failed_says_in_what_state_it_is(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1)), in_neverland("a", 2)])
        await here.until_settled(2)
        rows = await here.query("SELECT id, sedna_rec_id FROM syncs ORDER BY id")
        (synced, record), (failed, _) = rows
        code, _, error = await here.command("retry", "--id", str(synced), "--yes")
        assert code == 1
        assert error == (
            f"sync {synced} (reservation/1 of tenant a) has not failed: it is synced, record "
            f"{record} in Sedna\n"
        )
        code, _, error = await here.command("retry", "--id", "99999", "--yes")
        assert (code, error) == (1, "there is no sync 99999\n")
        # What has failed is tried all the same.
        arguments = ("--id", str(synced), "--id", str(failed), "--id", "99999", "--yes", "--json")
        code, out, error = await here.command("retry", *arguments)
        assert (code, error) == (1, "")
        found = json.loads(out)
        assert found["retried"] == 1
        assert found["not_failed"] == [{"sync_id": synced, "tenant_id": "a", "state": "synced"}]
        assert found["unknown"] == [99999]


async def test_what_is_used_wrongly_ends_with_2_and_changes_nothing(world: WorldFactory) -> None:
    async with world([]) as here:
        wrong = {
            "say which: --id, --tenant, --kind, --code or --older-than": ("--yes",),
            "say which: ": ("--force", "--dry-run", "--json"),
            "add --yes": ("--tenant", "a"),
            "add --yes, or --dry-run": ("--tenant", "a", "--json"),
            "an age is like 90s, 30m, 2h or 7d": ("--older-than", "soon", "--yes"),
            "an age is like": ("--older-than", "999999999d", "--yes"),
            "Invalid value for '--older-than'": ("--older-than", "-5m", "--yes"),
            "a tenant id is": ("--tenant", "a b", "--yes"),
            "'room' is not one of": ("--kind", "room", "--yes"),
            "'nothing' is not one of": ("--code", "nothing", "--yes"),
            "not in the range": ("--id", "0", "--yes"),
            "is not a valid integer": ("--id", "x", "--yes"),
            "only --tenant goes with it": ("--id", "1", "--kind", "reservation", "--yes"),
            "No such option": ("--all",),
        }
        ends = await asyncio.gather(
            *(here.command("retry", *arguments) for arguments in wrong.values())
        )
        for said, (code, out, error) in zip(wrong, ends, strict=True):
            assert (said, code, out) == (said, 2, "")
            assert said in " ".join(error.split())
        code, out, error = await here.command("retry", "--older-than", "0s", "--dry-run")
        assert (code, out, error) == (0, "nothing that has failed fits\n", "")


async def test_at_a_terminal_it_asks_and_a_no_changes_nothing(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        await here.start()
        await here.publish_reservations([in_neverland("a", 1)])
        await here.until_settled(1)
        code, out, error = await at_a_terminal(here, "n", "retry", "--tenant", "a")
        assert (code, out.splitlines()[-1]) == (1, "nothing was changed")
        assert "Try 1 sync again? [y/N]" in error
        assert await here.value("SELECT generation FROM syncs") == 1
        code, out, _ = await at_a_terminal(here, "y", "retry", "--tenant", "a")
        assert (code, out.splitlines()[-1]) == (0, "1 sync tried again")
        await here.until_value(2, "SELECT generation FROM syncs")


async def at_a_terminal(here: World, answer: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command whose standard input is a terminal, at which somebody answers."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "sedna-sync"),
            *arguments,
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=here.environment(),
        )
        async with asyncio.timeout(60):
            out, error = await process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    return process.returncode or 0, out.decode(), error.decode()
