"""`sedna-sync migrate`: brings the database to the tables of this release."""

import click

from consumer.cli.common import as_json, database_url, load_settings, print_json, wait_for
from db.migrate import migrate as apply_migrations


@click.command()
@as_json
def migrate(*, as_json: bool) -> None:
    """Create or update the tables. Safe to run at every start and by several at once."""
    applied = wait_for(apply_migrations(database_url(load_settings("DATABASE_URL"))))
    if as_json:
        print_json({"applied": [f"{each.version:04}_{each.name}" for each in applied]})
        return
    for each in applied:
        click.echo(f"applied {each.version:04}_{each.name}")
    if not applied:
        click.echo("nothing to do: the database is up to date")
