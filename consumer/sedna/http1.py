"""HTTP/1.1 as bytes: a request becomes bytes, bytes become a reply. Does no I/O, reads no clock.

Every bound on what a server may send is held here. What a server sends wrongly is always a
`httpx2.RemoteProtocolError`, what the caller asks wrongly a `httpx2.LocalProtocolError`; no message
quotes the target, a header or a body, since they can carry credentials.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httptools
import httpx2
from typing_extensions import override

_HEAD: Final = re.compile(
    rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: [^\x00\r\n]*\r\n)+"
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_OK: Final = 200
_SWITCHING_PROTOCOLS: Final = 101
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_WITHOUT_BODY: Final = frozenset({204, 304})
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


class WholeResponse(httpx2.Response):
    """A response whose body is there and decoded, built at a fifth of the usual cost."""

    def __init__(
        self, status_code: int, *, headers: list[tuple[bytes, bytes]], content: bytes
    ) -> None:
        super().__init__(status_code, headers=headers, stream=httpx2.ByteStream(content))
        self._whole = content

    @property
    @override
    def content(self) -> bytes:
        return self._whole

    @override
    def read(self) -> bytes:
        return self._whole

    @override
    async def aread(self) -> bytes:
        return self._whole


def build_request(
    method: str,
    url: httpx2.URL,
    *,
    target: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    content: bytes = b"",
    extensions: Mapping[str, Any],
) -> httpx2.Request:
    """A request for `target` (path and query, percent-encoded) at the origin of `url`.

    An eighth of the cost of copying the URL and of httpx2.Request's own way with a body; and since
    the target travels as the extension that httpcore2 knows, credentials in it are in no URL that
    a repr or an error could show. `headers` need neither Host nor Content-Length.
    """
    fields = [(b"Host", url.netloc), *headers]
    if content or method in _WITH_BODY:
        fields.append((b"Content-Length", b"%d" % len(content)))
    request = httpx2.Request(
        method,
        url,
        headers=fields,
        stream=httpx2.ByteStream(content),
        extensions={**extensions, "target": target},
    )
    request.read()
    return request


def encode_request(request: httpx2.Request) -> bytes:
    """The request as one block of bytes: head and body.

    The extension `target` takes the place of the URL's path and query, as in httpcore2.
    Raises httpx2.LocalProtocolError where it would not be one well-formed request: a header that
    breaks out of its line, no Host, a body that is not what Content-Length says, or a streamed body
    (a body that cannot be repeated cannot be held either: give bytes).
    """
    try:
        body = request.content
    except httpx2.RequestNotRead:
        raise httpx2.LocalProtocolError("The request's body must be bytes, not a stream.") from None
    target = request.extensions.get("target") or request.url.raw_path
    raw = request.headers.raw
    fields = b"".join([b"%b: %b\r\n" % field for field in raw])
    head = b"%b %b HTTP/1.1\r\n%b" % (request.method.encode(), target, fields)
    if _HEAD.fullmatch(head) is None or fields.count(b"\r\n") != len(raw):
        raise httpx2.LocalProtocolError("The request's method, target or a header is malformed.")
    lowered = b"\r\n" + fields.lower()
    if b"\r\nhost: " not in lowered:
        raise httpx2.LocalProtocolError("The request has no Host header.")
    lengths = lowered.count(b"\r\ncontent-length:")
    right = (
        lengths == 1 and b"\r\ncontent-length: %d\r\n" % len(body) in lowered
        if body or lengths
        else True
    )
    if not right or b"\r\ntransfer-encoding:" in lowered:
        raise httpx2.LocalProtocolError("The request's Content-Length is not its body's length.")
    return b"%b\r\n%b" % (head, body)


class ReplyReader:
    """Reads the reply to one request from pieces of any size.

    Once `feed` says that the reply is whole, or `end` did not raise, `response` gives it.
    `keep_alive` says whether the connection may carry another request, which a surplus byte ends.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_encoding",
        "_fault",
        "_framed",
        "_head_bytes",
        "_head_done",
        "_headers",
        "_interim",
        "_max_body_bytes",
        "_max_header_bytes",
        "_parser",
        "_status",
        "_to_head",
        "_whole",
        "_wire_bytes",
        "keep_alive",
    )

    def __init__(self, *, to_head: bool, max_header_bytes: int, max_body_bytes: int) -> None:
        self.keep_alive = False
        self._to_head = to_head
        self._max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._status = 0
        self._wire_bytes = self._head_bytes = self._body_bytes = 0
        self._head_done = self._interim = self._framed = self._whole = False
        self._encoding = b""
        self._fault: str | None = None
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """Take the next piece; says whether the reply is whole.

        Raises httpx2.RemoteProtocolError for what is no HTTP/1 reply or is larger than allowed.
        """
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fault = "The server switched protocols, which was not asked for."
        except httptools.HttpParserError as error:
            if not self._whole:
                raise httpx2.RemoteProtocolError(
                    self._fault or f"The server's reply is not HTTP/1: {error}."
                ) from None
            self.keep_alive = False
        if self._fault is None and not self._whole:
            # What is still being assembled has not been counted by a callback yet. Chunk framing
            # and trailers count as body, so that endless ones meet the same bound.
            if not self._head_done:
                self._bound_head(self._wire_bytes)
            elif self._wire_bytes > self._max_header_bytes + self._max_body_bytes:
                self._body_too_large()
        if self._fault is not None:
            raise httpx2.RemoteProtocolError(self._fault)
        return self._whole

    def end(self) -> None:
        """The server closed its side, which makes a reply of no declared length whole.

        Raises httpx2.RemoteProtocolError where the reply was cut off.
        """
        self.keep_alive = False
        if self._whole or (self._head_done and not self._framed):
            return
        if self._wire_bytes == 0:
            raise httpx2.RemoteProtocolError("The server closed the connection without a reply.")
        raise httpx2.RemoteProtocolError("The server closed the connection within its reply.")

    def response(self) -> httpx2.Response:
        """The whole reply, its body decoded.

        Raises httpx2.RemoteProtocolError where the body cannot be decoded within the bound.
        """
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        headers = self._headers
        if self._encoding:
            headers, body = decode_body(headers, body, max_bytes=self._max_body_bytes)
        return WholeResponse(self._status, headers=headers, content=body)

    # What follows is called by the parser. An exception in here would lose its type: note faults.

    def on_message_begin(self) -> None:
        """A reply begins."""
        if self._whole:
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header is whole."""
        if self._head_done:
            return  # a trailer, or surplus
        self._head_bytes += len(name) + len(value) + 4
        self._bound_head(self._head_bytes)
        self._headers.append((name, value))
        lowered = name.lower()
        if lowered in _FRAMING:
            self._note_framing(lowered, value.strip().lower())

    def on_headers_complete(self) -> None:
        """The status and all headers are there."""
        if self._head_done:
            return
        status = self._parser.get_status_code()
        if status < _OK:
            if status in (0, _SWITCHING_PROTOCOLS):
                self._fault = f"The server answered with status {status}, which was not asked for."
            self._interim = True
            self._headers.clear()
            self._framed = False
            self._encoding = b""
            return
        self._status = status
        self._head_done = True
        self.keep_alive = self._parser.should_keep_alive()
        if self._to_head or status in _WITHOUT_BODY:
            self._framed = self._whole = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body is there."""
        if self._whole:
            self.keep_alive = False
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._max_body_bytes:
            self._body_too_large()
        elif self._fault is None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """A reply is whole."""
        if self._interim:
            self._interim = False
        elif self._head_done:
            self._whole = True

    def _note_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-encoding":
            self._encoding = value if value != b"identity" else b""
            return
        self._framed = True
        if name == b"transfer-encoding" and value != b"chunked":
            self._fault = "The server used a transfer encoding other than chunked."

    def _bound_head(self, size: int) -> None:
        if size > self._max_header_bytes:
            self._fault = f"The reply's headers are larger than {self._max_header_bytes} bytes."

    def _body_too_large(self) -> None:
        self._fault = f"The reply's body is larger than {self._max_body_bytes} bytes."


def decode_body(
    headers: list[tuple[bytes, bytes]], body: bytes, *, max_bytes: int
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers without Content-Encoding, and the body that it described, at most `max_bytes` long.

    The client asks for `identity`; a server that compresses all the same is read, but a small body
    that unpacks to a huge one is not. Raises httpx2.RemoteProtocolError for a body that is too
    large, damaged, or encoded in another way than gzip or deflate.
    """
    encodings = [value.strip().lower() for name, value in headers if _is_encoding(name)]
    if not encodings or encodings == [b"identity"]:
        return headers, body
    kept = [field for field in headers if not _is_encoding(field[0])]
    if not body:
        return kept, body
    if encodings not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        raise httpx2.RemoteProtocolError("The reply's content encoding is not known here.")
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except zlib.error:
        raise httpx2.RemoteProtocolError("The reply's body is damaged.") from None
    if len(unpacked) > max_bytes:
        raise httpx2.RemoteProtocolError(f"The reply's body is larger than {max_bytes} bytes.")
    if not unpacker.eof:
        raise httpx2.RemoteProtocolError("The reply's compressed body ends early.")
    return kept, unpacked


def _is_encoding(name: bytes) -> bool:
    return name.lower() == b"content-encoding"
