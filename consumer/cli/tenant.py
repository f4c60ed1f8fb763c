"""`sedna-sync tenant`: the accounts at Sedna.

A password comes from a prompt, a file or standard input, never from an argument, which every user
of the machine could read in the process list; and it is shown nowhere.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from consumer.cli.common import (
    TenantId,
    as_json,
    database,
    keyring,
    load_settings,
    print_json,
    retry_hint,
    wait_for,
)
from consumer.credentials import Keyring
from consumer.rotation import Rotation, rotate
from db import tenants
from db.records import TenantSettings

_NEEDS = ("DATABASE_URL", "ENCRYPTION_KEYS")


class _SednaUrl(click.ParamType[str]):
    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            usable, parts = False, None
        if not usable or parts is None:
            self.fail(
                "must be like http://HOST/SednaAgencyb2bApi (http or https, with a host)",
                param,
                ctx,
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            self.fail("must hold no user, password, query or fragment", param, ctx)
        return value.rstrip("/")


_tenant = click.argument("tenant_id", metavar="TENANT", type=TenantId())


@click.group()
def tenant() -> None:
    """Set up the tenants' accounts at Sedna."""


@tenant.command("set")
@_tenant
@click.option("--url", type=_SednaUrl(), help="Base address of the account's API.")
@click.option("--username", help="The account's user.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path),
    help="Read the password from this file.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--operator-id", type=click.IntRange(min=1), help="Default: learned at login.")
@click.option("--operator-code", help="Shown at stop sales. Default: the user's name.")
@click.option("--authority-id", type=click.IntRange(min=0), help="Default: 207.")
@click.option("--max-in-flight", type=click.IntRange(1, 10_000), help="Requests at once.")
@click.option(
    "--requests-per-second", type=click.FloatRange(min=0, min_open=True), help="Default: no limit."
)
@click.option("--active/--inactive", "is_active", default=None, help="Whether it is worked for.")
def set_tenant(
    *,
    tenant_id: str,
    url: str | None,
    username: str | None,
    password_file: Path | None,
    password_stdin: bool,
    operator_id: int | None,
    operator_code: str | None,
    authority_id: int | None,
    max_in_flight: int | None,
    requests_per_second: float | None,
    is_active: bool | None,
) -> None:
    """Set up TENANT, or change single values of one that exists.

    Without --password-file and --password-stdin a new tenant's password is asked for. Running
    services take a change over at once.
    """
    if password_file and password_stdin:
        raise click.UsageError("give --password-file or --password-stdin, not both")
    settings = load_settings(*_NEEDS)
    keys = keyring(settings)
    password = _password(password_file, stdin=password_stdin)
    changes = {
        name: value
        for name, value in {
            "sedna_api_url": url,
            "sedna_username": username,
            "sedna_operator_id": operator_id,
            "sedna_operator_code": operator_code,
            "sedna_authority_id": authority_id,
            "max_in_flight": max_in_flight,
            "requests_per_second": requests_per_second,
            "is_active": is_active,
        }.items()
        if value is not None
    }

    async def store() -> tuple[str, str | None]:
        async with database(settings) as pool:
            known = await tenants.get(pool, tenant_id)
            if known is None:
                account = _new(tenant_id, url, username, password, keys)
            else:
                account = known
                if password is not None:
                    sealed = keys.encrypt(password, tenant_id=tenant_id)
                    account = replace(account, sedna_password_encrypted=sealed)
            account = replace(account, **changes)  # type: ignore[arg-type]
            await tenants.put(pool, account)
            hint = await retry_hint(pool, tenant_id) if account.is_active else None
            return "set up" if known is None else "changed", hint

    done, hint = wait_for(store())
    click.echo(f"tenant {tenant_id} {done}")
    if hint is not None:
        click.echo(hint)


def _new(
    tenant_id: str, url: str | None, username: str | None, password: str | None, keys: Keyring
) -> TenantSettings:
    if url is None or username is None:
        raise click.UsageError(f"tenant {tenant_id} is new: give --url and --username")
    if password is None:
        password = str(click.prompt("Sedna password", hide_input=True, confirmation_prompt=True))
    return TenantSettings(
        tenant_id=tenant_id,
        sedna_api_url=url,
        sedna_username=username,
        sedna_password_encrypted=keys.encrypt(password, tenant_id=tenant_id),
    )


def _password(file: Path | None, *, stdin: bool) -> str | None:
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--password-file: cannot read {file}") from error
    elif stdin:
        text = sys.stdin.read()
    else:
        return None
    # The newline that an editor or `echo` puts behind it; every other blank belongs to it.
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.UsageError("the password is empty")
    return password


@tenant.command("list")
@as_json
def list_tenants(*, as_json: bool) -> None:
    """List all tenants."""
    settings = load_settings("DATABASE_URL")

    async def read() -> list[TenantSettings]:
        async with database(settings) as pool:
            return await tenants.every(pool)

    found = wait_for(read())
    if as_json:
        print_json([_shown(each) for each in found])
        return
    for each in found:
        state = "active" if each.is_active else "inactive"
        click.echo(f"{each.tenant_id}  {state}  {each.sedna_username}  {each.sedna_api_url}")
    if not found:
        click.echo("no tenants yet: add one with `sedna-sync tenant set`", err=True)


@tenant.command("show")
@_tenant
@as_json
def show_tenant(*, tenant_id: str, as_json: bool) -> None:
    """Show TENANT's settings; its password is not among them."""
    settings = load_settings("DATABASE_URL")

    async def read() -> TenantSettings | None:
        async with database(settings) as pool:
            return await tenants.get(pool, tenant_id)

    found = wait_for(read())
    if found is None:
        raise click.ClickException(f"there is no tenant {tenant_id}")
    if as_json:
        print_json(_shown(found))
        return
    for name, value in _shown(found).items():
        click.echo(f"{name + ':':22} {'' if value is None else value}")


@tenant.command("remove")
@_tenant
def remove_tenant(*, tenant_id: str) -> None:
    """Forget TENANT's settings and hotel mappings. Its syncs and their history stay."""
    settings = load_settings("DATABASE_URL")

    async def remove() -> bool:
        async with database(settings) as pool:
            return await tenants.remove(pool, tenant_id)

    if not wait_for(remove()):
        raise click.ClickException(f"there is no tenant {tenant_id}")
    click.echo(f"tenant {tenant_id} removed")


@tenant.command("rotate-keys")
@as_json
def rotate_keys(*, as_json: bool) -> int:
    """Encrypt all passwords with the first of ENCRYPTION_KEYS.

    After it the other keys can be taken out of the setting. If it is interrupted, run it again.
    """
    settings = load_settings(*_NEEDS)
    keys = keyring(settings)

    async def work() -> Rotation:
        async with database(settings) as pool:
            with _progress(await tenants.count(pool)) as on_progress:
                return await rotate(pool, keys, on_progress=on_progress)

    done = wait_for(work())
    if as_json:
        print_json(
            {
                "changed": done.changed,
                "tenants": done.tenants,
                "active_key": keys.active,
                "unopened": dict(done.unopened),
            }
        )
    else:
        click.echo(
            f"{done.changed} of {done.tenants} passwords encrypted anew with key {keys.active}"
        )
        for reason in done.unopened.values():
            click.echo(f"sedna-sync: {reason}", err=True)
    return 1 if done.unopened else 0


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar at a terminal; it goes to standard error, where it mixes with no result."""
    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("tenants", total=total)
        yield lambda count: bar.advance(task, count)


def _shown(account: TenantSettings) -> dict[str, object]:
    return {
        "tenant_id": account.tenant_id,
        "sedna_api_url": account.sedna_api_url,
        "sedna_username": account.sedna_username,
        "sedna_operator_id": account.sedna_operator_id,
        "sedna_operator_code": account.sedna_operator_code,
        "sedna_authority_id": account.sedna_authority_id,
        "is_active": account.is_active,
        "max_in_flight": account.max_in_flight,
        "requests_per_second": account.requests_per_second,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }
