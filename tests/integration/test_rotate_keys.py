"""`tenant rotate-keys` on a real Postgres: all passwords, whatever happens meanwhile."""

import asyncio
import base64
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from consumer.credentials import Keyring
from consumer.rotation import rotate
from db import tenants
from db.pool import Pool, open_pool

OLD, NEW = (f"{name}:{base64.b64encode(os.urandom(32)).decode()}" for name in ("old", "new"))
BOTH = Keyring.parse(f"{NEW},{OLD}")
MANY = 10_000
#: The tenant at which a run is held up: in the middle of the middle page.
MIDDLE = "tenant-05250"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, max_size=3)
    yield opened
    await opened.close()


def password(tenant_id: str) -> str:
    return f"pässwörd of {tenant_id}"


async def add(pool: Pool, *tenant_ids: str, keys: str = OLD) -> None:
    """Tenants whose passwords are encrypted with the first of these keys."""
    keyring = Keyring.parse(keys)
    async with pool.acquire() as connection:
        await connection.copy_records_to_table(
            "tenant_settings",
            columns=["tenant_id", "sedna_api_url", "sedna_username", "sedna_password_encrypted"],
            records=[
                (each, "http://s", "u", keyring.encrypt(password(each), tenant_id=each))
                for each in tenant_ids
            ],
        )


async def secrets(pool: Pool) -> dict[str, bytes]:
    return dict(await tenants.passwords(pool, after="", limit=MANY + 1))


async def under_new_key(pool: Pool) -> int:
    return sum(
        BOTH.key_of(blob, tenant_id=tenant_id) == "new"
        for tenant_id, blob in (await secrets(pool)).items()
    )


async def begin(
    database_url: str, *arguments: str, stderr: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "sedna-sync"),
        "tenant",
        "rotate-keys",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env=os.environ
        | {
            "SEDNA_SYNC_DATABASE_URL": database_url,
            "SEDNA_SYNC_ENCRYPTION_KEYS": f"{NEW},{OLD}",
            "TERM": "xterm",
        },
    )


async def test_10_000_tenants_rotate_though_the_first_run_is_killed_in_the_middle(
    database_url: str, pool: Pool
) -> None:
    names = [f"tenant-{number:05}" for number in range(MANY)]
    await add(pool, *names)
    async with pool.acquire() as connection:
        # Whoever holds this row holds up the run that comes to it.
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "SELECT FROM tenant_settings WHERE tenant_id = $1 FOR UPDATE", MIDDLE
        )
        killed = await begin(database_url)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(60):
            while not await pool.fetchval(waiting):
                await asyncio.sleep(0.01)
        done = await under_new_key(pool)
        killed.kill()
        await killed.communicate()
        await transaction.rollback()
    assert 0 < done < MANY

    again = await begin(database_url, "--json")
    out, error = await again.communicate()
    assert (again.returncode, error) == (0, b"")
    said = json.loads(out)
    assert (said["tenants"], said["unopened"]) == (MANY, {})
    # The killed run's last page may have been written after all.
    assert MANY - done - 500 <= said["changed"] <= MANY - done

    new_alone = Keyring.parse(NEW)
    opened = {
        tenant_id: new_alone.decrypt(blob, tenant_id=tenant_id)
        for tenant_id, blob in (await secrets(pool)).items()
    }
    assert opened == {name: password(name) for name in names}


async def test_a_password_that_is_set_meanwhile_is_kept_and_rotated_too(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(pool, "a", "b")
    other = Keyring.parse(OLD).encrypt("set meanwhile", tenant_id="b")
    real = tenants.replace_passwords
    calls = 0

    async def late(pool: Pool, changes: list[tuple[str, bytes, bytes]]) -> set[str]:
        nonlocal calls
        calls += 1
        if calls == 1:
            (_, was, _) = next(each for each in changes if each[0] == "b")
            assert await real(pool, [("b", was, other)]) == {"b"}
            await add(pool, "0-behind-it")
        return await real(pool, changes)

    monkeypatch.setattr(tenants, "replace_passwords", late)
    looked_at: list[int] = []
    done = await rotate(pool, BOTH, on_progress=looked_at.append)

    assert (done.tenants, done.changed, dict(done.unopened)) == (3, 3, {})
    assert sum(looked_at) == 2
    new_alone = Keyring.parse(NEW)
    found = await secrets(pool)
    assert {name: new_alone.decrypt(blob, tenant_id=name) for name, blob in found.items()} == {
        "0-behind-it": password("0-behind-it"),
        "a": password("a"),
        "b": "set meanwhile",
    }


async def test_one_that_does_not_open_is_named_and_holds_up_no_other(
    database_url: str, pool: Pool
) -> None:
    await add(pool, "a", "c")
    lost = f"lost:{base64.b64encode(os.urandom(32)).decode()}"
    await add(pool, "b", keys=lost)
    before = (await secrets(pool))["b"]
    for arguments, changed in (((), 2), (("--json",), 0)):
        run = await begin(database_url, *arguments)
        out, error = await run.communicate()
        assert run.returncode == 1
        if arguments:
            said = json.loads(out)
            assert (said["changed"], said["tenants"], list(said["unopened"])) == (changed, 3, ["b"])
            assert error == b""
        else:
            assert out.decode() == "2 of 3 passwords encrypted anew with key new\n"
            assert "tenant b was encrypted with key lost" in error.decode()
        assert b"p\xc3\xa4ssw" not in out + error
    assert await under_new_key(pool) == 2
    assert (await secrets(pool))["b"] == before


async def test_a_terminal_is_shown_how_far_it_has_come(database_url: str, pool: Pool) -> None:
    await add(pool, *(f"t{number}" for number in range(7)))
    ours, theirs = pty.openpty()
    try:
        run = await begin(database_url, stderr=theirs)
        out, _ = await run.communicate()
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert (run.returncode, out.decode()) == (
        0,
        "7 of 7 passwords encrypted anew with key new\n",
    )
    assert "7/7" in shown


async def test_a_run_that_postgres_ends_says_so_and_the_next_one_does_the_rest(
    database_url: str, pool: Pool
) -> None:
    await add(pool, "a")
    connection = await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM tenant_settings FOR UPDATE")
        run = await begin(database_url)
        ended = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(60):
            while not await pool.fetchval(ended):
                await asyncio.sleep(0.01)
        out, error = await run.communicate()
        assert (run.returncode, out) == (1, b"")
        assert len(error.splitlines()) == 1
        await transaction.rollback()
    finally:
        await connection.close()
    assert (await rotate(pool, BOTH, on_progress=lambda _: None)).changed == 1
