"""Plays the demo's upstream to a service that runs: `python -m consumer.demo.publish --sedna URL`.

Sets the three agencies up as tenants whose Sedna is at that URL (the fake one's, with the same
accounts), and publishes their events. The settings are the service's own. It judges nothing, and it
is not for a database in which tenants of these names are anybody's.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from consumer.cli.common import database_url, keyring, load_settings
from consumer.cli.entry import end_on_sigterm
from consumer.credentials import InvalidKeyring, Keyring
from consumer.demo.tenancy import settings_of
from consumer.demo.world import DEMO_TENANTS, demo_events
from consumer.kafka import build_producer
from consumer.settings import Settings, SettingsError
from db import tenants
from db.errors import DatabaseError
from db.pool import open_pool

_NEEDS = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "ENCRYPTION_KEYS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Publishes all; 0 done, 1 Kafka or Postgres is away, 2 a setting is wrong."""
    parser = argparse.ArgumentParser(prog="python -m consumer.demo.publish", description=__doc__)
    parser.add_argument("--sedna", required=True, help="URL of the fake Sedna")
    parser.add_argument("--seed", type=int, default=1, help="of what the events say")
    parser.add_argument("--seconds", type=float, default=8.0, help="over which they are spread")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(*_NEEDS)
        keys = keyring(settings)
    except (SettingsError, InvalidKeyring) as error:
        return _fail(str(error), 2)
    try:
        asyncio.run(_set_up(settings, keys, url=options.sedna))
        number = asyncio.run(_publish(settings, seed=options.seed, seconds=options.seconds))
    except (DatabaseError, KafkaError) as error:
        return _fail(str(error) or type(error).__name__, 1)
    sys.stdout.write(f"{number} events published for {len(DEMO_TENANTS)} agencies\n")
    return 0


async def _set_up(settings: Settings, keys: Keyring, *, url: str) -> None:
    pool = await open_pool(database_url(settings), max_size=1)
    try:
        for tenant in DEMO_TENANTS:
            await tenants.put(pool, settings_of(tenant, url=url, keys=keys))
    finally:
        await pool.close()


async def _publish(settings: Settings, *, seed: int, seconds: float) -> int:
    topics = {"reservation": settings.topic_reservations, "stop_sale": settings.topic_stop_sales}
    events = demo_events(seed, at=datetime.now(UTC))
    async with build_producer(settings, client_id="sedna-sync-demo") as producer:
        for event in events:
            await producer.send_and_wait(
                topics[event.topic_kind],
                value=event.value,
                key=event.key,
                headers=list(event.headers),
            )
            await asyncio.sleep(seconds / len(events))
    return len(events)


def _fail(why: str, code: int) -> int:
    sys.stderr.write(f"{why}\n")
    return code


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
