"""`sedna-sync`: the entry point, and what all commands share.

Exit codes: 0 done, 1 something failed or is not well, 2 used wrongly or a setting is wrong. What a
person has to mend is one line on standard error; a traceback means a mistake in the program.
"""

import sys
import traceback
from importlib import import_module
from types import TracebackType

import click

from consumer.credentials import CannotDecrypt
from consumer.redaction import blank
from consumer.settings import SettingsError
from db.errors import DatabaseError

#: Each is the command of this name in the module of this name.
COMMANDS = (
    "demo",
    "doctor",
    "hotel",
    "migrate",
    "replay",
    "retry",
    "run",
    "schema",
    "status",
    "tenant",
)


class _Commands(click.Group):
    """Loads a command once it is asked for: most of them need little of what the service needs."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"consumer.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sedna-sync", prog_name="sedna-sync")
def cli() -> None:
    """Brings reservations and stop sales from Kafka into each tenant's Sedna account.

    Settings come from the environment, with the prefix SEDNA_SYNC_.
    """


def main() -> None:
    """Run the command line; never returns."""
    sys.excepthook = _show_blanked
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


def _show_blanked(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What nobody has caught, as Python shows it, but for what looks like a secret."""
    sys.stderr.write(blank("".join(traceback.format_exception(kind, error, trace))))
