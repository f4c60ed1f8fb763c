"""The running service: starts the parts, and ends them so that nothing is left half done."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.accounts import Accounts, TenantWatch
from consumer.backlog import Backlog
from consumer.dispatcher import Dispatcher
from consumer.intake import Intake
from consumer.leases import Leases
from consumer.logs import get_logger
from consumer.processor import Processor
from consumer.publisher import Publisher
from consumer.rebalance import Drain, RebalanceListener
from consumer.settler import Settler
from db.pool import Pool

_log = get_logger(__name__)

#: Seconds that a Kafka client may take to say goodbye.
_GOODBYE = 10.0


class Service:
    """Everything that `sedna-sync run` runs; built by :mod:`consumer.bootstrap`."""

    def __init__(
        self,
        *,
        pool: Pool,
        consumer: AIOKafkaConsumer,
        producers: Sequence[AIOKafkaProducer],
        topics: Sequence[str],
        result_topics: Sequence[str],
        listener: RebalanceListener,
        intake: Intake,
        backlog: Backlog,
        dispatcher: Dispatcher,
        processor: Processor,
        settler: Settler,
        publisher: Publisher,
        leases: Leases,
        accounts: Accounts,
        drain: Drain,
        tenant_watch: TenantWatch,
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._producers = producers
        self._topics = topics
        self._result_topics = result_topics
        self._listener = listener
        self._intake = intake
        self._backlog = backlog
        self._dispatcher = dispatcher
        self._processor = processor
        self._settler = settler
        self._publisher = publisher
        self._leases = leases
        self._accounts = accounts
        self._drain = drain
        self._tenant_watch = tenant_watch
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin to end: stop reading, let requests in flight end, settle, publish, commit."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped.

        Raises:
            KafkaError: the brokers cannot be reached at the start.
            ExceptionGroup: a part has failed in a way that is not foreseen.
        """
        try:
            for producer in self._producers:
                await producer.start()
            await self._look_for_topics()
            self._consumer.subscribe(list(self._topics), listener=self._listener)
            await self._consumer.start()
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(part, name=name)
                    for name, part in (
                        ("hold leases", self._leases.run()),
                        ("feed", self._backlog.feed()),
                        ("sweep", self._backlog.sweep()),
                        ("settle", self._settler.run()),
                        ("mark", self._processor.mark()),
                        ("store steps", self._processor.store_steps()),
                        ("publish", self._publisher.run()),
                        ("watch tenants", self._tenant_watch.run()),
                    )
                ]
                dispatching = tasks.create_task(self._dispatcher.run(), name="dispatch")
                reading = tasks.create_task(self._intake.run(), name="read")
                stopping = tasks.create_task(self._stop.wait(), name="stop")
                _log.info("started", topics=list(self._topics))
                # Whatever ends first: being told to stop, or reading, which has then failed.
                await asyncio.wait([stopping, reading], return_when=asyncio.FIRST_COMPLETED)
                _log.info("stopping")
                self._intake.stop()
                await reading
                self._dispatcher.stop()
                drained = await self._drain()
                for task in [*background, dispatching, stopping]:
                    task.cancel()
                _log.info("drained" if drained else "stopped_with_work_in_flight")
        finally:
            await self._close()

    async def _look_for_topics(self) -> None:
        """Say which topics are missing; the service goes on, and reads them once they are there."""
        # All topics, and not ours by name: asking for one by name can create it.
        cluster = await self._producers[0].client.fetch_all_metadata()
        wanted = [*self._topics, *self._result_topics]
        missing = [topic for topic in wanted if topic not in cluster.topics()]
        if missing:
            _log.warning(
                "topics_missing",
                topics=missing,
                do="create them, or mend the settings SEDNA_SYNC_TOPIC_*",
            )

    async def _close(self) -> None:
        # `stop` of aiokafka has no bound of its own, and must not keep the process from ending.
        for client in (self._consumer, *self._producers):
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(_GOODBYE):
                    await client.stop()
        await self._accounts.aclose()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._pool.close()
