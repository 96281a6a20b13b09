"""MariaDB and MySQL through asyncmy, in the text protocol.

Values are escaped by asyncmy, which follows the session's NO_BACKSLASH_ESCAPES;
the connection is always utf8mb4, where no character hides a quote. There is no
LATERAL in MariaDB, so a configured query is asked for many keys by UNION ALL,
and a copy with an ORDER BY gets a LIMIT that never ends: MariaDB drops the
order otherwise.

A statement that is given up is killed in the server by a second connection,
since neither server notices that the client has gone while it works.

What this file does not do: JSON in MariaDB, whose columns are text to the
server, and to us.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from antecache.server.backing.driver import (
    Answer,
    BoundQuery,
    BoundTable,
    Driver,
    Raw,
    Statement,
    one_line,
)
from antecache.server.backing.patterns import Field
from antecache.server.backing.reflect import Reflected, Table
from antecache.server.backing.sqltext import Param, Query
from antecache.server.backing.statements import PositionalTable, UnionQuery

#: Keys in one statement. Values are part of its text: with names of 255 characters of four bytes
#: this many stay below `max_allowed_packet` (16 MB by default in MariaDB).
BINDS = 4096

#: Errors of the client library and the server after which the connection is gone: CR_SERVER_GONE,
#: CR_SERVER_LOST, ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED, CR_COMMANDS_OUT_OF_SYNC, and MySQL's
#: ER_CLIENT_INTERACTION_TIMEOUT.
LOST = frozenset({2006, 2013, 1053, 1927, 2014, 2055, 4031})

#: Errors about one value: ER_CANT_AGGREGATE_2COLLATIONS and its kin (text that the column's
#: character set lacks), ER_TRUNCATED_WRONG_VALUE, ER_DIVISION_BY_ZERO, ER_DATA_OUT_OF_RANGE.
REFUSED = frozenset({1267, 1270, 1271, 1292, 1365, 1690})
_COLLATIONS = frozenset({1267, 1270, 1271})

_ENDLESS = "\nLIMIT 18446744073709551615"

#: What stands for a parameter while the columns of a query are asked for.
_SAMPLES = {"int": "1", "str": "''", "path": "''", "uuid": "''"}


class MysqlDriver(Driver):
    """`mysql://user:password@host/database`, or `mariadb://`."""

    dialect = "mysql+asyncmy"
    extra = "mysql"

    def __init__(self, url: sa.URL) -> None:
        dialect = "mariadb+asyncmy" if url.drivername.startswith("mariadb") else self.dialect
        super().__init__(url.difference_update_query(["charset"]))
        self.url = self.url.set(drivername=dialect)
        self._given_up: set[int] = set()  # id() of connections whose statement may still run

    def check(self) -> None:
        """Nothing to check without a server."""

    def connect_args(self) -> dict[str, Any]:
        from asyncmy import converters
        from asyncmy.constants import FIELD_TYPE

        decode = dict(converters.conversions)
        decode[FIELD_TYPE.JSON] = _json
        decode[FIELD_TYPE.BIT] = _bit
        decode[FIELD_TYPE.TIME] = _time
        return {"conv": decode, "charset": "utf8mb4", "connect_timeout": 10, "autocommit": True}

    async def prepare(self, raw: Raw) -> None:
        await raw.autocommit(True)  # no round trip when it is so already

    async def refine(self, connection: AsyncConnection, found: Reflected) -> None:
        """SQLAlchemy's types say enough."""

    def bind_table(self, table: Table) -> BoundTable:
        return PositionalTable(table, BINDS, _quoted, "%s", False, _conflict)

    async def bind_query(
        self, connection: AsyncConnection, query: Query, fields: Sequence[Field]
    ) -> BoundQuery:
        kinds = {field.name: field.kind for field in fields}
        sample = query.render(lambda name: _SAMPLES[kinds[name]])
        raw: Raw = (await connection.get_raw_connection()).driver_connection
        cursor = raw.cursor()
        try:
            await cursor.execute(f"SELECT * FROM (\n{sample}\n) AS q LIMIT 0")
        except Exception as error:
            if self.lost(raw, error):
                raise
            raise ValueError(one_line(error, self.url)) from None
        return UnionQuery(
            query,
            [field.name for field in fields],
            [part.name for part in query.parts if isinstance(part, Param)],
            lambda _copy, _name: "%s",
            tuple(column[0] for column in cursor.description),
            {},
            BINDS,
            _ENDLESS,
            text=_escaped,
            inline=True,
        )

    async def fetch(self, raw: Raw, sql: str, params: Sequence[Any]) -> Answer:
        cursor = raw.cursor()
        try:
            await cursor.execute(sql % tuple(map(raw.literal, params)))
        except BaseException as error:
            if not isinstance(error, Exception):
                self._given_up.add(id(raw))
            raise
        rows = await cursor.fetchall()
        return Answer(tuple(column[0] for column in cursor.description), rows)

    async def write(self, raw: Raw, statements: Sequence[Statement]) -> None:
        await raw.begin()
        cursor = raw.cursor()
        try:
            for sql, many, must_hit in statements:
                for params in many:
                    await cursor.execute(sql % tuple(map(raw.literal, params)))
                    if must_hit is not None and not cursor.rowcount:
                        raise must_hit
            await raw.commit()
        except Exception:
            if raw.connected:
                await raw.rollback()
            raise

    def usable(self, raw: Raw) -> bool:
        return bool(raw.connected)

    def lost(self, raw: Raw, error: Exception) -> bool:
        number = error.args[0] if error.args else None
        return not raw.connected or isinstance(error, OSError | EOFError) or number in LOST

    def refused(self, error: Exception) -> bool:
        return bool(error.args) and error.args[0] in REFUSED

    def impossible(self, error: Exception) -> bool:
        return bool(error.args) and error.args[0] in _COLLATIONS

    async def abandon(self, raw: Raw) -> None:
        given_up = id(raw) in self._given_up
        self._given_up.discard(id(raw))
        thread = raw.thread_id() if given_up else None
        raw.close()
        if thread is not None:
            other = await self.connect()
            try:
                with suppress(Exception):  # it may have ended meanwhile
                    await other.cursor().execute(f"KILL {int(thread)}")
            finally:
                other.close()


def _quoted(name: str) -> str:
    return "`" + _escaped(name.replace("`", "``")) + "`"


def _escaped(text: str) -> str:
    """SQL text in which only `%s` of our own is a parameter."""
    return text.replace("%", "%%")


def _conflict(keys: Sequence[str], columns: Sequence[str]) -> str:
    names = columns or keys[:1]  # a row of nothing but its key: assign the key to itself
    return "ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = VALUES({name})" for name in names)


def _json(value: Any) -> Any:
    return msgspec.json.decode(value)


def _bit(value: Any) -> Any:
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def _time(value: Any) -> str:
    """A TIME as it is: it may be negative or longer than a day."""
    return value.decode() if isinstance(value, bytes) else str(value)
