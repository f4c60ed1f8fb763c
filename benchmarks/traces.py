"""`make bench ARGS=traces`: what traces cost, of the whole service, in one run.

The service without traces, with one trace in twenty, and with all of them take turns; spans go to a
collector on this machine that throws them away. All else is as in `overhead`. Told are the ratios
of events per second and of events per CPU second, of the whole process, the sending of spans
included.
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from statistics import median
from typing import Final

from benchmarks import service
from benchmarks.overhead import Took, run

OFF, SOME, ALL = "off", "one in twenty", "all"
_SAMPLERS: Final[Mapping[str, dict[str, str]]] = {
    OFF: {},
    SOME: {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.05"},
    ALL: {"OTEL_TRACES_SAMPLER": "parentbased_always_on"},
}


class Sink:
    """A collector that throws away what it is sent."""

    def __init__(self) -> None:
        self.exports = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                self.exports += 1
        writer.close()


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Sink, str]]:
    """A collector that runs, and its address."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    try:
        yield sink, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def measure(events: int, rounds: int) -> None:
    async with service.servers() as here, collecting() as (sink, url):

        async def traced(mode: str) -> Took:
            endpoint = {} if mode == OFF else {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
            before = sink.exports
            took = await run(here, events, endpoint | _SAMPLERS[mode])
            if (sink.exports == before) is not (mode == OFF):
                raise RuntimeError(f"{sink.exports - before} exports of {mode} traces")
            return Took.of(took, events)

        modes = [OFF, SOME, ALL]
        took: dict[str, list[Took]] = {mode: [] for mode in modes}
        for number in range(1, rounds + 1):
            # Who is first takes turns as well.
            for mode in modes if number % 2 else reversed(modes):
                took[mode].append(await traced(mode))
            said = (
                f"{mode} {took[mode][-1].rate:.0f} ({took[mode][-1].cpu_us:.0f} us)"
                for mode in modes
            )
            print(f"round {number}, events per second (CPU each): {', '.join(said)}", flush=True)
        for mode in (SOME, ALL):
            pairs = list(zip(took[mode], took[OFF], strict=True))
            rates = [on.rate / off.rate for on, off in pairs]
            thrifts = [off.cpu_us / on.cpu_us for on, off in pairs]
            print(
                f"{mode} / off, medians of {rounds}: events per second {median(rates):.3f} "
                f"({min(rates):.3f} to {max(rates):.3f}), events per CPU second "
                f"{median(thrifts):.3f} ({min(thrifts):.3f} to {max(thrifts):.3f})"
            )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks traces")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    asyncio.run(measure(options.events, options.rounds))
