"""What the service counts and measures, for Prometheus: every metric, declared here alone.

A registry of its own, built with the service. It must never be rendered on the way of an event:
that takes as long as there are series. Their number is bounded: no label is a tenant's, but for
those whose breaker is open. Whatever can be counted is there from the start, at zero, so that the
first of a kind is seen as a rise.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from consumer.instruments import Counts, Times
from consumer.sedna.calls import CallDetails
from consumer.sedna.exchange import RESULTS, UNANSWERED
from consumer.sedna.operations import Operation
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

_PREFIX: Final = "sedna_sync"

#: What becomes of an event that was read.
EVENT_OUTCOMES: Final = ("registered", "duplicate", "conflict", "rejected")
#: Seconds; a request may take `REQUEST_TIMEOUT`, 30 by default.
REQUEST_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
#: Seconds, up to the 24 hours after which it is given up by default.
END_TO_END_BUCKETS: Final = (
    *(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    *(60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400),
)
#: `settled_total` of what is synced has no code.
_NO_CODE: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogShare:
    """The part of the backlog that one process answers for."""

    pending: Mapping[Kind, int]
    oldest_pending_seconds: Mapping[Kind, float]  #: 0 where nothing is pending
    in_doubt: int
    unpublished: int


class Standing(Protocol):
    """How things stand now. Asked in another thread than the loop's; it must not wait."""

    def backlog(self) -> BacklogShare | None:
        """The share of this process; None: it is not known."""

    def lag(self) -> Mapping[tuple[str, int], int]:
        """Events that are not read yet, by topic and partition, as far as it is known."""

    def blocked(self) -> Mapping[str, str]:
        """The tenants for which nothing is sent, and why."""


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        # A second series for each that nobody looks at; the library has one switch for all.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library lacks the type
        self.registry = CollectorRegistry()
        build_info = Gauge(
            "build_info",
            "Always 1; the labels say what runs.",
            ["version"],
            namespace=_PREFIX,
            registry=self.registry,
        )
        build_info.labels(version=version("sedna-sync")).set(1)
        self._events = Counter(
            "events_total",
            "Events that were read and stored, by input topic and by what became of them "
            f"({', '.join(EVENT_OUTCOMES)}).",
            ["topic", "outcome"],
            namespace=_PREFIX,
            registry=self.registry,
        )
        self._settled = Counts(
            f"{_PREFIX}_settled_total",
            "Syncs that were settled, by what their event was answered (synced or failed) and, "
            "where they failed, the code.",
            ["kind", "outcome", "code"],
            {
                (kind, code): (kind.value, outcome, code)
                for kind in Kind
                for outcome, code in [
                    ("synced", _NO_CODE),
                    *(("failed", code) for code in ErrorCode),
                ]
            },
        )
        names = [operation.value.name for operation in Operation]
        self._requests = Counts(
            f"{_PREFIX}_sedna_requests_total",
            "Requests to Sedna, by operation and result.",
            ["operation", "result"],
            {(name, result): (name, result) for name in names for result in RESULTS},
        )
        self._request_seconds = Times(
            f"{_PREFIX}_sedna_request_seconds",
            "Seconds from a request to Sedna to the end of its reply, or until it was given up; "
            "without those that were not sent.",
            "operation",
            {name: name for name in names},
            REQUEST_BUCKETS,
        )
        self._end_to_end = Times(
            f"{_PREFIX}_end_to_end_seconds",
            "Seconds from the time of an event (where it names none: from its registration) until "
            "it was settled.",
            "kind",
            {kind: kind.value for kind in Kind},
            END_TO_END_BUCKETS,
        )
        self._standing = _StandingGauges()
        for each in (
            self._settled,
            self._requests,
            self._request_seconds,
            self._end_to_end,
            self._standing,
        ):
            self.registry.register(each)

    def of_topics(
        self, topics: Mapping[Kind, str]
    ) -> Callable[[Mapping[tuple[Kind, str], int]], None]:
        """What counts the events of batches, by kind and outcome, under these topics' names."""
        children = {
            (kind, outcome): self._events.labels(topic, outcome)
            for kind, topic in topics.items()
            for outcome in EVENT_OUTCOMES
        }

        def count(seen: Mapping[tuple[Kind, str], int]) -> None:
            for which, number in seen.items():
                children[which].inc(number)

        return count

    def settled(self, kind: Kind, code: ErrorCode | None, seconds: float) -> None:
        """Count a sync that is settled, and committed as such.

        Args:
            kind: of the sync.
            code: why it failed; None: it is synced.
            seconds: since its event; clocks may differ, so it can be below zero.
        """
        self._settled.add(kind, _NO_CODE if code is None else code)
        self._end_to_end.add(kind, seconds if seconds > 0 else 0.0)

    def called(self, call: CallDetails) -> None:
        """Count a request to Sedna."""
        self._requests.add(call.operation, call.result)
        if call.result not in UNANSWERED:
            self._request_seconds.add(call.operation, call.seconds)

    def show(self, standing: Standing) -> None:
        """Say from where to take how things stand; before that nothing is said of it."""
        self._standing.source = standing

    def render(self) -> bytes:
        """All metrics as text; takes its time, so call it in a thread."""
        return generate_latest(self.registry)


class _StandingGauges(Collector):
    """Gauges that are absent while their numbers are not known: an old number would be a lie."""

    def __init__(self) -> None:
        self.source: Standing | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        source = self.source
        share = None if source is None else source.backlog()
        lag = {} if source is None else source.lag()
        blocked = {} if source is None else source.blocked()
        return [
            _gauge(
                "pending",
                "Syncs that are registered and not settled, those in doubt included, in the "
                "partitions whose leases this process holds.",
                ["kind"],
                [] if share is None else [((kind,), n) for kind, n in share.pending.items()],
            ),
            _gauge(
                "oldest_pending_seconds",
                "Seconds since the oldest pending sync of those partitions was registered; 0 where "
                "none is pending.",
                ["kind"],
                []
                if share is None
                else [((kind,), age) for kind, age in share.oldest_pending_seconds.items()],
            ),
            _gauge(
                "in_doubt",
                "Pending syncs of those partitions of which Sedna was perhaps sent a create whose "
                "outcome is unknown.",
                [],
                [] if share is None else [((), share.in_doubt)],
            ),
            _gauge(
                "outbox_unpublished",
                "Messages of those partitions that Kafka has not acknowledged yet.",
                [],
                [] if share is None else [((), share.unpublished)],
            ),
            _gauge(
                "consumer_lag",
                "Events of a partition that is assigned to this process which are not read yet.",
                ["topic", "partition"],
                lag.items(),
            ),
            _gauge(
                "tenant_blocked",
                "1 for each tenant whose breaker is open, or whose account cannot be used: nothing "
                "is sent for it, but for a probe now and then.",
                ["tenant", "reason"],
                [(which, 1) for which in blocked.items()],
            ),
        ]


def _gauge(
    name: str,
    help_text: str,
    labels: Sequence[str],
    samples: Iterable[tuple[tuple[object, ...], float]],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=labels)
    for label_values, value in samples:
        family.add_metric([str(each) for each in label_values], value)
    return family
