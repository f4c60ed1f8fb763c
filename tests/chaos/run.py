"""One chaos run: processes, workload and faults; then rest, and judgement."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import evidence, upstream
from tests.chaos.crew import Crew, Ended
from tests.chaos.gather import gather
from tests.chaos.histories import Broken, Finding
from tests.chaos.injector import Injector
from tests.chaos.judge import judge
from tests.chaos.schedule import schedule
from tests.chaos.stage import stage
from tests.chaos.workload import accounts, workload
from tests.support.service import World

LEASE = 4.0
#: Short, so that much can happen in a run. Nothing is given up: whatever waits has to be done.
SETTINGS = {
    "CONNECT_TIMEOUT": "1",
    "REQUEST_TIMEOUT": "2",
    "LEASE": str(LEASE),
    "DRAIN_TIMEOUT": "4",
    "RETRY_BASE": "0.1",
    "RETRY_CAP": "1",
    "DOUBT_WINDOW": "8",
    "GIVE_UP_AFTER": "3600",
    "BREAKER_COOL_DOWN": "0.5",
    "LOG_LEVEL": "INFO",
}
#: Seconds from the last fault within which everything has to be settled.
_PATIENCE = 180.0
#: Seconds after which no commit of Sedna is outstanding.
_LATE = 4.0
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is to be like."""

    seed: int
    duration: float = 500.0  #: seconds in which faults begin
    faults: int = 1200  #: to be injected; some will find nothing to strike
    rate: float = 10.0  #: events in a second
    tenants: int = 20
    processes: int = 3
    program: Sequence[str] | None = None  #: None: the service as it is
    patience: float = _PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run."""

    options: Options
    struck: Counter[str]
    findings: Sequence[Finding]
    events: int
    doubts: int  #: syncs that were in doubt at some time
    adopted: int  #: of which Sedna had the record
    seconds_to_recover: float | None  #: None: it did not, in the time that it was given
    #: Processes that ended before they served, for want of a server; each was replaced.
    not_started: int
    #: Seconds by which the run itself was late at the worst. Beyond half a second the machine, not
    #: the service, may be what a finding is about.
    worst_delay: float
    evidence: Path | None = None


async def run(options: Options) -> Outcome:
    """Run, and judge.

    Raises:
        Unavailable: no Kafka or no Postgres can be had here.
    """
    agencies = accounts(options.tenants)
    names = [agency.name for agency in agencies]
    events = workload(
        seed=options.seed, duration=options.duration, rate=options.rate, tenants=names
    )
    injections = schedule(
        seed=options.seed,
        duration=options.duration,
        faults=options.faults,
        tenants=names,
        lease=LEASE,
    )
    delays = _Delays()
    async with stage(agencies, settings=SETTINGS, program=options.program, seed=options.seed) as on:
        here = on.here
        crew = Crew(here, options.processes)
        await crew.gather()
        injector = Injector(
            fake=on.fake,
            crew=crew,
            kafka=on.kafka,
            kafka_proxy=on.kafka_proxy,
            postgres=on.postgres,
            postgres_proxy=on.postgres_proxy,
        )
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(crew.watch()), tasks.create_task(delays.watch())]
            publishing = tasks.create_task(upstream.publish(here, events))
            await injector.run(injections)
            await publishing
            seconds = await _until_at_rest(here, patience=options.patience)
            await asyncio.sleep(_LATE)
            for task in background:
                task.cancel()
        await crew.disband()

        histories = await gather(here, events)
        findings = [*judge(histories), *_about_processes(here, crew.ended)]
        return Outcome(
            options=options,
            struck=injector.struck,
            findings=findings,
            events=len(histories.published),
            doubts=await here.value(
                "SELECT count(DISTINCT sync_id) FROM sync_attempts WHERE outcome = 'in_doubt'"
            ),
            adopted=await here.value("SELECT count(*) FROM syncs WHERE adopted"),
            seconds_to_recover=seconds,
            not_started=sum(not each.had_started for each in crew.ended),
            worst_delay=delays.worst,
            evidence=await evidence.keep(here, findings, diary=injector.diary)
            if findings
            else None,
        )


async def _until_at_rest(here: World, *, patience: float) -> float | None:
    """Wait until all is read, settled and published; how long that took, None if it did not."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + patience:
        waiting = await here.value(
            "SELECT (SELECT count(*) FROM syncs WHERE state = 'pending') "
            "+ (SELECT count(*) FROM outbox)"
        )
        if not waiting and not await here.lag():
            return loop.time() - began
        await asyncio.sleep(_LOOK_SECONDS)
    return None


def _about_processes(here: World, ended: Sequence[Ended]) -> Iterator[Finding]:
    for each in ended:
        if each.had_started:
            how = "did not end when told to" if each.code is None else f"code {each.code}"
            text = f"{how}, {Path(each.log).name}:\n{each.last_lines}"
            yield Finding(Broken.ENDED, text)
    for service in here.services:
        for line in service.lines("unexpected_error"):
            yield Finding(Broken.STUMBLED, f"{service.log_file.name}: {line}")


class _Delays:
    """How late this process itself is: the fake Sedna lives in it."""

    _STEP = 0.05

    def __init__(self) -> None:
        self.worst = 0.0  #: seconds

    async def watch(self) -> None:
        """Measure, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(self._STEP)
            self.worst = max(self.worst, loop.time() - before - self._STEP)
