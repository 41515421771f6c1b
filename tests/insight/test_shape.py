"""Shapes: what is left of a statement without its values."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.insight import shape_of

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        ("select 1", "select ?"),
        ("select -1, +2.5e-3, .5, 0xFF, 1_000", "select ?"),
        ("select a-1, a - 1", "select a-?, a - ?"),
        ("where a between -1 and -2 limit 10", "where a between ? and ? limit ?"),
        ("select t1.c2, x3 from t1", "select t1.c2, x3 from t1"),
        ("select 'it''s'", "select ?"),
        ("select 'one'\n  'two'", "select ?"),
        (r"select e'a\'b', E'\\', 5", "select ?"),
        (r"select 'a\' as b", "select ? as b"),
        ("select b'101', x'ff', n'x', u&'x'", "select ?"),
        ("select date'2020-01-01'", "select date?"),
        ("select interval '1 day' * 3", "select interval ? * ?"),
        ("select $$it's$$ as a", "select ? as a"),
        ("select $a$ $$ $b$ $a$ as a", "select ? as a"),
        ("select $1 + $12", "select ? + ?"),
        ("select %s, %(name)s, %b", "select ?"),
        ("select a %body", "select a %body"),
        ('select "a 1", "it\'s", "x""5"', 'select "a 1", "it\'s", "x""5"'),
        ("select a -- of 's3cret'\n, b", "select a , b"),
        ("select /* 's3cret' /* 5 */ */ a", "select a"),
        ("select a / b * c - d", "select a / b * c - d"),
        ("where a in (1, 2,3)", "where a in (?)"),
        ("insert into t values (1, 'a'), (2, 'b')", "insert into t values (?)"),
        ("select array[1,2]::int[], '{1,2}'::int[]", "select array[?]::int[], ?::int[]"),
        ("select a[1], a[2:3]", "select a[?], a[?:?]"),
        ("select  a\n\tfrom t ;", "select a from t ;"),
    ],
)  # fmt: skip
def test_values_comments_and_line_breaks_are_replaced(statement: str, shape: str):
    assert shape_of(statement) == shape


@pytest.mark.parametrize(
    "text",
    [
        "'s3cret",
        "e's3cret\\",
        "e'\\'s3cret",
        "$$s3cret",
        "$x$ s3cret $y$",
        "/* s3cret",
        "-- s3cret",
    ],
)
def test_what_is_not_closed_lasts_to_the_end(text: str):
    assert SECRET not in shape_of(f"select {text}")
    assert SECRET not in shape_of(f'select "a", {text}')


def test_only_the_beginning_of_a_long_statement_counts():
    many = ", ".join(["%s"] * 5000)
    assert shape_of(f"select {many}") == "select ?"
    assert SECRET not in shape_of(f"select '{'x' * 5000}{SECRET}' from t")
    assert len(shape_of("a" * 100_000)) <= 2000


# What a value may be written as, by its text.
texts = st.text(string.printable.replace("\r", ""), max_size=20).filter(lambda t: "\0" not in t)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@st.composite
def values(draw: st.DrawFn) -> str:
    text = draw(texts)
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return "'" + text.replace("'", "''") + "'"
    if kind == 1:
        return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if kind == 2:
        tag = draw(st.sampled_from(["", "a", "tag_1"]))
        return f"${tag}${text.replace('$', '')}${tag}$"
    if kind == 3:
        return str(draw(st.integers(-(10**12), 10**12)))
    if kind == 4:
        return repr(draw(st.floats(allow_nan=False, allow_infinity=False)))
    if kind == 5:
        return f"${draw(st.integers(1, 99))}"
    return draw(st.sampled_from(["%s", "%(name)s", "0x1F", "B'101'"]))


gaps = st.sampled_from([" ", "\n", " -- it's a note\n", " /* 1 '2' */ ", "  "])


@given(names, names, st.data())
def test_statements_that_differ_in_values_only_are_of_one_shape(
    table: str, column: str, data: st.DataObject
):
    def statement() -> str:
        one, two = data.draw(values()), data.draw(st.lists(values(), min_size=1, max_size=4))
        gap = data.draw(gaps)
        return (
            f'select "{column} 1", {column}2{gap}from {table}3 '
            f"where {column} = {one} and x in ({', '.join(two)})"
        )

    expected = f'select "{column} 1", {column}2 from {table}3 where {column} = ? and x in (?)'
    assert shape_of(statement()) == expected


@given(texts)
def test_nothing_of_a_value_is_left(text: str):
    marked = text + SECRET
    quoted = "'" + marked.replace("'", "''") + "'"
    escaped = "e'" + marked.replace("\\", "\\\\").replace("'", "\\'") + "'"
    dollars = "$q$" + marked.replace("$", "") + "$q$"
    for value in (quoted, escaped, dollars):
        assert SECRET not in shape_of(f"select a from b where c = {value} and d = 1")
        assert SECRET not in shape_of(f'select "a" from b where c = {value}')


@given(st.text(max_size=300))
def test_any_text_has_a_shape(text: str):
    shape = shape_of(text)
    assert "\n" not in shape
    assert shape == shape.strip()
