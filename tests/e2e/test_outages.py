"""Postgres away, Kafka away: the same processes go on once it is back, and nothing is lost."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consumer.demo.fake import FakeSedna, Fault, FaultKind
from db.migrate import migrate
from tests.e2e.checks import check
from tests.support.events import account, reservation
from tests.support.kafka_clients import Topics, TopicsFactory, topics_factory
from tests.support.outage import PrivateKafka, PrivatePostgres
from tests.support.service import ServiceProcess, World, running_world

TENANTS = [f"tenant-{number}" for number in range(4)]
HANG = Fault(kind=FaultKind.HANG, operation="InsertReservation")
#: A member that does not poll for so many milliseconds leaves its group; else it is five minutes.
POLL_INTERVAL_MS = 2_000
IMPATIENT = f"""
from consumer import kafka
from consumer.cli.main import main
kafka._MAX_POLL_INTERVAL_MS = {POLL_INTERVAL_MS}
main()
"""
#: Reads nothing while the file exists that the first argument names, and has a hasty watchdog.
STALLING = """
import asyncio, functools, os, pathlib, sys
from aiokafka import AIOKafkaConsumer
from consumer import bootstrap
from consumer.cli.main import main
flag = sys.argv.pop(1)
getmany = AIOKafkaConsumer.getmany
async def stalling(self, *partitions, **options):
    if not os.path.exists(flag):
        return await getmany(self, *partitions, **options)
    pathlib.Path(flag + "-seen").touch()
    await asyncio.sleep(0.05)
    return {}
AIOKafkaConsumer.getmany = stalling
bootstrap.Watchdog = functools.partial(bootstrap.Watchdog, stall_seconds=1.0)
main()
"""


@asynccontextmanager
async def world(
    *, kafka: str, topics: Topics, database_url: str, group_id: str
) -> AsyncIterator[World]:
    accounts = [account(name, latency_seconds=0.05) for name in TENANTS]
    await migrate(database_url)
    async with (
        FakeSedna(accounts=accounts) as fake,
        running_world(
            fake=fake, kafka=kafka, topics=topics, database_url=database_url, group_id=group_id
        ) as here,
    ):
        await here.add_tenants(accounts)
        yield here
        await check(here)


async def publish(here: World, numbers: range) -> None:
    await here.publish_reservations(
        (tenant, reservation(tenant, number)) for number in numbers for tenant in TENANTS
    )


async def everything_is_there_once(here: World, count: int) -> None:
    for tenant in TENANTS:
        assert here.fake.holdings(tenant).vouchers == {f"V{n:06}": 1 for n in range(count)}
    # Published at least once each, with one id each.
    results = {result["id"]: result for result in await here.results()}
    assert [result["type"] for result in results.values()] == ["sedna.synced"] * (
        count * len(TENANTS)
    )
    assert await here.value("SELECT count(*) FROM syncs WHERE state = 'synced'") == len(results)


def refused_while_registering(service: ServiceProcess) -> list[float]:
    """The waits of one batch that Postgres did not take."""
    return [
        line["retry_in"]
        for line in service.lines("postgres_unavailable")
        if line["what"] == "registering"
    ]


async def test_while_postgres_is_away_the_member_stays_and_what_is_known_is_kept(
    kafka_server: str, topics: TopicsFactory, group_id: str, outage_postgres: PrivatePostgres
) -> None:
    async with world(
        kafka=kafka_server,
        topics=await topics(3),
        database_url=outage_postgres.url,
        group_id=group_id,
    ) as here:
        here.program = [sys.executable, "-c", IMPATIENT]
        here.fake.faults.add(HANG)
        service = await here.start()
        await publish(here, range(3))
        await here.fake.until(lambda fake: fake.hung == 3 * len(TENANTS))

        await outage_postgres.stop("fast")
        here.fake.faults.clear()
        here.fake.release()
        await publish(here, range(3, 6))
        # Several times as long as the member may be silent.
        await service.until(
            lambda: sum(refused_while_registering(service)) > 3 * POLL_INTERVAL_MS / 1000
        )
        await outage_postgres.start()
        await here.until_settled(6 * len(TENANTS))
        await here.until_committed()

        await everything_is_there_once(here, 6)
        assert here.fake.calls("InsertReservation") == 6 * len(TENANTS)
        assert len(service.lines("partitions_assigned")) == 1
        assert await service.stop() == 0


async def test_a_rebalance_while_postgres_is_away_does_not_wait_for_it(
    kafka_server: str, topics: TopicsFactory, group_id: str, outage_postgres: PrivatePostgres
) -> None:
    async with world(
        kafka=kafka_server,
        topics=await topics(6),
        database_url=outage_postgres.url,
        group_id=group_id,
    ) as here:
        here.settings |= {"CONNECT_TIMEOUT": "1", "REQUEST_TIMEOUT": "1.5"}
        # Leases that could not be given back have to run out.
        here.settings |= {"DRAIN_TIMEOUT": "3", "LEASE": "6"}
        first, second = await here.start(), await here.start()
        await first.until_logged("partitions_assigned", times=2)
        await publish(here, range(2))
        await here.until_settled(2 * len(TENANTS))

        await outage_postgres.stop("immediate")
        await publish(here, range(2, 6))
        await first.until(lambda: bool(refused_while_registering(first)))
        await second.until(lambda: bool(refused_while_registering(second)))
        assert await second.stop() == 0
        await first.until_logged("partitions_assigned", times=3)
        assert first.lines("batch_given_up")
        assert first.lines("partitions_revoked")[-1]["drained"] is False

        await outage_postgres.start()
        await here.until_settled(6 * len(TENANTS))
        await here.until_committed()
        await everything_is_there_once(here, 6)


async def test_while_kafka_is_away_work_goes_on_results_wait_and_the_service_can_end(
    group_id: str, outage_postgres: PrivatePostgres, outage_kafka: PrivateKafka
) -> None:
    async with (
        topics_factory(outage_kafka.address) as topics,
        world(
            kafka=outage_kafka.address,
            topics=await topics(3),
            database_url=outage_postgres.url,
            group_id=group_id,
        ) as here,
    ):
        here.fake.faults.add(HANG)
        service = await here.start()
        await publish(here, range(5))
        await here.fake.until(lambda fake: fake.hung == 5 * len(TENANTS))

        await outage_kafka.stop()
        here.fake.faults.clear()
        here.fake.release()
        await here.until_value(
            5 * len(TENANTS), "SELECT count(*) FROM syncs WHERE state = 'synced'"
        )
        assert await here.value("SELECT count(*) FROM outbox") == 5 * len(TENANTS)

        await outage_kafka.start()
        await here.until_settled(5 * len(TENANTS))
        await publish(here, range(5, 8))
        await here.until_settled(8 * len(TENANTS))
        await here.until_committed()
        await everything_is_there_once(here, 8)

        await outage_kafka.stop()
        assert await service.stop() == 0
        assert service.lines("drained")
        await outage_kafka.start()


async def test_a_consumer_that_stalls_ends_its_process_and_the_next_one_reads_on(
    kafka_server: str, topics: TopicsFactory, group_id: str, database_url: str
) -> None:
    async with world(
        kafka=kafka_server,
        topics=await topics(3),
        database_url=database_url,
        group_id=group_id,
    ) as here:
        flag = here.folder / "stalled"
        here.program = [sys.executable, "-c", STALLING, str(flag)]
        service = await here.start()
        await publish(here, range(2))
        await here.until_settled(2 * len(TENANTS))
        flag.touch()
        # A poll that is under way reads on.
        await service.until((here.folder / "stalled-seen").exists)
        await publish(here, range(2, 4))
        assert await service.ended() == 1
        assert service.lines("consumer_stalled")
        assert service.lines("drained")
        # It ended as it should, with a line for people.
        here.services.remove(service)

        flag.unlink()
        await here.start()
        await here.until_settled(4 * len(TENANTS))
        await everything_is_there_once(here, 4)
