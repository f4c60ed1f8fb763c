"""Broken events, the same ones in every run: whatever a producer might put into the topics.

They are made of good events with something wrong put in, and of bytes that are no event at all.
`parse_event`, which has tests of its own, says which of them are still good by accident; those are
left out.
"""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from schemas.envelope import InvalidEvent, parse_event
from schemas.kinds import Kind, is_tenant_id
from tests.support.events import reservation, stop_sale

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """One record that is no event of the contract."""

    kind: Kind
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def tenant(self) -> str | None:
        """Whom the key names."""
        text = (self.key or b"").decode("latin-1")
        return text if is_tenant_id(text) else None


#: What is wrong wherever it stands, or nearly so.
ODDITIES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    10**400,
    -(2**63) - 1,
    1e308,
    "",
    " \t\u2003",
    "a\x00b",
    "\ud800",
    "x" * 3000,
    "0000-00-00",
    "9999-12-31",
    "2026-02-30",
    "2026-12-01T00:00:00+03:00",
    "1e9999",
    "NaN",
    [],
    {},
    [[]],
)
KEYS = (b"a", b"b", b"nobody-here", None, b"", b"a b", b"\xff\xfe", b"x" * 65, "ä".encode(), b"a\n")
ODD_HEADERS: tuple[Headers, ...] = (
    (("content-type", b"text/plain"),),
    (("content-type", b"application/cloudevents+json; charset=utf-16"),),
    (("Content-Type", b"application/json"), ("content-type", b"application/cloudevents+json")),
    (("ce_type", b"reservation.created"), ("ce_type", b"stopsale.created")),
    (("ce_id", b"\xff"), ("ce_specversion", b"0.3")),
    (("", b""), ("x" * 300, b"\x00" * 300)),
    (("traceparent", b"00-zz-zz-01"),),
    (("nothing", None),),
)


def broken_events(count: int) -> list[Broken]:
    """So many broken events, the same in every run."""
    draws = random.Random(20261122)
    wild = _sampled(1000)
    made: list[Broken] = []
    for candidate in _candidates(draws, wild):
        if _is_broken(candidate):
            made.append(candidate)
            if len(made) == count:
                break
    return made


def _is_broken(event: Broken) -> bool:
    headers = [(name, value) for name, value in event.headers if value is not None]
    try:
        parse_event(event.kind, key=event.key, value=event.value, headers=headers)
    except InvalidEvent:
        return True
    return False


def _candidates(draws: random.Random, wild: list[Any]) -> Iterator[Broken]:
    yield from _large()
    ways = (_damaged, _damaged, _damaged, _damaged, _no_event, _cut, _misaddressed, _binary, _odd)
    while True:
        yield draws.choice(ways)(draws, wild)


def _large() -> Iterator[Broken]:
    padding = "p" * 900_000
    yield Broken(Kind.RESERVATION, b"a", reservation("a", 1, hotel_name=padding))
    yield Broken(Kind.STOP_SALE, b"b", stop_sale("b", 1, reason=padding))
    yield Broken(Kind.RESERVATION, None, bytes(range(256)) * 3500)
    yield Broken(Kind.RESERVATION, b"a", b"[" * 500_000)
    yield Broken(Kind.STOP_SALE, b"a", b'{"data":' * 50_000 + b"1" + b"}" * 50_000)
    yield Broken(Kind.STOP_SALE, b"a", b"9" * 800_000)


def _event(draws: random.Random) -> tuple[Kind, dict[str, Any]]:
    kind = draws.choice(list(Kind))
    make = reservation if kind is Kind.RESERVATION else stop_sale
    event: dict[str, Any] = json.loads(make("a", draws.randrange(1000)))
    event["id"] = f"event-{draws.randrange(10**9)}"
    return kind, event


def _places(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(content, dict):
        for name, inner in content.items():
            yield from _places(inner, (*path, name))
    elif isinstance(content, list):
        for index, inner in enumerate(content):
            yield from _places(inner, (*path, index))


def _damage(event: dict[str, Any], draws: random.Random, wild: list[Any]) -> dict[str, Any]:
    event = copy.deepcopy(event)
    *parents, last = draws.choice(list(_places(event)))
    target: Any = event
    for name in parents:
        target = target[name]
    match draws.randrange(3):
        case 0:
            del target[last]
        case 1:
            target[last] = draws.choice(ODDITIES)
        case _:
            target[last] = draws.choice(wild)
    return event


def _damaged(draws: random.Random, wild: list[Any]) -> Broken:
    kind, event = _event(draws)
    return Broken(kind, b"a", json.dumps(_damage(event, draws, wild)).encode())


def _no_event(draws: random.Random, wild: list[Any]) -> Broken:
    values: tuple[bytes | None, ...] = (
        None,
        b"",
        draws.randbytes(draws.randrange(1, 200)),
        json.dumps(draws.choice(wild)).encode(),
    )
    return Broken(draws.choice(list(Kind)), draws.choice(KEYS), draws.choice(values))


def _cut(draws: random.Random, wild: list[Any]) -> Broken:
    whole = _damaged(draws, wild)
    value = whole.value or b""
    return Broken(whole.kind, whole.key, value[: draws.randrange(len(value))])


def _misaddressed(draws: random.Random, _wild: list[Any]) -> Broken:
    kind, event = _event(draws)
    other = draws.choice([each for each in Kind if each is not kind])
    if draws.random() < 0.3:
        return Broken(other, b"a", json.dumps(event).encode())
    return Broken(kind, draws.choice(KEYS[1:]), json.dumps(event).encode())


def _binary(draws: random.Random, wild: list[Any]) -> Broken:
    kind, event = _event(draws)
    event = _damage(event, draws, wild)
    data = json.dumps(event.pop("data", None)).encode()
    headers: list[tuple[str, bytes | None]] = [
        (f"ce_{name}", value.encode(errors="surrogatepass"))
        for name, value in event.items()
        if isinstance(value, str)
    ]
    return Broken(kind, b"b", data, (("content-type", b"application/json"), *headers))


def _odd(draws: random.Random, wild: list[Any]) -> Broken:
    kind, event = _event(draws)
    if draws.random() < 0.5:
        event = _damage(event, draws, wild)
    return Broken(kind, b"a", json.dumps(event).encode(), draws.choice(ODD_HEADERS))


def _sampled(count: int) -> list[Any]:
    """JSON values as only a machine thinks of them."""
    values: list[Any] = []
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )

    @seed(20261122)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(json_values)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values
