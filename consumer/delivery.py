"""Sends messages to Kafka, and returns once every one of them is acknowledged.

A producer that has failed once is never used again: an expired batch leaves a gap in the numbers of
an idempotent one, and what it still holds could come out behind what its successor sends. So it is
ended, whatever it holds, before the next one is made. It must never say that a message is sent
which was not acknowledged, nor wait for the brokers without a bound.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaProducer
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerClosed,
)

from consumer.logs import get_logger
from db.records import OutboxRow

_log = get_logger(__name__)

#: No result is as large; a dead letter can be larger than the broker takes with its headers added.
_LARGE_BYTES = 256 * 1024
#: Seconds that the brokers have to let a producer in, or to acknowledge what was sent at once.
_TIMEOUT = 30.0
#: Seconds that each step of ending a producer may take.
_GOODBYE = 5.0


class Delivery:
    """Two producers: an idempotent one, and one for dead letters as large as their events."""

    def __init__(
        self,
        *,
        build: Callable[[], AIOKafkaProducer],
        build_bulk: Callable[[], AIOKafkaProducer],
        timeout: float = _TIMEOUT,
    ) -> None:
        self._build = build
        self._build_bulk = build_bulk
        self._timeout = timeout  #: seconds
        self._producer: AIOKafkaProducer | None = None
        self._bulk_producer: AIOKafkaProducer | None = None
        self._lost = False  # a producer was ended since the last that was let in

    async def start(self) -> None:
        """Connect both, so that a wrong address or missing right shows at the start.

        Raises:
            KafkaError: the brokers cannot be reached, or refuse.
        """
        async with self._bounded():
            self._producer = await _started(self._build())
            self._bulk_producer = await _started(self._build_bulk())

    async def topics(self) -> ClusterMetadata:
        """What the brokers know of all topics; to be called after :meth:`start`.

        All topics, and not some by name: asking for one by name can create it.

        Raises:
            KafkaError: they do not answer.
        """
        if self._producer is None:
            raise ProducerClosed
        return await self._producer.client.fetch_all_metadata()

    async def send(self, rows: Sequence[OutboxRow]) -> None:
        """Send messages, in order for each key; returns once all are acknowledged.

        Raises:
            KafkaError: some are not, and it is unknown which: send all of them again.
        """
        async with self._bounded():
            if self._producer is None:
                self._producer = await _started(self._build())
                if self._lost:
                    self._lost = False
                    _log.info("producer_rebuilt")
            await _acknowledged(self._producer, [row for row in rows if not _is_large(row)])
            for row in rows:
                if _is_large(row):
                    await self._send_large(row)

    async def close(self) -> None:
        """End both producers; what is not acknowledged stays in the outbox."""
        producers = (self._producer, self._bulk_producer)
        self._producer = self._bulk_producer = None
        for producer in producers:
            if producer is not None:
                await _end(producer)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """End the producers if the block fails or takes too long."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except KafkaError:
            await self._give_up()
            raise
        except TimeoutError:
            await self._give_up()
            raise KafkaTimeoutError(f"no acknowledgement within {self._timeout:g} s") from None

    async def _give_up(self) -> None:
        self._lost = self._lost or self._producer is not None
        await self.close()

    async def _send_large(self, row: OutboxRow) -> None:
        """Send a dead letter that the broker may find too large, by a producer of its own.

        A refused message would leave a gap in the numbers of the idempotent one.
        """
        if self._bulk_producer is None:
            self._bulk_producer = await _started(self._build_bulk())
        headers = list(row.headers)
        try:
            await self._bulk_producer.send_and_wait(
                row.topic, key=_key(row), value=row.value, headers=headers
            )
        except MessageSizeTooLargeError:
            size = len(row.value or b"")
            _log.error("dead_letter_too_large", topic=row.topic, bytes=size)
            note = f"{size} bytes, more than the broker takes; they are in the table rejections"
            await self._bulk_producer.send_and_wait(
                row.topic,
                key=_key(row),
                value=b"",
                headers=[*headers, ("x-value-omitted", note.encode())],
            )


async def _started(producer: AIOKafkaProducer) -> AIOKafkaProducer:
    try:
        await producer.start()
    except BaseException:
        await _end(producer)
        raise
    return producer


async def _acknowledged(producer: AIOKafkaProducer, rows: Sequence[OutboxRow]) -> None:
    sent: list[asyncio.Future[object]] = []
    try:
        for row in rows:
            future = await producer.send(
                row.topic, key=_key(row), value=row.value, headers=list(row.headers)
            )
            # Only the first error is raised, and one that nobody has seen is logged as a mistake.
            future.add_done_callback(_look)
            sent.append(future)
        if sent:
            await asyncio.wait(sent, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for future in sent:
            future.cancel()
    for future in sent:
        future.result()


async def _end(producer: AIOKafkaProducer) -> None:
    """End a producer without what it holds: its own `stop` waits until all of that is sent."""
    sending = producer._sender.sender_task  # noqa: SLF001  # there is no public way to end it at once
    if sending is not None and not sending.done():
        sending.cancel()
        await asyncio.wait([sending], timeout=_GOODBYE)
    held = producer._message_accumulator  # noqa: SLF001  # likewise
    held._batches.clear()  # noqa: SLF001  # likewise
    held._pending_batches.clear()  # noqa: SLF001  # likewise
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(_GOODBYE):
            await producer.stop()


def _look(future: "asyncio.Future[object]") -> None:
    if not future.cancelled():
        future.exception()


def _is_large(row: OutboxRow) -> bool:
    return len(row.value or b"") > _LARGE_BYTES


def _key(row: OutboxRow) -> bytes | None:
    """The key; of a dead letter with neither key nor value an empty one: aiokafka sends no such."""
    return b"" if row.key is None and row.value is None else row.key
