"""`make bench ARGS=api`: what the work notices of 200 callers of the HTTP API.

Two halves take turns in one run, without callers and with them. In each of them events come at a
steady pace, of which the time from publishing to settlement is compared, and then as many as the
service can take, of which the rate is compared. Sedna is the stub that answers after 100 ms; the
callers are a process of their own, each of which asks again as soon as it is answered.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks import stub
from benchmarks.setting import Pace, middle_and_tail, percentile, world
from tests.support.api import SECRET
from tests.support.events import account, reservation
from tests.support.service import World

TENANTS = [f"tenant-{number}" for number in range(10)]
#: Of each tenant; the callers try them again and again.
_FAILED_EACH = 5
_FIRST_FAILED = 10_000_000
_SETTLED = (
    "SELECT extract(epoch FROM settled_at)::float8 AS settled,"
    " extract(epoch FROM settled_at - event_time)::float8 AS seconds FROM syncs"
    " WHERE kind = 'reservation' AND tenant_id = ANY($1) AND email_id >= $2 AND email_id < $3"
    " AND state = 'synced'"
)


@dataclass(frozen=True, slots=True)
class Half:
    seconds: Sequence[float]  #: event to settled, of each at a steady pace
    rate: float  #: events per second, of those that came at once

    def __str__(self) -> str:
        return f"{middle_and_tail(self.seconds)}, {self.rate:.0f} events per second"


@contextlib.asynccontextmanager
async def calling(port: int, count: int) -> AsyncIterator[list[dict[str, Any]]]:
    """Callers for as long as the block; what they were answered is in the list after it."""
    answers: list[dict[str, Any]] = []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.callers", f"--port={port}", f"--count={count}"),
        *TENANTS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield answers
    finally:
        out, _ = await process.communicate(b"")  # which ends their standard input
    if process.returncode:
        raise RuntimeError("the callers failed")
    answers.append(json.loads(out))


async def settled(here: World, first: int, end: int) -> list[Any]:
    """The events with these numbers, once all of them are settled."""
    async with asyncio.timeout(600):
        while True:
            rows = await here.query(_SETTLED, TENANTS, first, end)
            if len(rows) == end - first:
                return rows
            await asyncio.sleep(0.5)


async def half(here: World, pace: Pace, *, seconds: float, burst: int) -> Half:
    # What the callers' coming or going stirs up belongs to neither half.
    await pace.keep(3)
    first = pace.published
    await pace.keep(seconds)
    steady = await settled(here, first, pace.published)
    first = pace.published
    await pace.burst(burst)
    times = [row["settled"] for row in await settled(here, first, pace.published)]
    return Half([row["seconds"] for row in steady], len(times) / (max(times) - min(times)))


async def measure(
    *, seconds: float, rounds: int, rate: float, burst: int, callers: int, in_flight: int
) -> None:
    async with stub.running() as sedna, world([account(name) for name in TENANTS]) as here:
        await here.query("UPDATE tenant_settings SET sedna_api_url = $1", sedna.base_url)
        here.settings |= {
            "API_JWT_SECRET": SECRET,
            "MAX_IN_FLIGHT": str(in_flight),
            "MAX_IN_FLIGHT_PER_TENANT": str(in_flight // len(TENANTS)),
        }
        service = await here.start()
        await service.until_logged("api_listening")
        port = service.lines("api_listening")[0]["port"]
        await here.publish_reservations(
            (name, reservation(name, _FIRST_FAILED + number, hotel_name="Nowhere"))
            for number in range(_FAILED_EACH)
            for name in TENANTS
        )
        async with AIOKafkaProducer(bootstrap_servers=here.kafka, linger_ms=1) as producer:
            pace = Pace(
                here, producer, tenants=TENANTS, rate=rate, hotel_name="Mandarin Resort & Spa"
            )
            await pace.burst(burst)
            await settled(here, 0, pace.published)
            slower, rates = [], []
            for number in range(1, rounds + 1):
                alone = await half(here, pace, seconds=seconds, burst=burst)
                async with calling(port, callers) as answers:
                    called = await half(here, pace, seconds=seconds, burst=burst)
                (said,) = answers
                slower.append(percentile(called.seconds, 0.99) / percentile(alone.seconds, 0.99))
                rates.append(called.rate / alone.rate)
                print(
                    f"round {number}, event to settled, p50 / p99, and throughput: alone {alone}; "
                    f"with {callers} callers {called}. p99 ratio {slower[-1]:.2f}, throughput "
                    f"ratio {rates[-1]:.2f}\n"
                    f"  the callers: {said['per_second']:.0f} answers per second, p50 / p99 "
                    f"{said['p50'] * 1000:.0f} / {said['p99'] * 1000:.0f} ms, by status "
                    f"{said['statuses']}",
                    flush=True,
                )
        print(f"p99 with {callers} callers / alone: {median(slower):.2f} (median of {rounds})")
        print(f"throughput with / alone: {median(rates):.2f} (median of {rounds})")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks api")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a half at a steady pace")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0, help="events per second, of all")
    parser.add_argument("--burst", type=int, default=5_000, help="events that come at once")
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=500)
    asyncio.run(measure(**vars(parser.parse_args(arguments))))
