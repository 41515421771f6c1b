"""What operators have changed for a while: the tier of a tenant, or whether it is suspended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, NamedTuple

from pydantic import TypeAdapter, ValidationError


class Override(NamedTuple):
    """A change of one tenant that ends. Times are seconds since 1970, as ``time.time`` has them."""

    tenant: str
    tier: str | None
    """The tier it gets; None: this does not change it."""
    suspended: bool | None
    """Whether it is refused; None: this does not change it."""
    until: float | None
    """When this ends; None: when somebody removes it."""
    author: str
    reason: str
    made_at: float
    id: str

    def __str__(self) -> str:
        said = f"{self.author}: {self.reason}" if self.reason else self.author
        return f"override {self.id} by {said}"


class Overrides(Mapping[str, Override]):
    """The overrides in force, by id, oldest first. Immutable."""

    __slots__ = ("_by_id", "_by_tenant")

    NONE: ClassVar[Overrides]

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._by_id = {override.id: override for override in overrides}
        self._by_tenant: dict[str, list[Override]] = {}
        for override in self._by_id.values():
            self._by_tenant.setdefault(override.tenant, []).append(override)

    def __repr__(self) -> str:
        return f"<Overrides {len(self)} for {len(self._by_tenant)} tenants>"

    def __getitem__(self, id_: str) -> Override:
        return self._by_id[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def tenants(self) -> Iterable[str]:
        """The tenants that have any."""
        return self._by_tenant.keys()

    def of(self, tenant: str) -> list[Override]:
        """Those of *tenant*, oldest first."""
        return list(self._by_tenant.get(tenant, ()))

    def tier(self, tenant: str) -> Override | None:
        """The one that gives *tenant* its tier."""
        return self._newest(tenant, "tier")

    def suspension(self, tenant: str) -> Override | None:
        """The one that says whether *tenant* is suspended."""
        return self._newest(tenant, "suspended")

    def add(self, override: Override) -> Overrides:
        """With that one, and without older ones of its tenant that say nothing beside it."""
        kept = (old for old in self.values() if not _replaces(override, old))
        return Overrides([*kept, override])

    def remove(self, *ids: str) -> Overrides:
        """Without those. Raises KeyError if one is not there."""
        missing = [id_ for id_ in ids if id_ not in self]
        if missing:
            raise KeyError(missing[0])
        return Overrides(override for override in self.values() if override.id not in ids)

    def expired(self, now: float) -> list[Override]:
        """Those whose end has come at *now*."""
        return [o for o in self.values() if o.until is not None and o.until <= now]

    def next_end(self) -> float | None:
        """When the next one ends; None: none does by itself."""
        return min((o.until for o in self.values() if o.until is not None), default=None)

    def to_json(self) -> str:
        """As text that :meth:`from_json` reads."""
        return _STORED.dump_json([o._asdict() for o in self.values()], indent=2).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Overrides:
        """Raises ValueError, with the place, if *text* is not what :meth:`to_json` wrote."""
        try:
            return cls(_READ.validate_python(_STORED.validate_json(text)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None

    def _newest(self, tenant: str, field: str) -> Override | None:
        said = self._by_tenant.get(tenant)
        if said is None:
            return None
        return next((o for o in reversed(said) if getattr(o, field) is not None), None)


def _replaces(new: Override, old: Override) -> bool:
    if new.tenant != old.tenant:
        return False
    tier_too = old.tier is None or new.tier is not None
    return tier_too and (old.suspended is None or new.suspended is not None)


_STORED: TypeAdapter[list[dict[str, object]]] = TypeAdapter(list[dict[str, object]])
_READ: TypeAdapter[list[Override]] = TypeAdapter(list[Override])

Overrides.NONE = Overrides()
