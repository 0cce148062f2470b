"""The agent's reading of HTTP: what it understands, in whatever pieces it comes, and what it refuses."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.base.http.messages import Request
from tray_app.interfaces.agent.http_parser import LONGEST_BODY, LONGEST_HEAD, NotUnderstood, RequestReader, last_request

HOST = b"Host: lamplighter\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes) -> list[Request]:
    reader, found = RequestReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next()) is not None:
            found.append(request)
    return found


def refused(sent: bytes) -> int:
    with pytest.raises(NotUnderstood) as caught:
        read(sent)
    return caught.value.status


def test_a_request_is_read_whole() -> None:
    head = b"POST /v1/a%20b?x=1&y=%20 HTTP/1.1\r\n" + HOST + b"X-Odd:  blanks \t\r\nContent-Length: 4\r\n\r\n"

    assert read(head + b"body") == [
        Request(
            "POST", "/v1/a b", "x=1&y=%20",
            (("host", "lamplighter"), ("x-odd", "blanks"), ("content-length", "4")), b"body",
        )
    ]  # fmt: skip


def test_a_body_may_come_in_chunks() -> None:
    [request] = read(CHUNKED + b"3;note=x\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")

    assert request.body == b"abc0123456789"


def test_a_whole_url_names_its_path() -> None:
    [request] = read(b"GET http://lamplighter/v1/status?x HTTP/1.1\r\n" + HOST + b"\r\n")

    assert (request.path, request.query) == ("/v1/status", "x")


@pytest.mark.parametrize(
    ("head", "alive"),
    [(b"GET / HTTP/1.1\r\n" + HOST, True), (b"GET / HTTP/1.1\r\nConnection: x, Close\r\n" + HOST, False),
     (b"GET / HTTP/1.0\r\n", False)],
)  # fmt: skip
def test_it_says_whether_the_connection_goes_on(head: bytes, alive: bool) -> None:  # noqa: FBT001
    reader = RequestReader()
    reader.feed(head + b"\r\n")

    assert reader.next() is not None
    assert reader.keeps_alive is alive


@pytest.mark.parametrize(
    ("sent", "is_last"),
    [(b"GET /x HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n", True), (b"GET /x HTTP/1.0\r\n\r\n", True),
     (b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n", False), (b"GET /x HTTP/1.0\r\n\r\nGET /y HTTP/1.0\r\n\r\n", False),
     (b"POST /x HTTP/1.0\r\nContent-Length: 1\r\n\r\n", False), (b"GET /x HTTP/1.0\r\n", False), (b"\r\n", False)],
    ids=["close", "1.0", "goes on", "two", "a body", "half", "hardly anything"],
)  # fmt: skip
def test_a_last_request_is_known_as_such(sent: bytes, is_last: bool) -> None:  # noqa: FBT001
    assert last_request(sent) == (read(sent)[0] if is_last else None)


def test_a_client_that_waits_for_a_word_gets_it_once_its_head_is_there() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert (reader.next(), reader.wants_word) == (None, True)
    reader.feed(b"ab")
    assert reader.next() is not None
    assert reader.wants_word is False


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 10, b" GET / HTTP/1.1\r\n", b"\r\n\r\n", b"\n", b"\r\nGET / HTTP/1.1",
        b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
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
    ],
)  # fmt: skip
def test_what_is_doubtful_is_400(sent: bytes) -> None:
    assert refused(sent) == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * LONGEST_HEAD, 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 4000, 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (LONGEST_BODY + 1), 413),
        (CHUNKED + b"10001\r\n", 413),
        (CHUNKED + b"ffffffff\r\n", 413),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 4000, 431),
    ],
)
def test_what_is_too_much_has_a_status_of_its_own(sent: bytes, status: int) -> None:
    assert refused(sent) == status


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


@given(sent=nearly_right(), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_how_it_is_cut_into_pieces_changes_nothing(sent: bytes, cuts: list[int]) -> None:
    def outcome(*pieces: bytes) -> tuple[list[Request], int | None]:
        reader, found = RequestReader(), []
        try:
            for piece in pieces:
                reader.feed(piece)
                while (request := reader.next()) is not None:
                    found.append(request)
        except NotUnderstood as error:
            return found, error.status
        return found, None

    edges = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})
    pieces = [sent[begin:end] for begin, end in pairwise(edges)]

    assert outcome(*pieces) == outcome(sent) == outcome(*(sent[at : at + 1] for at in range(len(sent))))


@given(sent=nearly_right())
def test_a_last_request_is_what_is_read_from_pieces(sent: bytes) -> None:
    found, reader = last_request(sent), RequestReader()
    reader.feed(sent)

    assert found is None or (reader.next(), reader.waiting, reader.keeps_alive) == (found, 0, False)


@given(sent=nearly_right())
def test_what_it_understands_h11_understands_alike(sent: bytes) -> None:
    reader, found = RequestReader(), []
    reader.feed(sent)
    try:
        while (request := reader.next()) is not None:
            found.append(request)
            if not reader.keeps_alive:
                break
    except NotUnderstood:
        pass

    judged = by_h11(sent)[: len(found)]  # stricter it may be: a bare line feed ends no line of ours
    assert [(one.method.encode(), one.body) for one in found] == [(method, body) for method, _, body in judged]
    assert all(target.decode().endswith(one.query) for one, (_, target, _) in zip(found, judged, strict=True))


@given(st.binary(max_size=400))
def test_garbage_ends_in_a_status_or_in_patience(sent: bytes) -> None:
    try:
        read(sent)
    except NotUnderstood as error:
        assert error.status in {400, 413, 431}
