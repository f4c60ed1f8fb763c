"""Decides which network addresses a tenant's Sedna may be at. Does no I/O and resolves no name.

A tenant's base URL is input from outside: without this guard it could point the service, and the
credentials in its requests, at the loopback interface, a cloud's metadata service or the operator's
own network. The judgement is on the address that is connected to, never on the name alone, so a
name that resolves differently the second time gains nothing.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx2

SETTING: Final = "SEDNA_SYNC_ALLOW_PRIVATE_ADDRESSES"

# Own tables instead of `ip.is_global`, whose meaning changed between Python's patch releases.
# https://www.iana.org/assignments/iana-ipv4-special-registry
_IPV4: Final = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_IPV6: Final = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "reserved"),
        ("3fff::/20", "reserved"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class AddressRefused(httpx2.ConnectError):
    """The tenant's Sedna is at an address that this service does not connect to."""

    def __init__(self, *, host: str, address: str, kind: str) -> None:
        super().__init__(
            f"{host} is at {address}, a {kind} address, and was not connected to. Correct the "
            f"tenant's URL, or set {SETTING}=true if Sedna really runs on your own network."
        )
        self.host = host
        self.address = address
        self.kind = kind


def refusal(address: str) -> str | None:
    """What kind of refused address this is ("loopback", "private", ...), or None if it is public.

    IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are judged by what they
    carry. Raises ValueError where `address` is no IP address.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return _listed(ip, _IPV4)
    embedded = _embedded(ip)
    if embedded:
        return next((kind for carried in embedded if (kind := _listed(carried, _IPV4))), None)
    kind = _listed(ip, _IPV6)
    if kind is None and ip not in _GLOBAL_UNICAST:
        return "reserved"
    return kind


def allowed_addresses(host: str, addresses: Iterable[str], *, allow_private: bool) -> list[str]:
    """The addresses of `host` that may be connected to, in their order, each once.

    Raises AddressRefused, which names the first one, where there are some but all are refused.
    """
    allowed: list[str] = []
    refused: AddressRefused | None = None
    for address in dict.fromkeys(addresses):
        kind = None if allow_private else refusal(address)
        if kind is None:
            allowed.append(address)
        elif refused is None:
            refused = AddressRefused(host=host, address=address, kind=kind)
    if not allowed and refused is not None:
        raise refused
    return allowed


def literal_address(host: str) -> str | None:
    """The IP address that `host` itself spells, or None where it is a name.

    Reads what a resolver reads as an address too: `127.1`, `0x7f000001`, `2130706433`.
    """
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    # inet_aton also takes trailing text behind a blank; such a host is no address.
    if not host.isascii() or any(character.isspace() for character in host):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _listed(
    ip: IPv4Address | IPv6Address,
    table: tuple[tuple[IPv4Network, str], ...] | tuple[tuple[IPv6Network, str], ...],
) -> str | None:
    return next((kind for network, kind in table if ip in network), None)


def _embedded(ip: IPv6Address) -> tuple[IPv4Address, ...]:
    if ip.ipv4_mapped is not None:
        return (ip.ipv4_mapped,)
    if ip.sixtofour is not None:
        return (ip.sixtofour,)
    if ip.teredo is not None:
        return ip.teredo
    if ip in _NAT64:
        return (IPv4Address(int(ip) & 0xFFFF_FFFF),)
    return ()
