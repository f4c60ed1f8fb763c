"""A counter and a histogram for what happens with each event.

They show what those of `prometheus_client` show, to the letter, and are shown by its registry.
Those take a lock and several calls each, which was most of what metrics cost. These
must be added to by one thread only; another that reads them meanwhile may miss the last event.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Counts(Collector):
    """A counter with labels, each series of which is there from the start."""

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        series: Mapping[tuple[str, str], Sequence[str]],
    ) -> None:
        """Build it.

        Args:
            name: with its prefix, and `_total`.
            help_text: a sentence.
            labels: their names.
            series: their values, by what is counted.
        """
        self._about = name, help_text, labels
        self._series = series
        self._values = dict.fromkeys(series, 0)

    def add(self, first: str, second: str) -> None:
        """Count one."""
        self._values[first, second] += 1

    def collect(self) -> Iterable[CounterMetricFamily]:
        """What was counted, for a scrape."""
        name, help_text, labels = self._about
        family = CounterMetricFamily(name, help_text, labels=labels)
        for key, values in self._series.items():
            family.add_metric(values, self._values[key])
        return [family]


class Times(Collector):
    """A histogram with one label, each series of which is there from the start."""

    def __init__(
        self,
        name: str,
        help_text: str,
        label: str,
        series: Mapping[str, str],
        buckets: Sequence[float],
    ) -> None:
        """Build it.

        Args:
            name: with its prefix, and its unit.
            help_text: a sentence.
            label: its name.
            series: its values, by what is timed.
            buckets: upper bounds in seconds, ascending, each included; without infinity.
        """
        self._about = name, help_text, [label]
        self._series = series
        self._buckets = buckets
        self._bounds = [_bound(each) for each in (*buckets, math.inf)]
        self._counts = {key: [0] * len(self._bounds) for key in series}
        self._sums = dict.fromkeys(series, 0.0)

    def add(self, key: str, seconds: float) -> None:
        """Count one that took so long."""
        self._counts[key][bisect_left(self._buckets, seconds)] += 1
        self._sums[key] += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What was timed, for a scrape."""
        name, help_text, labels = self._about
        family = HistogramMetricFamily(name, help_text, labels=labels)
        for key, value in self._series.items():
            up_to = itertools.accumulate(self._counts[key])
            buckets = list(zip(self._bounds, up_to, strict=True))
            family.add_metric([value], buckets, self._sums[key])
        return [family]


def _bound(seconds: float) -> str:
    text: str = floatToGoString(seconds)  # type: ignore[no-untyped-call]  # the library lacks it
    return text
