"""`make fuzz`: a server under frames that no client should send, and commands that make no sense.

Many connections at once send, interleaved: malformed, truncated and oversized frames;
frames cut at any byte; inline commands; and every command of the table with arguments
drawn from words that commands give a meaning. Whatever is answered, the server must
live, answer a new connection at any time, and hold no more memory at the end than after
the first tenth (the store is flushed at each look).

Seeded: the same `--seed` sends the same frames on each connection.

What this file does not do: check replies (`tests/conformance` does).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import redis
import redis.asyncio
from rich.console import Console

from antecache.server import command
from antecache.server.spawn import Child, start

CONNECTIONS = 32
BATCH = 50  # frames in one write
# What would end the run, or make others wait by design.
LEFT_OUT = {b"shutdown", b"debug", b"monitor", b"config", b"acl", b"quit"}
LEFT_OUT_SUB = {(b"client", b"pause"), (b"client", b"kill")}
WORDS = (
    *b"k l s h z x g p 0 1 2 3 -1 + - $ * ( [ 1.5 nan inf -inf ff m km".split(),
    *b"NX XX GT LT EX PX KEEPTTL GET WITHSCORES LIMIT BYSCORE BYLEX REV COUNT MATCH".split(),
    *b"STREAMS GROUP BLOCK MKSTREAM MAXLEN ~ = > ID IDLE JUSTID FIELDS AGGREGATE SUM".split(),
    *b"WEIGHTS STORE BY ASC ALPHA LEFT RIGHT BEFORE AFTER FROMMEMBER BYRADIUS u8 i64 #1".split(),
    *b"OVERFLOW SAT BIT BYTE AND NOT REPLACE ABSTTL DB SAMPLES RANK 9223372036854775807".split(),
    *(
        b"",
        b"\xff\0\r\n",
        b"99999999999999999999",
        b"x y",
        b"return redis.call('PING')",
        b"a" * 300,
    ),
)

console = Console()


def frame(source: random.Random, names: Sequence[tuple[bytes, ...]], hostile: bool) -> bytes:
    """One frame: a command with any arguments or, if `hostile`, perhaps something that is none."""
    kind = source.random() if hostile else 0.0
    if kind < 0.75:
        words = [
            *source.choice(names),
            *source.choices(WORDS, k=source.choice((0, 1, 1, 2, 2, 3, 4, 6, 9))),
        ]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)
    if kind < 0.80:
        return b" ".join((*source.choice(names), *source.choices(WORDS, k=2))) + b"\r\n"
    if kind < 0.85:
        number = source.choice((b"1000000000", b"-1", b"01", b"99999999999999999999", b"x", b""))
        return source.choice((b"*", b"$", b"*2\r\n$1\r\na\r\n$")) + number + b"\r\n"
    if kind < 0.90:
        return source.randbytes(source.randint(1, 200))
    if kind < 0.92:
        return b"*1\r\n$%d\r\n" % source.choice((100, 10**6, 10**9)) + source.randbytes(50)
    whole = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\n" + source.randbytes(100) + b"\r\n"
    return whole[: source.randint(1, len(whole))]


class Progress:
    """Frames sent by all connections, those of them that were answered, connections closed.

    What is sent behind a frame that is refused, or a command that blocks, is not answered.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted  # answers
        self.sent = self.answered = self.closed = 0


async def attack(port: int, seed: int, names: Sequence[tuple[bytes, ...]], all_: Progress) -> None:
    """One client that sends frames and reads whatever comes, until enough were sent."""
    source = random.Random(seed)
    while all_.answered < all_.wanted:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        drain = asyncio.create_task(_read_all(reader))
        try:
            for _ in range(source.randint(1, 40)):
                # Most batches are well formed: the first frame that is not ends a connection.
                hostile = source.random() < 0.2
                data = b"".join(frame(source, names, hostile) for _ in range(BATCH))
                at = 0
                while at < len(data):  # cut anywhere
                    step = source.choice((1, 7, 100, 5000, len(data)))
                    writer.write(data[at : at + step])
                    at += step
                await asyncio.wait_for(writer.drain(), 10)
                all_.sent += BATCH
                # One that blocks (BLPOP k 0) answers nothing more: leave it to its fate.
                await asyncio.wait({drain}, timeout=0.02)
                if drain.done():
                    break
        except (ConnectionError, TimeoutError):
            pass
        all_.closed += 1
        writer.transport.abort()
        await drain


async def _read_all(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        pass


async def watch(server: Child, all_: Progress, sizes: list[int]) -> None:
    """Ask the server how it is until enough was answered; raises when it does not answer."""
    while all_.answered < all_.wanted:
        async with redis.asyncio.Redis(port=server.port, socket_timeout=10) as client:
            stats = await client.info("stats")
            all_.answered = stats["total_commands_processed"] + stats["total_error_replies"]
            if all_.answered >= (len(sizes) + 1) * all_.wanted // 10:
                await client.flushall()
                await client.script_flush()
                await client.function_flush()
                sizes.append(_resident(server.pid))
                console.print(f"{all_.answered:>10,} answers, resident {sizes[-1] >> 20} MiB")
        await asyncio.sleep(0.05)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the server has died")


async def _run(server: Child, frames: int, seed: int) -> list[int]:
    command.load_all()
    names = [
        (row.parent.name.encode(), row.name.encode()) if row.parent else (row.name.encode(),)
        for row in command.every()
        if (row.parent or row).name.encode() not in LEFT_OUT
    ]
    names = [name for name in names if name not in LEFT_OUT_SUB]
    all_ = Progress(frames)
    sizes: list[int] = []
    watcher = asyncio.create_task(watch(server, all_, sizes))
    await asyncio.gather(
        *(attack(server.port, seed * 1000 + n, names, all_) for n in range(CONNECTIONS))
    )
    await watcher
    console.print(
        f"{all_.sent:,} frames over {all_.closed:,} connections, {all_.answered:,} answered; "
        f"{len(names)} commands"
    )
    return sizes


def main(argv: Sequence[str] | None = None) -> int:
    """1 when the server died, hung or grew."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of every closed connection
    settings = {
        "backing": "memory://?prefix=k&rows=100",
        "maxmemory": "400mb",
        "slowlog-max-len": 1000,
    }
    with start(settings) as server:
        sizes = asyncio.run(_run(server, options.frames, options.seed))
        if not server.running:
            console.print("the server has died:", server.complaints())
            return 1
        complaints = server.complaints()
        broken = complaints.count("Traceback")
        with redis.Redis(port=server.port) as client:
            stats = client.info("stats")
            slowest = sorted(client.slowlog_get(1000), key=lambda entry: -entry["duration"])[:5]
        console.print(
            f"{stats['total_commands_processed']:,} commands ran, "
            f"{stats['total_error_replies']:,} errors; tracebacks in its log: {broken}"
        )
        for entry in slowest:
            text = entry["command"][:100]
            console.print(f"slow: {entry['duration'] / 1e3:.0f} ms {text!r}", markup=False)
        if broken:
            console.print(complaints, markup=False, highlight=False)
    grown = sizes[-1] / sizes[0]
    console.print(f"memory at the end / after a tenth: {grown:.2f}")
    return int(grown > 1.25 or bool(broken))


if __name__ == "__main__":
    sys.exit(main())
