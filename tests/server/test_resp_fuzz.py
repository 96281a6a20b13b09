"""The parser under bytes that no client should send: it refuses, and holds little.

Seeded, so a failure repeats. ANTECACHE_FUZZ_FRAMES sets how many frames are sent
(20,000 unless told); ANTECACHE_FUZZ_SEED another course.
"""

from __future__ import annotations

import os
import random
import tracemalloc

import pytest

from antecache.server.encode import encode
from antecache.server.errors import ProtocolError
from antecache.server.resp import Parser

FRAMES = int(os.environ.get("ANTECACHE_FUZZ_FRAMES", "20000"))
SEED = int(os.environ.get("ANTECACHE_FUZZ_SEED", "1"))
CONNECTIONS = 16
BUFFER_LIMIT = 200_000
TEXTS = (
    "too big mbulk count string",
    "too big bulk count string",
    "too big inline request",
    "unbalanced quotes in request",
    "invalid multibulk length",
    "invalid bulk length",
    "unauthenticated multibulk length",
    "unauthenticated bulk length",
)
NUMBERS = (
    *(b"0", b"1", b"2", b"3", b"10", b"11", b"16384", b"16385", b"65536", b"536870912"),
    *(b"536870913", b"1000000000", b"2147483647", b"2147483648", b"9223372036854775807"),
    *(b"9223372036854775808", b"99999999999999999999999", b"-1", b"-0", b"01", b"+1", b"", b" 1"),
    *(b"1e3", b"0x10", b"1_0", b"\xd9\xa1", b"1\0", b"nan"),
)


def well_formed(source: random.Random) -> bytes:
    if source.random() < 0.2:
        return source.choice(
            (b"PING\r\n", b"ECHO 'a b'\r\n", b'SET k "\\x00"\n', b"\r\n", b"*0\r\n")
        )
    args = [
        source.randbytes(source.choice((0, 1, 3, 16, 100))) for _ in range(source.randint(1, 5))
    ]
    if source.random() < 0.02:
        args.append(source.randbytes(source.choice((2047, 2048, 16385, 70_000))))
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def malformed(source: random.Random) -> bytes:
    """A frame that is wrong, cut short, too big, or only looks wrong."""
    kind = source.randrange(9)
    if kind == 0:
        return b"*" + source.choice(NUMBERS) + b"\r\n"
    if kind == 1:
        return b"*2\r\n$1\r\na\r\n$" + source.choice(NUMBERS) + b"\r\n" + source.randbytes(20)
    if kind == 2:
        return b"*2\r\n$3\r\nGET\r\n" + source.choice((b"+a", b":1", b"*1", b"%1", b"_", b"\xff"))
    if kind == 3:
        frame = well_formed(source)
        return frame[: source.randint(0, len(frame))]
    if kind == 4:
        changed = bytearray(well_formed(source))
        for _ in range(source.randint(1, 4)):
            changed[source.randrange(len(changed))] = source.choice(b"\r\n*$0123456789 \0\"'\xff-")
        return bytes(changed)
    if kind == 5:
        return source.randbytes(source.randint(1, 60))
    if kind == 6:
        return source.choice((b"*", b"$", b"", b"*1\r\n$")) + b"1" * source.choice(
            (100, 65_535, 70_000)
        )
    if kind == 7:
        return source.choice(
            (b'"abc\r\n', b"'a'b\r\n", b'"\\', b"\0\r\n", b"*1\0\r\n", b"\r", b"*1\r")
        )
    return b"*%d\r\n" % source.randint(2, 10**9) + b"$0\r\n\r\n" * source.randint(0, 2000)


def connection(source: random.Random) -> Parser:
    parser = Parser(query_buffer_limit=BUFFER_LIMIT)
    parser.authenticated = source.random() < 0.8
    return parser


@pytest.mark.timeout(60 + FRAMES // 200)
def test_malformed_frames_are_refused_and_hold_no_memory() -> None:
    """Frames of many connections, interleaved in pieces; memory follows `pending`."""
    source = random.Random(SEED)
    parsers = [connection(source) for _ in range(CONNECTIONS)]
    unsent: list[bytes] = [b""] * CONNECTIONS
    refused = overflowed = completed = 0
    texts: set[str] = set()
    tracemalloc.start()
    try:
        for turn in range(FRAMES):
            which = source.randrange(CONNECTIONS)
            parser = parsers[which]
            frame = malformed(source) if source.random() < 0.15 else well_formed(source)
            stream = unsent[which] + frame
            cut = source.randint(0, len(stream)) if source.random() < 0.3 else len(stream)
            unsent[which] = stream[cut:]
            commands = parser.feed(stream[:cut])
            if parser.paused:
                parser.authenticated = source.random() < 0.5
                commands += parser.feed(b"")
            completed += len(commands)
            assert all(commands)
            assert all(type(arg) is bytes for args in commands for arg in args)
            assert 0 <= parser.pending <= BUFFER_LIMIT
            assert not (parser.idle and (parser.pending or parser.error or parser.overflow))
            if parser.error is not None or parser.overflow:
                assert parser.pending == 0
                assert parser.feed(b"*1\r\n$4\r\nPING\r\n") == []
                if parser.error is not None:
                    refused += 1
                    texts.add(check_refusal(parser.error))
                overflowed += parser.overflow
                parsers[which] = connection(source)
                unsent[which] = b""
            del commands, frame, stream
            if turn % 500 == 0:
                held, _ = tracemalloc.get_traced_memory()
                told = sum(parser.pending for parser in parsers) + sum(map(len, unsent))
                assert held < 1.3 * told + 100_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < CONNECTIONS * BUFFER_LIMIT + 2_000_000
    assert completed > FRAMES // 4
    assert refused > FRAMES // 100
    if FRAMES >= 10_000:
        assert overflowed
        assert {text for text in TEXTS if text not in texts} == set()


def check_refusal(error: ProtocolError) -> str:
    """The text is one of Redis's, and its reply is one line."""
    assert error.text in TEXTS or error.text.startswith("expected '$', got '")
    out: list[bytes] = []
    encode(error, 2, out)
    reply = b"".join(out)
    assert reply.startswith(b"-ERR Protocol error: ")
    assert reply.endswith(b"\r\n")
    assert reply.count(b"\r") == reply.count(b"\n") == 1
    return error.text


@pytest.mark.parametrize("seed", range(4))
def test_small_limits_hold_under_random_bytes(seed: int) -> None:
    """Where every limit is near, none is passed."""
    source = random.Random(f"{SEED}/{seed}")
    for _ in range(300):
        parser = Parser(max_bulk=20, max_multibulk=4, max_inline=30, query_buffer_limit=300)
        for _ in range(20):
            frame = malformed(source) if source.random() < 0.5 else well_formed(source)
            for args in parser.feed(frame[:200]):
                # An inline command has as many arguments as its line has room for.
                assert len(args) <= 15
                assert all(len(arg) <= 30 for arg in args)
            assert parser.pending <= 300
