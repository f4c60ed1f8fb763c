"""Migrations: each once, in order, whole or not at all, and never changed afterwards."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from db import migrate as module
from db.errors import MigrationFailed, SchemaOutdated
from db.migrate import Migration, check, migrate, migrations
from db.pool import Pool, open_pool
from tests.support.postgres import database

NEXT = Migration(version=9001, name="next", sql="CREATE TABLE next_one (id integer)")
BROKEN = replace(NEXT, sql="CREATE TABLE half (id integer); SELECT 1 / 0; CREATE TABLE whole ()")


@pytest.fixture
async def empty_url(postgres_server: str) -> AsyncIterator[str]:
    async with database(postgres_server) as made:
        yield made


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(empty_url, max_size=1)
    yield opened
    opened.terminate()


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> list[Migration]:
    """The migrations of this release; a test may change the list."""
    known = migrations()
    monkeypatch.setattr(module, "migrations", lambda: list(known))
    return known


async def tables(pool: Pool) -> set[str]:
    rows = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


def test_the_migrations_are_numbered_from_one_without_a_gap() -> None:
    known = migrations()
    assert [each.version for each in known] == list(range(1, len(known) + 1))
    assert all(each.sql.strip() and each.name for each in known)


async def test_an_empty_database_gets_every_table_of_the_design(
    empty_url: str, empty: Pool
) -> None:
    applied = await migrate(empty_url)
    assert applied == migrations()
    assert await tables(empty) >= {
        "tenant_settings",
        "hotel_mappings",
        "syncs",
        "sync_attempts",
        "outbox",
        "rejections",
        "partition_leases",
    }
    await check(empty)


async def test_what_is_applied_is_written_down_in_order(empty_url: str, empty: Pool) -> None:
    await migrate(empty_url)
    rows = await empty.fetch("SELECT * FROM schema_migrations ORDER BY applied_at, version")
    assert [(row["version"], row["name"], row["checksum"]) for row in rows] == [
        (each.version, each.name, each.checksum) for each in migrations()
    ]


async def test_a_second_time_nothing_is_applied(empty_url: str, empty: Pool) -> None:
    await migrate(empty_url)
    before = await empty.fetch("SELECT * FROM schema_migrations")
    assert await migrate(empty_url) == []
    assert await empty.fetch("SELECT * FROM schema_migrations") == before


async def test_processes_that_start_together_apply_each_migration_once(empty_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], migrations()]


async def test_only_what_is_missing_is_applied(
    empty_url: str, empty: Pool, release: list[Migration]
) -> None:
    await migrate(empty_url)
    release.append(NEXT)
    assert await migrate(empty_url) == [NEXT]
    assert "next_one" in await tables(empty)
    await check(empty)


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused(
    empty_url: str, empty: Pool, release: list[Migration]
) -> None:
    await migrate(empty_url)
    release[0] = replace(release[0], sql=release[0].sql + "\n-- changed")
    release.append(NEXT)
    for refusal in (migrate(empty_url), check(empty)):
        with pytest.raises(MigrationFailed, match=r"migration 1 \(initial\) .* new migration"):
            await refusal
    assert "next_one" not in await tables(empty)


async def test_a_migration_that_fails_leaves_nothing_behind_and_can_be_mended(
    empty_url: str, empty: Pool, release: list[Migration]
) -> None:
    release.append(BROKEN)
    with pytest.raises(MigrationFailed, match=r"migration 9001 \(next\): DivisionByZeroError"):
        await migrate(empty_url)
    found = await tables(empty)
    assert "syncs" in found
    assert not found & {"half", "whole"}
    assert await empty.fetchval("SELECT max(version) FROM schema_migrations") < 9001
    # Neither the lock nor the version is left taken.
    release[-1] = NEXT
    assert await migrate(empty_url) == [NEXT]


async def test_a_database_without_tables_is_told_to_be_migrated(empty: Pool) -> None:
    with pytest.raises(SchemaOutdated, match="sedna-sync migrate"):
        await check(empty)


async def test_a_database_that_lacks_a_migration_is_told_to_be_migrated(
    empty_url: str, empty: Pool, release: list[Migration]
) -> None:
    await migrate(empty_url)
    release.append(NEXT)
    with pytest.raises(SchemaOutdated, match=r"lacks migration 9001 \(next\).*sedna-sync migrate"):
        await check(empty)


async def test_a_database_that_a_later_release_migrated_is_refused(
    empty_url: str, empty: Pool, release: list[Migration]
) -> None:
    release.append(NEXT)
    await migrate(empty_url)
    release.pop()
    with pytest.raises(SchemaOutdated, match="at migration 9001"):
        await check(empty)
