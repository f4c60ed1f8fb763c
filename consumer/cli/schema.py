"""`sedna-sync schema`: the contracts of the events, for those who publish or read them."""

from pathlib import Path

import click

from schemas.export import export as write_documents


@click.group()
def schema() -> None:
    """The contracts of the events."""


@schema.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write the JSON Schemas and the AsyncAPI document into DIRECTORY."""
    try:
        written = write_documents(directory)
    except OSError as error:
        raise click.ClickException(f"cannot write into {directory}: {error.strerror}") from error
    for path in written:
        click.echo(path)
