"""What `/metrics` says: exact names, help, units and buckets, and never more series than that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from consumer.breaker import BreakerPolicy, Reason
from consumer.gates import Gates
from consumer.gauges import BacklogGauges, LagGauges, ServiceStanding
from consumer.metrics import (
    END_TO_END_BUCKETS,
    EVENT_OUTCOMES,
    REQUEST_BUCKETS,
    BacklogShare,
    Metrics,
)
from consumer.sedna.calls import CallDetails
from consumer.sedna.errors import LoginRefused
from consumer.sedna.exchange import RESULTS
from consumer.sedna.operations import Operation
from db.pool import Pool
from db.records import TenantSettings
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
TOPICS = {Kind.RESERVATION: "reservation.created", Kind.STOP_SALE: "stopsale.created"}
#: Name as it is exposed, type, labels.
DECLARED = {
    "sedna_sync_events_total": ("counter", {"topic", "outcome"}),
    "sedna_sync_settled_total": ("counter", {"kind", "outcome", "code"}),
    "sedna_sync_sedna_requests_total": ("counter", {"operation", "result"}),
    "sedna_sync_sedna_request_seconds": ("histogram", {"operation"}),
    "sedna_sync_end_to_end_seconds": ("histogram", {"kind"}),
    "sedna_sync_pending": ("gauge", {"kind"}),
    "sedna_sync_oldest_pending_seconds": ("gauge", {"kind"}),
    "sedna_sync_in_doubt": ("gauge", set()),
    "sedna_sync_outbox_unpublished": ("gauge", set()),
    "sedna_sync_consumer_lag": ("gauge", {"topic", "partition"}),
    "sedna_sync_tenant_blocked": ("gauge", {"tenant", "reason"}),
    "sedna_sync_build_info": ("gauge", {"version"}),
}
#: The order in which the tests name the values of labels.
ORDER = [
    *("topic", "partition", "kind", "operation", "tenant"),
    *("outcome", "code", "result", "reason", "le"),
]
SHARE = BacklogShare(
    pending={Kind.RESERVATION: 3, Kind.STOP_SALE: 0},
    oldest_pending_seconds={Kind.RESERVATION: 7.5, Kind.STOP_SALE: 0.0},
    in_doubt=2,
    unpublished=4,
)


@dataclass
class Known:
    """How things stand, said outright."""

    share: BacklogShare | None = SHARE
    behind: Mapping[tuple[str, int], int] = field(
        default_factory=lambda: {("reservation.created", 3): 17}
    )
    shut: Mapping[str, str] = field(default_factory=lambda: {"agency-7": "login_refused"})

    def backlog(self) -> BacklogShare | None:
        return self.share

    def lag(self) -> Mapping[tuple[str, int], int]:
        return self.behind

    def blocked(self) -> Mapping[str, str]:
        return self.shut


def exposed(metrics: Metrics) -> dict[str, Metric]:
    """What a scrape reads, by the name that the text declares."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        family.name + ("_total" if family.type == "counter" else ""): family for family in families
    }


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one exposed name, by the values of their labels."""
    return {
        tuple(sample.labels[label] for label in ORDER if label in sample.labels): sample.value
        for family in exposed(metrics).values()
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    made.of_topics(TOPICS)
    made.show(Known())
    return made


def test_every_metric_of_the_design_is_there_under_its_exact_name_and_no_other(
    metrics: Metrics,
) -> None:
    found = {
        name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for name, family in exposed(metrics).items()
    }
    assert found == DECLARED


def test_the_metrics_page_names_every_metric_with_its_type_and_labels() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", PAGE.read_text("utf-8"), flags=re.MULTILINE
    )
    assert len(rows) == len(DECLARED)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == DECLARED


@pytest.mark.parametrize(
    "said", [*EVENT_OUTCOMES, *RESULTS, *(reason.value for reason in Reason)], ids=str
)
def test_the_metrics_page_explains_every_value_of_a_label(said: str) -> None:
    assert f"`{said}`" in PAGE.read_text("utf-8")


def test_every_metric_has_a_help_text_of_a_sentence(metrics: Metrics) -> None:
    for name, family in exposed(metrics).items():
        assert family.documentation.endswith("."), name
        if name.endswith("_seconds"):
            assert family.documentation.startswith("Seconds"), name


def test_no_series_says_when_another_was_created(metrics: Metrics) -> None:
    assert b"_created" not in metrics.render().replace(b"reservation.created", b"").replace(
        b"stopsale.created", b""
    )


@pytest.mark.parametrize(
    "name, buckets, first, last",
    [
        ("sedna_sync_sedna_request_seconds", REQUEST_BUCKETS, 0.05, 60),
        ("sedna_sync_end_to_end_seconds", END_TO_END_BUCKETS, 0.05, 24 * 3600),
    ],
)
def test_buckets_span_what_can_happen(
    metrics: Metrics, name: str, buckets: tuple[float, ...], first: float, last: float
) -> None:
    bounds = {
        float(sample.labels["le"])
        for sample in exposed(metrics)[name].samples
        if sample.name.endswith("_bucket")
    }
    assert bounds == {*buckets, float("inf")}
    assert (buckets[0], buckets[-1]) == (first, last)
    assert list(buckets) == sorted(set(buckets))


def test_what_can_be_counted_is_at_zero_from_the_start(metrics: Metrics) -> None:
    assert values(metrics, "sedna_sync_events_total") == {
        (topic, outcome): 0 for topic in TOPICS.values() for outcome in EVENT_OUTCOMES
    }
    codes = [("synced", ""), *(("failed", code.value) for code in ErrorCode)]
    assert values(metrics, "sedna_sync_settled_total") == {
        (kind.value, *code): 0 for kind in Kind for code in codes
    }
    assert values(metrics, "sedna_sync_sedna_requests_total") == {
        (operation.value.name, result): 0 for operation in Operation for result in RESULTS
    }


def test_the_events_of_a_batch_are_counted_by_topic_and_outcome(metrics: Metrics) -> None:
    count = metrics.of_topics(TOPICS)
    count({(Kind.RESERVATION, "registered"): 480, (Kind.STOP_SALE, "conflict"): 2})
    count({(Kind.RESERVATION, "registered"): 20})
    found = values(metrics, "sedna_sync_events_total")
    assert found["reservation.created", "registered"] == 500
    assert found["stopsale.created", "conflict"] == 2
    assert sum(found.values()) == 502


def test_what_is_settled_is_counted_by_outcome_and_code_and_timed_by_kind(
    metrics: Metrics,
) -> None:
    metrics.settled(Kind.RESERVATION, None, 0.2)
    metrics.settled(Kind.RESERVATION, ErrorCode.HOTEL_NOT_FOUND, 100_000)
    metrics.settled(Kind.STOP_SALE, None, 40)
    found = values(metrics, "sedna_sync_settled_total")
    assert {labels: value for labels, value in found.items() if value} == {
        ("reservation", "synced", ""): 1,
        ("reservation", "failed", "hotel_not_found"): 1,
        ("stop_sale", "synced", ""): 1,
    }
    timed = values(metrics, "sedna_sync_end_to_end_seconds_bucket")
    assert timed["reservation", "0.1"] == 0
    assert timed["reservation", "0.25"] == timed["reservation", "86400.0"] == 1
    assert timed["reservation", "+Inf"] == 2
    assert values(metrics, "sedna_sync_end_to_end_seconds_sum")["stop_sale",] == 40


def test_an_event_from_the_future_took_no_time(metrics: Metrics) -> None:
    metrics.settled(Kind.RESERVATION, None, -3)
    assert values(metrics, "sedna_sync_end_to_end_seconds_sum")["reservation",] == 0


def test_requests_are_counted_by_result_and_timed_if_sedna_had_one(metrics: Metrics) -> None:
    name = Operation.INSERT_RESERVATION.value.name
    for result in RESULTS:
        metrics.called(CallDetails(name, result, 1.0))
    found = values(metrics, "sedna_sync_sedna_requests_total")
    assert {labels: value for labels, value in found.items() if value} == {
        (name, result): 1 for result in RESULTS
    }
    timed = values(metrics, "sedna_sync_sedna_request_seconds_count")
    assert timed[name,] == len(RESULTS - {"not_sent", "interrupted"})


def test_the_backlog_is_shown_as_it_was_counted(metrics: Metrics) -> None:
    assert values(metrics, "sedna_sync_pending") == {("reservation",): 3, ("stop_sale",): 0}
    assert values(metrics, "sedna_sync_oldest_pending_seconds") == {
        ("reservation",): 7.5,
        ("stop_sale",): 0,
    }
    assert values(metrics, "sedna_sync_in_doubt") == {(): 2}
    assert values(metrics, "sedna_sync_outbox_unpublished") == {(): 4}
    assert values(metrics, "sedna_sync_consumer_lag") == {("reservation.created", "3"): 17}
    assert values(metrics, "sedna_sync_tenant_blocked") == {("agency-7", "login_refused"): 1}


@pytest.mark.parametrize("standing", [None, Known(share=None, behind={}, shut={})])
def test_what_is_not_known_is_absent_but_still_explained(standing: Known | None) -> None:
    metrics = Metrics()
    if standing is not None:
        metrics.show(standing)
    found = exposed(metrics)
    for name, (kind, _) in DECLARED.items():
        assert found[name].type == kind
        assert found[name].documentation
        if kind == "gauge" and name != "sedna_sync_build_info":
            assert found[name].samples == []


# -- bounded --------------------------------------------------------------------------------------


class Forgetful:
    """A Postgres that holds nothing."""

    async def fetchrow(self, *_: object) -> None:
        return None

    async def execute(self, *_: object) -> None:
        return None


@dataclass
class StoppedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC)

    def elapsed(self) -> float:
        return 1_000.0


@dataclass
class Nothing:
    """Neither backlog nor lag is known."""

    def share(self) -> None:
        return None

    def lag(self) -> dict[tuple[str, int], int]:
        return {}


def tenant(tenant_id: str) -> TenantSettings:
    return TenantSettings(
        tenant_id=tenant_id,
        sedna_api_url="http://sedna.example/",
        sedna_username="u",
        sedna_password_encrypted=b"sealed",
    )


async def test_ten_thousand_tenants_have_a_series_only_where_their_breaker_is_open() -> None:
    gates = Gates(
        pool=cast("Pool", Forgetful()),
        clock=StoppedClock(),
        policy=BreakerPolicy(failures=5, cool_down=30, longest=300),
        on_shut=lambda *_: None,
        on_open=lambda _: None,
    )
    worked_for = [f"agency-{number}" for number in range(10_000)]
    metrics = Metrics()
    count = metrics.of_topics(TOPICS)
    nothing = cast("Any", Nothing())
    metrics.show(
        ServiceStanding(
            backlog=cast("BacklogGauges", nothing),
            lag=cast("LagGauges", nothing),
            blocked=gates.reasons,
            worked_for=lambda: worked_for,
        )
    )
    before = series(metrics)
    for tenant_id in worked_for:
        gate = await gates.of(tenant(tenant_id))
        leave = gate.enter(Operation.LOGIN)
        leave(LoginRefused("no") if tenant_id in worked_for[7:10] else None)
        for result in RESULTS:
            metrics.called(CallDetails(Operation.LOGIN.value.name, result, 0.1))
        count({(kind, outcome): 1 for kind in Kind for outcome in EVENT_OUTCOMES})
        for kind in Kind:
            metrics.settled(kind, ErrorCode.GAVE_UP, 1.0)
    assert series(metrics) == before + 3
    assert values(metrics, "sedna_sync_tenant_blocked") == {
        (tenant_id, "login_refused"): 1 for tenant_id in worked_for[7:10]
    }
    assert before < 500

    # Another process works for it by now, and says so itself; the next one's account was mended.
    worked_for.remove("agency-8")
    gates.drop("agency-9")
    assert values(metrics, "sedna_sync_tenant_blocked") == {("agency-7", "login_refused"): 1}
    await gates.aclose()


def series(metrics: Metrics) -> int:
    return sum(len(family.samples) for family in exposed(metrics).values())


def test_no_other_metric_names_a_tenant(metrics: Metrics) -> None:
    naming = {
        name
        for name, family in exposed(metrics).items()
        if any("tenant" in sample.labels for sample in family.samples)
    }
    assert naming == {"sedna_sync_tenant_blocked"}
