"""Log lines: one JSON object each, everything that was said on them, and no secret."""

import asyncio
import gc
import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.logs import Lines as Said
from consumer.logs import configure, get_logger, traceback_of
from consumer.output import Output
from consumer.redaction import blank
from schemas.kinds import Kind

SECRET = "hunter2"
Lines = Callable[[], list[dict[str, Any]]]
Start = Callable[[], Lines]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
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
        "hotel 18 has no room type 'Basic Standard Room'; basic information is missing",
        "the bearer certificate of /etc/ssl/ca.pem",
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
    assert (line["event"], line["level"], line["module"]) == (
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


# -- everything in one form ------------------------------------------------------------------------

COMMON = {"event", "level", "module", "timestamp"}


@pytest.mark.parametrize(
    "name",
    ["aiokafka.conn", "asyncpg", "uvicorn.error", "asyncio", "py.warnings", "some.library"],
)
def test_a_line_of_any_library_has_the_fields_of_our_own(name: str, start: Start) -> None:
    lines = start()
    get_logger("consumer.x").critical("ours")
    logging.getLogger(name).critical("the node %s:%d is %r", "h", 9092, "away")
    ours, theirs = lines()
    assert ours.keys() == theirs.keys() == COMMON
    assert (theirs["event"], theirs["module"]) == ("the node h:9092 is 'away'", name)


def test_what_a_library_adds_to_its_record_is_on_the_line_and_takes_no_fields_place(
    start: Start,
) -> None:
    lines = start()
    logging.getLogger("some.library").warning(
        "said", extra={"node": 3, "event": "mine", "level": "high", "module_": [1], "self": 1}
    )
    (line,) = lines()
    assert (line["event"], line["level"]) == ("said", "warning")
    assert (line["node"], line["module_"]) == (3, [1])
    assert (line["extra_event"], line["extra_level"], line["extra_self"]) == ("mine", "high", 1)


def test_a_library_whose_values_do_not_fit_its_text_has_its_line_and_shows_no_value(
    start: Start,
) -> None:
    lines = start()
    logging.getLogger("some.library").warning("%d bytes", SECRET)
    (line,) = lines()
    assert (line["event"], line["level"]) == ("%d bytes", "warning")
    assert SECRET not in json.dumps(line)


def test_a_librarys_own_level_comes_down_to_the_next_one(start: Start) -> None:
    lines = start()
    for number in (5, 25, 35, 99):
        logging.getLogger("some.library").log(number, "level %d", number)
    assert [line["level"] for line in lines()] == ["info", "warning", "critical"]


def test_a_text_that_is_no_unicode_has_its_line(start: Start) -> None:
    lines = start()
    get_logger("consumer.x").warning("said", text="half \ud800 and Şükrü")
    (line,) = lines()
    assert line["text"] == "half \ud800 and Şükrü"


def test_a_warning_is_a_line(start: Start) -> None:
    lines = start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"old, password={SECRET}", DeprecationWarning, stacklevel=1)
    (line,) = lines()
    assert (line["level"], line["module"]) == ("warning", "py.warnings")
    assert "DeprecationWarning: old, password=***" in line["event"]


def test_a_task_that_fails_and_is_lost_is_a_line_with_its_traceback(start: Start) -> None:
    lines = start()

    async def lose() -> None:
        async def broken() -> None:
            fail("nobody awaits this")

        asyncio.get_running_loop().create_task(broken(), name="lost")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(lose())
    (line,) = lines()
    assert (line["level"], line["module"]) == ("error", "asyncio")
    assert "never retrieved" in line["event"]
    assert "RuntimeError: nobody awaits this" in line["exception"]


#: What a process does at last, and what its line is called then.
LAST_WORDS = {
    "crashed": "fail()",
    "thread_crashed": "threading.Thread(target=fail, name='aside').start()",
    "unraisable": "x = type('X', (), {'__del__': lambda self: fail()})(); del x",
}


@pytest.mark.parametrize("event", LAST_WORDS)
def test_what_nobody_catches_is_one_json_line_without_secrets_or_local_variables(
    event: str,
) -> None:
    program = f"""
import threading
from consumer.logs import configure

def fail():
    local = "a local " + "variable"
    raise RuntimeError("password={SECRET} and {SECRET}-known")

configure(level="INFO", json=True, secrets=["{SECRET}-known"])
{LAST_WORDS[event]}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    (line,) = [json.loads(text) for text in done.stderr.splitlines()]
    assert line["event"] == event
    assert line.keys() >= COMMON
    assert "RuntimeError: password=*** and ***" in line["exception"]
    assert SECRET not in done.stderr.replace("fail()", "")
    assert "a local variable" not in done.stderr
    assert done.stdout == ""
    assert done.returncode == (1 if event == "crashed" else 0)


# -- secrets that are known ------------------------------------------------------------------------

KNOWN = "s3cret pässwörd/with?odd&signs"


@pytest.mark.parametrize("as_written", [KNOWN, json.dumps(KNOWN), f"x{KNOWN}x", KNOWN.upper()])
def test_a_secret_that_the_process_knows_is_blanked_wherever_it_stands(
    as_written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level="INFO", json=True, secrets=[KNOWN])
    get_logger("consumer.x").info("said", it=as_written, inside=[{"a": as_written}])
    logging.getLogger("some.library").warning("it is %s", as_written)
    try:
        fail(as_written)
    except RuntimeError:
        get_logger("consumer.x").exception("broke")
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 3
    for form in (KNOWN, json.dumps(KNOWN)[1:-1], "odd&signs", "ODD&SIGNS"):
        assert form not in written


def test_a_traceback_hides_what_only_a_part_of_the_program_knows() -> None:
    error = ValueError(f"outside: {KNOWN}")
    error.__cause__ = RuntimeError(f"inside: {KNOWN}")
    shown = traceback_of(error, lambda text: text.replace(KNOWN, "***"))
    assert "RuntimeError: inside: ***" in shown
    assert "ValueError: outside: ***" in shown
    assert KNOWN not in shown


# -- what repeats ----------------------------------------------------------------------------------


def test_of_a_flood_some_dozens_are_said_and_the_number_of_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = configure(level="INFO", json=True)
    log = get_logger("consumer.x")
    for number in range(1000):
        log.warning("event_rejected", tenant="flood", number=number)
    log.warning("event_rejected", tenant="other")
    log.warning("will_retry", tenant="flood")
    said.tell(everything=True)
    *lines, last, another, told = [
        json.loads(line) for line in capsys.readouterr().err.splitlines()
    ]
    assert [line["number"] for line in lines] == list(range(50))
    assert (last["tenant"], another["event"]) == ("other", "will_retry")
    assert (told["event"], told["of"], told["tenant"]) == (
        "lines_left_out", "event_rejected", "flood"
    )  # fmt: skip
    assert len(lines) + told["left_out"] == 1000


def test_the_next_line_that_is_said_has_the_number_of_those_before_it() -> None:
    now = 0.0
    lines = Said(
        output=Output(io.BytesIO()),
        log=None,
        threshold=logging.INFO,
        clean=str,
        render=lambda *_: "",
        clock=lambda: now,
    )

    def admit() -> dict[str, Any] | None:
        try:
            return dict(lines.admit(None, "warning", {"event": "will_retry", "tenant": "a"}))
        except structlog.DropEvent:
            return None

    said = [admit() for _ in range(60)]
    assert said[49] == {"event": "will_retry", "tenant": "a"}
    assert said[50:] == [None] * 10
    now = 10.0
    assert admit() == {"event": "will_retry", "tenant": "a", "left_out": 10}


def settled(**fields: Any) -> dict[str, Any]:
    return {"event": "synced", "level": "info", "tenant": "a", "error": None, **fields}


def test_the_lines_of_settled_syncs_are_never_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    said = configure(level="INFO", json=True)
    for group in range(20):
        said.settled(settled(number=number) for number in range(100 * group, 100 * group + 100))
    said.tell(everything=True)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["number"] for line in lines] == list(range(2000))


def test_the_line_of_a_settled_sync_has_a_time_and_shows_no_secret_of_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = configure(level="INFO", json=True, secrets=["kn0wn secret"])
    reason = "Sedna said kn0wn%20secret to /AgencyLogin?password=other of u"
    said.settled([settled(event="failed", level="warning", error=reason)])
    line = json.loads(capsys.readouterr().err)
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    assert line["error"] == "Sedna said *** to /AgencyLogin?*** of u"


def test_the_lines_of_settled_syncs_heed_the_level_and_the_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = configure(level="WARNING", json=False)
    failed = settled(event="failed", level="warning", error="no hotel is called Nowhere")
    said.settled([settled(), failed])
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "no hotel is called Nowhere" in shown
    assert "synced" not in shown


@pytest.mark.parametrize("level", ["DEBUG", "WARNING", "ERROR", "CRITICAL"])
def test_said_and_left_out_are_all_that_happened_at_every_level(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = configure(level=level, json=True)
    log = get_logger("consumer.x")
    for _ in range(120):
        log.critical("in_doubt", tenant="a")
    for text in map("text {} %s".format, range(90)):
        for _ in range(20):
            logging.getLogger("aiokafka.conn").critical(text, 1)
    said.tell(everything=True)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    happened = [line for line in lines if line["event"] != "lines_left_out"]
    left_out = sum(line.get("left_out", 0) for line in lines)
    assert len(happened) == 50 + 90 * 5
    assert len(happened) + left_out == 120 + 90 * 20


def test_who_speaks_while_it_is_decided_what_is_said_is_heard_and_keeps_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The garbage collector comes upon lost tasks at any moment, in whatever thread it runs."""
    said = configure(level="INFO", json=True)
    within = [*range(3)]

    def clock() -> float:
        if within:
            within.pop()
            logging.getLogger("asyncio").error("a lost task")
            get_logger("consumer.x").error("unraisable")
        return 0.0

    said._own._clock = said._of_libraries._clock = clock
    get_logger("consumer.x").info("let_go", tenant="a")
    logging.getLogger("asyncio").error("another")
    said.tell(everything=True)
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert Counter(events) == {"a lost task": 3, "unraisable": 3, "let_go": 1, "another": 1}


class Hostile:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_whatever_a_library_says_is_a_line_and_nothing_is_raised_into_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(level="INFO", json=True)
    endless: dict[str, object] = {}
    endless["again"] = endless
    log = logging.getLogger("some.library")
    names = ("method_name", "event", "self", "kw", "logger")
    log.warning("named", extra=dict.fromkeys(names, 1))
    log.warning("hostile", extra={"value": Hostile()})
    log.warning("endless", extra={"value": endless})
    log.warning(Hostile())
    get_logger("consumer.x").warning("let_go", error=Hostile(), value=endless)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        "named", "hostile", "endless", "a line that cannot be shown: ZeroDivisionError", "let_go"
    ]  # fmt: skip
    assert "Hostile" in lines[1]["value"]
    assert "…" in json.dumps(lines[2], ensure_ascii=False)


def test_a_query_is_blanked_though_the_path_stands_alone(start: Start) -> None:
    lines = start()
    logging.getLogger("urllib3.connectionpool").warning(
        "Max retries exceeded with url: /v1/traces?api_key=%s (Caused by X)", SECRET
    )
    logging.getLogger("urllib3.connectionpool").debug('"POST /v1/traces?api_key=%s"', SECRET)
    (line,) = lines()
    assert line["event"] == "Max retries exceeded with url: /v1/traces?*** (Caused by X)"


def test_a_library_that_repeats_itself_is_heard_now_and_then_with_a_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = configure(level="INFO", json=True)
    for number in range(40):
        logging.getLogger("aiokafka.conn").error("no node %s", number)
    logging.getLogger("aiokafka.conn").error("something else")
    logging.getLogger("aiokafka.consumer").error("no node %s", 1)
    said.tell(everything=True)
    *lines, told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        *(f"no node {number}" for number in range(5)), "something else", "no node 1"
    ]  # fmt: skip
    assert {"of": "aiokafka.conn", "text": "no node %s", "left_out": 35}.items() <= told.items()


async def test_what_was_left_out_is_told_by_itself_while_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("consumer.logs._TELL_EVERY", 0.01)
    monkeypatch.setattr("consumer.logs._EVERY", 0.05)
    said = configure(level="INFO", json=True)
    telling = asyncio.create_task(said.keep_telling())
    for _ in range(60):
        get_logger("consumer.x").info("let_go", tenant="a")
    async with asyncio.timeout(10):
        while "lines_left_out" not in (written := capsys.readouterr().err):
            await asyncio.sleep(0.01)
    telling.cancel()
    told = json.loads(written.splitlines()[-1])
    assert (told["of"], told["tenant"], told["left_out"]) == ("let_go", "a", 10)
