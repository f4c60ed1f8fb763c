"""Draws docs/dashboard.png: `make picture`.

A quarter of an hour of real traffic, with two real processes and a real Prometheus that scrapes
them; then each panel's own question from the dashboard's JSON, and its answer drawn where Grafana
would show it. It is no screenshot of Grafana and must not be passed off as one.

Exit codes: 0 drawn, 2 used wrongly or no server can be had.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx2

from tests.support.dashboard import Range, ask, queries, read
from tests.support.prometheus import scraping
from tests.support.servers import Unavailable
from tools.picture.sheet import draw
from tools.picture.story import story

_CHECKOUT = Path(__file__).resolve().parent.parent
_RULES = _CHECKOUT / "deploy" / "prometheus" / "alerts.yml"
_ANSWERS = _CHECKOUT / "build" / "dashboard-answers.json"
_PICTURE = _CHECKOUT / "docs" / "dashboard.png"
#: Seconds between two scrapes, and of quiet before the traffic.
_SCRAPE, _QUIET = 5, 30


def main() -> int:
    """Does it."""
    parser = argparse.ArgumentParser(prog="make picture", description=__doc__)
    parser.add_argument("--again", action="store_true", help="draw the last answers, run nothing")
    if not parser.parse_args().again:
        # What the clients say of a server that is away is no news.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        try:
            answers = asyncio.run(_gather())
        except Unavailable as reason:
            sys.stderr.write(f"no server to draw from: {reason}\n")
            return 2
        _ANSWERS.parent.mkdir(exist_ok=True)
        _ANSWERS.write_text(json.dumps(answers), "utf-8")
    draw(read(), json.loads(_ANSWERS.read_text("utf-8")), _PICTURE)
    _say(f"{_PICTURE}: {_PICTURE.stat().st_size / 1000:.0f} kB")
    return 0


async def _gather() -> dict[str, Any]:
    """What the panels show of the story, by their ids; times in seconds since 1970."""
    _say("starting Kafka, Postgres, the fake Sedna and two processes")
    async with story() as told:
        targets = [await service.address() for service in told.here.services]
        async with (
            scraping(targets, job="sedna-sync", seconds=_SCRAPE, rules=_RULES) as url,
            httpx2.AsyncClient(base_url=url, trust_env=False) as http,
        ):
            _say("Prometheus scrapes them; a quarter of an hour of traffic from here on")
            await asyncio.sleep(_QUIET)
            start = time.time()
            await told.tell()
            return await _answers(http, start)


async def _answers(http: httpx2.AsyncClient, start: float) -> dict[str, Any]:
    within = Range.of(start - _QUIET / 2, time.time(), scrape=_SCRAPE)
    dashboard = read()
    panels: dict[int, list[dict[str, Any]]] = {}
    for panel, target in queries(dashboard):
        found = await ask(http, target, within)
        panels.setdefault(panel["id"], []).extend(asdict(each) for each in found)
    _, alerts = dashboard["annotations"]["list"]
    fired = await ask(http, alerts | {"range": True, "legendFormat": ""}, within)
    window = {"start": start, "first": within.start, "last": within.end, "step": within.step}
    return {"window": window | {"fired": [asdict(each) for each in fired]}, "panels": panels}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
