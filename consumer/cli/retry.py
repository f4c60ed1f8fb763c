"""`sedna-sync retry`: try failed syncs again, with the content that is stored.

It shows what it would do, and asks; what has changed since it was shown is left alone. It only asks
for the work: the running service does it. Overtaken stop sales stay as they are without --force.
"""

import re
import sys
from datetime import timedelta

import click

from consumer.cli.common import TenantId, as_json, database, load_settings, print_json, wait_for
from consumer.cli.retry_report import Plan, show, summary, syncs
from consumer.cli.retry_report import as_json as report_as_json
from consumer.retrying import Carried, Retrying, Selection
from consumer.settings import Settings
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: Longer than Postgres' time goes back.
_LONGEST_DAYS = 365_000


class _Age(click.ParamType[timedelta]):
    name = "age"

    def convert(
        self, value: timedelta | str, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([0-9]{1,9})([smhd])", value)
        seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
        if found is None or seconds > _LONGEST_DAYS * _SECONDS["d"]:
            self.fail("an age is like 90s, 30m, 2h or 7d", param, ctx)
        return timedelta(seconds=seconds)


@click.command()
@click.option(
    "--id",
    "ids",
    type=click.IntRange(1, 2**63 - 1),
    multiple=True,
    help="This sync (`syncs.id`, `sync` in the log); can be given more than once.",
)
@click.option("--tenant", "tenant_id", type=TenantId(), help="Of this tenant.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Of this kind.")
@click.option(
    "--code",
    type=click.Choice([code.value for code in ErrorCode]),
    metavar="CODE",
    help="Failed with this code, such as hotel_not_found.",
)
@click.option("--older-than", type=_Age(), help="Failed so long ago: 90s, 30m, 2h, 7d.")
@click.option("--force", is_flag=True, help="Also stop sales that a later one has overtaken.")
@click.option("--dry-run", is_flag=True, help="Show what would be tried, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def retry(
    *,
    ids: tuple[int, ...],
    tenant_id: str | None,
    kind: str | None,
    code: str | None,
    older_than: timedelta | None,
    force: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Try failed syncs again, as they are stored.

    All filters that are given must fit; at least one is needed. What is in doubt begins with the
    question to Sedna, and is never sent before it is answered. A running service begins at once.
    """  # fmt: skip
    narrowing = kind or code or older_than is not None
    if ids and narrowing:
        raise click.UsageError("--id names the syncs: of the filters, only --tenant goes with it")
    if not (ids or tenant_id or narrowing):
        raise click.UsageError(
            "say which: --id, --tenant, --kind, --code or --older-than (--older-than 0s is all)"
        )
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError(
            "it asks before it tries anything, and here is nobody to answer: add --yes, or "
            "--dry-run to look only"
        )
    settings = load_settings("DATABASE_URL")
    selection = Selection(
        tenant_id=tenant_id,
        kind=None if kind is None else Kind(kind),
        code=code,
        older_than=older_than,
    )
    plan = wait_for(_look(settings, ids, selection, force=force))
    if not as_json:
        show(plan)
    agreed = (
        dry_run
        or yes
        or not plan.total
        or click.confirm(f"Try {syncs(plan.total)} again?", err=True)
    )
    carried = Carried()
    if agreed and plan.total and not dry_run:
        carried = wait_for(_carry_out(settings, plan))
    if as_json:
        print_json(report_as_json(plan, carried, dry_run=dry_run))
    elif not agreed:
        click.echo("nothing was changed")
    elif plan.total and not dry_run:
        click.echo(summary(plan, carried))
    return 1 if plan.not_failed or plan.unknown or not agreed else 0


async def _look(
    settings: Settings, ids: tuple[int, ...], selection: Selection, *, force: bool
) -> Plan:
    plan = Plan(force)
    async with database(settings) as pool:
        retrying = Retrying(pool)
        if ids:
            for planned in await retrying.plan_ids({*ids}, tenant_id=selection.tenant_id):
                plan.add(planned)
            plan.unknown = sorted({*ids} - plan.seen)
        else:
            async for page in retrying.plan(selection):
                for planned in page:
                    plan.add(planned)
    return plan


async def _carry_out(settings: Settings, plan: Plan) -> Carried:
    done = Carried()
    async with database(settings) as pool:
        retrying = Retrying(pool)
        for tenant_id, shown in plan.shown.items():
            carried = await retrying.carry_out(tenant_id, shown, force=plan.force)
            done.started |= carried.started
            done.superseded += carried.superseded
    return done
