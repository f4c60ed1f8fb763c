"""What several commands do: read the settings, open the database, print JSON."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaError

from consumer.credentials import Keyring
from consumer.settings import Settings
from db import migrate, retries
from db.pool import Pool, open_pool
from schemas.kinds import is_tenant_id

T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, and only that.")


class TenantId(click.ParamType[str]):
    """A tenant id; whether there is such a tenant is not asked."""

    name = "tenant"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id, or say what one is made of."""
        if not is_tenant_id(value):
            self.fail("a tenant id is 1 to 64 letters, digits, _ or -", param, ctx)
        return value


def load_settings(*needs: str) -> Settings:
    """The settings of this process; `needs` are those without which the command cannot work."""
    return Settings.load(os.environ, needs=needs)


def database_url(settings: Settings) -> str:
    """The database's address, which `load_settings` has made sure of."""
    if settings.database_url is None:
        raise ValueError("the command did not ask for DATABASE_URL")
    return settings.database_url.get_secret_value()


def keyring(settings: Settings) -> Keyring:
    """The encryption keys, which `load_settings` has made sure of."""
    if settings.encryption_keys is None:
        raise ValueError("the command did not ask for ENCRYPTION_KEYS")
    return Keyring.parse(settings.encryption_keys.get_secret_value())


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Pool]:
    """A small pool on a database that has this release's tables.

    Raises:
        DatabaseError: it cannot be reached, or `migrate` has not been run.
    """
    pool = await open_pool(database_url(settings), max_size=2)
    try:
        await migrate.check(pool)
        yield pool
    finally:
        await pool.close()


async def retry_hint(pool: Pool, tenant_id: str) -> str | None:
    """Which failed syncs of a tenant can be tried again now, and how; None if there are none.

    To be said after something was mended that they may have failed for.
    """
    number = await retries.count(pool, tenant_id)
    if not number:
        return None
    have = "1 failed sync" if number == 1 else f"{number} failed syncs"
    return f"{have} of tenant {tenant_id} can be tried again: sedna-sync retry --tenant {tenant_id}"


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)


def run_fast(work: Coroutine[Any, Any, T]) -> T:
    """The same for what is busy: on the fastest loop that there is."""
    # The work makes many objects and hardly any cycle of them: look for cycles less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(work)


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415  # there is none for Windows

    return uvloop.new_event_loop()


def kafka_failed(settings: Settings, error: KafkaError) -> click.ClickException:
    """What a person is told of Kafka's error."""
    return click.ClickException(
        f"Kafka at {settings.kafka_bootstrap_servers}: {type(error).__name__}: {error}; check "
        "SEDNA_SYNC_KAFKA_BOOTSTRAP_SERVERS and the other SEDNA_SYNC_KAFKA_* settings, or run "
        "`sedna-sync doctor`"
    )


def print_json(value: object, *, on_one_line: bool = False) -> None:
    """Print a value as JSON on standard output."""
    indent = None if on_one_line else 2
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False, default=_as_text))


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
