"""Everything that a chaos run needs, put together: servers of its own, proxies, the fake Sedna.

The service processes reach Kafka and Postgres through proxies; the run itself does not.
"""

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from consumer.demo.fake import Account, FakeSedna
from db.migrate import migrate
from tests.support.kafka_clients import topics_factory
from tests.support.outage import PrivateKafka, PrivatePostgres, private_kafka, private_postgres
from tests.support.postgres import database_url, execute
from tests.support.proxy import Proxy, running_proxy
from tests.support.service import World, running_world

_PARTITIONS = 6
_JOURNAL = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What can be broken, and who suffers."""

    here: World
    fake: FakeSedna
    kafka: PrivateKafka
    kafka_proxy: Proxy
    postgres: PrivatePostgres
    postgres_proxy: Proxy


@contextlib.asynccontextmanager
async def stage(
    agencies: Iterable[Account],
    *,
    settings: Mapping[str, str],
    program: Sequence[str] | None,
    seed: int,
) -> AsyncIterator[Stage]:
    """Build it; no service runs yet.

    Args:
        agencies: accounts of the fake, each a tenant of the same name.
        settings: of the services.
        program: what is started in place of `sedna-sync`.
        seed: of the fake.

    Raises:
        Unavailable: no Kafka or no Postgres can be had here.
    """
    agencies = list(agencies)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        kafka_proxy, postgres_proxy = await enter(running_proxy()), await enter(running_proxy())
        postgres = await enter(private_postgres())
        kafka = await enter(private_kafka(proxy=kafka_proxy.address))
        if kafka.side_door is None:
            raise RuntimeError("the Kafka has no side door")
        kafka_proxy.target = ("127.0.0.1", kafka.side_door.port)
        postgres_proxy.target = ("127.0.0.1", urlsplit(postgres.url).port or 0)
        await execute(postgres.url, "CREATE DATABASE chaos")
        direct = database_url(postgres.url, "chaos")
        await migrate(direct)
        make_topics = await enter(topics_factory(kafka.address))
        fake = await enter(FakeSedna(accounts=agencies, journal_size=_JOURNAL, seed=seed))
        here = await enter(
            running_world(
                fake=fake,
                kafka=kafka.address,
                topics=await make_topics(_PARTITIONS),
                database_url=direct,
                group_id=f"chaos-{uuid.uuid4().hex}",
            )
        )
        here.settings |= settings
        here.settings["KAFKA_BOOTSTRAP_SERVERS"] = kafka_proxy.address
        here.settings["DATABASE_URL"] = _through(direct, postgres_proxy.port)
        if program is not None:
            here.program = list(program)
        await here.add_tenants(agencies)
        yield Stage(
            here=here,
            fake=fake,
            kafka=kafka,
            kafka_proxy=kafka_proxy,
            postgres=postgres,
            postgres_proxy=postgres_proxy,
        )


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
