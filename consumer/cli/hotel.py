"""`sedna-sync hotel`: which hotel of a tenant's account a name means.

Asks Sedna with the tenant's account for as long as a command runs; nothing is written at Sedna.
"""

import os
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import click
from rich import box
from rich.console import Console
from rich.table import Table

from consumer.accounts import Account
from consumer.bootstrap import AccountBuilder
from consumer.borrowing import short_lived
from consumer.cli.common import TenantId, as_json, database, load_settings, print_json, wait_for
from consumer.clock import SystemClock
from consumer.hotels import Finding, Hotels, HotelsError, Mapped, Search
from consumer.sedna.matching import Candidate
from db.records import HotelMapping, TenantSettings

_T = TypeVar("_T")

#: Mappings that are read at once.
_PAGE = 500
#: Characters in a line where no terminal says how many it has.
_WIDTH = 200
_FOUND: Final = {
    Finding.MAPPING: "by the tenant's mapping",
    Finding.EXACT: "by its name",
    Finding.NORMALISED: "by its name, spelled otherwise",
    Finding.PARTIAL: "as the only hotel whose name has all these words",
}
_NOT_FOUND: Final = {
    Finding.AMBIGUOUS: "fits more than one hotel: such an event fails with hotel_ambiguous",
    Finding.NOT_FOUND: "fits no hotel: such an event fails with hotel_not_found",
    Finding.MAPPED_HOTEL_GONE: (
        "is mapped to a hotel that the account no longer has: such an event fails with "
        "hotel_not_found"
    ),
}

_tenant = click.argument("tenant_id", metavar="TENANT", type=TenantId())
_name = click.argument("name")


@click.group()
def hotel() -> None:
    """Look for hotels in a tenant's account, and say which one a name means."""


@hotel.command()
@_tenant
@_name
@as_json
def search(*, tenant_id: str, name: str, as_json: bool) -> None:
    """Show what the service takes NAME for, and which hotels of TENANT have similar names.

    The score says how similar, from 0 to 100.
    """
    found = _ask(lambda hotels: hotels.search(tenant_id, name), asks_sedna=True)
    if as_json:
        print_json(
            {
                "tenant_id": tenant_id,
                "name": name,
                "result": found.finding.value,
                "hotel": found.hotel and {"id": found.hotel.id, "name": found.hotel.name},
                "candidates": [_candidate(each) for each in found.candidates],
                "hotels": found.hotels,
            }
        )
        return
    _show(tenant_id, found)


def _candidate(candidate: Candidate) -> dict[str, object]:
    return {"id": candidate.id, "name": candidate.name, "score": candidate.score}


def _show(tenant_id: str, found: Search) -> None:
    if found.hotel is None:
        click.echo(f"“{found.name}” {_NOT_FOUND[found.finding]}.")
    else:
        click.echo(
            f"“{found.name}” is {found.hotel.name} ({found.hotel.id}), "
            f"found {_FOUND[found.finding]}."
        )
    if not found.candidates:
        click.echo(f"None of the account's {found.hotels} hotels has a name like it.")
    else:
        table = _table("Id", "Hotel", "Score", numbers=("Id", "Score"))
        for each in found.candidates:
            table.add_row(str(each.id), each.name, f"{each.score:g}")
        _print(table)
    if found.hotel is None:
        command = shlex.join(["sedna-sync", "hotel", "map", tenant_id, found.name])
        click.echo(f"To say which one it is: {command} HOTEL_ID")


@hotel.command("map")
@_tenant
@_name
@click.argument("hotel_id", type=click.IntRange(min=1))
@as_json
def map_name(*, tenant_id: str, name: str, hotel_id: int, as_json: bool) -> None:
    """Say that NAME is the hotel HOTEL_ID of TENANT, in whatever spelling it comes.

    Case, accents, punctuation and the order of words make no difference. Running services take it
    over at once; an id in an event still counts before it.
    """
    done = _ask(lambda hotels: hotels.map(tenant_id, name, hotel_id), asks_sedna=True)
    if as_json:
        print_json(
            {
                "tenant_id": tenant_id,
                **_mapping(done.mapping),
                "hotel_name": done.hotel.name,
                "replaced": done.replaced and _mapping(done.replaced),
                "retriable": {code.value: count for code, count in done.retriable.items()},
                "retriable_is_all": done.retriable_is_all,
            }
        )
        return
    click.echo(
        f"“{name}” is {done.hotel.name} ({done.hotel.id}) for tenant {tenant_id} from now on"
    )
    if done.replaced is not None and done.replaced.hotel_id != hotel_id:
        click.echo(f"before, “{done.replaced.name}” was hotel {done.replaced.hotel_id}")
    _say_what_can_be_retried(tenant_id, done)


def _say_what_can_be_retried(tenant_id: str, done: Mapped) -> None:
    at_least = "" if done.retriable_is_all else "at least "
    for code, count in done.retriable.items():
        events = "1 failed sync names" if count == 1 else f"{count} failed syncs name"
        click.echo(
            f"{at_least}{events} the hotel so and can be tried again now: "
            f"sedna-sync retry --tenant {tenant_id} --code {code.value}"
        )


@hotel.command()
@_tenant
@_name
@as_json
def unmap(*, tenant_id: str, name: str, as_json: bool) -> None:
    """Take back the mapping of NAME; from then on TENANT's hotels are found by name alone."""
    removed = _ask(lambda hotels: hotels.unmap(tenant_id, name), asks_sedna=False)
    if removed is None:
        raise click.ClickException(
            f"tenant {tenant_id} has no mapping of “{name}”: `sedna-sync hotel list {tenant_id}` "
            f"shows those that it has"
        )
    if as_json:
        print_json({"tenant_id": tenant_id, **_mapping(removed)})
    else:
        click.echo(f"“{removed.name}” is no longer hotel {removed.hotel_id} for tenant {tenant_id}")


@hotel.command("list")
@_tenant
@as_json
def list_mappings(*, tenant_id: str, as_json: bool) -> None:
    """List TENANT's mappings."""
    found = _ask(lambda hotels: _all(hotels, tenant_id), asks_sedna=False)
    if as_json:
        print_json([_mapping(each) for each in found])
        return
    if not found:
        click.echo(
            f"tenant {tenant_id} has no mappings: its hotels are found by name alone", err=True
        )
        return
    table = _table("Name", "Hotel id", "Since", numbers=("Hotel id",))
    for each in found:
        since = f"{each.created_at:%Y-%m-%d %H:%M}" if each.created_at else ""
        table.add_row(each.name, str(each.hotel_id), since)
    _print(table)


async def _all(hotels: Hotels, tenant_id: str) -> list[HotelMapping]:
    found = await hotels.mappings(tenant_id, limit=_PAGE)
    page = found
    while len(page) == _PAGE:
        page = await hotels.mappings(tenant_id, after=page[-1].name_key, limit=_PAGE)
        found += page
    return found


def _mapping(mapping: HotelMapping) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": mapping.name,
        "name_key": mapping.name_key,
        "hotel_id": mapping.hotel_id,
    }
    return shown if mapping.created_at is None else {**shown, "created_at": mapping.created_at}


def _ask(question: Callable[[Hotels], Awaitable[_T]], *, asks_sedna: bool) -> _T:
    settings = load_settings("DATABASE_URL", *(["ENCRYPTION_KEYS"] if asks_sedna else []))

    def build(tenant: TenantSettings, mappings: Mapping[str, int]) -> Account:
        builder = AccountBuilder(settings=settings, clock=SystemClock(), environ=os.environ)
        return builder(tenant, mappings)

    async def ask() -> _T:
        async with database(settings) as pool:
            return await question(Hotels(pool=pool, borrow=short_lived(pool=pool, build=build)))

    try:
        return wait_for(ask())
    except HotelsError as error:
        raise click.ClickException(str(error)) from error


def _table(*columns: str, numbers: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_WIDTH)
    console.print(table)
