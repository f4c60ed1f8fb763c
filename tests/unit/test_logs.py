"""Log lines: one JSON object each, everything that was said on them, and no secret."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.logs import Seldom, blank, configure, get_logger
from schemas.kinds import Kind

SECRET = "hunter2"
Lines = Callable[[], list[dict[str, Any]]]
Start = Callable[[], Lines]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str]) -> Start:
    """Configures logging; what it returns gives the lines since."""

    # Within the test itself: pytest gives the set-up of fixtures another standard error.
    def configured() -> Lines:
        configure(level="DEBUG", json=True)
        return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return configured


def fail(text: str) -> None:
    raise RuntimeError(text)


def test_a_line_is_one_json_object_with_time_level_and_logger(start: Start) -> None:
    lines = start()
    get_logger("consumer.x").warning("something_happened", text="two\nlines", number=3)
    (line,) = lines()
    assert line["event"] == "something_happened"
    assert line["level"] == "warning"
    assert line["module"] == "consumer.x"
    assert line["timestamp"].endswith("Z")
    assert (line["text"], line["number"]) == ("two\nlines", 3)


def test_what_was_bound_is_on_the_line_with_what_was_said(start: Start) -> None:
    lines = start()
    log = get_logger("consumer.x").bind(
        tenant="agency-7", kind=Kind.RESERVATION, sync=1, item="reservation/42", event_id="e1"
    )
    log.info("settled", outcome="synced")
    (line,) = lines()
    assert {name: line[name] for name in ("tenant", "kind", "sync", "item", "event_id")} == {
        "tenant": "agency-7",
        "kind": "reservation",
        "sync": 1,
        "item": "reservation/42",
        "event_id": "e1",
    }
    assert line["outcome"] == "synced"


def test_what_is_bound_to_the_context_is_on_the_line(start: Start) -> None:
    lines = start()
    with structlog.contextvars.bound_contextvars(tenant="agency-7"):
        get_logger("consumer.x").info("inside")
    (line,) = lines()
    assert line["tenant"] == "agency-7"


def test_every_keyword_survives_the_blanking(start: Start) -> None:
    lines = start()
    said = {
        "name": "a",
        "message": "b: c",
        "args": [1, "x=y"],
        "url": f"https://u:{SECRET}@h/p?q=1",
        "nothing": None,
        "yes": True,
        "fraction": 0.5,
        "nested": {"deep": ["tenant=7"]},
        "password": SECRET,
        "error": ValueError("no room"),
        "raw": b"\xff",
    }
    get_logger("consumer.x").info("said", **said)
    (line,) = lines()
    assert set(said) <= set(line)
    assert (line["args"], line["nested"]) == ([1, "x=y"], {"deep": ["tenant=7"]})
    assert (line["nothing"], line["yes"], line["fraction"]) == (None, True, 0.5)
    assert (line["error"], line["password"]) == ("no room", "***")
    assert SECRET not in json.dumps(line)


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="WARNING", json=True)
    get_logger("consumer.x").info("quiet")
    logging.getLogger("some.library").info("quiet")
    get_logger("consumer.x").warning("loud")
    logging.getLogger("some.library").warning("loud")
    written = capsys.readouterr()
    assert [json.loads(line)["event"] for line in written.err.splitlines()] == ["loud", "loud"]
    assert written.out == ""


def test_for_a_person_a_line_says_the_same_and_hides_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(level="INFO", json=False)
    log = get_logger("consumer.x").bind(tenant="agency-7")
    log.info("login_refused", url=f"http://h/login?username=u&password={SECRET}")
    try:
        fail(f"password={SECRET}")
    except RuntimeError:
        log.exception("broke")
    written = capsys.readouterr().err
    assert "agency-7" in written
    assert "login_refused" in written
    assert "RuntimeError" in written
    assert SECRET not in written


#: Texts that give a secret away, as libraries and servers write them.
LEAKS = [
    f"postgresql://sync:{SECRET}@db:5432/sedna",
    f"postgresql://sync:p@{SECRET}@db:5432/sedna",
    f"postgresql://sync:p/{SECRET}@db:5432/sedna",
    f"GET http://h/SednaAgencyb2bApi/api/Integratiion/AgencyLogin?username=u&password={SECRET}",
    f"HTTP Request: GET https://h/a?x={SECRET} 'HTTP/1.1 200 OK'",
    f"GET /api/Integratiion/AgencyLogin?username=u&password={SECRET} HTTP/1.1",
    f"/login?username={SECRET}&voucherNo=V1",
    f"password={SECRET}",
    f"Password = {SECRET}",
    f"password: {SECRET}",
    f"sasl_plain_password='{SECRET}'",
    f'{{"password": "two words, then {SECRET}"}}',
    f'{{"password": "a quote \\" then {SECRET}"}}',
    f'{{\\"password\\": \\"two words, then {SECRET}\\"}}',
    f"{{'password': 'two words, then {SECRET}'}}",
    f'{{"password": "cut off, {SECRET}',
    f"Cookie: ASP.NET_SessionId={SECRET}",
    f"Cookie: one=1; two={SECRET}",
    f"set-cookie: SID={SECRET}; path=/; HttpOnly",
    f"{{'Set-Cookie': 'one=1; two={SECRET}'}}",
    f"[(b'Cookie', b'one=1; two={SECRET}')]",
    f"[('authorization', 'Bearer {SECRET}')]",
    f"Authorization: Bearer {SECRET}.{SECRET}.x",
    f"Authorization: Basic {SECRET}==",
    f"sent Bearer {SECRET}.{SECRET}",
    f"SEDNA_SYNC_ENCRYPTION_KEYS=k1:{SECRET}",
    f"SEDNA_SYNC_API_JWT_SECRET={SECRET}",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_text_that_gives_a_secret_away_is_blanked(text: str) -> None:
    assert SECRET not in blank(text)
    assert SECRET not in blank(f"Sedna did not answer: {text}, then more")
    assert SECRET not in blank(repr({"request": text}))
    assert SECRET not in blank(json.dumps({"request": text}))


@pytest.mark.parametrize("text", LEAKS)
def test_no_part_of_a_line_gives_a_secret_away(text: str, start: Start) -> None:
    lines = start()
    log = get_logger("consumer.x")
    log.info(text)
    log.info("said", it=text, inside={"a": [text, {"b": (text,)}]}, error=OSError(text))
    log.bind(bound=text).info("said", raw=text.encode())
    library = logging.getLogger("some.library")
    library.warning("%s said %r", "it", text)
    library.warning("said", extra={"it": text})
    try:
        fail(text)
    except RuntimeError:
        log.exception("broke")
        library.exception("broke")
        try:
            fail("later")
        except RuntimeError:
            log.warning("broke", exc_info=True)
    written = lines()
    assert len(written) == 8
    assert written[-1]["exception"].endswith("RuntimeError: later")
    assert SECRET not in json.dumps(written)


@pytest.mark.parametrize(
    "text",
    [
        "Sedna at http://h.example/SednaAgencyb2bApi did not answer",
        "voucher V1 is already synced with other content, which stays as it is",
        "the password of tenant agency-7 does not open with key k1",
        "hotel 18: Mandarin Resort & Spa, check_in=2026-07-01, adults=2",
        "2026-11-22T12:00:00Z",
        "host=db port=5432",
        "plain",
        "",
    ],
)
def test_a_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    assert blank(text) == text


def test_the_rest_of_a_blanked_text_can_still_be_read() -> None:
    assert (
        blank(f"GET http://h/a/AgencyLogin?username=u&password={SECRET} failed after 3 s")
        == "GET http://h/a/AgencyLogin?*** failed after 3 s"
    )
    assert blank(f"postgresql://sync:{SECRET}@db:5432/sedna") == "postgresql://***@db:5432/sedna"


@given(st.text(max_size=200))
@example("password=\\")
@example('cookie:"')
@example("postgresql://")
def test_nothing_that_stands_before_a_secret_keeps_it_from_being_blanked(before: str) -> None:
    assert SECRET not in blank(f"{before}\npassword={SECRET}")
    assert SECRET not in blank(f"{before} https://u:{SECRET}@h/")


@given(st.text(max_size=12), st.text(max_size=12))
@example('a" b', "c' d")
@example("a\\", "\\")
def test_a_password_in_a_dumped_mapping_is_blanked_whatever_it_is_made_of(
    before: str, after: str
) -> None:
    mapping = {"username": "u", "password": f"{before}{SECRET}{after}", "tenant": "agency-7"}
    for text in (repr(mapping), json.dumps(mapping), json.dumps([json.dumps(mapping)])):
        assert SECRET not in blank(text)


@pytest.mark.parametrize("name", ["httpx2", "aiokafka", "asyncpg", "asyncio", "httpx", "httpcore"])
def test_libraries_that_log_urls_and_payloads_are_quiet_even_at_debug(
    name: str, start: Start
) -> None:
    lines = start()
    for logger in (logging.getLogger(name), logging.getLogger(f"{name}.some.part")):
        logger.debug("payload %s", SECRET)
        logger.info("HTTP Request: GET http://h/login?username=u&password=%s", SECRET)
        logger.warning("cannot reach http://h/login?username=u&password=%s", SECRET)
    written = lines()
    assert [line["level"] for line in written] == ["warning", "warning"]
    assert SECRET not in json.dumps(written)


def test_a_librarys_line_is_one_json_object_with_its_logger(start: Start) -> None:
    lines = start()
    logging.getLogger("some.library").error("broke %s", "twice", stack_info=True)
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == (
        "broke twice",
        "error",
        "some.library",
    )


def test_an_exceptions_traceback_is_on_its_line(start: Start) -> None:
    lines = start()
    try:
        fail("no room")
    except RuntimeError:
        get_logger("consumer.x").exception("broke")
        logging.getLogger("some.library").exception("broke")
    for line in lines():
        assert "RuntimeError: no room" in line["exception"]
        assert "Traceback" in line["exception"]


def test_nothing_is_written_to_standard_output(
    capsys: pytest.CaptureFixture[str], start: Start
) -> None:
    start()
    get_logger("consumer.x").error("broke")
    logging.getLogger("some.library").error("broke")
    written = capsys.readouterr()
    assert written.out == ""
    assert len(written.err.splitlines()) == 2


def test_a_library_that_repeats_itself_is_heard_now_and_then_and_others_always() -> None:
    now = 0.0
    seldom = Seldom("aiokafka", seconds=10.0, clock=lambda: now)

    def heard(name: str, text: str, *values: object) -> bool:
        return seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, text, values, None))

    assert heard("aiokafka.conn", "no node %s", 1)
    now = 9.9
    assert not heard("aiokafka.conn", "no node %s", 2)
    assert heard("aiokafka.conn", "something else")
    assert all(heard("consumer", "no node") for _ in range(3))
    now = 10.0
    assert heard("aiokafka.conn", "no node %s", 1)
