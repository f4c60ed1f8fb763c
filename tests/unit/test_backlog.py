"""What waits in memory, for its time or for live work, keeps nothing out of it that could run."""

import asyncio
from dataclasses import replace
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
from consumer.sync import Sync, from_row
from db import work
from db.notices import payload_of
from db.pool import Pool
from db.records import Holding, Origin, PendingSync, Stream
from schemas.kinds import Kind

STREAM = Stream(Kind.RESERVATION, 0, "a")
REPLAYED = replace(STREAM, replayed=True)
#: Syncs of a stream in memory, where nothing is parked.
WINDOW = 64
#: More than a window, and less than a stream may have in memory.
WAITING = 200


def pending(number: int, *, due_in: float | None = None, replayed: bool = False) -> PendingSync:
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
        trace=None,
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
        replayed=replayed,
        of_replay=replayed,
    )


class Bench:
    """A backlog over rows that stand for Postgres, with lanes that nobody takes from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[PendingSync] = []
        self.clock = SystemClock()
        self.asked: list[tuple[Stream, int]] = []

        async def page(_pool: Pool, stream: Stream, *, after: int, limit: int) -> list[PendingSync]:
            self.asked.append((stream, after))
            rows = sorted(self.rows, key=lambda row: row.seq)
            return [row for row in rows if row.stream == stream and row.seq > after][:limit]

        monkeypatch.setattr(work, "page", page)
        ownership = Ownership()
        ownership.assign({STREAM.kind: frozenset({0})}, dict.fromkeys(Kind, 1))
        place = (STREAM.kind, 0)
        lease = Lease(place, Holding("reservations", 0, 1), self.clock.elapsed() + 60)
        self.lanes = Lanes(max_in_flight=16, max_in_flight_per_tenant=16)
        self.backlog = Backlog(
            pool=cast("Any", None),
            lanes=self.lanes,
            ownership=ownership,
            leases=cast("Leases", Mock(**{"of.return_value": lease})),
        )
        self.backlog.admit_with(self.admit)
        self.on_admitted = Mock()

    def admit(self, sync: Sync) -> None:
        self.lanes.add(sync, f"voucher:{sync.voucher_no}")
        self.on_admitted()

    def loaded(self) -> tuple[int, int]:
        """How many live ones and how many replayed ones are in memory."""
        return self.lanes.loaded(STREAM), self.lanes.loaded(REPLAYED)

    async def fed(self) -> None:
        """Load until nothing more is loaded."""
        feeding = asyncio.create_task(self.backlog.feed())
        asked = -1
        while asked != len(self.asked):
            asked = len(self.asked)
            for _ in range(10):
                await asyncio.sleep(0)
        feeding.cancel()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_behind_many_that_wait_for_their_next_attempt_the_rest_is_loaded_at_once(
    bench: Bench,
) -> None:
    bench.rows = [pending(number, due_in=3600) for number in range(1, WAITING + 1)]
    bench.rows.append(pending(WAITING + 1))
    ran = asyncio.Event()

    async def process(sync: Sync) -> None:
        assert sync.id == WAITING + 1
        bench.lanes.finish(sync)
        ran.set()

    dispatcher = Dispatcher(
        lanes=bench.lanes,
        clock=bench.clock,
        process=process,
        on_parked=bench.backlog.drained,
        give_up_after=86400,
    )
    bench.on_admitted.side_effect = dispatcher.kick
    tasks = [asyncio.create_task(each) for each in (bench.backlog.feed(), dispatcher.run())]
    bench.backlog.told(payload_of(STREAM))
    async with asyncio.timeout(10):  # less than passes between two looks for work
        await ran.wait()
    for task in tasks:
        task.cancel()


async def test_a_live_one_is_loaded_although_a_whole_replay_waits_before_it(bench: Bench) -> None:
    bench.rows = [pending(number, replayed=True) for number in range(1, 5_000)]
    bench.rows.append(pending(9_999))
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    assert bench.loaded() == (1, WINDOW)
    taken = bench.lanes.take()
    assert taken is not None
    assert taken.id == 9_999


async def test_live_and_replayed_work_have_a_bounded_window_each(bench: Bench) -> None:
    for number in range(1, 1_000):
        bench.rows += [pending(2 * number), pending(2 * number + 1, replayed=True)]
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    assert bench.loaded() == (WINDOW, WINDOW)


async def test_what_is_registered_live_comes_in_at_once_however_much_is_replayed(
    bench: Bench,
) -> None:
    bench.rows = [pending(number, replayed=True) for number in range(1, 1_000)]
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    bench.backlog.registered([from_row(pending(5_000))])
    assert bench.loaded() == (1, WINDOW)


async def test_what_came_live_while_it_waited_in_postgres_is_found_behind_our_position(
    bench: Bench,
) -> None:
    bench.rows = [pending(number, replayed=True) for number in range(1, 1_000)]
    bench.rows.append(pending(2_000))
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    bench.rows[899] = replace(bench.rows[899], replayed=False)
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    assert bench.loaded() == (2, WINDOW)
    assert [sync.id for sync in taken_of(bench.lanes, 2)] == [2_000, 900]


async def test_what_came_live_while_it_was_in_memory_stays_what_it_is_there(bench: Bench) -> None:
    bench.rows = [pending(1, replayed=True), pending(2)]
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    bench.rows[0] = replace(bench.rows[0], replayed=False)
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    assert bench.loaded() == (1, 1)
    for sync in taken_of(bench.lanes, 2):
        bench.lanes.finish(sync)
    assert bench.loaded() == (0, 0)
    assert not len(bench.lanes)


async def test_both_classes_are_revoked(bench: Bench) -> None:
    bench.rows = [pending(1, replayed=True), pending(2)]
    bench.backlog.told(payload_of(STREAM))
    await bench.fed()
    streams = bench.backlog.streams()
    assert streams == [STREAM, REPLAYED]
    bench.backlog.revoked(streams)
    bench.lanes.drop(streams)
    assert not len(bench.lanes)
    assert bench.backlog.streams() == []


def taken_of(lanes: Lanes, number: int) -> list[Sync]:
    syncs = [lanes.take() for _ in range(number)]
    return [sync for sync in syncs if sync is not None]
