"""The catalog's rows: whatever they hold, a listing is a dictionary of tenants, only smaller."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.config import Listing, Tenant
from tenantpool.config.block import Builder
from tenantpool.config.copytext import decode, encode
from tenantpool.errors import ConfigError

COLUMNS = ("id", "tier", "database", "dbname", "settings", "suspended")

Rows = Mapping[str, tuple[str | None, ...]]

characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
text = st.text(st.one_of(st.sampled_from("\\\b\f\n\r\t\vNn\x01a"), characters), max_size=8)
name = text.filter(bool)
cells = st.tuples(
    st.none() | text,
    st.none() | text,
    st.none() | name,
    st.none() | st.dictionaries(st.sampled_from(["a.b", "jit"]), text).map(json.dumps),
    st.sampled_from(["true", "false"]),
)
# More than a stride of them, so that there are several.
many = st.dictionaries(name, cells, max_size=8).flatmap(
    lambda few: st.integers(0, 200).map(
        lambda n: {**few, **{f"t{i:03}": (None, None, "x", None, "false") for i in range(n)}}
    )
)


def listing(rows: Rows, columns: tuple[str, ...] = COLUMNS) -> Listing:
    """Rows of the *columns* after the id, as COPY sends them: sorted by the bytes of the ids."""
    ordered = sorted(rows, key=str.encode)
    return Listing.build(columns, [encode((id_, *rows[id_])) + b"\n" for id_ in ordered])


def tenant(row: tuple[str | None, ...]) -> Tenant:
    tier, database, dbname, settings, suspended = row
    return Tenant(
        tier=tier,
        database=database,
        dbname=dbname,
        settings=json.loads(settings) if settings else {},
        suspended=suspended == "true",
    )


@given(st.lists(st.none() | text, min_size=1))
def test_a_row_is_read_as_it_was_written(row: list[str | None]) -> None:
    assert decode(encode(row)) == row
    assert b"\n" not in encode(row)


@given(many, name)
def test_a_listing_agrees_with_a_dictionary(rows: Rows, other: str) -> None:
    made = listing(rows)
    assert (len(made), set(made)) == (len(rows), set(rows))
    assert {id_: made.get(id_) for id_ in rows} == {id_: tenant(row) for id_, row in rows.items()}
    assert (other in made) == (other in rows)
    assert (made.get(other) is None) == (other not in rows)


@given(many, st.integers(1, 40))
def test_it_does_not_matter_how_the_rows_are_cut_or_ordered(rows: Rows, size: int) -> None:
    sent = b"".join(encode((id_, *row)) + b"\n" for id_, row in reversed(list(rows.items())))
    made = Listing.build(COLUMNS, [sent[i : i + size] for i in range(0, len(sent), size)])
    assert list(made) == list(listing(rows))


@given(many, many)
def test_differences_are_the_ids_whose_rows_differ(old: Rows, new: Rows) -> None:
    found = [id_ for part in listing(old).differences(listing(new)) for id_ in part]
    assert len(found) == len(set(found))
    assert set(found) == {id_ for id_ in {**old, **new} if old.get(id_) != new.get(id_)}


@given(many, st.dictionaries(name, st.none() | cells, max_size=5))
def test_a_patched_listing_is_like_one_built_so(rows: Rows, patches: dict[str, object]) -> None:
    made = listing(rows)
    wanted = dict(rows)
    for id_, row in patches.items():
        made = made.patch(id_, None if row is None else (id_, *row))  # type: ignore[misc]
        wanted.pop(id_, None)
        wanted |= {} if row is None else {id_: row}  # type: ignore[dict-item]
    built = listing(wanted)
    assert (len(made), set(made)) == (len(built), set(built))
    assert made.places() == built.places()
    assert [id_ for part in made.differences(built) for id_ in part] == []
    assert all(made.get(id_) == built.get(id_) for id_ in {**rows, **wanted})


def test_a_column_that_comes_changes_only_the_rows_that_use_it() -> None:
    old = listing({"a": ("pro",), "b": ("pro",)}, ("id", "tier"))
    new = listing({"a": ("pro", None), "b": ("pro", "x")}, ("id", "tier", "dbname"))
    assert [id_ for part in old.differences(new) for id_ in part] == ["b"]


def test_a_listing_counts_where_its_tenants_are_put() -> None:
    rows = {"a": ("pro", "main"), "b": ("pro", None), "c": (None, None), "d": ("pro", "main")}
    made = listing(rows, ("id", "tier", "database"))
    assert made.places() == {("pro", "main"): 2, ("pro", None): 1, (None, None): 1}
    only_database = listing({"a": ("main",)}, ("id", "database"))
    assert only_database.places() == {(None, "main"): 1}


def test_an_id_that_is_there_twice_is_named() -> None:
    lines = [b"a\tpro\n", b"b\tpro\n", b"b\tbasic\n"]
    for order in (lines, [lines[1], lines[0], lines[2]]):
        with pytest.raises(ConfigError, match="catalog: lists the tenant b twice"):
            Listing.build(("id", "tier"), order)


def test_a_row_without_an_id_is_refused() -> None:
    with pytest.raises(ConfigError, match="catalog: gives a row without an id"):
        Listing.build(("id", "tier"), [b"\\N\tpro\n"])


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("dbname", "", "dbname String should have at least 1 character"),
        ("dbname", "geheim" * 20, "dbname must not be longer than 63 bytes"),
        ("role", "none", "role must not be none"),
        ("suspended", "geheim", "suspended Input should be a valid boolean"),
        ("settings", "geheim", "settings must be a JSON object"),
        ("settings", "[" * 100_000, "settings must be a JSON object"),
        ("settings", '["geheim"]', "settings Input should be a valid dictionary"),
        ("settings", '{"role": "geheim"}', "settings cannot be set here"),
        ("settings", '{"a.b": {"geheim": 1}}', "settings Input should be a valid string"),
    ],
)
def test_a_row_that_makes_no_sense_spoils_only_its_own_tenant(
    column: str, cell: str, said: str
) -> None:
    made = listing({"a": (cell,), "b": (None,)}, ("id", column))
    with pytest.raises(ValueError, match=said) as caught:
        made.get("a")
    assert "geheim" not in str(caught.value)
    assert made.get("b") == Tenant()


def test_bytes_that_are_no_text_spoil_only_their_own_tenant() -> None:
    made = Listing.build(("id", "dbname"), [b"a\tx\n", b"b\t\xff\n", b"\xff\tx\n"])
    assert made.get("a") == Tenant(dbname="x")
    with pytest.raises(ValueError, match="dbname"):
        made.get("b")
    assert len(list(made)) == 3
    assert "\ud800" not in made


def test_100_000_tenants_are_few_megabytes_and_no_objects() -> None:
    rows = [f"tenant-{i:06}\tpro\tcustomer_{i}\tschema_{i}\n".encode() for i in range(100_000)]
    tracemalloc.start()
    try:
        made = Listing.build(("id", "tier", "dbname", "schema"), iter(rows))
        used, most = tracemalloc.get_traced_memory()
        blocks = sum(s.count for s in tracemalloc.take_snapshot().statistics("filename"))
    finally:
        tracemalloc.stop()
    assert len(made) == 100_000
    assert used <= most < 20e6
    assert blocks < 5_000


def test_the_repr_tells_how_much_there_is() -> None:
    made = listing({"a": ("pro",)}, ("id", "tier"))
    assert repr(made.patch("b", ("b", None))) == "<Listing tenants=2 patches=1>"
    assert repr(Builder(("id",))) == "<Builder of <Block rows=0 bytes=0>>"
    assert repr(Listing.EMPTY) == "<Listing tenants=0 patches=0>"
