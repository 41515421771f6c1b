"""Virtual cancel keys."""

from __future__ import annotations

from tenantpool.gateway.keys import CancelKeys


def test_a_key_means_something_only_while_it_is_bound():
    keys: CancelKeys[str] = CancelKeys()
    key = keys.issue()
    assert keys.find(*key) is None
    keys.bind(key, "lease")
    assert keys.find(*key) == "lease"
    assert keys.find(key[0], key[1] ^ 1) is None
    assert keys.find(key[0] + 1, key[1]) is None
    keys.unbind(key)
    assert keys.find(*key) is None
    keys.revoke(key)
    assert repr(keys) == "<CancelKeys 0 issued>"


def test_keys_differ_and_fit_into_the_protocol():
    keys: CancelKeys[str] = CancelKeys()
    issued = [keys.issue() for _ in range(1000)]
    assert len({pid for pid, _ in issued}) == 1000
    assert all(0 < pid < 1 << 31 and 0 <= secret < 1 << 32 for pid, secret in issued)
    assert len({secret for _, secret in issued}) > 990


def test_a_key_that_was_revoked_does_not_come_back():
    """A worker may discard its husk while the lease that is in it has yet to end."""
    keys: CancelKeys[str] = CancelKeys()
    key = keys.issue()
    keys.bind(key, "lease")
    keys.revoke(key)
    keys.unbind(key)
    assert repr(keys) == "<CancelKeys 0 issued>"
