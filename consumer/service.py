"""The running service: starts the parts, and ends them so that nothing is left half done."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from consumer.accounts import Accounts, TenantWatch
from consumer.api.server import ApiServer
from consumer.backlog import Backlog
from consumer.delivery import Delivery
from consumer.dispatcher import Dispatcher
from consumer.gauges import ServiceStanding
from consumer.intake import Intake
from consumer.leases import Leases
from consumer.logs import get_logger
from consumer.processor import Processor
from consumer.publisher import Publisher
from consumer.readiness import Readiness
from consumer.rebalance import Drain, RebalanceListener
from consumer.settler import Settler
from consumer.tracing import Tracing
from consumer.watchdog import ConsumerStalled, Watchdog
from db.pool import Pool

_log = get_logger(__name__)

#: Seconds that a Kafka client may take to say goodbye, and reading to come to its end.
_GOODBYE = 10.0


class Service:
    """Everything that `sedna-sync run` runs; built by :mod:`consumer.bootstrap`."""

    def __init__(
        self,
        *,
        pool: Pool,
        consumer: AIOKafkaConsumer,
        delivery: Delivery,
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
        standing: ServiceStanding,
        drain: Drain,
        watchdog: Watchdog,
        tenant_watch: TenantWatch,
        api: ApiServer,
        api_pool: Pool,
        readiness: Readiness,
        tracing: Tracing,
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._delivery = delivery
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
        self._standing = standing
        self._drain = drain
        self._watchdog = watchdog
        self._tenant_watch = tenant_watch
        self._api = api
        self._api_pool = api_pool
        self._readiness = readiness
        self._tracing = tracing
        self._stop = asyncio.Event()
        self._failure: ConsumerStalled | KafkaError | None = None  # why reading has ended

    def stop(self) -> None:
        """Begin to end: stop reading, let requests in flight end, settle, publish, commit."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped.

        Raises:
            SettingsError: the HTTP API's port cannot be had.
            KafkaError: the brokers cannot be reached at the start, or reading has failed for good.
            ConsumerStalled: reading stands still and does not say why.
            ExceptionGroup: a part has failed in a way that is not foreseen.
        """
        try:
            self._api.bind()
            await self._delivery.start()
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
                        ("measure", self._standing.run()),
                        ("watch tenants", self._tenant_watch.run()),
                    )
                ]
                dispatching = tasks.create_task(self._dispatcher.run(), name="dispatch")
                reading = tasks.create_task(self._read(), name="read")
                serving = tasks.create_task(self._api.run(), name="serve HTTP")
                stopping = tasks.create_task(self._stop.wait(), name="stop")
                _log.info("started", topics=list(self._topics))
                # Whatever ends first: being told to stop, or reading, which has then failed.
                await asyncio.wait([stopping, reading], return_when=asyncio.FIRST_COMPLETED)
                _log.info("stopping")
                self._readiness.stopping = True
                self._intake.stop()
                # A poll of a consumer that has stalled, or is in a rebalance, need not come back.
                await asyncio.wait([reading], timeout=_GOODBYE)
                reading.cancel()
                self._dispatcher.stop()
                drained = await self._drain()
                # Until here it answers probes, and callers who wait for the outcome of a sync.
                self._api.stop()
                await serving
                for task in [*background, dispatching, stopping]:
                    task.cancel()
                _log.info("drained" if drained else "stopped_with_work_in_flight")
        finally:
            await self._close()
        if self._failure is not None:
            raise self._failure

    async def _read(self) -> None:
        """Read until it ends or has failed; the rest of the service then ends in order."""
        watching = asyncio.create_task(self._watchdog.run(), name="watchdog")
        reading = asyncio.create_task(self._intake.run(), name="intake")
        try:
            await asyncio.wait([watching, reading], return_when=asyncio.FIRST_COMPLETED)
            for task in (watching, reading):
                if task.done():
                    task.result()
        except (ConsumerStalled, KafkaError) as error:
            self._failure = error
        finally:
            watching.cancel()
            reading.cancel()
            await asyncio.wait([watching, reading], timeout=_GOODBYE)

    async def _look_for_topics(self) -> None:
        """Say which topics are missing; the service goes on, and reads them once they are there."""
        cluster = await self._delivery.topics()
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
        # And it can raise the cancellation of a task of its own, which would pass for ours.
        leaving = asyncio.create_task(self._consumer.stop(), name="leave the group")
        done, _ = await asyncio.wait([leaving], timeout=_GOODBYE)
        if not done:
            leaving.cancel()
        elif not leaving.cancelled():
            with suppress(KafkaError):
                leaving.result()
        await self._delivery.close()
        self._api.close()
        await self._accounts.aclose()
        await self._tracing.aclose()
        for pool in (self._api_pool, self._pool):
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await pool.close()
