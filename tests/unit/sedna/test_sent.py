"""`surely_not_sent` is a safety property: a wrong True makes a second reservation."""

import inspect

import httpx2
import pytest

from consumer.sedna.sent import surely_not_sent, with_fact

NEVER_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}

ALL_TYPES = [
    kind
    for _, kind in inspect.getmembers(httpx2, inspect.isclass)
    if issubclass(kind, httpx2.RequestError)
]


@pytest.mark.parametrize("kind", ALL_TYPES)
def test_an_error_of_httpx2_is_not_sent_only_if_its_type_proves_it(
    kind: type[httpx2.RequestError],
) -> None:
    assert surely_not_sent(kind("x")) == (kind.__name__ in NEVER_SENT)


@pytest.mark.parametrize("kind", ALL_TYPES)
@pytest.mark.parametrize("sent", [True, False])
def test_the_fact_on_an_error_outweighs_its_type(
    kind: type[httpx2.RequestError], *, sent: bool
) -> None:
    assert surely_not_sent(with_fact(kind("x"), sent=sent)) is not sent


def test_a_subclass_made_elsewhere_proves_nothing() -> None:
    class StrangeError(httpx2.ConnectError):
        pass

    assert not surely_not_sent(StrangeError("x"))


@pytest.mark.parametrize("error", [OSError(), TimeoutError(), RuntimeError(), ConnectionError()])
def test_an_unknown_error_is_perhaps_sent(error: Exception) -> None:
    assert not surely_not_sent(error)


def test_the_same_error_comes_back_with_the_fact() -> None:
    error = ValueError("x")
    assert with_fact(error, sent=False) is error
