"""HTTP/1.1 as bytes: any split reads the same, nothing a server sends gets past the bounds."""

import gzip
import itertools

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sedna.http1 import ReplyReader, build_request, encode_request

URL = httpx2.URL("https://sedna.test:8443/base")

CHUNKED = (
    b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\n\r\n"
    b"3;e=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
)
DECLARED = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nSet-Cookie: a=1\r\n\r\nabc0123456789"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\n\r\nabc0123456789"


def reader(
    *, to_head: bool = False, max_header_bytes: int = 1000, max_body_bytes: int = 1000
) -> ReplyReader:
    return ReplyReader(
        to_head=to_head, max_header_bytes=max_header_bytes, max_body_bytes=max_body_bytes
    )


def feed_again(reading: ReplyReader, piece: bytes, *, times: int) -> None:
    for _ in range(times):
        reading.feed(piece)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(at) if a < b]


@pytest.mark.parametrize("reply", [CHUNKED, DECLARED, UNTIL_CLOSE])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=30))
def test_any_split_of_a_reply_reads_the_same(reply: bytes, cuts: list[int]) -> None:
    reading = reader()
    whole = [reading.feed(piece) for piece in pieces(reply, cuts)]
    assert not any(whole[:-1])
    kept = reading.keep_alive
    if reply is UNTIL_CLOSE:
        assert not whole[-1]
        reading.end()
    else:
        assert whole[-1]
    response = reading.response()
    assert kept == (reply is not UNTIL_CLOSE)
    assert (response.status_code, response.content) == (200, b"abc0123456789")
    assert response.headers["set-cookie"] == "a=1"
    assert "x" not in response.headers
    assert "trailer" not in response.headers


@pytest.mark.parametrize("reply", [CHUNKED, DECLARED])
@given(cut=st.integers(0, 10_000))
def test_a_reply_cut_off_anywhere_is_an_error(reply: bytes, cut: int) -> None:
    reading = reader()
    part = reply[: cut % len(reply)]
    if part:
        assert not reading.feed(part)
    with pytest.raises(httpx2.RemoteProtocolError):
        reading.end()


@given(
    start=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:60], CHUNKED, DECLARED[:50]]),
    rest=st.lists(st.binary(min_size=1, max_size=200), max_size=20),
)
def test_whatever_bytes_come_the_outcome_is_a_reply_or_a_protocol_error(
    start: bytes, rest: list[bytes]
) -> None:
    reading = reader()
    try:
        whole = False
        for piece in ([start] if start else []) + rest:
            whole = reading.feed(piece)
            if whole:
                break
        if not whole:
            reading.end()
        assert 200 <= reading.response().status_code <= 999
    except httpx2.RemoteProtocolError:
        pass


@given(size=st.integers(1, 50))
def test_an_endless_header_is_stopped_at_the_bound(size: int) -> None:
    reading = reader(max_header_bytes=1000)
    reading.feed(b"HTTP/1.1 200 OK\r\nX: ")
    with pytest.raises(httpx2.RemoteProtocolError, match="larger than 1000"):
        feed_again(reading, b"x" * size, times=2000 // size)


def test_endless_interim_replies_are_stopped_at_the_bound() -> None:
    reading = reader(max_header_bytes=1000)
    with pytest.raises(httpx2.RemoteProtocolError, match="larger than 1000"):
        feed_again(reading, b"HTTP/1.1 103 Hints\r\n\r\n", times=200)


@pytest.mark.parametrize("piece", [b"1\r\nx\r\n", b"1;" + b"e" * 500 + b"\r\nx\r\n"])
def test_endless_chunks_are_stopped_at_the_bound(piece: bytes) -> None:
    reading = reader()
    reading.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(httpx2.RemoteProtocolError, match="body is larger than 1000"):
        feed_again(reading, piece, times=2000)


def test_an_endless_trailer_is_stopped_at_the_bound() -> None:
    reading = reader()
    reading.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: ")
    with pytest.raises(httpx2.RemoteProtocolError, match="body is larger than 1000"):
        feed_again(reading, b"tt", times=2000)


def test_a_reply_exactly_at_the_bound_is_read() -> None:
    reading = reader(max_body_bytes=13)
    assert reading.feed(DECLARED)
    assert reading.response().content == b"abc0123456789"


@pytest.mark.parametrize(
    "reply, keeps",
    [
        (DECLARED, True),
        (DECLARED.replace(b"1.1", b"1.0"), False),
        (
            DECLARED.replace(b"1.1", b"1.0").replace(b"Set-Cookie: a=1", b"Connection: keep-alive"),
            True,
        ),
        (DECLARED.replace(b"Set-Cookie: a=1", b"Connection: close"), False),
        (DECLARED + b"x", False),
        (DECLARED + DECLARED, False),
    ],
)
def test_only_a_clean_reply_that_says_nothing_else_keeps_the_connection(
    reply: bytes, *, keeps: bool
) -> None:
    reading = reader()
    assert reading.feed(reply)
    assert reading.keep_alive is keeps
    assert reading.response().content == b"abc0123456789"


def test_a_reply_to_head_has_no_body_whatever_it_declares() -> None:
    reading = reader(to_head=True)
    assert reading.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n")
    assert reading.keep_alive
    assert reading.response().content == b""


def test_another_transfer_encoding_than_chunked_is_an_error() -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        reader().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")


def test_a_compressed_body_that_ends_early_is_an_error() -> None:
    packed = gzip.compress(b"abc" * 100)[:-4]
    reading = reader()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert reading.feed(head + packed)
    with pytest.raises(httpx2.RemoteProtocolError):
        reading.response()


def test_an_unknown_content_encoding_is_an_error() -> None:
    reading = reader()
    assert reading.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx")
    with pytest.raises(httpx2.RemoteProtocolError):
        reading.response()


def test_a_request_is_written_as_one_block() -> None:
    request = build_request(
        "POST",
        URL,
        target=b"/api/x?password=secret",
        headers=[(b"Accept", b"*/*")],
        content=b"{}",
        extensions={},
    )
    assert encode_request(request) == (
        b"POST /api/x?password=secret HTTP/1.1\r\nHost: sedna.test:8443\r\nAccept: */*\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    assert "secret" not in repr(request)


def test_a_request_of_httpx2s_own_making_is_written_too() -> None:
    request = httpx2.Request("GET", "http://sedna.test/a b?c=d", headers={"Accept": "*/*"})
    assert encode_request(request) == (
        b"GET /a%20b?c=d HTTP/1.1\r\nHost: sedna.test\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize("value", [b"a\r\nX: y", b"a\nb", b"a\rb", b"a\x00b", b"a\r\n\r\nGET /"])
def test_a_header_value_cannot_leave_its_line(value: bytes) -> None:
    request = build_request("GET", URL, target=b"/", headers=[(b"X", value)], extensions={})
    with pytest.raises(httpx2.LocalProtocolError):
        encode_request(request)


@pytest.mark.parametrize("target", [b"/a b", b"/a\r\nX: y", "/ş".encode(), b"/\x7f"])
def test_a_target_cannot_leave_its_line(target: bytes) -> None:
    request = build_request("GET", URL, target=target, headers=[], extensions={})
    with pytest.raises(httpx2.LocalProtocolError):
        encode_request(request)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Host", b"x"), (b"Content-Length", b"3")],
        [(b"Host", b"x"), (b"Content-Length", b"2"), (b"content-length", b"2")],
        [(b"Host", b"x"), (b"Content-Length", b"2"), (b"Transfer-Encoding", b"chunked")],
        [(b"Host", b"x")],
        [(b"Content-Length", b"2")],
    ],
)
def test_a_request_whose_framing_is_wrong_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    request = httpx2.Request("POST", URL, headers=headers, stream=httpx2.ByteStream(b"{}"))
    request.read()
    with pytest.raises(httpx2.LocalProtocolError):
        encode_request(request)


def test_a_streamed_body_is_refused() -> None:
    request = httpx2.Request("POST", URL, content=iter([b"{}"]))
    with pytest.raises(httpx2.LocalProtocolError):
        encode_request(request)
