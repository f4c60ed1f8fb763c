"""Brings the database to the tables that this release needs.

Numbered SQL files, each applied once, in order, each in one transaction, under an advisory
lock, so that two processes that start together do not collide. A file that was applied and
changed afterwards is refused: what is in the database would no longer be what the file says.
"""

import hashlib
from dataclasses import dataclass, field
from importlib import resources

from db.errors import DatabaseError, MigrationFailed, SchemaOutdated, translated
from db.pool import Connection, Pool, connect

#: Any number that no other program on the database takes; "sedna" in ASCII.
_ADVISORY_LOCK = 0x7365646E61

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `db/migrations`, named `<version>_<name>.sql`."""

    version: int
    name: str
    sql: str = field(repr=False)

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations of this release, in order."""
    found = []
    for file in resources.files("db").joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            version, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(version), name, file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


async def migrate(database_url: str) -> list[Migration]:
    """Apply what is missing; returns what was applied.

    Raises:
        MigrationFailed: a migration is refused, or one that was applied has another text now.
        DatabaseError: the server cannot be reached or refuses the user.
    """
    connection = await connect(database_url)
    try:
        with translated():
            await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
            await connection.execute(_CREATE_TABLE)
            applied = await _applied(connection)
        missing = _missing(applied, migrations())
        for migration in missing:
            await _apply(connection, migration)
        return missing
    finally:
        # Ends the session, and with it the lock.
        await connection.close()


async def check(pool: Pool) -> None:
    """Raise unless the database has exactly the tables of this release.

    Raises:
        SchemaOutdated: a migration is missing, or the database is ahead of this release.
        MigrationFailed: an applied migration has another text now.
    """
    with translated():
        if await pool.fetchval("SELECT to_regclass('schema_migrations')") is None:
            raise SchemaOutdated("the database has no tables yet: run `sedna-sync migrate`")
        async with pool.acquire() as connection:
            applied = await _applied(connection)
    known = migrations()
    missing = _missing(applied, known)
    if missing:
        raise SchemaOutdated(
            f"the database lacks migration {missing[0].version} ({missing[0].name}): "
            "run `sedna-sync migrate`"
        )
    ahead = max(applied) if applied else 0
    if ahead > known[-1].version:
        raise SchemaOutdated(
            f"the database is at migration {ahead}, this release knows {known[-1].version}: "
            "install the release that migrated it, or a newer one"
        )


def _missing(applied: dict[int, str], known: list[Migration]) -> list[Migration]:
    for migration in known:
        checksum = applied.get(migration.version)
        if checksum is not None and checksum != migration.checksum:
            raise MigrationFailed(
                f"migration {migration.version} ({migration.name}) was applied with another text: "
                "restore the file, and put the change into a new migration"
            )
    return [migration for migration in known if migration.version not in applied]


async def _applied(connection: Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
    return {row["version"]: row["checksum"] for row in rows}


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        with translated():
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
    except DatabaseError as error:
        raise MigrationFailed(
            f"migration {migration.version} ({migration.name}): {error}"
        ) from error
