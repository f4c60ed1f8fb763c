"""What one attempt at Sedna came to, as data.

The processor makes these of replies and errors; :mod:`consumer.verdict` says what follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.outcomes import ErrorCode


@dataclass(frozen=True, slots=True)
class Done:
    """Sedna has the record."""

    rec_id: int
    hotel_id: int
    adopted: bool = False  #: found in Sedna instead of created
    conflict: bool = False  #: it is what an earlier event of the same identity had asked for
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not be done however often it is tried: the event or the tenant must be mended."""

    code: ErrorCode
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passing:
    """A passing failure after which sending again can double nothing.

    Either no byte of a create was sent, or Sedna answered that it did not do it, or the step that
    failed can be repeated.
    """

    reason: str
    retry_after: float | None = None  #: seconds, where Sedna asked for them


@dataclass(frozen=True, slots=True)
class Blocked:
    """Nothing was tried, since the tenant's account cannot be used here. Counts as no attempt."""

    reason: str
    retry_after: float | None = None  #: seconds


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing was tried, since the tenant's breaker lets nothing through. Counts as no attempt."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A create was perhaps sent, and whether Sedna has the record is not known, or not yet."""

    reason: str


Outcome = Done | Refused | Passing | Blocked | Paused | Unknown
