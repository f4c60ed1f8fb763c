"""`make bench ARGS=islands`: what the healthy tenants notice of three that are sick.

20 tenants, events at a steady pace. Well: all of them work. Sick: of one Sedna hangs, of one it
refuses the login, of one it answers 500. The two take turns in one run; of the same 17 healthy
tenants the time from publishing an event to its settlement is compared.
"""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from benchmarks.setting import Pace, middle_and_tail, percentile, world
from consumer.demo.fake import Fault, FaultKind
from tests.support.events import account
from tests.support.service import World

HEALTHY = [f"well-{number:02}" for number in range(17)]
HANGING, REFUSING, FAILING = "hanging", "refusing", "failing"
TENANTS = [*HEALTHY, HANGING, REFUSING, FAILING]
SICKNESS = [
    Fault(kind=FaultKind.HANG, account=HANGING),
    Fault(kind=FaultKind.REFUSE_LOGIN, account=REFUSING),
    Fault(kind=FaultKind.STATUS, account=FAILING, status=500),
]
#: Short, so that the sick are well again soon: it changes nothing for the healthy.
SETTINGS = {
    "REQUEST_TIMEOUT": "10",
    "DOUBT_WINDOW": "5",
    "RETRY_CAP": "2",
    "BREAKER_COOL_DOWN": "2",
}


async def latencies(here: World, since: datetime) -> list[float]:
    """Seconds from publishing to settlement, of the healthy tenants' events since then."""
    rows = await here.query(
        "SELECT extract(epoch FROM settled_at - event_time)::float8 AS seconds FROM syncs "
        "WHERE tenant_id = ANY($1) AND event_time >= $2",
        HEALTHY,
        since,
    )
    return [row["seconds"] for row in rows]


async def phase(here: World, pace: Pace, seconds: float, *, sick: bool) -> list[float]:
    if sick:
        here.fake.faults.replace(SICKNESS)
        here.fake.expire_sessions(REFUSING)
    # What the change itself stirs up belongs to neither.
    await pace.keep(3)
    since = datetime.now(UTC)
    await pace.keep(seconds)
    await here.until_value(
        0, "SELECT count(*) FROM syncs WHERE tenant_id = ANY($1) AND settled_at IS NULL", HEALTHY
    )
    measured = await latencies(here, since)
    here.fake.faults.clear()
    here.fake.release()
    await here.until_settled(pace.published, timeout_seconds=120)
    return measured


async def measure(*, seconds: float, rounds: int, rate: float) -> None:
    accounts = [account(name, latency_seconds=0.1) for name in TENANTS]
    async with world(accounts) as here:
        here.settings |= SETTINGS
        await here.start()
        async with AIOKafkaProducer(bootstrap_servers=here.kafka, linger_ms=1) as producer:
            pace = Pace(here, producer, tenants=TENANTS, rate=rate)
            await pace.keep(3)
            await here.until_settled(pace.published)
            ratios = []
            for number in range(1, rounds + 1):
                well = await phase(here, pace, seconds, sick=False)
                sick = await phase(here, pace, seconds, sick=True)
                ratios.append(percentile(sick, 0.99) / percentile(well, 0.99))
                print(
                    f"round {number}, healthy tenants, event to settled, p50 / p99: "
                    f"all well {middle_and_tail(well)} ({len(well)} events), "
                    f"three sick {middle_and_tail(sick)} ({len(sick)} events), "
                    f"p99 ratio {ratios[-1]:.2f}",
                    flush=True,
                )
        print(
            f"p99 with three sick / all well: {sorted(ratios)[rounds // 2]:.2f} "
            f"(median of {rounds}; aim <= 1.10)"
        )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks islands")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0, help="events per second, of all")
    options = parser.parse_args(arguments)
    asyncio.run(measure(seconds=options.seconds, rounds=options.rounds, rate=options.rate))
