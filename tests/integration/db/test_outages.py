"""What Postgres says while it stops, starts and recovers passes; nothing of it is a mistake."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from db.errors import DatabaseUnavailable, translated
from db.pool import Pool, open_pool
from tests.support.outage import PrivatePostgres
from tests.support.proxy import running_proxy


class Customers:
    """Ask without a pause, in every way that the service does; what they are told is kept."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.unavailable = 0
        self.answers = 0
        self.others: list[str] = []
        self._url = url
        self._ways = [self._statement, self._transaction, self._connect]
        self._pool = pool
        self._done = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for way in self._ways * 6:
                tasks.create_task(self._ask(way))

    def stop(self) -> None:
        self._done = True

    async def until_answered(self) -> None:
        """Wait until more than one connection's worth of questions was answered."""
        before = self.answers
        while self.answers < before + 40:
            await asyncio.sleep(0.01)

    async def until_refused(self) -> None:
        before = self.unavailable
        while self.unavailable < before + 100:
            await asyncio.sleep(0.01)

    async def _ask(self, way: object) -> None:
        assert callable(way)
        while not self._done:
            try:
                await way()
                self.answers += 1
            except DatabaseUnavailable:
                self.unavailable += 1
                await asyncio.sleep(0.005)
            except Exception as error:  # noqa: BLE001  # that there is none is what is tested
                self.others.append(repr(error))
                await asyncio.sleep(0.005)

    async def _statement(self) -> None:
        with translated():
            await self._pool.execute("SELECT pg_sleep(0.01)")

    async def _transaction(self) -> None:
        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_sleep(0.005)")
                await connection.execute("SELECT pg_sleep(0.005)")

    async def _connect(self) -> None:
        await (await open_pool(self._url, max_size=1)).close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_stops_and_comes_back_is_unavailable_and_nothing_else(
    outage_postgres: PrivatePostgres, mode: Literal["fast", "immediate"]
) -> None:
    pool = await open_pool(outage_postgres.url, max_size=8)
    customers = Customers(outage_postgres.url, pool)
    asking = asyncio.create_task(customers.run())
    for _ in range(2):
        await customers.until_answered()
        await outage_postgres.stop(mode)
        await customers.until_refused()
        await outage_postgres.start()
    await customers.until_answered()
    customers.stop()
    await asking
    pool.terminate()
    assert customers.others == []


async def test_sessions_that_an_administrator_ends_are_unavailable_and_the_pool_recovers(
    outage_postgres: PrivatePostgres,
) -> None:
    pool = await open_pool(outage_postgres.url, max_size=8)
    customers = Customers(outage_postgres.url, pool)
    asking = asyncio.create_task(customers.run())
    administrator = await asyncpg.connect(outage_postgres.url)
    for _ in range(10):
        await customers.until_answered()
        await administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'sedna-sync'"
        )
    await customers.until_answered()
    customers.stop()
    await asking
    await administrator.close()
    pool.terminate()
    assert customers.unavailable
    assert customers.others == []


async def _in_a_statement(pool: Pool) -> None:
    with translated():
        await pool.execute("SELECT 1")


async def _in_a_transaction(pool: Pool) -> None:
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT 1")


@pytest.mark.parametrize("ask", [_in_a_statement, _in_a_transaction])
async def test_a_server_that_falls_silent_is_unavailable_until_it_is_heard_again(
    postgres_server: str, ask: Callable[[Pool], Awaitable[None]]
) -> None:
    parts = urlsplit(postgres_server)
    async with running_proxy() as proxy:
        proxy.target = (parts.hostname or "localhost", parts.port or 5432)
        netloc = f"{parts.netloc.rpartition('@')[0]}@{proxy.address}"
        url = urlunsplit(parts._replace(netloc=netloc))
        pool = await open_pool(url, max_size=8, command_timeout=0.5)
        try:
            await asyncio.gather(*(pool.execute("SELECT pg_sleep(0.2)") for _ in range(8)))
            proxy.black_hole()
            with pytest.raises(DatabaseUnavailable):
                await ask(pool)
            proxy.open_hole()
            # Whatever is silent still, nobody is given it again.
            await ask(pool)
        finally:
            pool.terminate()


async def test_who_sleeps_inside_a_transaction_loses_its_locks_and_hears_of_it(
    postgres_server: str,
) -> None:
    pool = await open_pool(postgres_server, max_size=1)
    try:
        assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
        with pytest.raises(DatabaseUnavailable):
            await _sleep_in_a_transaction(pool, postgres_server)
        with translated():
            assert await pool.fetchval("SELECT 1") == 1
    finally:
        pool.terminate()


async def _sleep_in_a_transaction(pool: Pool, url: str) -> None:
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            sleeper = await connection.fetchval("SELECT pg_backend_pid()")
            async with asyncio.timeout(10):
                while await _is_there(url, sleeper):
                    await asyncio.sleep(0.05)
            await connection.execute("SELECT 1")


async def _is_there(url: str, process_id: int) -> bool:
    administrator = await asyncpg.connect(url)
    try:
        return bool(
            await administrator.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", process_id
            )
        )
    finally:
        await administrator.close()
