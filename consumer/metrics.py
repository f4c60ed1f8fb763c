"""What the service counts and measures, for Prometheus.

A registry of its own, built with the service. It must never be rendered on the way of an event:
that takes as long as there are series.
"""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest

_PREFIX = "sedna_sync"


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build_info = Gauge(
            "build_info",
            "Always 1; the labels say what runs.",
            ["version"],
            namespace=_PREFIX,
            registry=self.registry,
        )
        build_info.labels(version=version("sedna-sync")).set(1)

    def render(self) -> bytes:
        """All metrics as text; takes its time, so call it in a thread."""
        return generate_latest(self.registry)
