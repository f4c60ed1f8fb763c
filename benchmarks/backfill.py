"""`make bench ARGS=backfill`: how long a tenant's live events take in the middle of its backfill.

A tenant's whole past comes by a replay, while the service works on it; live reservations and stop
sales of the same tenant come one by one. Shown is how long each took from publishing to settled,
before the backfill and in its middle, and how many of the backfill were waiting meanwhile.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence

from benchmarks.setting import middle_and_tail, world
from consumer.demo.fake import Fault, FaultKind
from tests.support.events import account, reservation, stop_sale
from tests.support.service import World

TENANT, OTHER = "busy", "quiet"
#: Numbers of live events begin here.
_LIVE = 1_000_000
_PENDING = "SELECT count(*) FROM syncs WHERE tenant_id = $1 AND state = 'pending'"
_STATE = "SELECT state FROM syncs WHERE tenant_id = $1 AND kind = $2 AND business_key = $3"


async def live(here: World, tenant: str, numbers: Iterator[int], count: int) -> list[float]:
    """Seconds that live events take, one after the other, reservations and stop sales in turn."""
    took = []
    for number in [next(numbers) for _ in range(count)]:
        started = time.monotonic()
        if number % 2:
            await here.publish_reservations([(tenant, reservation(tenant, number))])
            key = ("reservation", f"V{number:06}")
        else:
            # Of a hotel of its own: one that has no part in the backfill.
            event = stop_sale(tenant, number, hotel_name="Güneş Işığı Beach Hotel")
            await here.publish_stop_sales([(tenant, event)])
            key = ("stop_sale", str(number))
        await here.until_value("synced", _STATE, tenant, *key, timeout_seconds=600)
        took.append(time.monotonic() - started)
    return took


async def measure(*, count: int, stop_sales: int, events: int, latency: float) -> None:
    async with world([account(TENANT), account(OTHER)]) as here:
        here.fake.faults.add(Fault(kind=FaultKind.LATENCY, seconds=latency))
        # Published before the group reads: what a service that began later has never seen.
        await here.publish_reservations(
            (TENANT, reservation(TENANT, number)) for number in range(count)
        )
        await here.publish_stop_sales(
            (TENANT, stop_sale(TENANT, number, hotel_name="Lara Park Belek"))
            for number in range(stop_sales)
        )
        await here.skip_to_end()
        await here.start()
        numbers = iter(range(_LIVE, 2 * _LIVE))
        before = await live(here, TENANT, numbers, events)
        print(f"before the backfill, publishing to settled, p50 / p99: {middle_and_tail(before)}")
        started = time.monotonic()
        code, out, error = await here.command("replay", "--yes")
        if code:
            raise RuntimeError(error)
        print(out.strip())
        took, waiting = [], []
        for _ in range(4):
            waiting.append(await here.value(_PENDING, TENANT))
            took += await live(here, TENANT, numbers, events // 2)
            took += await live(here, OTHER, numbers, 2)
            await asyncio.sleep(1)
        left = await here.value(_PENDING, TENANT)
        print(
            f"in its middle, with {waiting} waiting and {left} at the end: "
            f"{middle_and_tail(took)}, most {max(took):.2f} s"
        )
        rate = (count + stop_sales - left) / (time.monotonic() - started)
        print(f"meanwhile {rate:.0f} of the backfill were settled per second")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks backfill")
    parser.add_argument("--count", type=int, default=50_000, help="reservations of the backfill")
    parser.add_argument("--stop-sales", type=int, default=5_000, help="of it, besides")
    parser.add_argument("--events", type=int, default=10, help="live ones of a round")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds that Sedna takes more")
    asyncio.run(measure(**vars(parser.parse_args(arguments))))
