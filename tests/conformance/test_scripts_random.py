"""The libraries of scripts next to redis-server's, with values and damaged data made at random.

The seed is fixed: what fails once fails again. Positions in error texts are not
compared, since Lua's own tail calls lose them where Redis's C functions do not.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

ROUNDS = 120
NUMBERS = (
    "0 1 -1 127 128 255 256 65535 65536 -32 -33 -128 -129 -32768 -32769 2^31 2^32 2^53".split()
)
FRACTIONS = "1.5 -0.25 1e300 0.1 3.14159265358979 1e-5 123456.789 -1e-300".split()
LETTERS = ["a", "b", "\\n", "\\0", "\\200", '\\"', "\\\\", "/", "\\127", "\\31", "é"]
OPERATIONS = "tobit bnot band bor bxor lshift rshift arshift rol ror bswap tohex".split()
OPTIONS = "b B h H i I l L f d > < ! !4 i2 I3 i8 x c3 s".split()
DAMAGE = '[]{}",:0123tfnuleE+-.\\ aN\x00'


class Made:
    """Scripts made at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, depth: int = 0) -> str:
        """An expression of Lua."""
        rng = self.random
        kind = rng.randrange(9 if depth < 3 else 6)
        if kind < 2:
            return rng.choice((NUMBERS, FRACTIONS)[kind])
        if kind == 2:
            return f'"{"".join(rng.choices(LETTERS, k=rng.choice([0, 1, 5, 40])))}"'
        if kind < 6:
            return ("true", "false", "cjson.null")[kind - 3]
        if kind == 6:
            return "{" + ",".join(self.value(depth + 1) for _ in range(rng.randrange(20))) + "}"
        return "{" + rng.choice(["k", "[1.5]", '["x y"]', "[3]"]) + f"={self.value(depth + 1)}}}"

    def document(self) -> str:
        """JSON, perhaps damaged."""
        whole: list[Any] = [1, 1.5, "x\u00e9\n", [1, [2, {"a": None}]], {"a": [True, None, 1e20]}]
        text = list(json.dumps(self.random.choice(whole)))
        for _ in range(self.random.randrange(4)):
            at = self.random.randrange(len(text) + 1)
            text[at : at + self.random.randrange(2)] = [self.random.choice(DAMAGE)]
        return "".join(text)

    def number(self) -> float:
        """An operand of bit."""
        rng = self.random
        return rng.choice(
            [rng.randrange(-(2**33), 2**33), rng.randrange(-64, 64), rng.random() * 1e10]
        )

    def bytes(self, most: int) -> bytes:
        """Up to `most` of any kind."""
        return self.random.randbytes(self.random.randrange(most))

    def position(self) -> int:
        """Where to begin."""
        return self.random.choice([1, 1, 2, 5])

    def format(self) -> str:
        """A format of struct."""
        return " ".join(self.random.choices(OPTIONS, k=self.random.randrange(6)))


MAKERS: dict[str, Callable[[Made], tuple[str | bytes, ...]]] = {
    "cjson.encode": lambda made: (f"return cjson.encode({made.value()})",),
    "cjson.decode": lambda made: ("return cjson.encode(cjson.decode(ARGV[1]))", made.document()),
    "cmsgpack.pack": lambda made: (f"return cmsgpack.pack({made.value()},{made.value()})",),
    "cmsgpack.unpack": lambda made: (
        f"return cjson.encode({{cmsgpack.unpack(cmsgpack.pack({made.value()},{made.value()}))}})",
    ),
    "cmsgpack.unpack of anything": lambda made: (
        "return cjson.encode({pcall(cmsgpack.unpack,ARGV[1])})",
        made.bytes(12),
    ),
    "results": lambda made: (f"return {made.value()}",),
    "bit": lambda made: (
        f"return bit.{made.random.choice(OPERATIONS)}({made.number()},{made.number()})",
    ),
    "struct.pack": lambda made: (
        f'return {{pcall(struct.pack,"{made.format()}",'
        f"{','.join(made.random.choices(['300', '-1', '1.5', chr(34) * 2], k=6))})}}",
    ),
    "struct.unpack": lambda made: (
        f'local r={{pcall(struct.unpack,"{made.format()}",ARGV[1],{made.position()})}} '
        "for i=1,#r do r[i]=tostring(r[i]) end return r",
        made.bytes(40),
    ),
    "struct.size": lambda made: (f'return {{pcall(struct.size,"{made.format()}")}}',),
}


def comparable(reply: bytes) -> bytes:
    """Without where in the script an error was, and the name of the function that C lacks."""
    reply = reply.replace(b"user_script:1: ", b"")
    reply = re.sub(rb"to '(pack|unpack|size|\?)' ", b"", reply)
    return re.sub(rb"\$\d+\r\n", b"$", reply)


@pytest.mark.parametrize("what", MAKERS)
def test_libraries_do_what_redis_s_do(both: Any, what: str) -> None:
    made = Made(sum(what.encode()))
    different = []
    for _ in range(ROUNDS):
        script, *arguments = MAKERS[what](made)
        ((ours, theirs),) = both[2].raw(("EVAL", script, 0, *arguments))
        if comparable(ours) != comparable(theirs):
            different.append(f"{script} {arguments}\n   ours   {ours!r}\n   theirs {theirs!r}")
    assert not different, "\n".join(different[:10])
