"""LCS: the longest common subsequence of two strings, and where it lies in both.

Redis fills a table of |a| x |b| numbers, four bytes each. Neighbours in a row of
that table differ by 0 or 1, so here a row is one Python integer with a bit for
each difference, and one row follows from the one before it in a few big-integer
operations (Hyyro, "Bit-parallel LCS-length computation revisited", 2004): a
thirtieth of the memory and, in Python, hundreds of times the speed. The walk back
through the table takes the same turns as Redis's, so the answers are the same
where several subsequences are longest.

Redis refuses pairs whose table would exceed `proto-max-bulk-len`; so does this,
to keep the time bounded.
"""

from __future__ import annotations

from antecache.server.buffer import settled
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.errors import SYNTAX, ClientError

Span = tuple[int, int]  # first and last index


@command(
    "lcs",
    -3,
    flags="readonly",
    keys=(1, 2, 1),
    group="string",
    since="7.0.0",
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary="Finds the longest common substring.",
)
def lcs(client: ClientView, argv: Argv) -> bytes | int | dict[bytes, object]:
    """LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]."""
    entries = [client.db.read(key) for key in argv[1:3]]
    for entry in entries:
        if entry is not None and type(settled(entry)) is not bytes:
            raise ClientError("ERR The specified keys must contain string values")
    left, right = (b"" if entry is None else entry.value for entry in entries)
    length_only = indexes = with_length = False
    shortest = 0
    at = 3
    while at < len(argv):
        option = argv[at].upper()
        if option == b"LEN":
            length_only = True
        elif option == b"IDX":
            indexes = True
        elif option == b"WITHMATCHLEN":
            with_length = True
        elif option == b"MINMATCHLEN" and at + 1 < len(argv):
            at += 1
            shortest = max(0, integer(argv[at]))
        else:
            raise ClientError(SYNTAX)
        at += 1
    if length_only and indexes:
        raise ClientError("ERR If you want both the length and indexes, please just use IDX.")
    if 4 * (len(left) + 1) * (len(right) + 1) > client.server.config.proto_max_bulk_len:
        raise ClientError(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        )
    rows = _rows(left, right)
    length = len(left) - rows[-1].bit_count()
    if length_only:
        return length
    spans, common = _walk_back(left, right, rows, length)
    if not indexes:
        return common
    matches: list[list[object]] = []
    for in_left, in_right in spans:
        size = in_left[1] - in_left[0] + 1
        if size >= shortest:
            match: list[object] = [list(in_left), list(in_right)]
            matches.append([*match, size] if with_length else match)
    return {b"matches": matches, b"len": length}


def _rows(left: bytes, right: bytes) -> list[int]:
    """For every prefix of `right`, the bits i where LCS(left[:i+1]) equals LCS(left[:i])."""
    places: dict[int, int] = {}
    for index, byte in enumerate(left):
        places[byte] = places.get(byte, 0) | 1 << index
    ones = (1 << len(left)) - 1
    row = ones
    rows = [row]
    for byte in right:
        steps = row & places.get(byte, 0)
        row = ((row + steps) | (row - steps)) & ones
        rows.append(row)
    return rows


def _walk_back(
    left: bytes, right: bytes, rows: list[int], length: int
) -> tuple[list[tuple[Span, Span]], bytes]:
    """The runs of the subsequence, last one first, and the subsequence itself."""
    i, j = len(left), len(right)
    here = length  # LCS(left[:i], right[:j])
    spans: list[tuple[Span, Span]] = []
    runs: list[bytes] = []
    end_i = end_j = -1  # where the open run ends, or -1
    while i and j and here:
        if left[i - 1] == right[j - 1]:
            if end_i < 0:
                end_i, end_j = i, j
            i, j, here = i - 1, j - 1, here - 1
            continue
        if end_i >= 0:
            spans.append(((i, end_i - 1), (j, end_j - 1)))
            runs.append(left[i:end_i])
            end_i = -1
        # Redis goes up where the table is higher there, and left otherwise.
        above = here - (not rows[j] >> (i - 1) & 1)
        beside = i - (rows[j - 1] & ((1 << i) - 1)).bit_count()
        if above > beside:
            i -= 1
        else:
            j -= 1
        here = max(above, beside)
    if end_i >= 0:
        spans.append(((i, end_i - 1), (j, end_j - 1)))
        runs.append(left[i:end_i])
    return spans, b"".join(reversed(runs))
