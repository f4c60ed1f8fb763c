"""A short run of the whole harness: some of every fault, and no promise broken."""

import asyncio
import logging

import pytest

from tests.chaos.run import Options, run
from tests.chaos.schedule import Disruption, SednaFault
from tests.chaos.summary import summary
from tests.conftest import without
from tests.support.servers import Unavailable

#: It may take no notice of these two: there may be no connection to reset at that moment.
_CAN_MISS = {Disruption.CUT_KAFKA, Disruption.CUT_POSTGRES}


async def test_faults_of_every_kind_lose_nothing_double_nothing_and_leave_nothing_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # What the run's own clients say of servers that are away is no news.
    caplog.set_level(logging.CRITICAL, logger="aiokafka")
    try:
        async with asyncio.timeout(280):
            outcome = await run(
                Options(seed=1, duration=22.0, faults=120, rate=20.0, tenants=6, patience=120.0)
            )
    except Unavailable as reason:
        without(f"no server of the run's own: {reason}")

    said = summary(outcome)
    assert not outcome.findings, said
    assert outcome.seconds_to_recover is not None, said
    assert {kind for kind in Disruption if outcome.struck[kind]} >= set(Disruption) - _CAN_MISS
    assert sum(outcome.struck[kind] > 0 for kind in SednaFault) >= len(SednaFault) // 2, said
    assert outcome.doubts, said
