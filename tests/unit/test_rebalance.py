"""What we own after a rebalance, and that nothing new is taken up once a drain has begun."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast
from unittest.mock import Mock

from aiokafka import TopicPartition

from consumer.backlog import Backlog
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.ownership import Lease, Ownership
from consumer.rebalance import Drain, RebalanceListener
from db.notices import payload_of
from db.records import Holding, Stream
from schemas.kinds import Kind

STREAM = Stream(Kind.RESERVATION, 0, "a")
PLACE = (STREAM.kind, STREAM.partition)


class Held:
    """Leases that are held until they are given back."""

    def __init__(self) -> None:
        self.lease: Lease | None = Lease(PLACE, Holding("reservations", STREAM.partition, 1), 60.0)

    def of(self, stream: Stream) -> Lease | None:
        return self.lease if (stream.kind, stream.partition) == PLACE else None

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


async def test_a_partition_that_the_metadata_do_not_show_yet_is_ours_where_it_was_assigned() -> (
    None
):
    # The group's leader sees that a topic has grown some seconds before the others do.
    ownership = Ownership()
    listener = RebalanceListener(
        consumer=Mock(**{"partitions_for_topic.return_value": {0, 1}}),
        kinds={"reservations": Kind.RESERVATION},
        ownership=ownership,
        leases=Mock(),
        drain=Mock(),
    )
    await listener.on_partitions_assigned({TopicPartition("reservations", 3)})
    assert ownership.owns(Kind.RESERVATION, 3)
    assert not ownership.owns(Kind.RESERVATION, 1)


async def test_work_that_is_asked_for_while_draining_is_the_next_owners() -> None:
    ownership, held, quiet = Ownership(), Held(), Quiet()
    lanes = Lanes(max_in_flight=1, max_in_flight_per_tenant=1)
    backlog = Backlog(
        pool=cast("Any", None), lanes=lanes, ownership=ownership, leases=cast("Leases", held)
    )
    ownership.assign({Kind.RESERVATION: frozenset({0})}, dict.fromkeys(Kind, 1))
    backlog.told(payload_of(STREAM))
    assert backlog.streams() == [STREAM, replace(STREAM, replayed=True)]

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
