"""A process that sleeps exactly between its dispatch mark and its send, and wakes as a zombie."""

import asyncio
import os
import signal

import psutil

from tests.chaos.broken import broken_program
from tests.chaos.histories import Broken
from tests.chaos.scenes import SHORT, TENANT, findings, publish, reservations, voucher
from tests.chaos.workload import Event
from tests.e2e.conftest import WorldFactory
from tests.support.events import account
from tests.support.service import ServiceProcess, World

VOUCHER = voucher(1)


async def is_stopped(service: ServiceProcess) -> None:
    """Wait until the process has stopped itself."""
    process = psutil.Process(service.process.pid)
    async with asyncio.timeout(30):
        while process.status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.02)


async def has_come_to(service: ServiceProcess) -> None:
    """Wait until the process, awake again, has seen that its partitions are gone, or has ended."""
    async with asyncio.timeout(60):
        while service.process.returncode is None:
            if len(service.lines("partitions_assigned")) > 1:
                return
            await asyncio.sleep(0.05)


async def sleep_through_the_replacement(here: World, *, breaks: str | None) -> list[Event]:
    """One process marks and stops; another one takes over and settles; the first one wakes."""
    program = here.program
    here.settings |= SHORT
    here.program = broken_program(breaks=breaks, stop_between_mark_and_send=VOUCHER)
    zombie = await here.start()
    events = reservations([1])
    await publish(here, events)
    await is_stopped(zombie)
    assert here.fake.calls("InsertReservation") == 0
    assert await here.value("SELECT dispatched_at IS NOT NULL FROM syncs")

    here.program = program
    other = await here.launch()
    await here.until_settled(1)
    assert other.lines("synced")
    assert here.fake.holdings(TENANT).vouchers == {VOUCHER: 1}

    os.kill(zombie.process.pid, signal.SIGCONT)
    await has_come_to(zombie)
    zombie.told_to_end = True  # whether it ends by itself, once it knows, is its own affair
    # An orderly end lets all that runs come to its end: afterwards nothing more can be sent.
    for service in (zombie, other):
        await service.stop()
    return events


async def test_a_process_that_slept_between_mark_and_send_sends_nothing_when_it_wakes(
    world: WorldFactory,
) -> None:
    async with world([account(TENANT)]) as here:
        events = await sleep_through_the_replacement(here, breaks=None)

        assert here.fake.calls("InsertReservation") == 1
        assert await findings(here, events) == []


async def test_with_the_send_gate_switched_off_the_same_sleep_doubles_the_reservation(
    world: WorldFactory,
) -> None:
    async with world([account(TENANT)]) as here:
        events = await sleep_through_the_replacement(here, breaks="lease")

        found = await findings(here, events)
        assert Broken.DOUBLED in {finding.broken for finding in found}
