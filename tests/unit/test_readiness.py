"""What a process lacks to be fit for work, and how often it asks."""

import asyncio
from typing import Any, cast

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError

from consumer import readiness
from consumer.ownership import Ownership
from consumer.readiness import Readiness
from schemas.kinds import Kind


class Asked:
    """A Postgres and a Kafka in one, that count the questions and answer as they are told."""

    def __init__(self) -> None:
        self.questions = 0
        self.postgres: Exception | None = None
        self.kafka: Exception | None = None
        self.silent = False
        self.now = 0.0

    async def fetchval(self, _: str) -> int:
        self.questions += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.postgres:
            raise self.postgres
        return 1

    async def topics(self) -> set[str]:
        if self.kafka:
            raise self.kafka
        return set()


def built(asked: Asked, *, assigned: bool = True) -> Readiness:
    ownership = Ownership()
    if assigned:
        # Nothing, in a group with more members than partitions, is a share as well.
        ownership.assign({Kind.RESERVATION: frozenset()}, {Kind.RESERVATION: 3})
    return Readiness(
        pool=cast("Any", asked),
        consumer=cast("Any", asked),
        ownership=ownership,
        clock=lambda: asked.now,
    )


async def test_a_process_that_has_all_is_ready() -> None:
    assert await built(Asked()).missing() == []


async def test_a_database_that_does_not_answer_is_missing() -> None:
    asked = Asked()
    asked.postgres = asyncpg.PostgresConnectionError("away")
    assert await built(asked).missing() == ["postgres"]


async def test_a_database_that_is_silent_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "_PATIENCE", 0.01)
    asked = Asked()
    asked.silent = True
    assert await built(asked).missing() == ["postgres"]


async def test_brokers_that_do_not_answer_are_missing() -> None:
    asked = Asked()
    asked.kafka = KafkaConnectionError("away")
    assert await built(asked).missing() == ["kafka"]


async def test_before_the_group_has_given_it_its_share_a_process_is_not_ready() -> None:
    assert await built(Asked(), assigned=False).missing() == ["assignment", "kafka"]


async def test_a_process_that_is_about_to_end_is_not_ready_at_once() -> None:
    ready = built(Asked())
    assert await ready.missing() == []
    ready.stopping = True
    assert await ready.missing() == ["stopping"]


async def test_however_many_ask_the_database_is_asked_once_in_a_while() -> None:
    asked = Asked()
    ready = built(asked)
    await asyncio.gather(*(ready.missing() for _ in range(100)))
    await ready.missing()
    assert asked.questions == 1
    asked.now += readiness._FRESH
    asked.postgres = asyncpg.PostgresConnectionError("away")
    assert await ready.missing() == ["postgres"]
    assert asked.questions == 2
