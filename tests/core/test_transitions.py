"""A slot takes the steps of its table and no other."""

from __future__ import annotations

import pytest

from tenantpool.core.breaker import Breaker
from tenantpool.core.limits import BreakerLimits, TenantLimits
from tenantpool.core.pool import Pool
from tenantpool.core.slot import CLOSING, GONE, IDLE, IN_USE, OPENING, RESETTING, Slot
from tenantpool.core.tenant import Tenant

STEPS = {
    OPENING: [IDLE, IN_USE, CLOSING],
    IDLE: [IN_USE, CLOSING],
    IN_USE: [IDLE, IN_USE, RESETTING, CLOSING],
    RESETTING: [IDLE, IN_USE, CLOSING],
    CLOSING: [GONE],
    GONE: [],
}


@pytest.mark.parametrize("following", STEPS)
@pytest.mark.parametrize("state", STEPS)
def test_a_step(state: str, following: str) -> None:
    pool = Pool("a", "a", Breaker(BreakerLimits()), 0.0)
    slot = Slot(pool, Tenant("a", pool, TenantLimits("basic", 1), None, 0.0))
    slot.state = state
    if following in STEPS[state]:
        slot.become(following)
        assert slot.state == following
    else:
        with pytest.raises(RuntimeError, match=f"^bug: <Slot a {state}> can't become {following}$"):
            slot.become(following)
        assert slot.state == state
