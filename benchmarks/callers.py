"""Many callers of the HTTP API at once, as a process of their own: `python -m benchmarks.callers`.

Each of them asks again as soon as it is answered: for the list, for one sync of it, and then for
that one to be synced. They end when standard input does, and say as JSON what they were answered.
HTTP is written by hand, so that they take as little as can be of what the service needs.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.setting import percentile
from tests.support.api import bearer

_LIST = "/api/sedna/syncs?limit=20"
#: One list of so many is of what has failed, which is then tried again.
_FAILED_EVERY = 5


class Caller:
    """One caller with one connection."""

    def __init__(self, tenant: str, seed: int, answers: "Answers") -> None:
        self._token = bearer(tenant)["authorization"]
        self._draws = random.Random(seed)
        self._answers = answers

    async def call(self, port: int) -> None:
        """Ask again and again."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(method: str, path: str) -> Any:
            started = time.perf_counter()
            writer.write(
                f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n"
                f"authorization: {self._token}\r\n\r\n".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
            body = await reader.readexactly(int(fields["content-length"]))
            self._answers.add(int(head.split(" ", 2)[1]), time.perf_counter() - started)
            return json.loads(body)

        try:
            while True:
                of_failed = self._draws.randrange(_FAILED_EVERY) == 0
                listed = await ask("GET", _LIST + ("&state=failed" if of_failed else ""))
                if items := listed.get("items"):
                    one = self._draws.choice(items)
                    await ask("GET", f"/api/sedna/syncs/{one['id']}")
                    await ask("POST", f"/api/sedna/sync/reservation/{one['email_id']}")
        finally:
            writer.close()


class Answers:
    """What all callers were answered."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._started = time.perf_counter()

    def add(self, status: int, seconds: float) -> None:
        self._statuses[status] += 1
        self._seconds.append(seconds)

    def as_json(self) -> dict[str, Any]:
        elapsed = time.perf_counter() - self._started
        return {
            "per_second": len(self._seconds) / elapsed,
            "p50": percentile(self._seconds, 0.5),
            "p99": percentile(self._seconds, 0.99),
            "statuses": self._statuses,
        }


async def run(*, port: int, count: int, tenants: Sequence[str]) -> dict[str, Any]:
    """Let them call until standard input ends."""
    answers = Answers()
    async with asyncio.TaskGroup() as group:
        callers = [
            group.create_task(Caller(tenants[n % len(tenants)], n, answers).call(port))
            for n in range(count)
        ]
        await asyncio.to_thread(sys.stdin.read)
        for each in callers:
            each.cancel()
    return answers.as_json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("tenants", nargs="+")
    options = parser.parse_args()
    found = uvloop.run(run(port=options.port, count=options.count, tenants=options.tenants))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
