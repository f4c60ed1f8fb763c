"""What the processor keeps in memory of syncs that have left it."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from consumer import processor as processing
from consumer.clock import SystemClock
from consumer.lanes import Lanes
from consumer.outcome import Outcome, Refused
from consumer.processor import Processor
from consumer.sedna.matching import Hotel
from consumer.sync import Sync, stop_sale_lane
from consumer.tracing import Tracing
from consumer.verdict import Policy
from db import work
from db.pool import Pool
from db.records import Mark, Origin, ResolvedLane
from schemas.inbound import StopSaleCreated
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

HOTEL = Hotel(18, "Mandarin Resort & Spa")


def stop_sale(number: int) -> Sync:
    day = date(2026, 12, number)
    return Sync(
        id=number,
        tenant_id="a",
        kind=Kind.STOP_SALE,
        seq=number,
        generation=1,
        data=StopSaleCreated(
            stop_sale_id=number,
            hotel_name=HOTEL.name,
            date_from=day,
            date_to=day,
            is_close=True,
        ),
        email_id=None,
        voucher_no=None,
        stop_sale_id=number,
        event_id=f"e{number}",
        event_time=None,
        trace=None,
        origin=Origin(topic="stopsale.created", partition=0, offset=number),
        registered_at=SystemClock().now(),
        stored_lane=None,
    )


async def test_the_lane_of_what_has_left_is_not_kept_for_the_next_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored: list[int] = []

    async def mark(pool: Pool, marks: Sequence[Mark], lanes: Sequence[ResolvedLane]) -> set[int]:
        del pool
        stored.extend(resolved.sync_id for resolved in lanes)
        return {each.sync_id for each in marks}

    async def attempt(self: Any, sync: Sync) -> Outcome:
        if sync.id == 3:
            await self._mark(sync, HOTEL.id)
        return Refused(ErrorCode.ROOM_TYPE_UNKNOWN, "no such room")

    monkeypatch.setattr(work, "mark", mark)
    monkeypatch.setattr(processing, "hotel_if_cached", lambda _account, _data: HOTEL)
    monkeypatch.setattr(Processor, "_attempt", attempt)
    lanes = Lanes(max_in_flight=1, max_in_flight_per_tenant=1)
    processor = Processor(
        pool=Mock(),
        lanes=lanes,
        accounts=Mock(),
        settler=AsyncMock(),
        leases=Mock(sendable=AsyncMock(return_value=True)),
        owner="this",
        clock=SystemClock(),
        policy=Policy(retry_base=1, retry_cap=300, doubt_window=120, give_up_after=86400),
        tracing=Tracing(),
        clear_way=AsyncMock(),
        on_room=Mock(),
        on_let_go=Mock(),
    )
    marking = asyncio.create_task(processor.mark())
    for number in (1, 2, 3):
        processor.admit(stop_sale(number))
        sync = lanes.take()
        assert sync is not None
        assert lanes.lane_of(sync) == stop_sale_lane(HOTEL.id)
        await processor.process(sync)
    marking.cancel()
    assert stored == [3]
