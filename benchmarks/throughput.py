"""`make bench`, or `ARGS=throughput`: the whole service against two bare HTTP clients, in one run.

All three POST the same kind of reservation, for 20 tenants, at most 500 at once, to a stub that
answers after 100 ms, so that no more than 5 000 per second are possible. The service does all the
rest besides: it reads the events from a real Kafka, registers, marks and settles each in a real
Postgres, and publishes its answer. The figures of one run are compared with each other only.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from benchmarks import service
from benchmarks.service import CONCURRENCY, TENANTS


async def bare_client(client: str, url: str, requests: int, *, uvloop: bool) -> dict[str, float]:
    """Run `benchmarks.clients` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.clients",
        f"--client={client}",
        f"--url={url}",
        f"--requests={requests}",
        f"--concurrency={CONCURRENCY}",
        f"--tenants={TENANTS}",
        *(["--uvloop"] if uvloop else []),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the bare client {client} failed")
    measured: dict[str, float] = json.loads(out)
    return measured


async def measure(events: int, rounds: int) -> None:
    async with service.servers() as here:
        measured = []
        for number in range(1, rounds + 1):
            own = await bare_client("own", here.sedna.base_url, events, uvloop=True)
            whole = await service.measure(here, events=events)
            httpx2 = await bare_client("httpx2", here.sedna.base_url, events, uvloop=False)
            measured.append((own["rate"], whole.rate, httpx2["rate"]))
            print(
                f"round {number}, events per second (CPU each): "
                f"our transport alone {own['rate']:.0f} ({own['cpu_us_per_request']:.0f} us), "
                f"the whole service {whole.rate:.0f} ({whole.cpu_us_per_event:.0f} us), "
                f"httpx2 as it comes {httpx2['rate']:.0f} "
                f"({httpx2['cpu_us_per_request']:.0f} us)",
                flush=True,
            )
        own_ratio = sorted(whole / own for own, whole, _ in measured)[rounds // 2]
        httpx2_ratio = sorted(whole / httpx2 for _, whole, httpx2 in measured)[rounds // 2]
        print(f"service / our transport: {own_ratio:.2f} (median of {rounds}; aim >= 0.5)")
        print(f"service / httpx2:        {httpx2_ratio:.2f} (median of {rounds}; aim >= 1.5)")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks throughput")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    asyncio.run(measure(options.events, options.rounds))
