"""`make bench ARGS=overhead`: what metrics and logs cost, of the whole service.

The service as in production (a line as JSON per settled sync, at INFO, into a file) reads events
from a real Kafka, keeps them in a real Postgres, sends them to a stub that answers after 100 ms,
and publishes the answers. Its metrics and logs are on for half of each second, and off for the
other half: whole runs differ by more than these cost. Told are the ratios, on to off, of events per
second and of events per CPU second of the process. And told is which part of that CPU time another
run, with a clock around them, spends in metrics and logs: the clock is counted with them, so it is
rather too much. Nobody scrapes.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks import service
from benchmarks.service import Servers
from benchmarks.watched import CLOCKED, SWITCHED

_PROGRAM = (sys.executable, "-m", "benchmarks.watched", "run")
#: The shares of the events between which it counts: it has started, and has not run dry.
_FROM, _TO = 0.1, 0.95
_AIM = 0.97


@dataclass(frozen=True, slots=True)
class Took:
    """What a run took while its metrics and logs were on, or off."""

    rate: float  #: events per second
    cpu_us: float  #: of each event

    @classmethod
    def of(cls, took: Mapping[str, Any], events: int, *, on: bool = True) -> "Took":
        inside = [each for each in took["ticks"] if _FROM * events <= each[2] <= _TO * events]
        spans = [(start, end) for start, end in pairwise(inside) if start[3] is on]
        seconds, cpu_seconds, settled = (
            sum(end[number] - start[number] for start, end in spans) for number in range(3)
        )
        return cls(rate=settled / seconds, cpu_us=cpu_seconds / settled * 1e6)


def told(name: str, values: Sequence[float]) -> str:
    return (
        f"{name}: {median(values):.3f} (median of {len(values)}, {min(values):.3f} to "
        f"{max(values):.3f}; aim >= {_AIM})"
    )


async def run(here: Servers, events: int, variables: Mapping[str, str]) -> dict[str, Any]:
    """Runs the service with these variables besides; what `benchmarks.watched` saw of it."""
    with tempfile.NamedTemporaryFile() as file:
        await service.measure(
            here, events=events, program=_PROGRAM, variables={"TOOK": file.name, **variables}
        )
        took: dict[str, Any] = json.load(file)
    return took


async def measure(events: int, rounds: int) -> None:
    async with service.servers() as here:
        rates, thrifts, outside = [], [], []
        for number in range(1, rounds + 1):
            took = await run(here, events, {"WATCHED": SWITCHED})
            on, off = (Took.of(took, events, on=each) for each in (True, False))
            took = await run(here, events, {"WATCHED": CLOCKED})
            clocked = Took.of(took, events)
            inside_us = took["inside_seconds"] / events * 1e6
            rates.append(on.rate / off.rate)
            thrifts.append(off.cpu_us / on.cpu_us)
            outside.append(1 - inside_us / clocked.cpu_us)
            print(
                f"round {number}, events per second (CPU each): with metrics and logs "
                f"{on.rate:.0f} ({on.cpu_us:.0f} us), without {off.rate:.0f} "
                f"({off.cpu_us:.0f} us), ratios {rates[-1]:.3f} and {thrifts[-1]:.3f}; "
                f"inside of them {inside_us:.1f} of {clocked.cpu_us:.0f} us",
                flush=True,
            )
        print(told("events per second, with / without", rates))
        print(told("events per CPU second, with / without", thrifts))
        print(told("the part of the CPU time that is not theirs", outside))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks overhead")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    asyncio.run(measure(options.events, options.rounds))
