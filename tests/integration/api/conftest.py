"""The API on a real database and a real socket, with what lies behind it made up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from fastapi import FastAPI

from consumer.api.app import Parts, build_api, guarded
from consumer.api.claims import Rules
from consumer.api.server import ApiServer
from consumer.api.tokens import Secret, Tokens
from consumer.clock import SystemClock
from consumer.metrics import Metrics
from consumer.retrying import Retrying
from db.pool import Pool, open_pool
from tests.integration.api.hotels import MadeUpHotels
from tests.integration.db.builders import HOLDING
from tests.support.api import ALGORITHM, SECRET
from tests.support.postgres import database

_EMPTY = "DELETE FROM syncs; DELETE FROM tenant_settings; DELETE FROM partition_leases;"


class MadeUpReadiness:
    """Misses what it is told to."""

    def __init__(self) -> None:
        self.lacks: list[str] = []
        self.stopping = False

    async def missing(self) -> list[str]:
        return self.lacks


@dataclass(slots=True)
class Api:
    """The API, and what a test looks at or changes behind it."""

    app: FastAPI
    url: str
    hotels: MadeUpHotels
    readiness: MadeUpReadiness


@pytest.fixture(scope="session")
async def api_pool(postgres_server: str, migrated_template: str) -> AsyncIterator[Pool]:
    async with database(postgres_server, template=migrated_template) as url:
        opened = await open_pool(url, max_size=4)
        yield opened
        opened.terminate()


@pytest.fixture
async def pool(api_pool: Pool) -> Pool:
    """Connections to the shared database, which is empty."""
    await api_pool.execute(_EMPTY)
    await api_pool.execute(
        "INSERT INTO partition_leases VALUES ($1, $2, 'the test', $3, 'infinity')",
        HOLDING.topic,
        HOLDING.partition,
        HOLDING.epoch,
    )
    return api_pool


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    """The API as it is served, on a port of its own."""
    hotels, readiness = MadeUpHotels(), MadeUpReadiness()
    app = build_api(
        Parts(
            pool=pool,
            hotels=cast("Any", hotels),
            retrying=Retrying(pool),
            readiness=cast("Any", readiness),
            metrics=Metrics(),
        )
    )
    clock = SystemClock()
    tokens = Tokens(
        algorithm=ALGORITHM,
        keys=Secret(SECRET),
        rules=Rules(audience=None, leeway=0),
        now=lambda: clock.now().timestamp(),
    )
    server = ApiServer(guarded(app, authenticate=tokens.tenant_of), host="127.0.0.1", port=0)
    server.bind()
    running = asyncio.create_task(server.run())
    yield Api(app, f"http://127.0.0.1:{server.port}", hotels, readiness)
    server.stop()
    await running
    server.close()
