"""Bytes to commands and replies to bytes: limits, texts, chunking, both protocols.

Three judges: a plain reading of the protocol written here, redis-server where one is
installed, and hiredis as the reader of our replies.
"""

from __future__ import annotations

import enum
import itertools
import math
import random
import re
import shutil
import socket
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server.encode import (
    NULL_ARRAY,
    OK,
    BigNumber,
    Encoded,
    Members,
    NullArray,
    PairArrays,
    Pairs,
    Push,
    Tuples,
    Verbatim,
    double,
    encode,
)
from antecache.server.errors import ClientError, ProtocolError
from antecache.server.inline import split_inline
from antecache.server.resp import Parser

Commands = list[list[bytes]]


def request(*args: bytes) -> bytes:
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def text(parser: Parser) -> str | None:
    return None if parser.error is None else parser.error.text


def fed(stream: bytes, cuts: list[int] | None = None, **limits: int) -> tuple[Commands, Parser]:
    """The commands of a stream that arrives cut at these places."""
    parser = Parser(**limits)
    edges = [0, *sorted(cuts or []), len(stream)]
    commands: Commands = []
    for start, stop in itertools.pairwise(edges):
        commands += parser.feed(stream[start:stop])
    return commands, parser


def plain_reading(stream: bytes, max_bulk: int, max_inline: int) -> tuple[Commands, str | None]:
    """The protocol read the slow way, from the whole stream at once."""
    commands: Commands = []
    at = 0

    def line(mark: bytes, kind: str) -> bytes | str | None:
        """The line at `at`; None when it has no end yet, a str when it is too long."""
        seen = stream[at:].split(b"\0")[0]
        end = seen.find(mark)
        if (end if end >= 0 else len(stream) - at) > max_inline:
            return f"too big {kind}"
        return None if end < 0 else seen[:end]

    def number(found: bytes) -> int | None:
        if not re.fullmatch(rb"0|-?[1-9][0-9]*", found) or abs(int(found)) > 2**63 - 1:
            return None
        return int(found)

    while at < len(stream):
        if stream[at : at + 1] != b"*":
            found = line(b"\n", "inline request")
            if found is None or isinstance(found, str):
                return commands, found
            at += len(found) + 1
            args = split_inline(found.removesuffix(b"\r"))
            if args is None:
                return commands, "unbalanced quotes in request"
            if args:
                commands.append(args)
            continue
        found = line(b"\r", "mbulk count string")
        if found is None or isinstance(found, str):
            return commands, found
        if at + len(found) + 2 > len(stream):
            return commands, None
        count = number(found[1:])
        if count is None or count > 2**31 - 1:
            return commands, "invalid multibulk length"
        at += len(found) + 2
        args = []
        for _ in range(count):
            found = line(b"\r", "bulk count string")
            if found is None or isinstance(found, str):
                return commands, found
            if at + len(found) + 2 > len(stream):
                return commands, None
            if stream[at : at + 1] != b"$":
                got = stream[at : at + 1].decode("utf-8", "surrogateescape")
                return commands, f"expected '$', got '{got}'"
            size = number(found[1:])
            if size is None or not 0 <= size <= max_bulk:
                return commands, "invalid bulk length"
            at += len(found) + 2
            if at + size + 2 > len(stream):
                return commands, None
            args.append(stream[at : at + size])
            at += size + 2
        if args:
            commands.append(args)
    return commands, None


arguments = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"GET", b"SET", b"", b"\r\n", b"$3\r\nfoo\r\n", b"*1\r\n", b"\0", b"x" * 3000]
    ),
)
frames = st.one_of(
    st.lists(arguments, max_size=5).map(lambda args: request(*args)),
    st.sampled_from(
        [
            *(b"PING\r\n", b"\r\n", b"\n", b"  \r\n", b"ECHO 'a b'\n", b'set "\\x41\\n" b\r\n'),
            *(b"*0\r\n", b"*-1\r\n", b"*-9\r\n", b"*-1\r\n"),
            *(b"*1\r\n+OK\r\n", b"*1\r\n*1\r\n$1\r\na\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n"),
            *(b"*01\r\n", b"*\r\n", b"*1\r\n$01\r\na\r\n", b"*+1\r\n", b"*1\r\n$5001\r\n"),
            *(b"*2147483647\r\n", b"*2147483648\r\n", b"*99999999999999999999\r\n"),
            *(b"*-9223372036854775809\r\n", b'"abc\r\n', b"'abc'd\r\n", b"*1\r\n\r\n"),
            *(
                b"*1\0\r\n",
                b"PI\0NG\r\n",
                b"*1\r\n$1\0\r\n",
                b"*1\r\n\0001\r\n",
                b"*1\rx$1\rxaxx",
                b"y" * 4097 + b"\n",
            ),
            *(b"*" + b"1" * 4097, b"*1\r\n$" + b"1" * 4097 + b"\r\n", b"*1\r\n$4096\r\n"),
        ]
    ),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames in a row, perhaps with a few bytes changed, dropped or added."""
    stream = bytearray(b"".join(draw(st.lists(frames, max_size=6))))
    for _ in range(draw(st.integers(0, 3))):
        where = draw(st.integers(0, len(stream)))
        gone = draw(st.integers(0, 2))
        stream[where : where + gone] = draw(st.sampled_from([*b"\r\n*$0123 \0a\"'"])).to_bytes()
    return bytes(stream)


@settings(max_examples=1000, deadline=None)
@given(streams(), st.data())
def test_every_cut_of_a_stream_reads_alike(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    expected, refused = plain_reading(stream, max_bulk=5000, max_inline=4096)
    for places in ([], cuts, list(range(len(stream)))):
        commands, parser = fed(stream, places, max_bulk=5000, max_inline=4096)
        assert commands == expected
        assert text(parser) == refused


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=9), max_size=20), st.data())
def test_what_a_client_sends_arrives(sent: Commands, data: st.DataObject) -> None:
    stream = b"".join(request(*args) for args in sent)
    commands, parser = fed(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    assert commands == sent
    assert parser.error is None
    assert parser.pending == 0
    assert all(type(arg) is bytes for args in commands for arg in args)
    reader = hiredis.Reader()
    reader.feed(stream)
    assert commands == [reader.gets() for _ in sent]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.binary(max_size=30), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(b"\r\n*$0123 \0ax")), max_size=3),
)
def test_a_chunk_that_only_resembles_those_before_it_is_read_anew(
    args: list[bytes], changes: list[tuple[int, int]]
) -> None:
    usual = request(*args)
    changed = bytearray(usual)
    for at, byte in changes:
        changed[at % len(usual)] = byte
    stream = usual * 3 + changed + usual
    expected, refused = plain_reading(stream, max_bulk=512 * 2**20, max_inline=64 * 1024)
    commands, parser = fed(stream, list(range(0, len(stream), len(usual))))
    assert commands == expected
    assert text(parser) == refused


def test_the_fast_way_and_the_complete_parser_agree() -> None:
    """On the chunks that the fast way is for, and on those that only look like it."""
    ordinary = [request(b"GET", b"k%d" % i) for i in range(40)]
    ordinary += [request(b"SET", b"k", b"v" * size) for size in (0, 1, 99, 2047, 2048, 5000)]
    ordinary += [
        request(*[b"MGET", *[b"%d" % i for i in range(count)]]) for count in (2, 1024, 2000)
    ]
    lookalikes = [
        request(b"SET", b"k", b"a\r\n$1\r\nb"),
        request(b"SET", b"k", b"\r\n"),
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nvv\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n+OK\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk",
        b"*2\r\n$3\r\nGET\r\n$4\r\nk\r\n\r\r\n",
        b"*2\r\n$3\r\nGET\r\n$01\r\nk\r\n",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    ]
    for piece in ordinary + lookalikes:
        for stream in (piece, ordinary[0] + piece + ordinary[1], piece * 20):
            whole, one = fed(stream)
            slow, two = fed(stream, max_inline=2047)  # too small for the tables: complete only
            assert whole == slow
            assert text(one) == text(two)
            assert one.pending == two.pending


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"PING", [b"PING"]),
        (b"  set  key\tvalue ", [b"set", b"key", b"value"]),
        (b'ECHO "a\\tb\\n\\q\\x4"', [b"ECHO", b"a\tb\nqx4"]),
        (b'"\\x00\\xfF\\r\\a\\b\\\\\\""', [b'\x00\xff\r\a\b\\"']),
        (b"'it\\'s \\n' x", [b"it's \\n", b"x"]),
        (b"'\\\\''", [b"\\'"]),
        (b'a"b c"', [b"ab c"]),
        (b"a'b c'", [b"ab c"]),
        (b'""', [b""]),
        (b"'' ''", [b"", b""]),
        (b"", []),
        (b" \t\v\f ", []),
        (b"a\vb\fc", [b"a\vb\fc"]),
        (b"a\rb", [b"a", b"b"]),
        (b"\xff\xfe", [b"\xff\xfe"]),
        (b'"abc', None),
        (b'"abc\\"', None),
        (b"'abc", None),
        (b"'abc\\'", None),
        (b'"a"b', None),
        (b"'a'b", None),
        (b"\"a\"'b'", None),
    ],
)
def test_inline_quoting(line: bytes, expected: list[bytes] | None) -> None:
    assert split_inline(line) == expected
    parser = Parser()
    assert parser.feed(line + b"\r\n") == ([expected] if expected else [])
    assert text(parser) == (None if expected is not None else "unbalanced quotes in request")


def test_commands_before_a_refusal_are_returned_and_nothing_after() -> None:
    parser = Parser()
    assert parser.feed(request(b"PING") + b"*1\r\n+OK\r\n" + request(b"PING")) == [[b"PING"]]
    assert text(parser) == "expected '$', got '+'"
    assert parser.feed(request(b"PING")) == []
    assert parser.pending == 0


def test_pending_counts_what_is_held() -> None:
    parser = Parser()
    parser.feed(b"*2\r\n$3\r\nGE")
    assert parser.pending == 2
    parser.feed(b"T\r\n$10\r\nabc")
    assert parser.pending >= 6
    assert parser.feed(b"defghij\r\n") == [[b"GET", b"abcdefghij"]]
    assert parser.pending == 0


def test_the_buffer_limit_ends_in_overflow() -> None:
    for stream in (b"*2\r\n$1000000\r\n" + b"x" * 2000, request(*[b"xx"] * 300)[:-1], b"y" * 2000):
        parser = Parser(query_buffer_limit=1000)
        assert parser.feed(request(b"PING") + stream) == [[b"PING"]]
        assert parser.overflow
        assert parser.error is None
        assert parser.pending == 0
        assert parser.feed(request(b"PING")) == []
    parser = Parser(query_buffer_limit=1000)
    assert len(parser.feed(request(b"PING") * 1000)) == 1000  # complete commands are not held
    assert not parser.overflow


def test_before_auth_limits_are_strict() -> None:
    for stream, refused in (
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    ):
        parser = Parser()
        parser.authenticated = False
        assert parser.feed(stream) == []
        assert text(parser) == refused
    parser = Parser()
    parser.authenticated = False
    largest = [b"x" * 16384] * 10
    assert parser.feed(request(*largest)) == [largest]
    parser.feed(b"z")
    assert parser.pending == 1
    # A line without an end is refused long before, so only arguments can fill the buffer.
    parser = Parser(max_inline=2**22)
    parser.authenticated = False
    parser.feed(b"y" * (2**20 + 1))
    assert parser.overflow


@pytest.mark.parametrize("frame", [request(*[b"DEL"] * 20), request(b"SET", b"k", b"v" * 20000)])
def test_auth_in_the_same_packet_lifts_the_limits(frame: bytes) -> None:
    lifted = 0
    for cut in range(0, len(frame), 7):
        parser = Parser()
        parser.authenticated = False
        commands = parser.feed(request(b"AUTH", b"secret") + frame[:cut])
        assert commands == [[b"AUTH", b"secret"]]
        assert text(parser) is None
        lifted += parser.paused
        parser.authenticated = True
        after = parser.feed(b"") + parser.feed(frame[cut:] + request(b"PING"))
        assert after == [*fed(frame)[0], [b"PING"]]
        assert parser.idle
    assert lifted
    parser = Parser()
    parser.authenticated = False
    assert parser.feed(request(b"AUTH", b"wrong") + frame) == [[b"AUTH", b"wrong"]]
    assert parser.feed(b"") == []
    assert (text(parser) or "").startswith("unauthenticated")


def test_claims_cost_nothing() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for claim in (
            b"*1000000000\r\n",
            b"*1\r\n$500000000\r\n",
            b"*2147483647\r\n$500000000\r\nx",
        ):
            parser = Parser()
            assert parser.feed(claim) == []
            assert parser.error is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 16_000


def test_a_large_argument_in_many_pieces_takes_linear_time() -> None:
    size = 100 * 2**20
    piece = b"x" * 2**16
    parser = Parser()
    started = time.process_time()
    parser.feed(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size)
    for _ in range(size // len(piece)):
        assert parser.feed(piece) == []
    [[_, _, value]] = parser.feed(b"\r\n")
    assert len(value) == size
    # Some 0.1 s; copying what was there at every piece would move 80 GB.
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    "stream",
    [
        request(b"SET", b"key", b"v" * 60_000),
        request(*[b"v"] * 8000),
        b"PING " + b"x" * 60_000 + b"\r\n",
        b"\0" + b"\r" * 60_000,
    ],
    ids=["argument", "arguments", "line", "line that never ends"],
)
def test_byte_by_byte_takes_linear_time(stream: bytes) -> None:
    parser = Parser()
    started = time.process_time()
    for at in range(len(stream)):
        parser.feed(stream[at : at + 1])
    assert time.process_time() - started < 3  # some 0.1 s


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A redis-server of our own."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on PATH to compare with")
    if b"Redis" not in subprocess.run([binary, "--version"], capture_output=True).stdout:
        pytest.skip(f"{binary} is not Redis: the texts of its forks differ")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Ready to accept connections" in line:
                break
        else:
            pytest.fail("redis-server did not start")
        yield port
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def answer(port: int, stream: bytes) -> bytes:
    """What redis-server says to this stream until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(stream)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def ours(stream: bytes) -> tuple[Commands, bytes]:
    """The commands, and the error reply that follows theirs."""
    commands, parser = fed(stream)
    out: list[bytes] = []
    if parser.error is not None:
        encode(parser.error, 2, out)
    return commands, b"".join(out)


@pytest.mark.parametrize(
    "stream",
    [
        *(
            b"*\r\n",
            b"*-0\r\n",
            b"*+1\r\n",
            b"*01\r\n",
            b"* 1\r\n",
            b"*1 \r\n",
            b"*x\r\n",
            b"*-\r\n",
        ),
        *(b"*2147483648\r\n", b"*2147483647\r\n", b"*9223372036854775807\r\n", b"*1048577\r\n"),
        *(b"*99999999999999999999\r\n", b"*-9223372036854775809\r\n", b"*1" + b"0" * 300 + b"\r\n"),
        *(b"*1\r\n+OK\r\n", b"*1\r\n:1\r\n", b"*1\r\n*1\r\n", b"*1\r\n\r\n", b"*1\r\n\xffa\r\n"),
        *(b"*1\r\n$-1\r\n", b"*1\r\n$\r\n", b"*1\r\n$01\r\n", b"*1\r\n$1x\r\n", b"*1\r\n$+1\r\n"),
        *(b"*1\r\n$536870913\r\n", b"*1\r\n$536870912\r\n", b"*1\r\n$99999999999999999999\r\n"),
        *(b"'PING\r\n", b'"PING"x\r\n', b"'PING'x\r\n", b'"PING\\"\r\n', b"a'b\r\n"),
        *(b"x" * 65537, b"x" * 65536, b"*" + b"1" * 65536, b"*" + b"1" * 65535),
        *(b"*1\r\n$" + b"1" * 65536, b"*1\r\n$" + b"1" * 65535, b"*1\r\nx" + b"1" * 65536),
        *(b"*1\0\r\n", b"PI\0NG\r\n", b"*1\r\n$4\0\r\nPING\r\n", b"\0\r\n", b"*1\r\n\0004\r\n"),
    ],
    ids=lambda stream: repr(stream[:24]) + str(len(stream)),
)
def test_redis_refuses_the_same_frames_with_the_same_words(redis_port: int, stream: bytes) -> None:
    commands, refusal = ours(stream)
    assert commands == []
    assert answer(redis_port, stream) == refusal


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=8).map(lambda arg: request(b"ECHO", arg)),
            st.sampled_from(
                [
                    b"ECHO ab\r\n",
                    b"ECHO 'a b'\n",
                    b'ECHO "\\x41\\n"\r\n',
                    b"\r\n",
                    b"*0\r\n",
                    b"*-1\r\n",
                    b"*2\r\n$4\r\nECHO\r\n",
                ]
            ),
        ),
        min_size=1,
        max_size=4,
    ).map(b"".join),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 2), st.sampled_from([*b"\r\n*$0123 \0a\"'"])),
        max_size=3,
    ),
)
def test_redis_reads_corrupted_streams_alike(
    redis_port: int, stream: bytes, changes: list[tuple[float, int, int]]
) -> None:
    corrupted = bytearray(stream)
    for place, gone, byte in changes:
        where = int(place * len(corrupted))
        corrupted[where : where + gone] = byte.to_bytes()
    commands, refusal = ours(bytes(corrupted))
    said = answer(redis_port, bytes(corrupted))
    assert said.endswith(refusal)
    reader = hiredis.Reader()
    reader.feed(said)
    for command in commands:
        reply = reader.gets()
        if command[0].lower() == b"echo" and len(command) == 2:
            assert reply == command[1]
        else:
            assert isinstance(reply, hiredis.ReplyError)
    assert isinstance(reader.gets(), hiredis.ReplyError) == bool(refusal)
    assert not reader.has_data()


def encoded(reply: Any, protocol: int) -> bytes:
    out = [b"before"]
    encode(reply, protocol, out)
    assert out[0] == b"before"
    return b"".join(out[1:])


class Color(enum.StrEnum):
    RED = "red"


class Answer(enum.IntEnum):
    YES = 1


class Name(bytes):
    pass


class Moved(ClientError):
    pass


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (b"", b"$0\r\n\r\n", None),
        (b"a\r\nb", b"$4\r\na\r\nb\r\n", None),
        (b"x" * 5000, b"$5000\r\n" + b"x" * 5000 + b"\r\n", None),
        ("OK", b"+OK\r\n", None),
        ("Background saving started", b"+Background saving started\r\n", None),
        ("a\r\nb", b"+a  b\r\n", None),
        (Color.RED, b"+red\r\n", None),
        (Answer.YES, b":1\r\n", None),
        (Name(b"a"), b"$1\r\na\r\n", None),
        (OK, b"+OK\r\n", None),
        (Encoded(b":7\r\n"), b":7\r\n", None),
        (0, b":0\r\n", None),
        (-1, b":-1\r\n", None),
        (2047, b":2047\r\n", None),
        (2**63 - 1, b":9223372036854775807\r\n", None),
        (None, b"$-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (3.5, b"$3\r\n3.5\r\n", b",3.5\r\n"),
        (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
        (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
        (math.nan, b"$3\r\nnan\r\n", b",nan\r\n"),
        ([], b"*0\r\n", None),
        (
            [1, [b"a", None]],
            b"*2\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n",
            b"*2\r\n:1\r\n*2\r\n$1\r\na\r\n_\r\n",
        ),
        ((b"a", "b"), b"*2\r\n$1\r\na\r\n+b\r\n", None),
        ([b"x"] * 300, b"*300\r\n" + b"$1\r\nx\r\n" * 300, None),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        ({b"a"}, b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (frozenset({b"a"}), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (
            Members([b"b", b"a"]),
            b"*2\r\n$1\r\nb\r\n$1\r\na\r\n",
            b"~2\r\n$1\r\nb\r\n$1\r\na\r\n",
        ),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (NullArray(), b"*-1\r\n", b"_\r\n"),
        (Push([b"a", 1]), b"*2\r\n$1\r\na\r\n:1\r\n", b">2\r\n$1\r\na\r\n:1\r\n"),
        (
            Pairs([(b"a", 1), (b"a", 2)]),
            b"*4\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n:2\r\n",
            b"%2\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n:2\r\n",
        ),
        (
            PairArrays([(b"s", [1])]),
            b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n:1\r\n",
            b"%1\r\n$1\r\ns\r\n*1\r\n:1\r\n",
        ),
        (
            Tuples([(b"m", 1.0), (b"n", 2.5)]),
            b"*4\r\n$1\r\nm\r\n$1\r\n1\r\n$1\r\nn\r\n$3\r\n2.5\r\n",
            b"*2\r\n*2\r\n$1\r\nm\r\n,1\r\n*2\r\n$1\r\nn\r\n,2.5\r\n",
        ),
        (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
        (Verbatim(b"", "mkd"), b"$0\r\n\r\n", b"=4\r\nmkd:\r\n"),
        (
            BigNumber(2**70),
            b"$22\r\n1180591620717411303424\r\n",
            b"(1180591620717411303424\r\n",
        ),
        (ClientError("ERR no\r\nway\r\n"), b"-ERR no  way\r\n", None),
        (Moved("MOVED 1 a:1"), b"-MOVED 1 a:1\r\n", None),
        (ClientError("ERR \udcff é"), b"-ERR \xff \xc3\xa9\r\n", None),
        (ProtocolError("x"), b"-ERR Protocol error: x\r\n", None),
        ([ClientError("ERR a"), 1], b"*2\r\n-ERR a\r\n:1\r\n", None),
    ],
)
def test_replies(reply: Any, resp2: bytes, resp3: bytes | None) -> None:
    assert encoded(reply, 2) == resp2
    assert encoded(reply, 3) == (resp2 if resp3 is None else resp3)


def test_what_is_no_reply_leaves_the_batch_as_it_was() -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    for wrong in (object(), [b"a", object()], {b"a": [object()]}, Pairs([(b"a", 1j)]), deep):
        for protocol in (2, 3):
            out = [b"+OK\r\n"]
            with pytest.raises((TypeError, RecursionError)):
                encode(wrong, protocol, out)
            assert out == [b"+OK\r\n"]
    with pytest.raises(ValueError, match="three letters"):
        Verbatim(b"", "text")


hashable = st.one_of(
    st.binary(max_size=10), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)
)
replies = st.recursive(
    st.one_of(hashable, st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(hashable, inner, max_size=4),
        st.frozensets(hashable, max_size=4),
    ),
    max_leaves=20,
)


def listed(value: Any) -> Any:
    """The reply with lists for sets, as hiredis reads them."""
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    return [listed(item) for item in value] if isinstance(value, list | frozenset) else value


@settings(max_examples=300, deadline=None)
@given(replies)
def test_a_client_reads_what_a_handler_returned(reply: Any) -> None:
    reader = hiredis.Reader()
    reader.feed(encoded(reply, 3))
    assert reader.gets() == listed(reply)
    assert not reader.has_data()

    def flat(value: Any) -> Any:
        """The same reply as RESP2 can say it."""
        if isinstance(value, dict):
            return [flat(item) for pair in value.items() for item in pair]
        if isinstance(value, list | frozenset):
            return [flat(item) for item in value]
        return double(value) if isinstance(value, float) else value

    reader.feed(encoded(reply, 2))
    assert reader.gets() == flat(reply)
    assert not reader.has_data()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((3.0, b"3"), (-17.0, b"-17"), (0.0, b"0"), (-0.0, b"-0"), (0.1, b"0.1")),
        *((0.1 + 0.2, b"0.30000000000000004"), (1e21, b"1e+21"), (-1e21, b"-1e+21")),
        *(
            (1e17, b"100000000000000000"),
            (1e15, b"1000000000000000"),
            (2.0**53, b"9007199254740992"),
        ),
        *((1e-7, b"1e-7"), (1.5e-6, b"1.5e-6"), (1e-5, b"0.00001"), (1.234e-5, b"1.234e-5")),
        *((3.14159265358979, b"3.14159265358979"), (123456.789, b"123456.789")),
        *((1.7976931348623157e308, b"1.7976931348623157e+308"), (5e-324, b"5e-324")),
        *(
            (1e100, b"1e+100"),
            (2.0**62, b"4611686018427387904"),
            (12345.6789012, b"1.23456789012e+4"),
            (12345678901234567890.0, b"12345678901234567000"),
        ),
        *((1700000000.123, b"1700000000.123"), (0.5, b"0.5"), (-2.25, b"-2.25"), (12.5, b"12.5")),
    ],
)
def test_doubles(value: float, shown: bytes) -> None:
    assert double(value) == shown
    assert float(shown) == value


@settings(max_examples=500)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_reads_back(value: float) -> None:
    assert float(double(value)) == value
    assert len(double(value)) <= 26


def test_doubles_are_those_of_redis(redis_port: int) -> None:
    plain = [0.1, 0.3, 1e21, 1e-7, 1e-5, 3.0, 1e17, -1e18, 1700000000.123, 12345.6789012, 2.0**62]
    plain += [math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 1234.5, -0.25]
    source = random.Random(7)
    values = plain + [source.uniform(-1, 1) * 10 ** source.randint(-30, 30) for _ in range(500)]
    stream = request(b"INFO", b"server")
    for value in values:
        stream += request(b"DEL", b"z") + request(b"ZADD", b"z", repr(value).encode(), b"m")
        stream += request(b"ZSCORE", b"z", b"m")
    reader = hiredis.Reader()
    reader.feed(answer(redis_port, stream))
    version = re.search(rb"redis_version:(\d+)\.(\d+)", reader.gets())
    assert version is not None
    shortest = (int(version[1]), int(version[2])) >= (7, 2)
    for value in values:
        reader.gets(), reader.gets()
        shown = reader.gets()
        assert float(shown) == value == float(double(value))
        if shortest and value in plain:
            assert shown == double(value)
