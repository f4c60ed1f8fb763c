"""The demo: the real service between an embedded Kafka, an embedded Postgres and a fake Sedna.

It plays the upstream, watches, and judges what came of it by the expectations of `world`; it never
helps the service along.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consumer.demo.guardian import Guarded
from consumer.demo.judge import Check, judge
from consumer.demo.observed import Observed, look_into
from consumer.demo.progress import Progress, Watch
from consumer.demo.stage import Stage, service, stage
from consumer.demo.traffic import Traffic
from consumer.demo.world import DEMO_TENANTS, DemoEvent, demo_events, expected_holdings

#: Over how many seconds the events are published.
_PUBLISH_SECONDS = 8.0
#: Seconds without any answer after which no more is expected.
_PATIENCE = 20.0
_TICK_SECONDS = 0.1
_PENDING = "SELECT count(*) FROM syncs WHERE state = 'pending'"
_UNPUBLISHED = "SELECT count(*) FROM outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    seed: int
    seconds: float
    observed: Observed
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether everything is as it had to be."""
        return all(check.ok for check in self.checks)


async def play(*, seed: int, log: Path, progress: Progress) -> Outcome:
    """Run the demo.

    Args:
        seed: of all that is drawn for the events.
        log: a file for the service's output.
        progress: where to show how it goes.

    Raises:
        DemoError: the service could not be started.
        EmbeddedPostgresError: likewise Postgres.
    """
    events = demo_events(seed, at=datetime.now(UTC))
    progress.now("starting Kafka, Postgres and Sedna")
    async with (
        stage(DEMO_TENANTS, step=progress.step) as here,
        Traffic(bootstrap_servers=here.kafka, settings=here.settings) as traffic,
    ):
        progress.now("starting the service")
        async with service(here.environ, log=log) as running:
            progress.step("sedna-sync run: the real service, in a process of its own")
            await _work(here, traffic, running, events, progress)
            progress.now("stopping the service")
        # It has drained: what it had to say is in Kafka.
        progress.step("sedna-sync run: stopped")
        await traffic.read_the_rest()
        observed = await _look(here, traffic, events, exit_code=running.exit_code)
    return Outcome(seed=seed, seconds=progress.seconds, observed=observed, checks=judge(observed))


async def _work(
    here: Stage,
    traffic: Traffic,
    running: Guarded,
    events: Sequence[DemoEvent],
    progress: Progress,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(traffic.listen())
        publishing = tasks.create_task(traffic.publish(events, seconds=_PUBLISH_SECONDS))
        with progress.watch(traffic, here.fake, events) as watch:
            await _until_quiet(traffic, running, publishing, watch)
        traffic.stop_listening()
        await publishing
    progress.step(f"{len(events)} events published, {len(traffic.answers)} answers received")


async def _until_quiet(
    traffic: Traffic, running: Guarded, publishing: asyncio.Task[None], watch: Watch
) -> None:
    """Wait until all is answered and read, or nothing more is to be hoped for."""
    loop = asyncio.get_running_loop()
    seen, since = -1, loop.time()
    while running.running() and loop.time() - since < _PATIENCE:
        watch.tick()
        if publishing.done() and not traffic.unanswered() and not await traffic.unread():
            return
        came = len(traffic.published) + len(traffic.answers) + len(traffic.dead_letters)
        if came != seen:
            seen, since = came, loop.time()
        await asyncio.sleep(_TICK_SECONDS)


async def _look(
    here: Stage, traffic: Traffic, events: Sequence[DemoEvent], *, exit_code: int | None
) -> Observed:
    expected = expected_holdings(events)
    return Observed(
        published=traffic.published,
        answers=traffic.answers,
        dead_letters=traffic.dead_letters,
        held={
            name: look_into(account, expected[name].open_again)
            for name, account in here.fake.state.accounts.items()
        },
        pending=await here.pool.fetchval(_PENDING),
        unpublished=await here.pool.fetchval(_UNPUBLISHED),
        unread=await traffic.unread(),
        exit_code=exit_code,
    )
