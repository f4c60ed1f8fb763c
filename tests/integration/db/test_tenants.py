"""Tenants' settings: stored, changed, removed, and every change told to who listens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from db import notices, tenants
from db.errors import DatabaseError, DatabaseUnavailable
from db.pool import Pool
from db.records import HotelMapping, Stream, TenantSettings
from schemas.kinds import Kind
from tests.integration.db.builders import TENANT

SETTINGS = TenantSettings(
    tenant_id=TENANT,
    sedna_api_url="https://sedna.example/SednaAgencyb2bApi",
    sedna_username="agency",
    sedna_password_encrypted=b"\x01\x00\xff",
    sedna_operator_id=571,
    sedna_operator_code="7STAR",
    sedna_authority_id=208,
    is_active=False,
    max_in_flight=4,
    requests_per_second=0.5,
)
MANDARIN = HotelMapping(name_key="mandarin", name="Mandarin", hotel_id=18)


async def stored(pool: Pool, tenant_id: str = TENANT) -> TenantSettings:
    found = await tenants.get(pool, tenant_id)
    assert found is not None
    return found


async def test_settings_come_back_as_they_were_put(pool: Pool) -> None:
    await tenants.put(pool, SETTINGS)
    found = await stored(pool)
    assert found.created_at is not None
    assert found.updated_at is not None
    assert replace(found, created_at=None, updated_at=None) == SETTINGS


async def test_what_is_not_said_has_the_defaults_of_the_design(pool: Pool) -> None:
    await tenants.put(
        pool,
        TenantSettings(
            tenant_id=TENANT,
            sedna_api_url="https://s",
            sedna_username="u",
            sedna_password_encrypted=b"x",
        ),
    )
    found = await stored(pool)
    assert (found.sedna_authority_id, found.is_active) == (207, True)
    assert (found.sedna_operator_id, found.max_in_flight, found.requests_per_second) == (
        None,
        None,
        None,
    )


async def test_putting_again_changes_and_remembers_when(pool: Pool) -> None:
    await tenants.put(pool, SETTINGS)
    before = await stored(pool)
    await tenants.put(pool, replace(SETTINGS, is_active=True, max_in_flight=None))
    after = await stored(pool)
    assert (after.is_active, after.max_in_flight) == (True, None)
    assert after.created_at == before.created_at
    assert before.updated_at is not None
    assert after.updated_at is not None
    assert after.updated_at > before.updated_at


async def test_all_tenants_are_listed_by_their_id(pool: Pool) -> None:
    for tenant_id in ("b", "a", "c"):
        await tenants.put(pool, replace(SETTINGS, tenant_id=tenant_id))
    assert [each.tenant_id for each in await tenants.every(pool)] == ["a", "b", "c"]


async def test_a_tenant_that_nobody_put_has_no_settings(pool: Pool) -> None:
    await tenants.put(pool, SETTINGS)
    assert await tenants.get(pool, "agency-8") is None
    assert await tenants.mappings(pool, "agency-8") == []
    assert await tenants.remove(pool, "agency-8") is False


async def test_removing_a_tenant_takes_its_mappings_along_and_nobody_elses(pool: Pool) -> None:
    for tenant_id in (TENANT, "agency-8"):
        await tenants.put(pool, replace(SETTINGS, tenant_id=tenant_id))
        await tenants.put_mapping(pool, tenant_id, MANDARIN)
    assert await tenants.remove(pool, TENANT) is True
    assert await tenants.get(pool, TENANT) is None
    assert await tenants.mappings(pool, TENANT) == []
    assert await tenants.mappings(pool, "agency-8") == [MANDARIN]


async def test_a_password_is_replaced_only_where_nobody_changed_it_meanwhile(pool: Pool) -> None:
    await tenants.put(pool, SETTINGS)
    old = SETTINGS.sedna_password_encrypted
    await tenants.put(pool, replace(SETTINGS, tenant_id="other"))
    wrong = [(TENANT, b"another", b"new"), ("agency-8", old, b"new")]
    assert await tenants.replace_passwords(pool, wrong) == set()
    assert (await stored(pool)).sedna_password_encrypted == old
    right = [(TENANT, old, b"new"), ("other", b"another", b"new")]
    assert await tenants.replace_passwords(pool, right) == {TENANT}
    assert (await stored(pool)).sedna_password_encrypted == b"new"
    assert (await stored(pool, "other")).sedna_password_encrypted == old
    assert await tenants.replace_passwords(pool, []) == set()


async def test_all_passwords_are_read_in_pages(pool: Pool) -> None:
    names = [f"t{number}" for number in range(5)]
    for name in names:
        await tenants.put(pool, replace(SETTINGS, tenant_id=name))
    assert await tenants.count(pool) == 5
    pages, after = [], ""
    while page := await tenants.passwords(pool, after=after, limit=2):
        pages.append(page)
        after = page[-1][0]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [name for page in pages for name, _ in page] == names
    assert {blob for page in pages for _, blob in page} == {SETTINGS.sedna_password_encrypted}


async def test_a_mapping_is_put_replaced_and_removed_and_each_says_what_was_there(
    pool: Pool,
) -> None:
    await tenants.put(pool, SETTINGS)
    assert await tenants.put_mapping(pool, TENANT, MANDARIN) is None
    (first,) = await tenants.mappings_page(pool, TENANT, after="", limit=10)
    assert first.created_at is not None
    assert replace(first, created_at=None) == MANDARIN
    assert await tenants.mappings(pool, TENANT) == [MANDARIN]

    other = replace(MANDARIN, name="MANDARIN!", hotel_id=28)
    assert await tenants.put_mapping(pool, TENANT, other) == first
    (second,) = await tenants.mappings_page(pool, TENANT, after="", limit=10)
    assert replace(second, created_at=None) == other
    assert second.created_at is not None
    assert second.created_at > first.created_at

    assert await tenants.remove_mapping(pool, TENANT, "mandarin") == second
    assert await tenants.remove_mapping(pool, TENANT, "mandarin") is None
    assert await tenants.mappings(pool, TENANT) == []


async def test_mappings_are_read_in_pages(pool: Pool) -> None:
    await tenants.put(pool, SETTINGS)
    for key in "cab":
        await tenants.put_mapping(pool, TENANT, replace(MANDARIN, name_key=key))
    pages = [
        [each.name_key for each in await tenants.mappings_page(pool, TENANT, after=after, limit=2)]
        for after in ("", "b", "c")
    ]
    assert pages == [["a", "b"], ["c"], []]


async def test_a_tenant_without_settings_can_have_no_mapping(pool: Pool) -> None:
    with pytest.raises(DatabaseError):
        await tenants.put_mapping(pool, TENANT, MANDARIN)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SETTINGS, tenant_id="no tenant!"),
        replace(SETTINGS, tenant_id="t" * 65),
        replace(SETTINGS, tenant_id="a\n"),
        replace(SETTINGS, max_in_flight=0),
        replace(SETTINGS, requests_per_second=0.0),
    ],
    ids=["spaces", "too long", "newline", "nothing in flight", "no rate"],
)
async def test_settings_that_nobody_could_work_with_are_refused(
    pool: Pool, wrong: TenantSettings
) -> None:
    with pytest.raises(DatabaseError):
        await tenants.put(pool, wrong)
    assert await tenants.every(pool) == []


def test_settings_do_not_show_the_ciphertext() -> None:
    assert "password" not in repr(SETTINGS)


# -- word of changes ----------------------------------------------------------------------------


class Listener:
    def __init__(self) -> None:
        self.changed: asyncio.Queue[str] = asyncio.Queue()
        self.work: asyncio.Queue[str] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


@contextlib.asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listener]:
    listener = Listener()
    listener.task = asyncio.create_task(
        notices.listen(
            url,
            on_notice={
                notices.Channel.TENANT_CHANGED: listener.changed.put_nowait,
                notices.Channel.WORK: listener.work.put_nowait,
            },
            on_connected=listener.connected.set,
        )
    )
    try:
        await listener.connected.wait()
        yield listener
    finally:
        listener.task.cancel()
        await asyncio.gather(listener.task, return_exceptions=True)


async def test_every_change_of_settings_is_reported_with_the_tenant_that_it_is_about(
    url: str, pool: Pool
) -> None:
    async with listening(url) as listener:
        await tenants.put(pool, SETTINGS)
        assert await listener.changed.get() == TENANT
        await tenants.put(pool, replace(SETTINGS, tenant_id="agency-8"))
        assert await listener.changed.get() == "agency-8"
        await tenants.put(pool, replace(SETTINGS, is_active=True))
        assert await listener.changed.get() == TENANT
        await tenants.replace_passwords(pool, [(TENANT, SETTINGS.sedna_password_encrypted, b"new")])
        assert await listener.changed.get() == TENANT
        await tenants.remove(pool, TENANT)
        assert await listener.changed.get() == TENANT


async def test_every_change_of_a_mapping_is_reported(url: str, pool: Pool) -> None:
    await tenants.put(pool, SETTINGS)
    async with listening(url) as listener:
        await tenants.put_mapping(pool, TENANT, MANDARIN)
        assert await listener.changed.get() == TENANT
        await tenants.put_mapping(pool, TENANT, replace(MANDARIN, hotel_id=28))
        assert await listener.changed.get() == TENANT
        await tenants.remove_mapping(pool, TENANT, "mandarin")
        assert await listener.changed.get() == TENANT


async def test_work_is_told_apart_from_changes_and_names_its_stream(url: str, pool: Pool) -> None:
    stream = Stream(Kind.STOP_SALE, 3, TENANT)
    async with listening(url) as listener:
        await pool.execute("SELECT pg_notify('sedna_sync_work', $1)", notices.payload_of(stream))
        assert notices.stream_of(await listener.work.get()) == stream
        assert listener.changed.empty()


@pytest.mark.parametrize("payload", ["", "x", "stop_sale", "stop_sale:x:a", "room:1:a"])
def test_a_notice_that_names_no_stream_is_none(payload: str) -> None:
    assert notices.stream_of(payload) is None


async def test_what_is_rolled_back_is_not_reported(url: str, pool: Pool) -> None:
    async with listening(url) as listener:
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(
                "INSERT INTO tenant_settings (tenant_id, sedna_api_url, sedna_username,"
                " sedna_password_encrypted) VALUES ('undone', '', '', '')"
            )
            await transaction.rollback()
        await tenants.put(pool, SETTINGS)
        assert await listener.changed.get() == TENANT


async def test_a_listener_whose_connection_is_ended_says_so(
    url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_PING_SECONDS", 0.02)
    async with listening(url) as listener:
        ended = await pool.fetchval(
            "SELECT bool_and(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = 'SELECT 1'"
        )
        assert ended is True
        assert listener.task is not None
        with pytest.raises(DatabaseUnavailable):
            await listener.task


async def test_a_listener_that_is_stopped_leaves_no_connection_behind(url: str, pool: Pool) -> None:
    before = await pool.fetchval("SELECT pg_backend_pid()")
    async with listening(url):
        pass
    left = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'LISTEN%' AND pid <> $1"
    )
    while await pool.fetchval(left, before) > 0:
        await asyncio.sleep(0.01)


async def test_a_listener_that_cannot_connect_says_so_at_once() -> None:
    with pytest.raises(DatabaseUnavailable):
        await notices.listen(
            "postgresql://u:hunter2@127.0.0.1:1/db",
            on_notice={notices.Channel.TENANT_CHANGED: lambda _: None},
            on_connected=lambda: None,
        )
