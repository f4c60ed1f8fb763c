"""The ways to a Postgres, and databases in it."""

import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from consumer.demo.embedded_postgres import EmbeddedPostgresError, postgres, wheel_programs
from tests.support.containers import container
from tests.support.servers import SharedServer, Unavailable, from_environment


def postgres_server() -> SharedServer:
    """A Postgres, not started yet; its address is the URL of an administrator."""
    return SharedServer(
        "Postgres",
        [
            lambda: from_environment("SEDNA_SYNC_TEST_DATABASE_URL"),
            lambda: container("postgres"),
            _from_wheel,
            _from_system,
        ],
    )


@contextlib.asynccontextmanager
async def database(server: str, *, template: str = "template1") -> AsyncIterator[str]:
    """Creates a database and gives its URL; drops it at the end, whoever is connected."""
    name = f"test_{uuid.uuid4().hex}"
    await execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield database_url(server, name)
    finally:
        await execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def database_url(server: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def database_name(url: str) -> str:
    """The database that a URL names."""
    return urlsplit(url).path.removeprefix("/")


async def execute(url: str, statement: str) -> None:
    """Runs one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def programs() -> Path:
    """The folder of a Postgres' programs: the wheel's, else the system's."""
    try:
        return _programs_of_wheel()
    except Unavailable:
        return _programs_of_system()


@contextlib.contextmanager
def _from_wheel() -> Iterator[str]:
    with _running(_programs_of_wheel()) as url:
        yield url


@contextlib.contextmanager
def _from_system() -> Iterator[str]:
    with _running(_programs_of_system()) as url:
        yield url


@contextlib.contextmanager
def _running(programs: Path) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(postgres(programs))
        except EmbeddedPostgresError as error:
            raise Unavailable(str(error)) from error
        yield url


def _programs_of_wheel() -> Path:
    try:
        return wheel_programs()
    except EmbeddedPostgresError as error:
        raise Unavailable(str(error)) from error


def _programs_of_system() -> Path:
    # Debian keeps the servers off the path, one folder per major version.
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])
    )
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve())
    for initdb in reversed(found):
        if (initdb.parent / "postgres").exists():
            return initdb.parent
    raise Unavailable("no Postgres server is installed (Debian: apt-get install postgresql)")
