"""A wrong or missing setting gives one line that names it, says the cure, and repeats no value."""

import base64
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.settings import (
    FROM_FILE,
    PREFIX,
    Settings,
    SettingsError,
    secrets_of_tracing,
    unknown_names,
)

KEYS = "k1:" + base64.b64encode(bytes(range(32))).decode()
URL = "postgresql://user:hunter2@db:5432/sedna"
SECRET = "hunter2"


def load(given: Mapping[str, str] | None = None, *, needs: Collection[str] = ()) -> Settings:
    given = given or {}
    return Settings.load({PREFIX + name: value for name, value in given.items()}, needs=needs)


def problem(given: Mapping[str, str], *, needs: Collection[str] = ()) -> str:
    """The message of the error, which is one line without a secret, in the traceback as well."""
    with pytest.raises(SettingsError) as caught:
        load(given, needs=needs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith((PREFIX, "two of the settings " + PREFIX))
    last = traceback.format_exception_only(caught.value)
    chained = caught.value.__cause__, caught.value.__context__
    told = "".join(last) + ("" if caught.value.__suppress_context__ else repr(chained))
    assert SECRET not in told
    return message


def test_without_any_variable_the_defaults_of_the_design_hold() -> None:
    settings = load()
    assert settings.kafka_group_id == "sedna-sync"
    assert (settings.topic_reservations, settings.topic_stop_sales) == (
        "reservation.created",
        "stopsale.created",
    )
    assert (settings.topic_synced, settings.topic_failed, settings.topic_deadletter) == (
        "sedna.synced",
        "sedna.failed",
        "sedna.deadletter",
    )
    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 8080)
    assert (settings.api_jwt_algorithm, settings.api_jwt_leeway) == (None, 30)
    assert (settings.log_level, settings.log_format) == ("INFO", "json")
    assert (settings.connect_timeout, settings.request_timeout) == (5, 30)
    assert (settings.max_in_flight, settings.max_in_flight_per_tenant) == (500, 16)
    assert (settings.catalogue_ttl, settings.allow_private_addresses) == (86_400, False)
    assert (settings.retry_base, settings.retry_cap) == (1, 300)
    assert (settings.doubt_window, settings.give_up_after) == (120, 86_400)
    assert (settings.breaker_failures, settings.breaker_cool_down) == (5, 30)
    assert (settings.lease, settings.drain_timeout) == (60, 40)


@pytest.mark.parametrize(
    "name, cure",
    [
        ("DATABASE_URL", "postgresql://user:password@host:5432/database"),
        ("KAFKA_BOOTSTRAP_SERVERS", "host:port"),
        ("ENCRYPTION_KEYS", "openssl rand -base64 32"),
    ],
)
def test_a_setting_that_a_command_needs_is_named_with_its_cure(name: str, cure: str) -> None:
    for environ in ({}, {name: ""}):
        message = problem(environ, needs=[name])
        assert message.startswith(f"{PREFIX}{name} is not set: ")
        assert cure in message


def test_a_setting_that_a_command_does_not_need_may_be_missing() -> None:
    settings = load({"KAFKA_BOOTSTRAP_SERVERS": "k:9092"}, needs=["KAFKA_BOOTSTRAP_SERVERS"])
    assert settings.database_url is None


@pytest.mark.parametrize(
    "name, value, says",
    [
        ("KAFKA_SECURITY_PROTOCOL", SECRET, "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ("KAFKA_SASL_MECHANISM", SECRET, "'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'"),
        ("TOPIC_SYNCED", "t" * 250, "249"),
        ("DATABASE_URL", f"mysql://user:{SECRET}@db", "postgresql://user:password@host"),
        ("DATABASE_URL", SECRET, "postgresql://user:password@host"),
        ("ENCRYPTION_KEYS", SECRET, "openssl rand -base64 32"),
        ("ENCRYPTION_KEYS", f"k1:{SECRET}", "openssl rand -base64 32"),
        ("ENCRYPTION_KEYS", f"k1:{SECRET}ü", "openssl rand -base64 32"),
        ("ENCRYPTION_KEYS", f"{KEYS},k1:{SECRET}", "the id k1 stands there twice"),
        ("API_JWT_SECRET", SECRET, "openssl rand -base64 48"),
        ("API_JWT_SECRET", "ü" * 15, "at least 32 bytes"),
        ("API_JWKS_URL", f"https://user:{SECRET}@idp.example/keys", "without user and password"),
        ("API_JWKS_URL", f"https://{SECRET}@idp.example/keys", "without user and password"),
        ("API_JWKS_URL", "http://idp.example/keys", "an https:// URL"),
        ("API_JWKS_URL", "http://localhost.evil.example/keys", "an https:// URL"),
        ("API_JWKS_URL", "file:///etc/passwd", "an https:// URL"),
        ("API_JWKS_URL", "https://[", "an https:// URL"),
        ("API_JWKS_URL", "https://", "an https:// URL"),
        ("API_JWT_ALGORITHM", "none", "'HS256', 'RS256' or 'ES256'"),
        ("API_JWT_ALGORITHM", "HS512", "'HS256', 'RS256' or 'ES256'"),
        ("API_JWT_LEEWAY", "-1", "0"),
        ("API_JWT_LEEWAY", "301", "300"),
        ("API_PORT", SECRET, "integer"),
        ("API_PORT", "65536", "65535"),
        ("API_PORT", "-1", "0"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'json' or 'console'"),
        ("REQUEST_TIMEOUT", SECRET, "number"),
        ("REQUEST_TIMEOUT", "30s", "number"),
        ("REQUEST_TIMEOUT", "0", "greater than 0"),
        ("REQUEST_TIMEOUT", "-1", "greater than 0"),
        ("REQUEST_TIMEOUT", "nan", "finite"),
        ("LEASE", "inf", "finite"),
        ("GIVE_UP_AFTER", "1e9", "31536000"),
        ("MAX_IN_FLIGHT", "0", "1"),
        ("MAX_IN_FLIGHT", "1.5", "integer"),
        ("MAX_IN_FLIGHT_PER_TENANT", "many", "integer"),
        ("BREAKER_FAILURES", "0", "1"),
        ("ALLOW_PRIVATE_ADDRESSES", "perhaps", "boolean"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name: str, value: str, says: str) -> None:
    message = problem({name: value})
    assert message.startswith(f"{PREFIX}{name} is wrong: ")
    assert says in message
    assert value not in message.replace(says, "")


@pytest.mark.parametrize(
    "given, named",
    [
        ({"CONNECT_TIMEOUT": "31"}, ("CONNECT_TIMEOUT", "REQUEST_TIMEOUT")),
        ({"RETRY_BASE": "301"}, ("RETRY_BASE", "RETRY_CAP")),
        ({"LEASE": "29.5"}, ("REQUEST_TIMEOUT", "LEASE")),
        ({"LEASE": "30"}, ("REQUEST_TIMEOUT", "LEASE")),
        ({"DRAIN_TIMEOUT": "29.5"}, ("REQUEST_TIMEOUT", "DRAIN_TIMEOUT")),
        ({"DRAIN_TIMEOUT": "30"}, ("REQUEST_TIMEOUT", "DRAIN_TIMEOUT")),
        ({"TOPIC_SYNCED": "sedna.failed"}, ("TOPIC_*",)),
        ({"TOPIC_RESERVATIONS": "in", "TOPIC_STOP_SALES": "in"}, ("TOPIC_*",)),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_PASSWORD": SECRET},
            ("KAFKA_SASL_USERNAME",),
        ),
        (
            {"API_JWT_SECRET": SECRET * 8, "API_JWKS_URL": "https://idp.example/keys"},
            ("API_JWT_SECRET", "API_JWKS_URL"),
        ),
        (
            {"API_JWT_SECRET": SECRET * 8, "API_JWT_ALGORITHM": "RS256"},
            ("API_JWT_ALGORITHM", "API_JWT_SECRET", "API_JWKS_URL"),
        ),
        (
            {"API_JWKS_URL": "https://idp.example/keys", "API_JWT_ALGORITHM": "HS256"},
            ("API_JWT_ALGORITHM", "API_JWKS_URL"),
        ),
        ({"KAFKA_SSL_CAFILE": f"/nowhere/{SECRET}"}, ("KAFKA_SSL_CAFILE",)),
        ({"KAFKA_SSL_CERTFILE": f"/nowhere/{SECRET}"}, ("KAFKA_SSL_CERTFILE",)),
        ({"KAFKA_SSL_KEYFILE": f"/nowhere/{SECRET}"}, ("KAFKA_SSL_KEYFILE",)),
    ],
)
def test_values_that_would_break_a_promise_together_are_refused_by_name(
    given: dict[str, str], named: tuple[str, ...]
) -> None:
    message = problem(given)
    for name in named:
        assert PREFIX + name in message


def test_values_that_just_go_together_are_taken() -> None:
    settings = load(
        {
            "CONNECT_TIMEOUT": "0.2",
            "REQUEST_TIMEOUT": "0.2",
            "LEASE": "0.25",
            "DRAIN_TIMEOUT": "0.3",
        }
    )
    assert (settings.lease, settings.drain_timeout) == (0.25, 0.3)


def test_durations_may_be_fractions_of_a_second() -> None:
    settings = load(
        {"RETRY_BASE": "0.05", "RETRY_CAP": ".5", "DOUBT_WINDOW": "1.25", "LEASE": "6.5e1"}
    )
    assert (settings.retry_base, settings.retry_cap) == (0.05, 0.5)
    assert (settings.doubt_window, settings.lease) == (1.25, 65)


@pytest.mark.parametrize(
    "text, value",
    [
        *((text, True) for text in ("true", "True", "1", "yes", "on")),
        *((text, False) for text in ("false", "False", "0", "no", "off")),
    ],
)
def test_a_switch_understands_the_usual_words(text: str, value: bool) -> None:  # noqa: FBT001 - a table's column
    assert load({"ALLOW_PRIVATE_ADDRESSES": text}).allow_private_addresses is value


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load({"LOG_LEVEL": "", "REQUEST_TIMEOUT": ""}) == load()


def test_variables_of_other_programs_are_nobodys_business() -> None:
    environ = {"LOG_LEVEL": "nonsense", "PATH": "/bin", "SEDNA_LOG_LEVEL": "nonsense"}
    assert Settings.load(environ) == load()


GOOD = {
    "DATABASE_URL": URL,
    "ENCRYPTION_KEYS": KEYS,
    "KAFKA_SASL_PASSWORD": SECRET,
    "KAFKA_SSL_KEY_PASSWORD": SECRET,
    "API_JWT_SECRET": SECRET * 5,
}


def test_every_secret_can_come_from_a_file() -> None:
    assert frozenset(GOOD) == FROM_FILE


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_secret_from_a_file_is_the_same_as_from_the_variable(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(GOOD[name] + "\n")
    assert load({f"{name}_FILE": str(file)}) == load({name: GOOD[name]})


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_secret_that_is_given_twice_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(GOOD[name])
    message = problem({name: GOOD[name], f"{name}_FILE": str(file)})
    assert message == f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: unset one"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_file_that_cannot_be_read_is_named_by_its_variable(name: str, tmp_path: Path) -> None:
    # A likely mistake: the secret itself stands where its file should.
    not_utf8 = tmp_path / "binary"
    not_utf8.write_bytes(b"\xff\xfe")
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for value, says in [
        (SECRET, "No such file"),
        (str(tmp_path), "Is a directory"),
        (str(not_utf8), "not UTF-8"),
        (str(empty), "empty"),
    ]:
        message = problem({f"{name}_FILE": value})
        assert message.startswith(f"{PREFIX}{name}_FILE: ")
        assert says in message


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "level"
    file.write_text("DEBUG")
    assert load({"LOG_LEVEL_FILE": str(file)}).log_level == "INFO"
    assert unknown_names({f"{PREFIX}LOG_LEVEL_FILE": str(file)}) == {
        f"{PREFIX}LOG_LEVEL_FILE": f"{PREFIX}LOG_LEVEL"
    }


def test_the_settings_show_no_secret() -> None:
    settings = load(GOOD | {"KAFKA_SASL_USERNAME": "sync"})
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown
        assert KEYS.partition(":")[2] not in shown


@pytest.mark.parametrize(
    "url, found",
    [
        ("postgresql://u:s3cret%21pass@h/db", {"s3cret%21pass", "s3cret!pass"}),
        ("postgresql://u@h/db?password=s3cret%21pass&sslmode=require", {"s3cret!pass"}),
        ("postgresql://sedna_sync:sedna_sync@h/sedna_sync", set()),
        ("postgresql://sedna-sync:sedna-sync@h/db", set()),
        ("postgresql://u:summer@h/db", set()),
        ("postgresql://u:a1@h/db", set()),
    ],
)
def test_a_password_that_is_searched_for_takes_nothing_else_along(
    url: str, found: set[str]
) -> None:
    assert set(Settings.load({f"{PREFIX}DATABASE_URL": url}).secrets) == found


def test_the_keys_in_opentelemetrys_own_variables_are_secrets() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=k3y%20one, x-scope=a",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Basic%20dTpw",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://u:p4ssword@c:4318/v1/traces?api_key=k3y-two",
    }
    assert set(secrets_of_tracing(environ)) == {
        *("k3y%20one", "k3y one", "Basic%20dTpw", "Basic dTpw", "p4ssword", "k3y-two")
    }
    assert secrets_of_tracing({}) == []


def test_a_name_with_the_prefix_that_is_no_setting_is_reported_with_the_one_it_resembles() -> None:
    environ = {
        f"{PREFIX}DATABSE_URL": URL,
        f"{PREFIX}ENCRYPTION_KEY": KEYS,
        f"{PREFIX}DATABASE_URL_FILES": "x",
        f"{PREFIX}ZZZ": "1",
        f"{PREFIX}LOG_LEVEL": "INFO",
        f"{PREFIX}DATABASE_URL_FILE": "/run/secrets/url",
        f"{PREFIX}TEST_DATABASE_URL": URL,
        "PATH": "/bin",
    }
    assert unknown_names(environ) == {
        f"{PREFIX}DATABASE_URL_FILES": f"{PREFIX}DATABASE_URL_FILE",
        f"{PREFIX}DATABSE_URL": f"{PREFIX}DATABASE_URL",
        f"{PREFIX}ENCRYPTION_KEY": f"{PREFIX}ENCRYPTION_KEYS",
        f"{PREFIX}ZZZ": None,
    }


names = st.sampled_from([field.upper() for field in Settings.model_fields])
values = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)


@given(st.dictionaries(names, values, max_size=4))
def test_any_values_give_settings_or_one_line(given: Mapping[str, str]) -> None:
    try:
        load(given)
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most values are not refused
        assert PREFIX in str(error)  # noqa: PT017 - likewise
