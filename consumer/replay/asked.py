"""What a replay is told to do, as it is compared with what earlier ones were told. Pure."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.kinds import Kind

_OFFSET = re.compile(r"offset:([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first offset that there is."""

    def __str__(self) -> str:
        return "beginning"


@dataclass(frozen=True, slots=True)
class End:
    """Behind the last offset that there is."""

    def __str__(self) -> str:
        return "end"


@dataclass(frozen=True, slots=True)
class AtTime:
    """The first offset whose record was written then or later."""

    time: datetime  #: aware

    def __str__(self) -> str:
        return self.time.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class AtOffset:
    """This offset, in each partition."""

    offset: int

    def __str__(self) -> str:
        return f"offset:{self.offset}"


Bound = Beginning | End | AtTime | AtOffset


def bound(text: str) -> Bound:
    """Read a bound: `beginning`, `end`, `offset:N` or an RFC 3339 time with its zone.

    Raises:
        ValueError: it is none of these.
    """
    if text in {"beginning", "end"}:
        return Beginning() if text == "beginning" else End()
    if found := _OFFSET.fullmatch(text):
        return AtOffset(int(found[1]))
    wrong = (
        "is none of `beginning`, `end`, `offset:N` and a time with its zone such as "
        "2026-05-01T00:00:00Z"
    )
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(wrong) from None
    if time.tzinfo is None:
        raise ValueError(wrong)
    return AtTime(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which events, and what is to become of them."""

    topics: tuple[tuple[str, Kind], ...]  #: in order of their names
    since: Bound
    until: Bound  #: not included; `end` is fixed when it starts
    tenants: tuple[str, ...] = ()  #: in order; none means all
    retry_failed: bool = False
    republish: bool = False

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds of the topics."""
        return dict(self.topics)

    def to_json(self) -> str:
        """All of it; equal for what is equal."""
        return json.dumps(
            {
                "topics": [[topic, kind.value] for topic, kind in self.topics],
                "from": str(self.since),
                "to": str(self.until),
                "tenants": list(self.tenants),
                "retry_failed": self.retry_failed,
                "republish": self.republish,
            },
            sort_keys=True,
        )


def from_json(text: str) -> Asked:
    """What `Asked.to_json` wrote."""
    read = json.loads(text)
    return Asked(
        topics=tuple((topic, Kind(kind)) for topic, kind in read["topics"]),
        since=bound(read["from"]),
        until=bound(read["to"]),
        tenants=tuple(read["tenants"]),
        retry_failed=read["retry_failed"],
        republish=read["republish"],
    )
