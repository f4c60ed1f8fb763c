"""`sedna-sync replay`: read topics again, outside of the service's group, for backfill.

It registers what it reads as the service does, and sends nothing itself: the running service does
the work. It shows what it is about to read, and asks.
"""

import asyncio
import os
import signal
import sys

import click
from aiokafka.errors import KafkaError
from click.core import ParameterSource

from consumer import logs
from consumer.cli.common import (
    TenantId,
    as_json,
    database,
    database_url,
    kafka_failed,
    load_settings,
    run_fast,
)
from consumer.cli.replay_report import Shown, show_plan, show_report
from consumer.replay.asked import Asked, Bound, bound
from consumer.replay.reader import TopicChanged
from consumer.replay.runs import CannotReplay, Plan, Replays, Report, Watching
from consumer.settings import Settings
from db.replays import Moved
from schemas.kinds import Kind

#: What says which events are meant, and what is to become of them.
_SELECTING = ("topics", "since", "until", "tenants", "kind", "retry_failed", "republish")
_GO_ON = "go on with `sedna-sync replay --resume`"


class _Bound(click.ParamType[Bound]):
    name = "bound"

    def convert(
        self, value: Bound | str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Bound:
        if not isinstance(value, str):
            return value
        try:
            return bound(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


@click.command()
@click.option(
    "--topic",
    "topics",
    multiple=True,
    help="Read this topic; can be given more than once. Without it, both input topics.",
)
@click.option(
    "--from",
    "since",
    type=_Bound(),
    default="beginning",
    show_default=True,
    help="beginning, an RFC 3339 time, or offset:N in each partition.",
)
@click.option(
    "--to",
    "until",
    type=_Bound(),
    default="end",
    show_default=True,
    help="Likewise, not included; end is where the topic ends at the start.",
)
@click.option(
    "--tenant",
    "tenants",
    type=TenantId(),
    multiple=True,
    help="Events of this tenant only; can be given more than once.",
)
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Of this kind.")
@click.option("--retry-failed", is_flag=True, help="Try again what has failed, as it is stored.")
@click.option("--republish", is_flag=True, help="Publish stored results again, with their ids.")
@click.option("--dry-run", is_flag=True, help="Say what it would do, and change nothing.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Events per second at the most.",
)
@click.option(
    "--resume",
    type=click.IntRange(0, 2**63 - 1),
    is_flag=False,
    flag_value=0,
    metavar="[ID]",
    help="Go on with a replay that was interrupted: the last one, or the one with this id.",
)
@click.option("--items", is_flag=True, help="Say of each event what it comes to.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_context
def replay(  # a command has as many options as it has
    context: click.Context,
    *,
    topics: tuple[str, ...],
    since: Bound,
    until: Bound,
    tenants: tuple[str, ...],
    kind: str | None,
    retry_failed: bool,
    republish: bool,
    dry_run: bool,
    rate: float | None,
    resume: int | None,
    items: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Read topics again and register what is in them, as the service does.

    It never touches the service's group or its offsets. What is synced or pending stays as it is;
    what is new is done by the running service, after the live work of its tenant.
    """
    if resume is not None and dry_run:
        raise click.UsageError("a dry run is not stored, so there is none to be resumed")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError(
            "it asks before it begins, and here is nobody to answer: add --yes, or --dry-run to "
            "look only"
        )
    settings = load_settings("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL")
    lines = logs.configure(
        level="WARNING",
        json=settings.log_format == "json" and not sys.stderr.isatty(),
        secrets=settings.secrets,
    )
    asked = Asked(
        topics=_topics(settings, topics, None if kind is None else Kind(kind)),
        since=since,
        until=until,
        tenants=tuple(sorted(set(tenants))),
        retry_failed=retry_failed,
        republish=republish,
    )
    is_selecting = any(
        context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _SELECTING
    )
    if resume and is_selecting:
        raise click.UsageError("the id says which replay is meant: give no other selection with it")
    try:
        return run_fast(
            _replay(
                settings,
                asked if is_selecting or resume is None else None,
                resume=resume,
                dry_run=dry_run,
                rate=rate,
                yes=yes,
                shown=Shown(as_json=as_json, items=items),
            )
        )
    except KafkaError as error:
        raise kafka_failed(settings, error) from error
    except (CannotReplay, TopicChanged, Moved) as error:
        raise click.ClickException(str(error)) from error
    finally:
        lines.tell(everything=True)


async def _replay(
    settings: Settings,
    asked: Asked | None,
    *,
    resume: int | None,
    dry_run: bool,
    rate: float | None,
    yes: bool,
    shown: Shown,
) -> int:
    async with database(settings) as pool:
        replays = Replays(settings=settings, pool=pool, database_url=database_url(settings))
        plan = await _plan(replays, asked, resume)
        if plan.finished:
            show_report(await replays.report(plan), shown, seconds=None)
            return 0
        show_plan(plan, shown, dry_run=dry_run, rate=rate)
        if not (yes or dry_run) and not click.confirm("Begin?", err=True):
            click.echo("nothing was changed", err=True)
            return 1
        report, seconds = await _run(replays, plan, dry_run=dry_run, rate=rate, shown=shown)
        show_report(report, shown, seconds=seconds)
        if not report.complete:
            click.echo(f"interrupted: {'start again' if dry_run else _GO_ON}", err=True)
        return 0 if report.complete else 1


async def _plan(replays: Replays, asked: Asked | None, resume: int | None) -> Plan:
    if resume is not None:
        plan = await replays.resume(asked, replay_id=resume or None)
        if plan is not None:
            return plan
    if asked is None:
        raise CannotReplay(
            f"there is no replay {resume}" if resume else "there is no replay to resume"
        )
    # It was told what to do: then it was interrupted before it was begun.
    return await replays.plan(asked)


async def _run(
    replays: Replays, plan: Plan, *, dry_run: bool, rate: float | None, shown: Shown
) -> tuple[Report, float]:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    started_at = asyncio.get_running_loop().time()
    with shown.progress(plan) as progress:
        watching = Watching(
            stop=stop,
            on_progress=progress.show,
            on_items=shown.show_items if shown.items else None,
        )
        work = replays.rehearse if dry_run else replays.carry_out
        report = await work(plan, rate=rate, watching=watching)
    return report, asyncio.get_running_loop().time() - started_at


def _topics(
    settings: Settings, names: tuple[str, ...], kind: Kind | None
) -> tuple[tuple[str, Kind], ...]:
    """The topics that are meant, with their kinds."""
    inputs = settings.kinds
    found: dict[str, Kind] = {}
    for name in names or inputs:
        of_topic = inputs.get(name, kind)
        if of_topic is None:
            raise click.UsageError(
                f"{name} is none of the input topics ({', '.join(inputs)}): add --kind to say what "
                "is in it"
            )
        if kind is None or kind is of_topic:
            found[name] = of_topic
        elif names:
            raise click.UsageError(f"{name} holds events of kind {of_topic.value}")
    return tuple(sorted(found.items()))


def _stop_on_signals(stop: asyncio.Event) -> None:
    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)  # nothing is lost: what is stored is stored as a whole
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
