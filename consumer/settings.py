"""The settings of the service, from the environment, checked before anything starts.

A wrong or missing one stops the start with one line that names the variable and says how to mend
it. No message repeats a value: it could be a secret in the wrong place.
"""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from consumer.credentials import InvalidKeyring, Keyring
from schemas.kinds import Kind

PREFIX = "SEDNA_SYNC_"

#: These can also come from a file, named by `<NAME>_FILE`.
FROM_FILE = frozenset(
    {
        "DATABASE_URL",
        "ENCRYPTION_KEYS",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SSL_KEY_PASSWORD",
        "API_JWT_SECRET",
    }
)
#: The suite's own variables begin so; they are none of the service's.
_TEST_PREFIX = "TEST_"


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one line that says how to mend it."""


def _keyring(text: SecretStr) -> SecretStr:
    try:
        Keyring.parse(text.get_secret_value())
    except InvalidKeyring as error:
        raise ValueError(
            f"{error}; make a key with `openssl rand -base64 32` and set it as k1:<the key>"
        ) from None
    return text


def _database_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must be of the form postgresql://user:password@host:5432/database")
    return url


def _signing_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < _SECRET_BYTES:
        raise ValueError(
            f"must have at least {_SECRET_BYTES} bytes, or tokens can be forged; make one with "
            "`openssl rand -base64 48`"
        )
    return secret


def _key_set_url(text: str) -> str:
    try:
        url = urlsplit(text)
        on_this_machine = url.hostname in {"localhost", "127.0.0.1", "::1"}
        right = bool(url.hostname) and url.username is None and url.password is None
    except ValueError:
        on_this_machine = right = False
    else:
        right &= url.scheme == "https" or (url.scheme == "http" and on_this_machine)
    if not right:
        raise ValueError(
            "must be an https:// URL without user and password (http:// only of this machine), "
            "since whoever can change the keys on their way can forge tokens"
        )
    return text


#: Of a secret that signs tokens: as many as the hash of HS256 has.
_SECRET_BYTES = 32
#: Characters: a shorter password stands in too many texts by chance, as does one that is a word.
_SHORTEST_SECRET, _LONGEST_WORD = 6, 16
#: Of the query of Postgres' address.
_DSN_SECRETS = frozenset({"password", "sslpassword"})
Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=249)]


class Settings(BaseModel):
    """Every setting; its environment variable is the field's name in capitals, with the prefix."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    kafka_bootstrap_servers: Name | None = None  #: host:port,…
    kafka_group_id: Name = "sedna-sync"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    kafka_ssl_key_password: SecretStr | None = None
    topic_reservations: Name = "reservation.created"
    topic_stop_sales: Name = "stopsale.created"
    topic_synced: Name = "sedna.synced"
    topic_failed: Name = "sedna.failed"
    topic_deadletter: Name = "sedna.deadletter"

    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = None

    encryption_keys: Annotated[SecretStr, AfterValidator(_keyring)] | None = None
    api_jwt_secret: Annotated[SecretStr, AfterValidator(_signing_secret)] | None = None
    api_jwks_url: Annotated[str, AfterValidator(_key_set_url)] | None = None
    api_jwt_algorithm: Literal["HS256", "RS256", "ES256"] | None = None  #: None: by the key's kind
    api_jwt_audience: str | None = None
    api_jwt_leeway: float = Field(default=30, ge=0, le=300, allow_inf_nan=False)  #: seconds

    api_host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    connect_timeout: Seconds = 5
    request_timeout: Seconds = 30  #: the whole request
    max_in_flight: int = Field(default=500, ge=1, le=100_000)
    max_in_flight_per_tenant: int = Field(default=16, ge=1, le=10_000)
    catalogue_ttl: Seconds = 86_400
    allow_private_addresses: bool = False

    retry_base: Seconds = 1
    retry_cap: Seconds = 300
    doubt_window: Seconds = 120
    give_up_after: Seconds = 86_400
    breaker_failures: int = Field(default=5, ge=1, le=1_000_000)
    breaker_cool_down: Seconds = 30

    lease: Seconds = 60
    drain_timeout: Seconds = 40

    @property
    def kinds(self) -> dict[str, Kind]:
        """What the input topics hold, by their names."""
        return {
            self.topic_reservations: Kind.RESERVATION,
            self.topic_stop_sales: Kind.STOP_SALE,
        }

    @property
    def secrets(self) -> list[str]:
        """What nobody may see of these settings, each as it would stand in a text.

        Plain words are left out, however much they are used as passwords: whoever took them out of
        every text would take more than the password.
        """
        found = [
            value.get_secret_value()
            for value in (self.kafka_sasl_password, self.kafka_ssl_key_password)
            if value is not None
        ]
        if self.api_jwt_secret is not None:
            found.append(self.api_jwt_secret.get_secret_value())
        if self.encryption_keys is not None:
            keys = self.encryption_keys.get_secret_value().split(",")
            found += [key.partition(":")[2].strip() for key in keys]
        if self.database_url is not None:
            found += _secrets_in(self.database_url.get_secret_value(), _DSN_SECRETS)
        return [secret for secret in found if _is_telling(secret)]

    @classmethod
    def load(cls, environ: Mapping[str, str], *, needs: Collection[str] = ()) -> Self:
        """Read and check the settings.

        Args:
            environ: the process's environment.
            needs: the settings without a default that the command cannot do without, such as
                `DATABASE_URL`.

        Raises:
            SettingsError: one is missing or wrong.
        """
        given = {
            name: value
            for name in (field.upper() for field in cls.model_fields)
            if (value := _value_of(name, environ)) is not None
        }
        try:
            settings = cls.model_validate({name.lower(): text for name, text in given.items()})
        except ValidationError as error:
            raise SettingsError(_first_problem(error)) from None
        for name in needs:
            if getattr(settings, name.lower()) is None:
                raise SettingsError(f"{PREFIX}{name} is not set: {_CURES[name]}")
        settings.check_together()
        return settings

    def check_together(self) -> None:
        """Refuse combinations that would break a promise.

        Raises:
            SettingsError: these values do not go together.
        """
        for shorter, longer, why in _ORDERED:
            short, long = getattr(self, shorter), getattr(self, longer)
            if short > long or (short == long and longer in {"lease", "drain_timeout"}):
                raise SettingsError(
                    f"{PREFIX}{longer.upper()} ({long:g}) is too short next to "
                    f"{PREFIX}{shorter.upper()} ({short:g}): {why}"
                )
        topics = [
            getattr(self, name) for name in type(self).model_fields if name.startswith("topic_")
        ]
        if len(set(topics)) != len(topics):
            raise SettingsError(
                f"two of the settings {PREFIX}TOPIC_* name the same topic: give each its own"
            )
        self._check_tokens()
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise SettingsError(
                f"{PREFIX}KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol}: set "
                f"{PREFIX}KAFKA_SASL_USERNAME and {PREFIX}KAFKA_SASL_PASSWORD (or …_PASSWORD_FILE)"
            )
        for name in ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise SettingsError(
                    f"{PREFIX}{name.upper()} names no file that is there: set it to a PEM file"
                )

    def _check_tokens(self) -> None:
        if self.api_jwt_secret is not None and self.api_jwks_url is not None:
            raise SettingsError(
                f"{PREFIX}API_JWT_SECRET and {PREFIX}API_JWKS_URL are both set: unset the one that "
                "does not sign the callers' tokens"
            )
        symmetric = self.api_jwt_algorithm == "HS256"
        if symmetric and self.api_jwks_url is not None:
            raise SettingsError(
                f"{PREFIX}API_JWT_ALGORITHM is HS256, but {PREFIX}API_JWKS_URL gives public keys: "
                "set it to RS256 or ES256"
            )
        if self.api_jwt_algorithm and not symmetric and self.api_jwt_secret is not None:
            raise SettingsError(
                f"{PREFIX}API_JWT_ALGORITHM is {self.api_jwt_algorithm}, but "
                f"{PREFIX}API_JWT_SECRET is a secret: set it to HS256, or give the public keys by "
                f"{PREFIX}API_JWKS_URL instead"
            )


#: (what must not be longer, than what, why)
_ORDERED = (
    ("connect_timeout", "request_timeout", "connecting is a part of the request"),
    ("retry_base", "retry_cap", "the longest wait cannot be shorter than the first"),
    ("request_timeout", "lease", "a request must end while its partition is still ours"),
    ("request_timeout", "drain_timeout", "a drain must let requests in flight end"),
)

_CURES = {
    "DATABASE_URL": "set it to postgresql://user:password@host:5432/database",
    "KAFKA_BOOTSTRAP_SERVERS": "set it to host:port of a broker, several separated by commas",
    "ENCRYPTION_KEYS": "make a key with `openssl rand -base64 32` and set it as k1:<the key>",
}


def unknown_names(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables with the prefix that are no setting, each with the setting that it resembles."""
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    known |= {f"{PREFIX}{name}_FILE" for name in FROM_FILE}
    return {
        name: next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.8)), None)
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in known
        and not name.startswith(PREFIX + _TEST_PREFIX)
    }


def secrets_of_tracing(environ: Mapping[str, str]) -> list[str]:
    """What nobody may see of OpenTelemetry's own variables: keys in headers and in addresses."""
    found = []
    for of in ("", "_TRACES"):
        for header in environ.get(f"OTEL_EXPORTER_OTLP{of}_HEADERS", "").split(","):
            value = header.partition("=")[2].strip()
            found += [value, unquote(value)]
        found += _secrets_in(environ.get(f"OTEL_EXPORTER_OTLP{of}_ENDPOINT", ""))
    return [secret for secret in found if _is_telling(secret)]


def _secrets_in(url: str, names: Collection[str] | None = None) -> list[str]:
    """The password of an address, and the values of these names (None: of all) in its query."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return []
    query = parse_qsl(parts.query)
    values = [value for name, value in query if names is None or name in names]
    return values if password is None else [password, unquote(password), *values]


def _is_telling(secret: str) -> bool:
    if len(secret) < (_LONGEST_WORD if secret.isalpha() else _SHORTEST_SECRET):
        return False
    # The names of all settings and metrics begin so.
    return secret.casefold().replace("-", "_") not in PREFIX.casefold()


def _value_of(name: str, environ: Mapping[str, str]) -> str | None:
    value = environ.get(PREFIX + name) or None
    file = environ.get(f"{PREFIX}{name}_FILE") if name in FROM_FILE else None
    if not file:
        return value
    if value is not None:
        raise SettingsError(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: unset one")
    # The message does not repeat the path: it could be the secret itself, in the wrong variable.
    try:
        text = Path(file).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(
            f"{PREFIX}{name}_FILE: cannot read the file that it names: {reason}"
        ) from None
    if not text:
        raise SettingsError(f"{PREFIX}{name}_FILE: the file that it names is empty")
    return text


def _first_problem(error: ValidationError) -> str:
    problem: Any = error.errors(include_url=False, include_input=False)[0]
    name = PREFIX + str(problem["loc"][0]).upper()
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name} is wrong: {text[0].lower()}{text[1:]}"
