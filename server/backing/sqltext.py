"""The query of a `[[source]]`, read just closely enough to bind it.

A query is one SELECT (or WITH ... SELECT) whose parameters are written `:name`.
It is split into text and parameters by a scanner that knows strings, quoted
names, comments, PostgreSQL's dollar quotes and `::` casts, so that nothing
inside those is taken for a parameter; each driver then renders the parameters
in its own style. Values never become part of the text.

What this file does not do: parse SQL. Whether the query is valid, and which
columns it has, is asked of the database when the backing opens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<string> [eE]? ' )
    | (?P<quoted> "(?:[^"]|"")*" | `(?:[^`]|``)*` )
    | (?P<dollar> \$(?:[A-Za-z_]\w*)?\$ )
    | (?P<cast> ::)
    | (?P<param> :[A-Za-z_]\w* )
    | (?P<word> [A-Za-z_][\w$]* )
    | (?P<other> \d[\w.]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_PLAIN_STRING = re.compile(r"(?:[^']|'')*'")
_ESCAPED_STRING = re.compile(r"(?:[^'\\]|''|\\.)*'", re.DOTALL)
_ESCAPED_NAME = re.compile(r'"(?:[^"\\]|""|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[^\]]*\]")

#: Words that start a statement which changes data, also inside WITH.
_CHANGES = frozenset({"insert", "update", "delete", "merge", "replace"})

#: Words that join two lists of columns.
_COMBINE = frozenset({"union", "intersect", "except", "minus"})


class Param(NamedTuple):
    """A place for the value of the field `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query that can be bound.

    parts    text and Params, as written, without a final `;`, and None where its one list of
             columns ends, if it has only one and it ends before FROM
    names    the distinct parameters, in order of appearance
    ordered  whether its outermost level has an ORDER BY and no LIMIT
    """

    parts: tuple[str | Param | None, ...]
    names: tuple[str, ...]
    ordered: bool

    @property
    def extensible(self) -> bool:
        """Whether a column can be added by text."""
        return None in self.parts

    def render(
        self, place: Callable[[str], str], text: Callable[[str], str] = str, column: str = ""
    ) -> str:
        """The SQL with `place(name)` for each parameter and `text` applied to what is between.

        `column` is added to the list of columns, which must be `extensible`.
        """
        return "".join(
            (f", {column} " if column else "")
            if part is None
            else place(part.name)
            if isinstance(part, Param)
            else text(part)
            for part in self.parts
        )


def read_query(sql: str, dialect: str) -> Query:
    """Split `sql`; ValueError when it is not one SELECT. `dialect` is SQLAlchemy's name."""
    parts: list[str | Param | None] = []
    names: dict[str, None] = {}
    words: list[str] = []  # of the outermost level
    depth, first, before = 0, "", ""
    ended: int | None = None  # where the `;` stands
    start = at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        assert found is not None  # `.` takes any character
        kind, token = found.lastgroup, found[0]
        end = _end_of(kind, token, sql, found.end(), dialect)
        if kind in ("space", "comment") or (token == "#" and dialect == "mysql"):
            at = end
            continue
        if ended is not None:
            raise ValueError("the query is more than one statement")
        if token == ";":
            ended = at
        if kind == "param":
            parts += [sql[start:at], Param(token[1:])]
            names[token[1:]] = None
            start = end
        elif kind == "word":
            word = token.lower()
            if not first:
                first = word
            if word in _CHANGES and (
                before == "(" or (before == ")" and depth == 0 and first == "with")
            ):
                following = _TOKEN.match(sql, end + 1)
                if word != "replace" or (following and following[0].lower() == "into"):
                    raise ValueError(f"the query changes data ({word.upper()})")
            if depth == 0:
                words.append(word)
                if word == "from" and None not in parts:
                    parts += [sql[start:at], None]
                    start = at
        depth += {"(": 1, ")": -1}.get(token, 0)
        before = token
        at = end
    parts.append(sql[start:ended].rstrip())
    if first not in ("select", "with"):
        raise ValueError("the query is not a SELECT")
    if "into" in words:
        raise ValueError("the query writes (SELECT INTO)")
    ordered = "order" in words and not {"limit", "fetch", "offset"} & set(words)
    single = first == "select" and words.count("from") == 1 and not _COMBINE & set(words)
    kept = tuple(part for part in parts if part or (part is None and single))
    return Query(kept, tuple(names), ordered)


def _end_of(kind: str | None, token: str, sql: str, at: int, dialect: str) -> int:
    """Where the token that opened before `at` ends."""
    if kind == "comment":
        depth = 1
        while depth:
            mark = _COMMENT.search(sql, at)
            if mark is None:
                raise ValueError("the query has a comment without end")
            nests = dialect == "postgresql"  # only there `/* /* */ */` is one comment
            depth += (1 if nests else 0) if mark[0] == "/*" else -1
            at = mark.end()
        return at
    if kind == "string":
        escapes = dialect == "mysql" or len(token) > 1
        found = (_ESCAPED_STRING if escapes else _PLAIN_STRING).match(sql, at)
    elif kind == "dollar" and dialect == "postgresql":
        found = re.compile(re.escape(token)).search(sql, at)
    elif token == "[" and dialect == "sqlite":
        found = _BRACKETS.match(sql, at)
    elif token == "#" and dialect == "mysql":
        found = re.compile(r"[^\n]*").match(sql, at)
    elif token[0] == '"' and dialect == "mysql":  # a string there, unless ANSI_QUOTES is set
        found = _ESCAPED_NAME.match(sql, at - len(token))
    elif token in ('"', "`"):
        found = None
    else:
        return at
    if found is None:
        raise ValueError(f"the query has a {token} without end")
    return found.end()
