"""Which tenants' breakers are open: for those who look, and for the next owner of their work."""

from datetime import datetime

from db import sql
from db.errors import translated
from db.pool import Pool
from db.records import OpenBreaker

_QUERIES = sql.load("breakers")


async def put_open(
    pool: Pool,
    tenant_id: str,
    *,
    reason: str,
    last_error: str,
    failures: int,
    open_until: datetime,
) -> None:
    """Note that a tenant's breaker has opened, or stays open after a probe.

    Args:
        pool: the connections.
        tenant_id: whose; nothing is noted of a tenant that was removed.
        reason: `login_refused`, `session_refused`, `throttled` or `failures`.
        last_error: what happened last, without secrets.
        failures: in a row.
        open_until: when one probe is sent.
    """
    with translated():
        await pool.execute(_QUERIES["open"], tenant_id, reason, last_error, failures, open_until)


async def put_closed(pool: Pool, tenant_id: str) -> None:
    """Note that a tenant's breaker is closed."""
    with translated():
        await pool.execute(_QUERIES["close"], tenant_id)


async def get(pool: Pool, tenant_id: str) -> OpenBreaker | None:
    """One tenant's breaker; None if it is closed."""
    with translated():
        row = await pool.fetchrow(_QUERIES["get"], tenant_id)
    return None if row is None else OpenBreaker(**dict(row))


async def every(pool: Pool) -> list[OpenBreaker]:
    """All breakers that are open, by tenant id."""
    with translated():
        rows = await pool.fetch(_QUERIES["all"])
    return [OpenBreaker(**dict(row)) for row in rows]
