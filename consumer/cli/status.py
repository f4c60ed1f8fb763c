"""`sedna-sync status`: which tenant waits, is in doubt, has failures or is blocked, and who works.

It reports and judges nothing: whatever it shows, the exit code is 0 if it could be shown.
"""

import asyncio
from collections.abc import AsyncIterator

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from consumer.cli.common import TenantId, as_json, database, load_settings, print_json, wait_for
from consumer.cli.status_report import as_json as report_as_json
from consumer.cli.status_report import as_tables
from consumer.settings import Settings
from db.pool import Pool
from db.status import Status, read, read_tenant

#: Seconds between two looks of --watch.
_PAUSE = 2.0
#: Tenants shown at a terminal, which does not scroll for ever; a pipe and --json get them all.
_ROWS = 50
#: Lines of a watched screen that are no tenants: heading, totals and some partitions.
_OTHER_LINES = 12
_FEWEST_ROWS = 5
#: Characters in a line where no terminal says how many it has.
_WIDTH = 200


@click.command()
@click.option("--tenant", "tenant_id", type=TenantId(), help="Only this tenant.")
@click.option("--watch", is_flag=True, help="Show it anew every 2 seconds, until Ctrl-C.")
@as_json
def status(*, tenant_id: str | None, watch: bool, as_json: bool) -> int:
    """Show how things stand: pending, in doubt, failed by code, open breakers, owners.

    Who needs attention comes first. Reads the database only, and changes nothing.
    """
    settings = load_settings("DATABASE_URL")
    looks = _looks(settings, tenant_id, watch=watch)
    try:
        wait_for(_print(looks, on_one_line=watch) if as_json else _show(looks, watch=watch))
    except KeyboardInterrupt:
        if not watch:
            raise
    return 0


async def _looks(
    settings: Settings, tenant_id: str | None, *, watch: bool
) -> AsyncIterator[Status]:
    async with database(settings) as pool:
        yield await _look(pool, tenant_id)
        while watch:
            await asyncio.sleep(_PAUSE)
            yield await _look(pool, tenant_id)


async def _look(pool: Pool, tenant_id: str | None) -> Status:
    if tenant_id is None:
        return await read(pool)
    found = await read_tenant(pool, tenant_id)
    if not found.tenants:
        raise click.ClickException(
            f"there is no tenant {tenant_id}, nor any work of it that is not done"
        )
    return found


async def _print(looks: AsyncIterator[Status], *, on_one_line: bool) -> None:
    async for look in looks:
        print_json(report_as_json(look), on_one_line=on_one_line)


async def _show(looks: AsyncIterator[Status], *, watch: bool) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    if watch and console.is_terminal and not console.is_dumb_terminal:
        await _redraw(console, looks)
        return
    rows = _ROWS if console.is_terminal else None
    async for look in looks:
        console.print(as_tables(look, rows=rows))
        if not look.tenants:
            click.echo("no tenants yet: add one with `sedna-sync tenant set`", err=True)


async def _redraw(console: Console, looks: AsyncIterator[Status]) -> None:
    hint = Text(f"\nEvery {_PAUSE:g} s. Ctrl-C ends.", style="dim")
    with Live(console=console, screen=True, auto_refresh=False) as live:
        async for look in looks:
            rows = max(_FEWEST_ROWS, console.height - _OTHER_LINES)
            live.update(Group(as_tables(look, rows=rows), hint), refresh=True)
