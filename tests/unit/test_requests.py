"""The agent's reading of HTTP: what it understands, in whatever pieces it comes, and what it refuses."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.base.http.messages import Request
from tray_app.interfaces.agent.http_requests import (
    LONGEST_BODY,
    LONGEST_HEAD,
    LONGEST_REQUEST,
    SLICE,
    RequestReader,
    only_request,
)

HOST = b"Host: lamplighter\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes) -> tuple[list[Request], int | None]:
    """The requests in it, and the status for what follows them and is none."""
    reader = RequestReader()
    for piece in pieces:
        reader.feed(piece)
    return [request for request, _ in reader.requests], reader.refusal


def one(*pieces: bytes) -> Request:
    (request,), refusal = read(*pieces)
    assert refusal is None
    return request


def test_a_request_is_read_whole() -> None:
    head = b"POST /v1/a%20b?x=1&y=%20 HTTP/1.1\r\n" + HOST + b"X-Odd:  blanks \t\r\nContent-Length: 4\r\n\r\n"

    assert one(head + b"body") == Request(
        "POST", "/v1/a b", "x=1&y=%20",
        (("host", "lamplighter"), ("x-odd", "blanks"), ("content-length", "4")), b"body",
    )  # fmt: skip


def test_a_body_may_come_in_chunks() -> None:
    request = one(CHUNKED + b"3;note=x\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")

    assert request.body == b"abc0123456789"
    assert request.header("trailer") is None


def test_a_whole_url_names_its_path() -> None:
    request = one(b"GET http://lamplighter/v1/status?x HTTP/1.1\r\n" + HOST + b"\r\n")

    assert (request.path, request.query) == ("/v1/status", "x")


@pytest.mark.parametrize(
    ("head", "alive"),
    [(b"GET / HTTP/1.1\r\n" + HOST, True), (b"GET / HTTP/1.1\r\nConnection: x, Close\r\n" + HOST, False),
     (b"GET / HTTP/1.0\r\n", False), (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False),
     (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + HOST, False)],
)  # fmt: skip
def test_it_says_whether_the_connection_goes_on(head: bytes, alive: bool) -> None:  # noqa: FBT001
    reader = RequestReader()
    reader.feed(head + b"\r\n" + b"GET /more HTTP/1.1\r\n" + HOST + b"\r\n")

    assert [keeps_alive for _, keeps_alive in reader.requests] == ([True, True] if alive else [False])
    assert reader.refusal is None


@pytest.mark.parametrize(
    ("sent", "is_last"),
    [(b"GET /x HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n", True), (b"GET /x HTTP/1.0\r\n\r\n", True),
     (b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n", False), (b"POST /x HTTP/1.0\r\n\r\n", False),
     (b"POST /x HTTP/1.0\r\nContent-Length: 1\r\n\r\n", False), (b"GET /x HTTP/1.0\r\n", False), (b"\r\n", False)],
    ids=["close", "1.0", "goes on", "POST", "a body", "half", "hardly anything"],
)  # fmt: skip
def test_a_last_request_is_known_as_such(sent: bytes, is_last: bool) -> None:  # noqa: FBT001
    assert only_request(sent) == (one(sent) if is_last else None)


def test_what_asyncio_reads_on_windows_is_read_as_well() -> None:
    sent = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
    reader = RequestReader()
    reader.feed(bytearray(sent))

    assert [request for request, _ in reader.requests] == [one(sent)]


def test_what_is_asked_again_in_the_same_bytes_is_the_same_request() -> None:
    """What was made for it, its answer for one, can then be found by identity."""
    sent = b"GET /again HTTP/1.1\r\n" + HOST + b"\r\n"

    assert one(sent) is one(sent)


def test_a_client_that_awaits_a_100_is_known_until_its_body_is_there() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert (list(reader.requests), reader.awaits_continue) == ([], True)
    reader.feed(b"ab")
    assert (len(reader.requests), reader.awaits_continue) == (1, False)


def test_blank_lines_before_a_request_are_ignored_as_rfc_9112_has_it() -> None:
    assert one(b"\r\n\r\nGET /x HTTP/1.1\r\n" + HOST + b"\r\n").path == "/x"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 10, b" GET / HTTP/1.1\r\n", b"BREW / HTTP/1.1\r\n",
        b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", b"GET / http/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET status HTTP/1.1\r\n" + HOST + b"\r\n", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /#x HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rC\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: \0\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n",
        *(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + odd + b"\r\n\r\n"
          for odd in (b"-1", b"+1", b"1_0", b"0x1", b"1, 1", b"", b"9" * 99)),
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"-1\r\n", CHUNKED + b"\r\n", CHUNKED + b"1\r\nabc\r\n", CHUNKED + b"1" * 300,
        CHUNKED + b"0\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    ],
)  # fmt: skip
def test_what_is_doubtful_is_400(sent: bytes) -> None:
    assert read(sent) == ([], 400)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * (LONGEST_HEAD + SLICE), 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 4000, 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (LONGEST_BODY + 1), 413),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 2 * LONGEST_HEAD, 431),
        (CHUNKED + b"10001\r\n" + b"x" * 0x10001, 413),
        (CHUNKED + b"ffffffff\r\n" + b"x" * 0x10001, 413),
        (CHUNKED + b"1;" + b"x" * (LONGEST_REQUEST + SLICE), 413),
        (CHUNKED + b"1\r\nx\r\n" * LONGEST_BODY, 413),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * ((LONGEST_REQUEST + SLICE) // 6), 413),
    ],
)
def test_what_is_too_much_has_a_status_of_its_own(sent: bytes, status: int) -> None:
    first = b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n"

    assert read(sent) == ([], status)
    assert read(first + sent) == ([one(first)], status)


def test_as_much_as_is_allowed_is_read() -> None:
    longest_head = b"POST / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * (LONGEST_HEAD - 100) + b"\r\n"

    assert (
        len(one(longest_head + b"Content-Length: %d\r\n\r\n" % LONGEST_BODY + b"x" * LONGEST_BODY).body) == LONGEST_BODY
    )
    assert len(one(CHUNKED + b"10000\r\n" + b"x" * LONGEST_BODY + b"\r\n0\r\n\r\n").body) == LONGEST_BODY


def test_many_requests_in_one_piece_are_all_read() -> None:
    sent = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"

    assert len(read(sent * 2000)[0]) == 2000


# -- with h11 as the judge

PARTS = [
    b"GET", b"POST", b"HEAD", b" ", b"/", b"/v1/status", b"?x=%20", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r",
    b"Host: a", b"Content-Length: 3", b"Content-Length: 03", b"Transfer-Encoding: chunked", b"Connection: close",
    b"Expect: 100-continue", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b":", b"\t", b"\0", b"\xff", b"A: b", b"\r\n\r\n",
]  # fmt: skip
usual = st.sampled_from(
    [
        b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x?y=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nA:b \r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ]
)


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """A request with a fault or two, or none."""
    sent = draw(usual)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(sent)))
        sent = sent[:at] + draw(st.sampled_from(PARTS)) + sent[at + draw(st.integers(0, 3)) :]
    return sent


def by_h11(sent: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Method, target and body of each request in it, up to the one that h11 refuses."""
    judge, found, body = h11.Connection(h11.SERVER), [], b""
    judge.receive_data(sent)
    head = None
    try:
        while True:
            event = judge.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                found.append((head.method, head.target, body))
                judge.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                judge.send(h11.EndOfMessage())
                if judge.our_state is h11.MUST_CLOSE:
                    return found
                judge.start_next_cycle()
            else:
                return found
    except h11.RemoteProtocolError:
        return found


def in_pieces(sent: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})
    return [sent[begin:end] for begin, end in pairwise(edges)]


@given(sent=nearly_right(), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_how_it_is_cut_into_pieces_changes_nothing(sent: bytes, cuts: list[int]) -> None:
    byte_by_byte = [sent[at : at + 1] for at in range(len(sent))]

    assert read(*in_pieces(sent, cuts)) == read(sent) == read(*byte_by_byte)


@given(sent=nearly_right())
def test_a_last_request_is_what_is_read_from_pieces(sent: bytes) -> None:
    found = only_request(sent)

    assert found is None or read(sent[:1], sent[1:]) == ([found], None)


@given(first=nearly_right(), second=nearly_right())
def test_h11_sees_the_same_requests(first: bytes, second: bytes) -> None:
    """Where it refuses, we may be more tolerant; but nobody may read a request where another reads none of it."""
    reader = RequestReader()
    reader.feed(first + second)
    found = [(request.method.encode(), request.query, request.body) for request, _ in reader.requests]

    judged = [(method, target.partition(b"?")[2].decode(), body) for method, target, body in by_h11(first + second)]
    both = min(len(found), len(judged))
    assert found[:both] == judged[:both]


@given(st.binary(max_size=400))
def test_garbage_ends_in_a_status_or_in_patience(sent: bytes) -> None:
    assert read(sent)[1] in {None, 400}
