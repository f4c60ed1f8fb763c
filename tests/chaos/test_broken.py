"""The harness can fail: with one promise switched off it reports what is doubled or lost."""

import pytest

from consumer.demo.fake import Fault, FaultKind, When
from tests.chaos.broken import broken_program
from tests.chaos.histories import Broken
from tests.chaos.scenes import SHORT, TENANT, findings, publish, reservations, voucher
from tests.e2e.conftest import WorldFactory
from tests.support.events import account

LOST_REPLY = Fault(
    kind=FaultKind.RESET, when=When.AFTER_COMMIT, operation="InsertReservation", times=1
)


@pytest.mark.parametrize("breaks, wanted", [(None, set()), ("doubt", {Broken.DOUBLED})])
async def test_a_lost_reply_doubles_only_where_doubt_is_switched_off(
    world: WorldFactory, breaks: str | None, wanted: set[Broken]
) -> None:
    async with world([account(TENANT)]) as here:
        here.settings |= SHORT
        here.program = broken_program(breaks=breaks)
        here.fake.faults.add(LOST_REPLY)
        service = await here.start()
        events = reservations([1, 2])
        await publish(here, events)
        await here.until_settled(2)
        await service.stop()

        assert {finding.broken for finding in await findings(here, events)} == wanted


@pytest.mark.parametrize("breaks, wanted", [(None, set()), ("commit", {Broken.LOST})])
async def test_a_crash_between_read_and_register_loses_only_where_the_commit_comes_first(
    world: WorldFactory, breaks: str | None, wanted: set[Broken]
) -> None:
    async with world([account(TENANT)]) as here:
        here.settings |= SHORT
        program = here.program
        here.program = broken_program(breaks=breaks, die_before_registering=voucher(3))
        dying = await here.start()
        events = reservations([1, 2, 3, 4])
        await publish(here, events)
        assert await dying.ended() < 0
        dying.told_to_end = True  # by itself, as the scene wants it

        here.program = program
        service = await here.start()
        # Once this one is answered, so is everything before it that is not lost.
        last = reservations([9])
        await publish(here, last)
        await here.until_value(
            "synced", "SELECT state FROM syncs WHERE voucher_no = $1", voucher(9)
        )
        await here.until_value(0, "SELECT count(*) FROM syncs WHERE state = 'pending'")
        await service.stop()

        found = await findings(here, [*events, *last])
        assert wanted <= {finding.broken for finding in found}
        assert bool(found) == bool(wanted)
