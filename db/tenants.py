"""Tenants' settings and hotel mappings; their changes are told by :mod:`db.notices`."""

from collections.abc import Sequence

from db import sql
from db.errors import translated
from db.pool import Connection, Pool
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


async def count(pool: Pool) -> int:
    """How many tenants there are."""
    with translated():
        return int(await pool.fetchval(_QUERIES["count"]))


async def passwords(pool: Pool, *, after: str, limit: int) -> list[tuple[str, bytes]]:
    """A page of all tenants' ids and ciphertexts, by tenant id; `after` "" begins."""
    with translated():
        rows = await pool.fetch(_QUERIES["passwords"], after, limit)
    return [(row["tenant_id"], row["sedna_password_encrypted"]) for row in rows]


async def replace_passwords(pool: Pool, changes: Sequence[tuple[str, bytes, bytes]]) -> set[str]:
    """Put other ciphertexts in place; those whose old one is no longer stored stay as they are.

    Args:
        pool: connections.
        changes: tenant id, ciphertext that is stored, ciphertext that takes its place.

    Returns:
        the tenants whose ciphertext was replaced.
    """
    columns = [list(column) for column in zip(*changes, strict=True)] or [[], [], []]
    with translated():
        rows = await pool.fetch(_QUERIES["replace_passwords"], *columns)
    return {row["tenant_id"] for row in rows}


async def remove(pool: Pool, tenant_id: str) -> bool:
    """Forget a tenant's settings and mappings; False if it had none."""
    with translated():
        return await pool.fetchval(_QUERIES["remove"], tenant_id) is not None


async def mappings(pool: "Pool | Connection", tenant_id: str) -> list[HotelMapping]:
    """One tenant's hotel mappings."""
    with translated():
        rows = await pool.fetch(_QUERIES["mappings"], tenant_id)
    return [HotelMapping(**dict(row)) for row in rows]


async def mappings_page(
    pool: Pool, tenant_id: str, *, after: str, limit: int
) -> list[HotelMapping]:
    """A page of one tenant's mappings, by their keys; `after` "" begins."""
    with translated():
        rows = await pool.fetch(_QUERIES["mappings_page"], tenant_id, after, limit)
    return [HotelMapping(**dict(row)) for row in rows]


async def put_mapping(pool: Pool, tenant_id: str, mapping: HotelMapping) -> HotelMapping | None:
    """Store a mapping of a tenant that has settings; returns the one whose place it took.

    Raises:
        DatabaseError: the tenant has no settings.
    """
    with translated():
        row = await pool.fetchrow(
            _QUERIES["put_mapping"], tenant_id, mapping.name_key, mapping.name, mapping.hotel_id
        )
    return None if row is None else HotelMapping(**dict(row))


async def remove_mapping(pool: Pool, tenant_id: str, name_key: str) -> HotelMapping | None:
    """Forget a mapping; returns what it was, None if there was none."""
    with translated():
        row = await pool.fetchrow(_QUERIES["remove_mapping"], tenant_id, name_key)
    return None if row is None else HotelMapping(**dict(row))
