"""`status` as a person or a script runs it, while the real service works."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation, stop_sale
from tests.support.service import World

SHORT = {
    "CONNECT_TIMEOUT": "2",
    "REQUEST_TIMEOUT": "2",
    "LEASE": "4",
    "RETRY_BASE": "0.1",
    # The only open breaker is the one that a test puts there.
    "BREAKER_FAILURES": "1000000",
}
PATIENCE = 60.0


async def trouble(here: World) -> None:
    """Tenant `a` gets two doubts, two failures and an open breaker; `b` one failure."""
    here.settings |= SHORT
    for operation, question in (
        ("InsertReservation", "GetReservations"),
        ("UpdateStopSale", "GetStopSaleList"),
    ):
        here.fake.faults.add(Fault(kind=FaultKind.RESET, operation=operation, account="a"))
        here.fake.faults.add(Fault(kind=FaultKind.STATUS, operation=question, account="a"))
    await here.start()
    await here.publish_reservations(
        [
            ("a", reservation("a", 1)),
            ("a", reservation("a", 2, room_type="PENTHOUSE")),
            ("a", reservation("a", 3, hotel_name="Nowhere")),
            ("b", reservation("b", 4, hotel_name="Elsewhere")),
            ("b", reservation("b", 5)),
        ]
    )
    await here.publish_stop_sales([("a", stop_sale("a", 7))])
    await here.until_settled(4)
    await here.until_value(2, "SELECT count(*) FROM syncs WHERE in_doubt_since IS NOT NULL")
    await here.query(
        "INSERT INTO tenant_breakers (tenant_id, reason, last_error, failures, open_until)"
        " VALUES ('a', 'throttled', 'Sedna answered 429', 5, now() + interval '1 hour')"
    )


def said_of(report: dict[str, Any], tenant: str) -> dict[str, Any]:
    """What a report says of a tenant, without what changes with time."""
    (found,) = [each for each in report["tenants"] if each["tenant_id"] == tenant]
    return {name: value for name, value in found.items() if not name.endswith("_seconds")}


async def test_status_shows_what_is_not_done_of_all_tenants_or_of_one(world: WorldFactory) -> None:
    async with world([account("a"), account("b"), account("c")]) as here:
        await trouble(here)
        ends = await asyncio.gather(
            here.command("status", "--json"),
            here.command("status", "--json", "--tenant", "b"),
            here.command("status"),
            here.command("status", "--tenant", "a"),
        )
        assert [(code, error) for code, _, error in ends] == [(0, "")] * 4

        report, of_b = json.loads(ends[0][1]), json.loads(ends[1][1])
        assert [tenant["tenant_id"] for tenant in report["tenants"]] == ["a", "b", "c"]
        blocked = said_of(report, "a")
        assert blocked["pending"] == {"reservation": 1, "stop_sale": 1}
        assert blocked["in_doubt"] == 2
        assert blocked["failed"] == {"hotel_not_found": 1, "room_type_unknown": 1}
        assert blocked["breaker"]["reason"] == "throttled"
        assert said_of(report, "b")["failed"] == {"hotel_not_found": 1}
        assert said_of(report, "c") == {
            "tenant_id": "c",
            "is_active": True,
            "pending": {"reservation": 0, "stop_sale": 0},
            "in_doubt": 0,
            "failed": {},
            "breaker": None,
        }
        assert report["outbox"] == {"unpublished": 0, "oldest_seconds": None}

        assert said_of(of_b, "b") == said_of(report, "b")
        assert len(of_b["tenants"]) == 1
        assert (of_b["outbox"], of_b["partitions"]) == (None, None)

        text, of_a = ends[2][1], ends[3][1]
        assert "\x1b" not in text
        assert text.index("throttled, probe in 59 min") < text.index("\nb ") < text.index("\nc ")
        assert "2 in doubt, 3 failed (hotel_not_found 2, room_type_unknown 1), 1 blocked." in text
        assert "Sedna answered 429" in of_a
        assert "\nb " not in of_a
        assert "not published" not in of_a


async def test_status_of_a_tenant_that_nobody_knows_fails_and_says_so(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        code, out, error = await here.command("status", "--tenant", "nobody", "--json")
        assert (code, out) == (1, "")
        assert "there is no tenant nobody" in error
        code, out, error = await here.command("status", "--tenant", "no body")
        assert (code, out) == (2, "")
        assert "a tenant id is" in error


async def test_status_needs_nothing_but_the_database_and_works_before_the_first_tenant(
    world: WorldFactory,
) -> None:
    async with world([]) as here:
        others = {"KAFKA_BOOTSTRAP_SERVERS": "", "ENCRYPTION_KEYS": ""}
        code, out, error = await here.command("status", **others)
        assert code == 0
        assert "0 tenants" in out
        assert "sedna-sync tenant set" in error
        code, out, _ = await here.command("status", "--json", **others)
        assert (code, json.loads(out)["tenants"]) == (0, [])
        code, out, error = await here.command("status", "--json", DATABASE_URL="")
        assert (code, out) == (2, "")
        assert "SEDNA_SYNC_DATABASE_URL" in error


@contextlib.asynccontextmanager
async def watching(
    here: World, *options: str, out: int = asyncio.subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`status --watch` as it goes on; gone at the end."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "sedna-sync"),
        "status",
        "--watch",
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=asyncio.subprocess.PIPE,
        env=here.environment(TERM="xterm"),
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def interrupted(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    """Ctrl-C; returns the exit code and what it says of it."""
    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()
    return process.returncode or 0, error


async def test_watch_with_json_is_one_line_each_time_until_ctrl_c(world: WorldFactory) -> None:
    async with world([account("a")]) as here, watching(here, "--json") as process:
        assert process.stdout is not None
        first = json.loads(await process.stdout.readline())
        await here.query("UPDATE tenant_settings SET is_active = false")
        while (later := json.loads(await process.stdout.readline()))["tenants"] == first["tenants"]:
            pass
        assert said_of(first, "a") | {"is_active": False} == said_of(later, "a")
        assert later["at"] > first["at"]
        assert await interrupted(process) == (0, b"")


async def test_watch_into_a_pipe_shows_it_again_and_again(world: WorldFactory) -> None:
    async with world([account("a")]) as here, watching(here, "--tenant", "a") as process:
        assert process.stdout is not None
        for _ in range(2):
            while not (await process.stdout.readline()).startswith(b"a "):
                pass
        assert await interrupted(process) == (0, b"")


async def test_watch_at_a_terminal_leaves_it_as_it_was(world: WorldFactory) -> None:
    ours, theirs = pty.openpty()
    try:
        async with world([account("a")]) as here, watching(here, out=theirs) as process:
            shown = b""
            while b"Ctrl-C ends" not in shown:
                shown += await asyncio.to_thread(os.read, ours, 65536)
            assert b"\x1b[?1049h" in shown  # a screen of its own
            code, error = await interrupted(process)
            assert (code, error) == (0, b"")
            while b"\x1b[?1049l" not in shown:
                shown += await asyncio.to_thread(os.read, ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)


async def test_watch_of_a_tenant_that_nobody_knows_ends_at_once(world: WorldFactory) -> None:
    async with world([]) as here:
        code, out, error = await here.command("status", "--watch", "--tenant", "nobody")
        assert (code, out) == (1, "")
        assert "there is no tenant nobody" in error
