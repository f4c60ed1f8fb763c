"""Everything a fake Sedna holds: the records of each account, and whose session is whose.

Pure: the time comes in as a `Moment`, nothing is sent or waited for. Never lets one account reach
another's records: every method works on one `AccountState`, and those share only two counters.
"""

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from consumer.demo.fake.accounts import Account, ConfigError
from consumer.demo.fake.records import Envelope, Holdings, Json, Stamp
from consumer.demo.fake.reservations import Reservations
from consumer.demo.fake.stop_sales import StopSales

_FIRST_REC_ID = 823_001


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time at which a request is carried out, and the request's number in the journal."""

    request: int
    monotonic_ns: int
    wall: datetime  #: UTC


class Counters:
    """Record ids and order numbers, over all accounts: no two records share one."""

    def __init__(self) -> None:
        self._rec_ids = count(_FIRST_REC_ID)
        self._orders = count(1)

    def next_rec_id(self) -> int:
        """A record id that was never given before."""
        return next(self._rec_ids)

    def next_order(self) -> int:
        """The next order number."""
        return next(self._orders)


class AccountState:
    """What one account holds. `config` may be replaced at any time."""

    def __init__(self, config: Account, counters: Counters, sessions: "Sessions") -> None:
        self.config = config
        self.reservations = Reservations()
        self.stop_sales = StopSales()
        self.logins = 0
        self._counters = counters
        self._sessions = sessions

    def open_session(self, at: Moment) -> str:
        """A new session's id (K); it dies `session_seconds` from now (A)."""
        self.logins += 1
        return self._sessions.open(self, now_ns=at.monotonic_ns)

    def insert(self, body: Any, *, voucher_no: str, at: Moment) -> list[Envelope]:
        """`InsertReservation`: see `Reservations.insert`."""
        return self.reservations.insert(
            self.config,
            body,
            voucher_no=voucher_no,
            stamp=lambda: self._stamp(at),
            next_rec_id=self._counters.next_rec_id,
            local_time=self._local(at),
        )

    def update_stop_sale(self, body: Any, *, at: Moment) -> Envelope:
        """`UpdateStopSale`: see `StopSales.update`."""
        return self.stop_sales.update(
            self.config,
            body,
            stamp=lambda: self._stamp(at),
            next_rec_id=self._counters.next_rec_id,
            local_time=self._local(at),
        )

    def holdings(self) -> Holdings:
        """What it holds, counted by voucher and by `RecordUser`."""
        inserts = {(r.voucher, r.stamp.order) for r in self.reservations.records if not r.cancelled}
        stop_sales = self.stop_sales.records.values()
        return Holdings(
            vouchers=Counter(voucher for voucher, _ in inserts),
            stop_sales=Counter(s.record_user for s in stop_sales if s.complete),
            incomplete_stop_sales=Counter(s.record_user for s in stop_sales if not s.complete),
        )

    def as_json(self) -> Json:
        """Every record whole, for the control path. No password."""
        return {
            "account": self.config.name,
            "logins": self.logins,
            "reservations": [record.as_json() for record in self.reservations.records],
            "stop_sales": [record.as_json() for record in self.stop_sales.records.values()],
        }

    def clear(self) -> None:
        """Forgets every record."""
        self.reservations = Reservations()
        self.stop_sales = StopSales()
        self.logins = 0

    def _stamp(self, at: Moment) -> Stamp:
        return Stamp(
            order=self._counters.next_order(),
            request=at.request,
            monotonic_ns=at.monotonic_ns,
            wall=at.wall,
        )

    def _local(self, at: Moment) -> datetime:
        offset = timedelta(hours=self.config.utc_offset_hours)
        return (at.wall + offset).replace(tzinfo=None, microsecond=0)


class Sessions:
    """The session cookies. A dead one is remembered, so that its 401 is known to be whose."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[AccountState, int]] = {}

    def open(self, account: AccountState, *, now_ns: int) -> str:
        """A new session of the account."""
        session_id = secrets.token_hex(12)
        lifetime_ns = int(account.config.session_seconds * 1e9)
        self._sessions[session_id] = (account, now_ns + lifetime_ns)
        return session_id

    def whose(self, session_id: str | None) -> AccountState | None:
        """The account that opened it, be it dead or alive."""
        found = self._sessions.get(session_id or "")
        return found[0] if found else None

    def alive(self, session_id: str | None, *, now_ns: int) -> AccountState | None:
        """The account that it authorises now."""
        found = self._sessions.get(session_id or "")
        return found[0] if found and now_ns < found[1] else None

    def expire(self, account: AccountState | None = None) -> None:
        """Ends the sessions of one account, or all."""
        for session_id, (owner, _) in self._sessions.items():
            if account is None or owner is account:
                self._sessions[session_id] = (owner, 0)

    def clear(self) -> None:
        """Forgets every session."""
        self._sessions.clear()


class FakeState:
    """All accounts, by name and by user name."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts: dict[str, AccountState] = {}
        self.sessions = Sessions()
        self._counters = Counters()
        self._by_username: dict[str, AccountState] = {}
        self.configure(accounts)

    def configure(self, accounts: Iterable[Account]) -> None:
        """Adds accounts, and gives those that exist their new switches; records stay.

        Raises:
            ConfigError: two accounts would share a user name; nothing is changed then.
        """
        configs = {name: state.config for name, state in self.accounts.items()}
        configs.update((account.name, account) for account in accounts)
        if len({config.username for config in configs.values()}) != len(configs):
            raise ConfigError("two accounts have the same user name")
        for name, config in configs.items():
            if name not in self.accounts:
                self.accounts[name] = AccountState(config, self._counters, self.sessions)
            self.accounts[name].config = config
        self._by_username = {state.config.username: state for state in self.accounts.values()}

    def by_username(self, username: str) -> AccountState | None:
        """The account of that user name."""
        return self._by_username.get(username)

    def login(self, username: str, password: str) -> AccountState | None:
        """The account that these credentials open."""
        found = self.by_username(username)
        given, known = password.encode(), (found.config.password if found else "").encode()
        return found if secrets.compare_digest(given, known) else None

    def clear(self) -> None:
        """Forgets every record and every session; the accounts stay."""
        self.sessions.clear()
        for account in self.accounts.values():
            account.clear()
