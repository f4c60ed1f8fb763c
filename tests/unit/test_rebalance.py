"""What a drain promises: once it has begun, nothing new is taken up."""

from collections.abc import Collection
from typing import Any, cast

from consumer.backlog import Backlog
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.ownership import Lease, Ownership
from consumer.rebalance import Drain
from db.notices import payload_of
from db.records import Holding, Stream
from schemas.kinds import Kind

STREAM = Stream(Kind.RESERVATION, 0, "a")


class Held:
    """Leases that are held until they are given back."""

    def __init__(self) -> None:
        self.lease: Lease | None = Lease(
            (STREAM.kind, STREAM.partition), Holding("reservations", STREAM.partition, 1), 60.0
        )

    def of(self, stream: Stream) -> Lease | None:
        return self.lease if stream == STREAM else None

    async def release(self) -> None:
        self.lease = None


class Quiet:
    """Parts that have nothing to do; `meanwhile` happens while the dispatcher waits."""

    def __init__(self) -> None:
        self.meanwhile: list[str] = []
        self.backlog: Backlog | None = None

    async def release(self, *, within: float) -> None:
        del within

    async def returned(self, streams: Collection[Stream]) -> None:
        del streams
        for notice in self.meanwhile:
            cast("Backlog", self.backlog).told(notice)

    async def drained(self) -> None:
        return


async def test_work_that_is_asked_for_while_draining_is_the_next_owners() -> None:
    ownership, held, quiet = Ownership(), Held(), Quiet()
    lanes = Lanes(max_in_flight=1, max_in_flight_per_tenant=1)
    backlog = Backlog(
        pool=cast("Any", None), lanes=lanes, ownership=ownership, leases=cast("Leases", held)
    )
    ownership.assign({Kind.RESERVATION: frozenset({0})}, dict.fromkeys(Kind, 1))
    backlog.told(payload_of(STREAM))
    assert backlog.streams() == [STREAM]

    quiet.backlog, quiet.meanwhile = backlog, [payload_of(STREAM)]
    parts = cast("Any", quiet)
    drain = Drain(
        ownership=ownership,
        intake=parts,
        lanes=lanes,
        dispatcher=parts,
        backlog=backlog,
        publisher=parts,
        leases=cast("Leases", held),
        timeout=10,
    )
    assert await drain()
    # Else it would be loaded and sent, and the drain would not end, or give its lease back.
    assert backlog.streams() == []
