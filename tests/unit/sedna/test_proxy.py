"""Which proxy, if any, carries the requests to a tenant's Sedna."""

import ssl

import pytest

from consumer.sedna.proxy import CarriedTransport, build_transport, proxy_for
from consumer.sedna.transport import SednaTransport

PROXY = "http://user:pass-word@proxy.test:3128"


@pytest.mark.parametrize(
    "url, environ, variable",
    [
        ("https://sedna.test/x", {}, None),
        ("https://sedna.test/x", {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ("https://sedna.test/x", {"https_proxy": PROXY, "HTTPS_PROXY": "http://b"}, "https_proxy"),
        ("https://sedna.test/x", {"HTTP_PROXY": PROXY}, None),
        ("http://sedna.test/x", {"HTTP_PROXY": PROXY}, "HTTP_PROXY"),
        ("http://sedna.test/x", {"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ("http://sedna.test/x", {"all_proxy": PROXY, "HTTP_PROXY": "http://b"}, "HTTP_PROXY"),
        ("http://sedna.test/x", {"HTTP_PROXY": ""}, None),
    ],
)
def test_the_proxy_is_chosen_by_the_urls_scheme(
    url: str, environ: dict[str, str], variable: str | None
) -> None:
    found = proxy_for(url, environ)
    assert (found and found[0]) == variable


@pytest.mark.parametrize(
    "no_proxy, bypassed",
    [
        ("*", True),
        ("sedna.test", True),
        ("SEDNA.test", True),
        ("test", True),
        (".test", True),
        ("*.test", True),
        ("other.test, sedna.test", True),
        ("sedna.test:8443", True),
        ("sedna.test:443", False),
        ("dna.test", False),
        ("api.sedna.test", False),
        ("10.0.0.0/8", False),
        ("", False),
    ],
)
def test_no_proxy_names_what_goes_direct(no_proxy: str, *, bypassed: bool) -> None:
    environ = {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert (proxy_for("https://sedna.test:8443/x", environ) is None) is bypassed


@pytest.mark.parametrize(
    "url, no_proxy",
    [
        ("http://10.1.2.3", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.1.2.3"),
        ("http://[fd00::1]", "fd00::/8"),
        ("http://[fd00::1]", "[fd00::1]"),
        ("http://[fd00::1]", "fd00::1"),
        ("http://[fd00::1]:81", "[fd00::1]:81"),
    ],
)
def test_no_proxy_knows_addresses_and_networks(url: str, no_proxy: str) -> None:
    assert proxy_for(url, {"ALL_PROXY": PROXY, "no_proxy": no_proxy}) is None


def build(environ: dict[str, str]) -> object:
    return build_transport(
        base_url="https://sedna.test",
        max_connections=2,
        ssl_context=ssl.create_default_context(),
        allow_private_addresses=False,
        environ=environ,
    )


def test_without_a_proxy_the_own_transport_is_built() -> None:
    assert isinstance(build({}), SednaTransport)


@pytest.mark.parametrize("value", [PROXY, "proxy.test:3128", "https://proxy.test"])
def test_with_a_proxy_httpx2s_transport_is_wrapped(value: str) -> None:
    transport = build({"HTTPS_PROXY": value})
    assert isinstance(transport, CarriedTransport)
    assert "pass-word" not in repr(transport)


@pytest.mark.parametrize("value", ["socks5://u:pass-word@h:1", "http://u:pass-word@h:port", "://"])
def test_a_proxy_that_cannot_be_used_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
        build({"HTTPS_PROXY": value})
    assert "pass-word" not in str(caught.value)
    assert caught.value.__cause__ is None
