"""The fake's switches for going wrong: rules that say which calls fail, how often and how.

Decides only; `exchange` does what is decided. No I/O, no clock. The draws come from one seeded
source, so the same calls in the same order meet the same faults.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from consumer.demo.fake.accounts import ConfigError, explain


class FaultKind(StrEnum):
    """How a call goes wrong."""

    LATENCY = "latency"  #: `seconds` more; adds up, and other rules still apply
    STATUS = "status"  #: `status`, with `body` and `Retry-After: retry_after`
    RESET = "reset"  #: a TCP reset instead of a reply
    CLOSE = "close"  #: an orderly close instead of a reply
    HALF_HEADER = "half_header"  #: then a close
    HALF_BODY = "half_body"  #: then a close
    HANG = "hang"  #: no reply until the hung calls are released
    LATE_COMMIT = "late_commit"  #: a close now, and `seconds` later the call is carried out
    RUBBISH_2XX = "rubbish_2xx"  #: 200 and `body`, which is no JSON
    REFUSE_LOGIN = "refuse_login"  #: of `AgencyLogin`, in the account's way to refuse
    EXPIRE_SESSION = "expire_session"  #: all of the account's, just before the call
    REDIRECT = "redirect"  #: 302 to `location`
    HUGE_BODY = "huge_body"  #: 200 and `size` bytes


class When(StrEnum):
    """Whether a call that goes wrong has done its work all the same."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"


_AFTER_BY_DEFAULT = frozenset(
    {FaultKind.HALF_HEADER, FaultKind.HALF_BODY, FaultKind.RUBBISH_2XX, FaultKind.HUGE_BODY}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. `None` matches all; a call that names no account matches only rules without one."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    kind: FaultKind
    account: str | None = None
    operation: str | None = None  #: as in the journal, e.g. `InsertReservation`
    step: Annotated[int, Field(ge=1, le=2)] | None = None  #: of `UpdateStopSale`
    voucher: str | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    skip: Annotated[int, Field(ge=0)] = 0  #: matching calls that it lets pass first
    times: Annotated[int, Field(ge=0)] | None = None  #: how often it strikes; `None` is for ever
    when: When | None = None  #: `None`: after for half a reply, rubbish and huge, else before
    seconds: Annotated[float, Field(ge=0)] = 0.0
    status: Annotated[int, Field(ge=200, le=599)] = 503
    body: str = "<html><body>Service Unavailable</body></html>"
    retry_after: str | None = None
    location: str = "/login.aspx"
    size: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024

    @property
    def commits(self) -> bool:
        """Whether the work is done before the reply goes wrong."""
        if self.when is None:
            return self.kind in _AFTER_BY_DEFAULT
        return self.when is When.AFTER_COMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a rule can match of a call."""

    account: str | None
    operation: str
    step: int | None
    voucher: str | None


@dataclass(slots=True)
class _Rule:
    id: int
    fault: Fault
    seen: int = 0
    hits: int = 0

    def strikes(self, target: Target, draws: random.Random) -> bool:
        fault = self.fault
        wanted = (fault.account, fault.operation, fault.step, fault.voucher)
        given = (target.account, target.operation, target.step, target.voucher)
        if any(w is not None and w != g for w, g in zip(wanted, given, strict=True)):
            return False
        if fault.kind is FaultKind.REFUSE_LOGIN and target.operation != "AgencyLogin":
            return False
        self.seen += 1
        if self.seen <= fault.skip or self.hits == fault.times:
            return False
        if fault.probability < 1 and draws.random() >= fault.probability:
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force, in order: of those that end a call the first that strikes does."""

    def __init__(self, seed: int = 0) -> None:
        self._rules: list[_Rule] = []
        self._next_id = 1
        self._draws = random.Random(seed)  # noqa: S311  # faults have to be repeatable

    def add(self, fault: Fault) -> int:
        """Puts a rule behind the others; its id."""
        self._rules.append(_Rule(self._next_id, fault))
        self._next_id += 1
        return self._rules[-1].id

    def replace(self, faults: Iterable[Fault], *, seed: int | None = None) -> None:
        """These rules instead of all; with a seed the draws begin anew."""
        self.clear()
        for fault in faults:
            self.add(fault)
        if seed is not None:
            self._draws.seed(seed)

    def remove(self, rule_id: int) -> None:
        """Takes one rule away, if it is still there."""
        self._rules = [rule for rule in self._rules if rule.id != rule_id]

    def clear(self) -> None:
        """Takes every rule away."""
        self._rules.clear()

    def hits(self, rule_id: int) -> int:
        """How often a rule struck.

        Raises:
            KeyError: there is no such rule.
        """
        for rule in self._rules:
            if rule.id == rule_id:
                return rule.hits
        raise KeyError(rule_id)

    def pick(self, target: Target) -> tuple[float, Fault | None]:
        """The seconds that are added to a call, and how it goes wrong, if it does."""
        seconds = 0.0
        for rule in self._rules:
            if rule.strikes(target, self._draws):
                if rule.fault.kind is not FaultKind.LATENCY:
                    return seconds, rule.fault
                seconds += rule.fault.seconds
        return seconds, None

    def as_json(self) -> Iterator[dict[str, Any]]:
        """The rules with their ids and hits."""
        for rule in self._rules:
            yield {"id": rule.id, "hits": rule.hits, **_FAULT.dump_python(rule.fault, mode="json")}


_FAULT = TypeAdapter(Fault)
_FAULTS = TypeAdapter(list[Fault])


def read_faults(value: Any) -> list[Fault]:
    """Rules from parsed JSON: an array of objects with the fields of `Fault`.

    Raises:
        ConfigError: a field is unknown, missing or out of range; says which.
    """
    try:
        return _FAULTS.validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"the faults cannot be read: {explain(error)}") from None
