"""Our counter and histogram show what those of `prometheus_client` show, to the letter."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

from consumer.instruments import Counts, Times

BUCKETS = (0.05, 0.1, 0.25, 1, 2.5, 30, 86_400)
OPERATIONS = ("login", "get_hotels")
RESULTS = ("ok", "failed")

seconds = st.sampled_from([0.0, *BUCKETS]) | st.floats(min_value=0, max_value=1e6)

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library lacks it


def shown(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), seconds)))
def test_a_histogram_shows_what_the_librarys_own_shows(took: Sequence[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    times = Times("took_seconds", "How long.", "operation", {o: o for o in OPERATIONS}, BUCKETS)
    ours.register(times)
    histogram = Histogram(
        "took_seconds", "How long.", ["operation"], registry=theirs, buckets=BUCKETS
    )
    for operation in OPERATIONS:
        histogram.labels(operation)
    for operation, each in took:
        times.add(operation, each)
        histogram.labels(operation).observe(each)
    assert shown(ours) == shown(theirs)


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(RESULTS))))
def test_a_counter_shows_what_the_librarys_own_shows(happened: Sequence[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    labels = ["operation", "result"]
    series = {(o, r): (o, r) for o in OPERATIONS for r in RESULTS}
    counts = Counts("requests_total", "How many.", labels, series)
    ours.register(counts)
    counter = Counter("requests_total", "How many.", labels, registry=theirs)
    for each in series:
        counter.labels(*each)
    for each in happened:
        counts.add(*each)
        counter.labels(*each).inc()
    assert shown(ours) == shown(theirs)
