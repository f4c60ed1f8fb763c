"""Sets the demo up and takes it down: Postgres, broker, fake Sedna, tenants, and the real service.

Everything is its own: ports that were free, folders that it made, a key and passwords for this run.
Nothing of it may outlive the demo, however that ends.
"""

import asyncio
import base64
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from consumer.credentials import Keyring
from consumer.demo.embedded_broker import embedded_broker
from consumer.demo.embedded_postgres import embedded_postgres
from consumer.demo.fake import FakeSedna
from consumer.demo.guardian import Guarded, Server
from consumer.demo.tenancy import settings_of
from consumer.demo.world import DemoTenant
from consumer.settings import PREFIX, Settings
from db import tenants
from db.migrate import migrate
from db.pool import Pool, open_pool

#: How slow the three Sednas are, in seconds, so that a person can see that each tenant has its own.
_LATENCIES = (0.08, 0.16, 0.32)
_START_SECONDS = 30.0
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 15.0
#: What the console script does.
_COMMAND = [sys.executable, "-c", "from consumer.cli.main import main; main()", "run"]


class DemoError(Exception):
    """The demo cannot go on; the text says why, and where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All that runs, but for the service."""

    kafka: str  #: bootstrap servers
    settings: Settings  #: of the service
    environ: Mapping[str, str]  #: the same, as its environment
    pool: Pool
    fake: FakeSedna


@asynccontextmanager
async def stage(cast: Sequence[DemoTenant], *, step: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Start everything that the service needs, and set up the tenants.

    Args:
        cast: the tenants.
        step: told what has been done.
    """
    with embedded_broker(_topics()) as kafka:
        step("Kafka: the mock broker of librdkafka")
        async with embedded_postgres() as database_url:
            step("Postgres: an embedded server")
            keys = f"demo:{base64.b64encode(secrets.token_bytes(32)).decode()}"
            environ = _environ(kafka=kafka, database_url=database_url, keys=keys)
            await migrate(database_url)
            accounts = [
                replace(tenant.account, latency_seconds=latency)
                for tenant, latency in zip(cast, _LATENCIES, strict=True)
            ]
            async with FakeSedna(accounts=accounts) as fake:
                pool = await open_pool(database_url, max_size=1)
                try:
                    for tenant in cast:
                        own = settings_of(tenant, url=fake.base_url, keys=Keyring.parse(keys))
                        await tenants.put(pool, own)
                    step(f"Sedna: a fake one, with the accounts of {len(cast)} agencies")
                    yield Stage(
                        kafka=kafka,
                        settings=Settings.load(environ),
                        environ=environ,
                        pool=pool,
                        fake=fake,
                    )
                finally:
                    pool.terminate()


@asynccontextmanager
async def service(environ: Mapping[str, str], *, log: Path) -> AsyncIterator[Guarded]:
    """Run `sedna-sync run` as a process, its output in `log`; it is stopped at the end.

    Raises:
        DemoError: it did not begin to read.
    """
    # A guardian of its own ends it should this process be killed; Ctrl-C does not reach it.
    guarded = Guarded(
        Server(
            commands=[_COMMAND],
            folder=Path(tempfile.mkdtemp(prefix="sedna-sync-service-")),
            env=environ,
            grace_seconds=_GRACE_SECONDS,
            log=log,
        )
    )
    try:
        await _until_reading(guarded, log)
        yield guarded
    finally:
        await asyncio.to_thread(guarded.close)


async def _until_reading(guarded: Guarded, log: Path) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not _reads(log):
                if not guarded.running():
                    last = guarded.close().splitlines()[-1:]
                    raise DemoError(f"the service did not start: {''.join(last)}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise DemoError(f"the service does not read after {_START_SECONDS:g} s") from None


def _reads(log: Path) -> bool:
    return log.exists() and b'"partitions_assigned"' in log.read_bytes()


def _topics() -> list[str]:
    settings = Settings()
    return [getattr(settings, name) for name in Settings.model_fields if name.startswith("topic_")]


def _environ(*, kafka: str, database_url: str, keys: str) -> dict[str, str]:
    # Whatever this machine has set for a service of its own is none of the demo's.
    cleared = {name: "" for name in os.environ if name.startswith(PREFIX)}
    values = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": keys,
        "ALLOW_PRIVATE_ADDRESSES": "true",  # the fake listens on the loopback
        "API_PORT": "0",
    }
    return {
        **cleared,
        **{PREFIX + name: value for name, value in values.items()},
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }
