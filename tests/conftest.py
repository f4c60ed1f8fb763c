"""Fixtures that more than one kind of test uses.

A test that asks for a server which this machine cannot bring is skipped, with every reason; where
CI=true it fails.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kafka import kafka_server as shared_kafka
from tests.support.kafka_clients import TopicsFactory, topics_factory
from tests.support.outage import PrivateKafka, PrivatePostgres, private_kafka, private_postgres
from tests.support.postgres import database, database_name, execute
from tests.support.postgres import postgres_server as shared_postgres
from tests.support.prometheus import program
from tests.support.servers import SharedServer, Unavailable

_SERVERS = pytest.StashKey[dict[str, SharedServer]]()


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says something of the machine, and not of what is tested.
    settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any machine")
    config.stash[_SERVERS] = {"postgres_server": shared_postgres(), "kafka_server": shared_kafka()}


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Starts what the selected tests will ask for, side by side, while the first of them run."""
    if session.config.option.collectonly:
        return
    asked = {
        name
        for item in session.items
        if isinstance(item, pytest.Function)
        for name in item.fixturenames
    }
    for fixture, server in session.config.stash[_SERVERS].items():
        if fixture in asked:
            server.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    for server in session.config.stash[_SERVERS].values():
        server.close()


def _address(config: pytest.Config, fixture: str) -> str:
    server = config.stash[_SERVERS][fixture]
    try:
        return server.address()
    except Unavailable as reasons:
        without(f"no {server.name}: {reasons}")


def without(missing: str) -> NoReturn:
    """A test cannot run here: skip it, but not where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus' own tool: checks rules, and holds what they do."""
    try:
        return program("promtool")
    except Unavailable as reason:
        without(str(reason))


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> str:
    """The URL of a database whose user may create others."""
    return _address(pytestconfig, "postgres_server")


@pytest.fixture(scope="session")
def kafka_server(pytestconfig: pytest.Config) -> str:
    """The bootstrap servers of a real Kafka that creates no topic by itself."""
    return _address(pytestconfig, "kafka_server")


@pytest.fixture(scope="session")
async def migrated_template(postgres_server: str) -> AsyncIterator[str]:
    """The name of a migrated database, to be copied."""
    from db.migrate import migrate  # noqa: PLC0415 - only a run with databases needs it

    async with database(postgres_server) as url:
        await migrate(url)
        name = database_name(url)
        # Nobody, not even autovacuum, may be connected to what is copied.
        await execute(postgres_server, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        yield name


@pytest.fixture
async def database_url(postgres_server: str, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a migrated database of the test's own."""
    async with database(postgres_server, template=migrated_template) as url:
        yield url


@pytest.fixture
async def topics(kafka_server: str) -> AsyncIterator[TopicsFactory]:
    """Makes topics that no other test uses: `await topics(partitions)`."""
    async with topics_factory(kafka_server) as make:
        yield make


@pytest.fixture
def group_id() -> str:
    """A consumer group that no other test uses."""
    return f"sedna-sync-{uuid.uuid4().hex}"


@pytest.fixture
async def outage_kafka() -> AsyncIterator[PrivateKafka]:
    """A Kafka of the test's own, to be stopped and started."""
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(private_kafka())
        except Unavailable as reason:
            without(f"no Kafka of the test's own: {reason}")
        yield server


@pytest.fixture
async def outage_postgres() -> AsyncIterator[PrivatePostgres]:
    """A Postgres of the test's own, to be stopped and started."""
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(private_postgres())
        except Unavailable as reason:
            without(f"no Postgres of the test's own: {reason}")
        yield server
