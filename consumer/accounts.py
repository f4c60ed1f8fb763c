"""Tenants' accounts at Sedna: settings, credentials, connections, session and catalogue of each.

An account is made when its tenant is first worked for, kept, and made anew when the tenant's
settings or mappings change. Nothing of one tenant is ever reachable from another's account.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

import httpx2

from consumer.credentials import CannotDecrypt
from consumer.gate import AccountGate
from consumer.gates import Gates
from consumer.logs import get_logger
from consumer.persistence import persistently
from consumer.retry import backoff
from consumer.sedna.catalogue import Catalogue
from consumer.sedna.client import SednaClient
from consumer.sedna.single_flight import SingleFlight
from db import notices, tenants
from db.errors import DatabaseError, DatabaseUnavailable
from db.pool import Pool
from db.records import TenantSettings

_log = get_logger(__name__)

#: So many unknown tenants are remembered as such; events can name any number of them.
_REFUSED_AT_MOST = 10_000
#: Seconds: the first wait before listening for changes again, and the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0


class TenantNotConfigured(Exception):
    """The tenant has no account here, or it is switched off; the message says which."""


class Unusable(StrEnum):
    """Why nothing can be sent for a tenant that has an account."""

    SEALED = "password_unreadable"  #: what is stored opens with none of the keys
    ADDRESS = "address_unusable"  #: it is no URL, or the proxy for it is none


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """One tenant's Sedna, until its settings change. Use it inside `with`."""

    settings: TenantSettings
    mappings: Mapping[str, int]  #: hotel ids by `matching.mapping_key`
    gate: AccountGate
    client: SednaClient
    catalogue: Catalogue
    transport: httpx2.AsyncBaseTransport = field(repr=False)
    _users: int = 0
    _retired: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __enter__(self) -> Self:
        self._users += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._users -= 1
        if not self._users:
            self._retired.set()

    async def close_when_unused(self) -> None:
        """Close its connections once no request uses them: closing earlier would cause doubt."""
        while self._users:
            self._retired.clear()
            await self._retired.wait()
        await self.transport.aclose()


#: Makes an account of a tenant's settings, its mappings and its gate; see
#: `bootstrap.AccountBuilder`.
BuildAccount = Callable[[TenantSettings, Mapping[str, int], AccountGate], Account]


class Accounts:
    """The accounts of all tenants that are worked for."""

    def __init__(
        self,
        *,
        pool: Pool,
        build: BuildAccount,
        gates: Gates,
        on_loaded: Callable[[str, int | None], None],
    ) -> None:
        self._pool = pool
        self._build = build
        self._gates = gates
        self._on_loaded = on_loaded  # told the tenant and its own cap in flight
        self._accounts: dict[str, Account] = {}
        self._refused: dict[str, TenantNotConfigured] = {}
        self._unusable: dict[str, Unusable] = {}
        self._loading: dict[str, SingleFlight[Account]] = {}
        self._changes = 0  # counts what was forgotten, so that a load can tell that it is stale
        self._tasks: set[asyncio.Task[None]] = set()

    def cached(self, tenant_id: str) -> Account | None:
        """A tenant's account if it is in memory."""
        return self._accounts.get(tenant_id)

    def unusable(self) -> dict[str, str]:
        """The tenants whose account could not be made, and why; may be asked in another thread."""
        return dict(self._unusable)

    async def get(self, tenant_id: str) -> Account:
        """A tenant's account.

        Raises:
            TenantNotConfigured: it has none, or it is switched off.
            CannotDecrypt: its stored password does not open.
            ValueError: its address or the proxy for it cannot be used.
        """
        account = self._accounts.get(tenant_id)
        if account is not None:
            return account
        refused = self._refused.get(tenant_id)
        if refused is not None:
            raise refused.with_traceback(None)
        flight = self._loading.setdefault(tenant_id, SingleFlight())
        try:
            return await flight.do(lambda: self._load(tenant_id))
        finally:
            if not flight.wanted:
                del self._loading[tenant_id]

    async def _load(self, tenant_id: str) -> Account:
        while True:
            changes = self._changes
            settings = await persistently(
                lambda: tenants.get(self._pool, tenant_id), what="reading a tenant's settings"
            )
            mappings = await persistently(
                lambda: tenants.mappings(self._pool, tenant_id), what="reading hotel mappings"
            )
            gate = None
            if settings is not None and settings.is_active:
                gate = await self._gates.of(settings)
            if self._changes == changes:
                break
        self._unusable.pop(tenant_id, None)
        if settings is None or gate is None:
            self._gates.drop(tenant_id)
            refused = TenantNotConfigured(
                f"tenant {tenant_id} has no Sedna account here: add it with "
                f"`sedna-sync tenant set {tenant_id}`"
                if settings is None
                else f"tenant {tenant_id} is switched off: `sedna-sync tenant set {tenant_id} "
                f"--active` switches it on"
            )
            if len(self._refused) >= _REFUSED_AT_MOST:
                self._refused.clear()
            self._refused[tenant_id] = refused
            raise refused
        try:
            account = self._build(
                settings, {each.name_key: each.hotel_id for each in mappings}, gate
            )
        except CannotDecrypt:
            self._unusable[tenant_id] = Unusable.SEALED
            raise
        except ValueError:
            self._unusable[tenant_id] = Unusable.ADDRESS
            raise
        self._accounts[tenant_id] = account
        self._on_loaded(tenant_id, settings.max_in_flight)
        return account

    def forget(self, tenant_id: str) -> None:
        """A tenant's settings have changed: the next use reads them anew."""
        self._changes += 1
        self._refused.pop(tenant_id, None)
        account = self._accounts.pop(tenant_id, None)
        if account is not None:
            self._begin(account.close_when_unused())
        if self._gates.is_shut(tenant_id):
            # Nothing of it is taken from its lanes, so nobody else would look.
            self._begin(self._look_again(tenant_id))

    def forget_all(self) -> None:
        """Changes may have been missed: read everybody's settings anew."""
        for tenant_id in {*self._accounts, *self._refused, *self._gates.shut()}:
            self.forget(tenant_id)

    async def _look_again(self, tenant_id: str) -> None:
        # Who works for the tenant next is told what is wrong with its account.
        with contextlib.suppress(TenantNotConfigured, CannotDecrypt, ValueError, DatabaseError):
            await self.get(tenant_id)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await self._gates.aclose()
        for account in self._accounts.values():
            with contextlib.suppress(httpx2.TransportError):
                await account.transport.aclose()


class TenantWatch:
    """Hears of tenants' changes, and of work that people ask for, as soon as they are committed."""

    def __init__(
        self,
        *,
        database_url: str,
        on_change: Callable[[str], None],
        on_work: Callable[[str], None],
        on_reconnected: Collection[Callable[[], None]],
    ) -> None:
        self._database_url = database_url
        self._on_notice = {
            notices.Channel.TENANT_CHANGED: on_change,
            notices.Channel.WORK: on_work,
        }
        self._on_reconnected = on_reconnected

    def __repr__(self) -> str:
        return "TenantWatch()"

    async def run(self) -> None:
        """Listen, until cancelled; a connection that breaks is made anew."""
        failures = 0

        def connected() -> None:
            nonlocal failures
            failures = 0
            # What happened while nobody listened was not reported.
            for catch_up in self._on_reconnected:
                catch_up()

        while True:
            try:
                await notices.listen(
                    self._database_url, on_notice=self._on_notice, on_connected=connected
                )
            except DatabaseUnavailable as error:
                failures += 1
                wait = backoff(failures, base=_FIRST_WAIT, cap=_LONGEST_WAIT, jitter=1.0)
                _log.warning("not_listening_for_changes", error=str(error), retry_in=wait)
                await asyncio.sleep(wait)
