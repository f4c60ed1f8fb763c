"""The dashboard's questions as Grafana asks them of a Prometheus, and what comes back.

Grafana's part is small: it chooses a step, puts values in the place of variables, and names each
series by the panel's legend. It must not forgive: a variable that Grafana would not know raises,
and so does a question that Prometheus refuses.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Self

import httpx2

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "sedna-sync.json"
#: What a choice of "All" puts in the place of `$job`.
ALL = ".+"
#: Grafana's, of a panel that says none.
_MAX_POINTS = 500
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def read() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def queries(dashboard: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each panel with each of its questions."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel, target


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The time that is looked at, and in which steps."""

    start: float  #: seconds since 1970, like `end`
    end: float
    step: int  #: seconds: Grafana's `$__interval`
    scrape: int  #: seconds between two scrapes: `timeInterval` of Grafana's data source

    @classmethod
    def of(cls, start: float, end: float, *, scrape: int) -> Self:
        """A range as Grafana asks for it: steps no finer than scrapes, and on their multiples."""
        step = max(ceil((end - start) / _MAX_POINTS), scrape)
        return cls(start=start // step * step, end=end // step * step, step=step, scrape=scrape)

    def variables(self) -> dict[str, str]:
        """What Grafana says of itself in a query."""
        rate_interval = max(self.step + self.scrape, 4 * self.scrape)
        return {
            "__interval": f"{self.step}s",
            "__rate_interval": f"{rate_interval}s",
            "__range": f"{round(self.end - self.start)}s",
        }


def substituted(text: str, values: Mapping[str, str]) -> str:
    """The text with values in the place of variables.

    Raises:
        KeyError: a variable has no value.
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel, or one row of a table."""

    name: str  #: by the legend of its query
    labels: Mapping[str, str]
    points: list[tuple[float, float]]  #: seconds since 1970, and what was then

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


def legend_labels(target: Mapping[str, Any]) -> set[str]:
    """The labels that a query's legend names."""
    return set(_LABEL.findall(target["legendFormat"]))


def _legend(template: str, labels: Mapping[str, str]) -> str:
    return _LABEL.sub(lambda found: labels.get(found[1], found[1]), template)


async def ask(
    http: httpx2.AsyncClient, target: Mapping[str, Any], within: Range, *, job: str = ALL
) -> list[Series]:
    """What Prometheus answers to a panel's question: over the range, or of its end.

    Raises:
        ValueError: it refuses the question, or warns of it; says why.
    """
    query = substituted(target["expr"], within.variables() | {"job": job})
    if target["range"]:
        asked: dict[str, Any] = {"start": within.start, "end": within.end, "step": within.step}
        answer = await http.get("/api/v1/query_range", params=asked | {"query": query})
    else:
        answer = await http.get("/api/v1/query", params={"query": query, "time": within.end})
    said = answer.json()
    if said["status"] != "success" or said.get("warnings"):
        raise ValueError(f"{query}: {said.get('error') or said['warnings']}")
    return [
        Series(
            name=_legend(target["legendFormat"], each["metric"]),
            labels=each["metric"],
            points=[(at, float(value)) for at, value in each.get("values") or [each["value"]]],
        )
        for each in said["data"]["result"]
    ]
