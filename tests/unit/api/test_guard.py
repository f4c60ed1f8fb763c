"""The guard around the application: tokens, and bounds on what runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.api import guard
from consumer.api.claims import TokenRefused
from consumer.api.guard import LARGEST_BODY, OPEN, Guard
from consumer.api.share import Share
from consumer.api.tokens import KeysUnavailable
from tests.support.api import client


async def authenticate(token: str) -> str:
    """A token is its tenant's name, unless it is a bad one."""
    if token == "bad":
        raise TokenRefused("it is bad")
    if token == "away":
        raise KeysUnavailable("they are away")
    return token


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says whose request it is and how long its body."""
    request = Request(scope, receive)
    length = len(await request.body())
    tenant = getattr(request.state, "tenant", "nobody")
    await PlainTextResponse(f"{tenant} {length}")(scope, receive, send)


def called(app: ASGIApp = tell, **settings: float) -> httpx2.AsyncClient:
    return client(Guard(app, authenticate=authenticate, share=Share(), probes=Share(), **settings))


def token(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def check_problem(response: httpx2.Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["title"]


async def test_a_good_token_tells_the_application_whose_request_it_is() -> None:
    async with called() as http:
        response = await http.get("/api/x", headers={"authorization": "bEARER  agency-7"})
        assert response.text == "agency-7 0"


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nowhere", "/api//x", "/%61pi/x"])
@pytest.mark.parametrize(
    "given, challenge",
    [
        ([], "Bearer"),
        ([""], 'Bearer error="invalid_request"'),
        (["Basic YTpi"], 'Bearer error="invalid_request"'),
        (["agency-7"], 'Bearer error="invalid_request"'),
        (["Bearer agency-7", "Bearer agency-8"], 'Bearer error="invalid_request"'),
        (["Bearer bad"], 'Bearer error="invalid_token"'),
    ],
)
async def test_everything_under_api_is_refused_without_a_good_token(
    path: str, given: list[str], challenge: str
) -> None:
    async with called() as http:
        response = await http.get(path, headers=[("authorization", each) for each in given])
        check_problem(response, 401)
        assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize("path", ["/", "/apis", "/API/x", "/x/api", *sorted(OPEN)])
async def test_nothing_else_is_asked_for_a_token(path: str) -> None:
    async with called() as http:
        assert (await http.get(path)).text == "nobody 0"


async def test_without_a_key_all_of_api_is_closed_and_the_rest_is_open() -> None:
    async with client(Guard(tell, authenticate=None, share=Share(), probes=Share())) as http:
        response = await http.get("/api/x", headers=token("agency-7"))
        check_problem(response, 503)
        assert "not configured" in response.json()["detail"]
        assert (await http.get("/healthz")).status_code == 200


async def test_keys_that_are_away_refuse_nobody_for_good() -> None:
    async with called() as http:
        response = await http.get("/api/x", headers=token("away"))
        check_problem(response, 503)
        assert response.headers["retry-after"]


async def test_the_log_says_why_a_token_was_refused_and_not_which() -> None:
    with structlog.testing.capture_logs() as lines:
        async with called() as http:
            await http.get("/api/x", headers=token("bad"))
    (line,) = lines
    assert (line["event"], line["why"], line["log_level"]) == (
        "token_refused",
        "it is bad",
        "debug",
    )
    assert line.keys() == {"event", "why", "log_level", "module"}


@pytest.mark.parametrize("path, headers", [("/api/x", token("agency-7")), ("/x", {})])
async def test_a_body_is_taken_up_to_its_limit_and_not_beyond(
    path: str, headers: dict[str, str]
) -> None:
    async def chunks(length: int) -> AsyncIterator[bytes]:
        for _ in range(length):
            yield b"x"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await tell(scope, receive, send)
        except HTTPException as error:  # as the framework does
            await PlainTextResponse("", error.status_code)(scope, receive, send)

    async with called(app) as http:
        good = await http.post(path, content=b"x" * LARGEST_BODY, headers=headers)
        assert good.text.endswith(f" {LARGEST_BODY}")
        for content in (b"x" * (LARGEST_BODY + 1), chunks(LARGEST_BODY + 1)):
            response = await http.post(path, content=content, headers=headers)
            assert response.status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "", "1" * 5_000, str(LARGEST_BODY + 1)])
async def test_a_body_that_says_to_be_too_large_is_not_read(length: str) -> None:
    async def untouched(*_: object) -> None:
        raise AssertionError

    async with called(untouched) as http:
        headers = token("agency-7") | {"content-length": length}
        check_problem(await http.post("/api/x", content=b"", headers=headers), 413)


class Held:
    """An application whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.running = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN:
            self.running += 1
            await self.go.wait()
        await tell(scope, receive, send)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.running < count:
                await asyncio.sleep(0)


async def test_beyond_the_cap_a_request_is_refused_and_probes_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "MOST_REQUESTS", 3)
    app = Held()
    async with called(app) as http, asyncio.TaskGroup() as tasks:
        paths = ("/api/x", "/api/x", "/x")
        held = [
            tasks.create_task(http.get(path, headers=token(f"t{number}")))
            for number, path in enumerate(paths)
        ]
        await app.until(3)
        refused = await http.get("/api/x", headers=token("t4"))
        check_problem(refused, 503)
        assert refused.headers["retry-after"]
        assert [(await http.get(path)).status_code for path in sorted(OPEN)] == [200] * 3
        app.go.set()
        assert [(await each).status_code for each in held] == [200] * 3
        assert (await http.get("/api/x", headers=token("t4"))).status_code == 200


async def test_a_tenant_who_takes_too_much_takes_nothing_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "MOST_REQUESTS_OF_TENANT", 2)
    app = Held()
    async with called(app) as http, asyncio.TaskGroup() as tasks:
        held = [tasks.create_task(http.get("/api/x", headers=token("a"))) for _ in range(2)]
        await app.until(2)
        refused = await http.get("/api/x", headers=token("a"))
        check_problem(refused, 429)
        assert refused.headers["retry-after"]
        held.append(tasks.create_task(http.get("/api/x", headers=token("b"))))
        await app.until(3)
        app.go.set()
        assert [(await each).status_code for each in held] == [200] * 3
        assert (await http.get("/api/x", headers=token("a"))).status_code == 200


async def test_a_request_that_takes_too_long_is_ended() -> None:
    ended = asyncio.Event()

    async def endless(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with called(endless, request_seconds=0.01) as http:
        response = await http.get("/api/x", headers=token("agency-7"))
        check_problem(response, 503)
        assert response.headers["retry-after"]
    assert ended.is_set()


async def failing(*_: object) -> None:
    raise RuntimeError("the password is hunter2")


async def timing_out(*_: object) -> None:
    raise TimeoutError("of something else")


@pytest.mark.parametrize("app", [failing, timing_out])
async def test_what_was_not_foreseen_shows_nothing_but_the_id_of_its_log_line(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
) -> None:
    with structlog.testing.capture_logs() as lines:
        async with called(app) as http:
            response = await http.get("/api/x?secret=1", headers=token("agency-7"))
    check_problem(response, 500)
    (line,) = lines
    assert line["event"] == "api_error"
    assert line["correlation_id"] == response.json()["correlation_id"]
    assert isinstance(line["exc_info"], Exception)
    assert "secret" not in str({**line, "exc_info": None})
    assert "hunter2" not in response.text


async def test_a_reply_that_has_begun_is_not_begun_again() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError

        await StreamingResponse(parts())(scope, receive, send)

    sent: list[str] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message["type"])

    scope = {"type": "http", "path": "/x", "method": "GET", "headers": [], "query_string": b""}
    await Guard(half, authenticate=None, share=Share(), probes=Share())(scope, receive, send)
    assert sent == ["http.response.start", "http.response.body"]


async def test_what_is_no_http_request_is_left_alone() -> None:
    async def untouched(*_: object) -> None:
        raise AssertionError

    async def receive() -> Message:
        raise AssertionError

    await Guard(untouched, authenticate=None, share=Share(), probes=Share())(
        {"type": "websocket"}, receive, untouched
    )


class UsedUp(Share):
    """A share of which nothing is left until it is given out."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.free = asyncio.Event()

    async def turn(self, whose: str) -> None:
        self.asked.append(whose)
        await self.free.wait()


async def test_while_the_share_is_used_up_all_wait_but_probes() -> None:
    share = UsedUp()
    guard_ = Guard(tell, authenticate=authenticate, share=share, probes=Share())
    async with client(guard_) as http, asyncio.TaskGroup() as tasks:
        paths = {"/api/x": "agency-7", "/api/y": "bad", "/x": "agency-7"}
        waiting = [
            tasks.create_task(http.get(path, headers=token(text))) for path, text in paths.items()
        ]
        async with asyncio.timeout(10):
            while len(share.asked) < len(paths):
                await asyncio.sleep(0)
        assert [(await http.get(path)).status_code for path in sorted(OPEN)] == [200] * 3
        assert not any(each.done() for each in waiting)
        share.free.set()
        assert [(await each).status_code for each in waiting] == [200, 401, 200]
    # Who has no good token is nobody, whatever it says.
    assert sorted(share.asked) == ["", "", "agency-7"]


async def test_who_is_nobody_takes_no_place_while_he_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_REQUESTS", 1)
    share = UsedUp()
    guard_ = Guard(tell, authenticate=authenticate, share=share, probes=Share())
    async with client(guard_) as http, asyncio.TaskGroup() as tasks:
        for path in ("/x", "/api/x"):
            tasks.create_task(http.get(path, headers=token("bad")))
        async with asyncio.timeout(10):
            while len(share.asked) < 2:
                await asyncio.sleep(0)
        good = tasks.create_task(http.get("/api/x", headers=token("agency-7")))
        async with asyncio.timeout(10):
            while len(share.asked) < 3:
                await asyncio.sleep(0)
        share.free.set()
        assert (await good).status_code == 200


async def test_probes_have_a_share_of_their_own_in_which_addresses_take_turns() -> None:
    probes = UsedUp()
    guard_ = Guard(tell, authenticate=authenticate, share=Share(), probes=probes)
    async with client(guard_) as http, asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(http.get(path)) for path in sorted(OPEN)]
        async with asyncio.timeout(10):
            while len(probes.asked) < len(waiting):
                await asyncio.sleep(0)
        assert (await http.get("/api/x", headers=token("agency-7"))).status_code == 200
        assert not any(each.done() for each in waiting)
        probes.free.set()
        assert [(await each).status_code for each in waiting] == [200] * 3
    assert set(probes.asked) == {"127.0.0.1"}
