"""`sedna-sync`: the entry point, and what all commands share.

Exit codes: 0 done, 1 something failed or is not well, 2 used wrongly or a setting is wrong. What a
person has to mend is one line on standard error; a traceback means a mistake in the program.
"""

import sys

import click

from consumer.cli.demo import demo
from consumer.cli.doctor import doctor
from consumer.cli.hotel import hotel
from consumer.cli.migrate import migrate
from consumer.cli.replay import replay
from consumer.cli.retry import retry
from consumer.cli.run import run
from consumer.cli.schema import schema
from consumer.cli.status import status
from consumer.cli.tenant import tenant
from consumer.credentials import CannotDecrypt
from consumer.settings import SettingsError
from db.errors import DatabaseError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sedna-sync", prog_name="sedna-sync")
def cli() -> None:
    """Brings reservations and stop sales from Kafka into each tenant's Sedna account.

    Settings come from the environment, with the prefix SEDNA_SYNC_.
    """


for command in (run, migrate, doctor, status, retry, replay, tenant, hotel, schema, demo):
    cli.add_command(command)


def main() -> None:
    """Run the command line; never returns."""
    try:
        code = cli(standalone_mode=False)
    except click.exceptions.Abort:
        code = _complain("stopped", 1)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except SettingsError as error:
        code = _complain(str(error), 2)
    except (DatabaseError, CannotDecrypt) as error:
        code = _complain(str(error), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(line: str, code: int) -> int:
    click.echo(f"sedna-sync: {line}", err=True)
    return code
