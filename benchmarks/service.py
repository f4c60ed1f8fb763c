"""The whole service in a benchmark: as a process, with a database and topics of its own."""

import asyncio
import base64
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from benchmarks import stub
from benchmarks.stub import Stub
from consumer.credentials import Keyring
from db import tenants
from db.migrate import migrate
from db.pool import open_pool
from db.records import TenantSettings
from tests.support import kafka_clients
from tests.support.events import envelope, reservation_data
from tests.support.kafka import kafka_server
from tests.support.kafka_clients import Message, topics_factory
from tests.support.postgres import database, postgres_server

TENANTS = 20
#: Requests at once, of all tenants.
CONCURRENCY = 500
_KEY = f"bench:{base64.b64encode(bytes(32)).decode()}"
_PARTITIONS = 6
#: As it is installed.
SERVICE = (str(Path(sys.executable).parent / "sedna-sync"), "run")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the service's servers are."""

    kafka: str  #: host:port
    postgres: str  #: a URL
    sedna: Stub


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Servers that run for one measurement."""
    kafka, postgres = kafka_server(), postgres_server()
    kafka.start()
    try:
        async with stub.running() as sedna:
            yield Servers(kafka.address(), postgres.address(), sedna)
    finally:
        kafka.close()
        postgres.close()


@dataclass(frozen=True, slots=True)
class Measured:
    rate: float  #: events per second, from the first answer published to the last
    cpu_us_per_event: float  #: of the service's process, user and system


async def measure(
    here: Servers,
    *,
    events: int,
    program: Sequence[str] = SERVICE,
    variables: Mapping[str, str] | None = None,
) -> Measured:
    """Publish all events, then start the service and see how fast they are answered.

    Args:
        here: where its servers are.
        events: how many.
        program: what is run as the service.
        variables: of its environment, besides the settings.
    """
    names = [f"tenant-{number:02}" for number in range(TENANTS)]
    async with database(here.postgres) as database_url, topics_factory(here.kafka) as make_topics:
        await migrate(database_url)
        await _set_up(database_url, here.sedna, names)
        topics = await make_topics(_PARTITIONS)
        await kafka_clients.produce(
            here.kafka,
            [
                Message(
                    topic=topics.reservations,
                    key=names[number % TENANTS].encode(),
                    value=_event(names[number % TENANTS], number),
                )
                for number in range(events)
            ],
        )
        environment = {name: value for name, value in os.environ.items() if "SEDNA" not in name}
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": here.kafka,
            "KAFKA_GROUP_ID": topics.reservations,
            "TOPIC_RESERVATIONS": topics.reservations,
            "TOPIC_STOP_SALES": topics.stop_sales,
            "TOPIC_SYNCED": topics.synced,
            "TOPIC_FAILED": topics.failed,
            "TOPIC_DEADLETTER": topics.deadletter,
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEYS": _KEY,
            "API_PORT": "0",
            "ALLOW_PRIVATE_ADDRESSES": "true",
            "MAX_IN_FLIGHT": str(CONCURRENCY),
            "MAX_IN_FLIGHT_PER_TENANT": str(CONCURRENCY // TENANTS),
        }
        environment |= {f"SEDNA_SYNC_{name}": value for name, value in settings.items()}
        environment |= variables or {}
        before = here.sedna.inserts
        with tempfile.TemporaryFile() as log:
            service = await asyncio.create_subprocess_exec(*program, env=environment, stderr=log)
            try:
                await _until_answered(database_url, service, events)
                cpu = psutil.Process(service.pid).cpu_times()
            finally:
                service.terminate()
                await service.wait()
        sent = here.sedna.inserts - before
        if sent != events:
            raise RuntimeError(f"Sedna was sent {sent} reservations for {events} events")
        answers = await kafka_clients.read_all(here.kafka, topics.synced, timeout_seconds=120)
        if len(answers) != events:
            raise RuntimeError(f"{len(answers)} answers to {events} events")
        times = [answer.timestamp / 1000 for answer in answers]
        return Measured(
            rate=(events - 1) / (max(times) - min(times)),
            cpu_us_per_event=(cpu.user + cpu.system) / events * 1e6,
        )


def _event(tenant: str, number: int) -> bytes:
    data = reservation_data(number, hotel_name="Mandarin Resort & Spa")
    return envelope(tenant, "reservation.created", data)


async def _set_up(database_url: str, sedna: Stub, names: list[str]) -> None:
    keys = Keyring.parse(_KEY)
    pool = await open_pool(database_url, max_size=1)
    try:
        for name in names:
            await tenants.put(
                pool,
                TenantSettings(
                    tenant_id=name,
                    sedna_api_url=sedna.base_url,
                    sedna_username="bench",
                    sedna_password_encrypted=keys.encrypt("bench", tenant_id=name),
                ),
            )
    finally:
        await pool.close()


async def _until_answered(
    database_url: str, service: asyncio.subprocess.Process, events: int
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        while service.returncode is None:
            pending = await connection.fetchval("SELECT count(*) FROM syncs WHERE NOT sedna_synced")
            known = await connection.fetchval("SELECT count(*) FROM syncs")
            waiting = await connection.fetchval("SELECT count(*) FROM outbox")
            if known == events and not pending and not waiting:
                return
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
    raise RuntimeError(f"the service ended with {service.returncode}")
