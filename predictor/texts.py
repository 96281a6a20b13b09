"""Keys that no template packs: each is kept once, as text, and named by a number.

A log slot has no room for a URL or a UUID, so it holds the number of the text
instead. A text lives as long as some slot names it: the log counts references
up when it writes a slot and down when it overwrites one, and the number is
given to another key afterwards.

A Python dict in each direction would cost more than the keys themselves. Here
a list holds the texts, and an open-addressing table of 4-byte numbers (linear
probing, deletion by shifting back, so no tombstones) finds the number of a
text: about 60 bytes and the key, where two dicts would take 200 and the key.

What this file does not do: decide which keys are kept as text (`keycodec.py`)
or how many there may be (the log, which has the budget).
"""

from __future__ import annotations

from array import array

#: list slot (lists grow by an eighth), reference count and free list, for each number given
_PER_NUMBER = 9 + 4 + 4
#: a bytes object without its characters, rounded to the allocator's 16 bytes
_BYTES_OBJECT = 41
#: places of the table at the least, and for each text when it is halved
_SMALLEST = 16
_FEW = 6


class Texts:
    """Numbered byte strings with reference counts; numbers are below 2**32."""

    __slots__ = ("_free", "_mask", "_refs", "_table", "_texts", "count", "nbytes")

    def __init__(self) -> None:
        self._texts: list[bytes | None] = []
        self._refs = array("I")
        self._free = array("I")
        self._mask = _SMALLEST - 1
        self._table = array("I", bytes(4 * _SMALLEST))  # number + 1; 0 is empty
        self.count = 0
        self.nbytes = 64  # estimated: texts with their objects, and the tables

    def find(self, text: bytes) -> int:
        """The number of `text`, or -1."""
        table, mask, texts = self._table, self._mask, self._texts
        at = hash(text) & mask
        while entry := table[at]:
            if texts[entry - 1] == text:
                return entry - 1
            at = (at + 1) & mask
        return -1

    def get(self, number: int) -> bytes | None:
        """The text with this number; None when the number is not in use."""
        return self._texts[number] if number < len(self._texts) else None

    def acquire(self, text: bytes) -> int:
        """The number of `text`, one reference more; a new text gets a free number."""
        number = self.find(text)
        if number >= 0:
            self._refs[number] += 1
            return number
        if self._free:
            number = self._free.pop()
            self._texts[number] = text
            self._refs[number] = 1
        else:
            number = len(self._texts)
            self._texts.append(text)
            self._refs.append(1)
            self.nbytes += _PER_NUMBER
        self.count += 1
        self.nbytes += len(text) + _BYTES_OBJECT
        if 3 * self.count > 2 * self._mask:
            self._rehash(2 * (self._mask + 1))
        else:
            self._place(number, text)
        return number

    def release(self, number: int) -> None:
        """One reference less; the last one frees the number."""
        refs = self._refs[number] = self._refs[number] - 1
        if refs:
            return
        text = self._texts[number]
        assert text is not None
        self._unplace(number, text)
        self._texts[number] = None
        self._free.append(number)
        self.count -= 1
        self.nbytes -= len(text) + _BYTES_OBJECT
        if _FEW * self.count < len(self._table) > _SMALLEST:
            self._rehash(len(self._table) // 2)
        if number == len(self._texts) - 1:
            self._trim()

    def _trim(self) -> None:
        """The last number is free: where half of them are, from there down, they are given back."""
        texts = self._texts
        used = len(texts)
        while used and texts[used - 1] is None:
            used -= 1
        if len(texts) - used < max(_SMALLEST, used):
            return
        self.nbytes -= (len(texts) - used) * _PER_NUMBER
        del texts[used:], self._refs[used:]
        self._free = array("I", (free for free in self._free if free < used))

    def _place(self, number: int, text: bytes) -> None:
        table, mask = self._table, self._mask
        at = hash(text) & mask
        while table[at]:
            at = (at + 1) & mask
        table[at] = number + 1

    def _unplace(self, number: int, text: bytes) -> None:
        table, mask, texts = self._table, self._mask, self._texts
        hole = hash(text) & mask
        while table[hole] != number + 1:
            hole = (hole + 1) & mask
        at = hole
        while True:  # move back what probing would no longer reach across the hole
            at = (at + 1) & mask
            entry = table[at]
            if not entry:
                break
            home = hash(texts[entry - 1]) & mask
            if (at - home) & mask >= (at - hole) & mask:
                table[hole] = entry
                hole = at
        table[hole] = 0

    def _rehash(self, size: int) -> None:
        self.nbytes += 4 * size - 4 * len(self._table)
        self._mask = size - 1
        self._table = array("I", bytes(4 * size))
        for number, text in enumerate(self._texts):
            if text is not None:
                self._place(number, text)

    def dump(self) -> tuple[list[bytes | None], bytes]:
        """Texts by number and the reference counts, for `load`."""
        return list(self._texts), self._refs.tobytes()

    @classmethod
    def load(cls, texts: list[bytes | None], refs: bytes) -> Texts:
        """The table that `dump` described. Raises ValueError when the parts disagree."""
        made = cls()
        if len(refs) != 4 * len(texts):
            raise ValueError("texts and reference counts differ in length")
        made._refs.frombytes(refs)
        if any((text is None) != (refs == 0) for text, refs in zip(texts, made._refs, strict=True)):
            raise ValueError("a text without a reference, or a reference without a text")
        made._texts = list(texts)
        held = [text for text in texts if text is not None]
        if len(set(held)) != len(held):
            raise ValueError("a text is held twice")
        made._free.extend(number for number, text in enumerate(texts) if text is None)
        made.count = len(held)
        made.nbytes += sum(map(len, held)) + len(held) * _BYTES_OBJECT + len(texts) * _PER_NUMBER
        size = 16
        while 3 * made.count > 2 * (size - 1):
            size *= 2
        made._rehash(size)
        return made

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        held = [(n, text) for n, text in enumerate(self._texts) if text is not None]
        assert self.count == len(held), f"count {self.count}, found {len(held)}"
        text_bytes = sum(len(text) + _BYTES_OBJECT for _, text in held)
        tables = 4 * len(self._table) + len(self._texts) * _PER_NUMBER
        assert self.nbytes == text_bytes + tables, "bytes miscounted"
        assert sum(1 for entry in self._table if entry) == self.count, "table and texts differ"
        for number, text in held:
            assert self._refs[number] > 0, "a text nobody names"
            assert self.find(text) == number, "a text that cannot be found"
        assert len(self._free) + self.count == len(self._texts), "a number is lost"
