"""`sedna-sync schema`: the contracts of the events and of the HTTP API, for those who use them."""

from pathlib import Path

import click

from consumer.api import openapi
from schemas.export import export as write_documents


@click.group()
def schema() -> None:
    """The contracts of the events and of the HTTP API."""


@schema.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write the JSON Schemas, the AsyncAPI and the OpenAPI document into DIRECTORY."""
    try:
        written = write_documents(directory, others={"openapi.json": openapi.document()})
    except OSError as error:
        raise click.ClickException(f"cannot write into {directory}: {error.strerror}") from error
    for path in written:
        click.echo(path)
