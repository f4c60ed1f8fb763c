"""The two bare HTTP clients side by side: what one POST of a reservation costs.

`own` gives requests to `SednaTransport`, `httpx2` is `httpx2.AsyncClient` as it comes; both
with a small pool per tenant and one SSL context for all. Needs a server to POST to, such as
`benchmarks.stub`. Prints one line of JSON.

    python -m benchmarks.clients --client own --url http://127.0.0.1:PORT/api --requests 10000
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import httpx2
import uvloop

from consumer.sedna.http1 import build_request
from consumer.sedna.transport import SednaTransport, build_ssl_context

TIMEOUT = {"connect": 5.0, "read": 30.0, "write": 30.0, "pool": None}
PATH = "/Integratiion/InsertReservation?username=bench&password=bench&voucherNo=JNP123456"


@dataclass(frozen=True, slots=True)
class Measured:
    client: str
    loop: str
    requests: int
    seconds: float
    rate: float  #: requests per second
    cpu_us_per_request: float  #: of this process, user and system


def reservation() -> bytes:
    """A body as the service sends it: one room, two guests, about 900 bytes."""
    guest = {
        "Title": "Mr",
        "FirstName": "ANDREAS",
        "LastName": "SCHNEIDER",
        "BirthDate": "1984-03-12",
        "Age": 42,
        "PassNo": "C01X00T47",
        "Nationality": "GERMANY",
        "NationalityId": 2,
        "SourceId": "reservation/42/1",
        "IsArrivalTransfer": 0,
        "IsDepartureTransfer": 0,
    }
    room = {
        "HotelId": 18,
        "RoomTypeId": 1801,
        "BoardId": 1,
        "OperatorId": 571,
        "CheckinDate": "2026-05-01",
        "CheckOutDate": "2026-05-08",
        "Adult": 2,
        "Child": 0,
        "Voucher": "JNP123456",
        "SourceId": "reservation/42",
        "SaleDate": "2026-02-11",
        "Amount": 1240.50,
        "IsReservationChanged": False,
        "HotelRemark": "High floor and a quiet room, if there is one. Late arrival.",
        "ReservationRemark": "Honeymoon",
        "Customers": [guest, guest | {"Title": "Mrs", "FirstName": "MARTINA"}],
    }
    return json.dumps([room], separators=(",", ":")).encode()


async def run(
    post: Callable[[int], Awaitable[httpx2.Response]], *, requests: int, concurrency: int
) -> None:
    """Send `requests`, `concurrency` at a time; any reply but a success stops the run."""
    numbers = iter(range(requests))

    async def work() -> None:
        for number in numbers:
            response = await post(number)
            if response.status_code != 200 or response.json()["ErrorType"] != 0:
                raise RuntimeError(f"The server answered {response.status_code}.")

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())


async def measure(
    *, client: str, loop: str, url: str, requests: int, concurrency: int, tenants: int
) -> Measured:
    body = reservation()
    pool = -(-concurrency // tenants)
    ssl_context = build_ssl_context()
    target = httpx2.URL(url.rstrip("/") + PATH)
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Cookie": "ASP.NET_SessionId=0123456789abcdefghijklmn",
    }
    post: Callable[[int], Awaitable[httpx2.Response]]
    if client == "own":
        transports = [
            SednaTransport(
                max_connections=pool, ssl_context=ssl_context, allow_private_addresses=True
            )
            for _ in range(tenants)
        ]
        extensions = {"timeout": TIMEOUT, "deadline": 30.0}
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]

        async def post_own(number: int) -> httpx2.Response:
            request = build_request(
                "POST",
                target,
                target=target.raw_path,
                headers=fields,
                content=body,
                extensions=extensions,
            )
            return await transports[number % tenants].handle_async_request(request)

        post, closers = post_own, [transport.aclose for transport in transports]
    else:
        limits = httpx2.Limits(max_connections=pool, max_keepalive_connections=pool)
        clients = [
            httpx2.AsyncClient(
                verify=ssl_context,
                limits=limits,
                timeout=httpx2.Timeout(connect=5.0, read=30.0, write=30.0, pool=None),
                trust_env=False,
            )
            for _ in range(tenants)
        ]

        async def post_httpx2(number: int) -> httpx2.Response:
            return await clients[number % tenants].post(target, headers=headers, content=body)

        post, closers = post_httpx2, [each.aclose for each in clients]

    # Connections are opened outside of the measured span, as in a service that has been up.
    await run(post, requests=2 * concurrency, concurrency=concurrency)
    started, cpu = time.perf_counter(), time.process_time()
    await run(post, requests=requests, concurrency=concurrency)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    for close in closers:
        await close()
    return Measured(
        client=client,
        loop=loop,
        requests=requests,
        seconds=round(seconds, 3),
        rate=round(requests / seconds, 1),
        cpu_us_per_request=round(cpu / requests * 1e6, 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--client", choices=["own", "httpx2"], required=True)
    parser.add_argument("--url", required=True, help="base URL, as a tenant's settings have it")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=500)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if options.uvloop else None) as runner:
        measured = runner.run(
            measure(
                client=options.client,
                loop="uvloop" if options.uvloop else "asyncio",
                url=options.url,
                requests=options.requests,
                concurrency=options.concurrency,
                tenants=options.tenants,
            )
        )
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
