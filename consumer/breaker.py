"""Whether requests to one tenant's Sedna may go out: closed, open, or half-open. Pure.

The laws it keeps:

* while it is open no request enters, but for those that cannot be called back;
* while it is half-open at most one request is in it as the probe;
* so many failures in a row open it and not one fewer; what says that the account itself is refused
  opens it at once;
* an answer to the probe closes it, a failure of the probe opens it anew;
* as time goes by it only ever lets more through.

It counts requests, not syncs: one request that many syncs waited for is one sign. What ends while
it is open was sent before, and says nothing of the time since: such a failure changes nothing but
for a longer `Retry-After`, and such an answer ends only an opening by failures in a row.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Reason(StrEnum):
    """Why it is open; as `tenant_breakers` has it."""

    LOGIN_REFUSED = "login_refused"
    SESSION_REFUSED = "session_refused"  #: 401 right after a login that was accepted
    THROTTLED = "throttled"
    FAILURES = "failures"  #: in a row


class Sign(StrEnum):
    """What a request came to, as far as it tells of the account."""

    ANSWERED = "answered"  #: also a refusal of what was asked for: the account works
    LOGGED_IN = "logged_in"  #: only that the login is accepted
    FAILED = "failed"  #: not sent, no whole reply, 5xx, a reply that cannot be read
    LOGIN_REFUSED = "login_refused"
    SESSION_REFUSED = "session_refused"
    THROTTLED = "throttled"
    NOTHING = "nothing"  #: it ended in a way that says nothing


class Change(StrEnum):
    """What a sign has changed."""

    OPENED = "opened"
    STAYS_OPEN = "stays_open"  #: the probe failed, or Sedna asked for more time
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that has entered."""

    opening: int  #: how often the breaker had opened before
    probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """The settings that it depends on."""

    failures: int  #: in a row that open it
    cool_down: float  #: seconds until a probe is let through
    longest: float  #: seconds: the longest cool-down of a login that is refused again and again


class Breaker:
    """One tenant's breaker. Times are seconds on one clock that never goes back."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._probing = False
        self._refusals = 0  # of the login, since it was last closed
        self._failures = 0
        self.openings = 0
        self.reason: Reason | None = None  #: None: it is closed
        self.until = 0.0  #: when a probe is let through

    @property
    def closed(self) -> bool:
        """Whether everything may go out."""
        return self.reason is None

    @property
    def failures(self) -> int:
        """How often in a row, of what it is open for."""
        return self._refusals if self.reason is Reason.LOGIN_REFUSED else self._failures

    def is_open(self, now: float) -> bool:
        """Whether nothing may go out, not even a probe."""
        return not self.closed and now < self.until

    def restore(self, reason: Reason, *, failures: int, until: float) -> None:
        """Be open as another process has left it."""
        self.openings += 1
        self.reason, self.until = reason, until
        self._failures = failures
        self._refusals = failures if reason is Reason.LOGIN_REFUSED else 0

    # -- requests -----------------------------------------------------------------------------

    def enter(self, now: float, *, must: bool = False) -> Ticket | None:
        """Let a request through; None: it may not go out.

        Args:
            now: the time.
            must: it cannot be called back, since its dispatch mark is written.
        """
        if self.closed:
            return Ticket(self.openings)
        if not self.is_open(now) and not self._probing:
            self._probing = True
            return Ticket(self.openings, probe=True)
        return Ticket(-1) if must else None

    def leave(
        self, ticket: Ticket, sign: Sign, now: float, *, retry_after: float = 0.0
    ) -> Change | None:
        """A request has ended.

        Args:
            ticket: of its entry; each leaves once.
            sign: what it came to.
            now: the time.
            retry_after: seconds that Sedna asked for.
        """
        probe = ticket.probe and ticket.opening == self.openings
        if probe:
            self._probing = False
        change: Change | None = None
        match sign:
            case Sign.NOTHING:
                pass
            case Sign.ANSWERED:
                change = self._answered(probe=probe)
            case Sign.LOGGED_IN:
                # It proves nothing else: lists and creates may fail as before.
                if probe and self.reason is Reason.LOGIN_REFUSED:
                    change = self._close()
            case Sign.FAILED:
                change = self._failed(now, probe=probe)
            case Sign.LOGIN_REFUSED:
                change = self._refused(Reason.LOGIN_REFUSED, now, probe=probe)
            case Sign.SESSION_REFUSED:
                change = self._refused(Reason.SESSION_REFUSED, now, probe=probe)
            case Sign.THROTTLED:
                change = self._throttled(now, retry_after, probe=probe)
            case never:
                assert_never(never)
        return change

    # -- what follows of each sign ------------------------------------------------------------

    def _answered(self, *, probe: bool) -> Change | None:
        if self.closed:
            self._failures = 0
            return None
        return self._close() if probe or self.reason is Reason.FAILURES else None

    def _failed(self, now: float, *, probe: bool) -> Change | None:
        if not self.closed and not probe:
            return None
        self._failures += 1
        if self.closed and self._failures < self._policy.failures:
            return None
        return self._open(Reason.FAILURES, now + self._policy.cool_down)

    def _refused(self, reason: Reason, now: float, *, probe: bool) -> Change | None:
        if not self.closed and not probe:
            return None
        self._failures += 1
        wait = self._policy.cool_down
        if reason is Reason.LOGIN_REFUSED:
            # 2**60 times the cool-down is beyond any limit; more would overflow a float.
            wait = min(wait * 2.0 ** min(self._refusals, 60), max(self._policy.longest, wait))
            self._refusals += 1
        return self._open(reason, now + wait)

    def _throttled(self, now: float, retry_after: float, *, probe: bool) -> Change | None:
        if self.closed or probe:
            self._failures += 1
            return self._open(Reason.THROTTLED, now + max(retry_after, self._policy.cool_down))
        if now + retry_after <= max(self.until, now):
            return None
        self.until = now + retry_after
        return Change.STAYS_OPEN

    def _open(self, reason: Reason, until: float) -> Change:
        change = Change.OPENED if self.closed else Change.STAYS_OPEN
        self.openings += 1
        self.reason, self.until = reason, until
        return change

    def _close(self) -> Change:
        self.reason = None
        self._probing = False
        self._failures = self._refusals = 0
        return Change.CLOSED
