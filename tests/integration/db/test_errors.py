"""The driver's errors: what passes is told from what does not, and no error shows a secret."""

import asyncio
import contextlib
import re
import socket
import traceback
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from db import outbox, settlement, tenants, work
from db.errors import DatabaseError, DatabaseUnavailable, translated
from db.migrate import check, migrate
from db.pool import Pool, connect, open_pool, where
from db.records import Registered
from tests.integration.db.builders import (
    NOW,
    insert,
    inserted,
    mark_of,
    reservation,
    settlement_of,
)

SECRET = "hunter2"


def told(error: BaseException) -> str:
    """All that a log would show of an error, except this file's own lines."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        if chain[-1].__suppress_context__ and chain[-1].__cause__ is None:
            break
        chain.append(cause)
    return "".join("".join(traceback.format_exception_only(each)) for each in chain)


async def refused(url: str) -> DatabaseError:
    """The error of both ways to connect is the same, one line long and free of the secret."""
    errors = []
    for way in (open_pool, connect):
        with pytest.raises(DatabaseError) as caught:
            await way(url)
        assert SECRET not in told(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    assert type(errors[0]) is type(errors[1])
    return errors[0]


def with_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{password}@{server}").geturl()


async def test_a_server_that_is_not_there_is_unavailable_and_is_named() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        error = await refused(f"postgresql://sync:{SECRET}@127.0.0.1:{port}/sedna")
    assert isinstance(error, DatabaseUnavailable)
    assert f"127.0.0.1:{port}/sedna" in str(error)


async def test_a_host_without_an_address_is_unavailable() -> None:
    error = await refused(f"postgresql://sync:{SECRET}@nowhere.invalid/sedna")
    assert isinstance(error, DatabaseUnavailable)


async def test_a_wrong_password_is_refused_for_good_and_not_repeated(url: str) -> None:
    wrong = with_user(url, urlsplit(url).username or "postgres", SECRET)
    with contextlib.suppress(DatabaseError):
        await (await connect(wrong)).close()
        pytest.skip("this server asks for no password")
    error = await refused(wrong)
    assert not isinstance(error, DatabaseUnavailable)
    assert "password authentication failed" in str(error)


async def test_a_user_that_the_server_does_not_know_is_refused_for_good(url: str) -> None:
    error = await refused(with_user(url, "nobody-of-that-name", SECRET))
    assert not isinstance(error, DatabaseUnavailable)


async def test_a_database_that_does_not_exist_is_refused_for_good(url: str) -> None:
    error = await refused(urlsplit(url)._replace(path="/nothing-of-that-name").geturl())
    assert not isinstance(error, DatabaseUnavailable)
    assert "nothing-of-that-name" in str(error)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        SECRET,
        f"sync:{SECRET}@db/sedna",
        f"mysql://sync:{SECRET}@db/sedna",
        f"postgresql://sync:12/{SECRET}@db/sedna",
        f"postgresql://sync:12#{SECRET}@db/sedna",
        f"postgresql://sync:12?{SECRET}@db/sedna",
        f"postgresql://sync:{SECRET}@db:port/sedna",
        f"postgresql://sync:{SECRET}@db:99999/sedna",
        f"postgresql://sync:{SECRET}@[::1/sedna",
        f"postgresql://sync:{SECRET}@db/sedna?sslmode={SECRET}",
    ],
)
async def test_an_address_that_is_none_is_refused_for_good(malformed: str) -> None:
    error = await refused(malformed)
    assert not isinstance(error, DatabaseUnavailable)
    assert "12" not in re.sub(r"5432|\[Errno \d+\]", "", str(error))


@pytest.mark.parametrize(
    "url, place",
    [
        (f"postgresql://sync:{SECRET}@db:5433/sedna?application_name={SECRET}", "db:5433/sedna"),
        (f"postgres://sync:{SECRET}@db/sedna", "db/sedna"),
        (f"postgresql://sync:p%40{SECRET}@db/sedna", "db/sedna"),
        (f"postgresql://sync:p@{SECRET}@db/sedna", "db/sedna"),
        ("postgresql:///sedna?host=/run/postgresql", "localhost/sedna"),
    ],
)
def test_a_server_is_named_by_host_port_and_database_alone(url: str, place: str) -> None:
    assert where(url) == place


async def test_a_server_that_ends_our_session_is_unavailable_and_the_pool_recovers(
    pool: Pool,
) -> None:
    async def ended() -> None:
        with translated():
            async with pool.acquire() as connection, connection.transaction():
                pid = await connection.fetchval("SELECT pg_backend_pid()")
                await pool.execute("SELECT pg_terminate_backend($1, 1000)", pid)
                await connection.fetchval("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await ended()
    assert await outbox.partitions(pool) == []


async def test_a_statement_that_takes_too_long_is_unavailable(url: str) -> None:
    pool = await open_pool(url, max_size=1, command_timeout=0.05)
    try:
        with pytest.raises(DatabaseUnavailable), translated():
            await pool.execute("SELECT pg_sleep(60)")
    finally:
        pool.terminate()


async def test_a_pool_that_is_closed_is_unavailable(url: str) -> None:
    pool = await open_pool(url, max_size=1)
    await pool.close()
    with pytest.raises(DatabaseUnavailable):
        await outbox.partitions(pool)


async def test_a_deadlock_passes(pool: Pool) -> None:
    first, second = await inserted(pool, reservation("V1"), reservation("V2"))
    update = "UPDATE syncs SET updated_at = now() WHERE id = $1"
    both_hold_one = asyncio.Barrier(2)

    async def cross(one: int, other: int) -> None:
        with translated():
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL deadlock_timeout = '10ms'")
                await connection.execute(update, one)
                await both_hold_one.wait()
                await connection.execute(update, other)

    outcomes = await asyncio.gather(
        cross(first.id, second.id), cross(second.id, first.id), return_exceptions=True
    )
    assert sorted(map(type, outcomes), key=repr) == sorted(
        [type(None), DatabaseUnavailable], key=repr
    )


@pytest.mark.parametrize(
    "passing",
    [
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.CannotConnectNowError,
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.TooManyConnectionsError,
        asyncpg.OutOfMemoryError,
        asyncpg.DiskFullError,
        asyncpg.SerializationError,
        asyncpg.DeadlockDetectedError,
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.LockNotAvailableError,
        asyncpg.QueryCanceledError,
        ConnectionResetError,
        TimeoutError,
    ],
)
def test_what_a_failover_or_a_full_server_raises_passes(passing: type[Exception]) -> None:
    with pytest.raises(DatabaseUnavailable), translated():
        raise passing("first line\nsecond line")


@pytest.mark.parametrize(
    "lasting",
    [
        asyncpg.UniqueViolationError,
        asyncpg.CheckViolationError,
        asyncpg.UndefinedTableError,
        asyncpg.InvalidPasswordError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.exceptions.DataError,
    ],
)
def test_what_trying_again_does_not_mend_does_not_pass(lasting: type[Exception]) -> None:
    with pytest.raises(DatabaseError) as caught, translated():
        raise lasting("first line\nsecond line")
    assert not isinstance(caught.value, DatabaseUnavailable)
    assert str(caught.value) == f"{lasting.__name__}: first line"


def test_what_is_no_error_of_the_database_is_left_alone() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("not ours")


async def test_a_value_that_fits_no_column_does_not_pass(pool: Pool) -> None:
    for wrong in (
        reservation(email_id=2**63),
        reservation(voucher_no="\x00"),
        reservation(event_id="\ud800"),
        reservation(payload="no JSON"),
    ):
        with pytest.raises(DatabaseError) as caught:
            await insert(pool, wrong)
        assert not isinstance(caught.value, DatabaseUnavailable)


async def test_a_refused_row_is_not_quoted_in_the_error(pool: Pool) -> None:
    (place,) = await inserted(pool, reservation())
    wrong = settlement_of(place, state="no such state", error_message=SECRET)
    with pytest.raises(DatabaseError) as caught:
        await settlement.settle(pool, [wrong])
    assert SECRET not in str(caught.value)


async def test_every_area_says_unavailable_when_the_connections_are_gone(url: str) -> None:
    pool = await open_pool(url, max_size=1)
    pool.terminate()
    place = Registered(id=1, seq=1, generation=1, registered_at=NOW)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: insert(pool, reservation()),
        lambda: settlement.settle(pool, [settlement_of(place)]),
        lambda: work.streams(pool),
        lambda: work.mark(pool, [mark_of(place)], []),
        lambda: outbox.delete(pool, [1]),
        lambda: tenants.get(pool, "agency-7"),
        lambda: check(pool),
    ]
    for call in calls:
        with pytest.raises(DatabaseUnavailable):
            await call()


async def test_migrating_a_server_that_is_gone_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate(f"postgresql://u:{SECRET}@127.0.0.1:1/db")
