"""Bytes to commands: the request side of the Redis protocol, without I/O.

The idea: `Parser.feed(chunk)` returns the commands that are complete, as lists of
bytes. Ordinary chunks (whole commands, short arguments) are split at their line ends
in one C call, and each header is compared with the one that its argument must have:
what agrees can mean nothing else. Clients that do not pipeline send one command in a chunk, and
most send the same ones again and again: for the sizes seen, what surrounds the arguments is
remembered and compared as a whole. Everything else (a frame cut by the chunk's end,
inline commands, long or binary arguments, a refused frame) goes to a complete
incremental parser that follows Redis's `processMultibulkBuffer` and
`processInlineBuffer` (networking.c, 7.0 to 7.4), with its limits and texts. Where
Redis's answer depends on how the bytes were cut into packets, ours does not: a line
is too long when its end lies beyond the limit, whether that end has arrived or not.

A claimed count or length costs nothing until the bytes arrive.

It does not answer, close or time anything: the session acts on `error`, `overflow`
and `paused`. Replies are encoded by `encode.py`.

Microseconds a command (timeit, best of nine, CPython 3.11; keys of 16 and values of
100 bytes), for a chunk of one command and for one of sixteen:

| candidate                            | SET, 1 | SET, 16 | GET, 1 | GET, 16 |
|--------------------------------------|--------|---------|--------|---------|
| split and compared (used here)       | 0.68   | 0.55    | 0.54   | 0.34    |
| surroundings compared (used here)    | 0.45   | -       | 0.31   | -       |
| the complete parser below            | 2.1    | 1.7     | 1.7    | 1.3     |
| hiredis 3.5, nothing checked         | 0.32   | 0.16    | 0.29   | 0.14    |
| hiredis, guarded as below            | 1.5    | 0.36    | 1.4    | 0.29    |
| hiredis, packed again and compared   | 1.1    | 0.57    | 1.0    | 0.46    |

hiredis reads replies: it takes `+OK`, verbatim text or an array for an argument, and
reserves 8 GB for `*1000000000`. A chunk without `+`, `=` and counts of five digits, which it
reads as lists of nothing but bytes, holds none of that; but most of what the check
saves with sixteen commands in a chunk it costs with one, base64 and dates fail it, and
it rests on which types hiredis knows. So hiredis is not used.
"""

from __future__ import annotations

import re

from antecache.server.errors import ProtocolError
from antecache.server.inline import split_inline

_TABLE = 2048
# The header of an argument by its length, and the other way round.
_HEADERS = [b"$%d" % size for size in range(_TABLE)]
_NUMBERS = {b"%d" % number: number for number in range(_TABLE)}
# Lines that a command of so many arguments takes, by its first line.
_LINES = {b"*%d" % count: 2 * count + 1 for count in range(1, 1025)}

# A command of two or three arguments that is a chunk of its own: all bytes before its second
# argument, its name, where the second argument begins; the bytes between the second and the third
# (none where there is no third), and where they begin. With the size of the chunk and these bytes
# nothing is left open but the arguments themselves, and the two bytes nobody looks at.
_Shape = tuple[bytes, bytes, int, bytes, int]
_SHAPES = 64  # kept for each connection

# Splitting must look at every byte, the complete parser only at headers. Where the first
# _TABLE bytes hold fewer lines than this (200 bytes a line), the second is faster.
_FEW = 10

# Redis before AUTH: arguments, bytes in one, bytes buffered.
_NOAUTH_ARGUMENTS = 10
_NOAUTH_BULK = 16384
_NOAUTH_BUFFER = 1024 * 1024

# What CPython keeps for a short argument besides its bytes: object header, slot in the list.
_ARGUMENT_OVERHEAD = 48

_NO_NUMBERS: dict[bytes, int] = {}  # where every number must be held against the limits

_STAR = ord("*")
_DOLLAR = ord("$")
_NUMBER = re.compile(rb"-?[1-9][0-9]{0,18}|0")  # as Redis's string2ll
_LOWEST = -(2**63)
_BLANK_LINES = re.compile(rb"(?:\r?\n)+")


class Parser:
    """Commands out of a stream of bytes, in order, however it is cut.

    max_bulk        bytes in one argument (proto-max-bulk-len)
    max_multibulk   arguments of one command; Redis 7 allows INT_MAX
    max_inline      bytes in one line: inline command or header (PROTO_INLINE_MAX_SIZE)
    query_buffer_limit   bytes held for a command that is not complete
                    (client-query-buffer-limit); before AUTH it is at most 1 MB

    authenticated   set it to False for Redis's stricter limits before AUTH
    error           the refusal of a frame: answer it, then close; feed() returns [] from then on
    overflow        the buffer limit was passed: close without a word, as Redis does
    paused          a frame that only an authenticated client may send follows commands that
                    were returned: run those (AUTH may be among them), then call feed(b"")
    idle            nothing is held and nothing is wrong: the others need no look
    pending         bytes held, with the overhead of arguments already read
    """

    __slots__ = (
        "_args",
        "_bulk",
        "_count",
        "_last_size",
        "_line",
        "_max_bulk",
        "_max_inline",
        "_max_multibulk",
        "_need",
        "_ordinary",
        "_query_buffer_limit",
        "_read",
        "_shapes",
        "authenticated",
        "error",
        "idle",
        "overflow",
        "paused",
        "pending",
    )

    def __init__(
        self,
        *,
        max_bulk: int = 512 * 2**20,
        max_multibulk: int = 2**31 - 1,
        max_inline: int = 64 * 1024,
        query_buffer_limit: int = 2**30,
    ) -> None:
        self._max_bulk = max_bulk
        self._max_multibulk = max_multibulk
        self._max_inline = max_inline
        self._query_buffer_limit = query_buffer_limit
        # Smaller limits than the tables know are left to the complete parser.
        self._ordinary = max_bulk >= _TABLE and max_multibulk >= _TABLE and max_inline >= _TABLE
        self.idle = self._ordinary  # nothing held, nothing wrong: the fast way is open
        self._line = b""  # the start of a line whose end has not come
        self._bulk = bytearray()  # the start of an argument ...
        self._need = 0  # ... of which so many bytes are needed, line end included; 0: none
        self._args: list[bytes] = []  # of the command being read
        self._count = 0  # arguments it lacks
        self._read = 0  # what _args holds, for `pending`
        self._shapes: dict[int, _Shape] = {}  # by the size of the chunk
        self._last_size = 0  # of the last chunk that was one command and had no shape
        self.authenticated = True
        self.error: ProtocolError | None = None
        self.overflow = False
        self.paused = False
        self.pending = 0

    def lone(self, data: bytes) -> list[bytes] | None:
        """The one command that `data` is, if it looks like earlier ones; else ask `feed`.

        To be called while `idle` only.
        """
        shape = self._shapes.get(len(data))
        if shape is not None:
            head, name, start, middle, end = shape
            if data.startswith(head):
                if not middle:
                    return [name, data[start:-2]]
                if data.startswith(middle, end):
                    return [name, data[start:end], data[end + len(middle) : -2]]
        return None

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The commands completed by `data`, in order: each a list of name and arguments.

        Commands without arguments (`*0`, `*-1`, blank lines) are skipped, as in Redis.
        """
        commands: list[list[bytes]] = []
        if not (self.idle and self.authenticated):
            self._resume(data, commands)
            return commands
        size = len(data)
        if size >= _TABLE and data.count(b"\r", 0, _TABLE) < _FEW:
            self._parse(data, commands)
            return commands
        lines = data.split(b"\r\n")
        last = len(lines) - 1  # what follows the last line end
        headers = _HEADERS
        at = 0
        if last == 5 and lines[0] == b"*2":  # one whole command of two, as most chunks are
            _, first, name, second, key, rest = lines
            sizes = len(name), len(key)
            if (
                not rest
                and max(sizes) < _TABLE
                and first == headers[sizes[0]]
                and second == headers[sizes[1]]
            ):
                commands.append([name, key])
                at = last
        widths = _LINES
        try:
            while at < last:
                width = widths.get(lines[at], 0)
                end = at + width
                if not width or end > last:
                    break
                # A header that tells the length of the line after it: the complete parser
                # would take just that line. The usual counts are spelled out for speed.
                if width == 7:
                    name, key, value = lines[at + 2], lines[at + 4], lines[at + 6]
                    if (
                        lines[at + 5] != headers[len(value)]
                        or lines[at + 3] != headers[len(key)]
                        or lines[at + 1] != headers[len(name)]
                    ):
                        break
                    commands.append([name, key, value])
                elif width == 5:
                    name, key = lines[at + 2], lines[at + 4]
                    if lines[at + 3] != headers[len(key)] or lines[at + 1] != headers[len(name)]:
                        break
                    commands.append([name, key])
                else:
                    args = lines[at + 2 : end : 2]
                    if lines[at + 1 : end : 2] != [headers[len(arg)] for arg in args]:
                        break
                    commands.append(args)
                at = end
        except IndexError:
            pass  # an argument longer than the table
        if at < last or lines[last]:
            self._parse(b"\r\n".join(lines[at:]), commands)
        elif len(commands) == 1 and size < _TABLE:
            if size == self._last_size:
                self._learn(size, commands[0])
            self._last_size = size
        return commands

    def _learn(self, size: int, args: list[bytes]) -> None:
        """Two chunks in a row of this size were one command each: more like it may come."""
        if not 2 <= len(args) <= 3:
            return
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        name, first = args[:2]
        head = b"*%d\r\n$%d\r\n%b\r\n$%d\r\n" % (len(args), len(name), name, len(first))
        middle = b"\r\n$%d\r\n" % len(args[2]) if len(args) == 3 else b""
        self._shapes[size] = head, name, len(head), middle, len(head) + len(first)

    def _resume(self, data: bytes, commands: list[list[bytes]]) -> None:
        """Go on with what is held; when that is complete, the fast way may take the rest."""
        if self.error is not None or self.overflow:
            return
        self.paused = False
        if self._need:
            lacking = self._need - len(self._bulk)
            self._bulk += data[:lacking]
            if len(data) < lacking:
                self._settle()
                return
            data = data[lacking:]
            with memoryview(self._bulk) as view:
                self._args.append(bytes(view[: self._need - 2]))
            self._read += self._need + _ARGUMENT_OVERHEAD
            self._bulk = bytearray()
            self._need = 0
            self._count -= 1
            if not self._count:
                commands.append(self._args)
                self._args = []
                self._read = 0
        held = self._line
        self._line = b""
        fast = self._ordinary and self.authenticated
        if held or self._count or not fast:
            data = self._parse(held + data if held else data, commands, once=fast)
        else:
            self._settle()
        if data:
            commands += self.feed(data)

    def _parse(self, data: bytes, commands: list[list[bytes]], once: bool = False) -> bytes:
        """The complete parser: read `data` on from the state held, and hold what is cut.

        With `once`, stop after the command begun and return the rest.
        """
        at = 0
        size = len(data)
        find = data.find
        count = self._count
        args = self._args
        known = len(args)
        numbers = _NUMBERS if self._ordinary and self.authenticated else _NO_NUMBERS
        while at < size:
            if count or data[at] == _STAR:
                number = None
                if not count or data[at] == _DOLLAR:
                    end = find(b"\r", at, at + 6)
                    if 0 < end < size - 1:
                        number = numbers.get(data[at + 1 : end])
                if number is None:
                    header = self._header(data, at, bool(count), commands)
                    if header is None:
                        break
                    number, at = header
                else:
                    at = end + 2
                if not count:
                    count = max(number, 0)
                    continue
                stop = at + number
                if stop + 2 > size:
                    self._need = number + 2
                    self._bulk = bytearray(data[at:])
                    break
                args.append(data[at:stop])
                at = stop + 2  # Redis does not look at the two bytes after an argument
                count -= 1
                if not count:
                    commands.append(args)
                    args = []
                    known = self._read = 0
            else:
                at = self._inline(data, at, commands)
                if at < 0:
                    break
            if once and not count:
                break
        if self.error is None:
            self._count = count
            self._args = args
            if count:
                self._read += sum(map(len, args[known:]))
                self._read += _ARGUMENT_OVERHEAD * (len(args) - known)
        self._settle()
        return data[at:] if once and self.idle else b""

    def _header(
        self, data: bytes, at: int, bulk: bool, commands: list[list[bytes]]
    ) -> tuple[int, int] | None:
        """The number of the header line at `at`, and where the next line begins.

        None when the line is not complete (it is held) or refused (`error` is set).
        """
        what = "bulk" if bulk else "mbulk"
        end = data.find(b"\r", at, at + 12)
        if end < 0 or data[at] == 0 or not data[at + 1 : end].isdigit():
            end = _line_end(data, at, b"\r")
        if (end if end >= 0 else len(data)) - at > self._max_inline:
            self._refuse(f"too big {what} count string")
            return None
        if end < 0 or end + 1 == len(data):  # Redis wants a byte after the \r, any byte
            self._line = data[at:]
            return None
        if bulk and data[at] != _DOLLAR:
            found = data[at : at + 1].decode("utf-8", "surrogateescape")
            self._refuse(f"expected '$', got '{found}'")
            return None
        digits = data[at + 1 : end]
        number = int(digits) if _NUMBER.fullmatch(digits) else None
        if bulk:
            if number is None or not 0 <= number <= self._max_bulk:
                self._refuse("invalid bulk length")
                return None
        elif number is None or not _LOWEST <= number <= self._max_multibulk:
            self._refuse("invalid multibulk length")
            return None
        if not self.authenticated and number > (_NOAUTH_BULK if bulk else _NOAUTH_ARGUMENTS):
            if commands:  # AUTH may be among them, so judge again once they have run
                self._line = data[at:]
                self.paused = True
                return None
            self._refuse(f"unauthenticated {'bulk' if bulk else 'multibulk'} length")
            return None
        return number, end + 2

    def _inline(self, data: bytes, at: int, commands: list[list[bytes]]) -> int:
        """Read the inline command at `at`; where the next begins, or -1 as for `_header`."""
        blank = _BLANK_LINES.match(data, at)
        if blank is not None:
            return blank.end()
        end = _line_end(data, at, b"\n")
        if (end if end >= 0 else len(data)) - at > self._max_inline:
            self._refuse("too big inline request")
            return -1
        if end < 0:
            self._line = data[at:]
            return -1
        args = split_inline(data[at:end].removesuffix(b"\r"))
        if args is None:
            self._refuse("unbalanced quotes in request")
            return -1
        if args:
            commands.append(args)
        return end + 1

    def _refuse(self, text: str) -> None:
        self.error = ProtocolError(text)
        self._drop()

    def _drop(self) -> None:
        self._line = b""
        self._bulk = bytearray()
        self._args = []
        self._need = self._count = self._read = self.pending = 0

    def _settle(self) -> None:
        """After each change of what is held: `pending`, the buffer limit, the fast way."""
        self.pending = len(self._line) + len(self._bulk) + self._read
        limit = self._query_buffer_limit
        if not self.authenticated:
            limit = min(limit, _NOAUTH_BUFFER)
        if self.pending > limit:
            self.overflow = True
            self._drop()
        held = self._count or self._line or self._need
        refused = self.error is not None or self.overflow
        self.idle = self._ordinary and not held and not refused


def _line_end(data: bytes, at: int, mark: bytes) -> int:
    """Where `mark` ends the line that begins at `at`, or -1.

    Redis looks for it with strchr(), which a zero byte stops: such a line never ends.
    """
    end = data.find(mark, at)
    return -1 if data.find(b"\0", at, end if end >= 0 else len(data)) >= 0 else end
