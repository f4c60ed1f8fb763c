"""The gates of all tenants, and their breakers' state in Postgres.

A gate is of one version of a tenant's settings: when they change, the breaker that judged the old
ones is gone. What it came to is written in the background, so that others see it and the next owner
does not knock where the last one was refused; requests must never wait for that.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from consumer.breaker import Breaker, BreakerPolicy, Change, Reason
from consumer.clock import Clock
from consumer.gate import AccountGate
from consumer.logs import get_logger
from consumer.pacer import Pacer
from consumer.persistence import persistently
from db import breakers
from db.errors import DatabaseError
from db.pool import Pool
from db.records import OpenBreaker, TenantSettings

_log = get_logger(__name__)

#: Seconds that the last states may take to be written at the end.
_GOODBYE = 5.0
#: So much of an error is kept.
_ERROR_CHARACTERS = 1_000
#: Seconds: no breaker is believed to be open for longer, should a clock have been wrong.
_LONGEST_OPEN = 86_400.0


@dataclass(frozen=True, slots=True)
class _Open:
    """What is written of a breaker that is open."""

    reason: str
    last_error: str
    failures: int
    open_until: datetime


@dataclass(frozen=True, slots=True)
class _Kept:
    gate: AccountGate
    version: datetime | None  #: of the settings


class Gates:
    """One gate per tenant that is worked for.

    Args of the constructor: the database; the clock; when breakers open, and for how long; what to
    call with a tenant for which nothing may be sent until a time (on the clock's `elapsed`), and
    with one for which everything may again.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        clock: Clock,
        policy: BreakerPolicy,
        on_shut: Callable[[str, float], None],
        on_open: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._policy = policy
        self._on_shut = on_shut
        self._on_open = on_open
        self._kept: dict[str, _Kept] = {}
        self._unwritten: dict[str, _Open | None] = {}  # None: it is closed
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def of(self, settings: TenantSettings) -> AccountGate:
        """The gate for these settings of a tenant; one call at a time for each.

        Raises:
            DatabaseError: Postgres refuses the question.
        """
        tenant_id = settings.tenant_id
        kept = self._kept.get(tenant_id)
        if kept is not None and kept.version == settings.updated_at:
            return kept.gate
        gate = self._new(settings)
        row: OpenBreaker | None = None
        if kept is None:
            row = await persistently(
                lambda: breakers.get(self._pool, tenant_id), what="reading a tenant's breaker"
            )
        self._kept[tenant_id] = _Kept(gate, settings.updated_at)
        if kept is not None:
            self._closed_by_change(tenant_id, kept.gate)
        elif row is not None and (
            settings.updated_at is None or row.opened_at >= settings.updated_at
        ):
            self._restore(tenant_id, gate, row)
        elif row is not None:
            self._write(tenant_id, None)  # it was opened under other settings
        return gate

    def drop(self, tenant_id: str) -> None:
        """A tenant has no account any more, or is switched off."""
        kept = self._kept.pop(tenant_id, None)
        if kept is not None:
            self._closed_by_change(tenant_id, kept.gate)

    def is_shut(self, tenant_id: str) -> bool:
        """Whether a tenant's breaker is not closed."""
        kept = self._kept.get(tenant_id)
        return kept is not None and not kept.gate.breaker.closed

    def shut(self) -> list[str]:
        """The tenants whose breakers are not closed."""
        return [tenant_id for tenant_id in self._kept if self.is_shut(tenant_id)]

    def reasons(self) -> dict[str, str]:
        """The tenants whose breakers are not closed, and why; may be asked in another thread."""
        return {
            tenant_id: reason.value
            for tenant_id, kept in list(self._kept.items())
            if (reason := kept.gate.breaker.reason) is not None
        }

    def _new(self, settings: TenantSettings) -> AccountGate:
        rate = settings.requests_per_second
        return AccountGate(
            breaker=Breaker(self._policy),
            pacer=Pacer(rate) if rate else None,
            clock=self._clock.elapsed,
            on_change=partial(self._changed, settings.tenant_id),
        )

    # -- changes ------------------------------------------------------------------------------

    def _changed(self, tenant_id: str, gate: AccountGate, change: Change) -> None:
        kept = self._kept.get(tenant_id)
        if kept is None or kept.gate is not gate:
            return  # a request under the settings of before: it says nothing of these
        breaker = gate.breaker
        if breaker.reason is None:
            _log.info("breaker_closed", tenant=tenant_id)
            self._on_open(tenant_id)
            self._write(tenant_id, None)
            return
        until = self._clock.now() + timedelta(seconds=breaker.until - self._clock.elapsed())
        state = _Open(
            breaker.reason.value, gate.last_error[:_ERROR_CHARACTERS], breaker.failures, until
        )
        said = {
            "tenant": tenant_id,
            "reason": state.reason,
            "error": state.last_error,
            "until": until.isoformat(),
            "failures": state.failures,
        }
        if change is Change.OPENED:
            _log.warning("breaker_opened", **said)
        else:
            _log.info("breaker_stays_open", **said)
        self._on_shut(tenant_id, breaker.until)
        self._write(tenant_id, state)

    def _closed_by_change(self, tenant_id: str, gate: AccountGate) -> None:
        if not gate.breaker.closed:
            _log.info("breaker_closed", tenant=tenant_id, by="a change of the tenant's settings")
            self._on_open(tenant_id)
            self._write(tenant_id, None)

    def _restore(self, tenant_id: str, gate: AccountGate, row: OpenBreaker) -> None:
        wait = min((row.open_until - self._clock.now()).total_seconds(), _LONGEST_OPEN)
        until = self._clock.elapsed() + wait
        gate.breaker.restore(Reason(row.reason), failures=row.failures, until=until)
        gate.last_error = row.last_error
        self._on_shut(tenant_id, until)

    # -- Postgres -----------------------------------------------------------------------------

    def _write(self, tenant_id: str, state: _Open | None) -> None:
        self._unwritten[tenant_id] = state
        if tenant_id not in self._writing:
            self._writing[tenant_id] = asyncio.create_task(self._write_all_of(tenant_id))

    async def _write_all_of(self, tenant_id: str) -> None:
        try:
            while tenant_id in self._unwritten:
                state = self._unwritten.pop(tenant_id)
                await persistently(
                    partial(self._put, tenant_id, state), what="noting a tenant's breaker"
                )
        except DatabaseError as error:
            # It serves those who look on; what is sent does not depend on it.
            _log.warning("breaker_not_noted", tenant=tenant_id, error=str(error))
        finally:
            del self._writing[tenant_id]

    async def _put(self, tenant_id: str, state: _Open | None) -> None:
        if state is None:
            await breakers.put_closed(self._pool, tenant_id)
        else:
            await breakers.put_open(
                self._pool,
                tenant_id,
                reason=state.reason,
                last_error=state.last_error,
                failures=state.failures,
                open_until=state.open_until,
            )

    async def aclose(self) -> None:
        """Write what is not written yet, for some seconds at most."""
        if self._writing:
            _, late = await asyncio.wait([*self._writing.values()], timeout=_GOODBYE)
            for task in late:
                task.cancel()
