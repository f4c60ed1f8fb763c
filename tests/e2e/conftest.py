"""A world for each end-to-end test: real Kafka, real Postgres, the fake Sedna over real HTTP."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx2
import pytest
import yaml

from consumer.demo.fake import Account, FakeSedna
from tests.conftest import without
from tests.e2e.checks import check
from tests.support.kafka_clients import TopicsFactory
from tests.support.prometheus import scraping
from tests.support.servers import Unavailable
from tests.support.service import ServiceProcess, World, running_world

WorldFactory = Callable[..., AbstractAsyncContextManager[World]]
PrometheusFactory = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]
_RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"


@pytest.fixture
def world(
    kafka_server: str, database_url: str, topics: TopicsFactory, group_id: str
) -> WorldFactory:
    """Makes the world of a test: `async with world(accounts) as here: …`.

    What must hold in each of them, whatever its test is about, is checked at its end.
    """

    @contextlib.asynccontextmanager
    async def make(accounts: list[Account], *, partitions: int = 3) -> AsyncIterator[World]:
        async with FakeSedna(accounts=accounts) as fake:
            names = await topics(partitions)
            async with running_world(
                fake=fake,
                kafka=kafka_server,
                topics=names,
                database_url=database_url,
                group_id=group_id,
            ) as made:
                await made.add_tenants(accounts)
                yield made
                await check(made)

    return make


@pytest.fixture
def prometheus() -> PrometheusFactory:
    """Makes a Prometheus that scrapes services once a second: `async with prometheus(one) as http`.

    Where none can be had, the test is skipped.
    """

    @contextlib.asynccontextmanager
    async def make(*services: ServiceProcess, rules: Path) -> AsyncIterator[httpx2.AsyncClient]:
        targets = [await service.address() for service in services]
        async with contextlib.AsyncExitStack() as stack:
            try:
                url = await stack.enter_async_context(
                    scraping(targets, job="any name", seconds=1, rules=rules)
                )
            except Unavailable as reason:
                without(str(reason))
            yield await stack.enter_async_context(httpx2.AsyncClient(base_url=url, trust_env=False))

    return make


@pytest.fixture
def impatient_rules(tmp_path: Path) -> Path:
    """The alert rules that are shipped, but each fires as soon as it has a reason to."""
    rules = yaml.safe_load(_RULES.read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "1s"
    soon = tmp_path / "alerts.yml"
    soon.write_text(yaml.safe_dump(rules), "utf-8")
    return soon
