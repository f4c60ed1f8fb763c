"""A tenant's account for one question: for those who ask Sedna without working for the tenant.

Two ways to one: the account that the running service keeps, with its session and its lists, or one
that lives no longer than the question. Nothing here sends anything.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from consumer.accounts import Account, Accounts, TenantNotConfigured
from db import tenants
from db.pool import Pool
from db.records import TenantSettings

#: `async with borrow(tenant_id) as account: …`. Entering raises `TenantNotConfigured`,
#: `CannotDecrypt` (its password does not open) or `ValueError` (its address cannot be used).
Borrow: TypeAlias = Callable[[str], AbstractAsyncContextManager[Account]]


def no_such_tenant(tenant_id: str) -> TenantNotConfigured:
    """The error that says so, and where to look."""
    return TenantNotConfigured(
        f"there is no tenant {tenant_id}: `sedna-sync tenant list` shows those that there are"
    )


def from_service(accounts: Accounts) -> Borrow:
    """The accounts of the service that runs in this process; they stay open."""

    @contextlib.asynccontextmanager
    async def borrow(tenant_id: str) -> AsyncIterator[Account]:
        with await accounts.get(tenant_id) as account:
            yield account

    return borrow


def short_lived(
    *, pool: Pool, build: Callable[[TenantSettings, Mapping[str, int]], Account]
) -> Borrow:
    """Accounts that are made for each question, and closed after it."""

    @contextlib.asynccontextmanager
    async def borrow(tenant_id: str) -> AsyncIterator[Account]:
        settings = await tenants.get(pool, tenant_id)
        if settings is None:
            raise no_such_tenant(tenant_id)
        if not settings.is_active:
            raise TenantNotConfigured(
                f"tenant {tenant_id} is switched off: `sedna-sync tenant set {tenant_id} --active` "
                f"switches it on"
            )
        mappings = await tenants.mappings(pool, tenant_id)
        account = build(settings, {each.name_key: each.hotel_id for each in mappings})
        try:
            yield account
        finally:
            await account.transport.aclose()

    return borrow
