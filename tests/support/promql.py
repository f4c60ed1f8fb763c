"""What an expression names, against what the service exposes: metrics, labels and their values.

Not a parser: it reads selectors, and the labels that operators name. Whether an expression is valid
at all is promtool's to say.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from consumer.accounts import Unusable
from consumer.breaker import Reason
from consumer.metrics import BacklogShare, Metrics
from schemas.kinds import Kind

#: Labels that Prometheus gives to whatever it scrapes.
OF_PROMETHEUS = {"job", "instance"}
#: Whose values are anybody's.
_FREE = {"tenant", "partition", "version", "topic", "le", *OF_PROMETHEUS}
_TOPICS = {Kind.RESERVATION: "reservation.created", Kind.STOP_SALE: "stopsale.created"}
_NAME = re.compile(r"\b(?P<name>sedna_sync_[a-z_]+)\b(?:\s*\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([\w\s,]*)\)")


class _Everything:
    """A standing in which each gauge has a series."""

    def backlog(self) -> BacklogShare:
        each = dict.fromkeys(Kind, 1)
        return BacklogShare(pending=each, oldest_pending_seconds=each, in_doubt=1, unpublished=1)

    def lag(self) -> Mapping[tuple[str, int], int]:
        return {(topic, 0): 1 for topic in _TOPICS.values()}

    def blocked(self) -> Mapping[str, str]:
        reasons = [*Reason, *Unusable]
        return {f"agency-{number}": reason.value for number, reason in enumerate(reasons)}


@cache
def families() -> tuple[Metric, ...]:
    """The metrics of a process in which each has a series."""
    metrics = Metrics()
    metrics.of_topics(_TOPICS)
    metrics.show(_Everything())
    return tuple(text_string_to_metric_families(metrics.render().decode()))


@cache
def exposed() -> dict[str, dict[str, set[str]]]:
    """The labels of each series that a process can have, and their values, by the series' name."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in families():
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each metric of ours that is named, and its matchers: label, and value or pattern."""
    for found in _NAME.finditer(expression):
        matchers = _MATCHER.findall(found["matchers"] or "")
        yield found["name"], [(label, value) for label, _, value in matchers]


def groupings(expression: str) -> set[str]:
    """The labels by which it groups or joins."""
    named = _GROUPING.findall(expression)
    return {label.strip() for labels in named for label in labels.split(",") if label.strip()}


def mistakes(expression: str) -> list[str]:
    """What it names and no process exposes; empty if all is there."""
    known = exposed()
    wrong = []
    labels = set(OF_PROMETHEUS)
    for name, matchers in selectors(expression):
        if name not in known:
            wrong.append(f"there is no {name}")
            continue
        labels |= known[name].keys()
        for label, pattern in matchers:
            if label not in known[name].keys() | OF_PROMETHEUS:
                wrong.append(f"{name} has no label {label}")
            elif label not in _FREE:
                values = set(pattern.split("|")) - known[name][label]
                wrong += [f"{label} of {name} is never {value}" for value in sorted(values)]
    return wrong + [f"no label {label} to group by" for label in groupings(expression) - labels]
