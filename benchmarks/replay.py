"""`make bench ARGS=replay`: how fast what is all synced already is read again.

The events are on a real Kafka, and their rows are in Postgres as the service leaves them. The
replay is the real command, a process of its own, whose memory is looked at all the while. Nothing
may be sent, published or changed by it.
"""

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from confluent_kafka import Producer

from benchmarks.setting import world
from consumer.arrivals import Readable, Record, read
from db import inbox
from db.pool import Pool, open_pool
from db.records import Origin
from schemas.kinds import Kind
from tests.support import kafka_clients
from tests.support.events import account, reservation_data, stop_sale_data
from tests.support.service import World

TENANTS = [f"tenant-{number}" for number in range(20)]
#: One event in so many is a stop sale.
_STOP_SALE_EVERY = 6
_HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", b"application/cloudevents+json")]
_BATCH = 2_000
#: Kafka's own partitioner is not asked: then what is stored is known before it is acknowledged.
_PARTITIONS = 6
_SYNCED = (
    "UPDATE syncs SET state = 'synced', attempts = 1, sedna_rec_id = id, sedna_hotel_id = 101,"
    " settled_at = now() WHERE state = 'pending'"
)


def events(count: int) -> Iterator[tuple[Kind, str, bytes]]:
    """(kind, tenant, value) of so many events."""
    for number in range(count):
        tenant = TENANTS[number % len(TENANTS)]
        kind = Kind.STOP_SALE if number % _STOP_SALE_EVERY == 0 else Kind.RESERVATION
        data = stop_sale_data(number) if kind is Kind.STOP_SALE else reservation_data(number)
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "/mail-parser",
            "type": "stopsale.created" if kind is Kind.STOP_SALE else "reservation.created",
            "time": "2026-05-01T09:30:00Z",
            "tenantid": tenant,
            "data": data,
        }
        yield kind, tenant, json.dumps(event).encode()


async def fill(here: World, count: int) -> None:
    """Publish the events, and store their rows as synced."""
    producer = Producer(
        {
            "bootstrap.servers": here.kafka,
            "linger.ms": 20,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    topics = {Kind.RESERVATION: here.topics.reservations, Kind.STOP_SALE: here.topics.stop_sales}
    offsets = {(kind, partition): 0 for kind in Kind for partition in range(_PARTITIONS)}
    pool = await open_pool(here.database_url, max_size=2)
    try:
        batch: list[Readable] = []
        for kind, tenant, value in events(count):
            partition = TENANTS.index(tenant) % _PARTITIONS
            producer.produce(topics[kind], value, tenant, partition=partition, headers=_HEADERS)
            came = read(
                Record(
                    kind=kind,
                    origin=Origin(
                        topic=topics[kind], partition=partition, offset=offsets[kind, partition]
                    ),
                    timestamp=None,
                    key=tenant.encode(),
                    value=value,
                    headers=(("content-type", b"application/cloudevents+json"),),
                )
            )
            offsets[kind, partition] += 1
            if not isinstance(came, Readable):
                raise TypeError("an event of the benchmark is none")
            batch.append(came)
            if len(batch) == _BATCH:
                producer.poll(0)
                await _store(pool, batch)
                batch = []
        await _store(pool, batch)
        producer.flush()
        await pool.execute("VACUUM ANALYZE syncs", timeout=600)
    finally:
        await pool.close()


async def _store(pool: Pool, batch: list[Readable]) -> None:
    if batch:
        async with inbox.registration(pool) as transaction:
            await transaction.insert([each.arrival for each in batch])
            await transaction.connection.execute(_SYNCED)


async def replay(here: World, *arguments: str) -> tuple[dict[str, object], list[float], float]:
    """Run it; gives its summary, its memory in MB, ten times a second, and its CPU time."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "sedna-sync"),
        *("replay", "--json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=here.environment(),
        limit=2**26,
    )
    memory: list[float] = []
    cpu = 0.0

    async def watch() -> None:
        nonlocal cpu
        seen = psutil.Process(process.pid)
        while True:
            memory.append(seen.memory_info().rss / 1e6)
            times = seen.cpu_times()
            cpu = times.user + times.system
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    out, _ = await process.communicate()
    watching.cancel()
    if process.returncode:
        raise RuntimeError(f"the replay ended with {process.returncode}")
    summary: dict[str, object] = json.loads(out.splitlines()[-1])
    return summary, memory, cpu


async def measure(*, count: int, rounds: int) -> None:
    async with world([account(name) for name in TENANTS], partitions=_PARTITIONS) as here:
        started = time.monotonic()
        await fill(here, count)
        print(f"{count:,} events published and stored in {time.monotonic() - started:.0f} s")
        state = await here.query("SELECT sum(hashtext(s::text)) FROM syncs AS s")
        for arguments in [("--yes",)] * rounds + [("--dry-run",)]:
            summary, memory, cpu = await replay(here, *arguments)
            seconds, read_ = summary["seconds"], summary["events"]
            if not isinstance(seconds, float) or not isinstance(read_, int):
                raise TypeError("a summary without numbers")
            quarter = len(memory) // 4
            print(
                f"{' '.join(arguments)}: {read_:,} events in {seconds:.1f} s, "
                f"{read_ / seconds:,.0f}/s, {cpu / read_ * 1e6:.0f} µs of CPU time each; memory "
                f"after a quarter {memory[quarter]:.0f} MB, at the end {memory[-2]:.0f} MB, most "
                f"{max(memory):.0f} MB; {summary['totals']}",
                flush=True,
            )
        published = await kafka_clients.end_offsets(
            here.kafka, here.topics.synced, here.topics.failed, here.topics.deadletter
        )
        unchanged = state == await here.query("SELECT sum(hashtext(s::text)) FROM syncs AS s")
        print(
            f"requests to Sedna: {len(here.fake.journal.entries)}; published: "
            f"{sum(published.values())}; rows unchanged: {unchanged}"
        )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks replay")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(measure(**vars(parser.parse_args(arguments))))
