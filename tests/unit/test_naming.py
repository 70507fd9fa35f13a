"""Identifiers are named for lookups as they were on the way in."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from identity import policy as identity_policy
from identity.naming import Naming
from identity.normalize import identifier
from identity.tokens import Tokens

POLICY = identity_policy.parse(
    tomllib.loads(
        (Path(__file__).parents[2] / "kinfold" / "default_policy.toml").read_text("utf-8")
    )
)
TOKENS = Tokens([b"token key of thirty-two bytes..."], b"order key of thirty-two bytes...")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", " Ann@Posteo.NET "),
        ("phone", "030 901820"),
        ("login", "ANN"),
        ("external:crm", "C-7"),
    ],
)
def test_an_identifier_is_named_by_its_canonical_form(kind: str, value: str) -> None:
    """The node's token is that of the normalised value, the first time and from the cache."""
    naming = Naming(POLICY, TOKENS, "DE")
    form = identifier(kind, value, "DE")
    assert isinstance(form, str)
    assert naming(kind, value) == naming(kind, value) == TOKENS.key(kind, form)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "not an address"),
        ("phone", "12"),
        ("login", ""),
        ("login", "null"),
        ("shoe_size", "43"),
        ("external", "7"),
        ("external:", "7"),
        ("record", "7"),
    ],
)
def test_what_names_nobody_has_no_node(kind: str, value: str) -> None:
    """Unknown kinds, impossible values and values that policy blocks are all None."""
    assert Naming(POLICY, TOKENS)(kind, value) is None


def test_forgetting_changes_no_answer() -> None:
    """After forget() an identifier is named anew, alike."""
    naming = Naming(POLICY, TOKENS)
    before = naming("login", "ann")
    naming.forget()
    assert naming("login", "ann") == before
