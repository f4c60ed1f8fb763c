"""Says whether a failed request surely never left this process: a safety property.

"Surely not sent" lets the service send a create again at once; anything else puts it in doubt, and
Sedna is asked first. So a wrong True makes a second reservation, a wrong False costs one look-up:
whatever is not known here is False, and this module must never guess. It is the one place that
says so; the contract suite in `tests/contract/test_transport.py` holds it against real sockets.

Two sources, in this order:

* the fact. `consumer.sedna.transport` and `consumer.sedna.proxy` write the bytes themselves or see
  the moment of writing, and put on every error that they raise whether a byte of the request had
  been handed over for sending.
* the type, for errors of httpx2's own `AsyncHTTPTransport` over HTTP/1.1. Read from httpcore2
  2.16: `ConnectError` and `ConnectTimeout` come only from opening the socket and the TLS handshake,
  `PoolTimeout` only from waiting for a connection, `UnsupportedProtocol` before anything else, and
  `ProxyError` from a proxy that refused the tunnel. `LocalProtocolError` stays out: the HTTP/2 code
  raises it after bytes went out too. Errors of other transports prove nothing by their type (one
  known transport reports a reset after the request as `ConnectTimeout`): do not bring them here.
"""

from typing import Final, TypeVar

import httpx2

_FACT: Final = "_sedna_sync_sent"

_NEVER_SENT: Final = frozenset(
    {
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
        httpx2.UnsupportedProtocol,
    }
)

E = TypeVar("E", bound=Exception)


def with_fact(error: E, *, sent: bool) -> E:
    """Put on `error` whether a byte of the request may have left; returns the same object."""
    error.__dict__[_FACT] = sent
    return error


def surely_not_sent(error: Exception) -> bool:
    """Whether not one byte of the request that failed with `error` can have reached the server.

    False means "perhaps sent": the request may have taken effect, whatever the error looks like.
    """
    sent = error.__dict__.get(_FACT)
    if sent is None:
        return type(error) in _NEVER_SENT
    return sent is False
