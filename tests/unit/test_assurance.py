"""How sure a signal counts as: no more than policy grants its source and its content shows."""

from __future__ import annotations

from typing import Any

import pytest

from identity.model import Assurance
from tests.support.intaking import taken

CUSTOMER = {"kind": "customer_id", "value": "K-17"}
LOGIN, OTHER = {"kind": "login", "value": "anna"}, {"kind": "login", "value": "berta"}
NOBODY, DEVICE = {"kind": "login", "value": "unknown"}, {"kind": "device", "value": "d-1"}
NO_LOGIN: dict[str, dict[str, Any]] = {
    "device_seen": {},
    "behaviour": {"type": "BEHAVIOUR_TYPE_PURCHASE", "item": "shoe", "value": 9.5},
    "record_asserted": {"given_name": "Anna"},
    "consent_decided": {"decisions": [{"purpose": "marketing", "granted": True}]},
}


@pytest.mark.parametrize(
    ("source", "claimed", "granted"),
    [
        ("web", 3, Assurance.AUTHENTICATED),
        ("web", 0, Assurance.NONE),
        ("crm", 3, Assurance.CLAIMED),
        ("iot", 2, Assurance.NONE),
        ("unheard-of", 3, Assurance.CLAIMED),
    ],
)
def test_assurance_is_capped_by_policy(source: str, claimed: int, granted: Assurance) -> None:
    """No source is believed further than policy grants."""
    assert taken(source=source, assurance=claimed).assurance is granted


@pytest.mark.parametrize("content", NO_LOGIN)
def test_what_is_no_login_claims_two_accounts_at_most(content: str) -> None:
    """It is believed of one account and its devices, and no more than claims two to be one."""

    def assurance(*named: dict[str, str], said: int = 3, source: str = "web") -> Assurance:
        content_of = {content: NO_LOGIN[content]}
        sent = {"source": source, "assurance": said, "identifiers": list(named), **content_of}
        return taken(**sent).assurance

    assert assurance(LOGIN, DEVICE) is Assurance.AUTHENTICATED
    assert assurance(NOBODY, LOGIN, DEVICE) is Assurance.AUTHENTICATED
    for both in ((CUSTOMER, LOGIN, DEVICE), (LOGIN, OTHER)):
        assert assurance(*both) is Assurance.CLAIMED
        assert assurance(*both, said=1) is Assurance.NONE
        assert assurance(*both, source="iot") is Assurance.NONE


def test_a_login_authenticates_all_the_accounts_that_it_names() -> None:
    """Whoever logged in with both holds both."""
    named = [CUSTOMER, LOGIN, OTHER]
    sent = taken(source="web", assurance=3, identifiers=named, logged_in={})
    assert sent.assurance is Assurance.AUTHENTICATED
