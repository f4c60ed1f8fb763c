"""A pool on a migrated, empty database that the tests of this folder take turns with.

A database for each test would cost more than the tests do.
"""

from collections.abc import AsyncIterator

import pytest

from db.pool import Pool, open_pool
from tests.integration.db.builders import HOLDING
from tests.support.postgres import database

_EMPTY = """
    DELETE FROM outbox; DELETE FROM rejections; DELETE FROM syncs; DELETE FROM tenant_settings;
    DELETE FROM partition_leases; DELETE FROM conflicts; DELETE FROM replays;
"""


@pytest.fixture(scope="session")
async def url(postgres_server: str, migrated_template: str) -> AsyncIterator[str]:
    """The URL of the shared database."""
    async with database(postgres_server, template=migrated_template) as made:
        yield made


@pytest.fixture(scope="session")
async def shared_pool(url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(url, max_size=4)
    yield opened
    opened.terminate()


@pytest.fixture
async def pool(shared_pool: Pool) -> Pool:
    """Connections to the shared database, which is empty but for one lease."""
    await shared_pool.execute(_EMPTY)
    await shared_pool.execute(
        "INSERT INTO partition_leases VALUES ($1, $2, 'the test', $3, '2100-01-01')",
        HOLDING.topic,
        HOLDING.partition,
        HOLDING.epoch,
    )
    return shared_pool
