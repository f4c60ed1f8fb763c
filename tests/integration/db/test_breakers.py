"""Open breakers are seen by others, and are gone with their tenant."""

from datetime import UTC, datetime, timedelta

from db import breakers, tenants
from db.pool import Pool
from db.records import TenantSettings

LATER = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def add_tenant(pool: Pool, tenant_id: str) -> None:
    await tenants.put(
        pool,
        TenantSettings(
            tenant_id=tenant_id,
            sedna_api_url="http://sedna.example/",
            sedna_username="u",
            sedna_password_encrypted=b"sealed",
        ),
    )


async def opened(pool: Pool, tenant_id: str, *, failures: int = 5) -> None:
    await breakers.put_open(
        pool,
        tenant_id,
        reason="failures",
        last_error="connection refused",
        failures=failures,
        open_until=LATER + timedelta(seconds=failures),
    )


async def test_a_breaker_that_stays_open_keeps_the_time_when_it_opened(pool: Pool) -> None:
    await add_tenant(pool, "a")
    await opened(pool, "a")
    first = await breakers.get(pool, "a")
    await opened(pool, "a", failures=6)
    second = await breakers.get(pool, "a")
    assert first is not None
    assert second is not None
    assert (first.opened_at, first.failures) == (second.opened_at, 5)
    assert (second.failures, second.open_until) == (6, LATER + timedelta(seconds=6))


async def test_a_breaker_that_closes_is_forgotten_and_no_other(pool: Pool) -> None:
    for tenant in ("a", "b"):
        await add_tenant(pool, tenant)
        await opened(pool, tenant)
    await breakers.put_closed(pool, "a")
    assert await breakers.get(pool, "a") is None
    assert [each.tenant_id for each in await breakers.every(pool)] == ["b"]


async def test_the_breaker_of_a_removed_tenant_is_gone_and_does_not_come_back(pool: Pool) -> None:
    await add_tenant(pool, "a")
    await opened(pool, "a")
    await tenants.remove(pool, "a")
    await opened(pool, "a")
    assert await breakers.every(pool) == []
