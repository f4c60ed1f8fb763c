"""The rows that other packages see, frozen.

Times are aware and in UTC. `kind` is `reservation` or `stop_sale`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from schemas.kinds import Kind
from schemas.trace import TraceContext

#: Of a Kafka message, in order; a header without a value has None.
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]
#: What a replay counts by: (tenant id or '', kind, outcome, code or '').
Count: TypeAlias = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where in Kafka an event stands."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A readable event, ready to be registered."""

    tenant_id: str
    kind: Kind
    business_key: str  #: the voucher, or the stop sale's id as text
    email_id: int | None
    voucher_no: str | None
    stop_sale_id: int | None
    payload: str  #: JSON of the event's data
    content_hash: bytes
    event_id: str
    event_time: datetime | None
    trace: TraceContext | None
    origin: Origin
    lane: str | None  #: None: a stop sale, whose hotel is resolved later
    fingerprint: bytes  #: of the bytes that came, see `consumer.arrivals.fingerprint`

    @property
    def event(self) -> str:
        """Which event it is, of which topic: as `syncs.earlier_events` has it."""
        origin = self.origin
        return f"{origin.topic}:{origin.partition}:{origin.offset}:{self.event_id}"

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two events the same piece of work."""
        return (self.tenant_id, self.kind, self.business_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What `syncs` holds of an identity that has arrived again."""

    id: int
    state: str
    content_hash: bytes
    event_id: str
    origin: Origin
    earlier_events: frozenset[str]  #: `Arrival.event` of those that it was made of before
    in_doubt_since: datetime | None
    generation: int
    error_code: str | None
    replay_id: int | None  #: which replay has registered it, or tried it anew
    replayed: bool  #: it gives way to live work


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The place that an arrival was given."""

    id: int
    seq: int
    generation: int
    registered_at: datetime
    in_doubt_since: datetime | None = None
    doubted_payload: str | None = field(default=None, repr=False)
    dispatch_token: str | None = None
    sedna_rec_id: int | None = None
    sedna_hotel_id: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """One tenant's pending work of one kind in one partition of origin, live or replayed."""

    kind: Kind
    partition: int
    tenant_id: str
    replayed: bool = False  #: it gives way to the live one


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSync:
    """A sync that waits for its turn, as it stands in `syncs`."""

    id: int
    tenant_id: str
    kind: Kind
    email_id: int | None
    voucher_no: str | None
    stop_sale_id: int | None
    payload: str = field(repr=False)  #: JSON of the event's data
    doubted_payload: str | None = field(repr=False)  #: what is in doubt, where it is not `payload`
    event_id: str
    event_time: datetime | None
    trace: TraceContext | None
    origin: Origin
    seq: int  #: the order of the work
    lane: str | None
    generation: int
    dispatched_at: datetime | None  #: set: a create was perhaps sent
    in_doubt_since: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    dispatch_token: str | None
    sedna_rec_id: int | None
    sedna_hotel_id: int | None
    registered_at: datetime
    replayed: bool  #: it gives way to the live work of its tenant
    of_replay: bool  #: it is a replay's, also where it has come live since or a person asked for it

    @property
    def stream(self) -> Stream:
        """Of which it is loaded."""
        return Stream(self.kind, self.origin.partition, self.tenant_id, self.replayed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedStopSale:
    """A stop sale that is in Sedna."""

    id: int
    stop_sale_id: int
    payload: str = field(repr=False)  #: JSON of the event's data


@dataclass(frozen=True, slots=True)
class Holding:
    """The right to work on a partition: what each write of its holder carries."""

    topic: str
    partition: int
    epoch: int  #: grows with each change of hands


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The wish to send a create."""

    sync_id: int
    tenant_id: str
    generation: int
    hotel_id: int
    token: str  #: the attempt's own, so that repeating a lost commit's mark is no refusal
    doubt_since: datetime | None  #: of a doubt that was settled: Sedna surely lacks the record
    holding: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedLane:
    """The lane of a stop sale whose hotel was resolved."""

    sync_id: int
    tenant_id: str
    generation: int
    lane: str
    holding: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOne:
    """The record that step 1 of a stop sale made."""

    sync_id: int
    tenant_id: str
    rec_id: int
    hotel_id: int
    holding: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An event that could not be read, byte for byte."""

    origin: Origin
    timestamp: datetime | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    digest: bytes
    tenant_id: str | None
    event_id: str | None
    error_code: str
    error_message: str
    error_details: str | None  #: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that goes to Kafka through the outbox."""

    kind: Kind
    partition: int  #: of origin; its owner publishes
    tenant_id: str | None
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A message as the outbox holds it until Kafka has acknowledged it."""

    id: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result event of a settlement."""

    topic: str
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a sync is about, to be put back in place of a new event's that came too late."""

    email_id: int | None
    payload: str = field(repr=False)  #: JSON of the event's data
    content_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of one attempt, as it is written."""

    sync_id: int
    tenant_id: str
    generation: int
    token: str | None  #: of the latest mark that the settling process knows; fences out all others
    holding: Holding  #: of the settling process
    attempt: int  #: from 1
    state: str  #: `pending`, `synced` or `failed`
    outcome: str  #: `synced`, `failed`, `retry` or `in_doubt`
    started_at: datetime
    finished_at: datetime
    next_attempt_at: datetime | None = None
    in_doubt_since: datetime | None = None
    rec_id: int | None = None
    hotel_id: int | None = None
    adopted: bool = False
    error_code: str | None = None
    error_message: str | None = None
    error_details: str | None = None  #: JSON
    answer: Answer | None = None
    message: str | None = None  #: of the result, if it is synced
    answered_otherwise: bool = False  #: the answer does not say what the row says, and is kept
    restored: Content | None = None  #: None: the content stays as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What `syncs` remembers of a settled sync's result."""

    sync_id: int
    tenant_id: str
    kind: Kind
    email_id: int | None
    stop_sale_id: int | None
    voucher_no: str | None
    generation: int
    attempts: int
    event_id: str
    origin: Origin
    trace: TraceContext | None
    state: str  #: `synced` or `failed`
    rec_id: int | None
    hotel_id: int | None
    adopted: bool
    error_code: str | None
    error_message: str | None
    error_details: str | None  #: JSON
    message: str | None
    event: bytes | None  #: as it was published, where it is not as the row says
    hotel_name: str  #: as the event has it
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """A tenant's account at Sedna; the password is still encrypted."""

    tenant_id: str
    sedna_api_url: str
    sedna_username: str
    sedna_password_encrypted: bytes = field(repr=False)
    sedna_operator_id: int | None = None  #: None: learned at login
    sedna_operator_code: str | None = None
    sedna_authority_id: int = 207
    is_active: bool = True
    max_in_flight: int | None = None  #: None: the service's default
    requests_per_second: float | None = None  #: None: no limit
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HotelMapping:
    """A person's word on which hotel a spelling means."""

    name_key: str  #: what all its spellings have in common; see `consumer.sedna.matching`
    name: str  #: as the person wrote it
    hotel_id: int  #: Sedna's
    created_at: datetime | None = None  #: None: not read


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBreaker:
    """A tenant for whom nothing is sent at present."""

    tenant_id: str
    reason: str  #: `login_refused`, `session_refused`, `throttled` or `failures`
    last_error: str
    failures: int  #: in a row
    opened_at: datetime
    open_until: datetime  #: when one probe is sent
