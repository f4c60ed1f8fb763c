"""`/healthz`, `/readyz` and `/metrics`: for machines that look after the process, without a token.

They show nothing of any tenant. HEAD is answered as GET, without the body.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from consumer.api.models import Alive, Ready
from consumer.api.problems import RETRY_AFTER, problem
from consumer.api.replies import problems
from consumer.metrics import Metrics
from consumer.readiness import Readiness
from consumer.sedna.single_flight import SingleFlight

_Probe = TypeVar("_Probe", bound=Callable[[], Awaitable[Any]])


def add_routes(app: FastAPI, *, readiness: Readiness, metrics: Metrics) -> None:
    """Add the routes, of this process."""
    rendering: SingleFlight[bytes] = SingleFlight()

    def probe(path: str, **described: Any) -> Callable[[_Probe], _Probe]:
        def add(answer: _Probe) -> _Probe:
            for method, name in (("GET", answer.__name__), ("HEAD", f"{answer.__name__}_head")):
                app.add_api_route(
                    path, answer, methods=[method], name=name, tags=["probes"], **described
                )
            return answer

        return add

    @probe(
        "/healthz",
        summary="Whether the process is alive",
        responses=problems(500, 503),
    )
    async def healthz() -> Alive:
        """Says that the loop runs, and asks nobody: to start it anew would mend no database."""
        return Alive()

    @probe(
        "/readyz",
        summary="Whether the process is fit for work",
        response_model=Ready,
        responses=problems(500, 503),
    )
    async def readyz() -> Ready | Response:
        """503 names what is missing: `postgres`, `kafka`, `assignment`, `stopping`."""
        missing = await readiness.missing()
        if missing:
            return problem(
                503, f"missing: {', '.join(missing)}", headers={"Retry-After": RETRY_AFTER}
            )
        return Ready()

    @probe(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses=problems(500, 503)
        | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def show_metrics() -> Response:
        """In the text format of Prometheus."""
        # In a thread, and once for all who ask meanwhile.
        text = await rendering.do(lambda: asyncio.to_thread(metrics.render))
        return Response(text, media_type=CONTENT_TYPE_LATEST)
