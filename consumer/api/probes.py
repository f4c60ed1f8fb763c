"""`/healthz`, `/readyz` and `/metrics`: for machines that look after the process, without a token.

They show nothing of any tenant.
"""

import asyncio

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from consumer.api.models import Alive, Ready
from consumer.api.problems import RETRY_AFTER, problem
from consumer.api.replies import problems
from consumer.metrics import Metrics
from consumer.readiness import Readiness
from consumer.sedna.single_flight import SingleFlight


def routes(*, readiness: Readiness, metrics: Metrics) -> APIRouter:
    """The routes, of this process."""
    router = APIRouter(tags=["probes"], responses=problems(500, 503))
    rendering: SingleFlight[bytes] = SingleFlight()

    @router.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> Alive:
        """Says that the loop runs, and asks nobody: to start it anew would mend no database."""
        return Alive()

    @router.get("/readyz", summary="Whether the process is fit for work", response_model=Ready)
    async def readyz() -> Ready | Response:
        """503 names what is missing: `postgres`, `kafka`, `assignment`, `stopping`."""
        missing = await readiness.missing()
        if missing:
            return problem(
                503, f"missing: {', '.join(missing)}", headers={"Retry-After": RETRY_AFTER}
            )
        return Ready()

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def show_metrics() -> Response:
        """In the text format of Prometheus."""
        # In a thread, and once for all who ask meanwhile.
        text = await rendering.do(lambda: asyncio.to_thread(metrics.render))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router
