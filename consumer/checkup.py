"""Checks everything that the service needs, one finding each, and changes nothing.

The only traffic to Sedna is one login per active tenant.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.accounts import Account
from consumer.credentials import CannotDecrypt
from consumer.kafka import build_consumer, build_producer, partitions_of
from consumer.sedna.errors import SednaError
from consumer.settings import PREFIX, Settings
from db import migrate, tenants
from db.errors import DatabaseError
from db.pool import open_pool
from db.records import TenantSettings

_CLIENT_ID = "sedna-sync-doctor"
#: Seconds that Kafka may take for all of its checks.
_KAFKA_SECONDS = 30.0
#: So many tenants' logins are tried at once.
_LOGINS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found."""

    name: str  #: such as `kafka` or `tenant aurora`
    ok: bool
    message: str  #: what is so, and where it is not well, what to do


async def examine(
    settings: Settings, build_account: Callable[[TenantSettings], Account]
) -> list[Finding]:
    """Run all checks; nothing is raised for what is not well."""
    kafka, database = await asyncio.gather(_kafka(settings), _database(settings, build_account))
    return [*kafka, *database]


async def _kafka(settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(_KAFKA_SECONDS):
            return await _topics_and_rights(settings)
    except (KafkaError, TimeoutError, OSError) as error:
        return [
            Finding(
                "kafka",
                ok=False,
                message=(
                    f"{settings.kafka_bootstrap_servers}: {_short(error)}: check "
                    f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS and the other {PREFIX}KAFKA_* settings"
                ),
            )
        ]


async def _topics_and_rights(settings: Settings) -> list[Finding]:
    inputs = [settings.topic_reservations, settings.topic_stop_sales]
    outputs = [settings.topic_synced, settings.topic_failed, settings.topic_deadletter]
    found = await partitions_of(settings, [*inputs, *outputs], client_id=_CLIENT_ID)
    counts = {topic: len(partitions) for topic, partitions in found.items()}
    findings = [
        Finding(
            "kafka",
            ok=True,
            message=f"{settings.kafka_bootstrap_servers} answers",
        )
    ]
    for name in (*inputs, *outputs):
        count = counts.get(name)
        findings.append(
            Finding(f"topic {name}", ok=True, message=f"{count} partitions")
            if count is not None
            else Finding(
                f"topic {name}",
                ok=False,
                message="does not exist, or may not be seen: create it, or grant DESCRIBE on it",
            )
        )
    first, second = (counts.get(name) for name in inputs)
    if first is not None and second is not None and first != second:
        findings.append(
            Finding(
                "partitions",
                ok=False,
                message=(
                    f"{inputs[0]} has {first} partitions, {inputs[1]} has {second}: give both the "
                    "same number, so that each tenant is worked for by one process"
                ),
            )
        )
    findings.append(await _may_read(settings, [name for name in inputs if name in counts]))
    findings.append(await _may_write(settings))
    return findings


async def _may_read(settings: Settings, topics: list[str]) -> Finding:
    """Fetch at the end of the input topics, outside of the group, and look at its offsets."""
    name = "right to read"
    group = settings.kafka_group_id
    consumer: AIOKafkaConsumer = build_consumer(settings, client_id=_CLIENT_ID)
    try:
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, 0) for topic in topics]
            consumer.assign(partitions)
            for partition in partitions:
                await consumer.committed(partition)
            if partitions:
                await consumer.seek_to_end(*partitions)
                await consumer.getmany(timeout_ms=500)
        finally:
            await consumer.stop()
    except KafkaError as error:
        return Finding(
            name,
            ok=False,
            message=f"{_short(error)}: grant READ on the input topics and on the group {group}",
        )
    return Finding(name, ok=True, message=f"input topics and group {group}")


async def _may_write(settings: Settings) -> Finding:
    """Ask for a producer's id; nothing is written."""
    producer = build_producer(settings, client_id=_CLIENT_ID)
    try:
        await producer.start()
        await producer.stop()
    except KafkaError as error:
        return Finding(
            "right to write",
            ok=False,
            message=(
                f"{_short(error)}: grant WRITE on the result topics, and IDEMPOTENT_WRITE on the "
                "cluster to brokers older than 3.0"
            ),
        )
    return Finding("right to write", ok=True, message="an idempotent producer is let in")


async def _database(
    settings: Settings, build_account: Callable[[TenantSettings], Account]
) -> list[Finding]:
    if settings.database_url is None:
        return [Finding("postgres", ok=False, message=f"{PREFIX}DATABASE_URL is not set")]
    try:
        pool = await open_pool(settings.database_url.get_secret_value(), max_size=2)
    except DatabaseError as error:
        return [Finding("postgres", ok=False, message=f"{error}: check {PREFIX}DATABASE_URL")]
    try:
        await migrate.check(pool)
        found = await tenants.every(pool)
    except DatabaseError as error:
        return [Finding("postgres", ok=False, message=str(error))]
    finally:
        await pool.close()
    return [
        Finding("postgres", ok=True, message="answers, and has the tables of this release"),
        *await _logins(found, build_account),
    ]


async def _logins(
    found: list[TenantSettings], build_account: Callable[[TenantSettings], Account]
) -> list[Finding]:
    if not found:
        return [
            Finding(
                "tenants",
                ok=False,
                message="there are none: add one with `sedna-sync tenant set`",
            )
        ]
    at_once = asyncio.Semaphore(_LOGINS_AT_ONCE)

    async def check(tenant: TenantSettings) -> Finding:
        async with at_once:
            return await _login(tenant, build_account)

    return list(await asyncio.gather(*map(check, found)))


async def _login(
    tenant: TenantSettings, build_account: Callable[[TenantSettings], Account]
) -> Finding:
    name = f"tenant {tenant.tenant_id}"
    try:
        account = build_account(tenant)
    except CannotDecrypt as error:
        return Finding(name, ok=False, message=str(error))
    except ValueError as error:
        return Finding(name, ok=False, message=f"{error}: check its --url and the proxy variables")
    try:
        if not tenant.is_active:
            return Finding(name, ok=True, message="inactive; its password opens")
        login = await account.client.login()
    except SednaError as error:
        return Finding(name, ok=False, message=str(error))
    finally:
        await account.transport.aclose()
    return Finding(name, ok=True, message=f"logged in as operator {login.operator_id}")


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
