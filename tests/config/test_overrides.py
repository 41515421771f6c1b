"""What operators change for a while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.config import Override, Overrides


def override(
    id_: str,
    tenant: str = "acme",
    *,
    tier: str | None = None,
    suspended: bool | None = None,
    until: float | None = None,
) -> Override:
    return Override(tenant, tier, suspended, until, "ops", "a big import", 1000.0, id_)


def test_the_newest_that_says_something_counts() -> None:
    made = Overrides([override("1", tier="pro"), override("2", suspended=True), override("3", "b")])
    made = made.add(override("4", tier="enterprise"))
    tier, suspension = made.tier("acme"), made.suspension("acme")
    assert tier is not None
    assert suspension is not None
    assert (tier.id, suspension.id) == ("4", "2")
    assert made.tier("b") is made.tier("nobody") is None


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ({"tier": "pro"}, {"tier": "basic"}, ["2"]),
        ({"tier": "pro"}, {"suspended": True}, ["1", "2"]),
        ({"tier": "pro", "suspended": True}, {"tier": "basic"}, ["1", "2"]),
        ({"suspended": True}, {"tier": "pro", "suspended": False}, ["2"]),
    ],
)
def test_a_new_one_replaces_what_says_nothing_beside_it(
    old: dict[str, object], new: dict[str, object], left: list[str]
) -> None:
    other = override("0", "other", tier="pro")
    made = Overrides([other, override("1", **old)]).add(override("2", **new))  # type: ignore[arg-type]
    assert list(made) == ["0", *left]


def test_what_is_removed_counts_no_more() -> None:
    made = Overrides([override("1", tier="pro"), override("2", suspended=True)])
    assert list(made.remove("1")) == ["2"]
    assert made.remove("1").tier("acme") is None
    assert list(made) == ["1", "2"]
    with pytest.raises(KeyError):
        made.remove("1", "3")


def test_an_override_has_expired_from_its_end_on() -> None:
    made = Overrides([override("1", until=5.0), override("2", until=3.0), override("3")])
    assert made.next_end() == 3.0
    assert [o.id for o in made.expired(2.9)] == []
    assert [o.id for o in made.expired(3.0)] == ["2"]
    assert [o.id for o in made.expired(9.0)] == ["1", "2"]
    assert Overrides.NONE.next_end() is None


times = st.floats(0, 1e10)
texts = st.text(st.characters(exclude_categories=["Cs"]))
kept = st.builds(
    Override, texts, st.none() | texts, st.none() | st.booleans(), st.none() | times, texts, texts,
    times, texts,
)  # fmt: skip


@given(st.lists(kept))
def test_what_is_stored_is_read_again(overrides: list[Override]) -> None:
    made = Overrides(overrides)
    assert Overrides.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        ("{}", "valid array"),
        ('[{"tenant": "a"}]', r"0\.tier: "),
        (Overrides([override("1")]).to_json().replace("1000.0", '"x"'), r"0\.made_at: "),
        (Overrides([override("1")]).to_json().replace('"id"', '"key"'), r"0\.\w+: "),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Overrides.from_json(text)


def test_what_is_printed_tells_who_and_why() -> None:
    assert str(override("7")) == "override 7 by ops: a big import"
    assert repr(Overrides([override("1"), override("2", "b")])) == "<Overrides 2 for 2 tenants>"
