"""Connections to Postgres."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from db.errors import DatabaseError, translated

# Texts, since asyncpg's classes take their type arguments only in its stubs.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

_MALFORMED = "a malformed address"
_SESSION = {
    "application_name": "sedna-sync",
    "timezone": "UTC",
    # Pages are read in the order of an index. Without statistics Postgres would rather collect the
    # whole backlog by a bitmap and sort it, for each page anew.
    "enable_bitmapscan": "off",
    # A process that is paused inside a transaction holds locks, those on its leases among them.
    # Whoever takes over must not wait until it wakes.
    "idle_in_transaction_session_timeout": "10s",
    # A client that is gone without a word is noticed, and what it held is free.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class _Pool(asyncpg.Pool):
    """A pool that distrusts all of its connections once one of them has fallen silent.

    Where the way to the server is cut without a word, each connection would have to time out for
    itself before the pool works again.
    """

    def acquire(self, *, timeout: float | None = None) -> Any:
        return self._watched(super().acquire(timeout=timeout))

    @asynccontextmanager
    async def _watched(
        self, acquiring: AbstractAsyncContextManager["Connection"]
    ) -> AsyncIterator["Connection"]:
        try:
            async with acquiring as connection:
                try:
                    yield connection
                except (TimeoutError, asyncio.CancelledError):
                    await self.expire_connections()
                    raise
        except TimeoutError:
            await self.expire_connections()
            raise


async def open_pool(database_url: str, *, max_size: int = 8, command_timeout: float = 30) -> Pool:
    """A pool that has proven that it can connect.

    Args:
        database_url: `postgresql://…`; never repeated in an error, since it holds a password.
        max_size: connections at the most.
        command_timeout: seconds that one statement may take.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
        DatabaseError: it refuses the user, the password or the database.
    """
    with _connecting(database_url):
        pool: Pool = await _Pool(
            database_url,
            min_size=1,
            max_size=max_size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300,
            loop=None,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            timeout=10,
            command_timeout=command_timeout,
            server_settings=_SESSION,
        )
    return pool


async def connect(database_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection of its own; raises as :func:`open_pool`."""
    with _connecting(database_url):
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            database_url, timeout=10, server_settings=_SESSION
        )
    return connection


async def answers(pool: Pool) -> None:
    """Return once the server has answered a question.

    Raises:
        DatabaseError: it does not.
    """
    with translated():
        await pool.fetchval("SELECT 1")


@contextmanager
def _connecting(database_url: str) -> Iterator[None]:
    """Say in one line which server it was, and nothing that the URL keeps secret."""
    if where(database_url) == _MALFORMED:
        # Not even tried: parts of the password would pass for a host or a port in the error.
        raise DatabaseError(
            "the address of Postgres is malformed: it must be of the form "
            "postgresql://user:password@host:5432/database, with : / ? # @ in the password "
            "percent-encoded"
        )
    try:
        with translated():
            yield
    except DatabaseError as error:
        raise type(error)(f"Postgres at {where(database_url)}: {error}") from error.__cause__
    except ValueError as malformed:
        raise DatabaseError(
            f"Postgres at {where(database_url)}: {type(malformed).__name__}"
        ) from None


def where(database_url: str) -> str:
    """Host, port and database of a URL, without user and password."""
    try:
        parts = urlsplit(database_url)
        host = parts.hostname or "localhost"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _MALFORMED
    # An @ behind the host stands behind a password with an unescaped / # or ?
    misplaced = "@" in parts.path or parts.fragment or ("@" in parts.query and not parts.path)
    if misplaced or parts.scheme not in {"postgresql", "postgres"}:
        return _MALFORMED
    return f"{host}{port}{parts.path}"
