"""Purposes: every problem told at once, and each part of a profile serving what policy says."""

from __future__ import annotations

import tomllib
from pathlib import Path

from profiles.purposes import FIELDS, parse, verify

SHIPPED = Path(__file__).parents[2] / "kinfold" / "default_policy.toml"
SOUND = """
[purposes.service]
words = "Run it"
basis = "contract"
opt = "out"
[purposes.marketing]
words = "Write to you"
basis = "consent"
opt = "in"
[serves]
attributes = ["service"]
"attributes.email" = ["service", "marketing"]
"identifiers.external" = ["marketing"]
"identifiers.external:crm" = ["service"]
"""


def test_bits_follow_the_order_of_appearance() -> None:
    """The first purpose is bit 0, and what needs consent is told."""
    policy = parse(tomllib.loads(SOUND))
    assert [(one.name, one.bit) for one in policy.purposes] == [("service", 1), ("marketing", 2)]
    assert policy.needs_consent == 2
    assert policy.bits(["marketing", "service", "marketing"]) == 3
    assert policy.bits([]) == 0
    assert policy.bits(["marketing", "else"]) is None


def test_finer_entries_go_before_their_field() -> None:
    """An attribute with an entry of its own has that, the others their field's, the rest none."""
    policy = parse(tomllib.loads(SOUND))
    assert policy.served("attributes", "email") == 3
    assert policy.served("attributes", "city") == 1
    assert policy.served("identifiers", "external:crm") == 1
    assert policy.served("identifiers", "external:shop") == 2
    assert policy.served("identifiers", "email") == 0
    assert policy.served("affinities") == 0


def test_every_problem_is_told_at_once_with_its_key() -> None:
    """One reading shows all there is to mend."""
    problems = verify(
        {
            "purposes": {
                "Bad Name": {"words": "x", "basis": "contract", "opt": "out"},
                "quiet": {"words": " ", "basis": "whim", "opt": "maybe", "colour": "red"},
                "sly": {"words": "x", "basis": "consent", "opt": "out"},
                "flat": "yes",
            },
            "serves": {
                "shoes": ["quiet"],
                "affinities.sport": ["quiet"],
                "devices": "quiet",
                "attributes.email": ["quiet", "unheard"],
            },
        }
    )
    assert [problem.split(": ")[0] for problem in problems] == [
        "purposes.Bad Name",
        "purposes.quiet.words",
        "purposes.quiet.basis",
        "purposes.quiet.opt",
        "purposes.quiet.colour",
        "purposes.sly.opt",
        "purposes.flat",
        "serves.shoes",
        "serves.affinities.sport",
        "serves.devices",
        "serves.attributes.email",
    ]
    assert verify({"purposes": 1, "serves": 2}) != []
    assert verify(tomllib.loads(SOUND)) == []


def test_a_mask_has_room_for_64() -> None:
    """The sixty-fifth purpose has no bit left."""
    body = {"words": "x", "basis": "contract", "opt": "out"}
    assert verify({"purposes": {f"p{n}": body for n in range(64)}}) == []
    assert verify({"purposes": {f"p{n}": body for n in range(65)}}) == [
        "purposes: at most 64, here are 65"
    ]


def test_the_shipped_policy_is_sound_and_names_every_field() -> None:
    """What ships serves every part of a profile to somebody."""
    document = tomllib.loads(SHIPPED.read_text("utf-8"))
    assert verify(document) == []
    policy = parse(document)
    assert [field for field in FIELDS if not policy.served(field)] == []
