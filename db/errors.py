"""What can go wrong with Postgres, translated once, here, from the driver's errors.

The type says what to do next: an `Unavailable` passes, so keep what you have and try
again; any other `DatabaseError` is a mistake in the program or the database's set-up.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg


class DatabaseError(Exception):
    """Postgres refused a statement; trying it again would not help."""


class DatabaseUnavailable(DatabaseError):
    """Postgres cannot be reached or could not finish; try again later."""


class SchemaOutdated(DatabaseError):
    """The database's tables are not those that this release needs."""


class MigrationFailed(DatabaseError):
    """A migration could not be applied, or an applied one was changed afterwards."""


# Besides lost connections: what a failover, a restart or two crossing transactions leave behind.
_PASSING = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # What a connection says that the server has closed in the middle of an exchange.
    asyncpg.InternalClientError,
    asyncpg.TransactionRollbackError,
    # A process that was paused inside a transaction, and has woken up.
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.exceptions.LockNotAvailableError,
    OSError,
    TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors inside the block into those of this module.

    Messages carry the server's first line only: the detail can quote a row's values.
    """
    try:
        yield
    except _PASSING as error:
        raise DatabaseUnavailable(_first_line(error)) from error
    except asyncpg.PostgresError as error:
        raise DatabaseError(_first_line(error)) from error
    except asyncpg.InterfaceError as error:
        # A ValueError says that an argument does not fit its column; all others, that
        # the connection or the pool is closed.
        if isinstance(error, ValueError):
            raise DatabaseError(_first_line(error)) from error
        raise DatabaseUnavailable(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
