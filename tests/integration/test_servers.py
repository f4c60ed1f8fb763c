"""The servers of the tests: that they are real, separate, and gone when their owner is."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from confluent_kafka.admin import AdminClient

from consumer.demo.embedded_broker import PARTITIONS, embedded_broker
from consumer.demo.embedded_postgres import EmbeddedPostgresError, embedded_postgres, postgres
from tests.support.kafka_clients import (
    Message,
    Topics,
    TopicsFactory,
    committed,
    create_topics,
    produce,
    read_all,
)

_CHECKOUT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 60.0


async def test_every_test_has_a_migrated_database_of_its_own(
    database_url: str, postgres_server: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM syncs") == 0
        assert await connection.fetchval("SELECT current_database()") not in postgres_server
    finally:
        await connection.close()


async def test_postgres_waits_for_the_disk_as_in_production(postgres_server: str) -> None:
    connection = await asyncpg.connect(postgres_server)
    try:
        assert await connection.fetchval("SHOW fsync") == "on"
    finally:
        await connection.close()


async def test_what_is_published_can_be_read_back_in_order(
    kafka_server: str, topics: TopicsFactory
) -> None:
    names = await topics(2)
    messages = [
        Message(
            topic=names.reservations,
            key=b"tenant-%d" % (number % 3),
            value=b"%d" % number,
            headers={"content-type": b"application/cloudevents+json"},
        )
        for number in range(30)
    ]
    where = await produce(kafka_server, messages)
    records = await read_all(kafka_server, names.reservations, names.synced)
    assert {partition.topic for partition in where} == {names.reservations}
    assert {record.value for record in records} == {message.value for message in messages}
    for tenant in (b"tenant-0", b"tenant-1", b"tenant-2"):
        mine = [int(record.value or b"") for record in records if record.key == tenant]
        assert mine == sorted(mine)
        assert len(mine) == 10
    assert records[0].headers == (("content-type", b"application/cloudevents+json"),)


async def test_a_topic_that_nobody_made_does_not_come_to_be(kafka_server: str) -> None:
    never_made = Topics.unique().synced
    # To ask for a topic is to make it, where a broker allows that.
    librdkafka = AdminClient({"bootstrap.servers": kafka_server, "allow.auto.create.topics": True})
    await asyncio.to_thread(librdkafka.list_topics, never_made, timeout=_PATIENCE_SECONDS)
    with pytest.raises(LookupError, match=never_made):
        await read_all(kafka_server, never_made)


async def test_a_topic_that_cannot_be_made_is_an_error(kafka_server: str) -> None:
    with pytest.raises(RuntimeError, match="was not created"):
        await create_topics(kafka_server, {"not a legal name": 1})


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self) -> None:
        self.partitions: set[TopicPartition] = set()
        self.changed = asyncio.Event()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        del revoked

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.partitions = set(assigned)
        self.changed.set()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(self.partitions) != count:
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def _member(
    kafka_server: str, topic: str, group_id: str
) -> AsyncIterator[tuple[AIOKafkaConsumer, _Assignment]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka_server,
        group_id=group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
    )
    assignment = _Assignment()
    consumer.subscribe([topic], listener=assignment)
    try:
        await consumer.start()
        yield consumer, assignment
    finally:
        await consumer.stop()


async def test_two_members_of_a_group_share_the_partitions_and_the_one_left_takes_all(
    kafka_server: str, topics: TopicsFactory, group_id: str
) -> None:
    topic = (await topics(4)).reservations
    async with _member(kafka_server, topic, group_id) as (_, first):
        await first.has(4)
        async with _member(kafka_server, topic, group_id) as (_, second):
            await second.has(2)
            await first.has(2)
            assert not first.partitions & second.partitions
        await first.has(4)


async def test_a_commit_is_kept_and_can_be_looked_up(
    kafka_server: str, topics: TopicsFactory, group_id: str
) -> None:
    topic = (await topics(1)).reservations
    await produce(kafka_server, [Message(topic=topic, value=b"x")] * 3)
    assert await committed(kafka_server, group_id) == {}
    async with _member(kafka_server, topic, group_id) as (consumer, assignment):
        await assignment.has(1)
        await consumer.commit({TopicPartition(topic, 0): 2})
    assert await committed(kafka_server, group_id) == {(topic, 0): 2}


@pytest.fixture
def folder_for_servers(postgres_server: str, kafka_server: str) -> Iterator[Path]:
    """A folder that Postgres, as whatever user it runs, can enter. Needs what the servers need."""
    del postgres_server, kafka_server
    folder = Path(tempfile.mkdtemp(prefix="sedna-sync-owner-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


_OWNER = """
import sys
from tests.support.kafka import kafka_server
from tests.support.postgres import postgres_server
servers = [make() for make in (postgres_server, kafka_server)[: int(sys.argv[1])]]
for server in servers:
    server.start()
print(*(server.address() for server in servers), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "end, servers",
    [
        pytest.param(signal.SIGKILL, 2, id="killed"),
        pytest.param(signal.SIGTERM, 1, id="told to end"),
        pytest.param(signal.SIGINT, 1, id="interrupted at the terminal"),
    ],
)
def test_the_servers_end_with_their_owner_however_it_ends(
    end: signal.Signals, servers: int, folder_for_servers: Path
) -> None:
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SEDNA_SYNC_TEST_") and name != "DOCKER_HOST"
    }
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(servers)],
        cwd=_CHECKOUT,
        # No engine there: the servers must be processes of this machine.
        env={**env, "DOCKER_HOST": "unix:///nowhere", "TMPDIR": str(folder_for_servers)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as owner:
        assert owner.stdout is not None
        addresses = owner.stdout.readline().split()
        assert [_listens(address) for address in addresses] == [True] * servers
        assert len(list(folder_for_servers.iterdir())) == servers
        os.killpg(owner.pid, end)  # as a terminal does: the whole group
        owner.wait(_PATIENCE_SECONDS)
    _wait_until_empty(folder_for_servers)  # the last thing to go, after the server itself
    assert [_listens(address) for address in addresses] == [False] * servers


def _listens(address: str) -> bool:
    """Whether somebody accepts connections at this `host:port` or URL."""
    address = urlsplit(address).netloc.rpartition("@")[2] or address
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def _wait_until_empty(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(folder.iterdir()):
        assert time.monotonic() < deadline, f"still there: {list(folder.iterdir())}"
        time.sleep(0.05)


async def test_the_demos_postgres_answers_without_docker() -> None:
    async with embedded_postgres() as url:
        connection = await asyncpg.connect(url)
        try:
            assert await connection.fetchval("SELECT 1") == 1
        finally:
            await connection.close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncpg.connect(url)


async def test_the_demos_postgres_opens_to_nobody_without_its_password() -> None:
    async with embedded_postgres() as url:
        without = urlsplit(url)
        stranger = without._replace(netloc=f"postgres:wrong@127.0.0.1:{without.port}").geturl()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(stranger)


def test_a_postgres_that_does_not_start_says_why(tmp_path: Path) -> None:
    programs = tmp_path / "wheel" / "install" / "bin"
    programs.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        program = programs / name
        program.write_text("#!/bin/sh\necho the disk is made of cheese\nexit 3\n")
        program.chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match="made of cheese"), postgres(programs):
        pass


async def test_the_demos_broker_has_the_topics_asked_for() -> None:
    with embedded_broker(["reservation.created", "sedna.synced"]) as bootstrap_servers:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
            assert await consumer.topics() == {"reservation.created", "sedna.synced"}
        async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
            found = await producer.partitions_for("reservation.created")
            assert found == set(range(PARTITIONS))
