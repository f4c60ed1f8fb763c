"""Tenants' settings and hotel mappings; their changes are told by :mod:`db.notices`."""

from db import sql
from db.errors import translated
from db.pool import Pool
from db.records import HotelMapping, TenantSettings

_QUERIES = sql.load("tenants")


async def get(pool: Pool, tenant_id: str) -> TenantSettings | None:
    """One tenant's settings; None if it has none."""
    with translated():
        row = await pool.fetchrow(_QUERIES["get"], tenant_id)
    return None if row is None else TenantSettings(**dict(row))


async def every(pool: Pool) -> list[TenantSettings]:
    """All tenants' settings, by tenant id."""
    with translated():
        rows = await pool.fetch(_QUERIES["all"])
    return [TenantSettings(**dict(row)) for row in rows]


async def put(pool: Pool, settings: TenantSettings) -> None:
    """Store a tenant's settings, new or changed."""
    with translated():
        await pool.execute(
            _QUERIES["put"],
            settings.tenant_id,
            settings.sedna_api_url,
            settings.sedna_username,
            settings.sedna_password_encrypted,
            settings.sedna_operator_id,
            settings.sedna_operator_code,
            settings.sedna_authority_id,
            settings.is_active,
            settings.max_in_flight,
            settings.requests_per_second,
        )


async def replace_password(pool: Pool, tenant_id: str, *, old: bytes, new: bytes) -> bool:
    """Put another ciphertext in place of `old`; False if it is no longer the one stored."""
    with translated():
        return await pool.fetchval(_QUERIES["replace_password"], tenant_id, old, new) is not None


async def remove(pool: Pool, tenant_id: str) -> bool:
    """Forget a tenant's settings and mappings; False if it had none."""
    with translated():
        return await pool.fetchval(_QUERIES["remove"], tenant_id) is not None


async def mappings(pool: Pool, tenant_id: str) -> list[HotelMapping]:
    """One tenant's hotel mappings."""
    with translated():
        rows = await pool.fetch(_QUERIES["mappings"], tenant_id)
    return [HotelMapping(**dict(row)) for row in rows]
