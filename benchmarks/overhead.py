"""`make bench ARGS=overhead`: what metrics and logs cost, of the whole service, in one run.

The service as in production (a line as JSON per settled sync, at INFO, into a file) and the same
without metrics and logs take turns. Both read events from a real Kafka, keep them in a real
Postgres, send them to a stub that answers after 100 ms, and publish the answers. Told are the
ratios of events per second and of events per CPU second of the process, the steadier one where
others work on the machine; both from when a tenth of the events is settled. And told is which part
of that CPU time a third one, with a clock around them, spends in metrics and logs: its clock is
counted with them, so it is rather too much, and least disturbed by others. Nobody scrapes.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import service, stub
from benchmarks.watched import AS_IT_IS, CLOCKED, MODES, WITHOUT
from tests.support.kafka import kafka_server
from tests.support.postgres import postgres_server

TENANTS = 20
CONCURRENCY = 500
_PROGRAM = (sys.executable, "-m", "benchmarks.watched", "run")
#: The share of the events after which it is counted: by then the service has started.
_WARM = 0.1
_AIM = 0.97


@dataclass(frozen=True, slots=True)
class Took:
    rate: float  #: events per second
    cpu_us: float  #: of each event
    inside_us: float  #: of each event, in metrics and logs

    @classmethod
    def of(
        cls, ticks: Sequence[tuple[float, float, int]], inside_seconds: float, events: int
    ) -> "Took":
        began, cpu_began, before = next(each for each in ticks if each[2] >= _WARM * events)
        ended, cpu_ended, after = next(each for each in ticks if each[2] == events)
        return cls(
            rate=(after - before) / (ended - began),
            cpu_us=(cpu_ended - cpu_began) / (after - before) * 1e6,
            inside_us=inside_seconds / events * 1e6,
        )


def told(name: str, values: Sequence[float]) -> str:
    return (
        f"{name}: {median(values):.3f} (median of {len(values)}, {min(values):.3f} to "
        f"{max(values):.3f}; aim >= {_AIM})"
    )


async def measure(events: int, rounds: int) -> None:
    kafka, postgres = kafka_server(), postgres_server()
    kafka.start()
    try:
        async with stub.running() as sedna:

            async def run(mode: str) -> Took:
                with tempfile.NamedTemporaryFile() as file:
                    await service.measure(
                        kafka=kafka.address(),
                        postgres=postgres.address(),
                        sedna=sedna,
                        tenant_count=TENANTS,
                        in_flight=CONCURRENCY,
                        events=events,
                        program=_PROGRAM,
                        variables={"TOOK": file.name, "WATCHED": mode},
                    )
                    return Took.of(**json.load(file), events=events)

            rates, thrifts, outside = [], [], []
            for number in range(1, rounds + 1):
                # Who is first takes turns as well.
                order = MODES if number % 2 else tuple(reversed(MODES))
                took = {mode: await run(mode) for mode in order}
                with_, without, clocked = (took[mode] for mode in (AS_IT_IS, WITHOUT, CLOCKED))
                rates.append(with_.rate / without.rate)
                thrifts.append(without.cpu_us / with_.cpu_us)
                outside.append(1 - clocked.inside_us / clocked.cpu_us)
                print(
                    f"round {number}, events per second (CPU each): with metrics and logs "
                    f"{with_.rate:.0f} ({with_.cpu_us:.0f} us), without {without.rate:.0f} "
                    f"({without.cpu_us:.0f} us), ratios {rates[-1]:.3f} and {thrifts[-1]:.3f}; "
                    f"inside of them {clocked.inside_us:.1f} of {clocked.cpu_us:.0f} us",
                    flush=True,
                )
            print(told("events per second, with / without", rates))
            print(told("events per CPU second, with / without", thrifts))
            print(told("the part of the CPU time that is not theirs", outside))
    finally:
        kafka.close()
        postgres.close()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks overhead")
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    asyncio.run(measure(options.events, options.rounds))
