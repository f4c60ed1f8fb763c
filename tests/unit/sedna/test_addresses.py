"""Which addresses a tenant's Sedna may be at."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sedna.addresses import AddressRefused, allowed_addresses, literal_address, refusal

PUBLIC = ["8.8.8.8", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:2800:220:1::1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    "address, kind",
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("fec0::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%1", "link-local"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("2001:db8::1", "reserved"),
        ("100::1", "reserved"),
        ("64:ff9b:1::a00:1", "reserved"),
        ("::7f00:1", "reserved"),
    ],
)
def test_an_address_that_is_not_public_is_refused_by_its_kind(address: str, kind: str) -> None:
    assert refusal(address) == kind


def teredo(server: IPv4Address, client: IPv4Address) -> IPv6Address:
    return IPv6Address(0x20010000 << 96 | int(server) << 64 | int(client) ^ 0xFFFF_FFFF)


CARRIERS = {
    "mapped": lambda ip: IPv6Address(0xFFFF << 32 | int(ip)),
    "NAT64": lambda ip: IPv6Address(0x64FF9B << 96 | int(ip)),
    "6to4": lambda ip: IPv6Address(0x2002 << 112 | int(ip) << 80 | 1),
    "Teredo client": lambda ip: teredo(IPv4Address("8.8.8.8"), ip),
    "Teredo server": lambda ip: teredo(ip, IPv4Address("8.8.8.8")),
}


@pytest.mark.parametrize("form", CARRIERS)
@given(ip=st.ip_addresses(v=4))
def test_an_ipv6_form_is_refused_exactly_if_the_ipv4_address_it_carries_is(
    form: str, ip: IPv4Address
) -> None:
    assert refusal(str(CARRIERS[form](ip))) == refusal(str(ip))


@given(ip=st.ip_addresses())
def test_whatever_python_holds_for_local_is_refused(ip: IPv4Address | IPv6Address) -> None:
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        assert refusal(str(ip)) is not None


def test_of_a_mixed_answer_only_the_public_addresses_remain_in_their_order() -> None:
    mixed = ["10.0.0.1", "93.184.216.34", "::1", "8.8.8.8", "93.184.216.34"]
    assert allowed_addresses("sedna.test", mixed, allow_private=False) == [
        "93.184.216.34",
        "8.8.8.8",
    ]


def test_a_name_with_only_private_addresses_is_refused_with_host_address_and_setting() -> None:
    with pytest.raises(AddressRefused) as caught:
        allowed_addresses("sedna.test", ["10.0.0.1", "127.0.0.1"], allow_private=False)
    message = str(caught.value)
    assert "sedna.test" in message
    assert "10.0.0.1" in message
    assert "SEDNA_SYNC_ALLOW_PRIVATE_ADDRESSES" in message
    assert caught.value.kind == "private"


def test_private_addresses_pass_where_the_setting_allows_them() -> None:
    assert allowed_addresses("x", ["127.0.0.1", "::1"], allow_private=True) == ["127.0.0.1", "::1"]


def test_no_address_at_all_is_no_refusal() -> None:
    assert allowed_addresses("sedna.test", [], allow_private=False) == []


@pytest.mark.parametrize(
    "host, address",
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:7f00:1", "::ffff:7f00:1"),
        ("sedna.test", None),
        ("127.0.0.1 x", None),
        ("", None),
    ],
)
def test_a_host_that_spells_an_address_is_read_as_a_resolver_reads_it(
    host: str, address: str | None
) -> None:
    read = literal_address(host)
    # Python versions write an address that holds an IPv4 one in two ways.
    assert (read and ip_address(read)) == (address and ip_address(address))
