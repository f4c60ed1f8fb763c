"""What is counted was committed: not what was refused, and each as its event was answered."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from consumer import persistence
from consumer.arrivals import Record, Unreadable, read
from consumer.ownership import Lease
from consumer.registrar import Registrar
from consumer.results import Topics
from consumer.settler import Settler
from consumer.sync import Sync, from_arrival
from consumer.verdict import Failed, InDoubt, RetryAt, Synced
from db import settlement
from db.errors import DatabaseError, DatabaseUnavailable
from db.pool import Pool
from db.records import Holding, Origin
from schemas import examples
from schemas.inbound import ReservationCreated
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from tests.integration.db.builders import HOLDING, NOW, inserted, reservation


class StoppedClock:
    def now(self) -> datetime:
        return NOW

    def elapsed(self) -> float:
        return 0.0


@dataclass
class Settling:
    """A settler at work, and what it says was settled."""

    pool: Pool
    settled: list[tuple[str | None, ErrorCode | None]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    settler: Settler = field(init=False)

    def __post_init__(self) -> None:
        self.settler = Settler(
            pool=self.pool,
            topics=Topics(synced="sedna.synced", failed="sedna.failed"),
            on_answered=self.answered.append,
            on_settled=lambda group: self.settled.extend(
                (each.sync.voucher_no, each.code) for each in group
            ),
        )

    async def settle(self, sync: Sync, verdict: Synced | Failed | RetryAt | InDoubt) -> bool:
        return await self.settler.settle(sync, verdict, started_at=NOW, finished_at=NOW)


@pytest.fixture
async def settling(pool: Pool) -> AsyncIterator[Settling]:
    made = Settling(pool)
    task = asyncio.create_task(made.settler.run())
    yield made
    task.cancel()
    await asyncio.wait([task])


async def registered(pool: Pool, voucher: str, holding: Holding = HOLDING) -> Sync:
    arrival = reservation(voucher)
    [place] = await inserted(pool, arrival)
    sync = from_arrival(arrival, DATA, place)
    sync.lease = Lease((Kind.RESERVATION, 0), holding, math.inf)
    return sync


DATA = ReservationCreated.model_validate(examples.reservation_created()["data"], strict=False)
LATER = NOW + timedelta(minutes=1)


async def test_what_is_settled_is_counted_as_its_event_was_answered(
    pool: Pool, settling: Settling
) -> None:
    for voucher, verdict in (
        ("made", Synced(1, 18, adopted=False, conflict=False, message="")),
        ("adopted", Synced(2, 18, adopted=True, conflict=False, message="")),
        ("another's", Synced(3, 18, adopted=True, conflict=True, message="")),
        ("refused", Failed(ErrorCode.REFUSED_BY_SEDNA, "no")),
    ):
        assert await settling.settle(await registered(pool, voucher), verdict)
    assert settling.settled == [
        ("made", None),
        ("adopted", None),
        ("another's", ErrorCode.CONFLICT),
        ("refused", ErrorCode.REFUSED_BY_SEDNA),
    ]


async def test_what_stays_pending_is_not_counted_as_settled(pool: Pool, settling: Settling) -> None:
    assert await settling.settle(await registered(pool, "retry"), RetryAt(LATER, "busy"))
    assert await settling.settle(await registered(pool, "doubt"), InDoubt(NOW, LATER, "lost"))
    assert settling.settled == []


async def test_what_is_settled_counts_though_nobody_waits_for_it_any_more(
    pool: Pool, settling: Settling
) -> None:
    sync = await registered(pool, "V1")
    synced = Synced(1, 18, adopted=False, conflict=False, message="")
    asked = asyncio.create_task(settling.settle(sync, synced))
    await asyncio.sleep(0)
    asked.cancel()
    async with asyncio.timeout(10):
        while not settling.settled:
            await asyncio.sleep(0.01)
    assert settling.settled == [("V1", None)]


async def test_what_was_committed_counts_once_though_the_reply_to_it_was_lost(
    pool: Pool, settling: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, replies = settlement.settle, 0

    async def lossy(*arguments: Any) -> settlement.Settled:
        nonlocal replies
        replies += 1
        written = await settle(*arguments)
        if replies == 1:
            raise DatabaseUnavailable("the connection was lost")
        return written

    monkeypatch.setattr(settlement, "settle", lossy)
    monkeypatch.setattr(persistence, "_FIRST_WAIT", 0.001)
    sync = await registered(pool, "V1")
    assert await settling.settle(sync, Synced(1, 18, adopted=False, conflict=False, message=""))
    assert settling.settled == [("V1", None)]
    assert replies == 2
    # Whoever publishes is told to look for its message anywhere.
    assert settling.answered == [1]


async def test_a_settlement_that_is_refused_does_not_count(pool: Pool, settling: Settling) -> None:
    of_before = Holding(HOLDING.topic, HOLDING.partition, HOLDING.epoch - 1)
    sync = await registered(pool, "V1", of_before)
    synced = Synced(1, 18, adopted=False, conflict=False, message="")
    assert not await settling.settle(sync, synced)
    assert settling.settled == []


# -- events ---------------------------------------------------------------------------------------


def unreadable(offset: int) -> Record:
    return Record(
        kind=Kind.RESERVATION,
        origin=Origin(topic="reservation.created", partition=0, offset=offset),
        timestamp=NOW,
        key=b"agency-7",
        value=b"{",
        headers=(),
    )


async def take_in(pool: Pool, seen: Counter[tuple[Kind, str]], *records: Record) -> None:
    def on_seen(batch: Mapping[tuple[Kind, str], int]) -> None:
        seen.update(batch)

    registrar = Registrar(
        pool=pool,
        clock=StoppedClock(),
        topic_failed="sedna.failed",
        topic_deadletter="sedna.deadletter",
        on_seen=on_seen,
    )
    events = [read(each) for each in records]
    await registrar.register([], [each for each in events if isinstance(each, Unreadable)])


async def test_events_are_counted_by_what_became_of_them_once_they_are_stored(pool: Pool) -> None:
    seen: Counter[tuple[Kind, str]] = Counter()
    await take_in(pool, seen, unreadable(0), unreadable(1))
    assert seen == {(Kind.RESERVATION, "rejected"): 2}


async def test_a_batch_that_postgres_refuses_does_not_count(pool: Pool) -> None:
    seen: Counter[tuple[Kind, str]] = Counter()
    with pytest.raises(DatabaseError):
        await take_in(pool, seen, unreadable(2**70))
    assert seen == {}
