"""Reading queries: what is a parameter, what is not, and what is no query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.backing.sqltext import read_query

DIALECTS = ("sqlite", "postgresql", "mysql")


def shown(sql: str, dialect: str = "sqlite") -> str:
    return read_query(sql, dialect).render(lambda name: f"<{name}>")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select :a", "select <a>"),
        ("select :a, :b, :a ;  ", "select <a>, <b>, <a>"),
        ("select ':a', \":b\", ':''c' from t", "select ':a', \":b\", ':''c' from t"),
        ("select 1 -- :a ; x\n where x = :b", "select 1 -- :a ; x\n where x = <b>"),
        ("select 1 /* :a ; */ + :b", "select 1 /* :a ; */ + <b>"),
        ("  WITH x AS (SELECT :a) SELECT * FROM x", "  WITH x AS (SELECT <a>) SELECT * FROM x"),
        ("select replace(a, 'x', :b) from t", "select replace(a, 'x', <b>) from t"),
        ("select (replace(a, 'x', 'y')) from t", "select (replace(a, 'x', 'y')) from t"),
        ("select `:a` from t", "select `:a` from t"),
        ("select updated, deleted from t where x=:x", "select updated, deleted from t where x=<x>"),
        ("select 1;-- bye\n /* and */ ", "select 1"),
    ],
)
def test_parameters_and_what_looks_like_them(dialect: str, sql: str, expected: str) -> None:
    assert shown(sql, dialect) == expected


def test_each_dialect_has_its_own_quotes() -> None:
    assert shown("select :a::int, $$:b$$, $x$ :c $x$", "postgresql") == (
        "select <a>::int, $$:b$$, $x$ :c $x$"
    )
    assert shown(r"select E'\':a', :b", "postgresql") == r"select E'\':a', <b>"
    assert shown(r"select '\', :b", "postgresql") == r"select '\', <b>"
    assert shown(r"select '\':a', :b", "mysql") == r"select '\':a', <b>"
    assert shown(r'select "\":a", :b', "mysql") == r'select "\":a", <b>'
    assert shown("select :b # :a\n", "mysql") == "select <b> # :a"
    assert shown("select [:a], :b", "sqlite") == "select [:a], <b>"
    assert shown("select 1 /* /* :a */ :b */ , :c", "postgresql") == (
        "select 1 /* /* :a */ :b */ , <c>"
    )


def test_order_without_limit_is_known() -> None:
    for sql, ordered in (
        ("select 1 from t order by x", True),
        ("select 1 from t order by x limit 3", False),
        ("select 1 from t order by x offset 3", False),
        ("select * from (select 1 from t order by x) q", False),
        ("select * from (select 1 limit 2) q order by y", True),
        ("select 1 from t", False),
    ):
        assert read_query(sql, "sqlite").ordered is ordered, sql


@pytest.mark.parametrize(
    ("sql", "extended"),
    [
        ("select * from t", "select * , 1 AS n from t"),
        (
            "select :a, (select max(x) from u) FROM t",
            "select <a>, (select max(x) from u) , 1 AS n FROM t",
        ),
        ("select extract(year from x) from t", "select extract(year from x) , 1 AS n from t"),
        ("select 1 /* from */ from t", "select 1 /* from */ , 1 AS n from t"),
        ("select 1", None),
        ("select 1 from t union select 2 from t", None),
        ("select a is distinct from b from t", None),
        ("with x as (select 1 from t) select * from x", None),
    ],
)
def test_a_column_is_added_only_where_that_is_safe(sql: str, extended: str | None) -> None:
    query = read_query(sql, "mysql")
    assert query.extensible is (extended is not None)
    if extended is not None:
        assert query.render(lambda name: f"<{name}>", column="1 AS n") == extended
    assert shown(sql, "mysql") == sql.replace(":a", "<a>")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "not a SELECT"),
        ("insert into t values (1)", "not a SELECT"),
        ("update t set x = 1", "not a SELECT"),
        ("pragma writable_schema", "not a SELECT"),
        ("select 1; drop table t", "more than one"),
        ("select 1;;", "more than one"),
        ("with x as (delete from t returning *) select * from x", "DELETE"),
        ("with x as (select 1) insert into t select * from x", "INSERT"),
        ("with x as (select 1) replace into t select * from x", "REPLACE"),
        ("select * into copy from t", "SELECT INTO"),
        ("select 'x", "without end"),
        ('select "x', "without end"),
        ("select /* x", "without end"),
    ],
)
def test_what_is_no_query(dialect: str, sql: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_query(sql, dialect)


@given(st.text(), st.sampled_from(DIALECTS))
def test_any_text_is_read_or_refused_and_loses_nothing(text: str, dialect: str) -> None:
    sql = "select " + text
    try:
        query = read_query(sql, dialect)
    except ValueError:
        return
    again = query.render(lambda name: ":" + name)
    assert sql.startswith(again)
    assert not sql[len(again) :].strip() or ";" in sql[len(again) :]
