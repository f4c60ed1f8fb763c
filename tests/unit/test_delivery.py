"""A producer that has failed is ended, and the page that it had goes out again as a whole."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)

from consumer.delivery import Delivery
from db.records import OutboxRow


def rows(count: int) -> list[OutboxRow]:
    return [
        OutboxRow(id=number, topic="synced", key=b"a", value=b"%d" % number, headers=())
        for number in range(count)
    ]


class Producer:
    """Acknowledges what it is sent, unless a test wants something else of the n-th message."""

    def __init__(
        self,
        *,
        fails: KafkaError | None = None,
        at: int = 0,
        hangs: bool = False,
        refused: KafkaError | None = None,
    ) -> None:
        self.sent: list[bytes] = []
        self.stopped = False
        self._fails, self._at, self._hangs, self._refused = fails, at, hangs, refused
        # What is reached into to end it at once.
        self._sender = SimpleNamespace(sender_task=None)
        self._message_accumulator = SimpleNamespace(_batches={}, _pending_batches=set())

    async def start(self) -> None:
        if self._refused is not None:
            raise self._refused

    async def stop(self) -> None:
        self.stopped = True

    async def send(self, *_: object, value: bytes, **__: object) -> asyncio.Future[None]:
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append(value)
        if len(self.sent) > self._at and self._fails is not None:
            acknowledged.set_exception(self._fails)
        elif not self._hangs:
            acknowledged.set_result(None)
        return acknowledged


class Factory:
    """Gives these producers, one after the other."""

    def __init__(self, producers: Sequence[Producer]) -> None:
        self.left = list(producers)

    def __call__(self) -> AIOKafkaProducer:
        return cast("AIOKafkaProducer", self.left.pop(0))


def delivery(*producers: Producer, timeout: float = 30.0) -> Delivery:
    return Delivery(build=Factory(producers), build_bulk=Factory([Producer()]), timeout=timeout)


@pytest.mark.parametrize(
    "error", [OutOfOrderSequenceNumber(), ProducerFenced(), UnknownProducerId()]
)
async def test_a_producer_that_can_make_no_progress_is_replaced(error: KafkaError) -> None:
    broken, fresh = Producer(fails=error, at=2), Producer()
    sending = delivery(broken, fresh)
    await sending.start()
    with pytest.raises(type(error)):
        await sending.send(rows(5))
    assert broken.stopped

    await sending.send(rows(5))
    assert fresh.sent == [row.value for row in rows(5)]
    assert not fresh.stopped


async def test_acknowledgements_that_do_not_come_have_a_bound() -> None:
    silent, fresh = Producer(hangs=True), Producer()
    sending = delivery(silent, fresh, timeout=0.01)
    await sending.start()
    with pytest.raises(KafkaTimeoutError):
        await sending.send(rows(3))
    assert silent.stopped
    await sending.send(rows(3))
    assert len(fresh.sent) == 3


async def test_a_producer_that_works_is_kept() -> None:
    only = Producer()
    sending = delivery(only)
    await sending.start()
    for _ in range(3):
        await sending.send(rows(2))
    assert len(only.sent) == 6


async def test_brokers_that_let_nobody_in_show_at_the_start_and_later() -> None:
    away = KafkaConnectionError("nobody there")
    first, broken, second, fresh = (
        Producer(refused=away),
        Producer(fails=away),
        Producer(refused=away),
        Producer(),
    )
    with pytest.raises(KafkaConnectionError):
        await delivery(first).start()
    assert first.stopped

    sending = delivery(broken, second, fresh)
    await sending.start()
    for _ in range(2):
        with pytest.raises(KafkaConnectionError):
            await sending.send(rows(1))
    assert second.stopped
    await sending.send(rows(1))
    assert len(fresh.sent) == 1
