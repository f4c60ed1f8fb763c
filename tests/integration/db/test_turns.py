"""What a sync does whose dispatch mark is refused since it is not its turn."""

from unittest.mock import AsyncMock, Mock

import pytest

from consumer.attempt import NotOurTurn
from consumer.clock import SystemClock
from consumer.lanes import Lanes
from consumer.processor import Processor
from consumer.sync import from_row
from consumer.tracing import Tracing
from consumer.verdict import Policy
from db import work
from db.pool import Pool
from db.records import Registered, Stream
from schemas.kinds import Kind
from tests.integration.db.builders import (
    HOLDING,
    TENANT,
    inserted,
    mark_of,
    reservation,
    row,
    settle,
    settlement_of,
)

STREAM = Stream(Kind.RESERVATION, 0, TENANT)


async def refused(pool: Pool, place: Registered, *, marked_meanwhile: bool = False) -> bool:
    """Whether a sync of which a mark was refused is let go, to be looked for at once."""
    (loaded,) = await work.page(pool, STREAM, after=0, limit=1)
    lanes = Lanes(max_in_flight=1, max_in_flight_per_tenant=1)
    lanes.add(from_row(loaded), "lane")
    if marked_meanwhile:
        known = loaded.in_doubt_since
        assert await work.mark(pool, [mark_of(place, doubt_since=known)], [])
    let_go = Mock()
    processor = Processor(
        pool=pool,
        lanes=lanes,
        accounts=Mock(),
        settler=Mock(),
        leases=Mock(),
        owner="this",
        clock=SystemClock(),
        policy=Policy(retry_base=1, retry_cap=300, doubt_window=120, give_up_after=86400),
        tracing=Tracing(),
        clear_way=AsyncMock(),
        on_room=Mock(),
        on_let_go=let_go,
    )
    taken = lanes.take()
    assert taken is not None
    await processor.process(taken)
    assert (taken.id in lanes) is not let_go.called
    return let_go.called


@pytest.fixture(autouse=True)
def not_our_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processor, "_attempt", Mock(side_effect=NotOurTurn))


async def in_doubt(pool: Pool) -> Registered:
    """One that was sent, has failed in doubt, or is held by its next owner."""
    (place,) = await inserted(pool, reservation())
    await work.mark(pool, [mark_of(place)], [])
    (since,) = (await work.hold(pool, [(place.id, TENANT)], HOLDING)).values()
    await settle(pool, [settlement_of(place, state="pending", in_doubt_since=since)])
    assert (await row(pool, place.id))["dispatched_at"] is not None
    return place


async def test_one_that_nobody_has_marked_waits(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    assert not await refused(pool, place)


async def test_one_that_is_known_to_be_in_doubt_waits_as_well(pool: Pool) -> None:
    # Let go, it would be loaded and ask Sedna again at once, and again, until its turn comes.
    assert not await refused(pool, await in_doubt(pool))


async def test_one_that_somebody_else_has_marked_is_let_go(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    assert await refused(pool, place, marked_meanwhile=True)


async def test_one_in_doubt_that_somebody_else_has_marked_anew_is_let_go(pool: Pool) -> None:
    assert await refused(pool, await in_doubt(pool), marked_meanwhile=True)
