"""What came of a sync, and the line that the log has of it. Pure.

A settled sync has one line, with the same fields whatever came of it, and by what its event was
answered. It must never say anything of what the event holds: that is a guest's.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from consumer.results import answered
from consumer.sync import Sync
from consumer.verdict import Failed, Synced
from schemas.outcomes import ErrorCode

#: How a settled sync's line is called, and what it has as outcome.
SYNCED: Final = "synced"
FAILED: Final = "failed"


@dataclass(slots=True, kw_only=True)
class Settled:
    """A sync that was settled, once that is committed."""

    sync: Sync
    verdict: Synced | Failed
    attempts: int  #: the one that settled it included
    started_at: datetime  #: of that one
    finished_at: datetime
    said: Synced | Failed = field(init=False)  #: what its event was answered

    def __post_init__(self) -> None:
        self.said = answered(self.verdict, self.sync.item)

    @property
    def code(self) -> ErrorCode | None:
        """Why it failed, as was answered; None: it is synced."""
        return self.said.code if isinstance(self.said, Failed) else None

    def waited(self, now: datetime) -> float:
        """Seconds since somebody began to wait for it; never below zero, though clocks differ."""
        waited = (now - self.sync.awaited_since).total_seconds()
        return waited if waited > 0 else 0.0

    def line(self, now: datetime) -> dict[str, Any]:
        """The fields of its line; the texts in it are names, ids and codes, but for `error`."""
        line = ids(self.sync)
        said = self.said
        if isinstance(said, Synced):
            line["level"] = "info"
            line["event"] = line["outcome"] = SYNCED
            line["code"] = line["error"] = None
        else:
            line["level"] = "warning"
            line["event"] = line["outcome"] = FAILED
            line["code"] = said.code.value
            line["error"] = said.message
        line["module"] = __name__
        verdict = self.verdict
        if isinstance(verdict, Synced):
            line["rec_id"] = verdict.rec_id
            line["hotel_id"] = verdict.hotel_id
            line["adopted"] = verdict.adopted
        else:
            line["rec_id"] = self.sync.rec_id
            line["hotel_id"] = self.sync.hotel_id
            line["adopted"] = False
        line["attempts"] = self.attempts
        line["duration"] = round(self.waited(now), 3)
        line["attempt_duration"] = round((self.finished_at - self.started_at).total_seconds(), 3)
        return line


def ids(sync: Sync) -> dict[str, Any]:
    """All by which a sync, and the event that asked for it, can be found."""
    origin = sync.origin
    found = {
        "tenant": sync.tenant_id,
        "kind": sync.kind.value,
        "sync": sync.id,
        "item": sync.item,
        "event_id": sync.event_id,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
    }
    if sync.email_id is not None:
        found["email_id"] = sync.email_id
    if sync.voucher_no is not None:
        found["voucher_no"] = sync.voucher_no
    if sync.stop_sale_id is not None:
        found["stop_sale_id"] = sync.stop_sale_id
    if sync.trace is not None:
        found["trace_id"] = sync.trace.trace_id
    return found
