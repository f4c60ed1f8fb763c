"""`make bench ARGS=outage`: one tenant is down for its whole backlog of 100 000 events.

Shown are the memory of the process before, with the backlog and after it; what the other tenants
notice; and whether the backlog drains once each and in order when Sedna is back.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import psutil

from benchmarks.setting import middle_and_tail, world
from consumer.demo.fake import Fault, FaultKind
from tests.support.events import account, reservation, stop_sale
from tests.support.service import ServiceProcess, World

DOWN, OTHERS = "down", [f"well-{number}" for number in range(5)]
#: One of so many events of the backlog is a stop sale.
STOP_SALE_EVERY = 10
_OTHERS_EACH = 200
_PENDING = "SELECT count(*) FROM syncs WHERE tenant_id = $1 AND state = 'pending'"


class Memory:
    """Looks at a process every now and then."""

    def __init__(self, service: ServiceProcess) -> None:
        self._process = psutil.Process(service.process.pid)
        self.most = 0.0

    def megabytes(self) -> float:
        """How much is resident now."""
        now: float = self._process.memory_info().rss / 1e6
        self.most = max(self.most, now)
        return now

    async def watch(self) -> None:
        while True:
            self.megabytes()
            await asyncio.sleep(0.2)


def events(count: int) -> tuple[Iterator[tuple[str, bytes]], Iterator[tuple[str, bytes]]]:
    """The reservations and the stop sales of the backlog."""
    sales = count // STOP_SALE_EVERY
    return (
        ((DOWN, reservation(DOWN, number)) for number in range(count - sales)),
        ((DOWN, stop_sale(DOWN, number, is_close=number % 2 == 0)) for number in range(sales)),
    )


async def others(here: World, first: int) -> list[float]:
    """Let the other tenants have some work; seconds from registering to settlement."""
    await here.publish_reservations(
        (name, reservation(name, first + number))
        for number in range(_OTHERS_EACH)
        for name in OTHERS
    )
    known = "SELECT count(*) FROM syncs WHERE tenant_id <> $1 AND sedna_synced"
    await here.until_value(len(OTHERS) * (first + _OTHERS_EACH), known, DOWN, timeout_seconds=120)
    rows = await here.query(
        "SELECT extract(epoch FROM settled_at - registered_at)::float8 AS seconds FROM syncs "
        "WHERE tenant_id <> $1 AND email_id >= $2",
        DOWN,
        first,
    )
    return [row["seconds"] for row in rows]


def order_is_kept(here: World) -> bool:
    """Whether the stop sales of each hotel reached Sedna in the order of the topic."""
    arrived = defaultdict(list)
    for record in here.fake.account(DOWN).stop_sales.records.values():
        arrived[record.body["HotelId"]].append(int(record.record_user.rpartition(":")[2]))
    return all(numbers == sorted(numbers) for numbers in arrived.values())


async def measure(count: int) -> None:
    accounts = [account(name, latency_seconds=0.02) for name in [DOWN, *OTHERS]]
    async with world(accounts) as here:
        here.settings |= {"RETRY_CAP": "5", "BREAKER_COOL_DOWN": "2"}
        service = await here.start()
        memory = Memory(service)
        before_others = await others(here, 0)
        await here.until_settled(len(OTHERS) * _OTHERS_EACH)
        before = memory.megabytes()

        here.fake.faults.replace([Fault(kind=FaultKind.STATUS, account=DOWN, status=503)])
        reservations, stop_sales = events(count)
        watching = asyncio.create_task(memory.watch())
        await here.publish_stop_sales(stop_sales)
        await here.publish_reservations(reservations)
        during_others = await others(here, _OTHERS_EACH)
        await here.until_value(count, _PENDING, DOWN, timeout_seconds=300)
        with_backlog = memory.megabytes()
        attempts = await here.value("SELECT count(*) FROM sync_attempts WHERE tenant_id = $1", DOWN)
        print(
            f"memory: {before:.0f} MB before, {with_backlog:.0f} MB with {count} events waiting "
            f"(most {memory.most:.0f}); attempts at the one that is down: {attempts}",
            flush=True,
        )
        print(
            f"others, registered to settled, p50 / p99: before {middle_and_tail(before_others)}, "
            f"during the outage {middle_and_tail(during_others)}",
            flush=True,
        )

        here.fake.faults.clear()
        started = time.monotonic()
        total = count + 2 * len(OTHERS) * _OTHERS_EACH
        await here.until_settled(total, timeout_seconds=1800)
        seconds = time.monotonic() - started
        watching.cancel()
        held = here.fake.holdings(DOWN)
        once = set(held.vouchers.values()) == set(held.stop_sales.values()) == {1}
        whole = len(held.vouchers) + len(held.stop_sales) == count
        print(
            f"drained in {seconds:.0f} s ({count / seconds:.0f} per second); memory after "
            f"{memory.megabytes():.0f} MB (most {memory.most:.0f}); each once: {once and whole}; "
            f"in order: {order_is_kept(here)}; incomplete: {len(held.incomplete_stop_sales)}"
        )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks outage")
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args(arguments)
    asyncio.run(measure(options.events))
