"""Chooses a tenant's transport, and carries requests through an outgoing proxy where one is set.

Through a proxy httpx2's own transport does the carrying; what it lacks (the fact whether a request
was sent, `before_write`, a deadline, a bound on the body) is put around it here, so that both keep
one contract. The name of the server is then resolved by the proxy, so only an address that the URL
itself spells can be refused here. Must never show a proxy's credentials.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

import httpx2
from typing_extensions import override

from consumer.sedna.addresses import allowed_addresses, literal_address
from consumer.sedna.http1 import WholeResponse, decode_body, encode_request
from consumer.sedna.sent import with_fact
from consumer.sedna.transport import MAX_BODY_BYTES, SednaTransport

_OK: Final = 200


def build_transport(
    *,
    base_url: str,
    max_connections: int,
    ssl_context: ssl.SSLContext,
    allow_private_addresses: bool,
    environ: Mapping[str, str],
) -> httpx2.AsyncBaseTransport:
    """The transport for one tenant: direct, or by the proxy that `environ` names for `base_url`.

    Raises ValueError, naming the variable and not its value, where that proxy cannot be used.
    """
    found = proxy_for(base_url, environ)
    if found is None:
        return SednaTransport(
            max_connections=max_connections,
            ssl_context=ssl_context,
            allow_private_addresses=allow_private_addresses,
        )
    variable, url = found
    proxy = _usable_proxy(url)
    if proxy is None:
        raise ValueError(f"{variable} must be a URL such as http://proxy.example:3128.")
    if proxy.url.scheme == "https":
        proxy.ssl_context = ssl_context
    inner = httpx2.AsyncHTTPTransport(
        proxy=proxy,
        verify=ssl_context,
        # No connection is kept: httpcore2 would read surplus bytes behind one reply as the reply
        # to the next request.
        limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=0),
        retries=0,
        http2=False,
        trust_env=False,
    )
    return CarriedTransport(inner, allow_private_addresses=allow_private_addresses)


def proxy_for(base_url: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Name and value of the variable that names the proxy for `base_url`, or None for no proxy.

    Reads HTTPS_PROXY or HTTP_PROXY by the URL's scheme, then ALL_PROXY, each in lower case first,
    and NO_PROXY: `*`, a domain (its subdomains included, a leading dot makes no difference), an
    address or a network, each with or without a port.
    """
    url = httpx2.URL(base_url)
    if _bypassed(url, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            value = environ.get(variable, "").strip()
            if value:
                return variable, value if "://" in value else f"http://{value}"
    return None


def _usable_proxy(url: str) -> httpx2.Proxy | None:
    try:
        proxy = httpx2.Proxy(url)
    except (ValueError, httpx2.InvalidURL):
        return None
    return proxy if proxy.url.scheme in ("http", "https") and proxy.url.host else None


def _bypassed(url: httpx2.URL, no_proxy: str) -> bool:
    host = url.raw_host.decode("ascii").rstrip(".")
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    for entry in no_proxy.replace(",", " ").lower().split():
        if entry == "*":
            return True
        name, colon, its_port = entry.rpartition(":")
        if colon and its_port.isdigit() and (":" not in name or name.endswith("]")):
            if int(its_port) != port:
                continue
        else:
            name = entry
        name = name.strip("[]").removeprefix("*").removeprefix(".")
        if name and (host == name or host.endswith(f".{name}") or _in_network(host, name)):
            return True
    return False


def _in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


class CarriedTransport(httpx2.AsyncBaseTransport):
    """Puts the contract of `SednaTransport` around httpx2's own transport.

    `request.extensions` are read as there; `before_write` is called when httpcore2 is about to
    write the head. Where it raises, nothing is sent, and the connection is given up.
    """

    def __init__(
        self,
        inner: httpx2.AsyncHTTPTransport,
        *,
        allow_private_addresses: bool,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._inner = inner
        self._allow_private = allow_private_addresses
        self._max_body_bytes = max_body_bytes

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` once and return its reply, the body read whole and decoded.

        Raises httpx2.TransportError, with the fact for `surely_not_sent` on it, or what
        `before_write` raised.
        """
        watch = _Watch(request.extensions.get("before_write"))
        try:
            self._check(request)
            async with asyncio.timeout(request.extensions.get("deadline")):
                return await self._carry(request, watch)
        except Exception as error:
            known = error is watch.veto or isinstance(error, httpx2.TransportError)
            raised = error if known else _translated(error, sent=watch.sent)
            with_fact(raised, sent=watch.sent)
            if known:
                raise
            raise raised from None

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()

    def _check(self, request: httpx2.Request) -> None:
        encode_request(request)  # for its refusals
        host = request.url.raw_host.decode("ascii").rstrip(".")
        local = host == "localhost" or host.endswith(".localhost")
        address = "127.0.0.1" if local else literal_address(host)
        if address is not None:
            allowed_addresses(host, [address], allow_private=self._allow_private)

    async def _carry(self, request: httpx2.Request, watch: "_Watch") -> httpx2.Response:
        extensions = {"timeout": _within_deadline(request.extensions), "trace": watch.trace}
        if "target" in request.extensions:
            extensions["target"] = request.extensions["target"]
        response = await self._inner.handle_async_request(
            httpx2.Request(
                request.method,
                request.url,
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
        )
        try:
            if not watch.sent:
                watch.sent = True
                raise httpx2.ReadError("This release of httpcore2 does not trace its writing.")
            if response.status_code < _OK:
                raise httpx2.RemoteProtocolError(
                    f"The server answered with status {response.status_code}."
                )
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > self._max_body_bytes:
                    raise httpx2.RemoteProtocolError(
                        f"The reply's body is larger than {self._max_body_bytes} bytes."
                    )
        finally:
            await response.aclose()
        headers, content = decode_body(
            response.headers.raw, bytes(body), max_bytes=self._max_body_bytes
        )
        return WholeResponse(response.status_code, headers=headers, content=content)


class _Watch:
    """Sees, by httpcore2's trace, the moment at which a request begins to be written.

    Built to err on the safe side: an event that is not known to belong to connecting counts as
    writing, and a reply without any writing seen is an error (`_carry`).
    """

    def __init__(self, before_write: Callable[[], None] | None) -> None:
        self._before_write = before_write
        self._tunnelling = False  # CONNECT speaks to the proxy: nothing of the request itself
        self.sent = False
        self.veto: Exception | None = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        if event.startswith(("connection.", "proxy.")):
            self._tunnelling = False
        elif getattr(info.get("request"), "method", None) == b"CONNECT":
            self._tunnelling = True
        elif not self._tunnelling and not self.sent and self.veto is None:
            self._writing()

    def _writing(self) -> None:
        if self._before_write is not None:
            try:
                self._before_write()
            except Exception as error:
                self.veto = error
                raise
        self.sent = True


def _within_deadline(extensions: Mapping[str, Any]) -> dict[str, float | None]:
    """The timeouts, with `connect` a little shorter than the deadline.

    httpcore2 leaves the socket to the garbage collector where a TLS handshake is cancelled, as a
    deadline does it, and closes it where its own timeout ends.
    """
    timeout = dict(extensions.get("timeout") or {})
    deadline = extensions.get("deadline")
    if deadline is not None:
        connect = timeout.get("connect")
        timeout["connect"] = 0.9 * deadline if connect is None else min(connect, 0.9 * deadline)
    return timeout


def _translated(error: Exception, *, sent: bool) -> httpx2.TransportError:
    if isinstance(error, TimeoutError):
        message = "No whole reply came within the request's deadline."
        return httpx2.ReadTimeout(message) if sent else httpx2.ConnectTimeout(message)
    # httpcore2 lets through what TLS and h11 raise below its own errors.
    return (httpx2.ReadError if sent else httpx2.ConnectError)(
        f"The connection failed: {type(error).__name__}."
    )
