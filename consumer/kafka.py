"""Builds the Kafka clients, with every default overridden that would break a promise."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from consumer.kafka_connections import use_mended_connections
from consumer.settings import Settings

#: Seconds by which each limit lies above the one that it has to outlive:
#: request timeout > rebalance timeout > drain.
_MARGIN = 10.0
#: Seconds: within the limits that brokers set by default (6 s to 30 min), and no longer than helps.
_SHORTEST_SESSION, _LONGEST_SESSION = 6.0, 30.0
#: A member that has not polled for so long leaves the group; one that waits for Postgres polls.
_MAX_POLL_INTERVAL_MS = 300_000
#: Topics that appear, and partitions that are added, are seen within this time.
_METADATA_MAX_AGE_MS = 15_000


def session_timeout(settings: Settings) -> float:
    """Seconds of silence after which the group gives a member's partitions away.

    Not longer than the lease: then the partitions of a process that died would wait for the group,
    while their leases have long run out.
    """
    return min(_LONGEST_SESSION, max(_SHORTEST_SESSION, settings.lease))


def build_consumer(settings: Settings, *, client_id: str) -> AIOKafkaConsumer:
    """A consumer of the group, not subscribed yet.

    It commits only when told, begins at the beginning, sees committed records only, and gives
    partition n of both topics to the same member.
    """
    rebalance_ms = round((settings.drain_timeout + _MARGIN) * 1000)
    session_ms = round(session_timeout(settings) * 1000)
    return AIOKafkaConsumer(
        **_connection(settings),
        client_id=client_id,
        group_id=settings.kafka_group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 10,
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        rebalance_timeout_ms=rebalance_ms,
        request_timeout_ms=rebalance_ms + round(_MARGIN * 1000),
        metadata_max_age_ms=_METADATA_MAX_AGE_MS,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )


@asynccontextmanager
async def reading(settings: Settings, *, client_id: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of no group, for who says himself which partitions are read, and from where.

    It commits nothing, sees committed records only, and never moves by itself: an offset that is
    not there is an error.
    """
    consumer = AIOKafkaConsumer(
        **_connection(settings),
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        metadata_max_age_ms=_METADATA_MAX_AGE_MS,
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    try:
        await consumer.start()
        # A task of its own that was cancelled before it began would make `stop` fail.
        await asyncio.sleep(0)
        yield consumer
    finally:
        await consumer.stop()


def build_producer(settings: Settings, *, client_id: str) -> AIOKafkaProducer:
    """An idempotent producer: each message once, in order, acknowledged by all replicas."""
    return AIOKafkaProducer(
        **_connection(settings),
        client_id=client_id,
        enable_idempotence=True,
        acks="all",
        linger_ms=2,
        metadata_max_age_ms=_METADATA_MAX_AGE_MS,
    )


def build_bulk_producer(settings: Settings, *, client_id: str) -> AIOKafkaProducer:
    """A producer for large dead letters: compressed, as their events were if they were that large.

    Not idempotent, since a message that the broker refuses would stop such a producer for good.
    """
    return AIOKafkaProducer(
        **_connection(settings),
        client_id=f"{client_id}-bulk",
        acks="all",
        compression_type="gzip",
        max_request_size=64 * 1024 * 1024,
        metadata_max_age_ms=_METADATA_MAX_AGE_MS,
    )


async def end_offsets(
    settings: Settings, partitions: Collection[TopicPartition], *, client_id: str
) -> dict[TopicPartition, int]:
    """The last stable offset of each partition, asked on a connection of its own.

    Raises:
        KafkaError: the brokers do not answer.
    """
    asking = AIOKafkaConsumer(
        **_connection(settings),
        client_id=f"{client_id}-watchdog",
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        request_timeout_ms=10_000,
    )
    try:
        await asking.start()
        ends: dict[TopicPartition, int] = await asking.end_offsets(list(partitions))
    finally:
        await asking.stop()
    return ends


def build_admin(settings: Settings, *, client_id: str) -> AIOKafkaAdminClient:
    """A client that asks about topics; it changes nothing."""
    return AIOKafkaAdminClient(
        **_connection(settings), client_id=client_id, request_timeout_ms=10_000
    )


async def partitions_of(
    settings: Settings, topics: Collection[str], *, client_id: str
) -> dict[str, list[int]]:
    """The partitions of these topics; one that does not exist, or may not be seen, is missing.

    Raises:
        KafkaError: the brokers do not answer.
    """
    admin = build_admin(settings, client_id=client_id)
    await admin.start()
    try:
        # All topics, and not ours by name: asking for one by name can create it.
        present = [name for name in await admin.list_topics() if name in topics]
        described = await admin.describe_topics(present) if present else []
    finally:
        await admin.close()
    return {
        topic["topic"]: sorted(partition["partition"] for partition in topic["partitions"])
        for topic in described
        if not topic["error_code"]
    }


def _connection(settings: Settings) -> dict[str, Any]:
    use_mended_connections()
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": None if password is None else password.get_secret_value(),
        }
    return options


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile is not None:
        password = settings.kafka_ssl_key_password
        context.load_cert_chain(
            settings.kafka_ssl_certfile,
            settings.kafka_ssl_keyfile,
            None if password is None else password.get_secret_value(),
        )
    return context
