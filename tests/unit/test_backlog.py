"""What waits in memory for its time keeps nothing out of it that could run."""

import asyncio
from datetime import timedelta
from typing import Any, cast
from unittest.mock import Mock

import pytest

from consumer.backlog import Backlog
from consumer.clock import SystemClock
from consumer.dispatcher import Dispatcher
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.ownership import Lease, Ownership
from consumer.sync import Sync
from db import work
from db.notices import payload_of
from db.pool import Pool
from db.records import Holding, Origin, PendingSync, Stream
from schemas.kinds import Kind

STREAM = Stream(Kind.RESERVATION, 0, "a")
#: More than a window, and less than a stream may have in memory.
WAITING = 200


def pending(number: int, *, due_in: float | None) -> PendingSync:
    now = SystemClock().now()
    return PendingSync(
        id=number,
        tenant_id=STREAM.tenant_id,
        kind=STREAM.kind,
        email_id=number,
        voucher_no=f"V{number}",
        stop_sale_id=None,
        payload="{}",
        doubted_payload=None,
        event_id=f"e{number}",
        event_time=None,
        traceparent=None,
        origin=Origin(topic="reservations", partition=STREAM.partition, offset=number),
        seq=number,
        lane=f"voucher:V{number}",
        generation=1,
        dispatched_at=None,
        in_doubt_since=None,
        attempts=1,
        next_attempt_at=None if due_in is None else now + timedelta(seconds=due_in),
        dispatch_token=None,
        sedna_rec_id=None,
        sedna_hotel_id=None,
        registered_at=now,
    )


async def test_behind_many_that_wait_for_their_next_attempt_the_rest_is_loaded_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [pending(number, due_in=3600) for number in range(1, WAITING + 1)]
    rows.append(pending(WAITING + 1, due_in=None))

    async def page(_pool: Pool, _stream: Stream, *, after: int, limit: int) -> list[PendingSync]:
        return [row for row in rows if row.seq > after][:limit]

    monkeypatch.setattr(work, "page", page)
    ownership, clock = Ownership(), SystemClock()
    ownership.assign({STREAM.kind: frozenset({0})}, dict.fromkeys(Kind, 1))
    lease = Lease((STREAM.kind, 0), Holding("reservations", 0, 1), clock.elapsed() + 60)
    lanes = Lanes(max_in_flight=16, max_in_flight_per_tenant=16)
    backlog = Backlog(
        pool=cast("Any", None),
        lanes=lanes,
        ownership=ownership,
        leases=cast("Leases", Mock(**{"of.return_value": lease})),
    )
    ran = asyncio.Event()

    async def process(sync: Sync) -> None:
        assert sync.id == WAITING + 1
        lanes.finish(sync)
        ran.set()

    dispatcher = Dispatcher(
        lanes=lanes,
        clock=clock,
        process=process,
        on_parked=backlog.drained,
        give_up_after=86400,
    )

    def admit(sync: Sync) -> None:
        lanes.add(sync, f"voucher:{sync.voucher_no}")
        dispatcher.kick()

    backlog.admit_with(admit)
    tasks = [asyncio.create_task(each) for each in (backlog.feed(), dispatcher.run())]
    backlog.told(payload_of(STREAM))
    async with asyncio.timeout(10):  # less than passes between two looks for work
        await ran.wait()
    for task in tasks:
        task.cancel()
