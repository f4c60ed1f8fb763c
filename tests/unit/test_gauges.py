"""Lag and the time between counts: cheap, and silent about what is not known."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from consumer.gauges import LagGauges, until_next
from consumer.ownership import Ownership
from schemas.kinds import Kind

TOPICS = {Kind.RESERVATION: "reservation.created", Kind.STOP_SALE: "stopsale.created"}


@pytest.mark.parametrize(
    "took, wait", [(0.0, 15), (0.5, 15), (0.75, 15), (2, 40), (13, 260), (60, 300)]
)
def test_a_count_that_takes_long_is_made_less_often(took: float, wait: float) -> None:
    assert until_next(took) == pytest.approx(wait)


@dataclass
class FakeConsumer:
    """Partitions, where reading stands in each, and where each ends."""

    positions: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]
    away: bool = False
    asked: list[int] = field(default_factory=list)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(len(partitions))
        if self.away:
            raise KafkaConnectionError("no broker")
        return {partition: self.ends[partition] for partition in partitions}

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]


R0, R1 = (TopicPartition("reservation.created", number) for number in (0, 1))
S0 = TopicPartition("stopsale.created", 0)


@dataclass
class Process:
    """One process that owns partitions."""

    consumer: FakeConsumer = field(
        default_factory=lambda: FakeConsumer({R0: 10, R1: 5, S0: 7}, {R0: 25, R1: 5, S0: 6})
    )
    ownership: Ownership = field(default_factory=Ownership)
    gauges: LagGauges = field(init=False)

    def __post_init__(self) -> None:
        self.own(R0, R1, S0)
        self.gauges = LagGauges(
            consumer=cast("AIOKafkaConsumer", self.consumer),
            ownership=self.ownership,
            topics=TOPICS,
        )

    def own(self, *partitions: TopicPartition) -> None:
        self.ownership.assign(
            {
                kind: frozenset(each.partition for each in partitions if each.topic == topic)
                for kind, topic in TOPICS.items()
            },
            dict.fromkeys(Kind, 2),
        )


async def test_lag_is_what_is_left_to_read_of_each_partition_and_never_negative() -> None:
    process = Process()
    await process.gauges.refresh()
    assert process.gauges.lag() == {
        ("reservation.created", 0): 15,
        ("reservation.created", 1): 0,
        ("stopsale.created", 0): 0,
    }
    assert process.consumer.asked == [3]  # one question for all


async def test_a_partition_that_is_taken_away_is_left_out_at_once() -> None:
    process = Process()
    await process.gauges.refresh()
    process.own(R1)
    assert process.gauges.lag() == {("reservation.created", 1): 0}


async def test_nobody_is_asked_about_nothing() -> None:
    process = Process()
    process.ownership.revoke()
    await process.gauges.refresh()
    assert process.gauges.lag() == {}
    assert process.consumer.asked == []


async def test_lag_is_absent_while_kafka_is_away_and_comes_back() -> None:
    process = Process()
    await process.gauges.refresh()
    process.consumer.away = True
    await process.gauges.refresh()
    assert process.gauges.lag() == {}
    process.consumer.away = False
    await process.gauges.refresh()
    assert process.gauges.lag()["reservation.created", 0] == 15
